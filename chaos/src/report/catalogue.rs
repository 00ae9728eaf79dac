//! `docs/CHAOS.md`: what many runs have shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::format::{count, percent, recovered, verdict};
use super::model::RunReport;
use crate::verdict::Verdict;

/// A fault that was planted in the platform, to see whether the suite finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    pub name: String,
    pub what: String,
    /// The experiment and the invariant that found it; nothing where it was not found.
    pub caught_by: Option<(String, String)>,
    /// Runs that found it, of how many.
    pub caught: u32,
    pub runs: u32,
}

pub fn catalogue(runs: &[RunReport], mutants: &[Mutant]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(runs, mutants, &mut text);
    text
}

fn write(runs: &[RunReport], mutants: &[Mutant], out: &mut String) -> std::fmt::Result {
    writeln!(out, "# Experiments with faults\n")?;
    writeln!(
        out,
        "What `kiki-chaos` did to clusters of this release, and what it found. Written by it from the reports of the runs.\n"
    )?;
    totals(runs, out)?;
    experiments(runs, out)?;
    planted(mutants, out)
}

fn totals(runs: &[RunReport], out: &mut String) -> std::fmt::Result {
    let seeds: BTreeSet<u64> = runs.iter().map(|run| run.seed).collect();
    let sum = |of: fn(&RunReport) -> u64| runs.iter().map(of).sum::<u64>();
    let operations = sum(|run| run.checked.operations);
    let unknown = sum(|run| run.checked.unknown);
    let part = if operations == 0 { 0.0 } else { unknown as f64 / operations as f64 };
    let recovery: Vec<f64> = runs.iter().flat_map(|run| run.recovery_ms.iter().copied()).collect();
    let with = |verdict: Verdict| runs.iter().filter(|run| run.verdict == verdict).count();
    writeln!(out, "## In all\n\n| figure | |\n|---|---|")?;
    let mut row = |name: &str, value: String| writeln!(out, "| {name} | {value} |");
    row("runs", count(runs.len() as u64))?;
    row("seeds", count(seeds.len() as u64))?;
    for verdict_of in
        [Verdict::Held, Verdict::HypothesisFailed, Verdict::InvariantViolated, Verdict::CouldNotRun]
    {
        row(&verdict(verdict_of).0.to_lowercase(), count(with(verdict_of) as u64))?;
    }
    row("operations checked", count(operations))?;
    row("of them without a known outcome", percent(part))?;
    row("ledger rows compared", count(sum(|run| run.checked.ledger_rows)))?;
    row("audit records compared", count(sum(|run| run.checked.audit_rows)))?;
    row("violations", count(sum(|run| run.checked.violations_total)))?;
    row("faults that were not undone", count(sum(|run| run.not_undone() as u64)))?;
    row("recoveries measured", count(recovery.len() as u64))?;
    row("recovery, p50", recovered(&recovery, 0.5))?;
    row("recovery, p99", recovered(&recovery, 0.99))?;
    row("budgets and consents never served again", count(sum(|run| run.never_served.all())))?;
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for fault in runs.iter().flat_map(|run| &run.faults) {
        kinds.entry(&fault.kind).or_default().1 += 1;
    }
    for fault in runs.iter().flat_map(RunReport::done) {
        kinds.entry(&fault.kind).or_default().0 += 1;
    }
    writeln!(
        out,
        "\nA recovery is the time from the end of a fault (of a kill: from its beginning) until every budget and consent that failed under it was served again."
    )?;
    writeln!(out, "\n## Faults\n\n| kind | done | ordered |\n|---|---|---|")?;
    for (kind, (done, ordered)) in kinds {
        writeln!(out, "| {} | {} | {} |", cell(kind), count(done), count(ordered))?;
    }
    writeln!(out)
}

fn experiments(runs: &[RunReport], out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "## By experiment\n\n| experiment | file | runs | held | operations | unknown | faults | violations | recovery p50 / p99 |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    let mut by: BTreeMap<(&str, &str), Vec<&RunReport>> = BTreeMap::new();
    for run in runs {
        by.entry((&run.title, &run.file)).or_default().push(run);
    }
    for ((title, file), runs) in by {
        let sum = |of: fn(&RunReport) -> u64| runs.iter().map(|run| of(run)).sum::<u64>();
        let recovery: Vec<f64> =
            runs.iter().flat_map(|run| run.recovery_ms.iter().copied()).collect();
        let operations = sum(|run| run.checked.operations);
        let unknown = sum(|run| run.checked.unknown);
        let part = if operations == 0 { 0.0 } else { unknown as f64 / operations as f64 };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} / {} |",
            cell(title),
            cell(file),
            runs.len(),
            runs.iter().filter(|run| run.verdict == Verdict::Held).count(),
            count(operations),
            percent(part),
            count(sum(|run| run.done().count() as u64)),
            count(sum(|run| run.checked.violations_total)),
            recovered(&recovery, 0.5),
            recovered(&recovery, 0.99),
        )?;
    }
    writeln!(out)
}

fn planted(mutants: &[Mutant], out: &mut String) -> std::fmt::Result {
    let caught = mutants.iter().filter(|mutant| mutant.caught_by.is_some()).count();
    writeln!(out, "## Faults that were planted in the platform\n")?;
    writeln!(out, "{caught} of {} were found.\n", mutants.len())?;
    writeln!(out, "| mutant | what it does | found by | as | in runs |\n|---|---|---|---|---|")?;
    for mutant in mutants {
        let (by, invariant) =
            mutant.caught_by.as_ref().map_or(("**not found**", "–"), |(by, of)| (by, of));
        writeln!(
            out,
            "| {} | {} | {} | {} | {} of {} |",
            cell(&mutant.name),
            cell(&mutant.what),
            if mutant.caught_by.is_some() { cell(by) } else { by.to_owned() },
            cell(invariant),
            mutant.caught,
            mutant.runs
        )?;
    }
    Ok(())
}

/// Text from outside stays within its cell, and is no markup.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
