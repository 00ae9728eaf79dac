//! A simulated node: authorities of the shards it owns, purses of the campaigns it bids for, and a
//! disk for its notices. It carries effects out as an actor would.

use std::collections::BTreeMap;

use super::store::{Met, reading};
use super::world::{ACCOUNT, Asker, BUDGETS, Event, MS, Message, SECOND, World};
use crate::models::shield::ask::{Answer, Ask, Ticket};
use crate::models::shield::authority::{Authority, CommitOutcome, Phase};
use crate::models::shield::budget::Budget;
use crate::models::shield::effect::{Batch, Effect, Lane, Note};
use crate::models::shield::entry::{HolderId, Now, Op, SliceId};
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::lane::Share;
use crate::models::shield::limits::Bug;
use crate::models::shield::money::{Micros, Rate};
use crate::models::shield::purse::{Purse, settlement};
use crate::models::shield::window::{Past, Window};

pub struct Hosted {
    pub authority: Authority,
    pub epoch: i64,
    pub generation: u64,
}

/// A campaign's bookings on their way to the account's window, and the answers that wait for it.
pub struct Tell {
    pub budget: usize,
    pub notes: Vec<Note>,
    pub then: Vec<(Ticket, Answer)>,
}

pub struct Node {
    pub id: usize,
    pub up: bool,
    pub incarnation: u64,
    pub boot: u64,
    pub mono_offset: i64,
    pub wall_offset: i64,
    pub paused_until: Option<i64>,
    pub hosted: BTreeMap<usize, Hosted>,
    pub purses: BTreeMap<usize, Purse>,
    pub tickets: BTreeMap<u64, Asker>,
    pub holds: BTreeMap<u64, (usize, Op)>,
    pub tells: BTreeMap<u64, Tell>,
    /// On disk: it survives the node.
    pub spool: Vec<(usize, Hold)>,
    made: u64,
}

impl Node {
    pub fn new(id: usize, mono_offset: i64) -> Node {
        Node {
            id,
            up: false,
            incarnation: 0,
            boot: 1,
            mono_offset,
            wall_offset: 0,
            paused_until: None,
            hosted: BTreeMap::new(),
            purses: BTreeMap::new(),
            tickets: BTreeMap::new(),
            holds: BTreeMap::new(),
            tells: BTreeMap::new(),
            spool: Vec::new(),
            made: 0,
        }
    }

    pub fn now(&self, t: i64) -> Now {
        reading(t, self.mono_offset, self.wall_offset)
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

/// A purse's identity: one campaign in one life of one node.
pub fn holder(incarnation: u64, campaign: usize) -> HolderId {
    HolderId(incarnation * 64 + campaign as u64)
}

impl World {
    pub fn boot(&mut self, node: usize) {
        let survivor = self.has(Bug::SliceSurvivesItsHolder) && self.nodes[node].incarnation > 0;
        let n = &mut self.nodes[node];
        n.up = true;
        n.paused_until = None;
        if !survivor {
            n.incarnation =
                n.incarnation + 1 + node as u64 * 1_000_000 * u64::from(n.incarnation == 0);
        }
        let incarnation = n.incarnation;
        let now = n.now(self.t);
        if survivor {
            for campaign in 1..BUDGETS {
                self.resurrect(node, campaign, now);
            }
        }
        for budget in 0..BUDGETS {
            if self.owner(budget) == node {
                self.store.shards[budget].epoch += 1;
                let epoch = self.store.shards[budget].epoch;
                self.after(MS, Event::Load { node, incarnation, budget, epoch });
            }
        }
        self.after(MS, Event::Tick { node, incarnation });
    }

    /// Planted: the new life goes on with the slices of the old one, all of them free again.
    fn resurrect(&mut self, node: usize, campaign: usize, now: Now) {
        let me = holder(self.nodes[node].incarnation, campaign);
        let mut purse = Purse::new(me, Rate::ONE, self.limits.clone());
        for (lane, budget) in [(Lane::Budget, campaign), (Lane::Account, ACCOUNT)] {
            let slices = &self.store.cores[budget].slices;
            if let Some(s) = slices.values().rfind(|s| s.holder == me && !s.drained) {
                purse.adopt(
                    lane,
                    Share {
                        slice: s.id,
                        quota: s.quota,
                        held: Micros::ZERO,
                        booked: s.settled,
                        day: s.day,
                        until_us: now.mono_us + s.ttl_us,
                        until_wall_us: now.wall_us + s.ttl_us,
                    },
                );
            }
        }
        self.nodes[node].purses.insert(campaign, purse);
    }

    pub fn crash(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        n.up = false;
        n.paused_until = None;
        n.hosted.clear();
        n.purses.clear();
        n.tickets.clear();
        n.holds.clear();
        n.tells.clear();
        self.check.died(node);
    }

    /// Reads a budget from the store into its authority, as a start or a doubt demands.
    pub fn load(&mut self, node: usize, incarnation: u64, budget: usize, epoch: i64) {
        let n = &self.nodes[node];
        if !n.up || n.incarnation != incarnation || self.store.shards[budget].epoch != epoch {
            return;
        }
        if self.store.down_until > self.t {
            self.after(250 * MS, Event::Load { node, incarnation, budget, epoch });
            return;
        }
        let now = n.now(self.t);
        let mut core = self.store.core(budget);
        let alive: Vec<u64> = self.nodes.iter().filter(|n| n.up).map(|n| n.incarnation).collect();
        for slice in core.slices.values_mut() {
            slice.seen_us = now.mono_us;
            slice.noted = Micros::ZERO;
            slice.sealed |= !alive.contains(&(slice.holder.0 / 64));
        }
        let window = match core.terms.window {
            Some(cap) => Window::rebuild(
                now.mono_us,
                cap.length_us,
                &self.past(node, cap.length_us),
                &self.limits,
            ),
            None => Window::default(),
        };
        let budget_state = Budget { core, window };
        let mut out = Vec::new();
        let limits = self.limits.clone();
        let n = &mut self.nodes[node];
        let known = n.hosted.get_mut(&budget).filter(|h| h.epoch == epoch);
        match known {
            Some(hosted) => hosted.authority.loaded(now, budget_state, &mut out),
            None => {
                let generation = n.next();
                let authority = Authority::new(budget_state, limits);
                n.hosted.insert(budget, Hosted { authority, epoch, generation });
            }
        }
        self.authority_effects(node, budget, out);
        if budget != ACCOUNT {
            self.tell_again(node, budget);
        }
    }

    /// What the account may not have heard of because the campaign's authority died first.
    fn tell_again(&mut self, node: usize, budget: usize) {
        let rows = self.past(node, super::store::WINDOW_US);
        let own: Vec<Op> =
            self.store.ledger[budget].iter().rev().take(rows.len()).map(|r| r.entry.op).collect();
        let notes: Vec<Note> = Window::to_retell(&rows, super::store::WINDOW_US)
            .into_iter()
            .filter(|(op, _)| own.contains(op))
            .map(|(op, amount)| Note { slice: None, op, amount })
            .collect();
        if !notes.is_empty() {
            self.tell(node, Tell { budget, notes, then: Vec::new() });
        }
    }

    fn past(&self, node: usize, length_us: i64) -> Vec<Past> {
        let n = &self.nodes[node];
        let now = n.now(self.t);
        let since = self.t - 3 * length_us;
        let rows = self.store.window_rows(since);
        let past = rows.iter().map(|row| Past {
            age_us: (row.boot == n.boot + node as u64 * 1_000)
                .then_some(now.mono_us - row.entry.at.mono_us),
            amount: row.entry.window_amount,
            op: row.entry.op,
        });
        past.collect()
    }

    pub fn tick(&mut self, node: usize, incarnation: u64) {
        let n = &self.nodes[node];
        if !n.up || n.incarnation != incarnation {
            return;
        }
        if let Some(until) = n.paused_until {
            self.at(until + 1, Event::Tick { node, incarnation });
            return;
        }
        let now = n.now(self.t);
        self.after(200 * MS, Event::Tick { node, incarnation });
        for budget in 0..BUDGETS {
            let mut out = Vec::new();
            if let Some(h) = self.nodes[node].hosted.get_mut(&budget) {
                h.authority.tick(now, &mut out);
            }
            self.authority_effects(node, budget, out);
            let mut out = Vec::new();
            if let Some(p) = self.nodes[node].purses.get_mut(&budget) {
                p.tick(now, &mut out);
            }
            self.purse_effects(node, budget, out);
        }
        let tells: Vec<u64> = self.nodes[node].tells.keys().copied().collect();
        for tell in tells {
            self.send_tell(node, tell);
        }
        for (campaign, hold) in self.nodes[node].spool.clone() {
            let lives =
                self.nodes[node].purses.get(&campaign).is_some_and(|p| p.hold(hold.id).is_some());
            if let (HoldState::Won(price), false) = (hold.state, lives) {
                let ask = Ask::Settle(settlement(&hold, price, Rate::ONE, false));
                let from = Asker::Notice { hold: hold.id };
                let owner = self.owner(campaign);
                self.send(node, owner, None, Message::Ask { budget: campaign, ask, from });
            }
        }
    }

    pub fn receive(&mut self, node: usize, message: Message) {
        let now = self.nodes[node].now(self.t);
        match message {
            Message::Ask { budget, ask, from } => self.asked(node, budget, ask, from),
            Message::Notes { notes, from } => self.asked(node, ACCOUNT, Ask::Note(notes), from),
            Message::ToldAnswer { tell } => {
                if let Some(tell) = self.nodes[node].tells.remove(&tell) {
                    let effects = tell.then.into_iter().map(|(t, a)| Effect::Reply(t, a)).collect();
                    self.authority_effects(node, tell.budget, effects);
                }
            }
            Message::Authorise { campaign, ask } => {
                self.with_purse(
                    node,
                    campaign,
                    |p, ticket, out| p.ask(now, ticket, ask, out),
                    ask.id,
                );
            }
            Message::Settle { campaign, hold, amount } if self.has(Bug::ForeignWriter) => {
                self.write_abroad(node, campaign, hold, amount);
            }
            Message::Settle { campaign, hold, amount } => {
                self.with_purse(
                    node,
                    campaign,
                    |p, ticket, out| p.settle(now, Some(ticket), hold, amount, out),
                    hold,
                );
            }
            Message::Release { campaign, hold } => {
                self.with_purse(
                    node,
                    campaign,
                    |p, ticket, out| p.release(now, ticket, hold, out),
                    hold,
                );
            }
            Message::Notice { campaign, hold, price } => {
                self.with_purse(
                    node,
                    campaign,
                    |p, ticket, out| p.notice(now, ticket, hold, price, out),
                    hold,
                );
            }
            Message::LaneAnswer { campaign, lane, slice, answer } => {
                self.on_purse(node, campaign, |p, out| p.answered(now, lane, slice, answer, out));
            }
            Message::BookAnswer { campaign, hold, answer } => {
                self.on_purse(node, campaign, |p, out| p.settled(now, hold, answer, out));
            }
            Message::Recall { campaign, lane, slice } => {
                self.on_purse(node, campaign, |p, out| p.recall(now, lane, slice, out));
            }
        }
    }

    fn asked(&mut self, node: usize, budget: usize, ask: Ask, from: Asker) {
        let now = self.nodes[node].now(self.t);
        let n = &mut self.nodes[node];
        if !n.hosted.contains_key(&budget) {
            return;
        }
        let ticket = n.next();
        n.tickets.insert(ticket, from);
        let mut out = Vec::new();
        if let Some(h) = n.hosted.get_mut(&budget) {
            h.authority.ask(now, Ticket(ticket), ask, &mut out);
        }
        self.authority_effects(node, budget, out);
    }

    fn with_purse(
        &mut self,
        node: usize,
        campaign: usize,
        act: impl FnOnce(&mut Purse, Ticket, &mut Vec<Effect>),
        hold: Op,
    ) {
        let ticket = self.nodes[node].next();
        self.nodes[node].holds.insert(ticket, (campaign, hold));
        self.on_purse(node, campaign, |p, out| act(p, Ticket(ticket), out));
    }

    fn on_purse(
        &mut self,
        node: usize,
        campaign: usize,
        act: impl FnOnce(&mut Purse, &mut Vec<Effect>),
    ) {
        let limits = self.limits.clone();
        let n = &mut self.nodes[node];
        let me = holder(n.incarnation, campaign);
        let purse = n.purses.entry(campaign).or_insert_with(|| Purse::new(me, Rate::ONE, limits));
        let mut out = Vec::new();
        act(purse, &mut out);
        self.purse_effects(node, campaign, out);
    }

    /// Planted: a node books in a budget's rows without owning its shard.
    fn write_abroad(&mut self, node: usize, campaign: usize, hold: Op, amount: Micros) {
        let now = self.nodes[node].now(self.t);
        let Some(held) = self.nodes[node].purses.get(&campaign).and_then(|p| p.hold(hold)).cloned()
        else {
            return;
        };
        let epoch = self.store.shards[campaign].epoch;
        let mut authority = Authority::new(
            Budget { core: self.store.core(campaign), window: Window::default() },
            self.limits.clone(),
        );
        let mut out = Vec::new();
        let ask = Ask::Settle(settlement(&held, amount.min(held.amount), Rate::ONE, true));
        authority.ask(now, Ticket(0), ask, &mut out);
        for effect in out {
            if let Effect::Commit(batch) = effect {
                let incarnation = self.nodes[node].incarnation;
                self.after(
                    MS,
                    Event::Apply {
                        node,
                        incarnation,
                        budget: campaign,
                        epoch,
                        batch,
                        answer: None,
                    },
                );
            }
        }
    }

    pub fn authority_effects(&mut self, node: usize, budget: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Commit(batch) => self.commit(node, budget, batch),
                Effect::Reload => {
                    let incarnation = self.nodes[node].incarnation;
                    let Some(epoch) = self.nodes[node].hosted.get(&budget).map(|h| h.epoch) else {
                        continue;
                    };
                    let delay = self.between(MS, 50 * MS);
                    self.after(delay, Event::Load { node, incarnation, budget, epoch });
                }
                Effect::Reply(ticket, answer) => self.reply(node, ticket, answer),
                Effect::Recall { holder, slice } => {
                    let campaign = (holder.0 % 64) as usize;
                    let lane = if budget == ACCOUNT { Lane::Account } else { Lane::Budget };
                    let found =
                        self.nodes.iter().position(|n| n.up && n.incarnation == holder.0 / 64);
                    if let Some(to) = found {
                        let incarnation = Some(holder.0 / 64);
                        self.send(node, to, incarnation, Message::Recall { campaign, lane, slice });
                    }
                }
                Effect::Tell { notes, then } => self.tell(node, Tell { budget, notes, then }),
                other => unreachable!("an authority does not {other:?}"),
            }
        }
        let lost = self.nodes[node]
            .hosted
            .get(&budget)
            .is_some_and(|h| h.authority.phase() == Phase::Lost);
        if lost {
            self.nodes[node].hosted.remove(&budget);
        }
    }

    fn tell(&mut self, node: usize, tell: Tell) {
        let id = self.nodes[node].next();
        self.nodes[node].tells.insert(id, tell);
        self.send_tell(node, id);
    }

    fn send_tell(&mut self, node: usize, id: u64) {
        let n = &self.nodes[node];
        let Some(tell) = n.tells.get(&id) else { return };
        let from = Asker::Told { node, incarnation: n.incarnation, tell: id };
        let message = Message::Notes { notes: tell.notes.clone(), from };
        let owner = self.owner(ACCOUNT);
        self.send(node, owner, None, message);
    }

    fn reply(&mut self, node: usize, ticket: Ticket, answer: Answer) {
        let Some(asker) = self.nodes[node].tickets.remove(&ticket.0) else {
            return;
        };
        match asker {
            Asker::Lane { node: to, incarnation, campaign, lane, slice } => {
                let message = Message::LaneAnswer { campaign, lane, slice, answer };
                self.send(node, to, Some(incarnation), message);
            }
            Asker::Book { node: to, incarnation, campaign, hold } => {
                if let Answer::Booked { entry, .. } = &answer {
                    self.check.acknowledged(entry.op, entry.amount);
                }
                self.send(
                    node,
                    to,
                    Some(incarnation),
                    Message::BookAnswer { campaign, hold, answer },
                );
            }
            Asker::Told { node: to, incarnation, tell } => {
                self.send(node, to, Some(incarnation), Message::ToldAnswer { tell });
            }
            Asker::Client { op } => self.client_answered(op, answer),
            Asker::Notice { hold } => {
                if let Answer::Booked { entry, .. } = &answer {
                    self.check.acknowledged(entry.op, entry.amount);
                }
                if matches!(answer, Answer::Booked { .. } | Answer::Mismatch) {
                    self.forget_notice(hold);
                }
            }
        }
    }

    fn forget_notice(&mut self, hold: Op) {
        for n in &mut self.nodes {
            n.spool.retain(|(_, h)| h.id != hold);
        }
    }

    pub fn purse_effects(&mut self, node: usize, campaign: usize, effects: Vec<Effect>) {
        let incarnation = self.nodes[node].incarnation;
        for effect in effects {
            match effect {
                Effect::Ask { lane, ask } => {
                    let budget = if lane == Lane::Account { ACCOUNT } else { campaign };
                    let from =
                        Asker::Lane { node, incarnation, campaign, lane, slice: slice_of(&ask) };
                    let owner = self.owner(budget);
                    self.send(node, owner, None, Message::Ask { budget, ask, from });
                }
                Effect::Book { hold, ask } => {
                    self.check.kept(hold, node);
                    let from = Asker::Book { node, incarnation, campaign, hold };
                    let owner = self.owner(campaign);
                    self.send(node, owner, None, Message::Ask { budget: campaign, ask, from });
                }
                Effect::Hold(ticket, answer) => {
                    if let Some((campaign, hold)) = self.nodes[node].holds.remove(&ticket.0) {
                        self.hold_answered(node, campaign, hold, answer);
                    }
                }
                Effect::Journal(hold) => match hold.state {
                    HoldState::Open => {
                        self.promise(campaign, &hold, node);
                        // Held from here; whether anybody hears of it is another matter.
                    }
                    HoldState::Settled(_) => {
                        self.check.ended(&hold);
                        self.forget_notice(hold.id);
                    }
                    _ => self.check.ended(&hold),
                },
                Effect::Spool { ticket, hold } => {
                    self.check.kept(hold.id, node);
                    self.nodes[node].spool.push((campaign, (*hold).clone()));
                    self.nodes[node].holds.remove(&ticket.0);
                    if let HoldState::Won(price) = hold.state {
                        self.check.noticed(hold.id, price);
                    }
                }
                other => unreachable!("a purse does not {other:?}"),
            }
        }
    }

    fn commit(&mut self, node: usize, budget: usize, batch: Box<Batch>) {
        let n = &self.nodes[node];
        let Some((epoch, generation)) = n.hosted.get(&budget).map(|h| (h.epoch, h.generation))
        else {
            return;
        };
        let incarnation = n.incarnation;
        let outcome = |outcome| Event::Committed { node, incarnation, budget, generation, outcome };
        let meets = self.between(200, 3 * MS);
        let hears = self.between(100, 2 * MS);
        let fate = if self.calm { 100 } else { self.pick(100) };
        let apply = |answer| Event::Apply { node, incarnation, budget, epoch, batch, answer };
        if self.store.down_until > self.t || fate < 2 {
            self.after(meets, outcome(CommitOutcome::Failed));
        } else if fate < 4 {
            // It happened, and nobody could say so.
            self.after(meets, apply(None));
            self.after(meets + hears, outcome(CommitOutcome::Unknown));
        } else if fate < 5 {
            // The doubt comes first, the commit after the reload perhaps.
            self.after(meets, outcome(CommitOutcome::Unknown));
            let late = self.between(MS, SECOND);
            self.after(meets + late, apply(None));
        } else if fate < 6 {
            self.after(meets, outcome(CommitOutcome::Unknown));
        } else {
            let slow = if fate == 6 { self.between(SECOND, 3 * SECOND) } else { 0 };
            self.after(meets + slow, apply(Some(hears)));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub fn apply(
        &mut self,
        node: usize,
        incarnation: u64,
        budget: usize,
        epoch: i64,
        batch: Batch,
        answer: Option<i64>,
    ) {
        let n = &self.nodes[node];
        let generation = n.hosted.get(&budget).map_or(0, |h| h.generation);
        let (boot, staged) = (n.boot + node as u64 * 1_000, batch.now.mono_us);
        let ages: Vec<i64> = batch.entries.iter().map(|_| n.now(self.t).mono_us - staged).collect();
        let current = self.store.shards[budget].epoch;
        let fenced = !self.has(Bug::EpochIgnored);
        let met = self.store.meet(budget, epoch, &batch, boot, self.t, fenced);
        if met == Met::Applied {
            let owns = self.owner(budget) == node;
            let Self { check, store, t, .. } = self;
            check.applied(*t, &ages, budget, epoch, current, owns, &batch, store);
        }
        let Some(hears) = answer else { return };
        let outcome = match met {
            Met::Applied => CommitOutcome::Done,
            Met::Duplicate(found) => CommitOutcome::Duplicate(found),
            Met::Stale => CommitOutcome::Unknown,
            Met::Fenced => CommitOutcome::Fenced,
        };
        self.after(hears, Event::Committed { node, incarnation, budget, generation, outcome });
    }

    pub fn committed(
        &mut self,
        node: usize,
        incarnation: u64,
        budget: usize,
        generation: u64,
        outcome: CommitOutcome,
    ) {
        let n = &mut self.nodes[node];
        if !n.up || n.incarnation != incarnation {
            return;
        }
        let now = n.now(self.t);
        let Some(h) = n.hosted.get_mut(&budget).filter(|h| h.generation == generation) else {
            return;
        };
        let mut out = Vec::new();
        h.authority.committed(now, outcome, &mut out);
        self.authority_effects(node, budget, out);
    }
}

fn slice_of(ask: &Ask) -> SliceId {
    match ask {
        Ask::Take { slice, .. } | Ask::Grow { slice, .. } | Ask::Return { slice, .. } => *slice,
        _ => SliceId(0),
    }
}
