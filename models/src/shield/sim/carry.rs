//! The effects of the rules, carried out in the simulated world.

use super::node::Tell;
use super::store::Met;
use super::world::{ACCOUNT, Asker, Event, MS, Message, SECOND, World};
use crate::cluster::node::Incarnation;
use crate::shield::ask::{Answer, Ask, Ticket};
use crate::shield::authority::{CommitOutcome, Phase};
use crate::shield::effect::{Batch, Effect, Lane};
use crate::shield::entry::{Op, SliceId};
use crate::shield::hold::HoldState;
use crate::shield::limits::Bug;
use crate::shield::watch;

impl World {
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
                Effect::Tell { notes, then, ops } => {
                    self.tell(node, Tell { budget, generation: 0, notes, then, ops, again: false })
                }
                Effect::Retell => self.tell_again(node, budget),
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

    pub fn tell(&mut self, node: usize, tell: Tell) {
        let hosted = self.nodes[node].hosted.get(&tell.budget);
        let tell = Tell { generation: hosted.map_or(0, |h| h.generation), ..tell };
        let id = self.nodes[node].next();
        self.nodes[node].tells.insert(id, tell);
        self.send_tell(node, id);
    }

    pub fn send_tell(&mut self, node: usize, id: u64) {
        let n = &self.nodes[node];
        let Some(tell) = n.tells.get(&id) else { return };
        let from = Asker::Told { node, incarnation: n.incarnation, tell: id };
        let message = Message::Notes { notes: tell.notes.clone(), from };
        self.send_to_owner(node, ACCOUNT, message);
    }

    pub fn reply(&mut self, node: usize, ticket: Ticket, answer: Answer) {
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

    pub fn forget_notice(&mut self, hold: Op) {
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
                    self.send_to_owner(node, budget, Message::Ask { budget, ask, from });
                }
                Effect::Book { hold, ask } => {
                    self.check.kept(hold, node);
                    let from = Asker::Book { node, incarnation, campaign, hold };
                    self.send_to_owner(
                        node,
                        campaign,
                        Message::Ask { budget: campaign, ask, from },
                    );
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

    pub fn commit(&mut self, node: usize, budget: usize, batch: Box<Batch>) {
        let n = &self.nodes[node];
        let Some((epoch, generation)) = n.hosted.get(&budget).map(|h| (h.epoch, h.generation))
        else {
            return;
        };
        let incarnation = n.incarnation;
        if let (None, Some(h)) = (self.limits.bug, n.hosted.get(&budget)) {
            // The checks that the service runs find nothing where nothing is wrong.
            let broken = watch::broken(&h.authority.budget().core, &batch);
            if !broken.is_empty() {
                self.check.fail(format!("{broken:?}: a batch of budget {budget}"));
            }
        }
        let outcome = |outcome| Event::Committed { node, incarnation, budget, generation, outcome };
        let meets = self.between(200, 3 * MS);
        let hears = self.between(100, 2 * MS);
        let fate = if self.calm { 100 } else { self.pick(100) };
        let apply =
            |answer| Event::Apply { node, incarnation, budget, epoch, generation, batch, answer };
        if self.is_away(node) || fate < 2 {
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

    pub fn apply(
        &mut self,
        node: usize,
        incarnation: u64,
        budget: usize,
        (epoch, generation): (i64, u64),
        batch: Batch,
        answer: Option<i64>,
    ) {
        let n = &self.nodes[node];
        let (boot, staged) = (n.boot + node as u64 * 1_000, batch.now.mono_us);
        let ages: Vec<i64> = batch.entries.iter().map(|_| n.now(self.t).mono_us - staged).collect();
        let current = self.store.epoch(budget);
        let fenced = !self.has(Bug::EpochIgnored);
        let beyond = self.store.books_beyond(budget, &batch);
        let met = self.store.meet(budget, epoch, &batch, boot, self.t, fenced);
        if met == Met::Applied {
            if beyond {
                self.check.fail(format!("BG-1: a slice of budget {budget} books beyond its quota"));
            }
            let owns = self.store.owner(budget) == Some(Incarnation(incarnation));
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
        let (fenced, epoch) = (outcome == CommitOutcome::Fenced, h.epoch);
        h.authority.committed(now, outcome, &mut out);
        self.authority_effects(node, budget, out);
        if fenced {
            let mut out = Vec::new();
            self.nodes[node].member.fenced(super::store::shard(budget), epoch, &mut out);
            self.member_effects(node, out);
        }
    }
}

fn slice_of(ask: &Ask) -> SliceId {
    match ask {
        Ask::Take { slice, .. } | Ask::Grow { slice, .. } | Ask::Return { slice, .. } => *slice,
        _ => SliceId(0),
    }
}
