//! A node among others: what it asks of the register, what it takes, gives and drops.
//!
//! A state machine. [`Member::tick`] is called every few hundred milliseconds and after each answer, and says what
//! to do by [`Effect`]s; what was asked comes back by [`Member::answered`]. There is one question about the lease
//! under way at a time, and one change. An answer that never came is as good as a refusal: the next roster tells
//! what has become of it.

#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::lease::{Lease, Sent};
use super::node::Incarnation;
use super::register::{Joined, Joining};
use super::roster::{Roster, ShardRow};
use super::shard::Shard;
use super::terms::ClusterTerms;
use crate::shield::entry::Now;
use crate::shield::limits::Bug;

use words::Own;
pub use words::{Effect, Identity, Phase, Release, Reply, Request, Route};

#[derive(Debug)]
pub struct Member {
    terms: ClusterTerms,
    me: Identity,
    incarnation: Incarnation,
    /// The last life, whose process is known to have ended.
    before: Option<Incarnation>,
    phase: Phase,
    wants_out: bool,
    lease: Lease,
    /// The question about the lease that is under way, and when it was sent.
    asking: Option<Sent>,
    changing: bool,
    next_renew_us: i64,
    next_look_us: i64,
    next_change_us: i64,
    /// What was sent to be read before this is of before the last change.
    read_after_us: i64,
    roster: Roster,
    /// When it was asked for.
    roster_us: i64,
    own: BTreeMap<Shard, Own>,
    /// Shards that were handed here though they belong elsewhere: they stay for as long as the nodes are the same.
    placed: BTreeSet<Shard>,
    /// The epochs with which shards were let go last: older news is of before.
    gone: BTreeMap<Shard, i64>,
    /// Leases that were seen to be over: which one, and since when on this node's clock.
    overdue: BTreeMap<Incarnation, (i64, i64)>,
    /// Since when the register has answered without a failure.
    well_since_us: Option<i64>,
    /// The nodes as they were last, and since when they are so.
    nodes_seen: Vec<(Incarnation, String)>,
    same_since_us: i64,
}

impl Member {
    pub fn new(
        terms: ClusterTerms,
        me: Identity,
        incarnation: Incarnation,
        before: Option<Incarnation>,
    ) -> Member {
        Member {
            terms,
            me,
            incarnation,
            before,
            phase: Phase::Out,
            wants_out: false,
            lease: Lease::default(),
            asking: None,
            changing: false,
            next_renew_us: i64::MIN,
            next_look_us: i64::MIN,
            next_change_us: i64::MIN,
            read_after_us: i64::MIN,
            roster: Roster::default(),
            roster_us: i64::MIN,
            own: BTreeMap::new(),
            placed: BTreeSet::new(),
            gone: BTreeMap::new(),
            overdue: BTreeMap::new(),
            well_since_us: None,
            nodes_seen: Vec::new(),
            same_since_us: 0,
        }
    }

    pub fn identity(&self) -> &Identity {
        &self.me
    }

    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// There is nothing more to do, in this life.
    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Left | Phase::Over)
    }

    /// As it was read last.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Until when this node may serve, on its monotonic clock, if nothing else happens.
    pub fn until_us(&self) -> i64 {
        self.lease.until_us()
    }

    /// Whether this node may serve anything. The clocks are read by the caller right before.
    pub fn serves(&mut self, now: Now) -> bool {
        self.lease.holds(now, &self.terms)
    }

    /// The epoch of a shard that this node serves, the lease aside: see [`Member::serves`].
    pub fn holds(&self, shard: Shard) -> Option<i64> {
        match self.own.get(&shard)? {
            Own::Held { epoch } => Some(*epoch),
            Own::Giving { .. } | Own::Given { .. } => None,
        }
    }

    /// Shards that this node owns, those that it hands over included.
    pub fn owned(&self) -> impl Iterator<Item = (Shard, i64)> {
        self.own.iter().map(|(shard, own)| (*shard, own.epoch()))
    }

    /// Who is to be asked about a shard, by what was read last.
    pub fn route(&self, shard: Shard) -> Route {
        match self.own.get(&shard) {
            Some(Own::Held { epoch }) => return Route::Here(*epoch),
            Some(_) => return Route::Nobody,
            None => {}
        }
        let owner = self.roster.shard(shard).and_then(|row| row.owner);
        let owner = owner.filter(|owner| *owner != self.incarnation);
        match owner.and_then(|owner| self.roster.node(owner)) {
            Some(node) => Route::There(node.incarnation),
            None => Route::Nobody,
        }
    }

    /// From now on this node hands over all that it has, and leaves.
    pub fn leave(&mut self) {
        self.wants_out = true;
        self.next_renew_us = i64::MIN;
    }

    /// Hands one shard over to another node. `false`: it is not here, or that node cannot take it.
    pub fn hand_over(
        &mut self,
        now: Now,
        shard: Shard,
        heir: Incarnation,
        out: &mut Vec<Effect>,
    ) -> bool {
        let able = self.roster.takers().any(|node| {
            node.incarnation == heir && shard.role().is_some_and(|role| node.roles.has(role))
        });
        if !able || heir == self.incarnation || self.holds(shard).is_none() {
            return false;
        }
        self.give(now, shard, Some(heir), out);
        true
    }

    /// A shard has come to rest.
    pub fn given(&mut self, now: Now, shard: Shard, out: &mut Vec<Effect>) {
        if let Some(own) = self.own.get_mut(&shard)
            && let Own::Giving { epoch, heir, .. } = *own
        {
            *own = Own::Given { epoch, heir };
            self.change(now, out);
        }
    }

    /// A write of this shard was refused for its epoch.
    pub fn fenced(&mut self, shard: Shard, epoch: i64, out: &mut Vec<Effect>) {
        if self.own.get(&shard).is_some_and(|own| own.epoch() == epoch) {
            self.own.remove(&shard);
            self.gone.insert(shard, epoch);
            self.next_look_us = i64::MIN;
            out.push(Effect::Drop { shard });
        }
    }

    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        let doubts = self.lease.doubts();
        self.lease.holds(now, &self.terms);
        if self.lease.doubts() != doubts {
            // Whether it is over, a renewal tells.
            self.next_renew_us = i64::MIN;
        }
        if self.is_over() {
            return;
        }
        self.ask(now, out);
        if self.phase == Phase::Out {
            return;
        }
        let patience = self.terms.hand_patience_us;
        for (shard, own) in &mut self.own {
            if let Own::Giving { epoch, heir, since_us } = *own
                && now.mono_us - since_us >= patience
            {
                out.push(Effect::Drop { shard: *shard });
                *own = Own::Given { epoch, heir };
            }
        }
        self.move_on(now, out);
        self.change(now, out);
    }

    /// The question about the lease that is due.
    fn ask(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.asking.is_some() {
            return;
        }
        let request = match self.phase {
            Phase::Left | Phase::Over => return,
            Phase::Out if now.mono_us >= self.next_renew_us => Request::Join(Box::new(Joining {
                incarnation: self.incarnation,
                name: self.me.name.clone(),
                address: self.me.address.clone(),
                roles: self.me.roles,
                version: self.me.version.clone(),
                before: self.before,
            })),
            Phase::In | Phase::Leaving if now.mono_us >= self.next_renew_us => {
                Request::Renew { draining: self.wants_out }
            }
            Phase::In | Phase::Leaving if now.mono_us >= self.next_look_us => Request::Look,
            _ => return,
        };
        self.asking = Some(self.lease.send(now, &self.terms));
        out.push(Effect::Ask(request));
    }

    /// An answer to what was asked, whose kind tells which of the two questions it was.
    pub fn answered(&mut self, now: Now, asked: &Request, reply: Reply, out: &mut Vec<Effect>) {
        if self.is_over() {
            return;
        }
        if !asked.is_of_the_lease() {
            self.changing = false;
            match reply {
                Reply::Claimed(taken) => taken.into_iter().for_each(|it| self.take(it, out)),
                Reply::Released => {
                    if let Request::Release(released) = asked {
                        for Release { shard, epoch, .. } in released {
                            self.own.remove(shard);
                            self.gone.insert(*shard, *epoch);
                        }
                    }
                }
                Reply::Left => self.phase = Phase::Left,
                Reply::Failed => self.next_change_us = now.mono_us + self.terms.retry_us,
                _ => {}
            }
            // What has changed is read before anything more is decided by what was.
            self.read_after_us = now.mono_us;
            self.next_look_us = i64::MIN;
            self.tick(now, out);
            return;
        }
        let Some(sent) = self.asking.take() else { return };
        let mono_us = sent.at.mono_us;
        let revived = self.terms.has(Bug::RenewalRevives);
        match &reply {
            Reply::Failed => self.well_since_us = None,
            _ => _ = self.well_since_us.get_or_insert(now.mono_us),
        }
        match reply {
            Reply::Joined(Joined::Done, roster) => {
                self.phase = Phase::In;
                self.lease.granted(sent, now, &self.terms);
                self.next_renew_us = mono_us + self.terms.renew_us;
                self.learn(now, mono_us, *roster, out);
            }
            Reply::Joined(Joined::Taken { .. }, roster) => {
                self.next_renew_us = now.mono_us + self.terms.retry_us;
                self.learn(now, mono_us, *roster, out);
                self.change(now, out);
            }
            Reply::Renewed(Some(roster)) => {
                if self.wants_out && self.phase == Phase::In {
                    self.phase = Phase::Leaving;
                }
                self.lease.granted(sent, now, &self.terms);
                self.next_renew_us = mono_us + self.terms.renew_us;
                self.learn(now, mono_us, *roster, out);
            }
            Reply::Renewed(None) if revived => {
                self.lease.granted(sent, now, &self.terms);
                self.next_renew_us = mono_us + self.terms.renew_us;
            }
            Reply::Joined(Joined::Dead, _) | Reply::Renewed(None) => {
                self.lease.end();
                self.own.clear();
                self.phase = Phase::Over;
                out.push(Effect::Lost);
                return;
            }
            Reply::Looked(roster) => self.learn(now, mono_us, *roster, out),
            _ => {
                let again = now.mono_us + self.terms.retry_us;
                self.next_renew_us = self.next_renew_us.max(again);
                self.next_look_us = again;
                return;
            }
        }
        self.tick(now, out);
    }

    /// Takes in a roster that was asked for then.
    fn learn(&mut self, now: Now, sent_us: i64, roster: Roster, out: &mut Vec<Effect>) {
        self.next_look_us = now.mono_us + self.terms.look_us;
        // What was asked for after the last change knows of it.
        let newer = sent_us > self.read_after_us && !self.changing;
        for row in &roster.shards {
            self.learn_of(row, newer, out);
        }
        let mut nodes: Vec<(Incarnation, String)> = Vec::new();
        for node in &roster.nodes {
            nodes.push((node.incarnation, node.version.clone()));
            // The next look is right after the next lease is over.
            let left_us = node.lease_until_us - roster.now_us;
            if (1..self.terms.look_us).contains(&left_us) {
                self.next_look_us = self.next_look_us.min(now.mono_us + left_us);
            }
        }
        self.overdue.retain(|incarnation, (until_us, _)| {
            let node = roster.node(*incarnation);
            node.is_some_and(|it| it.lease_until_us == *until_us && it.is_overdue(roster.now_us))
        });
        let over = roster.nodes.iter().filter(|node| node.is_overdue(roster.now_us));
        for node in over.filter(|node| node.incarnation != self.incarnation) {
            let seen = (node.lease_until_us, now.mono_us);
            let since_us = self.overdue.entry(node.incarnation).or_insert(seen).1;
            let left_us = (since_us + self.terms.confirm_us - now.mono_us).max(1);
            self.next_look_us = self.next_look_us.min(now.mono_us + left_us);
        }
        if nodes != self.nodes_seen {
            self.nodes_seen = nodes;
            self.same_since_us = now.mono_us;
            self.placed.clear();
        }
        (self.roster, self.roster_us) = (roster, sent_us);
    }

    /// What a row says of a shard that is ours, or was, or is to be.
    fn learn_of(&mut self, row: &ShardRow, newer: bool, out: &mut Vec<Effect>) {
        let mine = row.owner == Some(self.incarnation);
        match self.own.get(&row.shard).map(|own| own.epoch()) {
            // A database that has lost what this node had written goes before this node's memory, too.
            Some(epoch)
                if row.epoch > epoch
                    || (row.epoch == epoch && !mine)
                    || (newer && row.epoch < epoch) =>
            {
                let released = matches!(self.own.remove(&row.shard), Some(Own::Given { .. }));
                self.gone.insert(row.shard, epoch);
                if !released {
                    out.push(Effect::Drop { shard: row.shard });
                }
                if mine {
                    self.take((row.shard, row.epoch), out);
                }
            }
            // A claim whose answer was lost; not one that was read before it was let go.
            None if mine && self.gone.get(&row.shard).is_none_or(|gone| row.epoch > *gone) => {
                self.take((row.shard, row.epoch), out);
            }
            _ => {}
        }
    }

    fn take(&mut self, (shard, epoch): (Shard, i64), out: &mut Vec<Effect>) {
        let known = self.own.get(&shard).map(|own| own.epoch());
        let gone = self.gone.get(&shard).copied();
        if known.max(gone).is_none_or(|known| epoch > known) {
            self.own.insert(shard, Own::Held { epoch });
            // As it was read before it was claimed.
            let heir = self.roster.shard(shard).and_then(|row| row.heir);
            if heir == Some(self.incarnation) {
                self.placed.insert(shard);
            }
            out.push(Effect::Take { shard, epoch });
        }
    }

    /// Begins to hand over what should be elsewhere.
    fn move_on(&mut self, now: Now, out: &mut Vec<Effect>) {
        let leaving = self.phase == Phase::Leaving;
        let settled = now.mono_us - self.same_since_us >= self.terms.settle_us;
        if !(leaving || settled && self.roster.is_calm()) {
            return;
        }
        let under_way = self.own.values().filter(|own| !matches!(own, Own::Held { .. })).count();
        let room = self.terms.hand_max.saturating_sub(under_way);
        let elsewhere = |shard: &Shard| {
            let home = self.roster.home(*shard).map(|node| node.incarnation);
            home.filter(|home| *home != self.incarnation)
        };
        let held = self.own.iter().filter(|(_, own)| matches!(own, Own::Held { .. }));
        let moves: Vec<(Shard, Option<Incarnation>)> = held
            .map(|(shard, _)| (*shard, elsewhere(shard)))
            .filter(|(shard, heir)| leaving || heir.is_some() && !self.placed.contains(shard))
            .take(room)
            .collect();
        for (shard, heir) in moves {
            self.give(now, shard, heir, out);
        }
    }

    fn give(&mut self, now: Now, shard: Shard, heir: Option<Incarnation>, out: &mut Vec<Effect>) {
        let Some(epoch) = self.holds(shard) else { return };
        self.own.insert(shard, Own::Giving { epoch, heir, since_us: now.mono_us });
        out.push(Effect::Give { shard, epoch });
    }

    /// Asks for the next change, where none is under way.
    fn change(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.changing || now.mono_us < self.next_change_us {
            return;
        }
        let given = self.own.iter().filter_map(|(shard, own)| match *own {
            Own::Given { epoch, heir } => Some(Release { shard: *shard, epoch, heir }),
            _ => None,
        });
        let given: Vec<Release> = given.collect();
        let request = (!given.is_empty())
            .then_some(Request::Release(given))
            .or_else(|| self.burial(now))
            .or_else(|| self.claims(now))
            .or_else(|| {
                (self.phase == Phase::Leaving && self.own.is_empty()).then_some(Request::Leave)
            });
        if let Some(request) = request {
            self.changing = true;
            out.push(Effect::Ask(request));
        }
    }

    fn burial(&mut self, now: Now) -> Option<Request> {
        let well = self.well_since_us.is_some_and(|us| now.mono_us - us >= self.terms.calm_us());
        if !well || self.roster_us < self.read_after_us {
            return None;
        }
        let confirm_us = self.terms.confirm_us;
        let over = |(_, since_us): &(i64, i64)| now.mono_us - since_us >= confirm_us;
        let who = self.overdue.iter().find(|(_, seen)| over(seen)).map(|(who, _)| *who)?;
        // Whatever comes of it, it is looked at anew.
        self.overdue.remove(&who);
        Some(Request::Bury(who))
    }

    fn claims(&mut self, now: Now) -> Option<Request> {
        let old = self.roster_us < self.read_after_us;
        if old || self.phase != Phase::In || self.wants_out || !self.lease.holds(now, &self.terms) {
            return None;
        }
        let free = self.roster.shards.iter().filter(|row| {
            let known = self.own.contains_key(&row.shard);
            let older = self.gone.get(&row.shard).is_some_and(|gone| row.epoch < *gone);
            !known && !older && self.roster.is_claimable(row, self.incarnation)
        });
        let wanted: Vec<(Shard, i64)> = free.map(|row| (row.shard, row.epoch)).collect();
        (!wanted.is_empty()).then_some(Request::Claim(wanted))
    }
}
