//! The authority on who lives and who owns what, as the rows in the database are: each function is one transaction.
//! The database does the same in SQL (`store/cluster.rs`), and is compared with this by a test. Times are the
//! register's own, never a node's.

use std::collections::BTreeMap;

#[cfg(test)]
use super::member::{Release, Reply, Request};
use super::node::{Incarnation, NodeRow, Roles};
use super::roster::{Roster, ShardRow};
use super::shard::Shard;
use crate::shield::limits::Bug;

/// A node that wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joining {
    pub incarnation: Incarnation,
    pub name: String,
    pub address: String,
    pub roles: Roles,
    pub version: String,
    /// Its last life, which is provably over: its process held a lock that this one holds now.
    pub before: Option<Incarnation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    Done,
    /// Another life of the same name has a lease, until then by the register's clock.
    Taken {
        until_us: i64,
    },
    /// This life is over.
    Dead,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    nodes: BTreeMap<Incarnation, NodeRow>,
    shards: BTreeMap<Shard, ShardRow>,
    #[cfg(test)]
    pub bug: Option<Bug>,
}

impl Register {
    pub fn new(shards: impl Iterator<Item = Shard>) -> Register {
        let row = |shard| ShardRow { shard, owner: None, epoch: 0, heir: None, since_us: 0 };
        let shards = shards.map(|shard| (shard, row(shard))).collect();
        Register { shards, ..Register::default() }
    }

    /// A life begins. Done again, it is a renewal: whoever asks counts from this question, though an earlier one was
    /// heard. Two lives of one name do not live at a time: the older one has to have been ended.
    pub fn join(&mut self, who: &Joining, lease_us: i64, now_us: i64) -> Joined {
        if self.nodes.contains_key(&who.incarnation) {
            let renewed = self.renew(who.incarnation, false, lease_us, now_us);
            return if renewed { Joined::Done } else { Joined::Dead };
        }
        let named = self.nodes.values_mut().filter(|node| !node.dead && node.name == who.name);
        for node in named {
            // Its lease may be over because the database was away: whether it is gone is found out by others' means.
            if who.before != Some(node.incarnation) {
                return Joined::Taken { until_us: node.lease_until_us };
            }
            node.dead = true;
        }
        let row = NodeRow {
            incarnation: who.incarnation,
            name: who.name.clone(),
            address: who.address.clone(),
            roles: who.roles,
            version: who.version.clone(),
            joined_us: now_us,
            lease_until_us: now_us + lease_us,
            draining: false,
            dead: false,
        };
        self.nodes.insert(who.incarnation, row);
        Joined::Done
    }

    /// `false`: this life is over. A lease that is over and that nobody has acted on goes on: after the database was
    /// away, that is every lease.
    pub fn renew(&mut self, me: Incarnation, draining: bool, lease_us: i64, now_us: i64) -> bool {
        let Some(node) = self.nodes.get_mut(&me).filter(|node| !node.dead) else { return false };
        node.draining = draining;
        // A database that took over from another may be behind it.
        node.lease_until_us = node.lease_until_us.max(now_us + lease_us);
        true
    }

    /// Ends a life whose lease is over, for good. `false`: it is not, or was before.
    pub fn bury(&mut self, who: Incarnation, now_us: i64) -> bool {
        let node = self.nodes.get_mut(&who).filter(|node| node.is_overdue(now_us));
        node.map(|node| node.dead = true).is_some()
    }

    /// Takes those shards that still have this epoch and no owner that lives. Returns them with their new epochs.
    pub fn claim(
        &mut self,
        me: Incarnation,
        wanted: &[(Shard, i64)],
        now_us: i64,
    ) -> Vec<(Shard, i64)> {
        let Some(name) = self.living(me).map(|node| node.name.clone()) else { return Vec::new() };
        let mut taken = Vec::new();
        for (shard, epoch) in wanted {
            let Some(row) = self.shards.get(shard).filter(|row| row.epoch == *epoch) else {
                continue;
            };
            if row.owner.is_some_and(|owner| self.living(owner).is_some()) {
                continue;
            }
            // Planted: the node takes its shards for its own, whichever life of it had them.
            let own = row.owner.and_then(|owner| self.nodes.get(&owner)).map(|node| &node.name);
            let keeps = self.has(Bug::OldIncarnationWrites) && own == Some(&name);
            let epoch = if keeps { *epoch } else { epoch + 1 };
            let row =
                ShardRow { shard: *shard, owner: Some(me), epoch, heir: None, since_us: now_us };
            self.shards.insert(*shard, row);
            taken.push((*shard, epoch));
        }
        taken
    }

    /// Lets a shard go, for somebody. `false`: it was not this node's, with this epoch. The epoch grows here, too: a
    /// write of this node that is still under way is refused from now on, and not only when there is a new owner.
    pub fn release(
        &mut self,
        me: Incarnation,
        (shard, epoch): (Shard, i64),
        heir: Option<Incarnation>,
        now_us: i64,
    ) -> bool {
        let row = self.shards.get_mut(&shard);
        let row = row.filter(|row| row.owner == Some(me) && row.epoch == epoch);
        row.map(|row| {
            (row.owner, row.epoch) = (None, epoch + 1);
            (row.heir, row.since_us) = (heir, now_us);
        })
        .is_some()
    }

    /// A life ends in order. What it still owns is orphaned.
    pub fn leave(&mut self, me: Incarnation) {
        if let Some(node) = self.nodes.get_mut(&me) {
            node.dead = true;
        }
    }

    /// What a member asks, as the transaction that the service makes of it.
    #[cfg(test)]
    pub fn meet(&mut self, me: Incarnation, asked: &Request, lease_us: i64, now_us: i64) -> Reply {
        match asked {
            Request::Join(who) => {
                let joined = self.join(who, lease_us, now_us);
                Reply::Joined(joined, Box::new(self.roster(now_us)))
            }
            Request::Renew { draining } => {
                let renewed = self.renew(me, *draining, lease_us, now_us);
                Reply::Renewed(renewed.then(|| Box::new(self.roster(now_us))))
            }
            Request::Look => Reply::Looked(Box::new(self.roster(now_us))),
            Request::Bury(who) => {
                self.bury(*who, now_us);
                Reply::Buried
            }
            Request::Claim(wanted) => Reply::Claimed(self.claim(me, wanted, now_us)),
            Request::Release(released) => {
                for Release { shard, epoch, heir } in released {
                    self.release(me, (*shard, *epoch), *heir, now_us);
                }
                Reply::Released
            }
            Request::Leave => {
                self.leave(me);
                Reply::Left
            }
        }
    }

    /// Gives a shard to a node, whoever has it.
    #[cfg(test)]
    pub fn usurp(&mut self, who: Incarnation, shard: Shard) {
        let row = self.shards.get_mut(&shard).expect("a shard");
        (row.owner, row.epoch, row.heir) = (Some(who), row.epoch + 1, None);
    }

    #[cfg(test)]
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(test))]
    #[inline(always)]
    fn has(&self, _bug: Bug) -> bool {
        false
    }

    fn living(&self, who: Incarnation) -> Option<&NodeRow> {
        self.nodes.get(&who).filter(|node| !node.dead)
    }

    pub fn shard(&self, shard: Shard) -> Option<&ShardRow> {
        self.shards.get(&shard)
    }

    pub fn roster(&self, now_us: i64) -> Roster {
        let nodes = self.nodes.values().filter(|node| !node.dead).cloned().collect();
        Roster { now_us, nodes, shards: self.shards.values().cloned().collect() }
    }
}
