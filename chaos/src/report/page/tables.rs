//! What the drawing shows, in figures and words.

use maud::{Markup, html};

use crate::report::format::{clock, count, millis, percent, quantile};
use crate::report::model::{Reading, RunReport, Undo};

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
                p class="none" {
                    "None was broken: " (count(checked.operations)) " operations, " (count(checked.ledger_rows)) " ledger rows and "
                    (count(checked.audit_rows)) " audit records were compared; of " (count(checked.searched))
                    " keys an order that explains the answers was found."
                    @if checked.not_searched > 0 { " Too large to be searched: " (count(checked.not_searched)) "." }
                }
            } @else {
                div class="scroll" {
                    table {
                        tr { th { "Invariant" } th { "What" } th class="n" { "At" } th { "Operations" } }
                        @for violation in &checked.violations {
                            tr {
                                td { span class="no" { (violation.invariant.code()) } }
                                td { (violation.what) }
                                td class="n" { @if let Some(at) = violation.at_us { (clock(at as f64 / 1e6)) } }
                                td { (ids(&violation.operations)) }
                            }
                        }
                    }
                }
                @if checked.violations_total > checked.violations.len() as u64 {
                    p class="none" { "and " (count(checked.violations_total - checked.violations.len() as u64)) " more" }
                }
            }
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
                            td { (probe.name) }
                            td { (probe.tolerance) }
                            td { (reading(&probe.before)) }
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
    let time = |at: Option<f64>| at.map(clock).unwrap_or_else(|| "–".to_owned());
    html! {
        section {
            h2 { "Faults" }
            @if run.faults.is_empty() {
                p class="none" { "None was ordered." }
            } @else {
                div class="scroll" {
                    table {
                        tr { th class="n" { "No." } th { "Fault" } th { "Target" } th { "By" } th class="n" { "From" } th class="n" { "To" } th { "Undone" } }
                        @for fault in &run.faults {
                            tr {
                                td class="n" { (fault.number) }
                                td { (fault.kind) }
                                td { (fault.target) }
                                td { (fault.way) }
                                td class="n" { (time(fault.began_s)) }
                                td class="n" { (time(fault.ended_s)) }
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
                @if !run.recovery_ms.is_empty() {
                    p class="none" {
                        "The steady state was back after " (millis(quantile(&run.recovery_ms, 0.5))) " (p50), "
                        (millis(quantile(&run.recovery_ms, 0.99))) " (p99)."
                    }
                }
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
