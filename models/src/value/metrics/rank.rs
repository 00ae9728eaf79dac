//! Ranks of finite values.

/// Places in ascending order; equal values stay in the order in which they were given.
pub fn order(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // Adding zero makes -0 and 0 equal to `total_cmp`, too.
    order.sort_by(|a, b| (values[*a] + 0.0).total_cmp(&(values[*b] + 0.0)));
    order
}

/// Ranks from 1 to n; equal values share the mean of the ranks that they fill.
pub fn averaged(values: &[f64]) -> Vec<f64> {
    let order = order(values);
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tie in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (tie.len() as f64 + 1.0) / 2.0;
        tie.iter().for_each(|at| ranks[*at] = rank);
        before += tie.len();
    }
    ranks
}

/// Ranks about their mean, from −(n − 1)/2 to (n − 1)/2: exact in binary, so that a constant has 0s.
pub fn centred(values: &[f64]) -> Vec<f64> {
    let middle = (values.len() as f64 + 1.0) / 2.0;
    averaged(values).into_iter().map(|rank| rank - middle).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::PREDICTED;
    use super::*;

    /// Expected: scipy.stats.rankdata.
    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        let want = [
            16.5, 19.0, 11.0, 5.5, 20.0, 2.0, 10.0, 13.0, 2.0, 16.5, 5.5, 2.0, 13.0, 24.0, 13.0,
            8.5, 8.5, 5.5, 5.5, 23.0, 21.0, 18.0, 15.0, 22.0,
        ];
        assert_eq!(averaged(&PREDICTED), want);
    }

    #[test]
    fn the_two_zeros_are_one_value_and_keep_their_order() {
        assert_eq!(averaged(&[0.0, -0.0, 0.0]), [2.0, 2.0, 2.0]);
        assert_eq!(order(&[0.0, -0.0, -1.0, 0.0]), [2, 0, 1, 3]);
        assert_eq!(centred(&[7.0; 5]), [0.0; 5]);
    }
}
