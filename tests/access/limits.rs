//! Rate limits as callers meet them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use kiki::access::{DoorTerms, LimitTerms, LimiterTerms};
use kiki::api::access::{GuardLayer, Listener};
use kiki::api::peer::Peer;
use kiki::models::access::{Quota, Role};
use tower::ServiceExt;

use super::harness::{Answer, World, settle, world};

const HOUR: i64 = 3_600_000_000;

pub fn few() -> LimitTerms {
    let rates = LimiterTerms {
        identity: Quota::new("identity", 1, HOUR, 5),
        address: Quota::new("address", 1, HOUR, 3),
        failures: Quota::new("failures", 1, HOUR, 2),
        callers_max: 1_000,
    };
    LimitTerms { rates, identities: true, addresses: true, failures: true }
}

async fn limited(limits: LimitTerms) -> World {
    world(Some(DoorTerms { bearer: None, limits: Some(limits), shared: None })).await
}

pub async fn from(world: &World, address: &str, uri: &str, key: Option<&str>) -> Answer {
    let mut request = Request::get(uri);
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let peer = Peer::plain(format!("{address}:4000").parse().expect("an address"));
    let request = request.extension(peer).body(Body::empty()).expect("a request");
    world.send(Listener::Shield, request).await
}

#[tokio::test]
async fn a_key_has_its_own_rate_and_every_answer_says_what_is_left() {
    let world = limited(few()).await;
    let (mine, other) =
        (world.key(Role::Viewer, &["*"]).await, world.key(Role::Viewer, &["*"]).await);
    for left in (0..5).rev() {
        let answer = from(&world, "192.0.2.1", "/api/v1/rates", Some(&mine)).await.is(200);
        assert_eq!(answer.header("ratelimit-policy"), "\"identity\";q=5;w=18000");
        let limit = answer.header("ratelimit");
        assert!(limit.starts_with(&format!("\"identity\";r={left};t=")), "{limit}");
        assert_eq!(answer.header("retry-after"), "");
    }
    // From another address, too: the key counts, and a denial takes part.
    let answer =
        from(&world, "192.0.2.9", "/api/v1/rates", Some(&mine)).await.problem(429, "rate_limited");
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((3_590..=3_600).contains(&wait), "{wait}");
    assert_eq!(answer.header("ratelimit"), format!("\"identity\";r=0;t={wait}"));
    assert!(answer.header("x-request-id").len() > 8);
    from(&world, "192.0.2.1", "/api/v1/rates", Some(&other)).await.is(200);
    settle().await;
    let denied = world.memory.of("access.denied");
    assert_eq!((denied.len(), denied[0].status), (1, 429));
}

#[tokio::test]
async fn who_says_not_who_it_is_counts_by_its_address_and_a_64_counts_as_one() {
    let world = limited(few()).await;
    for _ in 0..3 {
        from(&world, "192.0.2.1", "/health", None).await.is(200);
    }
    let answer = from(&world, "192.0.2.1", "/health", None).await.problem(429, "rate_limited");
    assert!(answer.header("ratelimit").starts_with("\"address\";r=0"));
    from(&world, "192.0.2.2", "/health", None).await.is(200);
    for last in 1..=3 {
        from(&world, &format!("[2001:db8::{last}]"), "/health", None).await.is(200);
    }
    from(&world, "[2001:db8::ffff:4]", "/health", None).await.is(429);
    from(&world, "[2001:db8:0:1::1]", "/health", None).await.is(200);
    let key = world.key(Role::Viewer, &["*"]).await;
    from(&world, "192.0.2.1", "/health", Some(&key)).await.is(200);
}

#[tokio::test]
async fn an_address_that_guesses_is_barred_and_a_good_key_passes_from_it() {
    let world = limited(few()).await;
    let key = world.key(Role::Viewer, &["*"]).await;
    for _ in 0..2 {
        from(&world, "192.0.2.1", "/health", Some("kiki_guess"))
            .await
            .problem(401, "unauthenticated");
    }
    for guess in ["kiki_guess", "a.b.c"] {
        let bearer = format!("Bearer {guess}");
        let request = Request::get("/health").header("authorization", bearer);
        let answer =
            world.send(Listener::Shield, request.body(Body::empty()).expect("a request")).await;
        let answer = answer.problem(429, "rate_limited");
        assert!(answer.header("ratelimit").starts_with("\"failures\";r=0"), "{:?}", answer.headers);
        assert!(!answer.header("retry-after").is_empty());
    }
    from(&world, "192.0.2.1", "/api/v1/rates", Some(&key)).await.is(200);
    from(&world, "192.0.2.2", "/health", Some("kiki_guess")).await.is(401);
}

#[tokio::test]
async fn a_rate_that_is_off_lets_everything_through() {
    let off = LimitTerms { identities: false, addresses: false, failures: false, ..few() };
    let world = limited(off).await;
    let key = world.key(Role::Viewer, &["*"]).await;
    for _ in 0..20 {
        let answer = from(&world, "192.0.2.1", "/api/v1/rates", Some(&key)).await.is(200);
        assert_eq!(answer.header("ratelimit"), "");
        from(&world, "192.0.2.1", "/health", None).await.is(200);
        from(&world, "192.0.2.1", "/health", Some("kiki_x")).await.is(401);
    }
}

/// What the guard costs, printed for the record: `--nocapture`.
#[tokio::test]
async fn the_guard_costs_a_request_microseconds() {
    let time = async |world: &World, key: Option<&str>| {
        let mut best = u128::MAX;
        for _ in 0..5 {
            let began = std::time::Instant::now();
            for _ in 0..400 {
                from(world, "192.0.2.1", "/", key).await.is(200);
            }
            best = best.min(began.elapsed().as_nanos() / 400);
        }
        best
    };
    let open = time(&world(None).await, None).await;
    let wide = LimiterTerms {
        identity: Quota::new("identity", 1_000_000, 1_000_000, 1_000_000),
        ..few().rates
    };
    let limits = LimitTerms { rates: wide, addresses: false, ..few() };
    let asking = limited(limits).await;
    let key = asking.key(Role::Viewer, &["*"]).await;
    let keyed = time(&asking, Some(&key)).await;
    let open_world = world(None).await;
    let plain = Router::new().route("/", get(|| async { "x" }));
    let door = Arc::clone(&open_world.app.door);
    let layered = plain.clone().layer(GuardLayer::new(door, Listener::Health));
    let mut bare = [u128::MAX; 2];
    for _ in 0..5 {
        for (router, best) in [&plain, &layered].into_iter().zip(&mut bare) {
            let began = std::time::Instant::now();
            for _ in 0..2_000 {
                let request = Request::get("/").body(Body::empty()).expect("a request");
                let answer = router.clone().oneshot(request).await.expect("infallible");
                assert_eq!(answer.status(), 200);
            }
            *best = (*best).min(began.elapsed().as_nanos() / 2_000);
        }
    }
    println!(
        "a bare router: {} ns, with an open guard as a layer of its own {} ns",
        bare[0], bare[1]
    );
    println!("a request in memory: open {open} ns, with a key and its limit {keyed} ns");
    // A bound that only a mistake of another order breaks: a slow hash, or a read of the store.
    assert!(keyed < open + 1_000_000, "{open} {keyed}");
}
