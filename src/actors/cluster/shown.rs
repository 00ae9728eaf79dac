//! The cluster as operators see it from one node: the register as that has read it last, and what it knows itself.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::links::LinkView;
use super::placement::Placement;
use crate::clock;
use crate::models::cluster::node::{Incarnation, NodeRow, Role};
use crate::models::cluster::roster::Roster;
use crate::models::cluster::shard::{SHARDS, Shard};

/// The nodes, the ways between them, and who has which shards.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClusterView {
    /// The node that answers. Absent where it has not read the register yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// This life of it.
    pub incarnation: String,
    /// How long ago it has read the register. Beyond a few seconds the database does not answer, and what stands
    /// here is of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_ms_ago: Option<i64>,
    /// Those that are not known to be gone, by name.
    pub nodes: Vec<NodeView>,
    /// From the node that answers to each other one.
    pub links: Vec<LinkView>,
    pub shards: ShardCounts,
}

/// A node, as the register has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeView {
    pub name: String,
    /// This life of it: a node that starts anew has another one.
    pub incarnation: String,
    /// Where other nodes reach it.
    pub address: String,
    pub roles: String,
    pub version: String,
    /// Since when it is there, in microseconds since 1970-01-01 UTC by the database's clock.
    pub joined_us: i64,
    /// How long its lease lasts if it does not renew it; below 0: it is over.
    pub lease_left_ms: i64,
    /// It hands everything over, and ends.
    pub draining: bool,
    /// Its lease was over when the register was read: other nodes end its life and take its shards in a moment.
    pub dead: bool,
    /// It is the one that answers.
    pub this_node: bool,
}

/// The 256 shards, counted. Of the roles of a register those of SyncShield carry all work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShardCounts {
    pub held: usize,
    /// On their way from the node that answers to another one. Of those between other nodes it does not know.
    pub closing: usize,
    /// Nobody has them at this moment.
    pub orphans: usize,
    /// How many each node has, by its name; those that it hands over included.
    pub owners: BTreeMap<String, usize>,
    /// Each, with `shards=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Vec<ShardView>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShardState {
    Held,
    /// Its owner is the node that answers, and hands it over.
    Closing,
    /// It is between two nodes, or its owner is gone.
    Orphan,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShardView {
    /// 0 to 255.
    pub shard: u16,
    pub state: ShardState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Grows whenever it is let go and taken: writes with an older one are refused.
    pub epoch: i64,
    /// How long ago it was taken or, without an owner, let go. Absent where nobody ever has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<i64>,
    /// For whom the last owner has let it go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heir: Option<String>,
    /// Where it belongs, by the nodes that are there. An operator may have put it elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

/// What one node knows at one moment.
struct Known<'a> {
    me: Incarnation,
    roster: &'a Roster,
    /// The register's clock now, as far as that can be told without asking it.
    now_us: i64,
    /// The epoch of a shard that is this node's, and whether it hands it over.
    own: &'a dyn Fn(Shard) -> Option<(i64, bool)>,
}

impl Known<'_> {
    fn name(&self, who: Incarnation) -> Option<String> {
        self.roster.node(who).map(|node| node.name.clone())
    }

    fn node(&self, row: &NodeRow) -> NodeView {
        NodeView {
            name: row.name.clone(),
            incarnation: row.incarnation.to_string(),
            address: row.address.clone(),
            roles: row.roles.to_string(),
            version: row.version.clone(),
            joined_us: row.joined_us,
            lease_left_ms: row.lease_until_us.saturating_sub(self.now_us).div_euclid(1_000),
            draining: row.draining,
            // By the register's clock when it was read: while it is out of reach, nobody is known to be gone.
            dead: row.dead || row.is_overdue(self.roster.now_us),
            this_node: row.incarnation == self.me,
        }
    }

    fn nodes(&self) -> Vec<NodeView> {
        let mut nodes: Vec<NodeView> = self.roster.nodes.iter().map(|row| self.node(row)).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }

    fn shard(&self, shard: Shard) -> ShardView {
        let row = self.roster.shard(shard);
        let own = (self.own)(shard);
        // What this node does itself it knows sooner than the register tells.
        let owner = match own {
            Some(_) => Some(self.me),
            None => row.and_then(|row| row.owner).filter(|owner| *owner != self.me),
        };
        let owner = owner.filter(|owner| own.is_some() || self.roster.node(*owner).is_some());
        let epoch = own.map(|(epoch, _)| epoch).or(row.map(|row| row.epoch)).unwrap_or(0);
        let row = row.filter(|row| row.epoch == epoch);
        let since_us = row.map(|row| row.since_us).filter(|since_us| *since_us > 0);
        let heir = row.and_then(|row| row.heir);
        ShardView {
            shard: shard.place(),
            state: match (own, owner) {
                (Some((_, true)), _) => ShardState::Closing,
                (_, Some(_)) => ShardState::Held,
                (_, None) => ShardState::Orphan,
            },
            owner: owner.map(|owner| self.name(owner).unwrap_or_else(|| owner.to_string())),
            epoch,
            age_ms: since_us.map(|since_us| self.now_us.saturating_sub(since_us).max(0) / 1_000),
            heir: heir.map(|heir| self.name(heir).unwrap_or_else(|| heir.to_string())),
            home: self.roster.home(shard).map(|node| node.name.clone()),
        }
    }

    fn shards(&self, each: bool) -> ShardCounts {
        let all = (0..SHARDS).map(|place| self.shard(Shard::of(Role::Shield, place)));
        let all: Vec<ShardView> = all.collect();
        let of = |state| all.iter().filter(|shard| shard.state == state).count();
        // A node that has none is there with 0.
        let nodes = self.roster.nodes.iter().filter(|node| !node.dead);
        let mut owners: BTreeMap<String, usize> =
            nodes.map(|node| (node.name.clone(), 0)).collect();
        for owner in all.iter().filter_map(|shard| shard.owner.as_ref()) {
            *owners.entry(owner.clone()).or_default() += 1;
        }
        ShardCounts {
            held: of(ShardState::Held),
            closing: of(ShardState::Closing),
            orphans: of(ShardState::Orphan),
            owners,
            each: each.then_some(all),
        }
    }
}

impl Placement {
    fn know<T>(&self, roster: &Roster, look: impl FnOnce(&Known<'_>) -> T) -> T {
        let age_us = self.age_us().unwrap_or(0);
        let own = |shard: Shard| {
            let epoch = Some(self.epoch(shard)).filter(|epoch| *epoch >= 0)?;
            Some((epoch, !self.admits(shard)))
        };
        let me = self.incarnation();
        look(&Known { me, roster, now_us: roster.now_us.saturating_add(age_us), own: &own })
    }

    /// How long ago the register was read.
    fn age_us(&self) -> Option<i64> {
        self.read_us().map(|us| clock::mono_us().saturating_sub(us).max(0))
    }

    /// The name of this node, as the register has it.
    pub fn name(&self) -> Option<String> {
        self.roster().node(self.incarnation()).map(|node| node.name.clone())
    }

    /// The whole cluster, with each shard where that is asked for.
    pub fn show_cluster(&self, each: bool) -> ClusterView {
        let roster = self.roster();
        self.know(&roster, |known| ClusterView {
            node: known.name(known.me),
            incarnation: known.me.to_string(),
            read_ms_ago: self.age_us().map(|us| us / 1_000),
            nodes: known.nodes(),
            links: self.links().seen(),
            shards: known.shards(each),
        })
    }

    /// One shard.
    pub fn show_shard(&self, shard: Shard) -> ShardView {
        let roster = self.roster();
        self.know(&roster, |known| known.shard(shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::cluster::node::Roles;
    use crate::models::cluster::roster::ShardRow;

    const NOW: i64 = 1_000_000_000;

    fn node(life: u64, left_us: i64) -> NodeRow {
        NodeRow {
            incarnation: Incarnation(life),
            name: format!("node-{life}"),
            address: format!("127.0.0.1:{life}"),
            roles: Roles::ALL,
            version: "1".into(),
            joined_us: NOW - 60_000_000,
            lease_until_us: NOW + left_us,
            draining: false,
            dead: false,
        }
    }

    fn row(place: u16, owner: Option<u64>, epoch: i64, heir: Option<u64>) -> ShardRow {
        ShardRow {
            shard: Shard::of(Role::Shield, place),
            owner: owner.map(Incarnation),
            epoch,
            heir: heir.map(Incarnation),
            since_us: NOW - 5_000_000,
        }
    }

    fn roster() -> Roster {
        let mut shards = vec![
            row(0, Some(1), 3, None),
            row(1, Some(2), 4, None),
            row(2, Some(9), 5, None),
            row(3, None, 6, Some(2)),
            row(4, Some(1), 7, None),
        ];
        shards.extend((5..SHARDS).map(|place| row(place, Some(2), 1, None)));
        Roster { now_us: NOW, nodes: vec![node(2, -1), node(1, 8_000_000)], shards }
    }

    /// Node 1 has shard 0, hands over shard 4, and has got shard 1 a moment ago.
    fn own(shard: Shard) -> Option<(i64, bool)> {
        match shard.0 {
            0 => Some((3, false)),
            1 => Some((6, false)),
            4 => Some((7, true)),
            _ => None,
        }
    }

    #[test]
    fn shards_are_counted_by_whoever_has_them_now() {
        let roster = roster();
        let known = Known { me: Incarnation(1), roster: &roster, now_us: NOW, own: &own };
        let counts = known.shards(true);
        assert_eq!((counts.held, counts.closing, counts.orphans), (253, 1, 2));
        assert_eq!(counts.owners, BTreeMap::from([("node-1".into(), 3), ("node-2".into(), 251)]));
        let each = counts.each.expect("each");
        assert_eq!(each.len(), usize::from(SHARDS));
        let told = |place: usize| {
            let it = &each[place];
            (it.state, it.owner.as_deref(), it.epoch, it.age_ms, it.heir.as_deref())
        };
        assert_eq!(told(0), (ShardState::Held, Some("node-1"), 3, Some(5_000), None));
        assert_eq!(told(1), (ShardState::Held, Some("node-1"), 6, None, None), "newer than read");
        assert_eq!(told(2), (ShardState::Orphan, None, 5, Some(5_000), None), "its owner is gone");
        assert_eq!(told(3), (ShardState::Orphan, None, 6, Some(5_000), Some("node-2")));
        assert_eq!(told(4), (ShardState::Closing, Some("node-1"), 7, Some(5_000), None));
        assert_eq!(told(5), (ShardState::Held, Some("node-2"), 1, Some(5_000), None));
        assert!(each.iter().all(|shard| shard.home.as_deref() == Some("node-1")), "who takes");
        assert_eq!(known.shards(false).each, None);
    }

    #[test]
    fn what_this_node_has_let_go_is_not_its_own_though_the_register_was_read_before() {
        let roster = roster();
        let known = Known { me: Incarnation(1), roster: &roster, now_us: NOW, own: &|_| None };
        let view = known.shard(Shard::of(Role::Shield, 0));
        assert_eq!((view.state, view.owner), (ShardState::Orphan, None));
    }

    #[test]
    fn leases_run_on_while_the_register_is_silent_and_nobody_is_dead_for_that() {
        let roster = roster();
        let known =
            Known { me: Incarnation(1), roster: &roster, now_us: NOW + 10_000_000, own: &own };
        let told = |node: &NodeView| (node.name.clone(), node.lease_left_ms, node.dead);
        let nodes = known.nodes();
        assert_eq!(told(&nodes[0]), ("node-1".into(), -2_000, false));
        assert_eq!(told(&nodes[1]), ("node-2".into(), -10_001, true));
        assert!(nodes[0].this_node && !nodes[1].this_node);
    }
}
