//! The report as one page that needs nothing else: no script, no font, no picture from anywhere.

mod axis;
mod faults;
mod latency;
mod operations;
mod owners;
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
                            p class="meaning" { (run.why.as_deref().unwrap_or(meaning)) }
                        }
                    }
                    p class="meta" {
                        (run.started_at) " · " (clock(run.seconds)) " min · seed " code { (run.seed) } " · " (run.file)
                        @if !run.platform.is_empty() { " · " (run.platform) }
                    }
                    (figures(run))
                    section {
                        h2 { "What happened" }
                        (timeline::timeline(run))
                    }
                    (tables::all(run))
                    section {
                        h2 { "The same again" }
                        pre { code { (run.replay) } }
                    }
                }
            }
        }
    }
    .into_string()
}

fn figures(run: &RunReport) -> Markup {
    let (total, checked) = (run.load.total(), &run.checked);
    let served =
        if run.load.seconds > 0.0 { total.served() as f64 / run.load.seconds } else { 0.0 };
    let done = run.done().count();
    let not_undone = run.not_undone();
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
            (tile("Faults", format!("{done}"), match (done, not_undone) { (0, _) => "none was done".to_owned(), (_, 0) => "all undone".to_owned(), (_, n) => format!("{n} not undone") }, not_undone > 0))
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
