//! The mean of a function of a Beta variable.

use super::concave::Curve;
use super::gamma::ln_beta;
use super::logs::sigmoid;

/// `E[h(p)]` for `p ~ Beta(a, b)`, `a, b > 0`, and a finite `h` that is smooth in `ln p` and does not
/// change below `p_min` (0 < `p_min` ≤ 1) on any scale but that of `p` itself. Some 150 calls of `h`.
pub fn beta_mean(a: f64, b: f64, p_min: f64, h: impl Fn(f64) -> f64) -> f64 {
    let reach = p_min.max(1e-300).ln();
    Curve::beta(a, b).integral(ln_beta(a, b), f64::INFINITY, reach, |u| h(sigmoid(u)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_means_of_p_and_of_its_square_are_the_betas_for_every_shape() {
        for a in [1e-6, 0.03, 0.8, 2.4, 500.0, 1e6] {
            for b in [1e-6, 0.03, 0.8, 2.4, 500.0, 1e6] {
                let whole = beta_mean(a, b, 1.0, |_| 1.0);
                assert!((whole - 1.0).abs() < 1e-9, "{a} {b}: {whole}");
                let mean = beta_mean(a, b, 1.0, |p| p);
                assert!((mean / (a / (a + b)) - 1.0).abs() < 1e-9, "{a} {b}: {mean}");
                let square = beta_mean(a, b, 1.0, |p| p * p);
                let exact = a * (a + 1.0) / ((a + b) * (a + b + 1.0));
                assert!((square / exact - 1.0).abs() < 1e-9, "{a} {b}: {square}");
            }
        }
    }

    #[test]
    fn a_step_far_below_one_is_seen() {
        // 1/(1 + p k) under Beta(1/2, 1/2) has the mean 1/√(1 + k).
        for k in [1.0, 1e3, 1e9, 1e15] {
            let mean = beta_mean(0.5, 0.5, 1.0 / k, |p| 1.0 / (1.0 + p * k));
            assert!((mean * (1.0 + k).sqrt() - 1.0).abs() < 1e-11, "{k}: {mean}");
        }
    }
}
