//! The two-sample Kolmogorov–Smirnov test: whether two samples come from one distribution.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::value::values::{BadValues, check, sorted};

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KsTest {
    /// The largest distance of the two empirical distributions, 0 to 1.
    pub d: f64,
    /// Chance of such a distance or a larger one if both are samples of one continuous distribution;
    /// asymptotic, and on the safe side for small samples and ties. 0 to 1.
    pub p_value: f64,
}

/// Both samples, in any order.
pub fn ks(left: &[f64], right: &[f64]) -> Result<KsTest, BadValues> {
    check(left)?;
    check(right)?;
    Ok(ks_sorted(&sorted(left), &sorted(right)))
}

/// Like [`ks`] for values that are known to be finite and ascending (a kept reference). An empty side
/// has distance 0.
pub(super) fn ks_sorted(left: &[f64], right: &[f64]) -> KsTest {
    let (n, m) = (left.len(), right.len());
    if n == 0 || m == 0 {
        return KsTest { d: 0.0, p_value: 1.0 };
    }
    let (mut i, mut j, mut d) = (0, 0, 0.0_f64);
    while i < n && j < m {
        let value = left[i].min(right[j]);
        // A value that is in both is passed on both sides before the distance is taken.
        i += left[i..].iter().take_while(|v| **v <= value).count();
        j += right[j..].iter().take_while(|v| **v <= value).count();
        d = d.max((i as f64 / n as f64 - j as f64 / m as f64).abs());
    }
    let effective = n as f64 * m as f64 / (n + m) as f64;
    KsTest { d, p_value: kolmogorov(effective.sqrt() * d) }
}

/// `Q(λ) = 2 Σ (−1)^(j−1) e^(−2 j² λ²)`, the chance that Kolmogorov's statistic is above λ (Kolmogorov
/// 1933, Smirnov 1948). Below λ = 1.18, where that series converges slowly, by its theta transform
/// `1 − √(2π)/λ Σ e^(−(2j−1)² π² / (8 λ²))` (Marsaglia, Tsang & Wang 2003). 1 for λ ≤ 0 and NaN.
pub fn kolmogorov(lambda: f64) -> f64 {
    let q = match lambda {
        l if l > 1.18 => {
            let term = |j: i32| (-2.0 * f64::from(j * j) * l * l).exp();
            2.0 * (term(1) - term(2) + term(3) - term(4))
        }
        l if l > 0.04 => {
            let term = |j: i32| (-f64::from((2 * j - 1).pow(2)) * PI * PI / (8.0 * l * l)).exp();
            1.0 - (2.0 * PI).sqrt() / l * (term(1) + term(2) + term(3) + term(4))
        }
        _ => 1.0,
    };
    q.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::stream::stream;
    use super::*;

    #[test]
    fn the_stream_has_the_distance_of_the_reference() {
        let stream = stream();
        let got = ks(&stream[..1_000], &stream[1_000..]).unwrap();
        assert!((got.d - 0.301).abs() < 1e-12, "{}", got.d);
        assert!((got.p_value / 8.984_949_505_216_728e-40 - 1.0).abs() < 1e-9, "{}", got.p_value);
    }

    /// Expected: scipy.stats.ks_2samp and scipy.special.kolmogorov.
    #[test]
    fn ties_within_and_between_samples_are_passed_together() {
        let left =
            [-1.7, -2.0, -0.3, -0.9, 0.2, 2.2, -0.8, -0.6, 0.2, 0.5, -0.2, -0.2, 0.7, 0.5, -1.0];
        let right = [0.5, 0.6, -0.7, 0.9, -0.4, 1.8, 0.8, 0.7, -0.1, 0.5, -1.8];
        let got = ks(&left, &right).unwrap();
        assert!((got.d - 0.369_696_969_696_969_7).abs() < 1e-15);
        assert!((got.p_value - 0.350_956_701_563_940_04).abs() < 1e-12);
        assert_eq!(ks(&right, &left), Ok(got));
    }

    /// Expected: scipy.special.kolmogorov.
    #[test]
    fn the_distribution_is_that_of_the_library_on_both_series() {
        for (lambda, want) in [
            (0.2, 0.999_999_999_999_495),
            (0.5, 0.963_945_243_664_875_1),
            (0.8, 0.544_142_411_574_198_1),
            (1.0, 0.269_999_671_677_354_56),
            (1.18, 0.123_453_809_429_765_7),
            (1.2, 0.112_249_666_670_724_97),
            (1.5, 0.022_217_962_616_525_127),
            (2.0, 0.000_670_925_255_779_695_3),
            (3.0, 3.045_995_948_942_526e-8),
            (6.73, 9.122_563_958_010_591e-40),
        ] {
            let got = kolmogorov(lambda);
            assert!((got / want - 1.0).abs() < 1e-12, "{lambda}: {got}");
        }
        assert_eq!((kolmogorov(0.0), kolmogorov(-1.0), kolmogorov(f64::NAN)), (1.0, 1.0, 1.0));
        assert_eq!((kolmogorov(1e-9), kolmogorov(f64::INFINITY)), (1.0, 0.0));
    }

    #[test]
    fn equal_and_disjoint_samples_are_the_two_ends() {
        assert_eq!(ks(&[1.0; 9], &[1.0; 4]), Ok(KsTest { d: 0.0, p_value: 1.0 }));
        assert_eq!(ks(&[1.0; 9], &[2.0; 4]).unwrap().d, 1.0);
        assert_eq!(ks(&[], &[1.0]), Err(BadValues::Empty));
        assert!(ks(&[f64::INFINITY], &[1.0]).is_err());
    }
}
