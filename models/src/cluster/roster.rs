//! The register as it was read at one moment.

use super::node::{Incarnation, NodeRow};
use super::placement;
use super::shard::Shard;

/// One shard's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardRow {
    pub shard: Shard,
    pub owner: Option<Incarnation>,
    /// Grows by one with every owner.
    pub epoch: i64,
    /// For whom the last owner has let it go.
    pub heir: Option<Incarnation>,
    /// By the register's clock: when it was taken or let go.
    pub since_us: i64,
}

/// Nodes that are not dead, and shards in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The register's clock.
    pub now_us: i64,
    pub nodes: Vec<NodeRow>,
    pub shards: Vec<ShardRow>,
}

impl Roster {
    /// A node that is not dead.
    pub fn node(&self, incarnation: Incarnation) -> Option<&NodeRow> {
        self.nodes.iter().find(|node| node.incarnation == incarnation && !node.dead)
    }

    pub fn shard(&self, shard: Shard) -> Option<&ShardRow> {
        let at = self.shards.binary_search_by_key(&shard, |row| row.shard).ok()?;
        self.shards.get(at)
    }

    /// Nodes that shards may be given to.
    pub fn takers(&self) -> impl Iterator<Item = &NodeRow> {
        self.nodes.iter().filter(|node| node.takes(self.now_us))
    }

    /// Where a shard belongs now.
    pub fn home(&self, shard: Shard) -> Option<&NodeRow> {
        placement::home(shard, self.takers())
    }

    /// Whether a shard has no owner that lives.
    pub fn is_orphan(&self, row: &ShardRow) -> bool {
        row.owner.is_none_or(|owner| self.node(owner).is_none())
    }

    /// Whether a node may claim a shard: it has no owner, and it is the heir, or belongs to it and the heir, if
    /// there is one, cannot take it.
    pub fn is_claimable(&self, row: &ShardRow, me: Incarnation) -> bool {
        if !self.is_orphan(row) {
            return false;
        }
        let heir = row.heir.and_then(|heir| self.node(heir)).filter(|it| it.takes(self.now_us));
        match heir {
            Some(heir) => heir.incarnation == me,
            None => self.home(row.shard).is_some_and(|home| home.incarnation == me),
        }
    }

    /// Whether shards may be moved from node to node for the sake of balance: all nodes are there to stay, and of
    /// one release. While a rollout is under way they would move twice.
    pub fn is_calm(&self) -> bool {
        let mut living = self.nodes.iter().filter(|node| !node.dead);
        let Some(first) = living.next() else { return true };
        let calm = |node: &NodeRow| node.takes(self.now_us) && node.version == first.version;
        calm(first) && living.all(calm)
    }
}
