//! A run in a few lines.

use std::fmt::Write as _;

use super::format::{count, millis, not_searched, percent, rate, verdict};
use super::model::{RunReport, Undo};

/// Violations and notes that are shown; the report has all.
const SHOWN: usize = 5;

pub fn summary(run: &RunReport) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(run, &mut text);
    text
}

fn write(run: &RunReport, out: &mut String) -> std::fmt::Result {
    let (word, meaning) = verdict(run.verdict);
    let (checked, total) = (&run.checked, run.load.total());
    writeln!(out, "{}: {} (seed {})", word.to_uppercase(), one_line(&run.title), run.seed)?;
    if let Some(first) = run.cut_short() {
        writeln!(out, "  {first}")?;
    }
    writeln!(out, "  {}", run.why.as_deref().map_or_else(|| meaning.to_owned(), one_line))?;
    let served =
        if run.load.seconds > 0.0 { total.served() as f64 / run.load.seconds } else { 0.0 };
    writeln!(
        out,
        "  {} operations, {} served, p99 {}; {} without a known outcome",
        count(checked.operations),
        rate(served),
        millis(total.p99_ms),
        percent(run.unknown_part())
    )?;
    writeln!(
        out,
        "  checked {} ledger rows, {} audit records, {} keys ({} not searched): {} violations",
        count(checked.ledger_rows),
        count(checked.audit_rows),
        count(checked.searched),
        count(checked.not_searched),
        count(checked.violations_total)
    )?;
    if let Some(why) = not_searched(checked).filter(|_| checked.searched == 0) {
        writeln!(out, "  no order of the answers was searched for: {}", one_line(&why))?;
    }
    if run.never_served.all() > 0 {
        writeln!(out, "  {}", run.never_served.words())?;
    }
    for violation in checked.violations.iter().take(SHOWN) {
        writeln!(out, "    {} {}", violation.invariant.code(), one_line(&violation.what))?;
    }
    for probe in &run.hypothesis {
        for (when, reading) in [("before", &probe.before), ("after", &probe.after)] {
            if let Some(reading) = reading.as_ref().filter(|reading| !reading.held) {
                let (name, value) = (one_line(&probe.name), one_line(&reading.value));
                writeln!(
                    out,
                    "  {name} {when}: {value}, tolerated: {}",
                    one_line(&probe.tolerance)
                )?;
            }
        }
    }
    let mut by = |what: &str, n: usize| match n {
        0 => Ok(()),
        n => writeln!(out, "  {n} of {} faults {what}", run.faults.len()),
    };
    by("are not undone: kiki-chaos heal", run.not_undone())?;
    let not_done = |undo: &Undo| matches!(undo, Undo::NotDone { .. });
    by("could not be done here", run.faults.iter().filter(|fault| not_done(&fault.undo)).count())?;
    for note in run.too_little.iter().chain(&run.notes).take(SHOWN) {
        writeln!(out, "  {}", one_line(note))?;
    }
    writeln!(out, "  again: {}", one_line(&run.replay))
}

/// Text from outside moves no cursor and ends no line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
