//! What every counting model answers, whatever its assumptions.

use super::history::{History, Horizon};

/// Purchases of one customer as a random process with an end that nobody sees.
///
/// All answers are finite and within the bounds given here, for every [`History`] and [`Horizon`].
/// A new customer is [`History::NEW`]: the first purchase was made just now.
pub trait CountModel {
    /// Log-likelihood of one history, in nats, up to a constant that does not depend on the parameters.
    fn log_likelihood(&self, of: &History) -> f64;

    /// Probability that the customer has not left for ever, in [0, 1]. It is no score of churn: some
    /// models give everybody without repeat purchases a 1. For that, see [`CountModel::p_active`].
    fn p_alive(&self, of: &History) -> f64;

    /// Expected purchases within the time ahead, ≥ 0; grows with it.
    fn expected(&self, of: &History, ahead: Horizon) -> f64;

    /// Probability of `count` purchases or more within the time ahead, in [0, 1]; falls with `count`.
    fn p_at_least(&self, of: &History, ahead: Horizon, count: u64) -> f64;

    /// Probability of at least one purchase within the time ahead, in [0, 1]; grows with it.
    fn p_active(&self, of: &History, ahead: Horizon) -> f64 {
        self.p_at_least(of, ahead, 1)
    }
}

/// A parameter that a model cannot have.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("parameter {name} is {value}, not between 1e-9 and 1e15")]
pub struct BadParameter {
    pub name: &'static str,
    pub value: f64,
}

/// The parameters when each is within what the formulas hold for.
pub fn checked<const N: usize>(
    names: [&'static str; N],
    values: [f64; N],
) -> Result<[f64; N], BadParameter> {
    match names.into_iter().zip(values).find(|(_, value)| !(1e-9..=1e15).contains(value)) {
        Some((name, value)) => Err(BadParameter { name, value }),
        None => Ok(values),
    }
}
