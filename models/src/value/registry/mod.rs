//! The registry of models: immutable versions, the champion who answers, the challenger who would like to,
//! and the history of both. Commands are decided without being carried out; what was decided is an entry of
//! the history, and the state is what the entries add up to.
//!
//! Invariants: the champion and the challenger are versions that exist and not the same one (MR-1); a roll
//! back restores the champion before (MR-2); the history only grows (MR-3); nobody is promoted who is worse
//! on the holdout, unless somebody says why (MR-4).

pub mod command;
pub mod compare;
pub mod state;
#[cfg(test)]
mod tests;
pub mod version;
