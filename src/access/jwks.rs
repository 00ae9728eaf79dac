//! The key set of an issuer, kept fresh.
//!
//! Verification reads the keys without waiting. They are fetched again when they are old ([`Jwks::tend`],
//! run by whoever supervises), and when a token names a key that is not there: such a request waits for
//! the one fetch under way, so that the first token after a rotation passes. Forged ids cause at most
//! one fetch in 10 s. A fetch that fails changes nothing but the view: the old keys stay.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;

use super::fetch::{BODY_BYTES_MAX, FETCH_TIME_MAX, Fetch, FetchError, Fetched};
use super::keyset::{BadKeySet, KeySet};

const S: i64 = 1_000_000;
/// How long keys are fresh where the answer does not say.
pub const FRESH_US: i64 = 600 * S;
/// Fresh for at least and at most as long, whatever the answer says.
const FRESH_US_MIN: i64 = 60 * S;
const FRESH_US_MAX: i64 = 24 * 3_600 * S;
/// The least time between two fetches.
pub const PAUSE_US: i64 = 10 * S;
/// After failures the pauses double up to this.
const PAUSE_US_MAX: i64 = 600 * S;

/// Why keys were not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the document {0}")]
    Document(#[from] BadKeySet),
}

/// What operators see of it. Times are microseconds of the clock that the callers pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JwksView {
    pub keys: usize,
    /// When the keys in use were fetched.
    pub fetched_at_us: Option<i64>,
    /// When they are to be fetched again.
    pub due_at_us: i64,
    pub fetches_total: u64,
    /// Failures since the last success.
    pub failures: u32,
    /// The last failure, until a fetch succeeds.
    pub error: Option<String>,
}

#[derive(Default)]
struct State {
    asked_at_us: Option<i64>,
    view: JwksView,
}

/// The keys of one issuer. Times come in by argument: microseconds of one monotonic clock.
pub struct Jwks {
    url: String,
    fetch: Box<dyn Fetch>,
    keys: ArcSwap<KeySet>,
    /// Held while fetching: one fetch at a time, and the others wait for it.
    flight: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

impl Jwks {
    /// Has no keys until the first fetch.
    pub fn new(url: impl Into<String>, fetch: Box<dyn Fetch>) -> Jwks {
        Jwks {
            url: url.into(),
            fetch,
            keys: ArcSwap::default(),
            flight: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }
    }

    /// The keys in use.
    pub fn keys(&self) -> Arc<KeySet> {
        self.keys.load_full()
    }

    /// The keys with which to verify a token that names `kid`. Waits only when that is not among them,
    /// and no longer than a fetch may take. `now` is read when it is needed.
    pub async fn keys_for(&self, kid: Option<&str>, now: impl Fn() -> i64) -> Arc<KeySet> {
        let known = |keys: &KeySet| match kid {
            Some(_) => !keys.named(kid).is_empty(),
            None => !keys.is_empty(),
        };
        let keys = self.keys();
        if known(&keys) {
            return keys;
        }
        let _flight = self.flight.lock().await;
        // Who waited finds what the one before has fetched, or that it was just asked in vain.
        if !known(&self.keys()) && self.may_ask(now()) {
            self.fetch_once(&now).await;
        }
        self.keys()
    }

    /// Fetches now, unless that was done within the last 10 s.
    pub async fn refresh(&self, now: impl Fn() -> i64) {
        let _flight = self.flight.lock().await;
        if self.may_ask(now()) {
            self.fetch_once(&now).await;
        }
    }

    /// Keeps the keys fresh, for ever. To be run under supervision: it ends only when it is dropped.
    pub async fn tend(&self, now: impl Fn() -> i64) {
        loop {
            let wait_us = self.view().due_at_us.saturating_sub(now()).clamp(0, FRESH_US_MAX);
            if wait_us > 0 {
                tokio::time::sleep(Duration::from_micros(wait_us.unsigned_abs())).await;
                // Others may have fetched meanwhile.
                continue;
            }
            self.refresh(&now).await;
        }
    }

    pub fn view(&self) -> JwksView {
        self.state().view.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_ask(&self, now_us: i64) -> bool {
        let asked = self.state().asked_at_us;
        asked.is_none_or(|at| now_us.saturating_sub(at) >= PAUSE_US)
    }

    async fn fetch_once(&self, now: &impl Fn() -> i64) {
        let asked_at_us = now();
        {
            // Booked before it is sent: whoever gives up while waiting frees no further fetch.
            let mut state = self.state();
            state.asked_at_us = Some(asked_at_us);
            state.view.due_at_us = asked_at_us.saturating_add(PAUSE_US);
            state.view.fetches_total += 1;
        }
        let fetching = tokio::time::timeout(FETCH_TIME_MAX, self.fetch.fetch(&self.url)).await;
        let outcome = fetching.unwrap_or(Err(FetchError::Timeout)).map_err(RefreshError::from);
        let outcome = outcome.and_then(read);
        let mut state = self.state();
        let view = &mut state.view;
        match outcome {
            Ok((keys, fresh_us)) => {
                view.keys = keys.len();
                view.fetched_at_us = Some(asked_at_us);
                view.due_at_us = asked_at_us.saturating_add(fresh_us);
                view.failures = 0;
                view.error = None;
                self.keys.store(Arc::new(keys));
            }
            Err(error) => {
                let doubled = PAUSE_US << view.failures.min(6);
                view.due_at_us = asked_at_us.saturating_add(doubled.min(PAUSE_US_MAX));
                view.failures = view.failures.saturating_add(1);
                tracing::warn!(%error, failures = view.failures, "token keys were not fetched");
                view.error = Some(error.to_string());
            }
        }
    }
}

fn read(fetched: Fetched) -> Result<(KeySet, i64), RefreshError> {
    if fetched.body.len() > BODY_BYTES_MAX {
        return Err(FetchError::TooLong.into());
    }
    let keys = KeySet::parse(&fetched.body)?;
    let said = fetched.max_age_s.map(|s| i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(S));
    Ok((keys, said.unwrap_or(FRESH_US).clamp(FRESH_US_MIN, FRESH_US_MAX)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

    use super::*;
    use crate::access::fetch::Fetching;

    /// RFC 8037 A.2.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn document(kids: &[&str]) -> Vec<u8> {
        let key = |kid: &&str| serde_json::json!({"kty":"OKP","crv":"Ed25519","kid":kid,"x":X});
        let keys: Vec<_> = kids.iter().map(key).collect();
        serde_json::to_vec(&serde_json::json!({ "keys": keys })).unwrap()
    }

    #[derive(Default)]
    struct Issuer {
        answer: Mutex<Option<Fetched>>,
        asked: AtomicUsize,
        clock: AtomicI64,
    }

    impl Issuer {
        fn answers(&self, body: Vec<u8>, max_age_s: Option<u64>) {
            *self.answer.lock().unwrap() = Some(Fetched { body, max_age_s });
        }

        fn fails(&self) {
            *self.answer.lock().unwrap() = None;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn passes(&self, us: i64) {
            self.clock.fetch_add(us, Ordering::SeqCst);
        }

        fn now(&self) -> i64 {
            self.clock.load(Ordering::SeqCst)
        }
    }

    struct Line(Arc<Issuer>);

    impl Fetch for Line {
        fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
            Box::pin(async {
                self.0.asked.fetch_add(1, Ordering::SeqCst);
                // Whoever else wants keys gets to ask while this is under way.
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.0.answer.lock().unwrap().clone().ok_or(FetchError::Status(503))
            })
        }
    }

    fn installed(kids: &[&str]) -> (Arc<Issuer>, Arc<Jwks>) {
        let issuer = Arc::new(Issuer::default());
        issuer.answers(document(kids), None);
        let jwks = Jwks::new("https://id.example/jwks", Box::new(Line(issuer.clone())));
        (issuer, Arc::new(jwks))
    }

    async fn knows(jwks: &Jwks, issuer: &Issuer, kid: &str) -> bool {
        !jwks.keys_for(Some(kid), || issuer.now()).await.named(Some(kid)).is_empty()
    }

    #[tokio::test]
    async fn a_new_key_works_at_the_first_request_after_a_rotation() {
        let (issuer, jwks) = installed(&["a", "b"]);
        assert!(knows(&jwks, &issuer, "a").await && knows(&jwks, &issuer, "b").await);
        assert_eq!(issuer.asked(), 1);
        issuer.answers(document(&["b", "c"]), None);
        issuer.passes(PAUSE_US);
        assert!(knows(&jwks, &issuer, "c").await, "fetched for it, and waited for");
        assert_eq!(issuer.asked(), 2);
        assert!(!knows(&jwks, &issuer, "a").await, "the key that was taken away is gone");
    }

    #[tokio::test]
    async fn a_hundred_requests_with_a_new_key_cause_one_fetch_and_all_pass() {
        let (issuer, jwks) = installed(&["a", "b"]);
        let ask = |_| {
            let (jwks, issuer) = (jwks.clone(), issuer.clone());
            async move { knows(&jwks, &issuer, "b").await }
        };
        let all = futures_util::future::join_all((0..100).map(ask)).await;
        assert!(all.iter().all(|known| *known));
        assert_eq!(issuer.asked(), 1);
    }

    #[tokio::test]
    async fn forged_ids_cause_one_fetch_in_ten_seconds_and_slow_nobody_down() {
        let (issuer, jwks) = installed(&["a", "b"]);
        for i in 0..1_000 {
            assert!(!knows(&jwks, &issuer, &format!("forged-{i}")).await);
            issuer.passes(20_000);
        }
        assert_eq!(issuer.asked(), 2, "20 s went by");
        assert!(knows(&jwks, &issuer, "a").await);
    }

    #[tokio::test]
    async fn old_keys_stay_when_a_refresh_fails_and_the_view_says_so() {
        let (issuer, jwks) = installed(&["a", "b"]);
        assert!(knows(&jwks, &issuer, "a").await);
        let good = jwks.view();
        assert_eq!((good.keys, good.error, good.due_at_us), (2, None, FRESH_US));
        let spoil: [&dyn Fn(); 5] = [
            &|| issuer.fails(),
            &|| issuer.answers(b"<html>".to_vec(), None),
            &|| issuer.answers(document(&[]), None),
            &|| issuer.answers(vec![b' '; BODY_BYTES_MAX + 1], None),
            &|| issuer.answers(document(&["k"; 65]), None),
        ];
        for (at, spoil) in spoil.iter().enumerate() {
            spoil();
            issuer.passes(FRESH_US);
            jwks.refresh(|| issuer.now()).await;
            let view = jwks.view();
            assert_eq!((view.keys, view.failures as usize), (2, at + 1));
            assert!(view.error.is_some() && view.fetched_at_us == Some(0), "{view:?}");
            let pause_us = view.due_at_us - issuer.now();
            assert_eq!(pause_us, PAUSE_US << at);
            assert!(knows(&jwks, &issuer, "a").await);
        }
        issuer.answers(document(&["z", "y"]), Some(3_600));
        issuer.passes(PAUSE_US);
        assert!(knows(&jwks, &issuer, "z").await);
        let view = jwks.view();
        assert_eq!((view.failures, view.error), (0, None));
        assert_eq!(view.due_at_us, issuer.now() + 3_600 * S);
    }

    #[tokio::test]
    async fn the_answer_says_how_long_it_is_fresh_within_bounds() {
        for (said, fresh_us) in [
            (Some(0), FRESH_US_MIN),
            (Some(120), 120 * S),
            (Some(u64::MAX), FRESH_US_MAX),
            (None, FRESH_US),
        ] {
            let (issuer, jwks) = installed(&["a"]);
            issuer.answers(document(&["a"]), said);
            jwks.refresh(|| 0).await;
            assert_eq!(jwks.view().due_at_us, fresh_us, "{said:?}");
        }
    }

    #[tokio::test]
    async fn tending_fetches_at_once_and_then_when_they_are_old() {
        let (issuer, jwks) = installed(&["a"]);
        let clock = issuer.clone();
        let tending = jwks.tend(|| clock.now());
        let watching = async {
            while issuer.asked() < 1 || jwks.view().keys == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(jwks.view().fetches_total, 1);
        };
        tokio::select! {
            () = tending => unreachable!("tending never ends"),
            () = watching => {}
        }
        issuer.passes(FRESH_US);
        let again = async {
            while issuer.asked() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = jwks.tend(|| issuer.now()) => unreachable!("tending never ends"),
            () = again => {}
        }
        assert_eq!(jwks.view().keys, 1);
    }

    #[tokio::test]
    async fn a_request_that_gives_up_while_waiting_leaves_nothing_locked() {
        let (issuer, jwks) = installed(&["a", "b"]);
        let waiting = knows(&jwks, &issuer, "a");
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
        issuer.passes(PAUSE_US);
        assert!(knows(&jwks, &issuer, "a").await);
    }
}
