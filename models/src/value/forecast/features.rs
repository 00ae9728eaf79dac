//! What is watched of the inputs, to see whether the world is still the one that a model was fitted on.

use super::customer::Purchase;
use crate::value::log::amount::UNIT;
use crate::value::log::day::Day;
use crate::value::values::{quantile, sorted};

/// Values that are kept of each; of more, order statistics at equal steps.
pub const VALUES_MAX: usize = 1_000;

/// Names of the features, in their order.
pub const NAMES: [&str; 5] =
    ["frequency", "days_since_last", "age_days", "mean_spend", "total_spend"];

/// Values of one input among the customers that a model was fitted on, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    pub name: &'static str,
    pub values: Vec<f64>,
}

/// Of who is known: repeats, days since the last and the first purchase, spend per purchase and of all, in units
/// of the currency.
pub fn of(known: &[Purchase], as_of: Day) -> Option<[f64; 5]> {
    let (first, last) = (known.first()?, known.last()?);
    let total = known.iter().map(|p| p.micros as f64).sum::<f64>() / UNIT as f64;
    let since = |day: Day| f64::from(as_of.number().saturating_sub(day.number()));
    let count = known.len() as f64;
    Some([count - 1.0, since(last.day), since(first.day), total / count, total])
}

/// At most [`VALUES_MAX`] values of each.
pub fn kept(columns: [Vec<f64>; 5]) -> Vec<Feature> {
    let keep = |values: Vec<f64>| {
        let all = sorted(&values);
        if all.len() <= VALUES_MAX {
            return all;
        }
        let last = (VALUES_MAX - 1) as f64;
        (0..VALUES_MAX).map(|k| quantile(&all, k as f64 / last)).collect()
    };
    let named = NAMES.into_iter().zip(columns);
    named.map(|(name, values)| Feature { name, values: keep(values) }).collect()
}
