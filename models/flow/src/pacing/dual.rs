//! The dual of the budget.

use serde::{Deserialize, Serialize};

/// Weight of the start, in auctions.
const PRIOR: f64 = 8.0;
/// Wins by which the start fades e-fold.
const PRIOR_WINS: f64 = 8.0;
/// Values that the scale of the start is taken from.
const SCALE_VALUES: f64 = 16.0;
/// A price is near its bid within this share of it.
const NEAR: f64 = 0.8;
/// The elasticity before wins tell of it, and how many wins it weighs as much as.
const ELASTICITY: f64 = 3.0;
const ELASTICITY_WINS: f64 = 20.0;
const ELASTICITY_MIN: f64 = 0.2;
const ELASTICITY_MAX: f64 = 6.0;
/// ln of how far an auction is beyond ρ, from which on a move down is a sudden one, and the ε that the rest of it is
/// taken at least at.
const SUDDEN: f64 = 0.2;
const ELASTICITY_SUDDEN: f64 = 0.8;
/// ln of how far bids go at most beyond those that are resolved: e-fold.
const REACH: f64 = 1.0;
/// ln of a bid for a unit of value stays within these: 1e±35.
const LN_MAX: f64 = 80.0;
/// A mean value above this is none.
const VALUE_MAX: f64 = 1e100;
/// Sums stay below this.
const SUM_MAX: f64 = 1e30;

/// The multiplier by entropic dual mirror descent, `μ ← μ exp(−η (1 − z/ρ))` (Balseiro, Lu and Mirrokni
/// 2020, algorithm 1 with the entropy as reference function), in its implicit form and with the step that
/// the data choose.
///
/// With k = 1/μ what is bid for a unit of value, take spending as a power of it near where it is,
/// `E z(k') = E z(k) (k'/k)^ε`, ε the elasticity. Over the auctions that are resolved, n counts them as of
/// k, `n = Σ (k_s/k)^ε`, and Z sums what they cost; so Z/n is what an auction costs at k, and
/// `k ← k (ρ n / Z)^(1/ε)` is where it costs ρ. One auction more moves `ln μ` by
/// `(1/ε) (ln(1 + z/Z) − ln(1 + 1/n)) ≈ −η (1 − z/ρ)` with `η = 1/(ε n)`: the descent above, with the gain
/// 1/n of the stochastic approximation of least variance (Robbins and Monro 1951; Chung 1954). There is no
/// step size to tune: after few auctions it is large, in a market that is known it is small; while too little
/// is spent, k grows and auctions at a lower k count for less; the logarithm damps a price that is a
/// thousand times the mean; and a ρ that is solved anew moves μ at once.
///
/// ε is read off the wins where they told their price: bids that were a fifth lower would not have won those
/// with a price within a fifth of the bid, so their share t of the spending is `1 − 0.8^ε`.
///
/// Old auctions fade by a memory that the caller gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dual {
    /// ln k.
    ln_per_value: f64,
    /// ln k of the highest bid that is resolved, or of the start.
    tested: f64,
    /// n, without the start.
    auctions: f64,
    /// Z, without the start.
    spend: f64,
    wins: f64,
    /// Spending of wins that told their price: of all, and of those with a price near the bid.
    told: f64,
    near: f64,
    /// ε as of the last of them.
    elasticity: f64,
    /// The start: ρ, and ln of what was bid for a unit of value at it.
    start: Option<(f64, f64)>,
    /// Values seen, and their mean.
    values: f64,
    value_mean: f64,
}

impl Dual {
    pub fn new(value_prior: Option<f64>) -> Dual {
        let (values, value_mean) = value_prior.map_or((0.0, 0.0), |mean| (SCALE_VALUES, mean));
        Dual {
            ln_per_value: 0.0,
            tested: 0.0,
            auctions: 0.0,
            spend: 0.0,
            wins: 0.0,
            told: 0.0,
            near: 0.0,
            elasticity: ELASTICITY,
            start: None,
            values,
            value_mean,
        }
    }

    /// Whether there is a scale to bid by.
    pub fn is_ready(&self) -> bool {
        self.start.is_some()
    }

    /// What is bid for a unit of value.
    pub fn per_value(&self) -> f64 {
        self.ln_per_value.exp()
    }

    /// ε.
    pub fn elasticity(&self) -> f64 {
        self.elasticity
    }

    /// ε by the wins that told their price.
    fn read_elasticity(&self) -> f64 {
        // The prior speaks in mean wins.
        let prior = ELASTICITY_WINS * self.told / self.wins.max(1.0);
        let near = self.near + prior * (1.0 - NEAR.powf(ELASTICITY));
        let share = near / (self.told + prior);
        if !share.is_finite() || self.told <= 0.0 {
            return ELASTICITY;
        }
        let elasticity = (1.0 - share.min(0.999)).ln() / NEAR.ln();
        elasticity.clamp(ELASTICITY_MIN, ELASTICITY_MAX)
    }

    /// The start's auctions and spending, as of now.
    fn prior(&self) -> (f64, f64) {
        let Some((rho, ln_per_value)) = self.start else { return (0.0, 0.0) };
        let weight = PRIOR * (-self.wins / PRIOR_WINS).exp();
        let gap = (self.elasticity() * (ln_per_value - self.ln_per_value)).clamp(-60.0, 60.0);
        ((weight * gap.exp()).min(SUM_MAX), weight * rho)
    }

    /// What an auction that is bid on at `ln_per_value` is expected to cost, in micros.
    pub fn expects(&self, ln_per_value: f64) -> f64 {
        let (auctions, spend) = self.prior();
        let rate = (self.spend + spend) / (self.auctions + auctions).max(1e-9);
        let gap = (self.elasticity() * (ln_per_value - self.ln_per_value)).clamp(-10.0, 3.0);
        rate * gap.exp()
    }

    /// Values above 0 were seen: their number and mean.
    pub fn values(&mut self, count: f64, mean: f64) {
        if self.values < SCALE_VALUES && count > 0.0 && mean > 0.0 && mean <= VALUE_MAX {
            self.values += count;
            self.value_mean += (mean - self.value_mean) * (count / self.values).min(1.0);
        }
    }

    /// So many auctions that were bid on at `ln_per_value` are resolved, each of which counts for `weight`; what
    /// they cost comes with [`Dual::spent`]. `memory` in auctions.
    pub fn missed(&mut self, count: f64, (ln_per_value, weight): (f64, f64), memory: f64) {
        let kept_of_one = 1.0 - 1.0 / memory.max(2.0);
        let kept = kept_of_one.powf(count);
        // The sum of 1, kept, kept², …; a memory of more auctions than can be told apart keeps them whole.
        let fades = kept_of_one < 1.0;
        let counted = weight * if fades { (1.0 - kept) / (1.0 - kept_of_one) } else { count };
        let gap = (self.elasticity() * (ln_per_value - self.ln_per_value)).clamp(-40.0, 40.0);
        self.auctions = (self.auctions * kept + counted * gap.exp()).min(SUM_MAX);
        self.spend *= kept;
        self.wins *= kept;
        self.told *= kept;
        self.near *= kept;
    }

    /// A bid of `ln_per_value` was lost, or a price was paid that was this for a unit of value.
    pub fn met(&mut self, ln_per_value: f64) {
        self.tested = self.tested.max(ln_per_value.clamp(-LN_MAX, LN_MAX));
    }

    /// A win cost this much; its auction was resolved before. `near`: whether its price was near its bid, where
    /// it told one.
    pub fn spent(&mut self, spend: f64, near: Option<bool>) {
        if !(spend > 0.0 && spend.is_finite()) {
            return;
        }
        self.spend = (self.spend + spend).min(SUM_MAX);
        self.wins += 1.0;
        if let Some(near) = near {
            self.told = (self.told + spend).min(SUM_MAX);
            self.near = (self.near + if near { spend } else { 0.0 }).min(SUM_MAX);
            self.elasticity = self.read_elasticity();
        }
    }

    /// Whether a price is near its bid; `None`: it is the bid, so that it tells nothing.
    pub fn near(price: f64, bid: f64) -> Option<bool> {
        // Whole micros round a price up.
        (price + 1.0 < bid || price < 0.999 * bid).then_some(price > NEAR * bid)
    }

    /// The ε that a move by `ratio` is taken at, ln of what an auction may cost over what it costs.
    ///
    /// Where everything is won, a lower bid spends as much for a while, so ε is read as the least there is. By it a
    /// budget that is cut to a quarter would divide bids by a thousand, and nothing would be won for long. Small moves
    /// keep to ε both ways: if all those down were shorter than those up, bids would settle where more than ρ is spent.
    fn slope(&self, ratio: f64) -> f64 {
        let elasticity = self.elasticity();
        let sudden = -ratio - SUDDEN;
        if sudden <= 0.0 {
            return elasticity;
        }
        -ratio / (SUDDEN / elasticity + sudden / elasticity.max(ELASTICITY_SUDDEN))
    }

    /// Moves to where an auction that is bid on costs `rho` micros.
    pub fn solve(&mut self, rho: f64) {
        if !(rho > 0.0 && rho.is_finite()) || self.values <= 0.0 {
            return;
        }
        let rho = rho.min(SUM_MAX);
        if self.start.is_none() || (self.wins <= 0.0 && self.values < SCALE_VALUES) {
            // Bids of ρ on average cannot cost more than ρ.
            let start = (rho.ln() - self.value_mean.ln()).clamp(-LN_MAX, LN_MAX);
            if self.start.is_none() {
                (self.ln_per_value, self.tested) = (start, start);
            }
            self.start = Some((rho, start));
        }
        let (auctions, spend) = self.prior();
        let (auctions, spend) = (self.auctions + auctions, self.spend + spend);
        if !(auctions > 0.0 && spend > 0.0) {
            return;
        }
        let ratio = rho.ln() + auctions.ln() - spend.ln();
        let elasticity = self.slope(ratio);
        let step = ratio / elasticity;
        let most = (self.tested + REACH).min(LN_MAX);
        let to = (self.ln_per_value + step).clamp(-LN_MAX, most);
        let step = to - self.ln_per_value;
        if step.is_finite() {
            self.ln_per_value = to;
            self.auctions = (self.auctions * (-elasticity * step).exp()).min(SUM_MAX);
        }
    }

    pub fn is_sound(&self) -> bool {
        let sums = [
            self.auctions,
            self.spend,
            self.wins,
            self.told,
            self.near,
            self.values,
            self.value_mean,
        ];
        let start =
            self.start.is_none_or(|(rho, ln)| rho > 0.0 && rho <= SUM_MAX && ln.abs() <= LN_MAX);
        self.ln_per_value.abs() <= LN_MAX
            && self.tested.abs() <= LN_MAX
            && sums.iter().all(|v| (0.0..1e101).contains(v))
            && start
            && self.near <= self.told * (1.0 + 1e-6)
            && (ELASTICITY_MIN..=ELASTICITY_MAX).contains(&self.elasticity)
    }
}
