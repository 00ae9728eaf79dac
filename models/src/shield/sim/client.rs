//! Bidders, exchanges and operators: what they ask for, and what they were told.

use std::collections::{BTreeMap, HashSet};

use super::world::{ACCOUNT, Asker, BUDGETS, Event, MS, Message, NODES, SECOND, World};
use crate::shield::ask::{Answer, Ask, Order};
use crate::shield::budget::Fact;
use crate::shield::entry::Op;
use crate::shield::hold::Hold;
use crate::shield::money::{Micros, Rate};
use crate::shield::purse::{Authorise, HoldAnswer, settlement};
use crate::shield::terms::Terms;

/// A hold that a bidder has, and the node that gave it.
#[derive(Clone, Debug)]
struct Held {
    campaign: usize,
    node: usize,
    hold: Hold,
    settle: Option<Micros>,
}

#[derive(Default)]
pub struct Clients {
    held: Vec<Held>,
    facts: Vec<(Op, usize, Micros)>,
    orders: BTreeMap<Op, (usize, Order)>,
    /// When the last order of a budget was given, and not answered yet.
    ordering: [Option<i64>; BUDGETS],
    /// The newest order of each budget that was answered.
    ordered: [Option<Op>; BUDGETS],
    pub acked: HashSet<Op>,
    made: u128,
    /// Probes of the calm after the faults: they must all be answered.
    pub probes: HashSet<Op>,
}

impl World {
    pub fn client_acts(&mut self) {
        if self.quiet {
            return;
        }
        let pause = self.between(2 * MS, 40 * MS);
        self.after(pause, Event::Client);
        match self.pick(100) {
            0..45 => self.bid(),
            45..72 => self.settle_one(),
            72..78 => self.release_one(),
            78..86 => self.notice_one(),
            86..90 => self.spend_one(),
            90..92 => self.repeat_one(),
            _ => self.order_one(),
        }
    }

    fn fresh(&mut self) -> Op {
        self.clients.made += 1;
        Op(self.clients.made)
    }

    fn bid(&mut self) {
        let (campaign, node) = (1 + self.pick(BUDGETS - 1), self.pick(NODES));
        self.bid_at(campaign, node);
    }

    fn bid_at(&mut self, campaign: usize, node: usize) {
        let ttl_us = self.between(SECOND / 2, self.limits.hold_ttl_max_us);
        let ask = Authorise {
            id: self.fresh(),
            amount: Micros(self.between(1, 40)),
            ttl_us,
            body: 1,
            deadline_us: self.nodes[node].now(self.t).mono_us + 2 * SECOND,
        };
        self.send(NODES_OUTSIDE, node, None, Message::Authorise { campaign, ask });
    }

    fn some_hold(&mut self) -> Option<usize> {
        let n = self.clients.held.len();
        (n > 0).then(|| self.pick(n))
    }

    fn settle_one(&mut self) {
        let Some(i) = self.some_hold() else { return };
        let most = self.clients.held[i].hold.amount;
        let amount = match self.pick(4) {
            0 => most,
            1 => Micros::ZERO,
            _ => Micros(self.between(0, most.0)),
        };
        let h = &mut self.clients.held[i];
        // An exchange repeats what it said before.
        let amount = *h.settle.get_or_insert(amount);
        let (node, campaign, hold) = (h.node, h.campaign, h.hold.id);
        self.send(NODES_OUTSIDE, node, None, Message::Settle { campaign, hold, amount });
    }

    fn release_one(&mut self) {
        let Some(i) = self.some_hold() else { return };
        if self.clients.held[i].settle.is_none() {
            let h = self.clients.held.swap_remove(i);
            let message = Message::Release { campaign: h.campaign, hold: h.hold.id };
            self.send(NODES_OUTSIDE, h.node, None, message);
        }
    }

    fn notice_one(&mut self) {
        let Some(i) = self.some_hold() else { return };
        if self.clients.held[i].settle.is_none() {
            let h = self.clients.held.swap_remove(i);
            let price = Micros(self.between(0, h.hold.amount.0));
            let message = Message::Notice { campaign: h.campaign, hold: h.hold.id, price };
            self.send(NODES_OUTSIDE, h.node, None, message);
        }
    }

    fn spend_one(&mut self) {
        let (op, budget) = (self.fresh(), self.pick(BUDGETS));
        let refund = self.chance(40);
        let amount = if refund { -self.between(1, 30) } else { self.between(0, 12) };
        self.clients.facts.push((op, budget, Micros(amount)));
        if self.clients.facts.len() > 200 {
            self.clients.facts.remove(0);
        }
        self.send_fact(op, budget, Micros(amount));
    }

    fn repeat_one(&mut self) {
        let n = self.clients.facts.len();
        if n > 0 {
            let i = self.pick(n);
            let (op, budget, amount) = self.clients.facts[i];
            self.send_fact(op, budget, amount);
        }
    }

    fn send_fact(&mut self, op: Op, budget: usize, amount: Micros) {
        let fact = Fact { op, amount, window_amount: amount, body: amount.0 as u64, memo: None };
        let message =
            Message::Ask { budget, ask: Ask::Spend(Box::new(fact)), from: Asker::Client { op } };
        self.send_to_owner(NODES_OUTSIDE, budget, message);
    }

    /// In the calm every budget must book a fact again.
    pub fn probe(&mut self) {
        for budget in 0..BUDGETS {
            let op = self.fresh();
            self.clients.probes.insert(op);
            self.clients.facts.push((op, budget, Micros(1)));
        }
        self.probe_again();
    }

    pub fn probe_again(&mut self) {
        let open: Vec<_> = self
            .clients
            .facts
            .iter()
            .copied()
            .filter(|(op, _, _)| self.clients.probes.contains(op))
            .collect();
        for (op, budget, amount) in open {
            self.send_fact(op, budget, amount);
        }
    }

    fn order_one(&mut self) {
        let budget = self.pick(BUDGETS);
        // One order at a time: with two on their way nobody could say which caps hold.
        let patience = self.limits.slice_ttl_us + 35 * SECOND;
        if self.clients.ordering[budget].is_some_and(|at| self.t - at < patience) {
            return;
        }
        let order = if budget == ACCOUNT {
            Order::Stop(self.chance(10))
        } else {
            match self.pick(10) {
                0 => Order::Pause,
                1..5 => Order::Resume,
                5..7 => Order::TopUp(Micros(self.between(0, 300))),
                7 if self.chance(30) => Order::End,
                _ => {
                    let spent = self.store.cores[budget].spent().0.max(0);
                    // Now the lifetime cap is the narrow one, now the day's.
                    let daily = self.tight_days;
                    let (least, most) = if daily { (1_000, 2_000) } else { (-50, 400) };
                    let lifetime = Micros(spent + self.between(least, most));
                    let mut terms = Terms::campaign(crate::shield::money::Currency::USD, lifetime);
                    let most = if daily { 120 } else { 2_000 };
                    terms.daily = Some(Micros(self.between(60, most)));
                    Order::Allocate(terms)
                }
            }
        };
        let op = self.fresh();
        self.clients.ordering[budget] = Some(self.t);
        self.clients.orders.insert(op, (budget, order.clone()));
        self.check.may_run(budget, &order);
        let ask = Ask::Order { op, body: 1, order: Box::new(order) };
        let message = Message::Ask { budget, ask, from: Asker::Client { op } };
        self.send_to_owner(NODES_OUTSIDE, budget, message);
    }

    pub fn client_answered(&mut self, op: Op, answer: Answer) {
        match answer {
            Answer::Booked { entry, .. } => {
                self.check.acknowledged(op, entry.amount);
                self.clients.acked.insert(op);
                self.clients.probes.remove(&op);
            }
            Answer::Ordered { .. } | Answer::OrderReplayed { .. } => {
                if let Some((budget, order)) = self.clients.orders.remove(&op) {
                    self.clients.ordering[budget] = None;
                    // The answer to an older order, come late, says nothing of what holds now.
                    let newest =
                        self.clients.orders.iter().all(|(o, (b, _))| *b != budget || *o < op);
                    let Self { check, store, .. } = self;
                    if newest && self.clients.ordered[budget] < Some(op) {
                        self.clients.ordered[budget] = Some(op);
                        check.ordered(budget, store, &order);
                    }
                }
            }
            _ => {}
        }
    }

    pub fn hold_answered(&mut self, node: usize, campaign: usize, hold: Op, answer: HoldAnswer) {
        match answer {
            // Some answers never reach the bidder: the hold expires by itself.
            HoldAnswer::Held { hold, replayed: false } if !self.chance(10) => {
                self.clients.held.push(Held { campaign, node, hold, settle: None });
                if self.clients.held.len() > 60 {
                    self.clients.held.remove(0);
                }
            }
            HoldAnswer::Settled { .. } => self.clients.held.retain(|h| h.hold.id != hold),
            HoldAnswer::Noticed(hold) => {
                if let crate::shield::hold::HoldState::Won(price) = hold.state {
                    self.check.noticed(hold.id, price);
                }
            }
            HoldAnswer::Unknown => {
                // The bidder shows its token: the impression was bought, whoever has forgotten it.
                let Some(i) = self.clients.held.iter().position(|h| h.hold.id == hold) else {
                    return;
                };
                let Some(amount) = self.clients.held[i].settle else {
                    return;
                };
                let h = self.clients.held.swap_remove(i);
                let ask = Ask::Settle(Box::new(settlement(&h.hold, amount, Rate::ONE, false)));
                let from = Asker::Client { op: crate::shield::hold::settle_op(hold) };
                let message = Message::Ask { budget: campaign, ask, from };
                self.send_to_owner(NODES_OUTSIDE, campaign, message);
                // And it goes on to buy there: what the hold had is in other hands, or about to be.
                for _ in 0..4 {
                    self.bid_at(campaign, node);
                }
            }
            _ => {}
        }
    }
}

/// Clients are not nodes: their way to every node is a network.
pub const NODES_OUTSIDE: usize = usize::MAX;
