//! A campaign from its draft to its end.

use axum::http::Method;
use kiki::actors::kernel::OperatorOrder;
use kiki::store::RateRow;
use serde_json::{Value, json};

use super::harness::{Api, api, campaign, request};

const C: &str = "/api/v1/campaigns/c";

#[tokio::test]
async fn a_campaign_is_drafted_started_paused_and_ended_and_its_budget_with_it() {
    let api = api().await;
    let made = api.post("/api/v1/campaigns", campaign("c")).await;
    assert_eq!(made.etag, "\"1\"");
    let made = made.is(201);
    assert_eq!((&made["status"], &made["version"]), (&json!("draft"), &json!(1)));
    assert_eq!(made["definition"]["budget"]["amount"], json!(1_000_000));
    api.budget("c").await.problem(404, "unknown_campaign");
    api.running(0).await;
    for order in ["pause", "resume"] {
        let refused = api.order("c", order).await.problem(409, "conflict");
        assert!(refused["help"].as_str().is_some_and(|help| help.contains("/start")), "{refused}");
    }

    let started = api.order("c", "start").await.is(200);
    assert_eq!((&started["status"], &started["revision"]), (&json!("active"), &json!(2)));
    api.running(1).await;
    let budget = api.budget("c").await.is(200);
    assert_eq!((&budget["status"], &budget["budget"]), (&json!("active"), &json!(1_000_000)));

    let paused = api.order("c", "pause").await.is(200);
    assert_eq!((&paused["status"], &paused["budget_told"]), (&json!("paused"), &json!(true)));
    api.running(0).await;
    assert_eq!(api.budget("c").await.is(200)["status"], "paused");

    api.order("c", "resume").await.is(200);
    api.running(1).await;
    assert_eq!(api.budget("c").await.is(200)["status"], "active");

    let ended = api.order("c", "end").await.is(200);
    assert_eq!((&ended["status"], &ended["ended_by"]), (&json!("ended"), &json!("command")));
    api.running(0).await;
    assert_eq!(api.budget("c").await.is(200)["status"], "ended");
    api.order("c", "start").await.problem(409, "conflict");

    let history = api.get(&format!("{C}/history?limit=3")).await.is(200);
    let kinds: Vec<&Value> =
        history["changes"].as_array().expect("changes").iter().map(|c| &c["kind"]).collect();
    assert_eq!(kinds, ["ended", "activated", "paused"]);
    let before = history["next_cursor"].as_i64().expect("a cursor");
    let first = api.get(&format!("{C}/history?cursor={before}")).await.is(200);
    assert_eq!(first["changes"][1]["kind"], "created");
    assert_eq!(first["changes"][1]["definition"]["name"], "Winter boots");
}

#[tokio::test]
async fn an_edit_is_a_version_of_its_own_and_moves_the_budget() {
    let api = api().await;
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.order("c", "start").await.is(200);
    let patch = json!({"budget": {"amount": 25.000_001}, "name": null});
    api.call(Method::PATCH, C, &[], patch).await.problem(422, "invalid_definition");
    let patch = json!({"budget": {"amount": 25.000_001}});
    let stale = [("if-match", "\"1\"")];
    api.call(Method::PATCH, C, &stale, patch.clone()).await.problem(412, "stale");
    let edited = api.call(Method::PATCH, C, &[("if-match", "\"2\"")], patch).await.is(200);
    assert_eq!((&edited["version"], &edited["revision"]), (&json!(2), &json!(3)));
    assert_eq!(api.budget("c").await.is(200)["budget"], json!(25.000_001));
    let patch = json!({"currency": "EUR"});
    let locked = api.call(Method::PATCH, C, &[], patch).await.problem(409, "conflict");
    assert_eq!(locked["field"], "currency");
    let moved = json!({"account": "zz"});
    let moved = api.call(Method::PATCH, C, &[], moved).await.problem(409, "conflict");
    assert_eq!(moved["field"], "account");
    api.call(Method::PATCH, "/api/v1/campaigns/d", &[], json!({"account": "zz"}))
        .await
        .problem(404, "not_found");
    let mut whole = campaign("c");
    whole["name"] = json!("Summer boots");
    let replaced = api.call(Method::PUT, C, &[], whole).await.is(200);
    assert_eq!(replaced["definition"]["name"], "Summer boots");
    whole_is_refused_under_another_name(&api).await;
}

async fn whole_is_refused_under_another_name(api: &super::harness::Api) {
    let refused = api.call(Method::PUT, C, &[], campaign("d")).await;
    assert_eq!(refused.problem(400, "invalid_field")["field"], "id");
}

#[tokio::test]
async fn a_budget_that_is_refused_leaves_the_draft_what_it_is() {
    let api = api().await;
    let mut of_yen = campaign("c");
    of_yen["currency"] = json!("JPY");
    api.post("/api/v1/campaigns", of_yen).await.is(201);
    let refused = api.order("c", "start").await.problem(422, "no_exchange_rate");
    let detail = refused["detail"].as_str().expect("words");
    assert!(detail.contains("JPY") && detail.contains("USD"), "{detail}");
    assert_eq!(api.get(C).await.is(200)["status"], "draft");
    api.call(Method::DELETE, C, &[], Value::Null).await.is(200);
    api.get(C).await.problem(404, "not_found");
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
}

#[tokio::test]
async fn names_are_given_once_and_every_mistake_is_named() {
    let api = api().await;
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.post("/api/v1/campaigns", campaign("c")).await.problem(409, "already_exists");
    let wrong = json!({"id": "a/b", "name": "", "currency": "USD", "extra": 1});
    let wrong = api.post("/api/v1/campaigns", wrong).await.problem(422, "invalid_definition");
    let detail = wrong["detail"].as_str().expect("words");
    for field in ["id", "name", "advertiser_domain", "strategy", "extra"] {
        assert!(detail.contains(field), "{detail}");
    }
    let mut elsewhere = campaign("c");
    elsewhere["account"] = json!("nobody");
    api.post("/api/v1/campaigns", elsewhere).await.problem(404, "unknown_account");
    api.order("d", "start").await.problem(404, "not_found");
    for (uri, method) in [(C, Method::GET), ("/api/v1/campaigns?status=active", Method::GET)] {
        api.call(method, uri, &[("x-account", "a b")], Value::Null)
            .await
            .problem(400, "invalid_header");
    }
}

#[tokio::test]
async fn a_schedule_starts_and_ends_a_campaign_also_across_a_restart() {
    let api = api().await;
    let at = |ms: i64| {
        let at = jiff::Timestamp::now().as_millisecond() + ms;
        jiff::Timestamp::from_millisecond(at).expect("a time").to_string()
    };
    let mut soon = campaign("c");
    soon["schedule"] = json!({"starts": at(700), "ends": at(3_600_000)});
    api.post("/api/v1/campaigns", soon).await.is(201);
    api.order("c", "start").await.is(200);
    api.running(0).await;
    assert_eq!(api.flow.health().waiting, 1);
    api.running(1).await;
    let api = api.again().await;
    api.running(1).await;
    let patch = json!({"schedule": {"ends": at(700)}});
    api.call(Method::PATCH, C, &[], patch).await.is(200);
    api.running(0).await;
    let mut ended = Value::Null;
    for _ in 0..200 {
        ended = api.get(C).await.is(200);
        if ended["status"] == "ended" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(ended["ended_by"], "schedule", "{ended}");
    assert_eq!(api.budget("c").await.is(200)["status"], "ended");
}

#[tokio::test]
async fn health_is_a_word_and_with_verbose_what_it_needs() {
    let api = api().await;
    let plain = api.get("/health").await;
    assert_eq!((plain.status, plain.text.as_str()), (200, "OK"));
    for (uri, headers) in
        [("/health?verbose", &[][..]), ("/health", &[("accept", "application/json")][..])]
    {
        let health = api.call(Method::GET, uri, headers, Value::Null).await.is(200);
        assert_eq!(health["dependencies"]["shield"], "up", "{health}");
        assert_eq!(health["dependencies"]["syncvalue"], "up");
    }
}

#[tokio::test]
async fn a_rate_of_today_leads_from_a_campaigns_currency_to_that_of_an_auction() {
    let api = api().await;
    let day = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).strftime("%Y%m%d");
    let (account, currency) = ("default".to_owned(), "EUR".to_owned());
    // A euro is 1.25 dollars.
    let row = RateRow { account, currency, day: day.to_string(), rate_e9: 1_250_000_000 };
    api.flow.shield().put_rates("default", &[row]).await.expect("stored");
    api.bidding(campaign("c")).await;
    let mut asked = request("euro");
    asked["cur"] = json!(["EUR"]);
    asked["imp"][0]["bidfloorcur"] = json!("EUR");
    let heard = api.exchange(&[], asked.to_string()).await;
    let bid = heard.bid();
    let answer: Value = serde_json::from_slice(&heard.body).expect("json");
    let price = bid["price"].as_f64().expect("a price");
    // Of the 2 dollars that it bids for a thousand at most.
    assert!(answer["cur"] == "EUR" && (0.01..=1.6).contains(&price), "{answer}");
    // Of a day to come none counts.
    let tomorrow = jiff::Timestamp::now() + std::time::Duration::from_secs(2 * 86_400);
    let day = tomorrow.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y%m%d").to_string();
    let row = RateRow {
        account: "default".to_owned(),
        currency: "GBP".to_owned(),
        day,
        rate_e9: 1_500_000_000,
    };
    api.flow.shield().put_rates("default", &[row]).await.expect("stored");
    asked["cur"] = json!(["GBP"]);
    assert_eq!(api.exchange(&[], asked.to_string()).await.status, 204);
}

#[tokio::test]
async fn a_bidder_that_went_to_sleep_is_woken_by_an_auction_and_goes_on_with_what_it_knew() {
    const BIDDER: &str = "/flow/bidder/c";
    const MET: usize = 200;
    async fn has_seen_them(api: &Api) {
        let began = std::time::Instant::now();
        loop {
            let view = api.registry.actor(BIDDER).and_then(|bidder| bidder.view);
            let seen = view.as_ref().and_then(|view| view["pacer"]["auctions_seen"].as_f64());
            if seen.is_some_and(|seen| seen >= MET as f64) {
                return;
            }
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "{view:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let api = api().await;
    api.bidding(campaign("c")).await;
    for n in 0..MET {
        api.exchange(&[], request(&format!("r{n}")).to_string()).await;
    }
    has_seen_them(&api).await;
    assert!(api.registry.order(BIDDER, OperatorOrder::Drain).await);
    assert!(api.registry.actor(BIDDER).is_none());
    let asleep = api.exchange(&[], request("asleep").to_string()).await;
    assert_eq!(asleep.status, 200, "it is bid by what it said last");
    has_seen_them(&api).await;
}

#[tokio::test]
async fn an_idle_service_ends_in_no_time() {
    let api = api().await;
    api.bidding(campaign("c")).await;
    let began = std::time::Instant::now();
    api.flow.drain(std::time::Duration::from_secs(10)).await;
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
}
