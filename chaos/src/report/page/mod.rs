//! The report as one page that needs nothing else: no script, no font, no picture from anywhere.

mod axis;
mod broken;
mod faults;
mod latency;
mod operations;
mod owners;
mod phases;
mod style;
mod tables;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::format::{clock, count, millis, percent, rate, verdict};
use super::model::RunReport;
use crate::verdict::Verdict;

pub fn page(run: &RunReport) -> String {
    let (word, meaning) = verdict(run.verdict);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (word) ": " (run.title) }
                style { (PreEscaped(style::CSS)) }
            }
            body {
                main {
                    header class=(format!("verdict {}", tone(run.verdict))) {
                        span class="mark" aria-hidden="true" { (PreEscaped(mark(run.verdict))) }
                        div {
                            p class="word" { (word) }
                            h1 { (run.title) }
                            @if let Some(first) = run.cut_short() { p class="meaning" { (first) } }
                            p class="meaning" { (run.why.as_deref().unwrap_or(meaning)) }
                        }
                    }
                    p class="meta" {
                        (run.started_at) " · " (clock(run.seconds)) " min · seed " code { (run.seed) } " · " (run.file)
                        @if !run.platform.is_empty() { " · " (run.platform) }
                    }
                    (promise(run))
                    (figures(run))
                    section {
                        h2 { "What happened" }
                        (timeline::timeline(run))
                    }
                    (tables::all(run))
                    section {
                        h2 { "The same again" }
                        pre { code { (run.replay) } }
                        @for (what, sha256) in [("experiment", &run.file_sha256), ("kiki", &run.program_sha256)] {
                            @if !sha256.is_empty() { p class="sum" { "SHA-256 of " (what) ": " code { (sha256) } } }
                        }
                    }
                }
            }
        }
    }
    .into_string()
}

/// What the platform promises in this case. An empty line begins a paragraph.
fn promise(run: &RunReport) -> Markup {
    let paragraphs = run.description.split("\n\n").map(str::trim).filter(|it| !it.is_empty());
    html! {
        @if !run.description.trim().is_empty() {
            section class="promise" {
                h2 { "What is promised" }
                @for paragraph in paragraphs { p { (paragraph) } }
            }
        }
    }
}

/// How many of the faults that were ordered were done, what became of them, and whether that is bad.
fn ordered(run: &RunReport) -> (String, String, bool) {
    let (done, ordered, not_undone) = (run.done().count(), run.faults.len(), run.not_undone());
    let not_done = ordered - done;
    let mut told = Vec::new();
    if not_done > 0 {
        told.push(format!("{not_done} could not be done"));
    }
    match (done, not_undone) {
        (_, 1..) => told.push(format!("{not_undone} not undone")),
        (0, _) => {}
        (_, 0) => told.push("all undone".to_owned()),
    }
    let value = if not_done > 0 { format!("{done} of {ordered}") } else { done.to_string() };
    let small = if ordered == 0 { "none was ordered".to_owned() } else { told.join(", ") };
    (value, small, not_done + not_undone > 0)
}

fn figures(run: &RunReport) -> Markup {
    let (total, checked) = (run.load.total(), &run.checked);
    let served =
        if run.load.seconds > 0.0 { total.served() as f64 / run.load.seconds } else { 0.0 };
    let (faults, became, bad) = ordered(run);
    let tile = |label: &str, value: String, small: String, bad: bool| {
        html! {
            div class=(if bad { "tile bad" } else { "tile" }) {
                span class="label" { (label) }
                span class="value" { (value) }
                span class="small" { (small) }
            }
        }
    };
    html! {
        div class="tiles" {
            (tile("Violations", count(checked.violations_total), format!("of {} operations", count(checked.operations)), checked.violations_total > 0))
            (tile("Unknown outcomes", percent(run.unknown_part()), format!("{} operations", count(checked.unknown)), false))
            (tile("Served", rate(served), format!("p99 {}", millis(total.p99_ms)), !run.too_little.is_empty()))
            (tile("Faults", faults, became, bad))
            (tile("Ledger rows", count(checked.ledger_rows), format!("{} audit records", count(checked.audit_rows)), false))
        }
    }
}

fn tone(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::HypothesisFailed => "failed",
        Verdict::InvariantViolated => "violated",
        Verdict::CouldNotRun => "not-run",
    }
}

/// Told by its form as well as by its colour.
fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => {
            r#"<svg viewBox="0 0 24 24"><path d="M4.5 12.5l5 5 10-11" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>"#
        }
        Verdict::HypothesisFailed => {
            r#"<svg viewBox="0 0 24 24"><path d="M12 4.5v9M12 19v.5" fill="none" stroke="currentColor" stroke-width="3.2" stroke-linecap="round"/></svg>"#
        }
        Verdict::InvariantViolated => {
            r#"<svg viewBox="0 0 24 24"><path d="M6 6l12 12M18 6L6 18" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round"/></svg>"#
        }
        Verdict::CouldNotRun => {
            r#"<svg viewBox="0 0 24 24"><path d="M5 12h14" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round"/></svg>"#
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{Fault, Undo};

    #[test]
    fn a_fault_that_was_not_done_is_told_beside_those_that_were() {
        let json = r#"{"version":1,"title":"t","file":"f","seed":1,"started_at":"s","seconds":60,"replay":"r","verdict":"held","hypothesis":[],"faults":[],"load":{},"checked":{"operations":0,"done":0,"refused":0,"unavailable":0,"unknown":0,"ledger_rows":0,"audit_rows":0,"searched":0,"not_searched":0,"violations":[],"violations_total":0,"took_ms":0},"series":[]}"#;
        let run: RunReport = serde_json::from_str(json).expect("a report of an earlier version");
        assert!(!page(&run).contains("What is promised"));
        let of = |undo: &[Undo]| {
            let one = |undo: &Undo| Fault {
                number: 1,
                id: "it".to_owned(),
                kind: "kill".to_owned(),
                target: "node-1".to_owned(),
                way: "signal".to_owned(),
                began_s: None,
                ended_s: None,
                struck: Some(3),
                undo: undo.clone(),
            };
            ordered(&RunReport { faults: undo.iter().map(one).collect(), ..run.clone() })
        };
        let not_done = Undo::NotDone { why: "no right".to_owned() };
        let failed = Undo::Failed { why: "gone".to_owned() };
        let told = |value: &str, small: &str, bad| (value.to_owned(), small.to_owned(), bad);
        assert_eq!(of(&[]), told("0", "none was ordered", false));
        assert_eq!(of(&[Undo::Undone, Undo::Nothing]), told("2", "all undone", false));
        let seven = vec![Undo::Undone; 7];
        let eight = [seven, vec![not_done.clone()]].concat();
        assert_eq!(of(&eight), told("7 of 8", "1 could not be done, all undone", true));
        assert_eq!(
            of(std::slice::from_ref(&not_done)),
            told("0 of 1", "1 could not be done", true)
        );
        assert_eq!(of(&[Undo::Undone, failed]), told("2", "1 not undone", true));
    }
}
