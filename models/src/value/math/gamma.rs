//! Gamma and beta functions whose differences keep their digits at large arguments.

pub use statrs::function::gamma::{digamma, ln_gamma};

/// Beyond this the series of Stirling's correction is exact to the last digit.
const STIRLING_MIN: f64 = 32.0;

/// `lnΓ(z + d) − lnΓ(z)` for `z > 0`, `d ≥ 0`, without the cancellation of the two terms: by
/// Stirling's series (Abramowitz & Stegun 1964, 6.1.41) when `z` is large.
pub fn ln_gamma_ratio(z: f64, d: f64) -> f64 {
    if z < STIRLING_MIN {
        return ln_gamma(z + d) - ln_gamma(z);
    }
    (z - 0.5) * (d / z).ln_1p() + d * (z + d).ln() - d + correction(z + d) - correction(z)
}

/// Stirling's correction: `lnΓ(z) − ((z − ½) ln z − z + ½ ln 2π)`.
fn correction(z: f64) -> f64 {
    let y = 1.0 / (z * z);
    (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y / 1680.0))) / z
}

/// `ln B(a, b)` for `a, b > 0`.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    ln_gamma(small) - ln_gamma_ratio(large, small)
}
