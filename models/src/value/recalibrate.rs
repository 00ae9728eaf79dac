//! Totals put right: one factor for all customers, from what came of earlier predictions.

use serde::{Deserialize, Serialize};

use super::values::is_value;

/// Actual and predicted total of one holdout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    pub actual: f64,
    pub predicted: f64,
}

/// How the factor is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioTerms {
    /// A holdout that is so many holdouts older than the newest counts half (above 0).
    pub halving: f64,
    /// The factor is brought into 1/max..=max (max at least 1): no holdout is worth more trust.
    pub max: f64,
}

impl Default for RatioTerms {
    fn default() -> Self {
        Self { halving: 2.0, max: 4.0 }
    }
}

/// The factor, above 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Ratio(f64);

/// A number that is no factor.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is no factor: it is above 0 and finite")]
pub struct BadRatio(pub f64);

/// Holdouts or terms that give no factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRatios {
    #[error("there are no holdouts")]
    Empty,
    #[error("the totals of holdout {at} are not finite, or beyond ±1e100")]
    OutOfRange { at: usize },
    #[error("halving is above 0, and max at least 1")]
    Terms,
}

impl TryFrom<f64> for Ratio {
    type Error = BadRatio;

    fn try_from(factor: f64) -> Result<Ratio, BadRatio> {
        if factor > 0.0 && is_value(factor) { Ok(Ratio(factor)) } else { Err(BadRatio(factor)) }
    }
}

impl From<Ratio> for f64 {
    fn from(ratio: Ratio) -> f64 {
        ratio.0
    }
}

impl Ratio {
    /// Leaves values as they are.
    pub const ONE: Ratio = Ratio(1.0);

    /// The factor by which predictions would have had the actual total: `Σ w actual / Σ w predicted` over
    /// the holdouts, the newest last, `w = 2^(−age/halving)`. [`Ratio::ONE`] where nothing was predicted
    /// or nothing happened (or less): such holdouts say nothing about a factor.
    ///
    /// # Errors
    /// [`BadRatios`]: no holdouts, totals that are not finite, terms out of range.
    pub fn of(holdouts: &[Totals], terms: RatioTerms) -> Result<Ratio, BadRatios> {
        let finite = |t: &Totals| is_value(t.actual) && is_value(t.predicted);
        if let Some(at) = holdouts.iter().position(|t| !finite(t)) {
            return Err(BadRatios::OutOfRange { at });
        }
        let sound = terms.halving > 0.0 && terms.max >= 1.0 && is_value(terms.max);
        if holdouts.is_empty() {
            return Err(BadRatios::Empty);
        }
        if !sound {
            return Err(BadRatios::Terms);
        }
        let (mut actual, mut predicted) = (0.0, 0.0);
        for (age, totals) in holdouts.iter().rev().enumerate() {
            let weight = (-(age as f64) / terms.halving).exp2();
            actual += weight * totals.actual;
            predicted += weight * totals.predicted;
        }
        if !(actual > 0.0 && predicted > 0.0) {
            return Ok(Ratio::ONE);
        }
        Ok(Ratio((actual / predicted).clamp(1.0 / terms.max, terms.max)))
    }

    /// The value times the factor.
    pub fn apply(self, value: f64) -> f64 {
        value * self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(totals: &[(f64, f64)]) -> Result<Ratio, BadRatios> {
        let totals: Vec<_> = totals
            .iter()
            .map(|(actual, predicted)| Totals { actual: *actual, predicted: *predicted })
            .collect();
        Ratio::of(&totals, RatioTerms::default())
    }

    #[test]
    fn one_holdout_has_the_ratio_of_its_totals() {
        let ratio = of(&[(74.0, 100.0)]).unwrap();
        assert_eq!(ratio, Ratio(0.74));
        assert_eq!(ratio.apply(50.0), 37.0);
    }

    #[test]
    fn older_holdouts_count_less() {
        let ratio = of(&[(100.0, 100.0), (0.0, 0.0), (300.0, 100.0)]).unwrap();
        assert_eq!(ratio, Ratio((0.5 * 100.0 + 300.0) / 150.0));
        assert!(
            of(&[(300.0, 100.0), (100.0, 100.0)]).unwrap()
                < of(&[(100.0, 100.0), (300.0, 100.0)]).unwrap()
        );
    }

    #[test]
    fn the_factor_has_bounds_and_nothing_gives_no_factor() {
        assert_eq!(of(&[(1e9, 1.0)]), Ok(Ratio(4.0)));
        assert_eq!(of(&[(1.0, 1e9)]), Ok(Ratio(0.25)));
        for nothing in [(0.0, 0.0), (0.0, 5.0), (5.0, 0.0), (-5.0, 5.0)] {
            assert_eq!(of(&[nothing]), Ok(Ratio::ONE));
        }
        assert_eq!(of(&[]), Err(BadRatios::Empty));
        assert_eq!(of(&[(1.0, f64::NAN)]), Err(BadRatios::OutOfRange { at: 0 }));
        let terms = RatioTerms { halving: f64::NAN, max: 4.0 };
        let totals = Totals { actual: 1.0, predicted: 1.0 };
        assert_eq!(Ratio::of(&[totals], terms), Err(BadRatios::Terms));
        assert!(serde_json::from_str::<Ratio>("0.0").is_err());
    }
}
