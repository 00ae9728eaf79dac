//! The win curve, learned from what auctions tell, which is not the price but where it is not.

use serde::{Deserialize, Serialize};

use super::curve::WinCurve;
use super::grid::{CELLS, cell_of_log2, edges};

/// What one auction told. Amounts are micros an impression; the market price is the least that would have won.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    pub bid: f64,
    /// [`super::Quote::value`].
    pub value: f64,
    pub won: bool,
    /// The market price, where it was told: of a second-price win, or by `${AUCTION_MIN_TO_WIN}`.
    pub price: Option<f64>,
}

/// Observations after which a new one weighs e times as much as one of then.
pub const MEMORY: f64 = 50_000.0;
/// Weight of the prior, in observations.
const PRIOR: f64 = 4.0;
/// Steps of the estimate at each refresh; it starts where it last was.
const STEPS: usize = 4;
/// At the first refresh, from the prior.
const STEPS_FIRST: usize = 40;

/// What a curve that goes with values has to be better by, in nats: in all, and by outcome.
const LEAD: f64 = 10.0;
const LEAD_SHARE: f64 = 0.005;
/// How strongly prices may go with values: as value^β.
pub(super) const EXPONENTS: [f64; 4] = [0.0, 0.5, 1.0, 2.0];

/// Learns the win curve.
///
/// What is dear to others is often dear to us, so a curve of bids alone mixes auctions of all values. So four
/// curves are learned, of bids over value^β with β of 0, 1/2, 1 and 2, and the one that said the outcomes best
/// before they were known is published (prequential likelihood, Dawid 1984).
///
/// A curve is a distribution of the market price over 320 steps of 9% by its observations, which are exact,
/// left-censored (a win that does not tell its price) or right-censored (a loss). It is the most likely one
/// under a Dirichlet prior, found by smoothed self-consistency (Turnbull, "The empirical distribution function
/// with arbitrarily grouped, censored and truncated data", 1976; smoothed as Silverman, Jones, Wilson and
/// Nychka, "A smoothed EM approach to indirect estimation problems", 1990): each observation's weight is spread
/// over the steps that it leaves possible in proportion to the estimate, neighbours share, and the estimate is
/// the mean of that. But for the smoothing, its limit with exact and right-censored observations is that of
/// Kaplan and Meier (1958), with left- and right-censored ones that of isotonic regression (Ayer et al. 1955).
///
/// The prior is log-logistic with shape 1, `G(b) = b / (b + s)`, s the first bid that was seen: even odds
/// there, and a tail that is heavy enough for a bid above all that were ever made to be worth its try.
/// Old observations fade by [`MEMORY`]. Its size is fixed: 16 × 320 numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LearnerJson", into = "LearnerJson")]
pub struct WinLearner {
    models: Vec<Model>,
    /// ln of the first value: scales are 1 there. `None`: none yet.
    ln_value: Option<f64>,
    /// Observations since the last refresh, and of all time.
    fresh: u64,
    seen: u64,
    curve: WinCurve,
}

/// One curve.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    exponent: f64,
    /// The first bid over its scale; 0: none yet.
    prior: f64,
    exact: Box<[f64; CELLS]>,
    won: Box<[f64; CELLS]>,
    lost: Box<[f64; CELLS]>,
    /// The estimate.
    shares: Box<[f64; CELLS]>,
    /// ln of the likelihood of what came, and how much that was, fading.
    score: f64,
    weight: f64,
    curve: WinCurve,
}

impl Default for WinLearner {
    fn default() -> Self {
        let models = EXPONENTS.iter().map(|exponent| Model::new(*exponent)).collect();
        WinLearner { models, ln_value: None, fresh: 0, seen: 0, curve: WinCurve::unknown() }
    }
}

impl WinLearner {
    /// Takes an outcome in. An amount that is none, is below 0 or beyond 1e12 micros tells nothing.
    ///
    /// Refreshes the curve at the 1st, 2nd, 4th … outcome and then at each 256th.
    pub fn observe(&mut self, outcome: &Outcome) {
        let amount = |amount: f64| (0.0..=1e12).contains(&amount);
        let told = outcome.price.is_none_or(amount);
        if !told || !amount(outcome.bid) || outcome.bid <= 0.0 {
            return;
        }
        let ln_value = outcome.value.ln();
        if ln_value.is_finite() && self.ln_value.is_none() {
            self.ln_value = Some(ln_value);
        }
        let log2_ratio = match self.ln_value {
            Some(first) if ln_value.is_finite() => (ln_value - first) * std::f64::consts::LOG2_E,
            _ => 0.0,
        };
        let log2_bid = outcome.bid.log2();
        let log2_price = outcome.price.map(|price| price.max(f64::MIN_POSITIVE).log2());
        for model in &mut self.models {
            model.observe(log2_bid, log2_price, outcome.won, log2_ratio);
        }
        self.seen = self.seen.saturating_add(1);
        self.fresh += 1;
        if self.fresh >= 256 || self.fresh >= self.seen / 2 {
            self.refresh();
        }
    }

    /// Outcomes of all time.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The curve as of the last refresh.
    pub fn curve(&self) -> &WinCurve {
        &self.curve
    }

    /// Estimates anew.
    pub fn refresh(&mut self) {
        let kept = (-(self.fresh as f64) / MEMORY).exp();
        for model in &mut self.models {
            model.refresh(kept, self.ln_value.unwrap_or(0.0));
        }
        self.fresh = 0;
        // The plain curve, unless another one is clearly better: between values that are all alike there is
        // nothing to choose but rounding.
        let lead = |model: &Model| match model.exponent {
            0.0 => model.score + LEAD + LEAD_SHARE * model.weight,
            _ => model.score,
        };
        let best = self.models.iter().max_by(|a, b| lead(a).total_cmp(&lead(b)));
        self.curve = best.map_or_else(WinCurve::unknown, |model| model.curve.clone());
    }
}

impl Model {
    fn new(exponent: f64) -> Model {
        let none = || Box::new([0.0; CELLS]);
        let (exact, won, lost, shares) = (none(), none(), none(), none());
        let (prior, score, weight, curve) = (0.0, 0.0, 0.0, WinCurve::unknown());
        Model { exponent, prior, exact, won, lost, shares, score, weight, curve }
    }

    /// `log2_ratio`: of the value to the first one.
    fn observe(&mut self, log2_bid: f64, log2_price: Option<f64>, won: bool, log2_ratio: f64) {
        // As the curve's scale has it.
        let log2_scale = (self.exponent * log2_ratio).clamp(-57.0, 57.0);
        let bid = cell_of_log2(log2_bid - log2_scale);
        if let Some(win) = self.curve.cell_win(bid) {
            let said = if won { win } else { 1.0 - win };
            self.score += said.max(1e-4).ln();
        }
        self.weight += 1.0;
        if self.prior <= 0.0 {
            self.prior = (log2_bid - log2_scale).exp2();
        }
        let price = log2_price.map(|log2| cell_of_log2(log2 - log2_scale));
        match (price, won) {
            (Some(price), _) => self.exact[price] += 1.0,
            (None, true) => self.won[bid] += 1.0,
            (None, false) => self.lost[bid] += 1.0,
        }
    }

    /// `kept`: what is kept of the weight of all that was observed.
    fn refresh(&mut self, kept: f64, ln_value: f64) {
        if self.prior <= 0.0 {
            return;
        }
        let prior = prior(self.prior);
        let steps = if self.curve.is_known() { STEPS } else { STEPS_FIRST };
        if !self.curve.is_known() {
            *self.shares = prior;
        }
        for cells in [&mut self.exact, &mut self.won, &mut self.lost] {
            cells.iter_mut().for_each(|weight| *weight *= kept);
        }
        self.score *= kept;
        self.weight *= kept;
        for _ in 0..steps {
            self.step(&prior);
        }
        self.curve = WinCurve::of(&self.shares, self.exponent, ln_value);
    }

    /// One step of self-consistency: O(cells), by running sums of weight over mass.
    fn step(&mut self, prior: &[f64; CELLS]) {
        // A win within a cell is a price in it or below; a loss is one above the cell.
        let mut below = [0.0; CELLS];
        let mut whole = 0.0;
        for (below, share) in below.iter_mut().zip(self.shares.iter()) {
            whole += share;
            *below = whole;
        }
        let mut next = [0.0; CELLS];
        // Over the wins at or above the cell: weight by the mass at or below their bid.
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
    models: Vec<ModelJson>,
    ln_value: Option<f64>,
    seen: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelJson {
    prior: f64,
    exact: Vec<(u16, f64)>,
    won: Vec<(u16, f64)>,
    lost: Vec<(u16, f64)>,
    score: f64,
    weight: f64,
}

impl From<WinLearner> for LearnerJson {
    fn from(learner: WinLearner) -> LearnerJson {
        let sparse = |cells: &[f64; CELLS]| {
            let numbered = (0u16..).zip(cells.iter().copied());
            numbered.filter(|(_, weight)| *weight > 0.0).collect()
        };
        let models = learner.models.iter().map(|model| ModelJson {
            prior: model.prior,
            exact: sparse(&model.exact),
            won: sparse(&model.won),
            lost: sparse(&model.lost),
            score: model.score,
            weight: model.weight,
        });
        LearnerJson { models: models.collect(), ln_value: learner.ln_value, seen: learner.seen }
    }
}

/// A state that no outcomes lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("four curves with finite weights of cells below 320")]
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
        let LearnerJson { models, ln_value, seen } = json;
        if models.len() != EXPONENTS.len() || ln_value.is_some_and(|ln| ln.abs() > 1e3) {
            return Err(BadLearner);
        }
        let mut learner = WinLearner { ln_value, seen, ..WinLearner::default() };
        for (model, json) in learner.models.iter_mut().zip(models) {
            let ModelJson { prior, exact, won, lost, score, weight } = json;
            let sound = (0.0..=1e40).contains(&prior) && (0.0..1e30).contains(&weight);
            if !sound || !(-1e30..=0.0).contains(&score) {
                return Err(BadLearner);
            }
            (model.prior, model.score, model.weight) = (prior, score, weight);
            (model.exact, model.won, model.lost) = (dense(exact)?, dense(won)?, dense(lost)?);
        }
        learner.refresh();
        Ok(learner)
    }
}
