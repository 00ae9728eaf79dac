//! What a simulated node does with a message.

use super::node::holder;
use super::world::{ACCOUNT, Asker, Event, MS, Message, World};
use crate::shield::ask::{Ask, Ticket};
use crate::shield::authority::Authority;
use crate::shield::budget::Budget;
use crate::shield::effect::Effect;
use crate::shield::entry::Op;
use crate::shield::limits::Bug;
use crate::shield::money::{Micros, Rate};
use crate::shield::purse::{Purse, settlement};
use crate::shield::window::Window;

impl World {
    pub fn receive(&mut self, node: usize, message: Message) {
        let now = self.nodes[node].now(self.t);
        match message {
            Message::Ask { budget, ask, from } => self.asked(node, budget, ask, from),
            Message::Notes { notes, from } => self.asked(node, ACCOUNT, Ask::Note(notes), from),
            Message::ToldAnswer { tell } => {
                if let Some(tell) = self.nodes[node].tells.remove(&tell) {
                    let mut effects: Vec<Effect> =
                        tell.then.into_iter().map(|(t, a)| Effect::Reply(t, a)).collect();
                    let hosted = self.nodes[node].hosted.get_mut(&tell.budget);
                    if let Some(h) = hosted.filter(|h| h.generation == tell.generation) {
                        h.authority.told(&tell.ops);
                        if tell.again {
                            h.authority.retold(now, &mut effects);
                        }
                    }
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

    pub fn asked(&mut self, node: usize, budget: usize, ask: Ask, from: Asker) {
        let now = self.nodes[node].now(self.t);
        if !self.answers_for(node, budget) {
            return;
        }
        let n = &mut self.nodes[node];
        let ticket = n.next();
        n.tickets.insert(ticket, from);
        let mut out = Vec::new();
        if let Some(h) = n.hosted.get_mut(&budget) {
            h.authority.ask(now, Ticket(ticket), ask, &mut out);
        }
        self.authority_effects(node, budget, out);
    }

    pub fn with_purse(
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

    pub fn on_purse(
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
    pub fn write_abroad(&mut self, node: usize, campaign: usize, hold: Op, amount: Micros) {
        let now = self.nodes[node].now(self.t);
        let Some(held) = self.nodes[node].purses.get(&campaign).and_then(|p| p.hold(hold)).cloned()
        else {
            return;
        };
        let epoch = self.store.epoch(campaign);
        let mut authority = Authority::new(
            Budget { core: self.store.core(campaign), window: Window::default() },
            self.limits.clone(),
        );
        let mut out = Vec::new();
        let ask =
            Ask::Settle(Box::new(settlement(&held, amount.min(held.amount), Rate::ONE, true)));
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
                        generation: 0,
                        batch,
                        answer: None,
                    },
                );
            }
        }
    }
}
