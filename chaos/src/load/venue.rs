//! The exchange, as faults strike it: the load's exchanges ask here before they hold an auction, and before they tell a
//! notice. Nothing of it outlives the suite.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// What is wrong with an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// It holds no auctions, and tells what it owes when it is there again.
    Away,
    /// Everything leaves it so much later.
    Slow(Duration),
    /// No more than so many requests leave it in a second: notices wait for their turn, auctions are not held.
    Throttled { per_second: u32 },
    /// Before such a part of what it sends it sends something that makes no sense.
    Nonsense { share: f64 },
}

struct Open {
    trouble: Trouble,
    /// When the next request may leave, of one that is throttled.
    next: Instant,
    struck: u64,
}

/// One exchange, with all that is wrong with it now.
pub struct Venue {
    open: Mutex<BTreeMap<u32, Open>>,
    /// Counts what begins and ends, for those that wait for an end.
    changes: watch::Sender<u64>,
    /// So that nobody takes the lock while nothing is wrong.
    troubles: AtomicU64,
}

impl Default for Venue {
    fn default() -> Venue {
        let (changes, _) = watch::channel(0);
        Venue { open: Mutex::default(), changes, troubles: AtomicU64::new(0) }
    }
}

/// When something may leave.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    Now,
    After(Duration),
    /// When something has changed.
    NotNow,
}

impl Venue {
    /// From now on this is wrong, too.
    pub fn begin(&self, number: u32, trouble: Trouble) {
        self.lock().insert(number, Open { trouble, next: Instant::now(), struck: 0 });
        self.changed();
    }

    /// This is over. How many requests it struck; nothing where it was over already.
    pub fn end(&self, number: u32) -> Option<u64> {
        let ended = self.lock().remove(&number)?;
        self.changed();
        Some(ended.struck)
    }

    fn changed(&self) {
        self.troubles.store(self.lock().len() as u64, Ordering::Relaxed);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Before an auction. `false`: it is not held.
    pub async fn auction(&self) -> bool {
        match self.may(false) {
            May::Now => true,
            May::NotNow => false,
            May::After(wait) => {
                tokio::time::sleep(wait).await;
                true
            }
        }
    }

    /// Before a notice: it leaves in any case, but perhaps later.
    pub async fn notice(&self) {
        let mut changes = self.changes.subscribe();
        loop {
            match self.may(true) {
                May::Now => return,
                // A turn does not outlive its fault, and nobody leaves one that has gone meanwhile.
                May::After(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => return,
                    _ = changes.changed() => {}
                },
                // The venue has the sender: it does not go before this.
                May::NotNow => _ = changes.changed().await,
            }
        }
    }

    /// Whether nonsense goes before this, for a part that was drawn.
    pub fn babbles(&self, part: f64) -> bool {
        if self.troubles.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut open = self.lock();
        let mut all = open.values_mut();
        let found = all
            .find(|it| matches!(it.trouble, Trouble::Nonsense { share } if part < share))
            .map(|it| it.struck += 1);
        found.is_some()
    }

    fn may(&self, waits: bool) -> May {
        if self.troubles.load(Ordering::Relaxed) == 0 {
            return May::Now;
        }
        let now = Instant::now();
        let mut open = self.lock();
        // Who is away takes nobody else's turn.
        if let Some(away) = open.values_mut().find(|it| it.trouble == Trouble::Away) {
            away.struck += 1;
            return May::NotNow;
        }
        let mut wait = Duration::ZERO;
        for it in open.values_mut() {
            match it.trouble {
                Trouble::Away => {}
                Trouble::Slow(delay) => {
                    it.struck += 1;
                    wait += delay;
                }
                Trouble::Throttled { per_second } => {
                    let at = it.next.max(now);
                    it.struck += u64::from(at > now);
                    if at > now && !waits {
                        return May::NotNow;
                    }
                    it.next = at + Duration::from_secs(1) / per_second.max(1);
                    wait += at - now;
                }
                Trouble::Nonsense { .. } => {}
            }
        }
        if wait.is_zero() { May::Now } else { May::After(wait) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Open>> {
        // Nothing is left half done under this lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_is_away_holds_no_auctions_and_tells_what_it_owes_afterwards() {
        let venue = std::sync::Arc::new(Venue::default());
        assert!(venue.auction().await);
        venue.begin(1, Trouble::Away);
        assert!(!venue.auction().await);
        let owed = tokio::spawn({
            let venue = venue.clone();
            async move { venue.notice().await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!owed.is_finished());
        assert_eq!((venue.end(1), venue.end(1)), (Some(2), None));
        owed.await.expect("it is told");
        assert!(venue.auction().await);
    }

    #[tokio::test]
    async fn one_that_is_slow_and_throttled_sends_later_and_no_more_than_its_rate() {
        let venue = Venue::default();
        venue.begin(1, Trouble::Slow(Duration::from_millis(200)));
        let began = Instant::now();
        assert!(venue.auction().await);
        assert!(began.elapsed() >= Duration::from_millis(200));
        assert_eq!(venue.end(1), Some(1));

        venue.begin(2, Trouble::Throttled { per_second: 100 });
        let began = Instant::now();
        futures_util::future::join_all((0..31).map(|_| venue.notice())).await;
        assert!(began.elapsed() >= Duration::from_millis(300), "31 notices at 100 a second");
        assert_eq!(venue.end(2), Some(30), "all but the first");

        venue.begin(3, Trouble::Throttled { per_second: 1 });
        assert!(venue.auction().await);
        assert!(!venue.auction().await, "there is no room for one more at once");
        assert_eq!(venue.end(3), Some(1));
    }

    #[tokio::test]
    async fn turns_end_with_the_throttle_and_an_outage_takes_none() {
        let venue = std::sync::Arc::new(Venue::default());
        venue.begin(1, Trouble::Throttled { per_second: 1 });
        venue.begin(2, Trouble::Away);
        let all = tokio::spawn({
            let venue = venue.clone();
            async move { futures_util::future::join_all((0..50).map(|_| venue.notice())).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(venue.end(2), Some(50));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!all.is_finished(), "one a second");
        assert_eq!(venue.end(1), Some(49), "all but the first");
        let told = tokio::time::timeout(Duration::from_secs(5), all).await;
        assert!(told.is_ok(), "nothing keeps them any more");
    }

    #[tokio::test]
    async fn nonsense_goes_before_its_part_and_holds_nothing_up() {
        let venue = Venue::default();
        assert!(!venue.babbles(0.0));
        venue.begin(1, Trouble::Nonsense { share: 0.5 });
        assert!(venue.babbles(0.49) && !venue.babbles(0.5));
        assert!(venue.auction().await);
        venue.notice().await;
        assert_eq!(venue.end(1), Some(1));
    }
}
