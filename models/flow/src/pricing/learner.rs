//! The win curve, learned from what auctions tell, which is not the price but where it is not.

use serde::{Deserialize, Serialize};

use super::curve::WinCurve;
use super::grid::{CELLS, cell, edges};

/// What one auction told of the market price, which is the least that would have won. Micros an impression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// The price itself: of a second-price win, or by `${AUCTION_MIN_TO_WIN}`.
    Price(f64),
    /// A win at this bid that did not tell the price: it is at most the bid.
    Won(f64),
    /// A loss at this bid that did not tell it: it is above the bid.
    Lost(f64),
}

/// Observations after which a new one weighs e times as much as one of then.
pub const MEMORY: f64 = 50_000.0;
/// Weight of the prior, in observations.
const PRIOR: f64 = 4.0;
/// Steps of the estimate at each refresh; it starts where it last was.
const STEPS: usize = 4;
/// At the first refresh, from the prior.
const STEPS_FIRST: usize = 40;

/// The estimator: a distribution of the market price over 320 steps of 9% by its observations, which are
/// exact, left-censored (a win in a first-price auction) or right-censored (a loss). The distribution is the
/// most likely one under a Dirichlet prior, found by self-consistency (Turnbull, "The empirical distribution
/// function with arbitrarily grouped, censored and truncated data", 1976; EM for MAP as Dempster, Laird and
/// Rubin 1977): each observation's weight is spread over the steps that it leaves possible in proportion to
/// the estimate, and the estimate is the mean of that. With exact and right-censored observations alone its
/// limit is that of Kaplan and Meier (1958); with left- and right-censored ones alone that of isotonic
/// regression (Ayer et al. 1955).
///
/// The prior is log-logistic with shape 1, `G(b) = b / (b + s)`, s the first bid that was seen: even odds
/// there, and a tail that is heavy enough for a bid above all that were ever made to be worth its try.
/// Old observations fade by [`MEMORY`]. Its size is fixed: 4 × 320 numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LearnerJson", into = "LearnerJson")]
pub struct WinLearner {
    /// The first bid or price, in micros; 0: none yet.
    scale: f64,
    exact: Box<[f64; CELLS]>,
    won: Box<[f64; CELLS]>,
    lost: Box<[f64; CELLS]>,
    /// The estimate.
    shares: Box<[f64; CELLS]>,
    /// Weight of the next observation: it grows instead of the old ones' fading.
    weight: f64,
    /// Observations since the last refresh, and of all time.
    fresh: u64,
    seen: u64,
    curve: WinCurve,
}

impl Default for WinLearner {
    fn default() -> Self {
        let none = || Box::new([0.0; CELLS]);
        let (exact, won, lost, shares) = (none(), none(), none(), none());
        let curve = WinCurve::unknown();
        WinLearner { scale: 0.0, exact, won, lost, shares, weight: 1.0, fresh: 0, seen: 0, curve }
    }
}

impl WinLearner {
    /// Takes an observation in. An amount that is none, is below 0 or beyond 1e12 micros is not one.
    ///
    /// Refreshes the curve at the 1st, 2nd, 4th … observation and then at each 256th.
    pub fn observe(&mut self, observation: Observation) {
        let (cells, amount) = match observation {
            Observation::Price(price) => (&mut self.exact, price),
            Observation::Won(bid) => (&mut self.won, bid),
            Observation::Lost(bid) => (&mut self.lost, bid),
        };
        if !(0.0..=1e12).contains(&amount) {
            return;
        }
        cells[cell(amount)] += self.weight;
        if self.scale <= 0.0 && amount > 0.0 {
            self.scale = amount;
        }
        self.weight *= 1.0 + 1.0 / MEMORY;
        self.seen = self.seen.saturating_add(1);
        self.fresh += 1;
        if self.fresh >= 256 || self.fresh >= self.seen / 2 {
            self.refresh();
        }
    }

    /// Observations of all time.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The curve as of the last refresh.
    pub fn curve(&self) -> &WinCurve {
        &self.curve
    }

    /// Estimates anew.
    pub fn refresh(&mut self) {
        if self.scale <= 0.0 {
            return;
        }
        let prior = prior(self.scale);
        let steps = if self.curve.is_known() { STEPS } else { STEPS_FIRST };
        if !self.curve.is_known() {
            *self.shares = prior;
        }
        for cells in [&mut self.exact, &mut self.won, &mut self.lost] {
            cells.iter_mut().for_each(|weight| *weight /= self.weight);
        }
        self.weight = 1.0;
        for _ in 0..steps {
            self.step(&prior);
        }
        self.fresh = 0;
        self.curve = WinCurve::of(&self.shares);
    }

    /// One step of self-consistency: O(cells), by running sums of weight over mass.
    fn step(&mut self, prior: &[f64; CELLS]) {
        // A win within a cell is a price in it or below; a loss is one above the cell.
        let mut below = [0.0; CELLS];
        let mut sum = 0.0;
        for at in 0..CELLS {
            sum += self.shares[at];
            below[at] = sum;
        }
        let whole = sum;
        let mut next = [0.0; CELLS];
        // Σ over wins at or above the cell of weight / mass at or below their bid
        let mut per_mass = 0.0;
        for at in (0..CELLS).rev() {
            if self.won[at] > 0.0 {
                per_mass += self.won[at] / below[at].max(1e-300);
            }
            next[at] = self.exact[at] + PRIOR * prior[at] + self.shares[at] * per_mass;
        }
        let mut per_mass = 0.0;
        for at in 0..CELLS {
            next[at] += self.shares[at] * per_mass;
            if self.lost[at] > 0.0 {
                // What lost at the very top of the grid stays beyond it: no cell takes it.
                let above = whole - below[at];
                per_mass += if above > 1e-12 { self.lost[at] / above } else { 0.0 };
            }
        }
        let next = smooth(&next);
        let total: f64 = next.iter().sum();
        if total.is_finite() && total > 0.0 {
            for (share, weight) in self.shares.iter_mut().zip(next) {
                *share = weight / total;
            }
        }
    }
}

/// Spreads each share over its neighbours, by a triangle that is a third of an octave wide: the best shaded bid
/// depends on the slope of the curve, which single steps tell of badly.
fn smooth(shares: &[f64; CELLS]) -> [f64; CELLS] {
    const KERNEL: [f64; 5] = [1.0 / 9.0, 2.0 / 9.0, 3.0 / 9.0, 2.0 / 9.0, 1.0 / 9.0];
    let mut smooth = [0.0; CELLS];
    for (at, share) in shares.iter().enumerate() {
        for (offset, part) in KERNEL.iter().enumerate() {
            let to = (at + offset).saturating_sub(KERNEL.len() / 2).min(CELLS - 1);
            smooth[to] += share * part;
        }
    }
    smooth
}

/// The prior's mass in each cell.
fn prior(scale: f64) -> [f64; CELLS] {
    let edges = edges();
    let below = |b: f64| b / (b + scale);
    let mut mass: [f64; CELLS] = std::array::from_fn(|at| below(edges[at + 1]) - below(edges[at]));
    // What is beyond the grid goes to its ends, so that the sum is 1.
    mass[0] += below(edges[0]);
    mass[CELLS - 1] += 1.0 - below(edges[CELLS]);
    mass
}

/// The state as it is stored: cells that are not 0, by their number.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LearnerJson {
    scale: f64,
    exact: Vec<(u16, f64)>,
    won: Vec<(u16, f64)>,
    lost: Vec<(u16, f64)>,
    weight: f64,
    seen: u64,
}

impl From<WinLearner> for LearnerJson {
    fn from(learner: WinLearner) -> LearnerJson {
        let sparse = |cells: &[f64; CELLS]| {
            let numbered = (0u16..).zip(cells.iter().copied());
            numbered.filter(|(_, weight)| *weight > 0.0).collect()
        };
        LearnerJson {
            scale: learner.scale,
            exact: sparse(&learner.exact),
            won: sparse(&learner.won),
            lost: sparse(&learner.lost),
            weight: learner.weight,
            seen: learner.seen,
        }
    }
}

/// A state that no observations lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weights are finite and above 0, of cells below 320")]
pub struct BadLearner;

impl TryFrom<LearnerJson> for WinLearner {
    type Error = BadLearner;

    fn try_from(json: LearnerJson) -> Result<WinLearner, BadLearner> {
        let dense = |sparse: Vec<(u16, f64)>| {
            let mut cells = Box::new([0.0; CELLS]);
            for (at, weight) in sparse {
                let cell = cells.get_mut(usize::from(at)).ok_or(BadLearner)?;
                *cell = weight;
                if !(0.0..1e30).contains(&weight) {
                    return Err(BadLearner);
                }
            }
            Ok(cells)
        };
        let LearnerJson { scale, exact, won, lost, weight, seen } = json;
        if !(0.0..=1e12).contains(&scale) || !(1.0..1e30).contains(&weight) {
            return Err(BadLearner);
        }
        let (exact, won, lost) = (dense(exact)?, dense(won)?, dense(lost)?);
        let mut learner =
            WinLearner { scale, exact, won, lost, weight, seen, ..WinLearner::default() };
        learner.refresh();
        Ok(learner)
    }
}
