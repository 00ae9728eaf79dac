//! `/shield/auditor`: sees that logs are written, signed, copied, and dropped when their time is
//! over.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::copy::Files;
use super::copying::{Copied, copy};
use super::log::Msg as LogMsg;
use super::patrol::{Round, patrol};
use super::{PENDING_AGE_US, away, metrics, spool};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::cluster::node::Role;
use crate::models::cluster::shard::{SHARDS, Shard};
use crate::models::shield::audit::month::Month;
use crate::store::StoreError;

const EVERY: Duration = Duration::from_millis(250);
/// Ticks between two copies, looks for pending records and for those put aside, heads, looks for gaps,
/// and retentions.
const COPY_TICKS: u64 = 4;
const PENDING_TICKS: u64 = 8;
const SPOOL_TICKS: u64 = 12;
const SIGN_TICKS: u64 = 4 * 60;
const GAPS_TICKS: u64 = 4 * 300;
const RETAIN_TICKS: u64 = 4 * 3_600;
/// After the start, or after the actor's.
const FIRST_VERIFY: Duration = Duration::from_secs(600);
const PAGE: u32 = 256;
/// Accounts that are named in the view.
const NAMED: usize = 32;

pub struct AuditorActor {
    shared: Arc<Shared>,
    ticks: u64,
    files: Option<Files>,
    copying: bool,
    /// Accounts for whose log on another node something is on its way.
    away: BTreeSet<Arc<str>>,
    /// The shards that were here at the last look for what others have left unsigned.
    stays: Stays,
    /// Records that were put aside are on their way.
    sending: bool,
    /// The next verification of all logs; none while one runs.
    verify_at: Option<Instant>,
    /// What earlier lives have put aside is known.
    counted: bool,
    view: View,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    directory: PathBuf,
    /// Rounds that ended, four a second.
    rounds: u64,
    records_copied: u64,
    heads_exported: u64,
    /// Copies of months whose records are dropped, that were removed.
    copies_removed: u64,
    /// Records put aside that wait for their log, and those that have reached it.
    unwritten: u64,
    written_late: u64,
    /// The last verification of all logs: when it ended (micros since the epoch), how many logs and
    /// records it read, and the accounts whose log does not verify.
    verified_at: Option<i64>,
    logs_verified: u64,
    records_verified: u64,
    unverified: Vec<String>,
    last_verify_error: Option<String>,
    last_error: Option<String>,
    last_spool_error: Option<String>,
    last_warning: Option<String>,
}

pub enum Msg {
    Tick,
    Copied(Box<Copied>),
    Sent(io::Result<u64>),
    SentAway(Arc<str>),
    Patrolled(Box<Round>),
}

impl AuditorActor {
    pub fn new(shared: Arc<Shared>) -> AuditorActor {
        let view = View { directory: shared.audit.dir.clone(), ..View::default() };
        let (copying, sending, counted) = (false, false, false);
        // not with everything else that a start does, and soon enough for who restarts daily
        let soon = FIRST_VERIFY.min(shared.audit.verify_every);
        let verify_at = Some(Instant::now() + soon);
        let away = BTreeSet::new();
        AuditorActor {
            shared,
            ticks: 0,
            files: None,
            copying,
            away,
            stays: Stays::default(),
            sending,
            verify_at,
            counted,
            view,
        }
    }

    /// Tells an account's log, if it is here: the auditor beside another log tells that one.
    fn tell(&self, account: &str, msg: LogMsg) {
        if !self.is_here(account) {
            return;
        }
        // a log that is busy is told again in the next round
        if let Some(logs) = self.shared.audit.logs.get()
            && let Err(refused) = logs.tell(account, msg)
        {
            tracing::debug!(account, ?refused, "the log of {account} is busy");
        }
    }

    fn is_here(&self, account: &str) -> bool {
        self.shared.placement.admits(BudgetName::account(account).place())
    }

    /// What waits for a log on another node goes there, one message at a time.
    fn send_away(&mut self, account: Arc<str>, cx: &mut Cx<Self>) {
        if self.away.insert(Arc::clone(&account)) {
            let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&account));
            cx.pipe(away::send(shared, own, false), move |()| Msg::SentAway(account));
        }
    }

    /// All accounts with a log, a page at a time.
    async fn every_log(&self, mut each: impl FnMut(&str)) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows = self.shared.store.audit_logs(&after, PAGE).await?;
            rows.iter().for_each(|row| each(&row.account));
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => after = last.account.clone(),
                _ => return Ok(()),
            }
        }
    }

    async fn look(&mut self, cx: &mut Cx<Self>) -> Result<(), StoreError> {
        for account in self.shared.audit.feeds.waiting() {
            match self.is_here(&account) {
                true => self.tell(&account, LogMsg::Look),
                false => self.send_away(account, cx),
            }
        }
        let ticks = self.ticks;
        let first = ticks == 0;
        let due = |every: u64| ticks.is_multiple_of(every);
        if first {
            self.stays = self.stays_now();
            let mut all = Vec::new();
            self.every_log(|account| all.push(Arc::from(account))).await?;
            all.retain(|account: &Arc<str>| self.is_here(account));
            self.shared.audit.dirty(all.iter().cloned());
            self.shared.audit.unsigned(all);
        }
        if due(PENDING_TICKS) {
            self.pending().await?;
        }
        if due(GAPS_TICKS) && !super::feed::left_out() {
            self.gaps().await?;
        }
        if due(PENDING_TICKS) && !first {
            self.take_over().await?;
        }
        if due(SIGN_TICKS) && !first {
            for account in self.shared.audit.to_sign() {
                self.tell(&account, LogMsg::Sign { all: false });
            }
        }
        if due(RETAIN_TICKS)
            && let Ok(month) = Month::of(clock::wall_us() - self.shared.audit.retention_us)
        {
            self.every_log(|account| self.tell(account, LogMsg::Retain(month))).await?;
        }
        if due(SPOOL_TICKS) {
            self.send(cx);
        }
        if due(COPY_TICKS) && !self.copying {
            self.copy(cx);
        }
        if self.verify_at.is_some_and(|at| at <= Instant::now()) {
            self.verify_at = None;
            let shared = Arc::clone(&self.shared);
            let round = async move { patrol(&shared).await };
            cx.pipe(round, |round| Msg::Patrolled(Box::new(round)));
        }
        Ok(())
    }

    /// Shards of this node, each with the epoch of its stay here.
    fn stays_now(&self) -> Stays {
        let all = (0..SHARDS).map(|place| Shard::of(Role::Shield, place));
        let stays = all.map(|shard| (shard, self.shared.placement.epoch(shard)));
        stays.filter(|(_, epoch)| *epoch >= 0).collect()
    }

    /// Logs that came from another node since the last look: it may have left them without a head of all that they
    /// have, or with one that is not in the copies, and if nothing is written, nobody else would see to that.
    async fn take_over(&mut self) -> Result<(), StoreError> {
        let now = self.stays_now();
        let came = came(&self.stays, &now);
        if !came.is_empty() {
            let mut taken: Vec<Arc<str>> = Vec::new();
            self.every_log(|account| {
                if came.contains(&BudgetName::account(account).place()) {
                    taken.push(Arc::from(account));
                }
            })
            .await?;
            // what was on its way to the log there is in the ledgers
            for account in &taken {
                self.tell(account, LogMsg::Behind);
            }
            self.shared.audit.dirty(taken.iter().cloned());
            self.shared.audit.unsigned(taken);
        }
        self.stays = now;
        Ok(())
    }

    /// Logs that records have not reached which were written with what they tell of. Each log is told,
    /// and reads its own: one that is stuck keeps no other from its records.
    async fn pending(&self) -> Result<(), StoreError> {
        let old = clock::wall_us() - PENDING_AGE_US;
        let mut after = String::new();
        loop {
            let accounts = self.shared.store.audit_pending_accounts(old, &after, PAGE).await?;
            for account in &accounts {
                self.tell(account, LogMsg::LookPending);
            }
            match accounts.last() {
                Some(last) if accounts.len() == PAGE as usize => after.clone_from(last),
                _ => return Ok(()),
            }
        }
    }

    /// Ledgers that are ahead of their log, as after a crash.
    async fn gaps(&self) -> Result<(), StoreError> {
        let mut after = (String::new(), String::new());
        loop {
            let rows = self.shared.store.audit_behind((&after.0, &after.1), PAGE).await?;
            for row in &rows {
                self.tell(&row.account, LogMsg::CatchUp(row.budget.as_str().into()));
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => {
                    after = (last.account.clone(), last.budget.clone());
                }
                _ => return Ok(()),
            }
        }
    }

    fn copy(&mut self, cx: &mut Cx<Self>) {
        let accounts = self.shared.audit.take_dirty();
        let dropped = self.shared.audit.take_dropped();
        if accounts.is_empty() && !dropped && self.files.is_some() {
            return;
        }
        self.copying = true;
        let (shared, files) = (Arc::clone(&self.shared), self.files.take());
        let copy = async move { copy(&shared, files, accounts, dropped).await };
        cx.pipe(copy, |copied| Msg::Copied(Box::new(copied)));
    }

    /// Appends what was put aside to its logs.
    fn send(&mut self, cx: &mut Cx<Self>) {
        let nothing = self.counted && self.shared.audit.spool.waiting() == 0;
        if self.sending || nothing {
            return;
        }
        self.sending = true;
        let (shared, counted) = (Arc::clone(&self.shared), self.counted);
        let send = async move {
            if !counted {
                spool::count(&shared.audit).await?;
            }
            spool::send(&shared.audit).await
        };
        cx.pipe(send, Msg::Sent);
    }

    fn sent(&mut self, sent: io::Result<u64>) {
        self.sending = false;
        match sent {
            Ok(sent) => {
                self.counted = true;
                self.view.written_late += sent;
                self.view.last_spool_error = None;
                if sent > 0 {
                    tracing::info!(sent, "records that were put aside are in the audit log");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if self.view.last_spool_error.as_ref() != Some(&error) {
                    tracing::error!(error, "records that were put aside are not in the audit log");
                }
                self.view.last_spool_error = Some(error);
            }
        }
    }

    fn patrolled(&mut self, round: Round) {
        self.verify_at = Some(Instant::now() + self.shared.audit.verify_every);
        metrics::patrolled(round.bad.len());
        if let Some(error) = &round.error {
            tracing::error!(error, "not every audit log could be verified");
        } else if round.bad.is_empty() {
            tracing::info!(logs = round.logs, records = round.records, "all audit logs verify");
        }
        self.view.verified_at = Some(clock::wall_us());
        (self.view.logs_verified, self.view.records_verified) = (round.logs, round.records);
        self.view.unverified = round.bad.into_iter().take(NAMED).map(|(name, _)| name).collect();
        self.view.last_verify_error = round.error;
    }

    fn copied(&mut self, copied: Copied) {
        self.copying = false;
        self.view.records_copied += copied.records;
        self.view.heads_exported += copied.heads;
        self.view.copies_removed += copied.removed;
        if copied.warning.is_some() {
            self.view.last_warning = copied.warning;
        }
        self.shared.audit.dirty(copied.more);
        match copied.files {
            Ok(files) => {
                self.shared.audit.heads_exported(files.heads());
                self.files = Some(files);
                self.view.last_error = None;
            }
            Err(error) => {
                metrics::not_copied();
                let error = error.to_string();
                if self.view.last_error.as_ref() != Some(&error) {
                    tracing::error!(error, "the readable copy of the audit cannot be written");
                }
                self.view.last_error = Some(error);
            }
        }
    }
}

/// Stays of shards on this node, by their epochs.
type Stays = BTreeMap<Shard, i64>;

/// The shards that are here now, and were not all the time since.
fn came(before: &Stays, now: &Stays) -> BTreeSet<Shard> {
    let came = now.iter().filter(|(shard, epoch)| before.get(*shard) != Some(*epoch));
    came.map(|(shard, _)| *shard).collect()
}

impl Actor for AuditorActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "auditor";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(EVERY, Msg::Tick);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Tick => {
                match self.look(cx).await {
                    Ok(()) => {
                        self.ticks += 1;
                        self.view.rounds = self.ticks;
                    }
                    // the store is away: the same round is tried again
                    Err(error) => self.view.last_error = Some(error.to_string()),
                }
                cx.send_after(EVERY, Msg::Tick);
            }
            Msg::Copied(copied) => self.copied(*copied),
            Msg::Sent(sent) => self.sent(sent),
            Msg::SentAway(account) => _ = self.away.remove(&account),
            Msg::Patrolled(round) => self.patrolled(*round),
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        for account in self.shared.audit.feeds.waiting_at_all() {
            if !self.is_here(&account) {
                away::send(Arc::clone(&self.shared), account, true).await;
            }
        }
    }

    fn view(&self) -> View {
        View { unwritten: self.shared.audit.spool.waiting(), ..self.view.clone() }
    }

    fn idle(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_that_came_or_came_back_is_looked_through_and_one_that_stayed_is_not() {
        let stays = |of: &[(u16, i64)]| -> Stays {
            of.iter().map(|(place, epoch)| (Shard::of(Role::Shield, *place), *epoch)).collect()
        };
        let before = stays(&[(1, 4), (2, 7), (3, 1)]);
        let now = stays(&[(1, 4), (2, 9), (5, 2)]);
        let expected = [2, 5].map(|place| Shard::of(Role::Shield, place));
        assert_eq!(came(&before, &now), BTreeSet::from(expected));
        assert_eq!(came(&now, &now), BTreeSet::new());
        assert_eq!(came(&Stays::default(), &before).len(), 3);
    }
}
