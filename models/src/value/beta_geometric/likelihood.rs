//! The likelihood of BG/NBD (Fader, Hardie & Lee 2005, eq. 6) and MBG/NBD (Batislam, Denizel &
//! Filiztekin 2007, eq. 6), and its slopes.
//!
//! With `x` repeats and `y = x + FIRST` coins thrown, all but perhaps the last of them for staying:
//! `L = Γ(r+x) α^r / Γ(r) · B(a, b+y) / B(a, b) · ((α+T)^-(r+x) + [y > 0] a/(b+y−1) (α+t_x)^-(r+x))`.

use super::super::cohort::Cohort;
use super::super::history::History;
use super::super::math::gamma::{digamma, ln_gamma_ratio};
use super::super::math::logs::{log_add_exp, sigmoid};
use super::BetaGeometric;

/// What depends on the number of repeats alone: the log of the likelihood's first two factors and
/// their slopes by `r`, `α`, `a` and `b`.
struct Head {
    value: f64,
    slopes: [f64; 4],
}

impl<const FIRST: u32> BetaGeometric<FIRST> {
    /// Coins thrown after `repeats` repeat purchases.
    pub(super) fn coins(repeats: u32) -> f64 {
        f64::from(repeats) + f64::from(FIRST)
    }

    /// Log of the odds that the customer left at the last purchase: −∞ where no coin was thrown.
    pub(super) fn ln_odds_gone(&self, of: &History) -> f64 {
        let coins = Self::coins(of.repeats());
        if coins == 0.0 {
            return f64::NEG_INFINITY;
        }
        let quiet = ((of.age() - of.recency()) / (self.alpha + of.recency())).ln_1p();
        let shape = self.r + f64::from(of.repeats());
        self.a.ln() - (self.b + coins - 1.0).ln() + shape * quiet
    }

    fn head(&self, repeats: u32) -> Head {
        let BetaGeometric { r, alpha, a, b } = *self;
        let (x, y) = (f64::from(repeats), Self::coins(repeats));
        let value =
            ln_gamma_ratio(r, x) + r * alpha.ln() + ln_gamma_ratio(b, a) - ln_gamma_ratio(b + y, a);
        let both = digamma(a + b) - digamma(a + b + y);
        let slopes = [
            digamma(r + x) - digamma(r) + alpha.ln(),
            r / alpha,
            both,
            both + digamma(b + y) - digamma(b),
        ];
        Head { value, slopes }
    }

    /// Log of the sum in brackets.
    fn tail(&self, of: &History) -> f64 {
        let shape = self.r + f64::from(of.repeats());
        -shape * (self.alpha + of.age()).ln() + log_add_exp(0.0, self.ln_odds_gone(of))
    }

    pub(super) fn ln_likelihood(&self, of: &History) -> f64 {
        self.head(of.repeats()).value + self.tail(of)
    }

    /// The log-likelihood of all customers and its slope by the logarithm of each parameter.
    pub(super) fn slopes(&self, cohort: &Cohort) -> (f64, [f64; 4]) {
        let BetaGeometric { r, alpha, a, b } = *self;
        let (mut value, mut sums) = (0.0, [0.0; 4]);
        for groups in cohort.by_repeats() {
            let repeats = groups[0].history.repeats();
            let (head, shape) = (self.head(repeats), r + f64::from(repeats));
            let coins = Self::coins(repeats);
            for group in groups {
                let (of, n) = (&group.history, group.customers as f64);
                let (then, now) = (alpha + of.recency(), alpha + of.age());
                let odds = self.ln_odds_gone(of);
                let gone = sigmoid(odds);
                let log_now = now.ln();
                value += n * (head.value - shape * log_now + log_add_exp(0.0, odds));
                let quiet = ((of.age() - of.recency()) / then).ln_1p();
                sums[0] += n * (head.slopes[0] - log_now + gone * quiet);
                sums[1] += n * (head.slopes[1] - shape * ((1.0 - gone) / now + gone / then));
                sums[2] += n * (head.slopes[2] + gone / a);
                sums[3] += n * head.slopes[3];
                if coins > 0.0 {
                    sums[3] -= n * gone / (b + coins - 1.0);
                }
            }
        }
        (value, [sums[0] * r, sums[1] * alpha, sums[2] * a, sums[3] * b])
    }
}
