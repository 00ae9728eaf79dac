//! The authority of one budget: the only one that writes its rows (rule 5), one commit at a time
//! (rule 3), and the only one that hands out its capacity.

mod desk;
mod doubt;

use std::collections::{HashMap, HashSet, VecDeque};

use desk::Desk;

use crate::shield::ask::{Answer, Ask, Ticket};
use crate::shield::budget::{Budget, Stage};
use crate::shield::effect::{Batch, Effect, Note};
use crate::shield::entry::{HolderId, Now, Op, SliceId};
use crate::shield::limits::{Bug, Limits};
use crate::shield::money::Micros;

/// Waits as long as it takes: a slice is over by itself after its ttl.
const UNTIL_OVER: i64 = i64::MAX / 4;

/// Whether the authority may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the store's state; requests are kept.
    Loading,
    Serving,
    /// Another node owns the budget now.
    Lost,
}

/// How a commit ended, as far as the store can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    Done,
    /// Some operations were booked before; nothing of the batch was written.
    Duplicate(Vec<(Op, Found)>),
    /// Certainly not written; the same batch may be tried again by whoever asked.
    Failed,
    /// Nobody knows; or the state that the batch was built on is not the store's.
    Unknown,
    /// The shard has another owner.
    Fenced,
}

/// What the store knows of an operation that was booked before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Row { entry: Box<crate::shield::entry::Entry> },
    Answer { body: u64, status: u16, answer: String },
}

#[derive(Debug)]
struct Flight {
    now: Now,
    core: crate::shield::budget::Core,
    window_ops: Vec<(Micros, Op)>,
    jobs: Vec<(Ticket, Ask)>,
    answers: Vec<(Ticket, Answer)>,
    notes: Vec<Note>,
    parked: Vec<Parked>,
}

/// A request that waits until slices are returned or over.
#[derive(Debug)]
struct Parked {
    until_us: i64,
    /// When the slices were last recalled.
    asked_us: i64,
    waits: Vec<SliceId>,
    then: Then,
}

#[derive(Debug)]
enum Then {
    /// Try the request once more; then it is refused if it still does not fit.
    Retry(Ticket, Ask),
    Answer(Ticket, Answer),
}

#[derive(Debug)]
pub struct Authority {
    limits: Limits,
    budget: Budget,
    phase: Phase,
    pending: VecDeque<(Ticket, Ask)>,
    flight: Option<Flight>,
    parked: Vec<Parked>,
    /// Operations being worked on, with the fingerprint of their request.
    busy: HashMap<Op, u64>,
    /// Operations whose commit ended in doubt: looked up before they are booked again.
    doubted: HashSet<Op>,
    /// The account may not have heard of everything: what was booked before is answered once it has.
    retelling: bool,
    /// There was a new doubt meanwhile: it is to be told once more.
    retell_again: bool,
    /// Such answers.
    replays: Vec<(Ticket, Ask, Answer)>,
    /// Slices that are over are looked at again from then on: a store that is away is not asked on
    /// and on.
    reclaim_after_us: i64,
    /// Requests that have waited for a recall already.
    retried: HashMap<Ticket, ()>,
}

impl Authority {
    pub fn new(budget: Budget, limits: Limits) -> Authority {
        Authority {
            limits,
            budget,
            phase: Phase::Serving,
            pending: VecDeque::new(),
            flight: None,
            parked: Vec::new(),
            busy: HashMap::new(),
            doubted: HashSet::new(),
            retelling: false,
            retell_again: false,
            replays: Vec::new(),
            reclaim_after_us: i64::MIN,
            retried: HashMap::new(),
        }
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    pub fn budget_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Requests that wait, in any way.
    pub fn waiting(&self) -> usize {
        let flying = self.flight.as_ref().map_or(0, |f| f.jobs.len());
        self.pending.len() + self.parked.len() + self.replays.len() + flying
    }

    /// Whether the account may not have counted this operation, though the ledger has it.
    pub fn is_telling(&self, op: Op) -> bool {
        self.retelling || self.phase == Phase::Loading || self.busy.contains_key(&op)
    }

    /// A commit is under way.
    pub fn is_flying(&self) -> bool {
        self.flight.is_some()
    }

    /// A commit is under way, or the account is still being told of something.
    pub fn is_owing(&self) -> bool {
        self.flight.is_some() || self.retelling || self.phase == Phase::Loading
    }

    /// Nothing waits and no slice is out: the authority may be put away.
    pub fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.budget.core.slices.is_empty()
    }

    /// Takes a request; it is answered once what it books is durable.
    pub fn ask(&mut self, now: Now, ticket: Ticket, ask: Ask, out: &mut Vec<Effect>) {
        if self.phase == Phase::Lost {
            out.push(Effect::Reply(ticket, Answer::NotOwner));
            return;
        }
        if let Some((op, body)) = ask.op() {
            match self.busy.get(&op) {
                Some(known) if *known == body => {
                    out.push(Effect::Reply(ticket, Answer::Busy));
                    return;
                }
                Some(_) => {
                    out.push(Effect::Reply(ticket, Answer::Mismatch));
                    return;
                }
                None => {}
            }
        }
        // What frees capacity is never turned away: that would keep an overloaded budget overloaded.
        let frees = matches!(ask, Ask::Return { .. } | Ask::Note(_));
        if !frees && self.pending.len() >= self.limits.pending_max {
            out.push(Effect::Reply(ticket, Answer::Overloaded));
            return;
        }
        if let Some((op, body)) = ask.op() {
            self.busy.insert(op, body);
        }
        self.pending.push_back((ticket, ask));
        self.pump(now, out);
    }

    /// Tells how the commit of the last batch ended.
    pub fn committed(&mut self, now: Now, outcome: CommitOutcome, out: &mut Vec<Effect>) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let outcome = match outcome {
            CommitOutcome::Unknown if self.limits.has(Bug::UnknownMeansFailed) => {
                CommitOutcome::Failed
            }
            other => other,
        };
        match outcome {
            CommitOutcome::Done => self.adopt(flight, out),
            CommitOutcome::Duplicate(found) => self.sort_out(now, flight, found, out),
            CommitOutcome::Failed => {
                self.reclaim_after_us = now.mono_us + self.limits.resend_us;
                for (ticket, ask) in flight.jobs {
                    self.finish(&ask);
                    self.retried.remove(&ticket);
                    out.push(Effect::Reply(ticket, Answer::Unavailable));
                }
            }
            CommitOutcome::Unknown => {
                self.phase = Phase::Loading;
                self.doubted.extend(flight.jobs.iter().filter_map(|(_, a)| Some(a.op()?.0)));
                self.requeue(flight.jobs);
                out.push(Effect::Reload);
            }
            CommitOutcome::Fenced => {
                self.requeue(flight.jobs);
                self.lose(out);
            }
        }
        self.pump(now, out);
    }

    /// The account has counted what these operations booked.
    pub fn told(&mut self, ops: &[Op]) {
        for op in ops {
            self.busy.remove(op);
        }
    }

    /// Takes the store's state after a doubt. Slices that this authority knew stay first seen when
    /// it first saw them.
    pub fn loaded(&mut self, now: Now, mut budget: Budget, out: &mut Vec<Effect>) {
        for (id, slice) in &mut budget.core.slices {
            if let Some(known) = self.budget.core.slices.get(id) {
                slice.seen_us = known.seen_us;
                slice.drained |= known.drained;
                slice.sealed |= known.sealed;
                // Either may have heard of more: the ledger, which was read just now, or memory.
                slice.noted = slice.noted.max(known.noted);
            }
        }
        self.budget = budget;
        self.phase = Phase::Serving;
        // What was in doubt may be booked, and nobody has told the account.
        self.retell(out);
        self.pump(now, out);
    }

    /// The store could not be read: nobody may wait for it for ever.
    pub fn load_failed(&mut self, out: &mut Vec<Effect>) {
        for (ticket, ask) in std::mem::take(&mut self.pending) {
            self.finish(&ask);
            self.retried.remove(&ticket);
            out.push(Effect::Reply(ticket, Answer::Unavailable));
        }
        out.push(Effect::Reload);
    }

    /// Another node owns the budget: everything that waits is sent there.
    pub fn lose(&mut self, out: &mut Vec<Effect>) {
        self.phase = Phase::Lost;
        self.busy.clear();
        self.retried.clear();
        self.retelling = false;
        let parked = std::mem::take(&mut self.parked);
        for (ticket, _, _) in std::mem::take(&mut self.replays) {
            out.push(Effect::Reply(ticket, Answer::NotOwner));
        }
        for (ticket, _) in std::mem::take(&mut self.pending) {
            out.push(Effect::Reply(ticket, Answer::NotOwner));
        }
        for p in parked {
            match p.then {
                // Durable perhaps, but what it touches is not recalled: the new owner will say.
                Then::Retry(ticket, _) | Then::Answer(ticket, _) => {
                    out.push(Effect::Reply(ticket, Answer::NotOwner));
                }
            }
        }
    }

    /// A holder is known to be dead, or clocks were seen to drift: nothing is booked within these
    /// slices any more.
    pub fn seal(&mut self, dead: impl Fn(HolderId) -> bool) {
        for slice in self.budget.core.slices.values_mut() {
            slice.sealed |= dead(slice.holder);
        }
        if let Some(flight) = &mut self.flight {
            for slice in flight.core.slices.values_mut() {
                slice.sealed |= dead(slice.holder);
            }
        }
    }

    /// Time passes: slices end, parked requests give up.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.pump(now, out);
    }

    fn finish(&mut self, ask: &Ask) {
        if let Some((op, _)) = ask.op() {
            self.busy.remove(&op);
        }
    }

    fn requeue(&mut self, jobs: Vec<(Ticket, Ask)>) {
        for job in jobs.into_iter().rev() {
            // Where it waits for a recall, it is to wait anew.
            self.retried.remove(&job.0);
            self.pending.push_front(job);
        }
    }

    fn adopt(&mut self, flight: Flight, out: &mut Vec<Effect>) {
        self.budget.adopt(flight.now, flight.core, &flight.window_ops, &self.limits);
        // A fact whose account has not counted it is not over: whoever repeats it waits like the
        // first.
        let mut ops = Vec::new();
        for (_, ask) in &flight.jobs {
            if !self.doubted.is_empty()
                && let Some((op, _)) = ask.op()
            {
                self.doubted.remove(&op);
            }
            match ask {
                Ask::Spend(fact) if !flight.notes.is_empty() => ops.push(fact.op),
                Ask::Settle(settle) if !flight.notes.is_empty() => ops.push(settle.op),
                _ => self.finish(ask),
            }
        }
        self.parked.extend(flight.parked);
        for (ticket, _) in &flight.answers {
            self.retried.remove(ticket);
        }
        if flight.notes.is_empty() {
            out.extend(flight.answers.into_iter().map(|(ticket, a)| Effect::Reply(ticket, a)));
        } else {
            out.push(Effect::Tell { notes: flight.notes, then: flight.answers, ops });
        }
    }

    /// Stages what waits and hands it to the store; what books nothing durable is answered at once.
    fn pump(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.unpark(now, out);
        while self.phase == Phase::Serving && self.flight.is_none() {
            let reclaims = now.mono_us >= self.reclaim_after_us
                && self.budget.core.slices.values().any(|s| {
                    let window = self.budget.core.terms.window.map_or(0, |w| w.length_us);
                    let early = self.limits.has(Bug::ReclaimAtTtl);
                    let life = if early { s.ttl_us } else { self.limits.slice_life_us() + window };
                    now.mono_us - s.seen_us >= life
                });
            if self.pending.is_empty() && !reclaims {
                return;
            }
            let take = self.pending.len().min(self.limits.batch_max);
            let jobs: Vec<(Ticket, Ask)> = self.pending.drain(..take).collect();
            self.stage(now, jobs, out);
        }
    }

    fn stage(&mut self, now: Now, jobs: Vec<(Ticket, Ask)>, out: &mut Vec<Effect>) {
        let limits = self.limits.clone();
        let expected_version = self.budget.core.version;
        let parent_window = self.budget.core.terms.window.is_none();
        let mut stage = self.budget.stage(now, &limits);
        stage.reclaim();
        let mut desk = Desk {
            limits: &limits,
            retried: &mut self.retried,
            answers: Vec::new(),
            notes: Vec::new(),
            parked: Vec::new(),
            recalls: Vec::new(),
            operations: Vec::new(),
            check_ops: !self.doubted.is_empty()
                && jobs.iter().any(|(_, a)| a.op().is_some_and(|o| self.doubted.contains(&o.0))),
            tell_account: parent_window,
        };
        for (ticket, ask) in &jobs {
            desk.serve(&mut stage, *ticket, ask);
        }
        let Desk { answers, notes, parked, recalls, operations, check_ops, .. } = desk;
        out.extend(recalls);
        let (window_used, window_facts) = (stage.window_sum(), stage.window_facts);
        let Stage {
            mut core,
            entries,
            slices_put,
            slice_settles,
            slices_gone,
            events,
            window_ops,
            dirty,
            ..
        } = stage;
        let flight_core = if dirty || !operations.is_empty() {
            core.version += 1;
            let slices_put =
                slices_put.keys().filter_map(|id| core.slices.get(id).cloned()).collect();
            out.push(Effect::Commit(Box::new(Batch {
                now,
                core: core.clone(),
                expected_version,
                entries,
                slices_put,
                slice_settles,
                slices_gone,
                window_used,
                window_facts,
                events,
                operations,
                check_ops,
            })));
            true
        } else {
            false
        };
        let flight = Flight { now, core, window_ops, jobs, answers, notes, parked };
        if flight_core {
            self.flight = Some(flight);
        } else {
            self.adopt(flight, out);
        }
    }

    /// Lets go on what waited for slices that are over by now.
    fn unpark(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.parked.is_empty() {
            return;
        }
        let slices = &self.budget.core.slices;
        let (go, stay): (Vec<Parked>, Vec<Parked>) =
            std::mem::take(&mut self.parked).into_iter().partition(|p| {
                let serving =
                    |id: &SliceId| slices.get(id).is_some_and(|s| s.may_serve(now.mono_us));
                now.mono_us >= p.until_us || !p.waits.iter().any(serving)
            });
        self.parked = stay;
        for p in &mut self.parked {
            if now.mono_us - p.asked_us < self.limits.resend_us {
                continue;
            }
            p.asked_us = now.mono_us;
            for slice in p.waits.iter().filter_map(|id| slices.get(id)) {
                out.push(Effect::Recall { holder: slice.holder, slice: slice.id });
            }
        }
        for p in go {
            match p.then {
                Then::Retry(ticket, ask) => self.pending.push_back((ticket, ask)),
                Then::Answer(ticket, answer) => out.push(Effect::Reply(ticket, answer)),
            }
        }
    }
}
