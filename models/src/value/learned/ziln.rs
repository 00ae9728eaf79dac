//! The zero-inflated log-normal distribution: nothing with probability 1 − p, else log-normal (Wang, Liu &
//! Miao 2019, equations 1 to 3). Every function is finite for every input.

use std::f64::consts::PI;

use statrs::function::erf::erfc_inv;

/// σ is at least this (the square root of the machine epsilon of f32, as in the authors' code)…
pub const SIGMA_MIN: f64 = 3.452_669_830_725_2e-4;
/// … and at most this: the mean is then up to e^32 times the median.
pub const SIGMA_MAX: f64 = 8.0;
/// ln of the smallest and the largest median.
pub const MU_MAX: f64 = 60.0;

/// What a network says of one customer before anything is read out of it: the log-odds of any spend, μ,
/// and σ before the softplus.
pub type Logits = [f64; 3];

/// Spend in a horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZeroInflatedLogNormal {
    /// Probability of any spend, 0 to 1.
    pub p: f64,
    /// Mean of the logarithm of a spend that is not zero, in units of the currency; ±[`MU_MAX`].
    pub mu: f64,
    /// Its standard deviation, from [`SIGMA_MIN`] to [`SIGMA_MAX`].
    pub sigma: f64,
}

/// NaN is 0.
fn number(x: f64) -> f64 {
    if x.is_nan() { 0.0 } else { x }
}

/// 1 / (1 + e⁻ˣ).
pub fn sigmoid(x: f64) -> f64 {
    let x = number(x);
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// ln(1 + eˣ).
pub fn softplus(x: f64) -> f64 {
    let x = number(x);
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

impl ZeroInflatedLogNormal {
    /// Brings every parameter within its bounds.
    pub fn new(p: f64, mu: f64, sigma: f64) -> ZeroInflatedLogNormal {
        ZeroInflatedLogNormal {
            p: number(p).clamp(0.0, 1.0),
            mu: number(mu).clamp(-MU_MAX, MU_MAX),
            sigma: number(sigma).clamp(SIGMA_MIN, SIGMA_MAX),
        }
    }

    pub fn from_logits([odds, mu, raw]: Logits) -> ZeroInflatedLogNormal {
        ZeroInflatedLogNormal::new(sigmoid(odds), mu, softplus(raw))
    }

    /// Expected spend, p · exp(μ + σ²/2).
    pub fn mean(&self) -> f64 {
        self.p * self.mean_active()
    }

    /// Expected spend of who spends anything.
    pub fn mean_active(&self) -> f64 {
        (self.mu + self.sigma * self.sigma / 2.0).exp()
    }

    /// The least spend whose probability of not being exceeded is `q` (brought into 0..=1) or more; the
    /// quantile of 1 is finite: 1 − 10⁻¹².
    pub fn quantile(&self, q: f64) -> f64 {
        let (q, zero) = (number(q).clamp(0.0, 1.0), 1.0 - self.p);
        if q <= zero || self.p <= 0.0 {
            return 0.0;
        }
        let inner = ((q - zero) / self.p).clamp(1e-12, 1.0 - 1e-12);
        let normal = -std::f64::consts::SQRT_2 * erfc_inv(2.0 * inner);
        (self.mu + self.sigma * normal).exp()
    }

    /// Several forecasts of one customer as one: the mean of their probabilities, their mixed spread of
    /// logarithms, and a median such that the mean is exactly the mean of their means.
    pub fn pooled(of: &[ZeroInflatedLogNormal]) -> Option<ZeroInflatedLogNormal> {
        let n = of.len() as f64;
        let p = of.iter().map(|z| z.p).sum::<f64>() / n;
        if of.len() < 2 || p <= 0.0 {
            return of.first().copied();
        }
        let weight = |z: &ZeroInflatedLogNormal| z.p / (p * n);
        let mu: f64 = of.iter().map(|z| weight(z) * z.mu).sum();
        let spread = |z: &ZeroInflatedLogNormal| z.sigma * z.sigma + (z.mu - mu).powi(2);
        let sigma = of.iter().map(|z| weight(z) * spread(z)).sum::<f64>().sqrt();
        let sigma = sigma.clamp(SIGMA_MIN, SIGMA_MAX);
        let mean: f64 = of.iter().map(|z| weight(z) * z.mean_active()).sum();
        Some(ZeroInflatedLogNormal::new(p, mean.ln() - sigma * sigma / 2.0, sigma))
    }
}

/// Negative log-likelihood of a label (spend, negative counts as none) in nats: the cross-entropy of
/// "any spend" and, for a label above 0, the density of its value.
pub fn loss(logits: Logits, label: f64) -> f64 {
    let odds = number(logits[0]).clamp(-1e100, 1e100);
    let label = number(label).min(1e100);
    let bought = label > 0.0;
    let entropy = odds.max(0.0) - if bought { odds } else { 0.0 } + (-odds.abs()).exp().ln_1p();
    if !bought {
        return entropy;
    }
    let ZeroInflatedLogNormal { mu, sigma, .. } = ZeroInflatedLogNormal::from_logits(logits);
    let ln = label.ln();
    entropy + ln + sigma.ln() + (2.0 * PI).ln() / 2.0 + ((ln - mu) / sigma).powi(2) / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Expected: the unit test of the authors' code (google/lifetime_value), to six digits.
    #[test]
    fn loss_and_prediction_are_those_of_the_authors() {
        let logits = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]];
        let losses = [loss(logits[0], 0.0), loss(logits[1], 1.5)];
        let means = logits.map(|l| ZeroInflatedLogNormal::from_logits(l).mean());
        for (found, wanted) in losses.iter().zip([0.744397, 1.878373]) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        for (found, wanted) in means.iter().zip([0.923638, 1.690755]) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    #[test]
    fn a_pool_has_the_mean_of_the_means() {
        let (a, b) =
            (ZeroInflatedLogNormal::new(0.2, 3.0, 1.0), ZeroInflatedLogNormal::new(0.6, 4.0, 0.5));
        let pool = ZeroInflatedLogNormal::pooled(&[a, b]).unwrap();
        assert!((pool.mean() - (a.mean() + b.mean()) / 2.0).abs() < 1e-9);
        assert!((pool.p - 0.4).abs() < 1e-12 && pool.sigma > 0.5);
        let same = ZeroInflatedLogNormal::pooled(&[a, a, a]).unwrap();
        assert!((same.mu - a.mu).abs() < 1e-12 && (same.sigma - a.sigma).abs() < 1e-12);
        assert_eq!(ZeroInflatedLogNormal::pooled(&[]), None);
    }

    #[test]
    fn a_quantile_is_zero_as_long_as_nothing_is_likely_and_the_median_of_who_spends_then() {
        let z = ZeroInflatedLogNormal::new(0.4, 3.0, 1.2);
        assert_eq!((z.quantile(0.0), z.quantile(0.6)), (0.0, 0.0));
        assert!((z.quantile(0.8) - 3.0_f64.exp()).abs() < 1e-9);
        assert!(z.quantile(0.9) < z.quantile(0.99) && z.quantile(1.0).is_finite());
    }

    fn any() -> impl Strategy<Value = f64> {
        prop_oneof![
            proptest::num::f64::ANY,
            -50.0..50.0_f64,
            proptest::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1e300]),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_ever_nan_or_infinite(
            logits in (any(), any(), any()), label in any(), q in any(), more in (any(), any(), any())
        ) {
            let logits = [logits.0, logits.1, logits.2];
            let z = ZeroInflatedLogNormal::from_logits(logits);
            prop_assert!(loss(logits, label).is_finite());
            prop_assert!(z.mean().is_finite() && z.quantile(q).is_finite() && z.mean() >= 0.0);
            let w = ZeroInflatedLogNormal::new(more.0, more.1, more.2);
            let pool = ZeroInflatedLogNormal::pooled(&[z, w]).unwrap();
            prop_assert!(pool.mean().is_finite() && pool.quantile(q).is_finite(), "{pool:?}");
        }
    }
}
