//! Figures to mean 0 and deviation 1, as the training had them.

/// Mean, deviation and range of each figure in the training.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    pub(super) mean: Vec<f32>,
    /// Above 0.
    pub(super) deviation: Vec<f32>,
    /// What a figure is brought into before anything is made of it.
    pub(super) low: Vec<f32>,
    pub(super) high: Vec<f32>,
}

/// Figures that hardly vary are left as they are.
const DEVIATION_MIN: f64 = 1e-6;

impl Scale {
    /// Of rows of `N` figures each.
    pub fn of<'a, const N: usize>(rows: impl Iterator<Item = &'a [f32; N]>) -> Scale {
        let (mut n, mut sum, mut squares) = (0.0_f64, [0.0_f64; N], [0.0_f64; N]);
        let (mut low, mut high) = ([f32::INFINITY; N], [f32::NEG_INFINITY; N]);
        for row in rows {
            n += 1.0;
            for (k, figure) in row.iter().enumerate() {
                sum[k] += f64::from(*figure);
                squares[k] += f64::from(*figure).powi(2);
                low[k] = low[k].min(*figure);
                high[k] = high[k].max(*figure);
            }
        }
        if n == 0.0 {
            (low, high) = ([0.0; N], [0.0; N]);
        }
        let n = n.max(1.0);
        let deviation = |k: usize| (squares[k] / n - (sum[k] / n).powi(2)).max(0.0).sqrt();
        let sound = |d: f64| if d < DEVIATION_MIN { 1.0 } else { d as f32 };
        Scale {
            mean: sum.iter().map(|s| (s / n) as f32).collect(),
            deviation: (0..N).map(|k| sound(deviation(k))).collect(),
            low: low.to_vec(),
            high: high.to_vec(),
        }
    }

    /// A row to deviations from the mean, within the range that the training had: what is beyond it says
    /// no more than its end. NaN is the mean.
    pub fn apply(&self, row: &mut [f32]) {
        let bounds = self.low.iter().zip(&self.high);
        let scale = self.mean.iter().zip(&self.deviation);
        for ((figure, (low, high)), (mean, deviation)) in row.iter_mut().zip(bounds).zip(scale) {
            let within = if figure.is_nan() { *mean } else { figure.max(*low).min(*high) };
            *figure = (within - mean) / deviation;
        }
    }

    pub(super) fn parts(&self) -> [&[f32]; 4] {
        [&self.mean, &self.deviation, &self.low, &self.high]
    }

    /// `None` unless deviations are above 1e-7, lows are at most highs, and no number is NaN or infinite.
    pub(super) fn from_parts([mean, deviation, low, high]: [Vec<f32>; 4]) -> Option<Scale> {
        let n = mean.len();
        let lengths = [deviation.len(), low.len(), high.len()].iter().all(|length| *length == n);
        let finite = mean.iter().all(|x| x.is_finite()) && deviation.iter().all(|d| d.is_finite());
        let ranges = low.iter().zip(&high).all(|(l, h)| l <= h && l.is_finite() && h.is_finite());
        let sound = lengths && finite && ranges && deviation.iter().all(|d| *d > 1e-7);
        sound.then_some(Scale { mean, deviation, low, high })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_mean_0_and_deviation_1_and_stay_within_what_was_seen() {
        let scale = Scale::of([[1.0, 5.0], [3.0, 5.0]].iter());
        for (row, wanted) in [
            ([1.0, 5.0], [-1.0, 0.0]),
            ([2.0, 5.0], [0.0, 0.0]),
            ([9.0, 9.0], [1.0, 0.0]),
            ([f32::NEG_INFINITY, f32::NAN], [-1.0, 0.0]),
        ] {
            let mut found = row;
            scale.apply(&mut found);
            assert_eq!(found, wanted, "{row:?}");
        }
        let none = Scale::of([[0.0; 2]; 0].iter());
        let mut row = [7.0, f32::INFINITY];
        none.apply(&mut row);
        assert_eq!(row, [0.0, 0.0]);
    }

    #[test]
    fn parts_that_are_no_scale_are_refused() {
        let parts = |d: f32, low: f32, high: f32| [vec![0.0], vec![d], vec![low], vec![high]];
        assert!(Scale::from_parts(parts(1.0, 0.0, 1.0)).is_some());
        for (d, low, high) in
            [(0.0, 0.0, 1.0), (f32::NAN, 0.0, 1.0), (1.0, 1.0, 0.0), (1.0, f32::NAN, 1.0)]
        {
            assert_eq!(Scale::from_parts(parts(d, low, high)), None);
        }
        assert_eq!(Scale::from_parts([vec![0.0], vec![1.0], vec![], vec![1.0]]), None);
    }
}
