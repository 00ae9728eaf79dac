//! Which of the nodes in the register this one can speak with: shards are given to no other.

use std::collections::BTreeSet;

use super::links::{LinkState, Links};
use crate::models::cluster::node::{Incarnation, NodeRow};
use crate::models::cluster::roster::Roster;

/// The lives that there is a link to.
pub fn reached(links: &Links) -> BTreeSet<Incarnation> {
    let up = links.seen().into_iter().filter(|link| link.state == LinkState::Up);
    up.filter_map(|link| link.incarnation.parse().ok()).collect()
}

/// The register as this node may act on it: a node that it does not reach takes nothing, as if it were about to
/// leave. What is given to it would be lost to everybody here.
pub fn as_reached(mut roster: Roster, me: Incarnation, reached: &BTreeSet<Incarnation>) -> Roster {
    for node in &mut roster.nodes {
        node.draining |= node.incarnation != me && !reached.contains(&node.incarnation);
    }
    roster
}

/// Whether this node speaks with none of the others, and is not the one of them that was there first: then it is
/// rather this one that nobody reaches, and it claims nothing.
pub fn is_cut_off(roster: &Roster, me: Incarnation, reached: &BTreeSet<Incarnation>) -> bool {
    let living = || roster.nodes.iter().filter(|node| !node.dead);
    let mut others = living().filter(|node| node.incarnation != me).peekable();
    if others.peek().is_none() || others.any(|node| reached.contains(&node.incarnation)) {
        return false;
    }
    let age = |node: &&NodeRow| (node.joined_us, node.incarnation);
    living().min_by_key(age).is_some_and(|first| first.incarnation != me)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::cluster::node::Roles;

    fn roster(joined: &[i64]) -> Roster {
        let node = |(n, joined_us): (usize, &i64)| NodeRow {
            incarnation: Incarnation(n as u64),
            name: format!("node-{n}"),
            address: String::new(),
            roles: Roles::ALL,
            version: "1".into(),
            joined_us: *joined_us,
            lease_until_us: 10,
            draining: false,
            dead: false,
        };
        Roster { now_us: 1, nodes: joined.iter().enumerate().map(node).collect(), shards: vec![] }
    }

    #[test]
    fn a_node_that_is_not_reached_takes_nothing() {
        let seen = as_reached(roster(&[1, 2, 3]), Incarnation(0), &[Incarnation(2)].into());
        let takers: Vec<u64> = seen.takers().map(|node| node.incarnation.0).collect();
        assert_eq!(takers, [0, 2]);
        assert!(!seen.is_calm(), "and no shard moves for the sake of balance meanwhile");
    }

    #[test]
    fn who_reaches_nobody_claims_nothing_but_where_it_was_the_first_or_is_alone() {
        let none = BTreeSet::new();
        let cut_off = |joined: &[i64], me: u64, reached: &BTreeSet<Incarnation>| {
            is_cut_off(&roster(joined), Incarnation(me), reached)
        };
        assert!(!cut_off(&[5], 0, &none));
        assert!(cut_off(&[5, 6], 1, &none));
        assert!(!cut_off(&[5, 6], 0, &none));
        assert!(!cut_off(&[5, 6, 7], 1, &[Incarnation(2)].into()));
    }
}
