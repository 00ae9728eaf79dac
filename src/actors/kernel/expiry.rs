//! Wakes asks whose deadline has passed. A runtime timer for each ask costs as much as a third of
//! the ask; here an ask borrows a place and writes its deadline there, and the housekeeper looks at
//! all places every few milliseconds. Threads keep free places, so that nobody waits for a lock.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::sync::{lock, read, write};

/// Places are made, and move between threads, so many at a time.
const BATCH: usize = 64;
/// A thread with more free places than this gives half to the others.
const KEPT_MAX: usize = 4 * BATCH;

/// One place, on a cache line of its own. Free while its deadline is 0.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Place {
    deadline_ns: AtomicU64,
    /// Whether it may hold a waker.
    held: AtomicBool,
    waker: AtomicWaker,
}

struct Places {
    all: RwLock<Vec<Arc<Place>>>,
    /// Free ones that no thread keeps.
    spare: Mutex<Vec<Arc<Place>>>,
}

static PLACES: Places = Places { all: RwLock::new(Vec::new()), spare: Mutex::new(Vec::new()) };

/// The free places of a thread.
#[derive(Default)]
struct Mine(Vec<Arc<Place>>);

impl Drop for Mine {
    fn drop(&mut self) {
        lock(&PLACES.spare).append(&mut self.0);
    }
}

thread_local! {
    static MINE: RefCell<Mine> = RefCell::default();
}

/// Has `waker` woken once `deadline_ns` has passed. Give the place back with [`forget`].
pub(super) fn register(deadline_ns: u64, waker: &Waker) -> Arc<Place> {
    let mine = MINE.try_with(|mine| mine.borrow_mut().0.pop()).ok().flatten();
    let place = mine.unwrap_or_else(more);
    renew(&place, deadline_ns, waker);
    place
}

pub(super) fn renew(place: &Place, deadline_ns: u64, waker: &Waker) {
    // The deadline last: whoever sees it finds whom to wake.
    place.held.store(true, SeqCst);
    place.waker.register(waker);
    place.deadline_ns.store(deadline_ns, SeqCst);
}

pub(super) fn forget(place: Arc<Place>) {
    place.deadline_ns.store(0, std::sync::atomic::Ordering::Release);
    let mut place = Some(place);
    let keep = |mine: &RefCell<Mine>| {
        let mine = &mut mine.borrow_mut().0;
        mine.extend(place.take());
        if mine.len() > KEPT_MAX {
            lock(&PLACES.spare).extend(mine.drain(KEPT_MAX / 2..));
        }
    };
    // A thread that ends keeps nothing.
    if MINE.try_with(keep).is_err() {
        lock(&PLACES.spare).extend(place);
    }
}

/// Wakes everyone whose deadline has passed. Whether anyone waits.
pub(super) fn sweep(now_ns: u64) -> bool {
    let mut anyone = false;
    for place in read(&PLACES.all).iter() {
        let deadline_ns = place.deadline_ns.load(SeqCst);
        if deadline_ns == 0 {
            // A waker left in a free place keeps its finished task in memory. It is woken, not
            // dropped: the place may have been taken just now, and then its task registers again.
            if place.held.swap(false, SeqCst) {
                place.waker.wake();
            }
        } else {
            anyone = true;
            if deadline_ns <= now_ns {
                place.waker.wake();
            }
        }
    }
    anyone
}

/// Places from other threads, or new ones.
fn more() -> Arc<Place> {
    let mut places = {
        let mut spare = lock(&PLACES.spare);
        let from = spare.len().saturating_sub(BATCH);
        spare.split_off(from)
    };
    if places.is_empty() {
        places = (0..BATCH).map(|_| Arc::default()).collect();
        write(&PLACES.all).extend(places.iter().cloned());
    }
    let place = places.pop().unwrap_or_default();
    // A thread that ends keeps nothing: these are then lost to use, not to memory.
    let _ = MINE.try_with(|mine| mine.borrow_mut().0.append(&mut places));
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn only_what_is_due_is_woken_and_its_waker_is_let_go() {
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let (early, late) = (register(100, &waker), register(u64::MAX, &waker));
        assert!(sweep(150));
        assert_eq!(count.0.load(SeqCst), 1, "the early one");
        sweep(150);
        assert_eq!(count.0.load(SeqCst), 1, "once");
        renew(&early, 100, &waker);
        sweep(150);
        assert_eq!(count.0.load(SeqCst), 2, "it registered again");
        forget(early);
        forget(late);
        sweep(150);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "no place keeps the task");
    }

    #[test]
    fn places_are_used_again_also_by_other_threads() {
        let waker = Waker::noop();
        for _ in 0..50 {
            let taken: Vec<_> = (0..BATCH).map(|_| register(u64::MAX, waker)).collect();
            let other = std::thread::spawn(|| taken.into_iter().for_each(forget));
            assert!(other.join().is_ok());
        }
        assert!(read(&PLACES.all).len() < 50 * BATCH / 2, "{}", read(&PLACES.all).len());
    }
}
