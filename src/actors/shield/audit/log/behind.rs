//! The ledgers that a log follows: what they have beyond it is read, in their order and once.
//!
//! A store that is away for a moment fails nobody here: a ledger that could not be read stays behind, and is read again.

use std::sync::Arc;

use super::super::lines;
use super::{AGAIN, LogActor, Msg};
use crate::actors::kernel::{Cx, Fault};
use crate::actors::shield::rows;
use crate::models::shield::entry::Entry;
use crate::planted::Planted;
use crate::store::StoreError;

/// Ledger rows read at once.
const LEDGER_PAGE: u32 = 1_000;
/// Pages read in one go: other messages have their turn in between.
const LEDGER_PAGES_MAX: u32 = 16;
/// Ledgers that are known to be behind at once.
const BEHIND_MAX: u32 = 256;

impl LogActor {
    /// Takes what waits in the feed; `all`: also what is only counted so far.
    pub(super) async fn gather(&mut self, all: bool, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let feed = self.shared.audit.feeds.of(&self.account);
        let mut behind: Vec<Arc<str>> = Vec::new();
        for booked in feed.take_booked() {
            if behind.contains(&booked.budget) {
                continue;
            }
            match self.cursor(&booked.budget).await? {
                Some(cursor) if booked.entry.seq <= cursor => {}
                Some(cursor) if booked.entry.seq == cursor + 1 => {
                    self.push_booked(&booked.budget, &booked.entry)?;
                }
                // rows before it did not come by, or nobody can say now: the ledger has it too
                Some(_) | None => behind.push(booked.budget),
            }
        }
        for budget in behind {
            self.catch_up(&budget, cx).await?;
        }
        for denied in &feed.take_denied(all) {
            self.push(lines::denied(denied)?);
        }
        for turned in feed.take_turned(all) {
            // its texts are a stranger's: one that makes no record is counted, and stops nobody
            match lines::turned(turned) {
                Ok(line) => self.push(line),
                Err(error) => self.unreadable(&error.to_string()),
            }
        }
        Ok(())
    }

    /// Reads what the ledger has beyond the log, as far as there is room for it.
    pub(super) async fn catch_up(
        &mut self,
        budget: &Arc<str>,
        cx: &mut Cx<Self>,
    ) -> Result<(), Fault> {
        self.behind.insert(Arc::clone(budget));
        for _ in 0..LEDGER_PAGES_MAX {
            if self.live()?.is_full() {
                break;
            }
            let Some(cursor) = self.cursor(budget).await? else { return self.put_off(cx) };
            let read = self.shared.store.ledger(&self.account, budget, cursor, LEDGER_PAGE).await;
            let Some(rows) = self.read(read)? else { return self.put_off(cx) };
            let more = rows.len() == LEDGER_PAGE as usize;
            for row in &rows {
                let entry = rows::entry_of(row)?;
                self.push_booked(budget, &entry)?;
            }
            if !more {
                self.behind.remove(budget);
                break;
            }
        }
        Ok(())
    }

    /// Goes on with every ledger that is behind. A life that has just begun asks the store which those are, as does who
    /// wants to be told when all is written: not everything comes by the feed of this node.
    pub(super) async fn go_on(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.put_off = false;
        if let Some(after) = self.unseen.clone()
            && !super::super::feed::left_out()
        {
            let read = self.shared.store.audit_behind_of(&self.account, &after, BEHIND_MAX).await;
            let Some(budgets) = self.read(read)? else { return self.put_off(cx) };
            // where there are more, these land first
            let more = budgets.len() == BEHIND_MAX as usize;
            self.unseen = budgets.last().filter(|_| more).cloned();
            self.behind.extend(budgets.into_iter().map(Arc::from));
        } else {
            self.unseen = None;
        }
        for budget in self.behind.clone() {
            if self.put_off {
                break;
            }
            self.catch_up(&budget, cx).await?;
        }
        Ok(())
    }

    /// Up to which row this ledger is in the log; none while the store is away.
    async fn cursor(&mut self, budget: &Arc<str>) -> Result<Option<i64>, Fault> {
        if let Some(seq) = self.live()?.cursor(budget) {
            return Ok(Some(seq));
        }
        let read = self.shared.store.audit_cursor(&self.account, budget).await;
        let Some(seq) = self.read(read)? else { return Ok(None) };
        self.live()?.moved(budget, seq, false);
        Ok(Some(seq))
    }

    fn push_booked(&mut self, budget: &Arc<str>, entry: &Entry) -> Result<(), Fault> {
        if Planted::AuditDropped.is_made() && entry.seq % 8 == 0 {
            self.live()?.moved(budget, entry.seq, true);
            return Ok(());
        }
        let line = lines::booked(budget, entry)?;
        if let Err(error) = self.live()?.push_known(&line, &lines::brief(entry)) {
            self.unreadable(&error.to_string());
        }
        self.live()?.moved(budget, entry.seq, true);
        Ok(())
    }

    /// What was read; none while the store is away, which passes.
    pub(super) fn read<T>(&mut self, read: Result<T, StoreError>) -> Result<Option<T>, Fault> {
        match read {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_transient() => {
                self.view.last_error = Some(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ledgers that are behind are read again in a moment.
    fn put_off(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        if !std::mem::replace(&mut self.put_off, true) {
            cx.send_after(AGAIN, Msg::Behind);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
