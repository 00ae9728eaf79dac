//! How many rows of a calibration each member of a family was the first to hold.

use serde::{Deserialize, Serialize};

/// Counts by score.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(Vec<u32>);

impl Tally {
    /// Counts one row. Scores are below 2^16.
    pub fn add(&mut self, score: usize) {
        let score = score.min(usize::from(u16::MAX));
        if self.0.len() <= score {
            self.0.resize(score + 1, 0);
        }
        self.0[score] = self.0[score].saturating_add(1);
    }

    /// Rows.
    pub fn rows(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// The score that holds a share of new rows of at least `level` (0 to 1): the ⌈(n + 1) level⌉-th
    /// smallest of n (Vovk, Gammerman & Shafer 2005; Lei et al. 2018, theorem 2.2). `None` where n is too
    /// small to promise it. A level that is none counts as 1.
    pub fn score_at(&self, level: f64) -> Option<usize> {
        let level = if level >= 0.0 { level.min(1.0) } else { 1.0 };
        // 0.95 times 20 must not round up to 20.
        let needed = ((self.rows() + 1) as f64 * level - 1e-9).ceil().max(1.0) as u64;
        let mut held = 0;
        self.0.iter().position(|count| {
            held += u64::from(*count);
            held >= needed
        })
    }

    /// The share that a score holds of new rows: rows with it or less over n + 1.
    pub fn share(&self, score: usize) -> f64 {
        let held: u64 = self.0.iter().take(score.saturating_add(1)).map(|c| u64::from(*c)).sum();
        held as f64 / (self.rows() + 1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(scores: impl IntoIterator<Item = usize>) -> Tally {
        let mut tally = Tally::default();
        scores.into_iter().for_each(|score| tally.add(score));
        tally
    }

    #[test]
    fn nineteen_rows_are_the_least_that_promise_95_in_100() {
        assert_eq!(tally(0..18).score_at(0.95), None);
        assert_eq!(tally(0..19).score_at(0.95), Some(18));
        assert_eq!(tally(0..39).score_at(0.95), Some(37));
        assert_eq!(tally(0..99).score_at(0.5), Some(49));
    }

    #[test]
    fn ends_and_what_is_no_level_have_an_answer() {
        assert_eq!(tally([]).score_at(0.5), None);
        assert_eq!(tally([3]).score_at(0.0), Some(3));
        for all in [1.0, 2.0, f64::NAN, -1.0] {
            assert_eq!(tally(0..1_000).score_at(all), None, "{all}");
        }
    }

    #[test]
    fn a_share_is_never_all_of_it() {
        let tally = tally([0, 0, 4, 9]);
        assert_eq!([0, 3, 4, 9, usize::MAX].map(|s| tally.share(s)), [0.4, 0.4, 0.6, 0.8, 0.8]);
        assert_eq!(Tally::default().share(0), 0.0);
    }
}
