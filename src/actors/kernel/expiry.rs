//! Wakes asks whose deadline has passed. A runtime timer for each ask costs as much as a third of
//! the ask; this is a sharded slab that the housekeeper sweeps every few milliseconds instead.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use super::sync::lock;

const SHARDS: usize = 16;

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[derive(Default)]
struct Shard {
    entries: Vec<Option<(u64, Waker)>>,
    free: Vec<u32>,
}

/// Each on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Lane {
    shard: Mutex<Shard>,
    waiting: AtomicU32,
}

#[derive(Default)]
pub(super) struct Expiry {
    lanes: [Lane; SHARDS],
}

/// A registration; give it back with [`Expiry::forget`].
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    shard: u8,
    slot: u32,
}

impl Expiry {
    pub fn register(&self, deadline_ns: u64, waker: &Waker) -> Ticket {
        let shard = my_shard();
        let lane = &self.lanes[shard];
        let mut entries = lock(&lane.shard);
        let entry = Some((deadline_ns, waker.clone()));
        let slot = match entries.free.pop() {
            Some(slot) => {
                entries.entries[slot as usize] = entry;
                slot
            }
            None => {
                entries.entries.push(entry);
                (entries.entries.len() - 1) as u32
            }
        };
        lane.waiting.store((entries.entries.len() - entries.free.len()) as u32, Relaxed);
        Ticket { shard: shard as u8, slot }
    }

    pub fn renew(&self, ticket: Ticket, deadline_ns: u64, waker: &Waker) {
        let mut shard = lock(&self.lanes[ticket.shard as usize].shard);
        let entry = &mut shard.entries[ticket.slot as usize];
        match entry {
            Some((_, old)) if old.will_wake(waker) => {}
            _ => *entry = Some((deadline_ns, waker.clone())),
        }
    }

    pub fn forget(&self, ticket: Ticket) {
        let lane = &self.lanes[ticket.shard as usize];
        let mut shard = lock(&lane.shard);
        let waker = shard.entries[ticket.slot as usize].take();
        shard.free.push(ticket.slot);
        if shard.free.len() == shard.entries.len() && shard.entries.len() > 1_024 {
            *shard = Shard::default();
        }
        let waiting = (shard.entries.len() - shard.free.len()) as u32;
        lane.waiting.store(waiting, Relaxed);
        drop(shard);
        drop(waker);
    }

    pub fn anyone(&self) -> bool {
        self.lanes.iter().any(|lane| lane.waiting.load(Relaxed) > 0)
    }

    /// Wakes everyone whose deadline has passed.
    pub fn sweep(&self, now_ns: u64) {
        let mut due = Vec::new();
        for lane in &self.lanes {
            if lane.waiting.load(Relaxed) == 0 {
                continue;
            }
            for entry in &mut lock(&lane.shard).entries {
                if entry.as_ref().is_some_and(|(deadline, _)| *deadline <= now_ns) {
                    due.extend(entry.take().map(|(_, waker)| waker));
                }
            }
        }
        due.into_iter().for_each(Waker::wake);
    }
}

/// Each thread keeps to one shard, so that its lock is rarely contended.
fn my_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mine = SHARD.get();
    if mine != usize::MAX {
        return mine;
    }
    let mine = NEXT.fetch_add(1, Relaxed) % SHARDS;
    SHARD.set(mine);
    mine
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;

    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn only_what_is_due_is_woken_and_once() {
        let (expiry, count) = (Expiry::default(), Arc::new(Count(AtomicU32::new(0))));
        let waker = Waker::from(Arc::clone(&count));
        let early = expiry.register(100, &waker);
        let late = expiry.register(200, &waker);
        expiry.sweep(150);
        expiry.sweep(150);
        assert_eq!(count.0.load(SeqCst), 1);
        expiry.forget(early);
        assert!(expiry.anyone());
        expiry.forget(late);
        assert!(!expiry.anyone());
        expiry.sweep(u64::MAX);
        assert_eq!(count.0.load(SeqCst), 1);
    }
}
