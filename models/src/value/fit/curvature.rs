//! Second derivatives of a log-likelihood, and the covariance that they give.

/// A square matrix of `N` parameters.
pub type Square<const N: usize> = [[f64; N]; N];

/// Step in a parameter's logarithm.
const STEP: f64 = 1e-3;

/// The matrix of second derivatives at `at`, from first ones: central differences of the fourth
/// order, made symmetric. Costs `4 N` gradients.
pub fn hessian<const N: usize>(
    at: &[f64; N],
    gradient: impl Fn(&[f64; N]) -> [f64; N],
) -> Square<N> {
    let mut rows = [[0.0; N]; N];
    for (i, row) in rows.iter_mut().enumerate() {
        let moved = |steps: f64| {
            let mut to = *at;
            to[i] += steps * STEP;
            gradient(&to)
        };
        let (p1, m1, p2, m2) = (moved(1.0), moved(-1.0), moved(2.0), moved(-2.0));
        for j in 0..N {
            row[j] = (8.0 * (p1[j] - m1[j]) - (p2[j] - m2[j])) / (12.0 * STEP);
        }
    }
    let mut even = rows;
    for i in 0..N {
        for j in 0..N {
            even[i][j] = (rows[i][j] + rows[j][i]) / 2.0;
        }
    }
    even
}

/// The inverse of a symmetric positive definite matrix by Cholesky's decomposition; none where
/// the matrix is not, or is so to no digit.
pub fn inverse<const N: usize>(matrix: &Square<N>) -> Option<Square<N>> {
    let mut lower = [[0.0; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = matrix[i][j] - sum;
            if i == j {
                let lost = matrix[i][i].abs() * 1e-11;
                if !rest.is_finite() || rest <= lost {
                    return None;
                }
                lower[i][i] = rest.sqrt();
            } else {
                lower[i][j] = rest / lower[j][j];
            }
        }
    }
    // Symmetric, so its columns are its rows.
    let mut inverse = [[0.0; N]; N];
    for (column, row) in inverse.iter_mut().enumerate() {
        let mut half = [0.0; N];
        for i in 0..N {
            let unit = if i == column { 1.0 } else { 0.0 };
            let sum: f64 = (0..i).map(|k| lower[i][k] * half[k]).sum();
            half[i] = (unit - sum) / lower[i][i];
        }
        for i in (0..N).rev() {
            let sum: f64 = (i + 1..N).map(|k| lower[k][i] * row[k]).sum();
            row[i] = (half[i] - sum) / lower[i][i];
        }
    }
    Some(inverse)
}

/// `matrix · vector`.
pub fn times<const N: usize>(matrix: &Square<N>, vector: &[f64; N]) -> [f64; N] {
    std::array::from_fn(|i| (0..N).map(|j| matrix[i][j] * vector[j]).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_gives_back_the_unit_matrix() {
        let matrix = [[4.0, 2.0, 0.6], [2.0, 5.0, 1.0], [0.6, 1.0, 3.0]];
        let inverse = inverse(&matrix).unwrap();
        for (i, column) in inverse.iter().enumerate() {
            let unit = times(&matrix, column);
            for (j, value) in unit.into_iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((value - expected).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_curved_in_all_directions_has_no_inverse() {
        assert!(inverse(&[[1.0, 1.0], [1.0, 1.0]]).is_none());
        assert!(inverse(&[[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(inverse(&[[f64::NAN, 0.0], [0.0, 1.0]]).is_none());
    }

    #[test]
    fn second_derivatives_of_a_known_function_are_its_own() {
        // f = e^(2x) y³
        let gradient = |at: &[f64; 2]| {
            [2.0 * (2.0 * at[0]).exp() * at[1].powi(3), 3.0 * (2.0 * at[0]).exp() * at[1].powi(2)]
        };
        let at = [0.3, 1.7];
        let found = hessian(&at, gradient);
        let e = 0.6f64.exp();
        let exact =
            [[4.0 * e * 1.7f64.powi(3), 6.0 * e * 1.7 * 1.7], [6.0 * e * 1.7 * 1.7, 6.0 * e * 1.7]];
        for i in 0..2 {
            for j in 0..2 {
                assert!((found[i][j] / exact[i][j] - 1.0).abs() < 1e-9);
            }
        }
    }
}
