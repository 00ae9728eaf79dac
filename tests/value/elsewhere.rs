//! Accounts that are at home on another node: two of them on one store here, of which the second has no shard, and
//! no way to the first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kiki::actors::cluster::Placement;
use kiki::actors::kernel::{KernelConfig, Registry};
use kiki::actors::shield::Shield;
use kiki::actors::value::{Answer, Ask, Value as SyncValue, ValueError};
use kiki::config::Loader;
use kiki::connectors::redis::Redis;
use kiki::models::cluster::node::Incarnation;
use kiki::models::shield::seal::MasterKey;
use serde_json::{Value, json};

use crate::erasure::{buy, request};
use crate::harness::{Api, api, customers};

/// A change elsewhere is seen within this.
const SEEN: Duration = Duration::from_secs(2);

struct Other {
    value: SyncValue,
    shield: Shield,
    registry: Registry,
    _dir: tempfile::TempDir,
}

/// A node beside this one.
async fn beside(api: &Api) -> Other {
    let dir = tempfile::tempdir().expect("a folder");
    let loader = Loader::new().flag("store.data_dir", dir.path().display(), "--set");
    let config = loader.load().expect("a configuration").config;
    let registry = Registry::new(KernelConfig { chaos_enabled: false });
    let placement = Placement::fixed(Incarnation(7), &BTreeMap::new());
    let shield = Shield::start_on(
        &registry,
        api.shield.shield.store().clone(),
        kiki::cli::up::terms(&config),
        MasterKey::new([7; 32]).expect("a key"),
        config.store.committer(),
        config.server.request_timeout_ms.duration(),
        placement,
    );
    let shield = shield.await.expect("syncshield starts");
    let terms = kiki::cli::up::value_terms(&config);
    let value = SyncValue::start(&registry, shield.clone(), terms, Redis::default()).await;
    Other { value: value.expect("syncvalue starts"), shield, registry, _dir: dir }
}

impl Other {
    async fn predict(&self, customer: &str) -> Answer {
        self.value.predict("default", &Ask::of(customer)).await.expect("an answer")
    }

    async fn end(self) {
        self.value.drain(Duration::from_secs(5)).await;
        self.shield.drain(Duration::from_secs(5)).await;
        self.registry.shutdown(Duration::from_secs(5)).await;
    }
}

fn micros(value: f64) -> i64 {
    (value * 1e6).round() as i64
}

/// What the account's home says of a customer.
async fn at_home(api: &Api, customer: &str) -> i64 {
    micros(api.predict(customer).await["predicted_ltv"].as_f64().expect("a number"))
}

async fn in_time<T: PartialEq + std::fmt::Debug>(expected: T, look: impl AsyncFn() -> T) {
    let since = Instant::now();
    loop {
        let seen = look().await;
        if seen == expected {
            return;
        }
        assert!(since.elapsed() < SEEN + Duration::from_millis(500), "{seen:?} for {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_node_without_the_account_gives_the_same_answers_and_sees_what_is_new() {
    let api = api(&[]).await;
    let champion = api.champion(8).await;
    let other = beside(&api).await;
    let customer = customers(8).swap_remove(0);
    let answer = other.predict(&customer).await;
    assert_eq!(answer.model.as_deref(), Some(&*champion));
    assert_eq!(micros(answer.forecast.value), at_home(&api, &customer).await);
    let before = other.value.customer("default", &customer).await.expect("known").purchases;

    // a purchase
    buy(&api, &customer, "order-1").await;
    let seen = other.value.customer("default", &customer).await.expect("known");
    assert_eq!(seen.purchases, before + 1, "it is read anew each time");
    let now = at_home(&api, &customer).await;
    assert_ne!(micros(answer.forecast.value), now);
    in_time(now, async || micros(other.predict(&customer).await.forecast.value)).await;

    // another version, and who answers
    let challenger = api.fit(json!({"model": "mbg-nbd", "horizon_days": 273})).await;
    let body = json!({"force": true, "reason": "the test wants to see it"});
    api.post(&format!("/api/v1/ltv/models/{challenger}/promote"), body).await.is(200);
    in_time(Some(challenger), async || {
        other.predict(&customer).await.model.map(|model| model.to_string())
    })
    .await;

    // somebody is erased
    request(&api, &customer, "DELETION").await;
    in_time(0, async || {
        let seen = other.value.customer("default", &customer).await;
        seen.expect("the account is there").purchases
    })
    .await;
    let now = api.predict(&customer).await["status"].clone();
    in_time(now, async || {
        let status = other.predict(&customer).await.forecast.status;
        json!(kiki::actors::value::metrics::status_name(status))
    })
    .await;
    let nobody = other.value.predict("nobody", &Ask::of("c")).await;
    assert_eq!(nobody.map(|_| ()), Err(ValueError::UnknownAccount));
    other.end().await;
}

#[tokio::test]
async fn a_node_without_the_account_writes_nothing_of_it() {
    let api = api(&[]).await;
    buy(&api, "cust_1", "order-1").await;
    let other = beside(&api).await;
    let refused = Err(ValueError::Unavailable);
    assert_eq!(other.value.registry("default").await.map(|_| ()), refused);
    assert_eq!(other.value.end_experiment("default").await.map(|_| ()), refused);
    assert_eq!(other.value.cancel_fit("default", "1").await.map(|_| ()), refused);
    assert_eq!(other.value.fits("default").await.map(|_| ()), refused);
    assert_eq!(other.value.drift("default", "m").await.map(|_| ()), refused);
    assert_eq!(other.value.import("default", "cust_1", Vec::new()).await, Ok(Default::default()));
    let row = serde_json::from_value(json!({
        "id": "0".repeat(32), "reference": null, "day": "2026-01-03", "amount": 1, "currency": null,
    }));
    let row = row.expect("a purchase");
    assert_eq!(other.value.import("default", "cust_1", vec![row]).await.map(|_| ()), refused);
    let seen: Value = api.get("/api/v1/ltv/customers/cust_1").await.is(200);
    assert_eq!(seen["purchases"], 1);
    other.end().await;
}
