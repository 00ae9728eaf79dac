//! Undoes what a suite that died has left.

use std::path::Path;

use serde::Serialize;

use super::admin::Admin;
use super::error::{FaultError, FaultResult};
use super::left::Undoing;
use super::record::{self, Record};
use crate::lab::pid;

/// A fault of a run that died, and is over now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Healed {
    pub number: u32,
    pub kind: String,
    pub target: String,
}

/// What became of everything that a run had left.
#[derive(Debug, Default)]
pub struct Healing {
    pub healed: Vec<Healed>,
    /// What could not be undone, and records that nobody can read: they stay.
    pub errors: Vec<FaultError>,
}

/// The faults that a run has left, in words; also those whose record cannot be read.
pub fn left_in(folder: &Path) -> Vec<String> {
    let (records, bad) = match record::found(folder) {
        Ok(found) => found,
        Err(error) => (Vec::new(), vec![error]),
    };
    let known =
        records.iter().map(|it| format!("fault {} ({} of {})", it.number, it.kind, it.target));
    known.chain(bad.iter().map(ToString::to_string)).collect()
}

/// Undoes what the records in this run's folder tell of, the newest first, and removes each record after that. What
/// is of a lab, such as its network, has ended with the suite; `lab::heal`, afterwards, ends the rest of the lab.
///
/// It may be called again and again. A record that is none of ours, or a fault that cannot be undone, keeps no other from
/// being undone. `token` is for admin APIs that want one.
///
/// # Errors
/// The suite of the run still runs, or the folder cannot be read: nothing was done.
pub async fn heal(folder: &Path, token: Option<String>) -> FaultResult<Healing> {
    let (records, bad) = record::found(folder)?;
    let boot = pid::boot().map_err(|error| FaultError::io("the boot's id", error))?;
    let is_busy =
        |it: &&Record| it.boot == boot && it.suite.pid != std::process::id() && it.suite.is_alive();
    if let Some(record) = records.iter().find(is_busy) {
        let pid = record.suite.pid;
        return Err(FaultError::Bad(format!(
            "the suite that ordered fault {} still runs (pid {pid}): end it first, it undoes what it did",
            record.number
        )));
    }
    let admin = Admin::new(token)?;
    let mut healing = Healing { healed: Vec::new(), errors: bad };
    for record in records {
        let undone = one(&record, &admin, record.boot == boot).await;
        let undone = undone.and_then(|()| record.remove(folder));
        let Record { number, kind, target, .. } = record;
        match undone {
            Ok(()) => healing.healed.push(Healed { number, kind, target }),
            Err(error) => healing
                .errors
                .push(FaultError::Bad(format!("fault {number} ({kind} of {target}): {error}"))),
        }
    }
    Ok(healing)
}

async fn one(record: &Record, admin: &Admin, is_this_boot: bool) -> FaultResult<()> {
    let on = Undoing { at: None, admin, others: &[], is_over: record.is_over() };
    let mut errors = Vec::new();
    // What is on other machines stays over this one's end.
    let left = record.left.iter().rev().filter(|it| is_this_boot || it.is_elsewhere());
    for left in left {
        errors.extend(left.undo(&on).await.err());
    }
    FaultError::all(errors)
}
