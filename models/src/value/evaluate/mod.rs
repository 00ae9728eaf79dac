//! How good a kind of model is on customers' own purchases, without a look ahead: after a cut
//! ([`temporal`]), and on customers whom no part of the model has seen ([`crossed`]).

pub mod baselines;
pub mod crossed;
pub mod judged;
pub mod temporal;
#[cfg(test)]
mod tests;
