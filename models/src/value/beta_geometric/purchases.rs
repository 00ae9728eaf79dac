//! What the family expects of a customer.
//!
//! Given that the customer is alive at `T` after `x` repeats and `y` coins, the rate is
//! `Gamma(r + x, α + T)` and the chance to leave `Beta(a, b + y)`, independent of one another; so each
//! answer is `P(alive)` times that of a fresh process with these parameters.

use super::super::history::{History, Horizon};
use super::super::math::beta_mean::beta_mean;
use super::super::math::chance::beta_chance;
use super::super::math::gamma::ln_gamma_ratio;
use super::super::math::hyp2f1::hyp2f1;
use super::super::math::logs::{ended_mean, sigmoid};
use super::super::model::CountModel;
use super::BetaGeometric;

impl<const FIRST: u32> BetaGeometric<FIRST> {
    /// The parameters of those who are alive after this history; no coin is due before the next purchase.
    fn alive(&self, of: &History) -> Alive {
        Alive {
            r: self.r + f64::from(of.repeats()),
            alpha: self.alpha + of.age(),
            a: self.a,
            b: self.b + Self::coins(of.repeats()),
        }
    }
}

impl<const FIRST: u32> CountModel for BetaGeometric<FIRST> {
    fn log_likelihood(&self, of: &History) -> f64 {
        self.ln_likelihood(of)
    }

    /// Fader, Hardie & Lee 2008 ("Computing P(alive) using the BG/NBD model"), eq. 1; for MBG/NBD,
    /// Batislam, Denizel & Filiztekin 2007. In BG/NBD it is 1 for everybody without repeats.
    fn p_alive(&self, of: &History) -> f64 {
        sigmoid(-self.ln_odds_gone(of))
    }

    /// Fader, Hardie & Lee 2005, eq. 10.
    fn expected(&self, of: &History, ahead: Horizon) -> f64 {
        self.p_alive(of) * self.alive(of).expected(ahead.time())
    }

    /// The sum of Fader, Hardie & Lee 2005, eq. 8: `count − 1` coins for staying, and as many arrivals
    /// of the negative binomial process.
    fn p_at_least(&self, of: &History, ahead: Horizon, count: u64) -> f64 {
        if count == 0 {
            return 1.0;
        }
        (self.p_alive(of) * self.alive(of).p_at_least(ahead.time(), count)).clamp(0.0, 1.0)
    }

    fn p_active(&self, of: &History, ahead: Horizon) -> f64 {
        let Alive { r, alpha, .. } = self.alive(of);
        -self.p_alive(of) * (-r * (ahead.time() / alpha).ln_1p()).exp_m1()
    }
}

struct Alive {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

impl Alive {
    /// `E[(1 − (1 + p t/α)^-r) / p]` over `p ~ Beta(a, b)`. By its closed form where that keeps its
    /// digits (away from a = 1, where it is 0/0, and with a series that converges), else by quadrature.
    fn expected(&self, time: f64) -> f64 {
        let scaled = time / self.alpha;
        if scaled == 0.0 {
            return 0.0;
        }
        self.closed(scaled).unwrap_or_else(|| self.integrated(scaled)).clamp(0.0, self.r * scaled)
    }

    /// `c/(a−1) · (1 − (1−z)^r ₂F₁(r, b; c; z))`, `c = a + b − 1`, `z = t/(α + t)`.
    fn closed(&self, scaled: f64) -> Option<f64> {
        let (c, z) = (self.a + self.b - 1.0, scaled / (1.0 + scaled));
        if (self.a - 1.0).abs() < 0.05 || c <= 0.0 || z > 0.8 {
            return None;
        }
        let rest = 1.0 - hyp2f1(self.r, self.b, c, z)? * (-self.r * scaled.ln_1p()).exp();
        // The series' last digits, more of them for large parameters, are those of a small difference.
        (rest.abs() > 1e-5 * (10.0 + self.r + self.b))
            .then(|| c / (self.a - 1.0) * rest)
            .filter(|mean| mean.is_finite())
    }

    fn integrated(&self, scaled: f64) -> f64 {
        let p_min = 1.0 / (1.0 + scaled * (1.0 + self.r));
        beta_mean(self.a, self.b, p_min, |p| ended_mean(p, self.r, scaled))
    }

    fn p_at_least(&self, time: f64, count: u64) -> f64 {
        let before = (count - 1) as f64;
        let stayed = ln_gamma_ratio(self.b, self.a) - ln_gamma_ratio(self.b + before, self.a);
        stayed.min(0.0).exp() * beta_chance(count as f64, self.r, time / self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_form_and_the_quadrature_agree_wherever_both_answer() {
        let mut both = 0;
        for r in [0.05, 0.2426, 2.24, 40.0, 700.0] {
            for a in [0.1, 0.7929, 0.94, 1.06, 3.0, 50.0] {
                for b in [0.3, 2.4258, 12.0, 900.0] {
                    for scaled in [1e-3, 0.1, 0.9, 3.9] {
                        let alive = Alive { r, alpha: 1.0, a, b };
                        let Some(closed) = alive.closed(scaled) else { continue };
                        let integrated = alive.integrated(scaled);
                        let off = (closed / integrated - 1.0).abs();
                        assert!(off < 2e-10, "{r} {a} {b} {scaled}: {closed} {integrated}");
                        both += 1;
                    }
                }
            }
        }
        assert!(both > 150, "{both}");
    }
}
