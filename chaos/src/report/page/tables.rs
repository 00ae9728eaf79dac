//! What the drawing shows, in figures and words.

use maud::{Markup, html};

use crate::report::format::{clock, count, millis, not_searched, percent, recovered};
use crate::report::model::{Fault, Reading, RunReport, Undo};
use crate::verdict::Invariant;

pub fn all(run: &RunReport) -> Markup {
    html! {
        (violations(run))
        (hypothesis(run))
        (faults(run))
        (load(run))
        (notes(run))
    }
}

fn violations(run: &RunReport) -> Markup {
    let checked = &run.checked;
    html! {
        section {
            h2 { "Invariants" }
            @if checked.operations == 0 && checked.violations.is_empty() {
                p class="none" { "Nothing was compared." }
            } @else if checked.violations.is_empty() {
                p class="none" { "None was broken: " (compared(run)) }
                (order(run))
            } @else {
                div class="scroll" {
                    table {
                        tr { th { "Invariant" } th { "What" } th class="n" { "At" } th { "Operations" } }
                        @for violation in &checked.violations {
                            tr {
                                td { span class="no" { (violation.invariant.code()) } }
                                td class="words" { (violation.what) }
                                td class="n" { @if let Some(at) = violation.at_us { (clock(at as f64 / 1e6)) } }
                                td { (ids(&violation.operations)) }
                            }
                        }
                    }
                }
                @if checked.violations_total > checked.violations.len() as u64 {
                    p class="none" { "and " (count(checked.violations_total - checked.violations.len() as u64)) " more" }
                }
                p class="none" { (compared(run)) }
                (order(run))
            }
        }
    }
}

fn compared(run: &RunReport) -> String {
    let checked = &run.checked;
    let [operations, rows, records] =
        [checked.operations, checked.ledger_rows, checked.audit_rows].map(count);
    let mut words = format!(
        "{operations} operations, {rows} ledger rows and {records} audit records were compared."
    );
    if !checked.not_judged.is_empty() {
        let codes: Vec<&str> = checked.not_judged.iter().map(|it| it.code()).collect();
        words += &format!(" Not judged: {}.", codes.join(", "));
    }
    words
}

/// Whether the answers of each key were searched for an order that explains them. A search that was not done has
/// found nothing, and says so.
fn order(run: &RunReport) -> Markup {
    let checked = &run.checked;
    let why = not_searched(checked);
    let broken = checked.violations.iter().filter(|it| it.invariant == Invariant::Linear).count();
    html! {
        @if let Some(why) = &why {
            @if checked.searched == 0 {
                p class="none" { span class="no" { "An order of the answers was not searched for" } ": " (why) "." }
            } @else {
                p class="none" { "Not searched: " (count(checked.not_searched)) " of " (count(checked.searched + checked.not_searched)) " keys: " (why) "." }
            }
        }
        @if checked.searched > 0 && broken == 0 {
            p class="none" { "An order that explains the answers was found for " (count(checked.searched)) " keys." }
        }
        @if checked.searched == 0 && why.is_none() {
            p class="none" { "No key had answers to be searched for an order." }
        }
    }
}

fn ids(operations: &[u64]) -> String {
    let shown: Vec<String> = operations.iter().take(8).map(u64::to_string).collect();
    let more = if operations.len() > 8 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn hypothesis(run: &RunReport) -> Markup {
    html! {
        section {
            h2 { "Steady state" }
            div class="scroll" {
                table {
                    tr { th { "Probe" } th { "Tolerated" } th { "Before" } th { "After" } }
                    @for probe in &run.hypothesis {
                        tr {
                            td class="words" { (probe.name) }
                            td { (probe.tolerance) }
                            @if probe.only_after() {
                                td { span class="off" { "–" } }
                            } @else {
                                td { (reading(&probe.before)) }
                            }
                            td { (reading(&probe.after)) }
                        }
                    }
                }
            }
        }
    }
}

fn reading(reading: &Option<Reading>) -> Markup {
    html! {
        @match reading {
            Some(Reading { value, held: true }) => { span class="ok" { "✓" } " " (value) }
            Some(Reading { value, held: false }) => { span class="no" { "✕" } " " (value) }
            None => span class="off" { "not read" },
        }
    }
}

fn faults(run: &RunReport) -> Markup {
    // Steps beside each other come in the order in which they were done.
    let mut faults: Vec<&Fault> = run.faults.iter().collect();
    faults.sort_by_key(|it| it.number);
    let time = |at: Option<f64>| at.map(clock).unwrap_or_else(|| "–".to_owned());
    html! {
        section {
            h2 { "Faults" }
            @if run.faults.is_empty() {
                p class="none" { "None was ordered." }
            } @else {
                div class="scroll" {
                    table {
                        tr { th class="n" { "No." } th { "Name" } th { "Fault" } th { "Target" } th { "By" } th class="n" { "From" } th class="n" { "To" } th class="n" { "Struck" } th { "Undone" } }
                        @for fault in &faults {
                            tr {
                                td class="n" { (fault.number) }
                                td class="whole" { (fault.id) }
                                td class="whole" { (fault.kind) }
                                td class="wide" { (fault.target) }
                                td class="whole" { (fault.way) }
                                td class="n" { (time(fault.began_s)) }
                                td class="n" { (time(fault.ended_s)) }
                                td class="n" { (fault.struck.map_or_else(|| "–".to_owned(), count)) }
                                td {
                                    @match &fault.undo {
                                        Undo::Nothing => span class="off" { "nothing to undo" },
                                        Undo::Undone => span class="ok" { "✓ undone" },
                                        Undo::Failed { why } => { span class="no" { "✕ not undone" } " " (why) }
                                        Undo::NotDone { why } => { span class="off" { "not done" } " " (why) }
                                    }
                                }
                            }
                        }
                    }
                }
                (recovery(run))
            }
        }
    }
}

/// How soon those were served again who failed under a fault, and who never was.
fn recovery(run: &RunReport) -> Markup {
    let never = run.never_served;
    let (p50, p99) = (recovered(&run.recovery_ms, 0.5), recovered(&run.recovery_ms, 0.99));
    html! {
        @if never.all() > 0 {
            p { span class="no" { "✕ " (never.words()) } "." }
        }
        @if !run.recovery_ms.is_empty() {
            p class="none" {
                @if never.all() > 0 { "Every other budget" } @else { "Every budget" }
                " that failed under a fault was served again after " (p50) " (p50), " (p99) " (p99), counted from the fault's end; from its beginning where it killed."
            }
        }
    }
}

fn load(run: &RunReport) -> Markup {
    html! {
        section {
            h2 { "Load" }
            div class="scroll" {
                table {
                    tr {
                        th { "Clients" }
                        @for name in ["Arrived", "Not sent", "Operations", "Done", "Refused", "Unavailable", "Unknown", "Wrong", "p50", "p99"] {
                            th class="n" { (name) }
                        }
                    }
                    @for (kind, of) in &run.load.kinds {
                        tr {
                            td { (kind.as_str()) }
                            @for n in [of.arrived, of.not_sent, of.operations, of.done, of.refused, of.unavailable, of.unknown, of.wrong] {
                                td class="n" { (count(n)) }
                            }
                            td class="n" { (millis(of.p50_ms)) }
                            td class="n" { (millis(of.p99_ms)) }
                        }
                    }
                }
            }
            @if run.load.total().not_sent > 0 {
                p class="none" {
                    (percent(run.load.total().not_sent as f64 / run.load.total().arrived.max(1) as f64))
                    " of what arrived was not sent: as much as may be was under way."
                }
            }
        }
    }
}

fn notes(run: &RunReport) -> Markup {
    let notes: Vec<&String> =
        run.too_little.iter().chain(&run.load.wrong).chain(&run.notes).collect();
    html! {
        @if !notes.is_empty() {
            section {
                h2 { "To know" }
                ul { @for note in notes { li { (note) } } }
            }
        }
    }
}
