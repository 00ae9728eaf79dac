//! How long operations took, on a logarithmic scale.

use maud::{Markup, html};

use super::axis::{Axis, LEFT, RIGHT, WIDTH, at};
use super::timeline::Bin;

pub const HEIGHT: f64 = 110.0;

pub fn lane(bins: &[Bin], axis: Axis, top: f64) -> Markup {
    let times = bins.iter().flat_map(|bin| [bin.p50_ms, bin.p99_ms]).filter(|ms| *ms > 0.0);
    let (low, high) =
        times.fold((f64::MAX, f64::MIN), |(low, high), ms| (low.min(ms), high.max(ms)));
    // Whole powers of ten, two at least.
    let low = if low < f64::MAX { low.log10().floor().clamp(-3.0, 5.0) } else { 0.0 };
    let high = if high > f64::MIN { high.log10().ceil().clamp(low + 2.0, 6.0) } else { low + 2.0 };
    let y = |ms: f64| top + HEIGHT - HEIGHT * ((ms.log10() - low) / (high - low)).clamp(0.0, 1.0);
    let decades = (low as i32)..=(high as i32);
    html! {
        text class="lane" x="0" y=(at(top + 10.0)) { "Latency" }
        text x="0" y=(at(top + 25.0)) { "p50, p99" }
        @for decade in decades {
            @let ms = 10f64.powi(decade);
            line class="grid" x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y(ms))) y2=(at(y(ms))) {}
            text x=(LEFT - 8.0) y=(at(y(ms) + 4.0)) text-anchor="end" { (label(ms)) }
        }
        path class="p99" d=(steps(bins, axis, |bin| bin.p99_ms, y)) {}
        path class="p50" d=(steps(bins, axis, |bin| bin.p50_ms, y)) {}
    }
}

/// A step a bin; where nothing ended there is a gap, not a zero.
fn steps(bins: &[Bin], axis: Axis, of: fn(&Bin) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut drawing = false;
    for bin in bins {
        let ms = of(bin);
        if ms <= 0.0 {
            drawing = false;
            continue;
        }
        let (left, right, y) = (at(axis.x(bin.from)), at(axis.x(bin.to)), at(y(ms)));
        let pen = if drawing { 'L' } else { 'M' };
        path.push_str(&format!("{pen}{left} {y}H{right}"));
        drawing = true;
    }
    path
}

fn label(ms: f64) -> String {
    match ms {
        ms if ms >= 1_000.0 => format!("{} s", ms / 1_000.0),
        ms if ms >= 1.0 => format!("{ms} ms"),
        ms => format!("{} µs", (ms * 1_000.0).round()),
    }
}
