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

/// Undoes what the records in this run's folder tell of, the newest first, and removes each record after that. What
/// is of a lab, such as its network, has ended with the suite; `lab::heal`, afterwards, ends the rest of the lab.
///
/// It may be called again and again.
///
/// # Errors
/// The suite of the run still runs, a record is none of ours, or something could not be undone: its record stays.
pub async fn heal(folder: &Path) -> FaultResult<Vec<Healed>> {
    let records = record::all(folder)?;
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
    let admin = Admin::new(None)?;
    let (mut healed, mut errors) = (Vec::new(), Vec::new());
    for record in records {
        match one(&record, &admin, record.boot == boot).await {
            Ok(()) => {
                record.remove(folder)?;
                let Record { number, kind, target, .. } = record;
                healed.push(Healed { number, kind, target });
            }
            Err(error) => errors.push(FaultError::Bad(format!(
                "fault {} ({} of {}): {error}",
                record.number, record.kind, record.target
            ))),
        }
    }
    FaultError::all(errors).map(|()| healed)
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
