//! How many purchases are to come: the whole distribution, not its mean alone.

use super::history::{History, Horizon};
use super::math::logs::sigmoid;
use super::model::CountModel;

/// The largest count that is told apart; its quantiles stop here.
pub const COUNT_MAX: u64 = 1_000_000_000;
/// Most parts that a distribution is cut into.
pub const ATOMS_MAX: u64 = 128;
/// Chance of a count beyond the outermost parts, to either side.
const TAIL: f64 = 1e-7;

/// Purchases of one customer within a time ahead, as a model sees them with its parameters known.
///
/// Exact up to rounding: the chances of `n` or more are closed forms (incomplete beta functions) or one
/// integral each; see [`CountModel::p_at_least`]. No sampling.
#[derive(Clone, Copy, Debug)]
pub struct Counts<'a, M> {
    pub model: &'a M,
    pub of: History,
    pub ahead: Horizon,
}

/// A part of a distribution: these purchases with that chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Atom {
    pub purchases: u64,
    pub chance: f64,
}

impl<M: CountModel> Counts<'_, M> {
    /// In [0, 1].
    pub fn p_at_least(&self, count: u64) -> f64 {
        self.model.p_at_least(&self.of, self.ahead, count)
    }

    /// In [0, 1].
    pub fn p_exactly(&self, count: u64) -> f64 {
        (self.p_at_least(count) - self.p_at_least(count.saturating_add(1))).max(0.0)
    }

    /// The least count that is not passed with a probability of `level` or more, at most
    /// [`COUNT_MAX`]; of a level of 0 or less (or NaN) it is 0. Costs some 60 chances at most.
    pub fn quantile(&self, level: f64) -> u64 {
        self.quantile_from(0, level)
    }

    /// The same, of one that is known to be `least` or more.
    fn quantile_from(&self, least: u64, level: f64) -> u64 {
        let passed = |count: u64| self.p_at_least(count + 1) > 1.0 - level;
        if level.is_nan() || level <= 0.0 || !passed(least) {
            return least;
        }
        // Passed at `low`, not at `high`.
        let (mut low, mut step) = (least, 1_u64);
        let mut high = loop {
            let next = least.saturating_add(step).min(COUNT_MAX);
            if next == COUNT_MAX || !passed(next) {
                break next;
            }
            (low, step) = (next, step * 2);
        };
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if passed(middle) { low = middle } else { high = middle }
        }
        high
    }

    /// The counts between which the truth lies with a probability of at least `coverage`, half of the rest
    /// to either side. Counts are whole, so what is covered is usually more.
    pub fn interval(&self, coverage: f64) -> (u64, u64) {
        let outside = (1.0 - coverage.clamp(0.0, 1.0)) / 2.0;
        (self.quantile(outside), self.quantile(1.0 - outside.max(1e-12)))
    }

    /// The distribution in at most [`ATOMS_MAX`] + 2 parts whose chances add up to 1: each count by
    /// itself where they are few, else ranges, narrow in the tails, by their mean.
    pub fn atoms(&self) -> Vec<Atom> {
        let (low, high) = (self.quantile(TAIL), self.quantile(1.0 - TAIL));
        let edges: Vec<u64> = if high - low < ATOMS_MAX {
            (low..=high + 1).collect()
        } else {
            let mut edges = vec![low];
            for i in 1..ATOMS_MAX {
                let level = sigmoid(-16.0 + 32.0 * i as f64 / ATOMS_MAX as f64);
                let last = edges[edges.len() - 1];
                edges.push(self.quantile_from(last, level));
            }
            edges.push(high + 1);
            edges.dedup();
            edges
        };
        let mut atoms = Vec::with_capacity(edges.len());
        // What lies outside the edges goes to the outermost parts.
        let mut above = 1.0;
        for pair in edges.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let rest = if to == high + 1 { 0.0 } else { self.p_at_least(to).min(above) };
            atoms
                .push(Atom { purchases: self.centre(from, to, above, rest), chance: above - rest });
            above = rest;
        }
        atoms
    }

    /// The mean of the counts from `from` to before `to`, of which as many or more have the chances
    /// `above` and `rest`: each half of the range counts at its middle.
    fn centre(&self, from: u64, to: u64, above: f64, rest: f64) -> u64 {
        let half = from + (to - from) / 2;
        if half == from || above <= rest {
            return from;
        }
        let second = ((self.p_at_least(half) - rest) / (above - rest)).clamp(0.0, 1.0);
        let middle = |a: u64, b: u64| (a as f64 + (b - 1) as f64) / 2.0;
        let mean = (1.0 - second) * middle(from, half) + second * middle(half, to);
        (mean.round() as u64).clamp(from, to - 1)
    }
}
