//! How much is to be spent: purchases to come, each of an unknown amount.

use super::counts::{Atom, Counts};
use super::gamma_gamma::{GammaGamma, Spender};
use super::math::chance::beta_chance;
use super::model::CountModel;

/// Halvings of a quantile's range in log odds, of 120: its last digit is the tenth.
const HALVINGS: usize = 44;
const LN_ODDS_MAX: f64 = 60.0;

/// Total spend of one customer within a time ahead, in units of the currency.
///
/// Of `n` purchases it is `v′` times a beta prime variable of shapes `p n` and `q′`, with the parameters
/// after what is known ([`GammaGamma::after`]): sums of Gamma variables of one rate, mixed over that
/// rate's own Gamma. Over `n` it is a sum of incomplete beta functions. No sampling.
#[derive(Clone, Debug)]
pub struct Spend {
    atoms: Vec<Atom>,
    p: f64,
    q: f64,
    v: f64,
}

impl Spend {
    /// With the purchases that a counting model expects, and a customer's spend so far (none without
    /// repeats).
    pub fn new<M: CountModel>(
        counts: &Counts<'_, M>,
        amounts: &GammaGamma,
        of: Option<&Spender>,
    ) -> Spend {
        let [p, q, v] = amounts.after(of);
        Spend { atoms: counts.atoms(), p, q, v }
    }

    /// Probability of at most this spend, in [0, 1]; grows with it.
    pub fn p_at_most(&self, spend: f64) -> f64 {
        if spend.is_nan() || spend < 0.0 {
            return 0.0;
        }
        self.below(spend / self.v)
    }

    fn below(&self, odds: f64) -> f64 {
        let part = |atom: &Atom| match atom.purchases {
            0 => atom.chance,
            n => atom.chance * beta_chance(self.p * n as f64, self.q, odds),
        };
        self.atoms.iter().map(part).sum::<f64>().clamp(0.0, 1.0)
    }

    /// The least spend that is not passed with a probability of `level`. Costs at most 44 · 130
    /// incomplete beta functions.
    pub fn quantile(&self, level: f64) -> f64 {
        if level.is_nan() || self.below(0.0) >= level {
            return 0.0;
        }
        let (mut low, mut high) = (-LN_ODDS_MAX, LN_ODDS_MAX);
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if self.below(middle.exp()) < level { low = middle } else { high = middle }
        }
        self.v * high.exp()
    }

    /// Where the truth lies with a probability of `coverage`, half of the rest to either side.
    pub fn interval(&self, coverage: f64) -> (f64, f64) {
        let outside = (1.0 - coverage.clamp(0.0, 1.0)) / 2.0;
        (self.quantile(outside), self.quantile(1.0 - outside.max(1e-9)))
    }
}
