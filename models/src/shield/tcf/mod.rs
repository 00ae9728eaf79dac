//! The consent string of the IAB's Transparency & Consent Framework, version 2 (up to TCF v2.3), and
//! what it means for the platform's own consent types.
//!
//! Format: IAB Tech Lab, "Consent string and vendor list formats v2", section "TC String Format".
//! Big-endian bit fields, six bits a character, segments joined by dots: core, disclosed vendors,
//! allowed vendors (until 2021), publisher TC.

mod bits;
mod core;
#[cfg(test)]
mod encode;
pub mod error;
pub mod mapping;
#[cfg(test)]
mod properties;
pub mod sets;
pub mod tc;
#[cfg(test)]
mod vectors;
