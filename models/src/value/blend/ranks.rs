//! A blend that takes the order of customers and the levels of their values apart: the weights that
//! order best are seldom those whose levels are right, and levels can be learned from what came.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::curve::Curve;
use crate::value::metrics::gini;
use crate::value::metrics::pairs::Pairs;
use crate::value::recalibrate::{Ratio, RatioTerms, Totals};
use crate::value::values::{BadValues, check_lengths, check_positive};

/// Steps of each weight from 0 to 1.
const STEPS: u32 = 20;

/// Classes of the levels at most, and rows of each at least.
const BINS_MAX: usize = 20;
const BIN_ROWS_MIN: usize = 100;

/// Two forecasts as one. State is some 20 kB at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankBlend {
    /// The first forecast on the scale of the second.
    first: Curve,
    /// The weight of the first forecast, 0 to 1.
    #[serde(deserialize_with = "weight")]
    weight: f64,
    /// The joined score to levels.
    levels: Curve,
    ratio: Ratio,
}

fn weight<'de, D: Deserializer<'de>>(json: D) -> Result<f64, D::Error> {
    let weight = f64::deserialize(json)?;
    match (0.0..=1.0).contains(&weight) {
        true => Ok(weight),
        false => Err(D::Error::custom("a weight is 0 to 1")),
    }
}

impl RankBlend {
    /// Fitted on a holdout: values at least 0, row by row.
    ///
    /// The first forecast is brought to the scale of the second, quantile by quantile, and the score is
    /// the weighted mean of both with the largest normalised Gini (of 21 weights; of equal ones the one
    /// nearest to a half). Levels are what came of the score in up to 20 classes of at least 100 rows
    /// ([`Curve::calibrated`]), scaled to the actual total.
    pub fn fit(actual: &[f64], first: &[f64], second: &[f64]) -> Result<RankBlend, BadValues> {
        for side in [actual, first, second] {
            check_lengths(actual.len(), side.len())?;
            check_positive(side)?;
        }
        let map = Curve::quantiles(first, second)?;
        let scores = |w: f64| -> Vec<f64> {
            first.iter().zip(second).map(|(a, b)| w * map.at(*a) + (1.0 - w) * b).collect()
        };
        let weight = best(|w| {
            Ok(Pairs::new(actual, &scores(w)).map(gini::normalised)?.unwrap_or_default())
        })?;
        let scores = scores(weight);
        let bins = (actual.len() / BIN_ROWS_MIN).clamp(1, BINS_MAX);
        let levels = Curve::calibrated(&scores, actual, bins)?;
        let predicted = scores.iter().map(|s| levels.at(*s)).sum();
        let totals = Totals { actual: actual.iter().sum(), predicted };
        let ratio = Ratio::of(&[totals], RatioTerms::default()).unwrap_or(Ratio::ONE);
        Ok(RankBlend { first: map, weight, levels, ratio })
    }

    /// The joined forecast of one customer: at least 0, and finite for values within ±1e100.
    pub fn join(&self, first: f64, second: f64) -> f64 {
        let score = self.weight * self.first.at(first) + (1.0 - self.weight) * second.max(0.0);
        self.ratio.apply(self.levels.at(score))
    }

    /// The weight of the first forecast in the order, 0 to 1.
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

/// The weight with the largest figure, from a half outwards.
fn best(figure: impl Fn(f64) -> Result<f64, BadValues>) -> Result<f64, BadValues> {
    let mut steps: Vec<u32> = (0..=STEPS).collect();
    steps.sort_by_key(|step| step.abs_diff(STEPS / 2));
    let mut best = (f64::NEG_INFINITY, 0.5);
    for step in steps {
        let weight = f64::from(step) / f64::from(STEPS);
        let figure = figure(weight)?;
        if figure > best.0 {
            best = (figure, weight);
        }
    }
    Ok(best.1)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::value::metrics::scores::Scores;

    /// Customers with two hidden qualities. The first forecast sees one of them and is twice too high, the
    /// second sees the other and is too flat.
    fn customers(seed: u64, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sides = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            let (a, b): (f64, f64) = (rng.random(), rng.random());
            let mean = (2.0 * a + 2.0 * b).exp();
            let active = rng.random_bool(0.6);
            sides.0.push(if active { mean * rng.random_range(0.2..1.8) } else { 0.0 });
            sides.1.push(4.0 * (2.0 * a).exp());
            sides.2.push(5.0 * b.exp());
        }
        sides
    }

    fn scores(actual: &[f64], predicted: &[f64]) -> Scores {
        Scores::of(Pairs::new(actual, predicted).unwrap())
    }

    #[test]
    fn it_orders_better_than_either_and_has_the_levels_and_the_total_of_new_customers() {
        let (actual, first, second) = customers(1, 4_000);
        let blend = RankBlend::fit(&actual, &first, &second).unwrap();
        let (actual, first, second) = customers(2, 4_000);
        let joined: Vec<f64> = first.iter().zip(&second).map(|(a, b)| blend.join(*a, *b)).collect();
        let [one, two, both] = [&first, &second, &joined].map(|p| scores(&actual, p));
        let gini = |s: Scores| s.normalised_gini.unwrap();
        assert!(gini(both) > gini(one) + 0.05 && gini(both) > gini(two) + 0.05, "{both:?}");
        assert!(both.total_bias.unwrap().abs() < 0.05, "{both:?}");
        assert!(both.decile_mape < one.decile_mape && both.decile_mape < two.decile_mape);
        assert!(both.decile_mape < 0.15, "{both:?}");
        assert!((0.2..=0.8).contains(&blend.weight()), "{:?}", blend.weight());
    }

    #[test]
    fn a_forecast_that_is_noise_has_no_weight_in_the_order() {
        let (actual, first, _) = customers(3, 3_000);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let noise: Vec<f64> = actual.iter().map(|_| rng.random_range(0.0..30.0)).collect();
        let blend = RankBlend::fit(&actual, &first, &noise).unwrap();
        assert!(blend.weight() >= 0.7, "{:?}", blend.weight());
        let blend = RankBlend::fit(&actual, &noise, &first).unwrap();
        assert!(blend.weight() <= 0.3, "{:?}", blend.weight());
    }

    #[test]
    fn a_holdout_without_any_value_still_gives_a_finite_blend() {
        let blend = RankBlend::fit(&[0.0; 3], &[0.0; 3], &[0.0; 3]).unwrap();
        assert_eq!((blend.weight(), blend.ratio), (0.5, Ratio::ONE));
        for odd in [0.0, 7.0, 1e100, f64::NAN, f64::INFINITY, -1.0] {
            let joined = blend.join(odd, odd);
            assert!(joined.is_finite() && joined >= 0.0, "{odd}: {joined}");
        }
        assert_eq!(RankBlend::fit(&[], &[], &[]), Err(BadValues::Empty));
        assert!(RankBlend::fit(&[1.0], &[-1.0], &[1.0]).is_err());
    }

    #[test]
    fn a_blend_comes_back_from_its_json() {
        let (actual, first, second) = customers(5, 2_000);
        let blend = RankBlend::fit(&actual, &first, &second).unwrap();
        let json = serde_json::to_string(&blend).unwrap();
        assert!(json.len() < 50_000, "{}", json.len());
        let heavy = json.replacen("\"weight\":0", "\"weight\":7", 1);
        assert!(heavy != json && serde_json::from_str::<RankBlend>(&heavy).is_err());
        let back: RankBlend = serde_json::from_str(&json).unwrap();
        assert!((back.join(3.0, 4.0) / blend.join(3.0, 4.0) - 1.0).abs() < 1e-12);
    }
}
