//! Checks what clients did and were told against the platform's invariants (`docs/ARCHITECTURE.md`): the history of
//! a run, its ledgers, its audit logs, and what was read at its end. Pure but for the reading of the files.
//!
//! What is called a violation is proven: by answers that clients were given and their own clock, never
//! by a guess about what a service did in between. What is not known (a call that was never answered) may have
//! happened at any time after it began, or never.
//!
//! Budgets have to be those of this run alone, and keys none that an earlier run has used: what somebody else
//! booked or was granted is, for the checker, money that nobody asked for.

mod audits;
mod bids;
mod booked;
mod caps;
mod covered;
mod error;
mod folder;
mod found;
mod history;
mod late;
mod ledger;
mod linear;
mod lines;
mod logical;
mod looks;
mod names;
mod operation;
mod options;
mod overspend;
mod owners;
mod people;
mod pool;
mod record;
mod sequence;
mod services;
mod span;
pub mod stats;
mod sums;
mod switch;
#[cfg(test)]
mod tests;

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

pub use error::CheckError;
pub use folder::Sources;
use found::Found;
pub use history::{Fault, History};
use ledger::Ledger;
use logical::Asked;
pub use operation::{End, Key, NEVER, Operation, Told, What};
pub use options::Options;

use crate::verdict::Checked;

/// Checks the files of one run.
pub fn folder(folder: &Path, options: &Options) -> Result<Checked, CheckError> {
    let began = Instant::now();
    let history = read_folder(folder, options)?;
    let mut checked = self::history(&history, options);
    checked.took_ms = began.elapsed().as_millis() as u64;
    Ok(checked)
}

/// Reads the files of one run, for whoever wants figures of them, too ([`stats`]).
pub fn read_folder(folder: &Path, options: &Options) -> Result<History, CheckError> {
    folder::read(folder::open(folder)?, options)
}

/// The same of files that are anywhere.
pub fn read<R: BufRead>(sources: Sources<R>, options: &Options) -> Result<History, CheckError> {
    folder::read(sources, options)
}

/// Checks a run that was read.
pub fn history(history: &History, options: &Options) -> Checked {
    let began = Instant::now();
    let mut found = Found::default();
    let asked = Asked::of(history);
    let caps = caps::Caps::of(history);
    overspend::paused(history, &asked, &mut found);
    sequence::replays(history, &asked, &mut found);
    people::check(history, &mut found);
    owners::check(history, &mut found);
    services::answers(history, &mut found);
    let ledger = history.ledger.as_deref().map(Ledger::of);
    let mut fates = None;
    if let Some(ledger) = &ledger {
        let booked = booked::check(history, &asked, ledger, &mut found);
        sequence::rows(history, ledger, &mut found);
        sequence::order(history, &asked, &booked, ledger, &mut found);
        covered::budgets(history, ledger, &caps, &mut found);
        covered::windows(history, ledger, options, &mut found);
        let by = ledger::Booked::of(&asked, &booked, ledger);
        fates = Some((booked, by));
    }
    overspend::check(history, &asked, &caps, fates.as_ref().map(|(f, b)| (f, b)), &mut found);
    if let Some(audit) = &history.audit {
        audits::acts(history, audit, &mut found);
        if let Some(ledger) = &ledger {
            audits::bookings(history, ledger, audit, &mut found);
        }
    }
    if let Some(end) = &history.end {
        services::check(end, &mut found);
        audits::logs(end, &mut found);
        if let Some(ledger) = &ledger {
            sums::check(history, ledger, end, &caps, &mut found);
        }
    }
    let bids = bids::Bids::of(history);
    let booked = ledger.as_ref().zip(fates.as_ref().map(|(fates, _)| fates));
    if let Some(booked) = booked {
        looks::check(history, &asked, booked, (&caps, &bids), &mut found);
    }
    linear::check(history, &asked, booked.map(|(l, f)| (l, f, &bids)), options, &mut found);
    summary(history, found, began)
}

fn summary(history: &History, mut found: Found, began: Instant) -> Checked {
    let given_up = found.not_searched();
    let mut checked = Checked {
        operations: history.operations.len() as u64,
        ledger_rows: history.ledger.as_ref().map_or(0, |rows| rows.len() as u64),
        audit_rows: history.audit.as_ref().map_or(0, |audit| audit.records),
        searched: found.searched,
        not_searched: given_up.iter().map(|one| one.keys).sum(),
        given_up,
        violations_total: found.counts().values().sum(),
        counts: found.counts(),
        cut_off: !history.whole,
        ..Checked::default()
    };
    if !history.whole {
        found.note("the history was cut off: only what clients were told was checked; ledger, audit log and what was read of the platform after the run were not compared, as they tell of calls that are not in it");
    }
    for op in &history.operations {
        match op.end {
            End::Done(_) => checked.done += 1,
            End::Refused { .. } => checked.refused += 1,
            End::Unavailable => checked.unavailable += 1,
            // What became of a call whose answer makes no sense is as unknown as that of one without.
            End::Unknown | End::Wrong { .. } => checked.unknown += 1,
        }
    }
    checked.notes = std::mem::take(&mut found.notes);
    checked.violations = found.into_violations();
    checked.took_ms = began.elapsed().as_millis() as u64;
    checked
}
