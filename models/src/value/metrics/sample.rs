//! Twenty-four customers with ties, zeros and one large miss. The figures that tests expect of them come
//! from numpy, scipy and scikit-learn.

pub const PREDICTED: [f64; 24] = [
    13.0, 23.0, 3.5, 1.5, 25.0, 0.0, 3.0, 8.5, 0.0, 13.0, 1.5, 0.0, 8.5, 46.0, 8.5, 2.0, 2.0, 1.5,
    1.5, 37.0, 31.0, 20.0, 9.5, 35.0,
];

/// The other forecast of the same customers.
pub const OTHER: [f64; 24] = [
    7.5, 27.5, 1.25, 2.25, 10.5, 0.0, 2.0, 12.5, 0.0, 6.0, 2.75, 0.0, 8.25, 40.0, 7.75, 1.25, 3.5,
    1.25, 1.5, 25.0, 22.75, 10.5, 17.75, 32.5,
];

pub const ACTUAL: [f64; 24] = [
    0.0, 37.25, 0.0, 0.0, 21.0, 0.0, 0.0, 0.0, 174.75, 0.0, 0.0, 0.0, 8.5, 33.75, 19.25, 0.0, 2.0,
    0.0, 1.25, 77.25, 31.0, 0.0, 0.0, 44.5,
];

pub fn near(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} is not {want}");
}
