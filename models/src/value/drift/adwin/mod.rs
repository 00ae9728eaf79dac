//! ADWIN2: a window over a stream that grows while its mean stays and shrinks when it moves (Bifet &
//! Gavaldà 2007), in memory that grows with the logarithm of the window.

mod bucket;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::bucket::{Bucket, Rows};
use crate::value::values::{BadValues, is_value};

/// When it cuts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdwinTerms {
    /// δ: the chance of a false alarm at a check, above 0 and below 1.
    pub delta: f64,
    /// Every so many values it looks for a cut (at least 1).
    pub check_every: u32,
    /// Values on each side of a cut (at least 1).
    pub side_min: u32,
    /// Values in the window before it looks.
    pub values_min: u32,
}

impl Default for AdwinTerms {
    fn default() -> Self {
        Self { delta: 0.002, check_every: 32, side_min: 5, values_min: 10 }
    }
}

impl AdwinTerms {
    fn are_sound(&self) -> bool {
        self.delta > 0.0 && self.delta < 1.0 && self.check_every > 0 && self.side_min > 0
    }
}

/// The mean has moved: what was before is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// Values and mean of what was dropped.
    pub dropped: u64,
    pub mean_before: f64,
    /// Values and mean of what is left.
    pub kept: u64,
    pub mean_after: f64,
}

/// Terms that cannot be worked with, or a state that no stream leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("delta is between 0 and 1, counts are at least 1, the window has its buckets in order")]
pub struct BadAdwin;

/// The detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "AdwinJson")]
pub struct Adwin {
    terms: AdwinTerms,
    window: Rows,
    /// Values since the last check.
    unchecked: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdwinJson {
    terms: AdwinTerms,
    window: Rows,
    unchecked: u32,
}

impl TryFrom<AdwinJson> for Adwin {
    type Error = BadAdwin;

    fn try_from(AdwinJson { terms, window, unchecked }: AdwinJson) -> Result<Adwin, BadAdwin> {
        let sound = terms.are_sound() && window.are_sound() && unchecked < terms.check_every;
        if sound { Ok(Adwin { terms, window, unchecked }) } else { Err(BadAdwin) }
    }
}

impl Adwin {
    pub fn new(terms: AdwinTerms) -> Result<Adwin, BadAdwin> {
        if !terms.are_sound() {
            return Err(BadAdwin);
        }
        Ok(Adwin { terms, window: Rows::default(), unchecked: 0 })
    }

    /// Values in the window.
    pub fn width(&self) -> u64 {
        self.window.total().values
    }

    /// Mean of the window; 0 of an empty one.
    pub fn mean(&self) -> f64 {
        self.window.total().mean
    }

    /// Takes the next value, and looks for cuts when it is time. The oldest buckets are dropped as
    /// long as any cut of the window into an older and a newer part has means that differ by more than
    /// chance. A value that is none changes nothing.
    pub fn update(&mut self, value: f64) -> Result<Option<Cut>, BadValues> {
        if !is_value(value) {
            return Err(BadValues::OutOfRange { at: 0 });
        }
        self.window.push(value);
        self.unchecked += 1;
        if self.unchecked < self.terms.check_every {
            return Ok(None);
        }
        self.unchecked = 0;
        let mut dropped = Bucket::default();
        while self.is_cut() {
            let Some(oldest) = self.window.drop_oldest() else { break };
            dropped = dropped.merged(oldest);
        }
        let kept = self.window.total();
        Ok((dropped.values > 0).then_some(Cut {
            dropped: dropped.values,
            mean_before: dropped.mean,
            kept: kept.values,
            mean_after: kept.mean,
        }))
    }

    /// Whether an older and a newer part of the window differ by more than
    /// `ε = √(2/m σ² ln(2/δ′)) + 2/(3m) ln(2/δ′)`, with `1/m = 1/n₀ + 1/n₁`, σ² the variance of the window
    /// and `δ′ = δ / ln n` (theorem 3.2 and section 4.1).
    fn is_cut(&self) -> bool {
        let total = self.window.total();
        if total.values <= u64::from(self.terms.values_min) {
            return false;
        }
        let n = total.values as f64;
        let log = (2.0 * n.ln() / self.terms.delta).ln();
        let variance = total.squares / n;
        let side_min = u64::from(self.terms.side_min);
        let newer = self.window.newer();
        let mut older = Bucket::default();
        self.window.oldest_first().zip(newer).any(|(bucket, newer)| {
            older = older.merged(*bucket);
            if older.values < side_min || newer.values < side_min {
                return false;
            }
            let per_m = 1.0 / older.values as f64 + 1.0 / newer.values as f64;
            let epsilon = (2.0 * per_m * variance * log).sqrt() + 2.0 / 3.0 * per_m * log;
            (older.mean - newer.mean).abs() > epsilon
        })
    }
}
