//! Limits shared by all nodes through Redis, as long as it answers in time.
//!
//! The limit in this process is asked first: what it refuses, the shared one would refuse, too. Then the
//! shared one has 50 ms. If it does not answer, what this process said stands, and the shared one is
//! left alone for 1 s, doubling to 30 s, after which one request tries it again.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::models::access::{Decision, Quota};

/// How long the shared limit may take to answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_millis(50);
/// How long it is left alone after the first failure, and at most.
pub const REST_US: i64 = 1_000_000;
pub const REST_US_MAX: i64 = 30_000_000;

/// GCRA in Redis, the same as [`crate::models::access::Bucket::take`]. One key; the arguments are those
/// of [`arguments`]; the answer is read by [`interpret`]. The time is the server's, so the clocks of the
/// nodes do not matter. Microseconds since 1970 fit a double exactly. A key expires when its bucket is
/// full, which is what a missing key means.
pub const TAKE: &str = r"
local interval, full = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now) or now
local debt = math.min(math.max(full_at - now, 0), full)
local after = debt + interval
if after > full then
  return {0, 0, debt, after - full}
end
redis.call('SET', KEYS[1], string.format('%.0f', now + after), 'PX', math.ceil(after / 1000))
return {1, math.floor((full - after) / interval), after, 0}
";

/// The key of a caller's bucket.
pub fn bucket_key(quota: &Quota, caller: &str) -> String {
    format!("kiki:limit:{}:{caller}", quota.name)
}

/// The arguments of [`TAKE`]: microseconds per request, microseconds of a full bucket.
pub fn arguments(quota: &Quota) -> [i64; 2] {
    [quota.interval_us(), quota.full_us()]
}

/// Reads the answer of [`TAKE`]: allowed, remaining, reset and retry in microseconds.
///
/// # Errors
/// It is not an answer that the script gives.
pub fn interpret(reply: &[i64], quota: &Quota) -> Result<Decision, Unavailable> {
    let nonsense = || Unavailable("the answer makes no sense".to_owned());
    let &[allowed, remaining, reset_us, retry_us] = reply else { return Err(nonsense()) };
    let remaining = u32::try_from(remaining).map_err(|_| nonsense())?;
    let times = 0..=quota.full_us();
    let sound = matches!(allowed, 0 | 1)
        && remaining < quota.burst().max(1)
        && times.contains(&reset_us)
        && times.contains(&retry_us)
        && (allowed == 0) == (retry_us > 0);
    match sound {
        true => {
            Ok(Decision { allowed: allowed == 1, quota: *quota, remaining, reset_us, retry_us })
        }
        false => Err(nonsense()),
    }
}

/// The shared limit did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared limit does not answer: {0}")]
pub struct Unavailable(pub String);

/// A limit that several nodes ask. It never decides about correctness, only about load.
pub trait SharedLimit: Send + Sync {
    /// Takes one request from the bucket of a caller.
    fn take(
        &self,
        caller: &str,
        quota: &Quota,
    ) -> impl Future<Output = Result<Decision, Unavailable>> + Send;
}

/// What operators see of it. The time is microseconds of the clock that the callers pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SharedView {
    /// Failures since the last answer.
    pub failures: u32,
    /// It is left alone until then.
    pub resting_until_us: Option<i64>,
    pub error: Option<String>,
    /// Decisions made without it.
    pub local_total: u64,
}

/// Asks the shared limit, and knows when to leave it alone.
pub struct Shared<S> {
    limit: S,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    view: SharedView,
    /// Counts changes, so that of many who failed together one is counted.
    generation: u64,
}

impl State {
    /// May it be asked now? After a rest one is let through; the others wait for what becomes of it.
    fn admit(&mut self, now_us: i64) -> Option<u64> {
        match self.view.resting_until_us {
            None => {}
            Some(until) if now_us < until => return None,
            Some(_) => self.view.resting_until_us = Some(now_us.saturating_add(self.rest_us())),
        }
        Some(self.generation)
    }

    fn answered(&mut self, generation: u64) {
        if generation == self.generation && self.view.failures > 0 {
            let local_total = self.view.local_total;
            self.view = SharedView { local_total, ..SharedView::default() };
            self.generation += 1;
        }
    }

    fn failed(&mut self, generation: u64, error: Unavailable, now_us: i64) {
        if generation != self.generation {
            return;
        }
        self.generation += 1;
        self.view.resting_until_us = Some(now_us.saturating_add(self.rest_us()));
        self.view.failures = self.view.failures.saturating_add(1);
        if self.view.failures == 1 {
            tracing::warn!(%error, "rate limits are local");
        }
        self.view.error = Some(error.to_string());
    }

    fn rest_us(&self) -> i64 {
        (REST_US << self.view.failures.min(5)).min(REST_US_MAX)
    }
}

impl<S: SharedLimit> Shared<S> {
    pub fn new(limit: S) -> Shared<S> {
        Shared { limit, state: Mutex::default() }
    }

    /// The decision for a caller about whom this process decided `local`. Answers within 50 ms; at once
    /// where nothing is to be asked. `now` (monotonic microseconds) is read when it is needed.
    pub async fn decide(&self, caller: &str, local: Decision, now: impl Fn() -> i64) -> Decision {
        if !local.allowed {
            return local;
        }
        let Some(generation) = self.state().admit(now()) else {
            self.state().view.local_total += 1;
            return local;
        };
        let asked = tokio::time::timeout(ANSWER_TIME_MAX, self.limit.take(caller, &local.quota));
        let silent = || Unavailable("no answer within 50 ms".to_owned());
        match asked.await.unwrap_or_else(|_| Err(silent())) {
            Ok(decision) => {
                self.state().answered(generation);
                decision
            }
            Err(error) => {
                let now_us = now();
                let mut state = self.state();
                state.failed(generation, error, now_us);
                state.view.local_total += 1;
                local
            }
        }
    }

    pub fn view(&self) -> SharedView {
        self.state().view.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;
    use crate::models::access::Bucket;

    const Q: Quota = Quota::new("identity", 10, 1_000_000, 5);
    const ANSWERS: u8 = 0;
    const FAILS: u8 = 1;

    #[derive(Default)]
    struct Peer {
        mood: AtomicU8,
        asked: AtomicUsize,
        bucket: Mutex<Bucket>,
    }

    impl SharedLimit for &Peer {
        async fn take(&self, _: &str, quota: &Quota) -> Result<Decision, Unavailable> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            match self.mood.load(Ordering::SeqCst) {
                ANSWERS => Ok(self.bucket.lock().unwrap().take(quota, 0)),
                FAILS => Err(Unavailable("refused".into())),
                _ => std::future::pending().await,
            }
        }
    }

    impl Peer {
        fn mood(&self, mood: u8) {
            self.mood.store(mood, Ordering::SeqCst);
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn local() -> Decision {
        Bucket::default().take(&Q, 0)
    }

    #[tokio::test]
    async fn what_the_nodes_take_together_counts_and_a_local_refusal_asks_nobody() {
        let peer = Peer::default();
        let nodes = [Shared::new(&peer), Shared::new(&peer)];
        let mut allowed = 0;
        for i in 0..10 {
            allowed += usize::from(nodes[i % 2].decide("key:1", local(), || 0).await.allowed);
        }
        assert_eq!(allowed, 5, "each node alone would have let all ten through");
        let mut empty = Bucket::default();
        let refused = (0..6).map(|_| empty.take(&Q, 0)).last().unwrap();
        let asked = peer.asked();
        assert_eq!(nodes[0].decide("key:1", refused, || 0).await, refused);
        assert_eq!(peer.asked(), asked);
    }

    #[tokio::test]
    async fn after_a_failure_it_is_left_alone_for_a_second_doubling_to_thirty() {
        let peer = Peer::default();
        peer.mood(FAILS);
        let (shared, clock) = (Shared::new(&peer), AtomicI64::new(0));
        let now = || clock.load(Ordering::SeqCst);
        for (at, rest_s) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            assert!(shared.decide("a", local(), now).await.allowed);
            assert_eq!(peer.asked(), at + 1);
            let view = shared.view();
            assert_eq!(view.resting_until_us, Some(now() + rest_s * 1_000_000), "{at}");
            clock.fetch_add(rest_s * 1_000_000 - 1, Ordering::SeqCst);
            shared.decide("a", local(), now).await;
            assert_eq!(peer.asked(), at + 1, "left alone");
            clock.fetch_add(1, Ordering::SeqCst);
        }
        peer.mood(ANSWERS);
        shared.decide("a", local(), now).await;
        let view = shared.view();
        assert_eq!((view.failures, view.resting_until_us, view.error), (0, None, None));
        assert_eq!(view.local_total, 14);
        shared.decide("a", local(), now).await;
        assert_eq!(peer.asked(), 9, "asked every time again");
    }

    #[tokio::test]
    async fn when_it_hangs_a_hundred_requests_wait_once_for_less_than_100_ms_and_count_as_one_failure()
     {
        let peer = Peer::default();
        peer.mood(2);
        let shared = Shared::new(&peer);
        let began = Instant::now();
        let all = (0..100).map(|_| shared.decide("a", local(), || 0));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(|decision| decision.allowed));
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
        assert_eq!(shared.view().failures, 1);
        let began = Instant::now();
        for _ in 0..1_000 {
            shared.decide("a", local(), || 1).await;
        }
        assert!(began.elapsed() < Duration::from_millis(40), "{:?}", began.elapsed());
        assert_eq!(peer.asked(), 100);
        // After the rest one tries, and the others do not wait for it.
        let probes = (0..100).map(|_| shared.decide("a", local(), || REST_US));
        futures_util::future::join_all(probes).await;
        assert_eq!(peer.asked(), 101);
    }

    #[tokio::test]
    async fn an_answer_to_a_question_from_before_the_failure_does_not_end_the_rest() {
        let mut state = State::default();
        let (early, late) = (state.admit(0).unwrap(), state.admit(0).unwrap());
        state.failed(early, Unavailable("x".into()), 0);
        state.answered(late);
        assert_eq!(state.admit(REST_US - 1), None);
        let probe = state.admit(REST_US).unwrap();
        assert_eq!(state.admit(REST_US), None);
        state.answered(probe);
        assert!(state.admit(REST_US).is_some());
    }

    #[test]
    fn an_answer_of_the_script_is_read_and_nonsense_is_not() {
        let first = interpret(&[1, 4, 100_000, 0], &Q).unwrap();
        assert_eq!(first, Bucket::default().take(&Q, 0));
        let refused = interpret(&[0, 0, 500_000, 100_000], &Q).unwrap();
        assert_eq!((refused.allowed, refused.retry_us), (false, 100_000));
        for bad in [
            &[][..],
            &[1],
            &[1, 4, 100_000],
            &[1, 4, 100_000, 0, 0],
            &[2, 4, 100_000, 0],
            &[1, -1, 100_000, 0],
            &[1, 5, 100_000, 0],
            &[1, 4, -1, 0],
            &[1, 4, i64::MAX, 0],
            &[1, 4, 100_000, 1],
            &[0, 0, 500_000, 0],
        ] {
            assert!(interpret(bad, &Q).is_err(), "{bad:?}");
        }
        assert_eq!(arguments(&Q), [100_000, 500_000]);
        assert_eq!(bucket_key(&Q, "key:00000001"), "kiki:limit:identity:key:00000001");
    }
}
