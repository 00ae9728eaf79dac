//! Gamma-Gamma: what a customer spends per purchase (Fader, Hardie & Lee 2005, "RFM and CLV"; Fader &
//! Hardie 2013, "The Gamma-Gamma model of monetary value").

use serde::{Deserialize, Serialize};

use super::fit::maximise::Search;
use super::fit::report::{Fit, FitError};
use super::math::gamma::{digamma, ln_gamma, ln_gamma_ratio};
use super::model::{BadParameter, checked};

/// Largest mean spend, in units of the currency.
pub const SPEND_MAX: f64 = 1e12;

/// A customer's mean spend over repeat purchases, in units of one currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spender {
    repeats: u32,
    mean: f64,
}

impl Spender {
    /// Of at least one purchase, with a mean above 0 and at most [`SPEND_MAX`]. Of none, there is no
    /// mean: see [`GammaGamma::mean_new`].
    pub fn new(repeats: u32, mean: f64) -> Result<Spender, FitError> {
        match repeats {
            0 => Err(FitError::NoRepeats),
            _ if mean > 0.0 && mean <= SPEND_MAX => Ok(Spender { repeats, mean }),
            _ => Err(FitError::Spend(mean)),
        }
    }

    pub fn repeats(&self) -> u32 {
        self.repeats
    }

    pub fn mean(&self) -> f64 {
        self.mean
    }
}

/// Each purchase is `Gamma(p, ν)` for a customer with `ν ~ Gamma(q, v)`, independent of how often the
/// customer buys. `v` is in the currency's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Json")]
pub struct GammaGamma {
    p: f64,
    q: f64,
    v: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    p: f64,
    q: f64,
    v: f64,
}

impl TryFrom<Json> for GammaGamma {
    type Error = BadParameter;

    fn try_from(json: Json) -> Result<Self, BadParameter> {
        GammaGamma::new(json.p, json.q, json.v)
    }
}

impl GammaGamma {
    pub const NAMES: [&'static str; 3] = ["p", "q", "v"];

    /// Each parameter is from 1e-9 to 1e15.
    pub fn new(p: f64, q: f64, v: f64) -> Result<Self, BadParameter> {
        checked(Self::NAMES, [p, q, v]).map(Self::of)
    }

    fn of([p, q, v]: [f64; 3]) -> Self {
        GammaGamma { p, q, v }
    }

    /// `[p, q, v]`.
    pub fn parameters(&self) -> [f64; 3] {
        [self.p, self.q, self.v]
    }

    /// `(p, q + p x, v + x m)`: the parameters after what is known of this customer.
    pub fn after(&self, of: Option<&Spender>) -> [f64; 3] {
        let (x, m) = of.map_or((0.0, 0.0), |s| (f64::from(s.repeats), s.mean));
        [self.p, self.q + self.p * x, self.v + x * m]
    }

    /// Expected spend per purchase (2013, eq. 5): the population's mean and the customer's own, weighted
    /// by what is known. None where it is infinite (`q + p x ≤ 1`).
    pub fn mean(&self, of: Option<&Spender>) -> Option<f64> {
        let [p, q, v] = self.after(of);
        (q > 1.0).then(|| p * v / (q - 1.0)).filter(|mean| mean.is_finite())
    }

    /// Of a customer of whom nothing is known: `p v / (q − 1)`.
    pub fn mean_new(&self) -> Option<f64> {
        self.mean(None)
    }

    /// Log-likelihood of one customer's mean spend, in nats (2013, eq. 1a).
    pub fn log_likelihood(&self, of: &Spender) -> f64 {
        let GammaGamma { p, q, v } = *self;
        let (x, m) = (f64::from(of.repeats), of.mean);
        ln_gamma_ratio(p * x, q) - ln_gamma(q)
            + q * v.ln()
            + (p * x - 1.0) * m.ln()
            + p * x * x.ln()
            - (p * x + q) * (x * m + v).ln()
    }

    /// The most likely parameters for these customers. The order of the customers does not matter.
    pub fn fit(spenders: impl IntoIterator<Item = Spender>) -> Result<Fit<Self>, FitError> {
        let mut all: Vec<Spender> = spenders.into_iter().collect();
        if all.len() < 3 {
            return Err(FitError::TooFew { customers: all.len() as u64, least: 3 });
        }
        all.sort_unstable_by_key(|s| (s.repeats, s.mean.to_bits()));
        let scale = all.iter().map(|s| s.mean).sum::<f64>() / all.len() as f64;
        let alike: Vec<Alike> =
            all.chunk_by(|a, b| a.repeats == b.repeats).map(Alike::of).collect();
        Search {
            names: Self::NAMES,
            scales: [1.0, 1.0, scale],
            starts: &[[2.0, 3.0, scale], [1.0, 1.0, scale]],
            customers: all.len() as u64,
            groups: alike.len() as u64,
            value: |theta: &[f64; 3]| Self::of(*theta).slopes(&alike),
        }
        .run(Self::of)
    }

    /// The log-likelihood and its slope by the logarithm of each parameter.
    fn slopes(&self, alike: &[Alike]) -> (f64, [f64; 3]) {
        let GammaGamma { p, q, v } = *self;
        let (mut value, mut sums) = (0.0, [0.0; 3]);
        for group in alike {
            let (x, n) = (group.repeats, group.sums.len() as f64);
            let (mut logs, mut inverses) = (0.0, 0.0);
            for sum in &group.sums {
                logs += (sum + v).ln();
                inverses += 1.0 / (sum + v);
            }
            let px = p * x;
            value += n * (ln_gamma_ratio(px, q) - ln_gamma(q) + q * v.ln() + px * x.ln())
                + (px - 1.0) * group.ln_means
                - (px + q) * logs;
            let top = digamma(px + q);
            sums[0] += x * (n * (top - digamma(px) + x.ln()) + group.ln_means - logs);
            sums[1] += n * (top - digamma(q) + v.ln()) - logs;
            sums[2] += n * q / v - (px + q) * inverses;
        }
        (value, [sums[0] * p, sums[1] * q, sums[2] * v])
    }
}

/// Customers with one number of repeats.
struct Alike {
    repeats: f64,
    /// Total spend of each.
    sums: Vec<f64>,
    /// Sum of the logarithms of their means.
    ln_means: f64,
}

impl Alike {
    fn of(spenders: &[Spender]) -> Alike {
        let repeats = spenders.first().map_or(0.0, |s| f64::from(s.repeats));
        Alike {
            repeats,
            sums: spenders.iter().map(|s| repeats * s.mean).collect(),
            ln_means: spenders.iter().map(|s| s.mean.ln()).sum(),
        }
    }
}
