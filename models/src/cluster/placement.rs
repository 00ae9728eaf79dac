//! Where a shard belongs: highest random weight (Thaler and Ravishankar, "Using name-based mappings to increase hit
//! rates", 1998). A node that joins or leaves moves the shards that come to it or were its own, and no other.

use super::node::NodeRow;
use super::shard::Shard;

/// FNV-1a over the bytes, and the finaliser of SplitMix64 to spread it. Part of what nodes of two releases agree
/// on: it never changes.
fn weight(name: &str, place: u16) -> u64 {
    let bytes = name.bytes().chain(place.to_le_bytes());
    let folded = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let z = (folded ^ (folded >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The node that a shard belongs to, of those that may take it. By name, so that a node that comes back gets
/// what was its own.
pub fn home<'a>(shard: Shard, nodes: impl Iterator<Item = &'a NodeRow>) -> Option<&'a NodeRow> {
    let role = shard.role()?;
    let able = nodes.filter(|node| node.roles.has(role));
    able.max_by(|a, b| {
        let heavier = weight(&a.name, shard.place()).cmp(&weight(&b.name, shard.place()));
        // The younger of two lives of a node.
        heavier.then_with(|| a.name.cmp(&b.name)).then_with(|| a.incarnation.cmp(&b.incarnation))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cluster::node::{Incarnation, Role, Roles};

    fn node(n: u64, roles: Roles) -> NodeRow {
        NodeRow {
            incarnation: Incarnation(n),
            name: format!("node-{n}"),
            address: String::new(),
            roles,
            version: "1".into(),
            joined_us: 0,
            lease_until_us: 1,
            draining: false,
            dead: false,
        }
    }

    fn homes(nodes: &[NodeRow]) -> BTreeMap<Shard, String> {
        let all = Shard::all(Roles::ALL);
        all.filter_map(|shard| Some((shard, home(shard, nodes.iter())?.name.clone()))).collect()
    }

    #[test]
    fn shards_are_spread_and_the_weights_never_change() {
        let nodes: Vec<NodeRow> = (0..5).map(|n| node(n, Roles::ALL)).collect();
        let homes = homes(&nodes);
        for node in &nodes {
            let count = homes.values().filter(|home| **home == node.name).count() / Role::ALL.len();
            // 51 expected, with a standard deviation of 6.4
            assert!((32..=71).contains(&count), "{}: {count}", node.name);
        }
        assert_eq!(weight("node-1", 7), 0x23cf_d4a0_75db_e7d4);
    }

    #[test]
    fn who_joins_or_leaves_moves_its_own_shards_alone() {
        let mut nodes: Vec<NodeRow> = (0..4).map(|n| node(n, Roles::ALL)).collect();
        let before = homes(&nodes);
        nodes.push(node(4, Roles::ALL));
        let after = homes(&nodes);
        let moved = |shard: &&Shard| before[shard] != after[shard];
        assert!(after.keys().filter(moved).all(|shard| after[shard] == "node-4"));
        nodes.remove(2);
        let left = homes(&nodes);
        let moved = |shard: &&Shard| left[shard] != after[shard];
        assert!(left.keys().filter(moved).all(|shard| after[shard] == "node-2"));
    }

    #[test]
    fn a_shard_belongs_to_a_node_of_its_role_and_roles_of_a_key_lie_together() {
        let shield = Roles::NONE.with(Role::Shield);
        let nodes = [node(0, shield), node(1, Roles::ALL), node(2, Roles::ALL)];
        let homes = homes(&nodes);
        for place in 0..256 {
            let of = |role| &homes[&Shard::of(role, place)];
            assert_ne!(of(Role::Flow), "node-0");
            assert_eq!(of(Role::Flow), of(Role::Value));
            assert!(of(Role::Shield) == "node-0" || of(Role::Shield) == of(Role::Flow));
        }
        assert_eq!(home(Shard::of(Role::Flow, 1), nodes[..1].iter()), None);
    }
}
