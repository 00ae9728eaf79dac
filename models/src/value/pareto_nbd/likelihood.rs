//! The likelihood of Pareto/NBD (Fader & Hardie 2005, "A note on deriving the Pareto/NBD model"), and
//! its slopes.
//!
//! `L = Γ(r+x) α^r β^s / Γ(r) · ((α+T)^-(r+x) (β+T)^-s + s ∫ (α+τ)^-(r+x) (β+τ)^-(s+1) dτ)`, the
//! integral from `t_x` to `T`: over when the customer left. The usual form of it, a difference of two
//! ₂F₁, loses all digits as `t_x` nears `T`; the integral itself has positive terms only.

use super::super::cohort::Cohort;
use super::super::history::History;
use super::super::math::decay::{Decay, Moments};
use super::super::math::gamma::{digamma, ln_gamma_ratio};
use super::super::math::logs::{log_add_exp, sigmoid};
use super::ParetoNbd;

impl ParetoNbd {
    fn decay(&self, of: &History) -> Decay {
        Decay {
            m: self.r + f64::from(of.repeats()),
            n: self.s + 1.0,
            a: self.alpha + of.recency(),
            b: self.beta + of.recency(),
        }
    }

    fn ln_alive(&self, of: &History) -> f64 {
        let shape = self.r + f64::from(of.repeats());
        -shape * (self.alpha + of.age()).ln() - self.s * (self.beta + of.age()).ln()
    }

    /// Log of the integral's part, given the integral relative to its start.
    fn ln_gone(&self, decay: &Decay, integral: f64) -> f64 {
        self.s.ln() - decay.m * decay.a.ln() - decay.n * decay.b.ln() + integral.ln()
    }

    /// Log of the odds that the customer has left: −∞ right after a purchase.
    pub(super) fn ln_odds_gone(&self, of: &History) -> f64 {
        let decay = self.decay(of);
        self.ln_gone(&decay, decay.integral(of.age() - of.recency())) - self.ln_alive(of)
    }

    fn head(&self, repeats: u32) -> f64 {
        ln_gamma_ratio(self.r, f64::from(repeats))
            + self.r * self.alpha.ln()
            + self.s * self.beta.ln()
    }

    pub(super) fn ln_likelihood(&self, of: &History) -> f64 {
        let alive = self.ln_alive(of);
        self.head(of.repeats()) + alive + log_add_exp(0.0, self.ln_odds_gone(of))
    }

    /// The log-likelihood of all customers and its slope by the logarithm of each parameter.
    pub(super) fn slopes(&self, cohort: &Cohort) -> (f64, [f64; 4]) {
        let ParetoNbd { r, alpha, s, beta } = *self;
        let (mut value, mut sums) = (0.0, [0.0; 4]);
        for groups in cohort.by_repeats() {
            let repeats = groups[0].history.repeats();
            let (head, shape) = (self.head(repeats), r + f64::from(repeats));
            let rates = digamma(shape) - digamma(r) + alpha.ln();
            for group in groups {
                let (of, n) = (&group.history, group.customers as f64);
                let (decay, alive) = (self.decay(of), self.ln_alive(of));
                let moments = decay.moments(of.age() - of.recency());
                let odds = self.ln_gone(&decay, moments.whole) - alive;
                let gone = sigmoid(odds);
                value += n * (head + alive + log_add_exp(0.0, odds));
                let (now_a, now_b) = (alpha + of.age(), beta + of.age());
                let stayed = [-now_a.ln(), -shape / now_a, -now_b.ln(), -s / now_b];
                let left = self.gone_slopes(&decay, &moments);
                let heads = [rates, r / alpha, beta.ln(), s / beta];
                for i in 0..4 {
                    sums[i] += n * (heads[i] + (1.0 - gone) * stayed[i] + gone * left[i]);
                }
            }
        }
        (value, [sums[0] * r, sums[1] * alpha, sums[2] * s, sums[3] * beta])
    }

    /// Slopes of [`ParetoNbd::ln_gone`]; zeros where there was no time to leave in.
    fn gone_slopes(&self, decay: &Decay, of: &Moments) -> [f64; 4] {
        if of.whole <= 0.0 {
            return [0.0; 4];
        }
        [
            -decay.a.ln() - of.ln_a / of.whole,
            -decay.m * of.by_a / of.whole,
            1.0 / self.s - decay.b.ln() - of.ln_b / of.whole,
            -decay.n * of.by_b / of.whole,
        ]
    }
}
