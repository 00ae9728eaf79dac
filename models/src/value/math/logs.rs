//! Sums and differences of quantities that are known by their logarithms.

/// `1 / (1 + e^-x)`. Of ±∞, 1 and 0.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(e^a + e^b)` (log-sum-exp). Either may be −∞, a sum without that part.
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// `(e^(e·l) − 1) / e`, and its limit `l` where `e` is 0.
pub fn expm1_over(e: f64, l: f64) -> f64 {
    let y = e * l;
    if y.abs() < 1e-12 { l * (1.0 + y / 2.0) } else { y.exp_m1() / e }
}

/// `(1 − (1 + p k)^-r) / p` for `0 ≤ p ≤ 1`: the mean number of purchases when each one ends the
/// customer with probability `p`. At `p = 0` it is `r k`. Its value is between 0 and `r k`.
pub fn ended_mean(p: f64, r: f64, k: f64) -> f64 {
    if p * k < 1e-14 * (1.0 / (r + 1.0)) {
        return r * k;
    }
    -(-r * (p * k).ln_1p()).exp_m1() / p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_logs_hold_where_the_exponentials_do_not() {
        assert_eq!(log_add_exp(-2000.0, -2000.0), -2000.0 + 2f64.ln());
        assert_eq!(log_add_exp(f64::NEG_INFINITY, -5.0), -5.0);
        assert_eq!(log_add_exp(1e4, f64::NEG_INFINITY), 1e4);
        assert_eq!(log_add_exp(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
    }

    #[test]
    fn a_sigmoid_reaches_its_ends_and_is_symmetric() {
        assert_eq!((sigmoid(f64::INFINITY), sigmoid(f64::NEG_INFINITY)), (1.0, 0.0));
        assert_eq!(sigmoid(-1e6), 0.0);
        for x in [0.0, 0.1, 3.0, 30.0] {
            assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn a_removable_singularity_is_removed() {
        assert_eq!(expm1_over(0.0, 3.5), 3.5);
        assert!((expm1_over(1e-9, 3.5) - 3.5 * (1.0 + 1.75e-9)).abs() < 1e-14);
        assert_eq!(ended_mean(0.0, 0.3, 7.0), 0.3 * 7.0);
        let (just_below, just_above) = (ended_mean(1e-16, 0.3, 7.0), ended_mean(1e-13, 0.3, 7.0));
        assert!((just_below / just_above - 1.0).abs() < 1e-11);
        assert!((ended_mean(0.5, 1.0, 2.0) - 1.0).abs() < 1e-15);
    }
}
