//! Faults as bars, each with its name, packed into as few rows as no name covers another.

use maud::{Markup, html};

use super::axis::{Axis, LEFT, RIGHT, WIDTH, at};
use crate::report::format::clock;
use crate::report::model::{Fault, RunReport, Undo};

pub const ROW: f64 = 21.0;
const BAR: f64 = 16.0;
/// The narrowest bar that can be seen.
const NARROW: f64 = 4.0;
/// Of a character on average, at most; names are in a proportional font.
const CHARACTER: f64 = 6.3;
const NAME_MAX: usize = 60;
const GAP: f64 = 8.0;

pub struct Placed<'a> {
    fault: &'a Fault,
    name: String,
    row: usize,
    left: f64,
    width: f64,
    /// Where the name stands, and whether it is in the bar.
    text: f64,
    inside: bool,
}

/// Those that were done, each in the first row where it fits.
pub fn place(run: &RunReport, axis: Axis) -> Vec<Placed<'_>> {
    let mut begun: Vec<(&Fault, f64)> =
        run.done().filter_map(|fault| Some((fault, fault.began_s?))).collect();
    begun.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    // The right end of what is in each row.
    let mut rows: Vec<f64> = Vec::new();
    let mut placed = Vec::new();
    for (fault, began) in begun {
        let ended = fault.ended_s.unwrap_or(match fault.undo {
            Undo::Failed { .. } => axis.seconds,
            _ => began,
        });
        let left = axis.x(began).min(WIDTH - RIGHT - NARROW);
        let width = (axis.x(ended) - left).max(NARROW);
        let name = name(fault);
        let wide = name.chars().count() as f64 * CHARACTER;
        let inside = wide + 12.0 <= width;
        let after = left + width + 5.0;
        let (text, from, to) = if inside {
            (left + 6.0, left, left + width)
        } else if after + wide <= WIDTH {
            (after, left, after + wide)
        } else {
            (left - 5.0 - wide, left - 5.0 - wide, left + width)
        };
        let row = rows.iter().position(|end| *end + GAP <= from).unwrap_or(rows.len());
        match rows.get_mut(row) {
            Some(end) => *end = to,
            None => rows.push(to),
        }
        placed.push(Placed { fault, name, row, left, width, text: text.max(LEFT), inside });
    }
    placed
}

pub fn height(placed: &[Placed<'_>]) -> f64 {
    let rows = placed.iter().map(|one| one.row + 1).max().unwrap_or(1);
    rows as f64 * ROW
}

pub fn lane(placed: &[Placed<'_>], top: f64) -> Markup {
    html! {
        text class="lane" x="0" y=(at(top + 12.0)) { "Faults" }
        @if placed.is_empty() {
            text x=(LEFT) y=(at(top + 12.0)) { "none" }
        }
        @for one in placed {
            @let y = top + one.row as f64 * ROW;
            g {
                title { (hover(one.fault)) }
                rect class=(if matches!(one.fault.undo, Undo::Failed { .. }) { "bar left" } else { "bar" })
                    x=(at(one.left)) y=(at(y)) width=(at(one.width)) height=(at(BAR)) rx="3" {}
                text class=(if one.inside { "in" } else { "out" }) x=(at(one.text)) y=(at(y + 12.0)) { (one.name) }
            }
        }
    }
}

/// A light tint under the lanes above, wherever there was a fault: one tint, however many there were.
pub fn tints(placed: &[Placed<'_>], top: f64, height: f64) -> Markup {
    html! {
        @for (left, right) in together(placed) {
            rect class="tint" x=(at(left)) y=(at(top)) width=(at(right - left)) height=(at(height)) {}
        }
    }
}

/// From where to where there was any; those placed come by their beginnings.
fn together(placed: &[Placed<'_>]) -> Vec<(f64, f64)> {
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for one in placed {
        let (left, right) = (one.left, one.left + one.width);
        match spans.last_mut().filter(|(_, end)| *end >= left) {
            Some((_, end)) => *end = end.max(right),
            None => spans.push((left, right)),
        }
    }
    spans
}

fn name(fault: &Fault) -> String {
    let whole = format!("{} {}", fault.kind, fault.target);
    let mut name: String = whole.chars().take(NAME_MAX).collect();
    if whole.chars().nth(NAME_MAX).is_some() {
        name.push('…');
    }
    if matches!(fault.undo, Undo::Failed { .. }) { format!("✕ {name}") } else { name }
}

fn hover(fault: &Fault) -> String {
    let from = fault.began_s.map(clock).unwrap_or_default();
    let to = fault.ended_s.map(|at| format!(" to {}", clock(at))).unwrap_or_default();
    let undo = match &fault.undo {
        Undo::Failed { why } => format!(", not undone: {why}"),
        _ => String::new(),
    };
    format!("{} of {} by {}, {from}{to}{undo}", fault.kind, fault.target, fault.way)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::RunReport;

    fn run(faults: Vec<Fault>) -> RunReport {
        let json = r#"{"version":1,"title":"t","file":"f","seed":1,"started_at":"s","seconds":60,"replay":"r","verdict":"held","hypothesis":[],"faults":[],"load":{},"checked":{"operations":0,"done":0,"refused":0,"unavailable":0,"unknown":0,"ledger_rows":0,"audit_rows":0,"searched":0,"not_searched":0,"violations":[],"violations_total":0,"took_ms":0},"series":[]}"#;
        RunReport { faults, ..serde_json::from_str(json).expect("a report") }
    }

    #[test]
    fn no_bar_or_name_covers_another_and_none_leaves_the_drawing() {
        let fault = |n: u32| Fault {
            number: n,
            id: "it".to_owned(),
            kind: "network_partition".to_owned(),
            target: format!("node-{}", n % 3),
            way: "relay".to_owned(),
            began_s: Some(f64::from(n * 7 % 60)),
            ended_s: Some(f64::from(n * 7 % 60 + n % 9)),
            struck: Some(3),
            undo: Undo::Undone,
        };
        let run = run((0..40).map(fault).collect());
        let placed = place(&run, Axis::new(60.0));
        assert_eq!(placed.len(), 40);
        let span = |one: &Placed<'_>| {
            let wide = one.name.chars().count() as f64 * CHARACTER;
            (
                one.left.min(one.text),
                (one.left + one.width).max(if one.inside { 0.0 } else { one.text + wide }),
            )
        };
        let tinted = together(&placed);
        assert!(tinted.windows(2).all(|w| w[0].1 < w[1].0), "{tinted:?}");
        for (n, one) in placed.iter().enumerate() {
            let (left, right) = span(one);
            assert!(
                tinted.iter().any(|(from, to)| one.left >= *from && one.left + one.width <= *to)
            );
            assert!(left >= LEFT - 0.1 && right <= WIDTH + 0.1, "{} {left} {right}", one.name);
            for other in placed.iter().skip(n + 1).filter(|other| other.row == one.row) {
                assert!(
                    span(other).0 >= right || span(other).1 <= left,
                    "{} {}",
                    one.name,
                    other.name
                );
            }
        }
    }
}
