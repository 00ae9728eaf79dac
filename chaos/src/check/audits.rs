//! AU-1: every booking and every act of an operator has its record, and the logs verify.

use std::collections::BTreeMap;

use super::found::Found;
use super::history::History;
use super::ledger::Ledger;
use super::operation::What;
use super::record::{Audit, Told};
use crate::history::AtEnd;
use crate::verdict::Invariant::Au1;

pub fn bookings(history: &History, ledger: &Ledger, audit: &Audit, found: &mut Found) {
    let mut records: Vec<&Told> = audit.bookings.iter().collect();
    records.sort_unstable_by_key(|told| (told.budget, told.seq));
    let mut used = vec![false; records.len()];
    for row in ledger.rows {
        let key = (row.budget, row.seq);
        let from = records.partition_point(|told| (told.budget, told.seq) < key);
        let count = records[from..].iter().take_while(|t| (t.budget, t.seq) == key).count();
        used[from..from + count].fill(true);
        let at =
            |what: &str| format!("row {} of {} {what}", row.seq, history.budget_name(row.budget));
        let Some(told) = records[from..from + count].first() else {
            found.add(Au1, None, &[], || at("has no record in the audit log"));
            continue;
        };
        if count > 1 {
            found.add(Au1, None, &[], || at("has more than one record in the audit log"));
        }
        let agrees = told.kind == row.kind && told.amount == row.amount && told.op == row.op;
        if !agrees || told.currency != row.currency || told.hold != row.hold {
            found.add(Au1, None, &[], || at("is another in the audit log"));
        }
    }
    for (told, used) in records.iter().zip(used) {
        if !used {
            found.add(Au1, None, &[], || {
                let of = history.budget_name(told.budget);
                format!("the audit log has {} of {of}, which is in no ledger", told.seq)
            });
        }
    }
}

/// Acts are compared by route and count: their records do not say what was asked.
pub fn acts(history: &History, audit: &Audit, found: &mut Found) {
    let mut records: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (event, subject) in &audit.acts {
        *records.entry((history.names.text(*event), history.names.text(*subject))).or_default() +=
            1;
    }
    let mut done: BTreeMap<(&str, u32), Vec<u64>> = BTreeMap::new();
    let mut caps = Vec::new();
    for op in history.operations.iter().filter(|op| op.is_done()) {
        let campaign = |budget| history.budgets.get(budget).map_or(0, |(_, campaign)| *campaign);
        match op.what {
            What::Pause { budget } => {
                done.entry(("pause", campaign(budget))).or_default().push(op.id)
            }
            What::Resume { budget } => {
                done.entry(("resume", campaign(budget))).or_default().push(op.id)
            }
            What::SetCap { .. } => caps.push(op.id),
            _ => {}
        }
    }
    for ((act, campaign), ids) in done {
        let subject = format!("/api/v1/allocations/{}/{act}", history.names.text(campaign));
        let event = format!("allocation.{act}d");
        let there = records.get(&(event.as_str(), subject.as_str())).copied().unwrap_or_default();
        if there < ids.len() as u64 {
            found.add(Au1, None, &ids[..ids.len().min(8)], || {
                format!("{} of {subject} were acknowledged, the audit log has {there}", ids.len())
            });
        }
    }
    let sets = ["allocation.set", "allocation.topped_up"];
    let there = records.iter().filter(|((event, _), _)| sets.contains(event)).map(|(_, n)| *n);
    let there: u64 = there.sum();
    if there < caps.len() as u64 {
        found.add(Au1, None, &caps[..caps.len().min(8)], || {
            format!(
                "{} changes of budgets were acknowledged, the audit logs have {there}",
                caps.len()
            )
        });
    }
}

pub fn logs(end: &AtEnd, found: &mut Found) {
    for log in &end.audits {
        if !log.verified {
            found.add(Au1, None, &[], || {
                format!("the audit log of {} does not verify", log.account)
            });
        }
        for finding in &log.findings {
            found.add(Au1, None, &[], || format!("the audit log of {}: {finding}", log.account));
        }
    }
}
