//! Rules: pure, deterministic, without I/O and without a clock. Time, randomness and ids come in by
//! argument, so the same rules run in production, in tests and in the simulation.

pub mod breaker;
