//! Where things stand on the timeline, and what is written at its edges.

/// Of the whole drawing; the width fits a table beside a window's edge.
pub const WIDTH: f64 = 1_116.0;
/// Room for the labels on the left, and a little on the right.
pub const LEFT: f64 = 126.0;
pub const RIGHT: f64 = 20.0;

/// Seconds to the right.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub seconds: f64,
}

impl Axis {
    pub fn new(seconds: f64) -> Axis {
        Axis { seconds: if seconds.is_finite() { seconds.max(1.0) } else { 1.0 } }
    }

    pub fn x(&self, second: f64) -> f64 {
        LEFT + self.width() * (second / self.seconds).clamp(0.0, 1.0)
    }

    pub fn width(&self) -> f64 {
        WIDTH - LEFT - RIGHT
    }

    /// Whole times, about ten of them.
    pub fn ticks(&self) -> Vec<f64> {
        const STEPS: [f64; 12] =
            [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
        let step = STEPS.into_iter().find(|step| self.seconds / step <= 12.0).unwrap_or(7_200.0);
        let count = (self.seconds / step).floor().min(24.0) as u32;
        (0..=count).map(|n| f64::from(n) * step).collect()
    }
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is not below.
pub fn nice(most: f64) -> f64 {
    let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
    let power = 10f64.powf(most.log10().floor());
    let of = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|n| n * power >= most * 0.999_999);
    of.unwrap_or(10.0) * power
}

/// To a tenth of a pixel: more is noise in a file.
pub fn at(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_a_dozen_whole_times_at_most() {
        for (seconds, step) in
            [(1.0, 1.0), (20.0, 2.0), (60.0, 5.0), (600.0, 60.0), (86_400.0, 7_200.0)]
        {
            let ticks = Axis::new(seconds).ticks();
            assert!(ticks.len() >= 2 && ticks.len() <= 13, "{seconds}: {ticks:?}");
            assert_eq!(ticks[1], step, "{seconds}");
        }
        assert_eq!(Axis::new(f64::NAN).seconds, 1.0);
    }

    #[test]
    fn a_scale_ends_at_a_round_number() {
        assert_eq!(
            [0.0, 1.0, 1.1, 23.0, 450.0, 1_001.0].map(nice),
            [1.0, 1.0, 2.0, 25.0, 500.0, 2_000.0]
        );
    }
}
