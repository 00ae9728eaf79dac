//! The population stability index: how far the shares of a feature's classes have moved.

use serde::{Deserialize, Serialize};

use crate::value::values::{BadValues, check, is_value, quantile, sorted};

/// Classes of an index at most.
pub const BINS_MAX: usize = 100;
/// Shares below this count as this, so that an empty class has a logarithm.
pub const SHARE_MIN: f64 = 1e-4;

/// The classes of a feature and their shares at the time of the reference.
///
/// Classes are cut at the reference's quantiles 1/bins, 2/bins, … (linear interpolation); a value on a cut
/// belongs below it. A value on which several cuts fall (a constant, many zeros) has a class of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ReferenceJson")]
pub struct Reference {
    /// Ascending, each at most twice; one less than classes.
    cuts: Vec<f64>,
    counts: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReferenceJson {
    cuts: Vec<f64>,
    counts: Vec<u64>,
}

/// Cuts and counts that are no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cuts} cuts with {counts} counts are no reference: cuts ascend and counts are one more")]
pub struct BadReference {
    pub cuts: usize,
    pub counts: usize,
}

impl TryFrom<ReferenceJson> for Reference {
    type Error = BadReference;

    fn try_from(ReferenceJson { cuts, counts }: ReferenceJson) -> Result<Reference, BadReference> {
        let values = cuts.iter().all(|cut| is_value(*cut)) && cuts.is_sorted();
        let sum = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        let counted = counts.len() == cuts.len() + 1 && sum.is_some_and(|sum| sum > 0);
        if values && counted && counts.len() <= BINS_MAX {
            return Ok(Reference { cuts, counts });
        }
        Err(BadReference { cuts: cuts.len(), counts: counts.len() })
    }
}

/// How a shift is commonly read (Siddiqi 2006): below 0.1, below 0.25, and beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    Stable,
    Moderate,
    Major,
}

impl Shift {
    pub fn of(psi: f64) -> Shift {
        match psi {
            p if p < 0.1 => Shift::Stable,
            p if p < 0.25 => Shift::Moderate,
            _ => Shift::Major,
        }
    }
}

impl Reference {
    /// Classes from a sample, `bins` brought into 2..=100 (10 is usual).
    pub fn of(sample: &[f64], bins: usize) -> Result<Reference, BadValues> {
        check(sample)?;
        let (bins, sorted) = (bins.clamp(2, BINS_MAX), sorted(sample));
        let mut cuts: Vec<f64> = Vec::with_capacity(bins);
        for k in 1..bins {
            let cut = quantile(&sorted, k as f64 / bins as f64) + 0.0;
            if cuts.iter().rev().take(2).filter(|kept| **kept == cut).count() < 2 {
                cuts.push(cut);
            }
        }
        let mut reference = Reference { counts: vec![0; cuts.len() + 1], cuts };
        reference.counts = reference.count(sample)?;
        Ok(reference)
    }

    /// Classes.
    pub fn bins(&self) -> usize {
        self.counts.len()
    }

    /// The class of a value, from 0.
    pub fn bin(&self, value: f64) -> usize {
        let below = self.cuts.partition_point(|cut| *cut < value);
        let twice = self.cuts.get(below..below + 2).is_some_and(|c| c[0] == value && c[1] == value);
        below + usize::from(twice)
    }

    /// How many values fall into each class; to be added up over a stream by [`Reference::bin`].
    pub fn count(&self, values: &[f64]) -> Result<Vec<u64>, BadValues> {
        check(values)?;
        let mut counts = vec![0; self.bins()];
        values.iter().for_each(|value| counts[self.bin(*value)] += 1);
        Ok(counts)
    }

    /// `Σ (cᵢ − rᵢ) ln(cᵢ / rᵢ)` over the shares now and at the reference, each at least
    /// [`SHARE_MIN`] and not scaled again: 0 of the same shares, about 9.2 at most for two classes.
    ///
    /// # Errors
    /// Counts of other classes, or of no values.
    pub fn psi(&self, counts: &[u64]) -> Result<f64, BadValues> {
        if counts.len() != self.bins() {
            return Err(BadValues::Lengths { left: self.bins(), right: counts.len() });
        }
        let share = |counts: &[u64]| {
            let total: f64 = counts.iter().map(|c| *c as f64).sum();
            counts.iter().map(|c| (*c as f64 / total).max(SHARE_MIN)).collect::<Vec<_>>()
        };
        if counts.iter().all(|c| *c == 0) {
            return Err(BadValues::Empty);
        }
        let (then, now) = (share(&self.counts), share(counts));
        Ok(then.iter().zip(&now).map(|(r, c)| (c - r) * (c / r).ln()).sum())
    }
}

/// The index of `current` against `reference` in one call.
pub fn psi(reference: &[f64], current: &[f64], bins: usize) -> Result<f64, BadValues> {
    let reference = Reference::of(reference, bins)?;
    reference.psi(&reference.count(current)?)
}

#[cfg(test)]
mod tests {
    use super::super::stream::stream;
    use super::*;

    #[test]
    fn the_stream_has_the_index_of_the_reference() {
        let stream = stream();
        let got = psi(&stream[..1_000], &stream[1_000..], 10).unwrap();
        assert!((got - 2.48614).abs() < 5e-6, "{got}");
        assert_eq!(psi(&stream[..1_000], &stream[..1_000], 10), Ok(0.0));
        assert_eq!(Shift::of(got), Shift::Major);
        assert_eq!((Shift::of(0.0999), Shift::of(0.1)), (Shift::Stable, Shift::Moderate));
    }

    #[test]
    fn a_feature_that_was_constant_is_seen_to_leave_in_either_direction() {
        for moved in [4.9, 5.1] {
            let got = psi(&[5.0; 50], &[[5.0; 25], [moved; 25]].concat(), 10).unwrap();
            assert!(got > 4.0, "{moved}: {got}");
        }
        assert_eq!(psi(&[5.0; 50], &[5.0; 9], 10), Ok(0.0));
    }

    #[test]
    fn many_zeros_have_a_class_of_their_own() {
        let sample: Vec<f64> = (0..100).map(|i| f64::from(i - 60).max(0.0)).collect();
        let reference = Reference::of(&sample, 10).unwrap();
        assert_eq!(reference.count(&sample).unwrap()[..3], [0, 61, 9]);
        assert_eq!((reference.bin(-1.0), reference.bin(-0.0), reference.bin(0.5)), (0, 1, 2));
        assert_eq!(reference.bin(f64::MAX), reference.bins() - 1);
    }

    #[test]
    fn counts_of_a_stream_give_what_the_values_give() {
        let stream = stream();
        let reference = Reference::of(&stream[..1_000], 10).unwrap();
        let mut counts = vec![0; reference.bins()];
        stream[1_000..].iter().for_each(|v| counts[reference.bin(*v)] += 1);
        assert_eq!(reference.psi(&counts), psi(&stream[..1_000], &stream[1_000..], 10));
        assert_eq!(reference.psi(&[0; 10]), Err(BadValues::Empty));
        assert!(reference.psi(&[1; 9]).is_err());
        assert!(psi(&[1.0], &[f64::NAN], 10).is_err());
    }

    #[test]
    fn a_reference_comes_back_from_its_json_and_a_false_one_does_not() {
        let reference = Reference::of(&[1.0, 1.0, 1.0, 2.0], 4).unwrap();
        let json = serde_json::to_string(&reference).unwrap();
        assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
        for bad in [
            r#"{"cuts":[2.0,1.0],"counts":[1,1,1]}"#,
            r#"{"cuts":[1.0],"counts":[1]}"#,
            r#"{"cuts":[1.0],"counts":[0,0]}"#,
            r#"{"cuts":[1e200],"counts":[1,1]}"#,
            r#"{"cuts":[1.0],"counts":[18446744073709551615,1]}"#,
        ] {
            assert!(serde_json::from_str::<Reference>(bad).is_err(), "{bad}");
        }
    }
}
