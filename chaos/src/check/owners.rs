//! OW-1: epochs of a shard never decrease for whoever looks, and an epoch has one owner.

use super::found::Found;
use super::history::{History, Owner};
use crate::verdict::Invariant::Ow1;

pub fn check(history: &History, found: &mut Found) {
    let mut seen: Vec<&Owner> = history.owners.iter().collect();
    // A stable sort: what one node said stays in the order in which it was written.
    seen.sort_by_key(|owner| (owner.seen_by, owner.shard, owner.at_us));
    for pair in seen.windows(2) {
        let (before, now) = (pair[0], pair[1]);
        let same = (before.seen_by, before.shard) == (now.seen_by, now.shard);
        if same && now.epoch < before.epoch {
            found.add(Ow1, Some(now.at_us), &[], || {
                let by = history.names.text(now.seen_by);
                let (shard, from, to) = (now.shard, before.epoch, now.epoch);
                format!("the epoch of shard {shard} went from {from} back to {to} as {by} saw it")
            });
        }
    }
    let mut owned: Vec<(u16, i64, u32, u64)> = history
        .owners
        .iter()
        .filter_map(|o| o.owner.map(|owner| (o.shard, o.epoch, owner, o.at_us)))
        .collect();
    owned.sort_unstable();
    owned.dedup_by_key(|(shard, epoch, owner, _)| (*shard, *epoch, *owner));
    for pair in owned.windows(2) {
        let ((shard, epoch, a, _), (_, _, b, at_us)) = (pair[0], pair[1]);
        if (shard, epoch) == (pair[1].0, pair[1].1) {
            found.add(Ow1, Some(at_us), &[], || {
                let [a, b] = [a, b].map(|owner| history.names.text(owner));
                format!("shard {shard} has two owners in epoch {epoch}: {a} and {b}")
            });
        }
    }
}
