//! A simulated node: authorities of the shards it owns, purses of the campaigns it bids for, and a
//! disk for its notices. It carries effects out as an actor would.

use std::collections::{BTreeMap, HashMap};

use super::store::reading;
use super::store::shard as at;
use super::world::terms;
use super::world::{ACCOUNT, Asker, BUDGETS, Event, MS, Message, World};
use crate::cluster::member::{Identity, Member};
use crate::cluster::node::{Incarnation, Role, Roles};
use crate::shield::ask::{Answer, Ask, Ticket};
use crate::shield::authority::Authority;
use crate::shield::budget::Budget;
use crate::shield::effect::{Lane, Note};
use crate::shield::entry::{HolderId, Now, Op, SliceId};
use crate::shield::hold::{Hold, HoldState};
use crate::shield::lane::Share;
use crate::shield::limits::Bug;
use crate::shield::money::{Micros, Rate};
use crate::shield::purse::{Purse, settlement};
use crate::shield::window::{Past, Window};

pub struct Hosted {
    pub authority: Authority,
    pub epoch: i64,
    pub generation: u64,
    /// It comes to rest, to be handed over: nothing new is taken in.
    pub giving: bool,
}

/// A campaign's bookings on their way to the account's window, and the answers that wait for it.
pub struct Tell {
    pub budget: usize,
    /// Of the authority that waits for it: a later one of the same budget does not.
    pub generation: u64,
    pub notes: Vec<Note>,
    pub then: Vec<(Ticket, Answer)>,
    pub ops: Vec<Op>,
    /// Everything once more, not the news of one commit.
    pub again: bool,
}

pub struct Node {
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
    pub member: Member,
    made: u64,
}

impl Node {
    pub fn new(at: usize, mono_offset: i64, bug: Option<Bug>) -> Node {
        Node {
            member: Member::new(terms(bug), identity(at), Incarnation(0), None),
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

    pub fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

/// A purse's identity: one campaign in one life of one node.
pub fn holder(incarnation: u64, campaign: usize) -> HolderId {
    HolderId(incarnation * 64 + campaign as u64)
}

pub fn identity(node: usize) -> Identity {
    Identity {
        name: format!("node-{node}"),
        address: format!("node-{node}:1"),
        roles: Roles::NONE.with(Role::Shield),
        version: "1".to_owned(),
    }
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
        // Sometimes what proves that its last life is over is lost with it.
        let before = self.nodes[node].member.incarnation();
        let before = (before != Incarnation(0) && !self.chance(30)).then_some(before);
        let me = Incarnation(incarnation);
        self.nodes[node].member = Member::new(self.terms.clone(), identity(node), me, before);
        self.after(MS, Event::Tick { node, incarnation });
    }

    /// Planted: the new life goes on with the slices of the old one, all of them free again.
    pub fn resurrect(&mut self, node: usize, campaign: usize, now: Now) {
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
        if !n.up || n.incarnation != incarnation {
            return;
        }
        if n.member.owned().all(|(shard, held)| (shard, held) != (at(budget), epoch)) {
            return;
        }
        if self.store.epoch(budget) != epoch {
            let mut out = Vec::new();
            self.nodes[node].member.fenced(at(budget), epoch, &mut out);
            self.member_effects(node, out);
            return;
        }
        if self.is_away(node) {
            self.after(250 * MS, Event::Load { node, incarnation, budget, epoch });
            return;
        }
        let now = n.now(self.t);
        let mut core = self.store.core(budget);
        // Whose lease is over may still be there, and serve from a slice to its end. Only of some it is known that
        // they have ended.
        let known = self.chance(70);
        let alive: Vec<u64> = self.nodes.iter().filter(|n| n.up).map(|n| n.incarnation).collect();
        for slice in core.slices.values_mut() {
            slice.seen_us = now.mono_us;
            slice.noted = match budget {
                ACCOUNT => self.store.booked_from(slice.id),
                _ => Micros::ZERO,
            };
            slice.sealed |= known && !alive.contains(&(slice.holder.0 / 64));
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
                let mut authority = Authority::new(budget_state, limits);
                authority.retell(&mut out);
                n.hosted.insert(budget, Hosted { authority, epoch, generation, giving: false });
            }
        }
        self.authority_effects(node, budget, out);
    }

    /// What the account may not have heard of because the campaign's authority died first.
    pub fn tell_again(&mut self, node: usize, budget: usize) {
        let rows = self.past(node, super::store::WINDOW_US);
        let own: HashMap<Op, Option<SliceId>> = self.store.ledger[budget]
            .iter()
            .rev()
            .take(rows.len())
            .map(|r| (r.entry.op, r.entry.window_slice))
            .collect();
        let notes: Vec<Note> = Window::to_retell(&rows, super::store::WINDOW_US)
            .into_iter()
            .filter_map(|(op, amount)| Some(Note { slice: *own.get(&op)?, op, amount }))
            .collect();
        let (then, ops) = (Vec::new(), Vec::new());
        self.tell(node, Tell { budget, generation: 0, notes, then, ops, again: true });
    }

    pub fn past(&self, node: usize, length_us: i64) -> Vec<Past> {
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
        self.tend(node);
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
                let ask = Ask::Settle(Box::new(settlement(&hold, price, Rate::ONE, false)));
                let from = Asker::Notice { hold: hold.id };
                self.send_to_owner(node, campaign, Message::Ask { budget: campaign, ask, from });
            }
        }
    }
}
