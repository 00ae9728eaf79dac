//! Intervals of a promised level around predictions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bands::{Bands, members};
use super::tally::Tally;
use crate::value::values::{BadValues, check_positive};

/// Groups with a promise of their own at most; the smallest numbers have it.
pub const GROUPS_MAX: usize = 1_000;

/// What came of one prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The customer's place (`split::place` with any salt): all rows of a customer are on one side.
    pub customer: u64,
    /// The promise is held in each group of customers; all of them in one group is a promise on the whole.
    pub group: u32,
    /// Both at least 0, in one unit.
    pub predicted: f64,
    pub actual: f64,
}

/// How intervals are fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalTerms {
    /// Classes of predictions in the shape, at most 50.
    pub bins: usize,
    /// Rows that a group needs for a promise of its own; smaller ones are taken together.
    pub group_rows_min: u64,
    /// Deals customers to shape and calibration.
    pub seed: u64,
}

impl Default for IntervalTerms {
    fn default() -> Self {
        Self { bins: 20, group_rows_min: 200, seed: 0 }
    }
}

/// Bounds, included, in the unit of the predictions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub lower: f64,
    pub upper: f64,
}

/// Rows that no intervals are fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOutcomes {
    #[error(transparent)]
    Values(#[from] BadValues),
    #[error("{shape} rows shape and {calibration} calibrate: both are at least 1")]
    TooFew { shape: usize, calibration: usize },
}

/// Fitted intervals: any level can be asked for. State is some 100 kB at most, however many rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    bands: Bands,
    /// Groups that are large enough, the others together, and all.
    groups: BTreeMap<u32, Tally>,
    others: Tally,
    all: Tally,
    group_rows_min: u64,
}

/// Whether a customer is in the half that shapes: one bit of a mixer (SplitMix64; Steele, Lea & Flood 2014),
/// so that any place does, evenly spread or not.
fn shapes(customer: u64, seed: u64) -> bool {
    let mut z = (customer ^ seed.rotate_left(32)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ z >> 31) & 1 == 0
}

impl Intervals {
    /// From the outcomes of a holdout (of several: all their rows together).
    ///
    /// Conformalised quantile bands as in Romano, Patterson & Candès 2019, as nested sets (Gupta,
    /// Kuchibhotla & Ramdas 2022), with one calibration per group (Mondrian; Vovk, Gammerman & Shafer
    /// 2005). Half of the customers shape the bands, the other half calibrate them.
    pub fn fit(outcomes: &[Outcome], terms: IntervalTerms) -> Result<Intervals, BadOutcomes> {
        let (shape, calibration): (Vec<&Outcome>, Vec<&Outcome>) =
            outcomes.iter().partition(|o| shapes(o.customer, terms.seed));
        let column = |rows: &[&Outcome], pick: fn(&Outcome) -> f64| -> Vec<f64> {
            rows.iter().map(|row| pick(row)).collect()
        };
        for pick in [|o: &Outcome| o.predicted, |o: &Outcome| o.actual] {
            check_positive(&outcomes.iter().map(pick).collect::<Vec<_>>())?;
        }
        if shape.is_empty() || calibration.is_empty() {
            let (shape, calibration) = (shape.len(), calibration.len());
            return Err(BadOutcomes::TooFew { shape, calibration });
        }
        let (predicted, actual) = (column(&shape, |o| o.predicted), column(&shape, |o| o.actual));
        let bands = Bands::fit(&predicted, &actual, terms.bins)?;
        let mut by_group: BTreeMap<u32, Tally> = BTreeMap::new();
        let mut all = Tally::default();
        for row in &calibration {
            let score = bands.score(row.predicted, row.actual);
            by_group.entry(row.group).or_default().add(score);
            all.add(score);
        }
        let large = |tally: &Tally| tally.rows() >= terms.group_rows_min.max(1);
        let own: Vec<u32> =
            by_group.iter().filter(|(_, t)| large(t)).map(|(g, _)| *g).take(GROUPS_MAX).collect();
        let groups: BTreeMap<u32, Tally> =
            own.iter().filter_map(|g| by_group.remove_entry(g)).collect();
        let mut others = Tally::default();
        for row in calibration.iter().filter(|row| !groups.contains_key(&row.group)) {
            others.add(bands.score(row.predicted, row.actual));
        }
        let group_rows_min = terms.group_rows_min.max(1);
        Ok(Intervals { bands, groups, others, all, group_rows_min })
    }

    fn tally(&self, group: u32) -> &Tally {
        match self.groups.get(&group) {
            Some(tally) => tally,
            None if self.others.rows() >= self.group_rows_min => &self.others,
            None => &self.all,
        }
    }

    /// Rows behind a promise for this group.
    pub fn rows(&self, group: u32) -> u64 {
        self.tally(group).rows()
    }

    /// The interval that holds the actual value with a chance of at least `level` (0 to 1) on average
    /// over new customers of the group, and of at most `level + 1/(n + 1)` and the share of equal scores.
    /// `None` where the rows are too few to promise that (fewer than `level / (1 − level)`), or where
    /// values went beyond all bounds that the family has.
    ///
    /// The promise of a group that is none of the large ones is that of all small ones together, or of
    /// everybody where even they are few.
    pub fn interval(&self, group: u32, predicted: f64, level: f64) -> Option<Interval> {
        let score = self.tally(group).score_at(level).filter(|score| *score < members())?;
        let (lower, upper) = self.bands.interval(predicted, score);
        Some(Interval { lower, upper })
    }

    /// The chance that the actual value lies within given bounds, 0 to below 1: that of the widest member
    /// of the family between them. Never too sure where the bounds do not depend on the actual value.
    pub fn confidence(&self, group: u32, predicted: f64, bounds: Interval) -> f64 {
        let member = self.bands.within(predicted, bounds.lower, bounds.upper);
        member.map_or(0.0, |member| self.tally(group).share(member))
    }
}
