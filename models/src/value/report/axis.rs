//! The frame of a chart: axes with ticks, labels and units.

use std::fmt::Write;

use super::text::{escaped, scaled};

/// Size of a chart, and what is left around its plot, in the units of its view box.
pub const WIDTH: f64 = 760.0;
pub const HEIGHT: f64 = 380.0;
const LEFT: f64 = 86.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 62.0;
/// Ticks of the vertical axis, about.
const TICKS: f64 = 5.0;

/// A chart whose vertical axis begins at 0.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The end of the vertical axis, above 0.
    most: f64,
    step: f64,
    body: String,
}

/// The round step, of 1, 2 or 5 times a power of ten, that makes about so many of `most`.
fn round_step(most: f64) -> f64 {
    let rough = most / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= rough * 0.999);
    digit.unwrap_or(10.0) * power
}

impl Frame {
    /// For values up to `most`.
    pub fn new(most: f64) -> Frame {
        let most = if most.is_finite() && most > 1e-12 { most } else { 1.0 };
        let step = round_step(most);
        Frame { most: (most / step).ceil() * step, step, body: String::new() }
    }

    /// The horizontal place of a share (0 to 1) of the plot.
    pub fn x(&self, share: f64) -> f64 {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// The vertical place of a value.
    pub fn y(&self, value: f64) -> f64 {
        let share = if value.is_finite() { (value / self.most).clamp(0.0, 1.0) } else { 0.0 };
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    /// A bar from 0 to a value, with what it says to who points at it.
    pub fn bar(&mut self, class: &str, left: f64, width: f64, value: f64, says: &str) {
        let (top, foot) = (self.y(value), self.y(0.0));
        let says = escaped(says);
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{:.1}\"><title>{says}</title></rect>",
            foot - top
        );
    }

    /// A line through points (share of the plot, value).
    pub fn line(&mut self, class: &str, points: &[(f64, f64)]) {
        let place = |(x, y): &(f64, f64)| format!("{:.1},{:.1}", self.x(*x), self.y(*y));
        let points: Vec<String> = points.iter().map(place).collect();
        let _ = write!(self.body, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    }

    /// A point on a line, with what it says.
    pub fn dot(&mut self, class: &str, share: f64, value: f64, says: &str) {
        let (x, y, says) = (self.x(share), self.y(value), escaped(says));
        let _ = write!(
            self.body,
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"><title>{says}</title></circle>"
        );
    }

    /// A label below the horizontal axis, and a second line under it.
    pub fn tick(&mut self, share: f64, label: &str, below: &str) {
        let (x, y) = (self.x(share), self.y(0.0));
        let (label, below) = (escaped(label), escaped(below));
        let _ = write!(
            self.body,
            "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            y + 17.0
        );
        if !below.is_empty() {
            let _ = write!(
                self.body,
                "<text class=\"tick faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{below}</text>",
                y + 31.0
            );
        }
    }

    /// The whole chart. `about` is read to who cannot see it.
    pub fn svg(self, about: &str, x_label: &str, y_label: &str) -> String {
        let (about, x_label, y_label) = (escaped(about), escaped(x_label), escaped(y_label));
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{about}\">\
             <title>{about}</title>"
        );
        let (left, right) = (self.x(0.0), self.x(1.0));
        let ticks = (self.most / self.step).round() as u32;
        for tick in 0..=ticks {
            let value = f64::from(tick) * self.step;
            let y = self.y(value);
            let class = if tick == 0 { "axis" } else { "grid" };
            let _ = write!(
                out,
                "<line class=\"{class}\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + 4.0,
                scaled(value, self.most, self.step)
            );
        }
        out.push_str(&self.body);
        let (middle, centre) = (f64::midpoint(left, right), f64::midpoint(self.y(0.0), TOP));
        let _ = write!(
            out,
            "<text class=\"label\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x_label}</text>\
             <text class=\"label\" transform=\"translate(16 {centre:.1}) rotate(-90)\" \
             text-anchor=\"middle\">{y_label}</text></svg>",
            HEIGHT - 8.0
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_the_axis_reaches_the_most() {
        for (most, step) in [(7.3, 2.0), (1.0, 0.2), (0.049, 0.01), (299_187.0, 100_000.0)] {
            let frame = Frame::new(most);
            assert!((frame.step / step - 1.0).abs() < 1e-9, "{most}: {}", frame.step);
            assert!(frame.most >= most && frame.most < most + step * 1.001);
        }
    }

    #[test]
    fn no_value_leaves_the_frame() {
        for most in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            let mut frame = Frame::new(most);
            for value in [f64::NAN, f64::INFINITY, -5.0, 1e308] {
                assert!((0.0..=HEIGHT).contains(&frame.y(value)));
                frame.dot("a", value, value, "<");
            }
            let svg = frame.svg("&", "x", "y");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
