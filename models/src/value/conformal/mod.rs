//! Intervals that hold what they promise: split-conformal prediction for values that are never negative,
//! mostly 0 and sometimes very large.
//!
//! Half of a holdout shapes a family of nested intervals around every prediction ([`bands`]); the other
//! half says which member of the family holds a given share ([`intervals`]). That share is then held for
//! new customers, too, in each group of them, whatever the model is and however wrong it is, as long as
//! they are like those of the holdout (exchangeable).

pub mod bands;
pub mod intervals;
pub mod tally;
#[cfg(test)]
mod tests;
