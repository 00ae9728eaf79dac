//! When invariants were broken: a line through all lanes, and a mark with its code.

use maud::{Markup, html};

use super::axis::{Axis, LEFT, RIGHT, WIDTH, at};
use crate::report::format::{clock, count};
use crate::report::model::RunReport;
use crate::verdict::Violation;

pub const HEIGHT: f64 = 20.0;
/// Violations nearer to each other than this are one mark: a code has room in it.
const TOGETHER: f64 = 46.0;

/// Those at about the same time.
struct Mark<'a> {
    x: f64,
    of: Vec<&'a Violation>,
}

/// When the last of them was.
pub fn last_s(run: &RunReport) -> f64 {
    run.checked.violations.iter().filter_map(second).fold(0.0, f64::max)
}

fn second(violation: &Violation) -> Option<f64> {
    violation.at_us.map(|at_us| at_us as f64 / 1e6)
}

fn marks(run: &RunReport, axis: Axis) -> Vec<Mark<'_>> {
    let violations = run.checked.violations.iter();
    let mut timed: Vec<(f64, &Violation)> =
        violations.filter_map(|it| Some((axis.x(second(it)?), it))).collect();
    timed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut marks: Vec<Mark<'_>> = Vec::new();
    for (x, violation) in timed {
        match marks.last_mut().filter(|mark| x - mark.x < TOGETHER) {
            Some(mark) => mark.of.push(violation),
            None => marks.push(Mark { x, of: vec![violation] }),
        }
    }
    marks
}

pub fn lane(run: &RunReport, axis: Axis, top: f64, from: f64) -> Markup {
    let marks = marks(run, axis);
    let untimed = run.checked.violations.iter().filter(|it| it.at_us.is_none()).count();
    html! {
        @if !run.checked.violations.is_empty() {
            text class="lane" x="0" y=(at(top + 13.0)) { "Violations" }
        }
        @for mark in &marks {
            // What is near the right edge is written to the left of its mark.
            @let (x, anchor) = if mark.x > WIDTH - RIGHT - TOGETHER { (mark.x - 8.0, "end") } else { (mark.x + 8.0, "start") };
            g class="broken" {
                title { (hover(mark)) }
                line x1=(at(mark.x)) x2=(at(mark.x)) y1=(at(from)) y2=(at(top + 4.0)) {}
                path d=(format!("M{} {}l8 8m0 -8l-8 8", at(mark.x - 4.0), at(top + 5.0))) {}
                text x=(at(x)) y=(at(top + 13.0)) text-anchor=(anchor) { (label(mark)) }
            }
        }
        @if marks.is_empty() && untimed > 0 {
            text x=(LEFT) y=(at(top + 13.0)) { (count(untimed as u64)) " that were found after the run, of no one time" }
        }
    }
}

fn label(mark: &Mark<'_>) -> String {
    let first = mark.of.first().map_or("", |it| it.invariant.code());
    if mark.of.len() > 1 { format!("{first} +{}", mark.of.len() - 1) } else { first.to_owned() }
}

fn hover(mark: &Mark<'_>) -> String {
    let one = |it: &&Violation| {
        let at = second(it).map(clock).unwrap_or_default();
        format!("{at} {}: {}", it.invariant.code(), it.what)
    };
    let mut lines: Vec<String> = mark.of.iter().take(5).map(one).collect();
    if mark.of.len() > 5 {
        lines.push(format!("and {} more", mark.of.len() - 5));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Invariant;

    #[test]
    fn violations_stand_at_their_times_and_those_together_are_one_mark() {
        let json = r#"{"version":1,"title":"t","file":"f","seed":1,"started_at":"s","seconds":60,"replay":"r","verdict":"held","hypothesis":[],"faults":[],"load":{},"checked":{"operations":0,"done":0,"refused":0,"unavailable":0,"unknown":0,"ledger_rows":0,"audit_rows":0,"searched":0,"not_searched":0,"violations":[],"violations_total":0,"took_ms":0},"series":[]}"#;
        let mut run: RunReport = serde_json::from_str(json).expect("a report");
        let one = |at_us| Violation {
            invariant: Invariant::Sv1,
            what: "node-2 ended".to_owned(),
            at_us,
            operations: Vec::new(),
        };
        run.checked.violations =
            [Some(50_000_000), None, Some(10_000_000), Some(10_100_000)].map(one).to_vec();
        let axis = Axis::new(60.0);
        let marks = marks(&run, axis);
        let told: Vec<(f64, String)> = marks.iter().map(|it| (it.x, label(it))).collect();
        let want = [(axis.x(10.0), "SV-1 +1".to_owned()), (axis.x(50.0), "SV-1".to_owned())];
        assert_eq!(told, want);
        assert!(hover(&marks[1]).starts_with("0:50 SV-1: node-2 ended"));
        assert_eq!(last_s(&run), 50.0);
    }
}
