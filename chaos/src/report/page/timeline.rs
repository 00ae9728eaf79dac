//! One drawing, from the top: phases, operations, latency, faults, violations, ownership, all over the same seconds.

use maud::{Markup, html};

use super::axis::{Axis, WIDTH, at};
use super::{broken, faults, latency, operations, owners, phases};
use crate::report::format::{clock, millis};
use crate::report::model::RunReport;
use crate::report::series::Second;

/// How an operation ended: class, and word.
pub const OUTCOMES: [(&str, &str); 5] = [
    ("done", "done"),
    ("refused", "refused"),
    ("unavailable", "unavailable"),
    ("unknown", "unknown"),
    ("wrong", "wrong"),
];
/// Bars at most: narrower ones cannot be told apart.
const BINS_MAX: usize = 300;
/// Nodes in the legend at most.
const NODES_MAX: usize = 12;
const GAP: f64 = 26.0;
const BOTTOM: f64 = 24.0;

/// One second, or several where a run is long.
pub struct Bin {
    pub from: f64,
    pub to: f64,
    /// Operations a second, in the order of [`OUTCOMES`].
    pub rates: [f64; 5],
    /// The middle one of its seconds, and the slowest.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

pub fn timeline(run: &RunReport) -> Markup {
    if run.series.is_empty() {
        return html! { p class="none" { "No operation ended." } };
    }
    let axis = Axis::new(end(run));
    let bins = bins(&run.series);
    let placed = faults::place(run, axis);
    let top = if run.phases.is_empty() { 12.0 } else { 12.0 + phases::HEIGHT + 10.0 };
    let top_latency = top + operations::HEIGHT + GAP;
    let lanes = top_latency + latency::HEIGHT;
    let top_faults = lanes + GAP;
    let top_broken = top_faults + faults::height(&placed) + 6.0;
    let is_broken = !run.checked.violations.is_empty();
    let top_owners = top_broken + if is_broken { broken::HEIGHT + 6.0 } else { 4.0 };
    let bottom = top_owners + owners::height(run) + 6.0;
    let nodes = owners::nodes(run);
    html! {
        div class="legend" {
            @for (class, word) in OUTCOMES { span { i class=(class) {} (word) } }
            span { i class="l p50" {} "p50" }
            span { i class="l p99" {} "p99" }
            @if is_broken { span { i class="l broken" {} "invariant broken" } }
            @if !nodes.is_empty() {
                span class="of" { "owners:" }
                @for node in nodes.iter().take(NODES_MAX) { span { i class=(owners::class(&nodes, node)) {} (node) } }
                @if nodes.len() > NODES_MAX { span { "and " (nodes.len() - NODES_MAX) " more" } }
            }
        }
        div class="scroll" {
            svg class="time" viewBox=(format!("0 0 {WIDTH} {}", at(bottom + BOTTOM))) role="img"
                aria-label="Phases, operations, latency, faults, violations and ownership over the time of the run" {
                (phases::lane(&run.phases, axis, 8.0))
                (faults::tints(&placed, top, lanes - top))
                @for second in axis.ticks() {
                    @let x = at(axis.x(second));
                    line class="grid" x1=(x) x2=(x) y1=(at(top)) y2=(at(bottom)) {}
                    text x=(x) y=(at(bottom + 16.0)) text-anchor="middle" { (clock(second)) }
                }
                (operations::lane(&bins, axis, top))
                (latency::lane(&bins, axis, top_latency))
                @for bin in &bins {
                    @let x = axis.x(bin.from);
                    rect class="hover" x=(at(x)) y=(at(top)) width=(at(axis.x(bin.to) - x)) height=(at(lanes - top)) {
                        title { (hover(bin)) }
                    }
                }
                (faults::lane(&placed, top_faults))
                (broken::lane(run, axis, top_broken, top))
                (owners::lane(run, axis, top_owners))
                line class="base" x1=(at(axis.x(0.0))) x2=(at(axis.x(axis.seconds))) y1=(at(bottom)) y2=(at(bottom)) {}
            }
        }
    }
}

/// When the last thing ended that is drawn: what comes after the load (ledgers are read, and checked) is not.
fn end(run: &RunReport) -> f64 {
    let faults = run.faults.iter().filter_map(|it| it.ended_s.or(it.began_s));
    let phases = run.phases.iter().filter_map(|it| it.to_s);
    let owners = run.owners.iter().map(|it| it.at_s);
    let drawn = faults.chain(phases).chain(owners).chain([broken::last_s(run)]);
    // Nothing is after the end of the run.
    let latest = drawn.fold(0.0, f64::max).min(run.seconds);
    latest.max(run.series.len() as f64)
}

fn hover(bin: &Bin) -> String {
    let mut text = clock(bin.from);
    if bin.to - bin.from > 1.0 {
        text.push_str(&format!(" to {}", clock(bin.to)));
    }
    for ((_, word), rate) in OUTCOMES.iter().zip(bin.rates).filter(|(_, rate)| *rate > 0.0) {
        let rate = if rate.fract() == 0.0 { format!("{rate}") } else { format!("{rate:.1}") };
        text.push_str(&format!("\n{word} {rate}/s"));
    }
    text.push_str(&format!("\np50 {}, p99 {}", millis(bin.p50_ms), millis(bin.p99_ms)));
    text
}

fn bins(series: &[Second]) -> Vec<Bin> {
    let size = series.len().div_ceil(BINS_MAX).max(1);
    let bin = |(n, seconds): (usize, &[Second])| {
        let sum = |of: fn(&Second) -> u32| {
            seconds.iter().map(|s| f64::from(of(s))).sum::<f64>() / seconds.len() as f64
        };
        let mut halves: Vec<f64> =
            seconds.iter().map(|s| s.p50_ms).filter(|ms| *ms > 0.0).collect();
        halves.sort_by(f64::total_cmp);
        Bin {
            from: (n * size) as f64,
            to: (n * size + seconds.len()) as f64,
            rates: [
                sum(|s| s.done),
                sum(|s| s.refused),
                sum(|s| s.unavailable),
                sum(|s| s.unknown),
                sum(|s| s.wrong),
            ],
            p50_ms: halves.get(halves.len() / 2).copied().unwrap_or(0.0),
            p99_ms: seconds.iter().map(|s| s.p99_ms).fold(0.0, f64::max),
        }
    };
    series.chunks(size).enumerate().map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_drawn_in_means_of_several_seconds() {
        let second =
            |n: u32| Second { done: n % 2 * 10, p99_ms: f64::from(n), ..Second::default() };
        let series: Vec<Second> = (0..601).map(second).collect();
        let bins = bins(&series);
        assert_eq!((bins.len(), bins[0].to, bins[200].to), (201, 3.0, 601.0));
        assert_eq!((bins[1].rates[0], bins[1].p99_ms), (20.0 / 3.0, 5.0));
        assert!(super::bins(&[]).is_empty());
    }
}
