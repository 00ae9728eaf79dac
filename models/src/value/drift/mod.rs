//! Whether what comes in, or what comes of it, is still what a model was fitted on.
//!
//! Two kinds of detectors: those that compare a window with a reference ([`psi`], [`ks`]) and those that
//! read a stream value by value in bounded memory ([`adwin`], [`page_hinkley`]). [`watch`] runs all four on
//! one feature or on the error. All state is plain data that can be stored and read back.

pub mod adwin;
pub mod ks;
pub mod page_hinkley;
pub mod psi;
#[cfg(test)]
mod stream;
pub mod watch;
