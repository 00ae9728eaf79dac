//! What Pareto/NBD expects of a customer.
//!
//! Given that the customer is alive at `T` after `x` repeats, the rates are `Gamma(r + x, α + T)` and
//! `Gamma(s, β + T)`, independent of one another.

use super::super::history::{History, Horizon};
use super::super::math::chance::thinned_chance;
use super::super::math::logs::{expm1_over, sigmoid};
use super::super::model::CountModel;
use super::ParetoNbd;

impl CountModel for ParetoNbd {
    fn log_likelihood(&self, of: &History) -> f64 {
        self.ln_likelihood(of)
    }

    /// Schmittlein, Morrison & Colombo 1987, eq. 11 to 13, with the integral of the likelihood.
    fn p_alive(&self, of: &History) -> f64 {
        sigmoid(-self.ln_odds_gone(of))
    }

    /// Schmittlein, Morrison & Colombo 1987, eq. 22, continued through `s = 1`.
    fn expected(&self, of: &History, ahead: Horizon) -> f64 {
        let (now_a, now_b) = (self.alpha + of.age(), self.beta + of.age());
        let rate = (self.r + f64::from(of.repeats())) / now_a;
        let time = now_b * expm1_over(1.0 - self.s, (ahead.time() / now_b).ln_1p());
        self.p_alive(of) * rate * time.clamp(0.0, ahead.time())
    }

    /// The chance that the arrival of that number comes within the time ahead and before the end:
    /// the density of its time, thinned by the Pareto survival of the customer. (The sum of Fader & Hardie
    /// 2006, "Deriving an expression for P(X(t) = x) under the Pareto/NBD model".)
    fn p_at_least(&self, of: &History, ahead: Horizon, count: u64) -> f64 {
        if count == 0 {
            return 1.0;
        }
        let (now_a, now_b) = (self.alpha + of.age(), self.beta + of.age());
        let shape = self.r + f64::from(of.repeats());
        let (odds, thin) = (ahead.time() / now_a, now_a / now_b);
        self.p_alive(of) * thinned_chance(count as f64, shape, self.s, thin, odds)
    }
}
