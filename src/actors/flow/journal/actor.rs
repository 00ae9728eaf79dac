//! The actor: one thing at a time is asked of the store, beside it and not in it, so that it takes what comes
//! whatever the store does.

mod breakers;
mod end;
mod leave;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::counts::Counts;
use super::id::in_time;
use super::job::{Done, Job};
use super::message::{Filing, Made, Msg};
use super::metrics;
use super::overflow::{BYTES_MAX, Line as Filed, Overflow};
use super::shelf::Shelf;
use super::told::Told;
use super::turn::Turn;
use super::unknown::Unknown;
use crate::actors::flow::auction::Office;
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::{BudgetName, Writes};
use crate::clock;
use crate::models::flow::decision::Decision;
use crate::models::flow::decision::line::Line;
use crate::models::flow::decision::record::BreakerState;
use leave::Leaving;

const FLUSH_EVERY: Duration = Duration::from_millis(250);
/// Where somebody waits for a record, others that come within this time are written with it.
const SOON: Duration = Duration::from_millis(10);
/// How long a bid waits for its end before it is written as it is (microseconds).
const HELD_BACK_US: i64 = 2_000_000;
/// Decisions of one write: many, since they share the pages of their indices and a record of the audit log.
const OF_WRITE: usize = 1_024;
/// Bids that are looked up, and counts that are written, at once.
const AT_ONCE: usize = 256;
/// Of so many things asked of the store, one is to take what the file has.
const TURNS: u32 = 4;
/// Lines that wait for the file.
const FILING_MAX: usize = 16_384;
/// Bids that are looked up, since something became of them.
const UNKNOWN_MAX: usize = 16_384;
const COUNTS_EVERY_US: i64 = 10_000_000;
/// How often old rows are looked for, and how soon again where there may be more.
const OLD_EVERY_US: i64 = 60_000_000;
const OLD_AGAIN_US: i64 = 100_000;

#[derive(Clone, Default, Serialize)]
pub struct View {
    /// Decisions to be written.
    waiting: usize,
    /// Bids in memory.
    open: usize,
    /// Bytes of the file.
    in_file: u64,
    written: u64,
    rebuilt: u64,
    left_out: u64,
    pruned: u64,
    last_error: Option<String>,
}

pub struct JournalActor {
    office: Arc<Office>,
    writes: Writes,
    shelf: Shelf,
    unknown: Unknown,
    counts: Counts,
    /// When counts are written next, and old rows looked for (monotonic).
    counts_due_us: i64,
    old_due_us: i64,
    file: Option<Arc<Mutex<Overflow>>>,
    /// Bytes that wait in it.
    in_file: Arc<AtomicU64>,
    /// Lines for the file, while it is being written.
    to_file: Vec<Filed>,
    to_file_replies: Vec<Reply<bool>>,
    filing: bool,
    /// Who waits until what is being written is, since some of it is of a person who is erased.
    forgetting: Vec<Reply<()>>,
    leaving: Vec<Leaving>,
    /// The store is being asked for something.
    busy: bool,
    /// It did not do something: until the next flush it is left in peace.
    sick: bool,
    /// Where the store's breaker stood at the last flush, and those before the forecasts of lifetime values.
    breaker: BreakerState,
    ltv_breaker: BreakerState,
    /// Counts what was asked of the store.
    turns: u32,
    /// Whose turn it was last.
    last: Turn,
    /// What waits is to be written, however little it is.
    due: bool,
    soon: bool,
    view: View,
}

/// Of what has no hold.
fn fresh() -> u128 {
    in_time(clock::wall_us(), rand::random())
}

impl JournalActor {
    pub fn new(office: Arc<Office>, writes: Writes) -> JournalActor {
        metrics::describe();
        let now = clock::wall_us();
        JournalActor {
            shelf: Shelf::new(office.terms.journal_max),
            unknown: Unknown::default(),
            counts: Counts::new(now),
            counts_due_us: 0,
            // Not at the start, when there is enough to do.
            old_due_us: clock::mono_us() + OLD_EVERY_US,
            file: None,
            in_file: Arc::default(),
            to_file: Vec::new(),
            to_file_replies: Vec::new(),
            filing: false,
            forgetting: Vec::new(),
            leaving: Vec::new(),
            busy: false,
            sick: false,
            breaker: BreakerState::Closed,
            ltv_breaker: BreakerState::Closed,
            turns: 0,
            last: Turn::Write,
            due: false,
            soon: false,
            view: View::default(),
            office,
            writes,
        }
    }

    fn leave_out(&mut self, many: usize) {
        self.view.left_out += many as u64;
        metrics::left_out(many);
    }

    /// Whether something waits in the file, or is on its way there.
    fn files(&self) -> bool {
        self.in_file() > 0 || self.filing || !self.to_file.is_empty()
    }

    fn file_soon(&mut self, line: Filed, reply: Option<Reply<bool>>) {
        if self.to_file.len() >= FILING_MAX {
            reply.into_iter().for_each(|reply| reply.send(false));
            return self.leave_out(1);
        }
        self.to_file.push(line);
        self.to_file_replies.extend(reply);
    }

    fn bid(&mut self, made: Made) {
        let Made { hold, mut decision, person } = made;
        self.stamp(&mut decision);
        tracing::info!("{}", Line(&decision));
        match self.shelf.has_room() {
            true => self.shelf.made(hold, (decision, person), clock::mono_us() + HELD_BACK_US),
            // Nobody is named in a file.
            false => self.file_soon(Filed::Made { id: hold, decision: Box::new(decision) }, None),
        }
    }

    /// A refusal or a change.
    fn other(&mut self, id: u128, mut decision: Decision) {
        self.stamp(&mut decision);
        tracing::info!("{}", Line(&decision));
        match self.shelf.has_room() {
            true => self.shelf.other(id, decision),
            false => self.file_soon(Filed::Made { id, decision: Box::new(decision) }, None),
        }
    }

    fn outcome(&mut self, told: Told, reply: Option<Reply<bool>>, cx: &mut Cx<Self>) {
        let urgent = reply.is_some();
        if self.shelf.has(told.hold) {
            self.shelf.outcome(told.hold, told.outcome, reply);
        } else if self.unknown.has(told.hold) || (!self.files() && self.unknown.len() < UNKNOWN_MAX)
        {
            self.unknown.push(told, reply);
        } else {
            // Its bid may be in the file: what became of it is read behind it.
            self.file_soon(Filed::Told(Box::new(told)), reply);
        }
        if urgent && !self.soon {
            self.soon = true;
            cx.send_after(SOON, Msg::Soon);
        }
    }

    /// Adds to the file what waits for it.
    fn write_file(&mut self, cx: &mut Cx<Self>) {
        let Some(file) = self.file.clone().filter(|_| !self.filing && !self.to_file.is_empty())
        else {
            return;
        };
        self.filing = true;
        let lines = std::mem::take(&mut self.to_file);
        let replies = std::mem::take(&mut self.to_file_replies);
        let add = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let error = file.add(&lines).err().map(|error| error.to_string());
            Filing { lines, replies, error }
        };
        let work = async move {
            tokio::task::spawn_blocking(add).await.map_err(|error| error.to_string())
        };
        cx.pipe(work, Msg::Filed);
    }

    fn filed(&mut self, filed: Result<Filing, String>) {
        self.filing = false;
        match filed {
            Ok(Filing { lines, replies, error: None }) => {
                replies.into_iter().for_each(|reply| reply.send(true));
                metrics::filed(lines.len());
            }
            Ok(Filing { lines, replies, error: Some(error) }) => {
                replies.into_iter().for_each(|reply| reply.send(false));
                self.leave_out(lines.len());
                self.view.last_error = Some(error);
            }
            Err(error) => self.view.last_error = Some(error),
        }
    }

    fn in_file(&self) -> u64 {
        self.in_file.load(Ordering::Acquire)
    }

    /// What is asked of the store next.
    fn next(&mut self) -> Option<Job> {
        if self.busy || self.sick {
            return None;
        }
        let mono_us = clock::mono_us();
        let until_us = if self.shelf.is_crowded() { i64::MAX } else { mono_us };
        self.shelf.ripen(until_us);
        let (now_us, ripe) = (clock::wall_us(), self.shelf.ripe());
        self.turns = self.turns.wrapping_add(1);
        // Also while there is always more: what waits in the file has its turn.
        let files = self.in_file() > 0 && !self.filing;
        if files
            && self.turns.is_multiple_of(TURNS)
            && let Some(file) = self.file.clone()
        {
            return Some(Job::Drain(file));
        }
        // And the counts.
        if self.turns % TURNS == TURNS / 2
            && let Some(job) = self.counted(mono_us, now_us)
        {
            return Some(job);
        }
        let writes = ripe >= OF_WRITE || (self.due && ripe > 0);
        if let Some(turn) = Turn::after(self.last, !self.unknown.is_empty(), writes) {
            self.last = turn;
            return Some(match turn {
                Turn::Look => Job::Look(self.unknown.first(AT_ONCE)),
                Turn::Write => {
                    let batch = self.shelf.take(OF_WRITE);
                    // What ripens from now on waits for more, or for the next flush.
                    self.due &= self.shelf.ripe() > 0;
                    Job::Write(batch)
                }
            });
        }
        self.due = false;
        if let Some(job) = self.counted(mono_us, now_us) {
            return Some(job);
        }
        if files && let Some(file) = self.file.clone() {
            return Some(Job::Drain(file));
        }
        if mono_us >= self.old_due_us && !self.files() && self.prunes() {
            let retention_us = self.office.terms.retention_us;
            return Some(Job::Old { now_us, retention_us });
        }
        None
    }

    /// Of all nodes one deletes what is old: that of the default account.
    fn prunes(&self) -> bool {
        let account = BudgetName::account(&self.office.terms.account);
        self.office.shield.placement().admits(account.place())
    }

    /// The counts, when they are due.
    fn counted(&mut self, mono_us: i64, now_us: i64) -> Option<Job> {
        if mono_us < self.counts_due_us {
            return None;
        }
        self.counts.gather(now_us);
        let taken = self.counts.take(AT_ONCE);
        if taken.is_none() {
            self.counts_due_us = mono_us + COUNTS_EVERY_US;
        }
        taken.map(Job::Count)
    }

    fn work(&mut self, cx: &mut Cx<Self>) {
        self.write_file(cx);
        let Some(job) = self.next() else { return };
        self.busy = true;
        let (office, writes) = (Arc::clone(&self.office), self.writes.clone());
        cx.pipe(job.run(office, writes), |done| Msg::Done(Box::new(done)));
    }

    /// Takes in how something ended. What failed is tried again with the next flush.
    fn done(&mut self, done: Done) {
        self.busy = false;
        self.forgetting.drain(..).for_each(|reply| reply.send(()));
        let error = match done {
            Done::Wrote(batch, wrote) => {
                let many = batch.made.len() as u64;
                self.shelf.wrote(batch, wrote.is_ok());
                self.view.written += if wrote.is_ok() { many } else { 0 };
                wrote.err()
            }
            Done::Looked(many, Ok(stored)) => {
                self.looked(many, stored);
                None
            }
            Done::Looked(_, Err(error)) => {
                self.unknown.refuse();
                Some(error)
            }
            Done::Counted(Ok(names)) => {
                self.counts.wrote(&names);
                None
            }
            Done::Counted(Err(error)) => {
                // They are added to until they are written.
                self.counts_due_us = clock::mono_us() + COUNTS_EVERY_US;
                Some(error)
            }
            Done::Drained(drained) => drained.map(|many| self.view.written += many as u64).err(),
            Done::Old(Ok(looked)) => {
                self.view.pruned += looked.pruned;
                metrics::pruned(looked.pruned);
                let wait = if looked.full { OLD_AGAIN_US } else { OLD_EVERY_US };
                self.old_due_us = clock::mono_us() + wait;
                None
            }
            Done::Old(Err(error)) => {
                self.old_due_us = clock::mono_us() + OLD_EVERY_US;
                Some(error)
            }
        };
        if let Some(error) = error {
            tracing::debug!(error, "the journal of decisions waits for the store");
            self.view.last_error = Some(error);
            self.sick = true;
        }
    }

    /// The store was asked for the bids of those told of first: what it has, else what can be made anew.
    fn looked(&mut self, many: usize, mut stored: BTreeMap<u128, Decision>) {
        for (told, replies) in self.unknown.take(many) {
            if !self.shelf.has(told.hold) {
                match stored.remove(&told.hold) {
                    Some(decision) => self.shelf.stored(told.hold, decision),
                    None => match told.rebuilt() {
                        Some(decision) => {
                            self.view.rebuilt += 1;
                            metrics::rebuilt();
                            self.shelf.bid(told.hold, decision);
                        }
                        None => {
                            replies.into_iter().for_each(|reply| reply.send(false));
                            self.leave_out(1);
                            continue;
                        }
                    },
                }
            }
            self.shelf.outcome(told.hold, told.outcome, None);
            for reply in replies {
                self.shelf.outcome(told.hold, told.outcome, Some(reply));
            }
        }
        self.due = true;
    }
}

impl Actor for JournalActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "journal";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let dir = self.office.terms.dir.clone();
        let open = move || Overflow::open(&dir, BYTES_MAX);
        let file = tokio::task::spawn_blocking(open).await??;
        self.in_file = file.waiting();
        self.file = Some(Arc::new(Mutex::new(file)));
        cx.send_after(FLUSH_EVERY, Msg::Flush);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Bids(made) => made.into_iter().for_each(|made| self.bid(made)),
            Msg::NoBids(made) | Msg::Changes(made) => {
                made.into_iter().for_each(|it| self.other(fresh(), it));
            }
            Msg::Change { id, decision } => self.other(id, *decision),
            Msg::Forget { person, reply } => {
                self.shelf.forget(&person, clock::mono_us());
                match self.busy {
                    true => self.forgetting.push(reply),
                    false => reply.send(()),
                }
            }
            Msg::Outcome { told, reply } => self.outcome(*told, reply, cx),
            Msg::Leave { shard, orderly, reply } => self.leave(shard, orderly, reply),
            Msg::Flush => {
                (self.sick, self.due) = (false, true);
                self.let_go();
                self.counts.follow(&self.office);
                self.look_at_breakers();
                metrics::show(&self.office.counts, self.shelf.waiting(), self.in_file());
                cx.send_after(FLUSH_EVERY, Msg::Flush);
            }
            Msg::Soon => (self.soon, self.due) = (false, true),
            Msg::Done(done) => {
                self.done(*done);
                self.let_go();
            }
            Msg::Filed(filed) => self.filed(filed),
        }
        self.work(cx);
        self.view.open = self.shelf.bids();
        self.view.waiting = self.shelf.waiting() + self.unknown.len();
        self.view.in_file = self.in_file();
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        self.end().await;
        self.put_aside();
        self.counts.follow(&self.office);
        self.counts.gather(clock::wall_us());
        while let Some(taken) = self.counts.take(AT_ONCE) {
            match super::counts::write(&self.writes, taken).await {
                Ok(names) => self.counts.wrote(&names),
                Err(error) => {
                    tracing::warn!(error, "the last counts of decisions are lost");
                    break;
                }
            }
        }
    }

    fn view(&self) -> View {
        View { left_out: self.view.left_out + self.office.counts.never_told(), ..self.view.clone() }
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Bids(_) => "Bids",
            Msg::NoBids(_) => "NoBids",
            Msg::Changes(_) => "Changes",
            Msg::Change { .. } => "Change",
            Msg::Outcome { .. } => "Outcome",
            Msg::Forget { .. } => "Forget",
            Msg::Leave { .. } => "Leave",
            Msg::Flush => "Flush",
            Msg::Soon => "Soon",
            Msg::Done(_) => "Done",
            Msg::Filed(_) => "Filed",
        }
    }
}
