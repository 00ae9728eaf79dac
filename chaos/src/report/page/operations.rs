//! Operations a second, stacked by how they ended.

use maud::{Markup, html};

use super::axis::{Axis, LEFT, RIGHT, WIDTH, at, nice};
use super::timeline::Bin;
use crate::report::format::count;

pub const HEIGHT: f64 = 150.0;

pub fn lane(bins: &[Bin], axis: Axis, top: f64) -> Markup {
    let most = nice(bins.iter().map(|bin| bin.rates.iter().sum::<f64>()).fold(0.0, f64::max));
    let y = |value: f64| top + HEIGHT - HEIGHT * value / most;
    let lines = [0.0, 0.5, 1.0].map(|part| part * most);
    html! {
        text class="lane" x="0" y=(at(top + 10.0)) { "Operations" }
        text x="0" y=(at(top + 25.0)) { "a second" }
        @for value in lines {
            line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y(value))) y2=(at(y(value))) {}
            text x=(LEFT - 8.0) y=(at(y(value) + 4.0)) text-anchor="end" { (label(value)) }
        }
        @for bin in bins {
            @let (left, right) = (axis.x(bin.from), axis.x(bin.to));
            // A hair between bars, where there is room for one.
            @let gap = if right - left > 4.0 { 1.0 } else { 0.0 };
            @for (class, from, to) in stack(bin) {
                rect class=(class) x=(at(left)) width=(at(right - left - gap)) y=(at(y(to)))
                    height=(at(y(from) - y(to))) {}
            }
        }
    }
}

/// What is not zero, from the bottom to the top.
fn stack(bin: &Bin) -> Vec<(&'static str, f64, f64)> {
    let mut from = 0.0;
    let mut parts = Vec::new();
    for (class, rate) in super::timeline::OUTCOMES.iter().zip(bin.rates) {
        if rate > 0.0 {
            parts.push((class.0, from, from + rate));
            from += rate;
        }
    }
    parts
}

fn label(value: f64) -> String {
    if value.fract() == 0.0 { count(value as u64) } else { format!("{value}") }
}
