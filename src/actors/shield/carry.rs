//! The effects of the rules, carried out.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::budget::{Asker, BudgetActor, HoldAsker, Live, State};
use super::far::{self, Asked};
use super::load;
use super::message::{HoldFate, Msg, Told};
use super::metrics as m;
use super::names::BudgetName;
use super::rows;
use super::serve::booked;
use super::shared::{Shared, now};
use super::view;
use crate::actors::kernel::{Cx, Fault};
use crate::models::shield::ask::{Answer, Ask, Ticket};
use crate::models::shield::authority::Phase;
use crate::models::shield::effect::{Batch, Effect, Lane, Note};
use crate::models::shield::entry::{HolderId, Op, SliceId};
use crate::models::shield::purse::HoldAnswer;
use crate::store::{OperationRow, Outcome, Reloaded, StoreError, Write};
use crate::telemetry::spans::Open;

/// Longest patience with an account that does not count what was booked. The ledger has it.
const TELL_TRIES_MAX: u32 = 20;
/// How long one of those may take.
const TELL_PATIENCE: Duration = Duration::from_secs(15);
/// Effects in a stop that wait for the store or the account; a few suffice.
const WIND_UP_ROUNDS_MAX: usize = 64;
/// Longest wait, in a stop, for a commit that is under way.
const FLIGHT_MAX: Duration = Duration::from_secs(5);
/// Bookings told in one message.
const NOTES_MAX: usize = 4_096;

impl BudgetActor {
    pub(super) fn carry_out(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        loop {
            while let State::Live(live) = &mut self.state
                && let Some(effect) = live.effects.pop_front()
            {
                match effect {
                    Effect::Commit(batch) => self.commit(&batch, cx)?,
                    Effect::Reload => self.reload(cx),
                    Effect::Tell { notes, then, ops } => self.tell(notes, then, ops, cx),
                    Effect::Retell => self.retell(Duration::ZERO, cx),
                    Effect::Hold(ticket, HoldAnswer::Unknown) => self.look_further(ticket, cx),
                    other => self.carry_simple(other),
                }
            }
            if !self.answer_keys(cx) {
                break;
            }
        }
        self.ask_outward(cx);
        self.journal(cx);
        self.keep_time(cx);
        Ok(())
    }

    /// Effects that need nothing but this actor and its peers' mailboxes.
    fn carry_simple(&mut self, effect: Effect) {
        let State::Live(live) = &mut self.state else { return };
        match effect {
            Effect::Reply(ticket, answer) => {
                live.traced.retain(|(waiting, _)| *waiting != ticket.0);
                self.answered(ticket.0, answer);
            }
            Effect::Hold(ticket, answer) => match live.hold_askers.remove(&ticket.0) {
                Some(HoldAsker::Authorise(reply)) => live.authorise_answered(answer, reply),
                Some(HoldAsker::Key(hold)) => live.keys.answered(hold, answer),
                Some(HoldAsker::Seek(seek)) => {
                    seek.reply.send(Told::Done(HoldFate::Answer(answer)));
                }
                None => {}
            },
            Effect::Ask { lane: Lane::Budget, ask } => {
                if let Some(slice) = Live::lane_slice(&ask) {
                    live.ask(ask, Asker::OwnLane(slice));
                }
            }
            Effect::Ask { lane: Lane::Account, ask } => {
                let account = BudgetName::account(&self.name.account);
                if !self.shared.placement.admits(account.place()) {
                    if let Some(slice) = Live::lane_slice(&ask) {
                        let ticket = live.ticket();
                        live.askers.insert(ticket.0, Asker::AccountLane(slice));
                        live.outward.push_back((ticket.0, account, ask));
                    }
                    return;
                }
                let (holder, ask) = (live.purse.holder(), Box::new(ask));
                let msg = Msg::Lane { key: self.key.clone(), holder, ask };
                if let Some(accounts) = self.shared.accounts.get()
                    && let Err(refused) = accounts.tell(&self.name.account, msg)
                {
                    // The purse asks again by itself.
                    tracing::debug!(budget = %self.name, ?refused, "account of {} is busy", self.name);
                }
            }
            Effect::Book { hold, ask } => live.ask(ask, Asker::Book(hold)),
            Effect::Recall { holder, slice } => self.recall(holder, slice),
            Effect::Journal(hold) => live.journal_turn(*hold),
            // Whoever tells a win has it on disk, and tells it again after a crash.
            Effect::Spool { ticket, hold } => {
                live.effects.push_back(Effect::Hold(ticket, HoldAnswer::Noticed(*hold)));
            }
            Effect::Commit(_) | Effect::Reload | Effect::Tell { .. } | Effect::Retell => {}
        }
    }

    /// Whoever has asked is answered.
    pub(super) fn answered(&mut self, ticket: u64, answer: Answer) {
        let State::Live(live) = &mut self.state else { return };
        if let Some(asker) = live.askers.remove(&ticket) {
            self.reply(asker, answer);
        }
    }

    fn reply(&mut self, asker: Asker, answer: Answer) {
        let State::Live(live) = &mut self.state else { return };
        match asker {
            Asker::Far(reply) => {
                m::booked(&answer);
                reply.send(Asked { answer, left: Some(live.left_here()) });
            }
            Asker::AccountLane(slice) => live.answered(Lane::Account, slice, answer),
            Asker::Reply(reply) => {
                m::booked(&answer);
                reply.send(Told::Done(booked(answer, &self.name)));
            }
            Asker::Settle(reply, hold) => {
                m::booked(&answer);
                let fate = match answer {
                    Answer::Booked { entry, replayed } => {
                        HoldFate::Booked { hold: Some(*hold), entry, replayed }
                    }
                    Answer::Busy => HoldFate::Answer(HoldAnswer::Busy),
                    Answer::Mismatch => HoldFate::Answer(HoldAnswer::Mismatch),
                    Answer::Overloaded => HoldFate::Answer(HoldAnswer::Overloaded),
                    _ => HoldFate::Answer(HoldAnswer::Unavailable),
                };
                reply.send(Told::Done(fate));
            }
            Asker::OwnLane(slice) => live.answered(Lane::Budget, slice, answer),
            Asker::Book(hold) => {
                m::booked(&answer);
                live.with_purse(|p, at, out| p.settled(at, hold, answer, out));
            }
            Asker::Purse { key, holder, slice } => {
                if matches!(answer, Answer::Returned(_)) && !live.serves(holder) {
                    live.holders.remove(&holder);
                }
                if let Some(budgets) = self.shared.budgets.get() {
                    // A purse that is gone needs no answer; its slices end by themselves.
                    let answer = Box::new(answer);
                    budgets.tell_if_active(&key, Msg::LaneAnswer { holder, slice, answer });
                }
            }
        }
    }

    fn recall(&mut self, holder: HolderId, slice: SliceId) {
        let State::Live(live) = &mut self.state else { return };
        if holder == live.purse.holder() {
            live.with_purse(|p, at, out| p.recall(at, Lane::Budget, slice, out));
        } else if let Some(home) = live.holders.get(&holder) {
            let lane = if self.name.is_account() { Lane::Account } else { Lane::Budget };
            far::recall(&self.shared, home, lane, holder, slice);
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<Write, Fault> {
        let State::Live(live) = &mut self.state else { return Err(Fault::new("not loaded")) };
        let shard = self.name.shard();
        let keep = live.stored_terms.as_ref().is_some_and(|t| Arc::ptr_eq(t, &batch.core.terms))
            && batch.expected_version > 0;
        let (shared, holders, key) = (&self.shared, &live.holders, &self.key);
        let name = |holder: HolderId| match holders.get(&holder) {
            Some(home) => rows::holder_text(home.node, holder, &home.key),
            None => rows::holder_text(shared.incarnation, holder, key),
        };
        let mut write = rows::write_of(&self.name, shard, shared.epoch(shard), batch, keep, name)?;
        if !keep {
            live.stored_terms = Some(Arc::clone(&batch.core.terms));
        }
        if !batch.operations.is_empty() {
            let allocation = serde_json::to_string(&view::allocation(&self.name, &batch.core))?;
            let status = if batch.expected_version == 0 { 201 } else { 200 };
            for (op, body, _) in &batch.operations {
                write.operations.push(OperationRow {
                    account: self.name.account.to_string(),
                    op: op.to_string(),
                    budget: self.name.budget.to_string(),
                    route: "order".to_owned(),
                    body_hash: format!("{body:016x}"),
                    status,
                    answer: allocation.clone(),
                    at: batch.now.wall_us,
                });
            }
        }
        Ok(write)
    }

    fn commit(&mut self, batch: &Batch, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let write = self.write(batch)?;
        let State::Live(live) = &mut self.state else { return Ok(()) };
        m::checked(&live.authority.budget().core, batch);
        live.generation += 1;
        let generation = live.generation;
        let requests = live.traced.drain(..);
        let spans = requests.filter_map(|(_, at)| Open::child(at.child(), at.span_id)).collect();
        match self.shared.committer.submit_for(write, spans) {
            Ok(outcome) => {
                let (feed, budget) = (Arc::clone(&live.feed), Arc::clone(&self.name.budget));
                let entries = batch.entries.clone();
                let committed = async move {
                    let outcome = outcome.await.unwrap_or_else(|_| unknown());
                    if outcome == Outcome::Committed {
                        feed.booked(&budget, entries);
                    }
                    outcome
                };
                cx.pipe(committed, move |outcome| Msg::Committed { generation, outcome });
            }
            Err(full) => {
                live.last_error = Some(full.to_string());
                let mut out = Vec::new();
                use crate::models::shield::authority::CommitOutcome;
                live.authority.committed(live.at, CommitOutcome::Failed, &mut out);
                live.effects.extend(out);
            }
        }
        Ok(())
    }

    /// Tells the account what was booked, and answers when it has counted it.
    fn tell(
        &mut self,
        notes: Vec<Note>,
        then: Vec<(Ticket, Answer)>,
        ops: Vec<Op>,
        cx: &mut Cx<Self>,
    ) {
        if let State::Live(live) = &mut self.state {
            live.tells += 1;
        }
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.name.account));
        let tell = async move { tell_account(&shared, &account, notes).await };
        cx.pipe(tell, move |counted| Msg::AccountTold { counted, then, ops });
    }

    /// The purse does not know the hold: the ledger and the journal may.
    fn look_further(&mut self, ticket: Ticket, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        match live.hold_askers.remove(&ticket.0) {
            Some(HoldAsker::Seek(seek)) if seek.near => {
                let fate = live.let_go(seek.hold).map(HoldFate::Over);
                let unknown = HoldFate::Answer(HoldAnswer::Unknown);
                seek.reply.send(Told::Done(fate.unwrap_or(unknown)));
            }
            Some(HoldAsker::Seek(seek)) => self.seek_outward(seek, cx),
            Some(HoldAsker::Authorise(reply)) => {
                live.authorise_answered(HoldAnswer::Unknown, reply);
            }
            Some(HoldAsker::Key(hold)) => live.keys.answered(hold, HoldAnswer::Unknown),
            None => {}
        }
    }

    /// An orderly end: slices go back, holds are journaled, and all of it is durable and told. Whether
    /// that is so; if not, the next life looks for what is missing.
    pub(super) async fn wind_up(&mut self) -> bool {
        let State::Live(live) = &mut self.state else { return true };
        live.at = now();
        let mut finished = true;
        let journaling = live.journaling && !live.authority.is_flying();
        if journaling && timeout(FLIGHT_MAX, self.shared.committer.barrier()).await.is_err() {
            m::journal_lost();
        }
        if live.authority.is_flying() {
            // Its outcome is told to a continuation that ends with this life: look for it.
            if timeout(FLIGHT_MAX, self.shared.committer.barrier()).await.is_err() {
                return false;
            }
            live.at = now();
            live.committed(unknown());
        } else if live.authority.phase() == Phase::Loading {
            live.effects.push_back(Effect::Reload);
        }
        if live.tells > 0 {
            live.retell();
        }
        live.with_purse(|p, at, out| p.seal(at, out));
        let mut rounds = 0;
        while rounds < WIND_UP_ROUNDS_MAX {
            let State::Live(live) = &mut self.state else { return false };
            let Some(effect) = live.effects.pop_front() else { break };
            let waits = matches!(
                effect,
                Effect::Commit(_) | Effect::Reload | Effect::Retell | Effect::Tell { .. }
            );
            rounds += usize::from(waits);
            match effect {
                Effect::Commit(batch) => {
                    let submitted = self.write(&batch).map(|w| self.shared.committer.submit(w));
                    let outcome = match submitted {
                        Ok(Ok(outcome)) => outcome.await.unwrap_or_else(|_| unknown()),
                        Ok(Err(full)) => Outcome::Failed(StoreError::Unavailable {
                            what: "the committer",
                            cause: full.to_string(),
                        }),
                        Err(_) => unknown(),
                    };
                    let State::Live(live) = &mut self.state else { return false };
                    if outcome == Outcome::Committed {
                        live.feed.booked(&self.name.budget, batch.entries.clone());
                    }
                    live.at = now();
                    live.committed(outcome);
                }
                Effect::Tell { notes, then, ops } => {
                    finished &= tell_account(&self.shared, &self.name.account, notes).await;
                    let State::Live(live) = &mut self.state else { return false };
                    live.at = now();
                    live.authority.told(&ops);
                    live.effects.extend(then.into_iter().map(|(t, a)| Effect::Reply(t, a)));
                }
                Effect::Reload => finished &= self.reload_here().await,
                Effect::Retell => {
                    finished &= retell(&self.shared, &self.name).await.is_ok();
                    let State::Live(live) = &mut self.state else { return false };
                    live.at = now();
                    let mut out = Vec::new();
                    live.authority.retold(live.at, &mut out);
                    live.effects.extend(out);
                }
                other => self.carry_simple(other),
            }
        }
        finished &= self.ask_outward_here().await;
        while let Some((write, _)) = self.journal_write(i64::MAX) {
            if self.is_guest() {
                finished &= far::journal(&self.shared, &self.name, write.holds).await;
                continue;
            }
            let Ok(outcome) = self.shared.committer.submit(write) else {
                m::journal_lost();
                break;
            };
            if !matches!(outcome.await, Ok(Outcome::Committed)) {
                m::journal_lost();
            }
        }
        let State::Live(live) = &self.state else { return false };
        finished && live.effects.is_empty() && !live.authority.is_owing()
    }

    /// Reads the state behind a doubt, waiting for it. Whether it could be read.
    async fn reload_here(&mut self) -> bool {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let shard = name.shard();
        let State::Live(live) = &mut self.state else { return false };
        let me = live.purse.holder();
        let read =
            shared.store.reload_budget(&name.account, &name.budget, shard, shared.epoch(shard));
        let mut out = Vec::new();
        match read.await {
            Ok(Reloaded::Current(Some(loaded))) => {
                let Ok(budget) = load::revived(&shared, &name, &loaded, me).await else {
                    return false;
                };
                live.at = now();
                live.authority.loaded(live.at, budget, &mut out);
            }
            Ok(Reloaded::Current(None)) => {
                let budget = live.authority.budget().clone();
                live.authority.loaded(live.at, budget, &mut out);
            }
            Ok(Reloaded::Fenced) => live.authority.lose(&mut out),
            Err(_) => return false,
        }
        live.effects.extend(out);
        true
    }
}

impl Live {
    /// Keeps the holders of slices, and this one.
    pub(super) fn forget_holders(&mut self, but: HolderId) {
        let slices = self.authority.budget().core.slices.values();
        let serving: HashSet<HolderId> = slices.map(|s| s.holder).collect();
        self.holders.retain(|holder, _| *holder == but || serving.contains(holder));
    }

    /// Whether any slice of this holder is still out.
    fn serves(&self, holder: HolderId) -> bool {
        self.authority.budget().core.slices.values().any(|s| s.holder == holder)
    }
}

/// The committer's driver died with the write in its hands.
fn unknown() -> Outcome {
    Outcome::Unknown(StoreError::Unavailable {
        what: "the committer",
        cause: "it ended before it could say".to_owned(),
    })
}

/// Tells the account of bookings until it has counted them. Whether it has.
async fn tell_account(shared: &Shared, account: &str, notes: Vec<Note>) -> bool {
    let name = BudgetName::account(account);
    for attempt in 1..=TELL_TRIES_MAX {
        let asked = far::ask(shared, &name, Ask::Note(notes.clone()), None, TELL_PATIENCE).await;
        if asked.answer == Answer::Noted {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50 * u64::from(attempt))).await
    }
    m::untold();
    tracing::error!(%account, "account {account} could not be told of {} bookings yet", notes.len());
    false
}

/// Tells the account everything of a campaign that its window still counts, as the ledger has it.
pub(super) async fn retell(shared: &Arc<Shared>, name: &BudgetName) -> Result<(), Fault> {
    let notes = load::retell(shared, name, shared.terms.window.length_us).await?;
    for notes in notes.chunks(NOTES_MAX) {
        if !tell_account(shared, &name.account, notes.to_vec()).await {
            return Err(Fault::new("the account could not be told of all bookings"));
        }
    }
    Ok(())
}
