//! Gauss-Legendre quadrature of 16 nodes on one panel.

/// Positive nodes on [−1, 1] and their weights (Abramowitz & Stegun 1964, table 25.4).
const NODES: [(f64, f64); 8] = [
    (0.09501250983763744, 0.1894506104550685),
    (0.2816035507792589, 0.18260341504492358),
    (0.45801677765722737, 0.16915651939500254),
    (0.6178762444026438, 0.14959598881657674),
    (0.755404408355003, 0.12462897125553388),
    (0.8656312023878318, 0.09515851168249279),
    (0.9445750230732326, 0.062253523938647894),
    (0.9894009349916499, 0.027152459411754096),
];

/// The integrals of the `K` parts of `f` from `from` to `from + width`. Exact for polynomials of
/// degree 31; calls `f` sixteen times.
pub fn panel<const K: usize>(from: f64, width: f64, f: impl Fn(f64) -> [f64; K]) -> [f64; K] {
    let (half, mut sums) = (width / 2.0, [0.0; K]);
    for (node, weight) in NODES {
        for side in [-1.0, 1.0] {
            let parts = f(from + half * (1.0 + side * node));
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += weight * half * part;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_is_exact_for_polynomials_and_for_eight_decades_of_decay() {
        let [high, one] = panel(0.0, 2.0, |x| [x.powi(31), 1.0]);
        assert!((high / (2f64.powi(32) / 32.0) - 1.0).abs() < 1e-13);
        assert!((one - 2.0).abs() < 1e-15);
        let [decay] = panel(0.0, 8.0, |x| [(-x).exp()]);
        assert!((decay + (-8f64).exp_m1()).abs() < 1e-14);
    }
}
