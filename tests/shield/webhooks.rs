//! Signed webhooks, at a receiver of this process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kiki::models::access::hook::{HookSecret, ID_HEADER, SIGNATURE_HEADER, TOLERANCE_S, verify};
use serde_json::{Value, json};

use super::harness::{Api, WIDE, api};

crate::on_every_store!(
    an_event_is_sent_signed_and_to_those_alone_who_want_it,
    both_secrets_sign_while_one_replaces_the_other,
    what_is_refused_is_sent_again_under_its_id_until_it_is_taken,
    what_is_never_taken_is_dead_in_the_end_and_goes_with_its_webhook,
    nothing_is_sent_into_private_networks_unless_that_is_allowed,
    an_account_has_sixteen_webhooks_at_most,
    receivers_that_hang_keep_the_events_of_their_own_accounts_back_alone,
    a_receiver_that_hangs_does_not_keep_the_events_of_its_neighbour_back,
    a_webhook_that_does_not_answer_rests_and_is_asked_again,
    a_ping_waits_for_the_one_before_it,
    what_waited_longer_than_its_time_is_dead_without_another_attempt,
);

const PRIVATE: (&str, &str) = ("webhooks.allow_private", "true");
const SOON: [(&str, &str); 2] =
    [("webhooks.retry_min_s", "0.02"), ("webhooks.retry_max_s", "0.05")];

/// As a refusal: no answer at all.
const HANG: u16 = 0;

/// What came: the id, the signature, the body.
type Came = (String, String, Bytes);

/// Refuses as often as it is told to, and takes everything then.
#[derive(Clone, Default)]
struct Receiver {
    came: Arc<Mutex<Vec<Came>>>,
    refusals: Arc<Mutex<Vec<u16>>>,
    url: String,
}

impl Receiver {
    async fn new(refusals: &[u16]) -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let refusals = Arc::new(Mutex::new(refusals.to_vec()));
        let receiver = Receiver { refusals, url, ..Receiver::default() };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// What came, once there is as much of it as this.
    async fn came(&self, n: usize) -> Vec<Came> {
        for _ in 0..500 {
            let came = self.came.lock().expect("a lock").clone();
            if came.len() >= n {
                return came;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} came, not {n}", self.came.lock().expect("a lock").len());
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().expect("text").to_owned();
    let came = (text(ID_HEADER), text(SIGNATURE_HEADER), body);
    receiver.came.lock().expect("a lock").push(came);
    let refusal = {
        let mut refusals = receiver.refusals.lock().expect("a lock");
        if refusals.is_empty() { None } else { Some(refusals.remove(0)) }
    };
    match refusal {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(HANG) => std::future::pending().await,
        Some(status) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, [(header::LOCATION, "/elsewhere")]).into_response()
        }
    }
}

async fn hook(api: &Api, url: &str, events: Value) -> (String, HookSecret) {
    let made = api.post("/api/v1/webhooks", json!({"url": url, "events": events})).await.is(201);
    (made["id"].as_str().expect("an id").to_owned(), secret_of(&made))
}

fn secret_of(made: &Value) -> HookSecret {
    HookSecret::parse(made["secret"].as_str().expect("a secret")).expect("a secret")
}

fn believed((id, signature, body): &Came, secret: &HookSecret) -> bool {
    let now = kiki::clock::wall_us() / 1_000_000;
    verify(signature, std::slice::from_ref(secret), id, body, now, TOLERANCE_S).is_ok()
}

/// The newest delivery of a webhook, once it is as it is wanted.
async fn delivery(api: &Api, webhook: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..500 {
        let shown = api.get(&format!("/api/v1/webhooks/{webhook}")).await.is(200);
        last = shown["deliveries"][0].clone();
        if wanted(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the last was {last}");
}

/// A port that is connected to and never answers, for as long as it is kept.
async fn tarpit() -> (tokio::net::TcpListener, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    (listener, url)
}

/// What operators see of the sender, once it is as it is wanted.
async fn sender(api: &Api, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..500 {
        let actor = api.app.registry.actor("/shield/webhooks").expect("an actor");
        last = actor.view.expect("a view");
        if wanted(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the last was {last}");
}

async fn ping(api: &Api, webhook: &str) -> String {
    let sent = api.post(&format!("/api/v1/webhooks/{webhook}/test"), json!({})).await.is(202);
    sent["event"].as_str().expect("an event").to_owned()
}

async fn an_event_is_sent_signed_and_to_those_alone_who_want_it() {
    let api = api(&[WIDE, PRIVATE]).await;
    let (wanting, other) = (Receiver::new(&[]).await, Receiver::new(&[]).await);
    let (_, secret) = hook(&api, &wanting.url, json!(["budget.*"])).await;
    let (other_id, other_secret) = hook(&api, &other.url, json!(["dsr.*"])).await;
    api.allocate("c", 100).await;
    let came = wanting.came(1).await;
    assert!(believed(&came[0], &secret) && !believed(&came[0], &other_secret));
    let body: Value = serde_json::from_slice(&came[0].2).expect("json");
    assert_eq!((&body["event"], &body["subject"]), (&json!("budget.allocated"), &json!("c")));
    assert_eq!(body["id"], came[0].0);
    // As after a crash between the deliveries and the mark of the event: nobody gets it again.
    api.tamper("UPDATE outbox SET delivered_at = NULL").await;
    let event = ping(&api, &other_id).await;
    assert_eq!(other.came(1).await[0].0, event);
    // The outbox looks every 250 ms, and so does the sender.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!((wanting.came(1).await.len(), other.came(1).await.len()), (1, 1));
    let all = api.get("/api/v1/webhooks").await.is(200).to_string();
    assert!(!all.contains("whsec_") && all.contains(&wanting.url), "{all}");
}

async fn both_secrets_sign_while_one_replaces_the_other() {
    let api = api(&[WIDE, PRIVATE]).await;
    let receiver = Receiver::new(&[]).await;
    let (id, first) = hook(&api, &receiver.url, json!(["*"])).await;
    let rotate = format!("/api/v1/webhooks/{id}/rotate");
    let second = secret_of(&api.post(&rotate, json!({})).await.is(200));
    ping(&api, &id).await;
    let came = receiver.came(1).await;
    assert!(believed(&came[0], &first) && believed(&came[0], &second));
    delivery(&api, &id, |d| d["status"] == "delivered").await;
    let shown = api.get(&format!("/api/v1/webhooks/{id}")).await.is(200);
    assert!(shown["older_secret_ends_at"].is_string(), "{shown}");
    let third = secret_of(&api.post(&rotate, json!({})).await.is(200));
    ping(&api, &id).await;
    let came = receiver.came(2).await;
    assert!(believed(&came[1], &second) && believed(&came[1], &third));
    assert!(!believed(&came[1], &first), "never three");
}

async fn what_is_refused_is_sent_again_under_its_id_until_it_is_taken() {
    let api = api(&[&[WIDE, PRIVATE], &SOON[..]].concat()).await;
    let receiver = Receiver::new(&[500, 302, 429]).await;
    let (id, secret) = hook(&api, &receiver.url, json!(["dsr.*"])).await;
    let event = ping(&api, &id).await;
    let last = delivery(&api, &id, |d| d["status"] == "delivered").await;
    assert_eq!((&last["attempts"], &last["id"]), (&json!(4), &json!(event)));
    let came = receiver.came(4).await;
    assert_eq!(came.len(), 4, "a redirect is not followed");
    assert!(came.iter().all(|c| c.0 == event && believed(c, &secret)));
}

async fn what_is_never_taken_is_dead_in_the_end_and_goes_with_its_webhook() {
    let short = ("webhooks.give_up_s", "0.2");
    let api = api(&[&[WIDE, PRIVATE, short], &SOON[..]].concat()).await;
    let receiver = Receiver::new(&[500; 200]).await;
    let (id, _) = hook(&api, &receiver.url, json!(["*"])).await;
    ping(&api, &id).await;
    let last = delivery(&api, &id, |d| d["status"] == "dead").await;
    assert_eq!(last["last_error"], "the answer has status 500");
    let uri = format!("/api/v1/webhooks/{id}");
    let deleted = api.call(Method::DELETE, &uri, &[], Body::empty()).await;
    assert_eq!(deleted.status, 204);
    api.get(&uri).await.problem(404, "not_found");
    let counts = api.counts().await;
    assert!(!counts.contains_key("delivery") && !counts.contains_key("webhook"), "{counts:?}");
}

async fn nothing_is_sent_into_private_networks_unless_that_is_allowed() {
    let api = api(&[WIDE]).await;
    let receiver = Receiver::new(&[]).await;
    let body = json!({"url": receiver.url, "events": ["*"]});
    api.post("/api/v1/webhooks", body).await.problem(400, "invalid_field");
    // A name is looked at when it is connected to.
    let named = receiver.url.replace("127.0.0.1", "localhost");
    let (id, _) = hook(&api, &named, json!(["*"])).await;
    ping(&api, &id).await;
    let tried = delivery(&api, &id, |d| d["attempts"] == 1).await;
    let error = tried["last_error"].as_str().expect("an error");
    assert!(error.contains("public internet"), "{error}");
    assert!(receiver.came(0).await.is_empty());
}

async fn an_account_has_sixteen_webhooks_at_most() {
    let api = api(&[WIDE]).await;
    let make = |n: usize| {
        let body = json!({"url": format!("https://example.com/{n}"), "events": ["dsr.*"]});
        api.post("/api/v1/webhooks", body)
    };
    // All at once: none of them sees the others when it is asked for.
    let answers = futures_util::future::join_all((0..20).map(make)).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 16);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "conflict");
    }
}

async fn receivers_that_hang_keep_the_events_of_their_own_accounts_back_alone() {
    // A minute: no slot is free again before the end of this test.
    let api = api(&[WIDE, PRIVATE, ("webhooks.timeout_ms", "60000")]).await;
    let (_kept, url) = tarpit().await;
    for account in ["a", "b", "c"] {
        api.post("/api/v1/accounts", json!({"account": account})).await.is(201);
        let of = [("x-account", account)];
        for _ in 0..16 {
            let body = json!({"url": url, "events": ["*"]});
            api.post_as("/api/v1/webhooks", &of, body).await.is(201);
        }
        for campaign in ["c1", "c2", "c3"] {
            let body = json!({"campaign_id": campaign, "budget": 10});
            api.post_as("/api/v1/allocate", &of, body).await.is(201);
        }
    }
    sender(&api, |view| view["in_flight"] == 12).await;
    let receiver = Receiver::new(&[]).await;
    hook(&api, &receiver.url, json!(["*"])).await;
    let before = std::time::Instant::now();
    api.allocate("c", 10).await;
    receiver.came(1).await;
    let took = before.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    // Four of each account, as before.
    sender(&api, |view| view["delivered"] == 1 && view["in_flight"] == 12).await;
}

async fn a_receiver_that_hangs_does_not_keep_the_events_of_its_neighbour_back() {
    let short = ("webhooks.timeout_ms", "200");
    let api = api(&[WIDE, PRIVATE, short]).await;
    let (_kept, url) = tarpit().await;
    for _ in 0..6 {
        hook(&api, &url, json!(["*"])).await;
    }
    for campaign in ["c1", "c2", "c3", "c4"] {
        api.allocate(campaign, 10).await;
    }
    // Each of them was silent once by then: half of the account's slots are for others.
    sender(&api, |view| view["failed"].as_u64() >= Some(12)).await;
    let receiver = Receiver::new(&[]).await;
    hook(&api, &receiver.url, json!(["*"])).await;
    let before = std::time::Instant::now();
    api.allocate("c", 10).await;
    receiver.came(1).await;
    let took = before.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

async fn a_webhook_that_does_not_answer_rests_and_is_asked_again() {
    let settings = [
        WIDE,
        PRIVATE,
        ("webhooks.timeout_ms", "300"),
        ("webhooks.retry_min_s", "0.2"),
        ("webhooks.retry_max_s", "0.4"),
    ];
    let api = api(&settings).await;
    let receiver = Receiver::new(&[HANG; 3]).await;
    let (id, _) = hook(&api, &receiver.url, json!(["dsr.*"])).await;
    ping(&api, &id).await;
    let view = sender(&api, |view| view["resting"] == 1).await;
    let rests = &view["resting_first"][0];
    assert_eq!((&rests["webhook"], &rests["silences"]), (&json!(id), &json!(3)), "{view}");
    let last = delivery(&api, &id, |d| d["status"] == "delivered").await;
    assert!(last["attempts"].as_i64() >= Some(4), "{last}");
    sender(&api, |view| view["resting"] == 0).await;
}

async fn a_ping_waits_for_the_one_before_it() {
    let api = api(&[WIDE, PRIVATE]).await;
    let (refusing, taking) = (Receiver::new(&[500]).await, Receiver::new(&[]).await);
    let (id, _) = hook(&api, &refusing.url, json!(["*"])).await;
    ping(&api, &id).await;
    delivery(&api, &id, |d| d["attempts"] == 1).await;
    let again = format!("/api/v1/webhooks/{id}/test");
    api.post(&again, json!({})).await.problem(409, "conflict");
    let (other, _) = hook(&api, &taking.url, json!(["*"])).await;
    for n in 1..=2 {
        let event = ping(&api, &other).await;
        assert_eq!(taking.came(n).await[n - 1].0, event);
        delivery(&api, &other, |d| d["id"] == event && d["status"] == "delivered").await;
    }
    assert_eq!(api.counts().await["delivery"], 3);
}

async fn what_waited_longer_than_its_time_is_dead_without_another_attempt() {
    let api = api(&[WIDE, PRIVATE]).await;
    let receiver = Receiver::new(&[500]).await;
    let (id, _) = hook(&api, &receiver.url, json!(["*"])).await;
    ping(&api, &id).await;
    delivery(&api, &id, |d| d["attempts"] == 1).await;
    // As of a webhook that rested all the time, and so never had a turn.
    api.tamper("UPDATE delivery SET created_at = 0, next_at = next_at + 3600000000").await;
    let api = api.again().await;
    let last = delivery(&api, &id, |d| d["status"] == "dead").await;
    assert_eq!((&last["attempts"], receiver.came(1).await.len()), (&json!(1), 1));
}
