//! The exponential histogram of a window: buckets of 1, 2, 4, … values, a few of each (Datar et al. 2002).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Buckets of one size; one more merges the two oldest of them.
pub const BUCKETS_MAX: usize = 5;
/// Sizes of buckets: windows of more than 2^50 values stay as they are.
pub const ROWS_MAX: usize = 50;

/// Values that lie side by side, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    pub values: u64,
    pub mean: f64,
    /// Σ (value − mean)², at least 0.
    pub squares: f64,
}

impl Bucket {
    fn one(value: f64) -> Bucket {
        Bucket { values: 1, mean: value, squares: 0.0 }
    }

    /// Both together (Chan, Golub & LeVeque 1983): no sum is subtracted, so that nothing cancels out.
    pub fn merged(self, other: Bucket) -> Bucket {
        if other.values == 0 {
            return self;
        }
        let (a, b) = (self.values as f64, other.values as f64);
        let (n, off) = (a + b, other.mean - self.mean);
        Bucket {
            values: self.values + other.values,
            mean: self.mean + off * (b / n),
            squares: self.squares + other.squares + off * off * (a * b / n),
        }
    }
}

/// Buckets by size: row i has those of 2^i values, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rows(Vec<VecDeque<Bucket>>);

impl Rows {
    /// Whether a stream can have led to it.
    pub fn are_sound(&self) -> bool {
        let sound = |size: u64, b: &Bucket| {
            b.values == size && b.mean.abs() < 1e101 && (0.0..1e230).contains(&b.squares)
        };
        let rows = self.0.iter().enumerate();
        self.0.len() <= ROWS_MAX
            && self.0.last().is_none_or(|last| !last.is_empty())
            && rows.into_iter().all(|(row, buckets)| {
                buckets.len() <= BUCKETS_MAX && buckets.iter().all(|b| sound(1 << row, b))
            })
    }

    /// Adds the newest value.
    pub fn push(&mut self, value: f64) {
        let mut carry = Some(Bucket::one(value));
        for row in 0..ROWS_MAX {
            let Some(bucket) = carry.take() else { break };
            if self.0.len() == row {
                self.0.push(VecDeque::with_capacity(BUCKETS_MAX + 1));
            }
            let buckets = &mut self.0[row];
            buckets.push_front(bucket);
            if buckets.len() > BUCKETS_MAX
                && let (Some(oldest), Some(next)) = (buckets.pop_back(), buckets.pop_back())
            {
                carry = Some(oldest.merged(next));
            }
        }
    }

    /// Takes the oldest bucket away.
    pub fn drop_oldest(&mut self) -> Option<Bucket> {
        let oldest = self.0.last_mut()?.pop_back();
        while self.0.last().is_some_and(VecDeque::is_empty) {
            self.0.pop();
        }
        oldest
    }

    pub fn oldest_first(&self) -> impl Iterator<Item = &Bucket> {
        self.0.iter().rev().flat_map(|row| row.iter().rev())
    }

    /// All values.
    pub fn total(&self) -> Bucket {
        self.oldest_first().fold(Bucket::default(), |sum, b| sum.merged(*b))
    }

    /// For each bucket, oldest first, all values that are newer.
    pub fn newer(&self) -> Vec<Bucket> {
        let mut newer = Vec::new();
        let mut sum = Bucket::default();
        for bucket in self.0.iter().flatten() {
            newer.push(sum);
            sum = sum.merged(*bucket);
        }
        newer.reverse();
        newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_kept_in_a_logarithm_of_its_values_and_nothing_is_lost() {
        let mut rows = Rows::default();
        for i in 1..=100_000_u32 {
            rows.push(f64::from(i));
            if i % 997 == 0 {
                let total = rows.total();
                let n = f64::from(i);
                assert_eq!(total.values, u64::from(i));
                assert!((total.mean / ((n + 1.0) / 2.0) - 1.0).abs() < 1e-12);
                let squares = n * (n * n - 1.0) / 12.0;
                assert!((total.squares / squares - 1.0).abs() < 1e-9);
                assert!(rows.are_sound());
            }
        }
        assert!(rows.oldest_first().count() <= BUCKETS_MAX * 17);
        assert!(rows.oldest_first().is_sorted_by(|a, b| a.mean < b.mean), "older first");
    }

    #[test]
    fn older_and_newer_parts_together_are_the_window() {
        let mut rows = Rows::default();
        (0..777).for_each(|i| rows.push(f64::from(i % 13)));
        let (total, mut older) = (rows.total(), Bucket::default());
        for (bucket, newer) in rows.oldest_first().zip(rows.newer()) {
            older = older.merged(*bucket);
            assert_eq!(older.merged(newer).values, total.values);
            assert!((older.merged(newer).mean - total.mean).abs() < 1e-9);
        }
        assert_eq!(older, total);
    }

    #[test]
    fn dropping_takes_the_oldest_until_nothing_is_left() {
        let mut rows = Rows::default();
        (0..50).for_each(|i| rows.push(f64::from(i)));
        let mut last = -1.0;
        while let Some(bucket) = rows.drop_oldest() {
            assert!(bucket.mean > last);
            last = bucket.mean;
            assert!(rows.are_sound());
        }
        assert_eq!((last, rows), (49.0, Rows::default()));
    }
}
