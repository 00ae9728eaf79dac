//! The members of the cluster in the simulated world: the register, and what members want done.

use super::client::NODES_OUTSIDE;
use super::store::shard;
use super::world::{BUDGETS, Event, MS, Message, SECOND, World};
use crate::cluster::member::{Effect, Phase, Reply, Request, Route};
use crate::cluster::node::Incarnation;
use crate::shield::effect::Effect as Money;

impl World {
    /// Whether the store cannot be reached from a node.
    pub fn is_away(&self, node: usize) -> bool {
        self.store.down_until > self.t || self.stranded[node]
    }

    fn living(&self, incarnation: Incarnation) -> Option<usize> {
        self.nodes.iter().position(|n| n.up && n.incarnation == incarnation.0)
    }

    /// Sends what is for a budget's authority to where the sender believes that it is. Clients ask any node, which
    /// knows better than they do.
    pub fn send_to_owner(&mut self, from: usize, budget: usize, message: Message) {
        let to = match from {
            NODES_OUTSIDE => self.store.owner(budget).and_then(|owner| self.living(owner)),
            node => match self.nodes[node].member.route(shard(budget)) {
                Route::Here(_) => Some(node),
                Route::There(owner) => self.living(owner),
                Route::Nobody => None,
            },
        };
        if let Some(to) = to {
            self.send(from, to, None, message);
        }
    }

    /// Whether a node takes a request in for a budget. If it does, nobody else may be its owner.
    pub fn answers_for(&mut self, node: usize, budget: usize) -> bool {
        let n = &mut self.nodes[node];
        let now = n.now(self.t);
        let Some(epoch) = n.hosted.get(&budget).filter(|h| !h.giving).map(|h| h.epoch) else {
            return false;
        };
        if !n.member.serves(now) || n.member.holds(shard(budget)) != Some(epoch) {
            return false;
        }
        let current = self.store.epoch(budget);
        if current != epoch && !self.usurped.contains(&(budget, epoch)) {
            self.check.fail(format!(
                "OW-1: node {node} serves budget {budget} with epoch {epoch}, which has another owner with {current}"
            ));
        }
        true
    }

    /// The member's own work, and what hand-overs wait for.
    pub fn tend(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        let now = n.now(self.t);
        let mut out = Vec::new();
        n.member.tick(now, &mut out);
        let rest = n.hosted.iter().filter(|(_, h)| h.giving && !h.authority.is_owing());
        let rest: Vec<usize> = rest.map(|(budget, _)| *budget).collect();
        for budget in rest {
            self.drop_hosted(node, budget);
            self.nodes[node].member.given(now, shard(budget), &mut out);
        }
        self.member_effects(node, out);
        if self.nodes[node].member.phase() == Phase::Left {
            // It has left in order, and comes back as a new release perhaps.
            self.crash(node);
            let down = self.between(SECOND / 10, SECOND);
            self.after(down, Event::Restart { node });
        }
    }

    pub fn member_effects(&mut self, node: usize, effects: Vec<Effect>) {
        let incarnation = self.nodes[node].incarnation;
        for effect in effects {
            match effect {
                Effect::Ask(request) => self.ask_register(node, request),
                Effect::Take { shard, epoch } => {
                    let budget = usize::from(shard.0);
                    self.after(MS, Event::Load { node, incarnation, budget, epoch });
                }
                Effect::Give { shard, epoch } => {
                    let budget = usize::from(shard.0);
                    let now = self.nodes[node].now(self.t);
                    let hosted = self.nodes[node].hosted.get_mut(&budget);
                    match hosted.filter(|h| h.epoch == epoch) {
                        Some(h) => h.giving = true,
                        None => {
                            // Nothing of it was read yet.
                            let mut out = Vec::new();
                            self.nodes[node].member.given(now, shard, &mut out);
                            self.member_effects(node, out);
                        }
                    }
                }
                Effect::Drop { shard } => self.drop_hosted(node, usize::from(shard.0)),
                Effect::Lost => {
                    self.crash(node);
                    self.after(MS, Event::Restart { node });
                }
            }
        }
    }

    pub fn drop_hosted(&mut self, node: usize, budget: usize) {
        let Some(mut hosted) = self.nodes[node].hosted.remove(&budget) else { return };
        let mut out = Vec::new();
        hosted.authority.lose(&mut out);
        for effect in out {
            if let Money::Reply(ticket, answer) = effect {
                self.reply(node, ticket, answer);
            }
        }
    }

    fn ask_register(&mut self, node: usize, request: Request) {
        let incarnation = self.nodes[node].incarnation;
        let request = Box::new(request);
        let meets = self.between(200, 3 * MS);
        let fate = if self.calm { 100 } else { self.pick(100) };
        let failed = Event::Replied {
            node,
            incarnation,
            request: request.clone(),
            reply: Box::new(Reply::Failed),
        };
        let apply = |answers| Event::Register { node, incarnation, request, answers };
        if self.is_away(node) || fate < 2 {
            self.after(meets, failed);
        } else if fate < 4 {
            // It happened, and nobody could say so.
            self.after(meets, apply(false));
            self.after(meets + MS, failed);
        } else if fate < 6 {
            // It has not happened yet when it is given up.
            let late = self.between(MS, 2 * SECOND);
            self.after(meets, failed);
            self.after(meets + late, apply(false));
        } else {
            self.after(meets, apply(true));
        }
    }

    /// One transaction of the register.
    pub fn register(
        &mut self,
        node: usize,
        incarnation: u64,
        request: Box<Request>,
        answers: bool,
    ) {
        let now_us = self.t + self.store.clock_us;
        let before: Vec<i64> = (0..BUDGETS).map(|b| self.store.epoch(b)).collect();
        let me = Incarnation(incarnation);
        let reply = self.store.register.meet(me, &request, self.terms.lease_us, now_us);
        let after = (0..BUDGETS).map(|b| self.store.epoch(b));
        if before.iter().zip(after).any(|(before, after)| after < *before) {
            self.check.fail("OW-1: an epoch has decreased".to_owned());
        }
        if answers {
            // Some answers are long on their way.
            let slow = !self.calm && self.chance(3);
            let hears =
                if slow { self.between(SECOND, 4 * SECOND) } else { self.between(100, 2 * MS) };
            let reply = Box::new(reply);
            self.after(hears, Event::Replied { node, incarnation, request, reply });
        }
    }

    pub fn replied(&mut self, node: usize, incarnation: u64, request: &Request, reply: Reply) {
        let n = &mut self.nodes[node];
        if !n.up || n.incarnation != incarnation {
            return;
        }
        let now = n.now(self.t);
        let mut out = Vec::new();
        n.member.answered(now, request, reply, &mut out);
        self.member_effects(node, out);
    }
}
