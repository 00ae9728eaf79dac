//! The shape of intervals: how actual values are spread around predictions of each size.

use serde::{Deserialize, Serialize};

use crate::value::values::{BadValues, check_lengths, check_positive, quantile, sorted};

/// Classes of predictions at most.
pub const BINS_MAX: usize = 50;
/// Rows of a class at least.
pub const BIN_ROWS_MIN: usize = 50;
/// Members of the family that reach beyond all that was seen, each 1.25 times as far as the one before.
const BEYOND: usize = 40;

/// The mass that members leave outside: from one half to 1/2000, the finer the less. Ascending members of
/// the family have descending masses.
fn masses() -> impl Iterator<Item = f64> {
    let steps = |from: u32, to: u32, step: u32| {
        (0..(from - to) / step).map(move |k| f64::from(from - k * step) / 10_000.0)
    };
    steps(10_000, 2_000, 250).chain(steps(2_000, 200, 25)).chain(steps(200, 0, 5))
}

/// Members of the family.
pub fn members() -> usize {
    masses().count() + BEYOND
}

/// Nested intervals for one class of predictions, in multiples of the prediction's scale: lower bounds
/// descend, upper bounds ascend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl Family {
    /// From the ratios (actual value over scale) of a class, at least one.
    ///
    /// The member that leaves a mass t outside goes from the quantile t/2 to 1 − t/2, but where the ratios
    /// have a mass of zeros p₀ ≥ t/2, its lower bound is 0 and nothing lies below it: then all of t is
    /// left above (the quantile 1 − t, or 1 − p₀ as long as the family is still two-sided inside).
    fn of(ratios: &[f64]) -> Family {
        let ratios = sorted(ratios);
        let zeros = ratios.partition_point(|r| *r <= 0.0) as f64 / ratios.len() as f64;
        let mut family = Family { lower: Vec::new(), upper: Vec::new() };
        let (mut lower, mut upper) = (f64::INFINITY, 0.0_f64);
        for mass in masses() {
            let (low, high) = match mass <= 2.0 * zeros {
                true => (0.0, quantile(&ratios, 1.0 - mass.min(zeros))),
                false => (quantile(&ratios, mass / 2.0), quantile(&ratios, 1.0 - mass / 2.0)),
            };
            (lower, upper) = (lower.min(low), upper.max(high));
            family.lower.push(lower);
            family.upper.push(upper);
        }
        let farthest = if upper > 0.0 { upper } else { 1.0 };
        for step in 1..=BEYOND {
            family.lower.push(0.0);
            family.upper.push(farthest * 1.25_f64.powi(step as i32));
        }
        family
    }

    fn is_sound(&self) -> bool {
        let both = [&self.lower, &self.upper];
        both.iter().all(|side| side.len() == members() && check_positive(side).is_ok())
            && self.lower.iter().rev().is_sorted()
            && self.upper.is_sorted()
    }
}

/// The families of all classes of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BandsJson")]
pub struct Bands {
    /// Added to a prediction for its scale, above 0: a small prediction is spread as widely as this, a large
    /// one in proportion to itself.
    offset: f64,
    /// Predictions up to and with a cut are of its class; one less than families.
    cuts: Vec<f64>,
    families: Vec<Family>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BandsJson {
    offset: f64,
    cuts: Vec<f64>,
    families: Vec<Family>,
}

/// Families that are not nested, or as many as no fit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("classes are cut in ascending order, and each has nested intervals")]
pub struct BadBands;

impl TryFrom<BandsJson> for Bands {
    type Error = BadBands;

    fn try_from(BandsJson { offset, cuts, families }: BandsJson) -> Result<Bands, BadBands> {
        let cut = (cuts.is_empty() || check_positive(&cuts).is_ok()) && cuts.is_sorted();
        let few = families.len() == cuts.len() + 1 && families.len() <= BINS_MAX;
        let sound = offset > 0.0 && check_positive(&[offset]).is_ok();
        match cut && few && sound && families.iter().all(Family::is_sound) {
            true => Ok(Bands { offset, cuts, families }),
            false => Err(BadBands),
        }
    }
}

impl Bands {
    /// From predictions and what came of them, both at least 0. Classes are cut at quantiles of the
    /// predictions, at most `bins` (brought into 1..=50), each of 50 rows or more.
    pub fn fit(predicted: &[f64], actual: &[f64], bins: usize) -> Result<Bands, BadValues> {
        check_positive(predicted)?;
        check_positive(actual)?;
        check_lengths(predicted.len(), actual.len())?;
        let ascending = sorted(predicted);
        let typical = [0.5, 0.75, 0.9, 1.0].map(|q| quantile(&ascending, q));
        let offset = typical.into_iter().find(|v| *v > 1e-9).unwrap_or(1.0);
        let bins = bins.clamp(1, BINS_MAX).min(predicted.len() / BIN_ROWS_MIN).max(1);
        let mut cuts: Vec<f64> =
            (1..bins).map(|k| quantile(&ascending, k as f64 / bins as f64)).collect();
        cuts.dedup();
        cuts.retain(|cut| *cut < ascending[ascending.len() - 1]);
        let mut ratios = vec![Vec::new(); cuts.len() + 1];
        for (predicted, actual) in predicted.iter().zip(actual) {
            let class = cuts.partition_point(|cut| cut < predicted);
            // A ratio beyond any sense would make the bounds infinite.
            ratios[class].push((actual / (predicted + offset)).min(1e80));
        }
        let mut families: Vec<Family> = Vec::with_capacity(ratios.len());
        let mut kept = Vec::with_capacity(cuts.len());
        let mut waiting: Vec<f64> = Vec::new();
        // Ties leave classes of a few rows: those are joined with the next one, or the last with its own.
        for (class, ratios) in ratios.into_iter().enumerate() {
            waiting.extend(ratios);
            let Some(cut) = cuts.get(class) else { break };
            if waiting.len() >= BIN_ROWS_MIN {
                families.push(Family::of(&waiting));
                kept.push(*cut);
                waiting.clear();
            }
        }
        families.push(Family::of(&waiting));
        Ok(Bands { offset, cuts: kept, families })
    }

    fn class(&self, predicted: f64) -> (&Family, f64) {
        let predicted = if check_positive(&[predicted]).is_ok() { predicted } else { 0.0 };
        let class = self.cuts.partition_point(|cut| *cut < predicted);
        (&self.families[class.min(self.families.len() - 1)], predicted + self.offset)
    }

    /// Bounds of a member (from 0; of those beyond the last, the last) around a prediction. A prediction that
    /// is none, or below 0, is taken as 0.
    pub fn interval(&self, predicted: f64, member: usize) -> (f64, f64) {
        let (family, scale) = self.class(predicted);
        let member = member.min(family.lower.len() - 1);
        (family.lower[member] * scale, family.upper[member] * scale)
    }

    /// The first member that holds the value; [`members`] where none does.
    pub fn score(&self, predicted: f64, actual: f64) -> usize {
        let (family, scale) = self.class(predicted);
        let below = family.lower.partition_point(|lower| lower * scale > actual);
        let above = family.upper.partition_point(|upper| upper * scale < actual);
        below.max(above)
    }

    /// The last member that lies within the bounds; `None` where none does.
    pub fn within(&self, predicted: f64, lower: f64, upper: f64) -> Option<usize> {
        let (family, scale) = self.class(predicted);
        let low = family.lower.partition_point(|bound| bound * scale >= lower);
        let high = family.upper.partition_point(|bound| bound * scale <= upper);
        low.min(high).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<f64>, Vec<f64>) {
        let predicted: Vec<f64> =
            (0..1_000_u32).map(|i| f64::from((37 * i) % 1_000) / 10.0).collect();
        let actual = predicted.iter().zip(0_u32..).map(|(p, i)| {
            let part = f64::from((61 * i) % 101) / 100.0;
            if part < 0.6 - p / 200.0 { 0.0 } else { p * 2.0 * part }
        });
        let actual = actual.collect();
        (predicted, actual)
    }

    #[test]
    fn members_are_nested_around_every_prediction() {
        let (predicted, actual) = sample();
        let bands = Bands::fit(&predicted, &actual, 10).unwrap();
        assert_eq!(bands.families.len(), 10);
        for p in [0.0, 3.0, 50.0, 99.0, 1e6] {
            let all: Vec<_> = (0..members()).map(|k| bands.interval(p, k)).collect();
            assert!(all.windows(2).all(|w| w[0].0 >= w[1].0 && w[0].1 <= w[1].1), "{p}");
            assert!(all.iter().all(|(low, high)| low <= high && *low >= 0.0 && high.is_finite()));
        }
    }

    #[test]
    fn the_score_is_the_first_member_that_holds_the_value() {
        let (predicted, actual) = sample();
        let bands = Bands::fit(&predicted, &actual, 10).unwrap();
        for (p, a) in [(0.0, 0.0), (20.0, 0.0), (20.0, 35.0), (80.0, 3.0), (80.0, 1e4), (5.0, 1e90)]
        {
            let holds = |k| {
                let (low, high) = bands.interval(p, k);
                low <= a && a <= high
            };
            let first = (0..members()).find(|k| holds(*k)).unwrap_or(members());
            assert_eq!(bands.score(p, a), first, "{p} {a}");
            let (low, high) = bands.interval(p, 30);
            assert!(bands.within(p, low, high).unwrap() >= 30);
        }
        assert_eq!(bands.score(5.0, 1e90), members());
        assert_eq!(bands.within(80.0, 1.0, 0.0), None);
    }

    #[test]
    fn a_class_with_many_zeros_leaves_nothing_below() {
        let actual: Vec<f64> = (0..100).map(|i| f64::from(i - 80).max(0.0)).collect();
        let bands = Bands::fit(&[10.0; 100], &actual, 5).unwrap();
        assert_eq!(bands.families.len(), 1, "one prediction is one class");
        assert!((0..members()).all(|k| bands.interval(10.0, k).0 == 0.0));
        let tenth = masses().position(|m| (m - 0.1).abs() < 1e-9).unwrap();
        let (_, upper) = bands.interval(10.0, tenth);
        assert!((8.0..11.0).contains(&upper), "{upper}: nine tenths are at most 9");
    }

    #[test]
    fn constants_ties_and_ends_of_the_range_have_finite_bounds() {
        let cases: [(&[f64], &[f64]); 4] = [
            (&[0.0], &[0.0]),
            (&[0.0; 60], &[1e100; 60]),
            (&[1e100], &[0.0]),
            (&[1e-12; 3], &[5e-324; 3]),
        ];
        for (p, a) in cases {
            let bands = Bands::fit(p, a, 20).unwrap();
            for predicted in [0.0, 1e100, f64::NAN, f64::INFINITY, -4.0] {
                for k in [0, 100, members() - 1, usize::MAX] {
                    let (low, high) = bands.interval(predicted, k);
                    assert!(
                        low.is_finite() && high.is_finite() && low <= high,
                        "{p:?} {predicted}"
                    );
                }
            }
        }
        assert!(Bands::fit(&[], &[], 5).is_err());
        assert!(Bands::fit(&[1.0], &[-1.0], 5).is_err());
    }

    #[test]
    fn bands_come_back_from_their_json_and_false_ones_do_not() {
        let (predicted, actual) = sample();
        let bands = Bands::fit(&predicted, &actual, 3).unwrap();
        let json = serde_json::to_string(&bands).unwrap();
        let back: Bands = serde_json::from_str(&json).unwrap();
        assert_eq!(back.cuts.len(), 2);
        let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
        value["families"][1]["upper"][9] = 1e50.into();
        assert!(serde_json::from_value::<Bands>(value.clone()).is_err());
        value["families"].as_array_mut().unwrap().pop();
        assert!(serde_json::from_value::<Bands>(value).is_err());
    }
}
