//! Whether intervals hold what they are said to hold.

use serde::{Deserialize, Serialize};

use crate::value::values::{BadValues, check, check_lengths};

/// Where the actual values were.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    pub rows: u64,
    /// Rows below their lower and above their upper bound.
    pub below: u64,
    pub above: u64,
    /// Share of rows within, bounds included, 0 to 1.
    pub covered: f64,
    /// Mean of upper − lower, in the unit of the values.
    pub mean_width: f64,
}

/// Intervals [lower, upper] against the actual values, row by row. A row whose bounds are crossed holds
/// nothing: it counts as below if the value is below `lower`, else as above.
pub fn coverage(actual: &[f64], lower: &[f64], upper: &[f64]) -> Result<Coverage, BadValues> {
    for side in [lower, upper] {
        check_lengths(actual.len(), side.len())?;
        check(side)?;
    }
    check(actual)?;
    let (mut below, mut above, mut width) = (0, 0, 0.0);
    for ((actual, lower), upper) in actual.iter().zip(lower).zip(upper) {
        width += upper - lower;
        below += u64::from(actual < lower);
        above += u64::from(actual >= lower && actual > upper);
    }
    let rows = actual.len() as u64;
    let covered = (rows - below - above) as f64 / rows as f64;
    Ok(Coverage { rows, below, above, covered, mean_width: width / rows as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_part_of_an_interval() {
        let got = coverage(&[0.0, 1.0, 2.0, 3.0], &[0.0, 1.5, 0.0, 2.0], &[0.0, 2.0, 1.0, 3.0]);
        let want = Coverage { rows: 4, below: 1, above: 1, covered: 0.5, mean_width: 0.625 };
        assert_eq!(got, Ok(want));
    }

    #[test]
    fn a_crossed_interval_holds_nothing() {
        let got = coverage(&[1.0, 1.5, 3.0], &[2.0; 3], &[1.0; 3]).unwrap();
        assert_eq!((got.below, got.above, got.covered), (2, 1, 0.0));
    }

    #[test]
    fn bounds_that_are_no_numbers_are_refused() {
        assert_eq!(coverage(&[], &[], &[]), Err(BadValues::Empty));
        let wide = coverage(&[1.0], &[0.0], &[f64::INFINITY]);
        assert_eq!(wide, Err(BadValues::OutOfRange { at: 0 }));
        assert!(coverage(&[1.0], &[0.0], &[]).is_err());
    }
}
