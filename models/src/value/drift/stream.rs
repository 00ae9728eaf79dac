//! The stream on which all detectors are tested: uniform, and moved up by 0.3 in its second half.

pub fn stream() -> Vec<f64> {
    let value = |i: u32| f64::from((7_919 * i) % 1_000) / 1_000.0;
    (0..2_000).map(|i| value(i) + if i >= 1_000 { 0.3 } else { 0.0 }).collect()
}
