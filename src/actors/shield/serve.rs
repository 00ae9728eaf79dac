//! Messages of a budget's actor: each is put to the rules, and what they want done is queued.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::budget::{Asker, BudgetActor, DAY_US, HoldAsker, Live, State, TICK};
use super::far::{Asked, Home};
use super::keys::Check;
use super::load;
use super::message::{AccountSeen, Authorised, Booked, Msg, Seek, SpendAsk, Told, Wish};
use super::metrics as m;
use super::shared::now;
use super::view;
use crate::actors::kernel::{Cx, Fault, Reply};
use crate::models::shield::ask::{Answer, Ask, Order};
use crate::models::shield::authority::{CommitOutcome, Found as Known};
use crate::models::shield::budget::Fact;
use crate::models::shield::effect::Lane;
use crate::models::shield::entry::{HolderId, Op};
use crate::models::shield::money::{Currency, Rate};
use crate::models::shield::purse::{Authorise, HoldAnswer};
use crate::models::shield::refusal::{Reason, Refusal};
use crate::models::shield::terms::Status;
use crate::store::{self, Outcome, Reloaded};

use super::rows;

/// The most that one fact may be in the account's currency, in micros.
const WINDOW_AMOUNT_MAX: u64 = 1 << 53;

/// Holders are looked through when there are more than this, and more than twice as many as slices.
const HOLDERS_MIN: usize = 1_024;

impl BudgetActor {
    pub(super) fn serve(&mut self, msg: Msg, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        live.at = now();
        let day = live.at.wall_us.div_euclid(DAY_US);
        if live.rate_day != day {
            live.rate_day = day;
            self.read_rate(Reply::detached(), cx);
        }
        let State::Live(live) = &mut self.state else { return };
        match msg {
            // The key of a check is asked for wherever its caller gets to: one node says what it stands for.
            Msg::Check { ask, currency, reply } => {
                self.check(Check { ask, currency, reply }, cx);
            }
            Msg::Authorise { ask, reply, .. } if ask.is_keyed() && self.shared.has_neighbours() => {
                // A neighbour came meanwhile: whoever asks again asks the owner.
                reply.send(Told::Unavailable);
            }
            Msg::KeyLooked { hold, over, found } => self.key_looked(hold, over, found),
            Msg::KeysProven(proof) => self.keys_proven(proof, cx),
            Msg::Authorise { ask, currency, reply } => {
                let paused = self.shared.paused.load(Relaxed);
                let answer = match live.refused(paused, currency) {
                    Some(refused) => Some(refused),
                    None => live.purse.ask_now(live.at, &ask),
                };
                match answer {
                    Some(answer) => live.authorise_answered(answer, reply),
                    None => live.wait_for_room(ask, HoldAsker::Authorise(reply)),
                }
            }
            Msg::Settle { hold, amount, proof, reply } => {
                live.seek(hold, Wish::Settle(amount), proof, reply);
            }
            Msg::Withdraw { hold } => live.with_purse(|p, at, out| p.withdraw(at, hold, out)),
            Msg::Release { hold, reply } => live.seek(hold, Wish::Release, None, reply),
            Msg::Notice { hold, price, reply } => {
                live.seek(hold, Wish::Notice(price), None, reply);
            }
            Msg::FindHold { hold, reply } => live.seek(hold, Wish::Look, None, reply),
            Msg::Spend { reply, .. } | Msg::Order { reply, .. } if live.guest => {
                reply.send(Told::Unavailable);
            }
            Msg::See { reply } if live.guest => reply.send(Told::Unavailable),
            Msg::Spend { ask, reply } => live.spend(*ask, reply),
            Msg::Order { op, body, order, reply } => {
                live.order(op, body, *order, reply);
            }
            Msg::See { reply } => reply.send(Told::Done(Box::new(view::budget_view(
                &self.name,
                &live.authority.budget().core,
                live.purse.held(),
                live.purse.open_holds(),
                live.at,
            )))),
            Msg::SeeAccount { reply } => reply.send(Told::Done(live.see_account())),
            Msg::Lane { key, holder, ask } => {
                let Some(slice) = Live::lane_slice(&ask) else { return };
                let node = self.shared.incarnation;
                live.holds_a_slice(holder, Home { node, key: key.clone() });
                live.ask(*ask, Asker::Purse { key, holder, slice });
            }
            Msg::LaneAnswer { holder, slice, answer } => {
                if holder == live.purse.holder() {
                    live.answered(Lane::Account, slice, *answer);
                }
            }
            Msg::Recall { lane, holder, slice } => {
                if holder == live.purse.holder() {
                    live.with_purse(|p, at, out| p.recall(at, lane, slice, out));
                }
            }
            // What is booked elsewhere (`Ask::Note`) is counted in memory, and the answer frees what was held for it:
            // of this one owner at a time may be asked, and one whose lease is over is none.
            Msg::Ask { reply, .. } if live.guest || !self.shared.placement.serves() => {
                reply.send(Asked::of(Answer::NotOwner));
            }
            Msg::Ask { ask, holder, reply } => {
                if let Some((holder, home)) = holder {
                    live.holds_a_slice(holder, home);
                }
                live.ask(*ask, Asker::Far(reply));
            }
            Msg::Answered { ticket, asked } => self.answered_from_afar(ticket, asked),
            Msg::Near { hold, wish, reply } => {
                live.seek_for(Seek { hold, wish, proof: None, near: true, reply });
            }
            Msg::Sought { hold, wish, found } => self.sought(hold, wish, found, cx),
            Msg::Committed { generation, outcome } => {
                if generation == live.generation {
                    live.committed(outcome);
                }
            }
            Msg::Reloaded(outcome) => self.reloaded(outcome, cx),
            Msg::Retold(Ok(())) => {
                let mut out = Vec::new();
                live.authority.retold(live.at, &mut out);
                live.effects.extend(out);
            }
            Msg::Retold(Err(fault)) => {
                live.last_error = Some(fault.to_string());
                self.retell(super::budget::LOAD_AGAIN, cx);
            }
            Msg::RatesChanged { reply } => self.read_rate(reply, cx),
            Msg::RateRead { rate: Ok(rate), reply } => {
                live.rate = rate;
                live.purse.set_rate(rate.unwrap_or(Rate::ONE));
                reply.send(Told::Done(()));
            }
            Msg::RateRead { rate: Err(fault), reply } => {
                live.last_error = Some(fault.to_string());
                live.rate_day = i64::MIN;
                reply.send(Told::Unavailable);
            }
            Msg::Revived(Ok(budget)) => {
                let mut out = Vec::new();
                live.authority.loaded(live.at, *budget, &mut out);
                live.effects.extend(out);
            }
            Msg::Revived(Err(fault)) => {
                live.last_error = Some(fault.to_string());
                let mut out = Vec::new();
                live.authority.load_failed(&mut out);
                live.effects.extend(out);
            }
            Msg::AccountTold { counted, then, ops } => {
                live.tells = live.tells.saturating_sub(1);
                live.authority.told(&ops);
                if !counted {
                    live.retell();
                }
                use crate::models::shield::effect::Effect;
                live.effects.extend(then.into_iter().map(|(t, a)| Effect::Reply(t, a)));
            }
            Msg::Resolved { hold, wish, found } => self.found(hold, wish, found, cx),
            Msg::Journaled(lost) => {
                live.journaling = false;
                live.ending.clear();
                live.journal_again(lost);
            }
            Msg::Tick => {
                live.ticking = false;
                let mut out = Vec::new();
                if !live.guest {
                    live.authority.tick(live.at, &mut out);
                }
                live.effects.extend(out);
                live.with_purse(|p, at, out| p.tick(at, out));
            }
            Msg::Loaded(_) => {}
        }
    }

    /// A rate that was entered for a later day counts from that day on.
    fn read_rate(&self, reply: Reply<Told<()>>, cx: &mut Cx<Self>) {
        let State::Live(live) = &self.state else { return };
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.name.account));
        let (from, to) = (live.authority.budget().core.terms.currency, live.account_currency);
        let read = async move { load::rate(&shared, &account, from, to).await };
        cx.pipe(read, move |rate| Msg::RateRead { rate, reply });
    }

    /// Time is looked at for as long as anything is under way.
    pub(super) fn keep_time(&mut self, cx: &mut Cx<Self>) {
        if let State::Live(live) = &mut self.state
            && !live.ticking
            && !live.is_idle()
        {
            live.ticking = true;
            cx.send_after(TICK, Msg::Tick);
        }
    }

    /// Reads the state behind a doubt: only what is final (rule 3).
    pub(super) fn reload(&mut self, cx: &mut Cx<Self>) {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let shard = name.shard();
        let epoch = shared.epoch(shard);
        cx.pipe(
            async move {
                let read =
                    shared.store.reload_budget(&name.account, &name.budget, shard, epoch).await;
                if read.is_err() {
                    tokio::time::sleep(super::budget::LOAD_AGAIN).await;
                }
                read.map_err(Fault::from)
            },
            Msg::Reloaded,
        );
    }

    /// Tells the account everything once more that its window still counts.
    pub(super) fn retell(&mut self, after: Duration, cx: &mut Cx<Self>) {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        cx.pipe(
            async move {
                tokio::time::sleep(after).await;
                super::carry::retell(&shared, &name).await
            },
            Msg::Retold,
        );
    }

    fn reloaded(&mut self, outcome: Result<Reloaded, Fault>, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let mut out = Vec::new();
        match outcome {
            Ok(Reloaded::Current(Some(loaded))) => {
                // The rows are here; an account's window is in its ledger.
                let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
                let me = live.purse.holder();
                let revive = async move {
                    let budget = load::revived(&shared, &name, &loaded, me).await;
                    if budget.is_err() {
                        tokio::time::sleep(super::budget::LOAD_AGAIN).await;
                    }
                    budget
                };
                cx.pipe(revive, |budget| Msg::Revived(budget.map(Box::new)));
            }
            Ok(Reloaded::Current(None)) => {
                // Never stored: the order that would have done it did not happen.
                let budget = live.authority.budget().clone();
                live.authority.loaded(live.at, budget, &mut out);
            }
            Ok(Reloaded::Fenced) => live.authority.lose(&mut out),
            Err(fault) => {
                live.last_error = Some(fault.to_string());
                live.authority.load_failed(&mut out);
            }
        }
        live.effects.extend(out);
    }
}

impl Live {
    /// Why no hold is granted, whatever there is.
    pub(super) fn refused(&self, paused: bool, currency: Option<Currency>) -> Option<HoldAnswer> {
        let terms = &self.authority.budget().core.terms;
        let reason = match () {
            () if currency.is_some_and(|c| c != terms.currency) => Reason::CurrencyMismatch,
            () if self.rate.is_none() => Reason::NoExchangeRate,
            () if paused => Reason::Paused,
            () => return None,
        };
        Some(HoldAnswer::Refused(Refusal::new(reason)))
    }

    /// The slices do not suffice: the authorities are asked.
    pub(super) fn wait_for_room(&mut self, ask: Authorise, asker: HoldAsker) {
        let ticket = self.ticket();
        self.hold_askers.insert(ticket.0, asker);
        self.with_purse(|p, at, out| p.wait(at, ticket, ask, out));
    }

    /// A purse has a slice of this budget, or is about to.
    fn holds_a_slice(&mut self, holder: HolderId, home: Home) {
        self.holders.insert(holder, home);
        if self.holders.len() > HOLDERS_MIN + 2 * self.authority.budget().core.slices.len() {
            // Purses that ended without a word.
            self.forget_holders(holder);
        }
    }

    fn spend(&mut self, ask: SpendAsk, reply: Reply<Told<Booked>>) {
        let currency = self.authority.budget().core.terms.currency;
        if ask.currency.is_some_and(|c| c != currency) {
            return reply.send(Told::Done(Booked::Refused(Reason::CurrencyMismatch)));
        }
        let Some(rate) = self.rate else {
            return reply.send(Told::Done(Booked::Refused(Reason::NoExchangeRate)));
        };
        let window_amount = rate.convert(ask.amount);
        let counted = window_amount.0.unsigned_abs() <= WINDOW_AMOUNT_MAX;
        if !counted || self.authority.budget().core.is_full() {
            return reply.send(Told::Done(Booked::Refused(Reason::BeyondBounds)));
        }
        let fact =
            Fact { op: ask.op, amount: ask.amount, window_amount, body: ask.body, memo: ask.memo };
        self.ask(Ask::Spend(Box::new(fact)), Asker::Reply(reply));
    }

    fn order(&mut self, op: Op, body: u64, order: Order, reply: Reply<Told<Booked>>) {
        let core = &self.authority.budget().core;
        let ended = core.status == Status::Ended && matches!(order, Order::Resume | Order::Pause);
        if ended {
            return reply.send(Told::Done(Booked::Refused(Reason::Ended)));
        }
        if matches!(order, Order::TopUp(_)) && core.is_full() {
            return reply.send(Told::Done(Booked::Refused(Reason::BeyondBounds)));
        }
        let mut order = order;
        if let Order::Allocate(terms) | Order::Amend(terms) = &order
            && core.version > 0
            && terms.currency != core.terms.currency
        {
            // Its ledger is in another currency: amounts of both would be added up.
            return reply.send(Told::Done(Booked::Refused(Reason::CurrencyMismatch)));
        }
        if let Order::Allocate(terms) | Order::Open(terms) | Order::Amend(terms) = &mut order {
            terms.rate = self.rate.unwrap_or(Rate::ONE);
        }
        self.ask(Ask::Order { op, body, order: Box::new(order) }, Asker::Reply(reply));
    }

    fn see_account(&mut self) -> AccountSeen {
        let used = self.authority.budget_mut().window_used(self.at);
        let core = &self.authority.budget().core;
        AccountSeen {
            currency: core.terms.currency,
            stopped: core.stopped,
            window_spent: used,
            window_escrow: core.reserved(),
            window_cap: core.terms.window.map(|w| w.amount),
            window_length_us: core.terms.window.map_or(0, |w| w.length_us),
            seq: core.seq,
        }
    }

    pub(super) fn committed(&mut self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Committed => CommitOutcome::Done,
            Outcome::Duplicate(found) => duplicate(&found).unwrap_or_else(|fault| {
                self.last_error = Some(fault.to_string());
                CommitOutcome::Failed
            }),
            Outcome::Fenced => CommitOutcome::Fenced,
            Outcome::Failed(error) => {
                self.last_error = Some(error.to_string());
                CommitOutcome::Failed
            }
            Outcome::Stale => CommitOutcome::Unknown,
            Outcome::Unknown(error) => {
                self.last_error = Some(error.to_string());
                CommitOutcome::Unknown
            }
        };
        let mut out = Vec::new();
        self.authority.committed(self.at, outcome, &mut out);
        self.effects.extend(out);
    }

    /// Answers a bid, whose hold is journaled if it stands long enough.
    pub(super) fn authorise_answered(
        &mut self,
        answer: HoldAnswer,
        reply: Reply<Told<Authorised>>,
    ) {
        m::hold_answered(&answer);
        if let HoldAnswer::Held { hold, replayed: false } = &answer {
            let id = hold.id;
            match reply.is_closed() {
                // Nobody hears of it, so nobody would give it back. One that has a key stays: whoever else asks
                // under that key is told of it.
                true if hold.is_asked_once() => {
                    self.with_purse(|p, at, out| p.withdraw(at, id, out));
                }
                _ if hold.is_proven_elsewhere() => {}
                _ => self.queue_for_journal(id),
            }
        }
        if let HoldAnswer::Refused(refusal) = &answer {
            self.feed.denied(&self.budget, refusal.reason, self.at.wall_us);
        }
        reply.send(self.authorised(answer));
    }

    pub(super) fn authorised(&self, answer: HoldAnswer) -> Told<Authorised> {
        Told::Done(Authorised {
            answer,
            remaining: self.remaining(),
            currency: Some(self.authority.budget().core.terms.currency),
        })
    }
}

fn duplicate(found: &[store::Found]) -> Result<CommitOutcome, Fault> {
    let known = found.iter().map(|found| match found {
        store::Found::Entry(row) => {
            let entry = rows::entry_of(row)?;
            Ok((entry.op, Known::Row { entry: Box::new(entry) }))
        }
        store::Found::Operation(row) => {
            let op = Op::from_hex(&row.op).ok_or_else(|| Fault::new("stored operation"))?;
            let known = Known::Answer {
                body: rows::body_of(&row.body_hash)?,
                status: u16::try_from(row.status).unwrap_or(500),
                answer: row.answer.clone(),
            };
            Ok((op, known))
        }
    });
    Ok(CommitOutcome::Duplicate(known.collect::<Result<_, Fault>>()?))
}

/// What an authority's answer is to whoever asked for a booking.
pub fn booked(answer: Answer, name: &super::names::BudgetName) -> Booked {
    match answer {
        Answer::Ordered { core, created } => {
            Booked::Ordered { allocation: Box::new(view::allocation(name, &core)), created }
        }
        Answer::Refused(refusal) => Booked::Refused(refusal.reason),
        other => Booked::Answer(other),
    }
}
