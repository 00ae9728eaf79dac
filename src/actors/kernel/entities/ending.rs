//! How entities end together: all of a kind, or those of some keys.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::super::actor::Actor;
use super::super::end::{self, How};
use super::super::family::{Brood, Task};
use super::super::sync::lock;
use super::super::time::{now_ns, to_ns};
use super::{Entities, Inner, Slot};

impl<A: Actor> Entities<A> {
    /// Ends those that `which` names by their keys, and waits until they are gone: `orderly`, what waits at them is
    /// handled before; else what waits is a dead letter. The next message to a key begins a new one.
    pub async fn end_where(&self, which: impl Fn(&str) -> bool, orderly: bool, patience: Duration) {
        let how = if orderly { How::Drain } else { How::Stop };
        let until_ns = now_ns().saturating_add(to_ns(patience));
        let mut cells = Vec::new();
        for shard in &self.inner.shards {
            let shard = lock(shard);
            let named = shard.iter().filter(|(key, _)| which(key));
            cells.extend(named.filter_map(|(_, slot)| match slot {
                Slot::Live(handle) | Slot::Ending(handle, _) => Some(Arc::clone(&handle.cell)),
                Slot::Quarantined(_) => None,
            }));
        }
        for cell in &cells {
            if let Some(family) = cell.family.get() {
                end::end_children(family, how, until_ns).await;
            }
            end::begin_end(cell, how);
        }
        for cell in &cells {
            end::see_end(cell, how, until_ns).await;
        }
    }
}

impl<A: Actor> Brood for Inner<A> {
    fn end_all<'a>(&'a self, how: How, until_ns: u64) -> Task<'a> {
        Box::pin(async move {
            self.closed.store(true, SeqCst);
            let cells = self.live();
            for cell in &cells {
                if let Some(family) = cell.family.get() {
                    end::end_children(family, how, until_ns).await;
                }
                end::begin_end(cell, how);
            }
            for cell in &cells {
                end::see_end(cell, how, until_ns).await;
            }
        })
    }

    fn reopen(&self) {
        self.closed.store(false, SeqCst);
    }
}
