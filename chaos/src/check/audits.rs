//! AU-1: every booking and every act of an operator has its record, and the logs verify.

use std::collections::BTreeMap;

use super::found::Found;
use super::history::History;
use super::ledger::Ledger;
use super::operation::{Operation, What};
use super::record::{Audit, Told};
use crate::history::{AtEnd, AtUs};
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

/// How often each account's log has an event of a subject.
type Records<'a> = BTreeMap<(u32, &'a str, &'a str), u64>;

/// Acts are compared by account, route and count: their records do not say what was asked.
pub fn acts(history: &History, audit: &Audit, found: &mut Found) {
    let mut records = Records::new();
    for (account, event, subject) in &audit.acts {
        let [event, subject] = [event, subject].map(|name| history.names.text(*name));
        *records.entry((*account, event, subject)).or_default() += 1;
    }
    let mut done: BTreeMap<(u32, &str, u32), Vec<u64>> = BTreeMap::new();
    let mut caps: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for op in history.operations.iter().filter(|op| op.is_done()) {
        let of = |budget| history.budgets.get(budget).copied().unwrap_or_default();
        let (act, (account, campaign)) = match op.what {
            What::Pause { budget } => ("pause", of(budget)),
            What::Resume { budget } => ("resume", of(budget)),
            What::SetCap { budget, .. } => {
                caps.entry(of(budget).0).or_default().push(op.id);
                continue;
            }
            _ => continue,
        };
        done.entry((account, act, campaign)).or_default().push(op.id);
    }
    for ((account, act, campaign), ids) in done {
        let subject = format!("/api/v1/allocations/{}/{act}", history.names.text(campaign));
        let event = format!("allocation.{act}d");
        let key = (account, event.as_str(), subject.as_str());
        let there = records.get(&key).copied().unwrap_or_default();
        if there < ids.len() as u64 {
            found.add(Au1, None, &ids[..ids.len().min(8)], || {
                format!("{} of {subject} were acknowledged, the audit log has {there}", ids.len())
            });
        }
    }
    for (account, ids) in caps {
        budgets_set(history, audit, &records, (account, &ids), found);
    }
    consents(history, &records, found);
}

/// Budgets were set before the load, too: each one once, but for those of campaigns that bid, which have them
/// from when they were made.
fn budgets_set(
    history: &History,
    audit: &Audit,
    records: &Records,
    (account, ids): (u32, &[u64]),
    found: &mut Found,
) {
    let begun = 0..history.begin.budgets.len() as u32;
    let prepared = begun
        .filter(|budget| history.account_of(*budget) == account && !audit.bidding.contains(budget));
    let prepared = prepared.count() as u64;
    let sets = ["allocation.set", "allocation.topped_up"];
    let of = records.iter().filter(|((of, event, _), _)| *of == account && sets.contains(event));
    let there: u64 = of.map(|(_, count)| *count).sum();
    if there < ids.len() as u64 + prepared {
        found.add(Au1, None, &ids[..ids.len().min(8)], || {
            let name = history.names.text(account);
            format!(
                "{name}: {} changes of budgets were acknowledged after {prepared} were set, the audit log has {there}",
                ids.len()
            )
        });
    }
}

/// Only what changes a consent is written down, and the log does not say whose it is. So those are counted that
/// certainly changed it: given, then taken back, and so on, each begun after the last was acknowledged.
fn consents(history: &History, records: &Records, found: &mut Found) {
    let mut acked: Vec<(u32, AtUs, &Operation)> = Vec::new();
    for op in history.operations.iter().filter(|op| op.is_done()) {
        if let What::Grant { flag } | What::Revoke { flag } = op.what {
            acked.push((flag, op.complete, op));
        }
    }
    acked.sort_unstable_by_key(|(flag, complete, op)| (*flag, *complete, op.id));
    let mut least: BTreeMap<(u32, &str, u32), Vec<u64>> = BTreeMap::new();
    for of_flag in acked.chunk_by(|a, b| a.0 == b.0) {
        let (mut on, mut since) = (false, None);
        for (flag, complete, op) in of_flag {
            let gives = matches!(op.what, What::Grant { .. });
            if gives == on || since.is_some_and(|since| op.invoke <= since) {
                continue;
            }
            (on, since) = (gives, Some(*complete));
            let (account, _, consent) = history.flags.get(*flag).copied().unwrap_or_default();
            let event = if gives { "consent.granted" } else { "consent.revoked" };
            least.entry((account, event, consent)).or_default().push(op.id);
        }
    }
    for ((account, event, consent), ids) in least {
        let [name, consent] = [account, consent].map(|id| history.names.text(id));
        let there = records.get(&(account, event, consent)).copied().unwrap_or_default();
        if there < ids.len() as u64 {
            found.add(Au1, None, &ids[..ids.len().min(8)], || {
                let count = ids.len();
                format!("{name}: at least {count} {event} of {consent} were acknowledged, the audit log has {there}")
            });
        }
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
