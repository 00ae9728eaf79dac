//! Which nodes run campaigns: only those are asked for bids.

use std::collections::BTreeMap;

use crate::models::cluster::node::Incarnation;

/// A node of which nothing was heard for so long would keep every request waiting.
const SILENT_US: i64 = 3_000_000;

/// What is known of a node. Of one that has not said how many it runs, some are taken to be there.
struct Node {
    runs: Option<usize>,
    /// When it was heard of last, or seen first (monotonic).
    heard_us: i64,
}

#[derive(Default)]
pub struct Running(BTreeMap<Incarnation, Node>);

impl Running {
    /// These are the nodes beside this one.
    pub fn follow(&mut self, others: &[Incarnation], now_us: i64) {
        self.0.retain(|node, _| others.contains(node));
        for node in others {
            self.0.entry(*node).or_insert(Node { runs: None, heard_us: now_us });
        }
    }

    pub fn heard(&mut self, node: Incarnation, runs: usize, now_us: i64) {
        self.0.insert(node, Node { runs: Some(runs), heard_us: now_us });
    }

    /// Those that are asked, in their order.
    pub fn asked(&self, now_us: i64) -> Vec<Incarnation> {
        let asked =
            |node: &Node| node.runs != Some(0) && now_us.saturating_sub(node.heard_us) < SILENT_US;
        self.0.iter().filter(|(_, node)| asked(node)).map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_asked_that_run_something_or_have_not_said_yet() {
        let [a, b, c] = [1, 2, 3].map(Incarnation);
        let mut running = Running::default();
        assert!(running.asked(0).is_empty());
        running.follow(&[a, b], 0);
        assert_eq!(running.asked(1), [a, b]);
        running.heard(a, 0, 10);
        running.heard(b, 7, 10);
        assert_eq!(running.asked(11), [b]);
        running.heard(a, 1, 20);
        running.follow(&[a, c], 30);
        assert_eq!(running.asked(31), [a, c]);
        assert_eq!(running.asked(20 + SILENT_US), [c], "it was not heard of for too long");
        running.heard(a, 1, 40 + SILENT_US);
        assert_eq!(running.asked(41 + SILENT_US), [a]);
    }
}
