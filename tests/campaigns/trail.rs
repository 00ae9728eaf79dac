//! Why something was bid: the timeline of decisions, its export, its counts and its proof.

use std::time::{Duration, Instant};

use axum::http::Method;
use kiki::actors::shield::Written;
use kiki::models::flow::decision::Proof;
use kiki::models::flow::decision::proof::leaf;
use kiki::models::flow::notice;
use kiki::models::flow::notice::url::Ticket;
use kiki::models::shield::audit::proof::verify_inclusion;
use kiki::store::{FlowDecisionRow, Put};
use serde_json::{Value, json};

use super::harness::{Api, api, api_with, campaign, told};

const PATIENCE: Duration = Duration::from_secs(20);
const DECISIONS: &str = "/api/v1/campaigns/c/decisions";

/// A bid as the exchange has it.
pub struct Bid {
    pub hold: String,
    pub auction: String,
    /// For a thousand.
    pub price: f64,
    pub urls: [String; 3],
}

impl Bid {
    /// Tells `nurl`, `burl` or `lurl` with the bid's price; the answer's status.
    pub async fn tell(&self, api: &Api, which: usize) -> u16 {
        let url = self.urls[which].replace("${AUCTION_PRICE}", &self.price.to_string());
        let url = url.replace("${AUCTION_CURRENCY}", "USD");
        let at = url.find("/openrtb2/").expect("an address of ours");
        api.get(&url[at..]).await.status
    }

    pub async fn won(&self, api: &Api) -> u16 {
        self.tell(api, 0).await
    }

    pub async fn billed(&self, api: &Api) -> u16 {
        self.tell(api, 1).await
    }

    pub async fn lost(&self, api: &Api) -> u16 {
        self.tell(api, 2).await
    }

    /// What is booked for it, in micros.
    pub fn micros(&self) -> i64 {
        ((self.price * 1e6).round() as i64 + 999) / 1_000
    }
}

/// A campaign that runs.
pub async fn run(api: &Api) {
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.order("c", "start").await.is(200);
    api.running(1).await;
}

/// One request; nothing where it was not bid on.
pub async fn ask(api: &Api, auction: &str) -> Option<Bid> {
    let request = json!({
        "id": auction, "at": 2, "tmax": 2_000, "cur": ["USD"],
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.1}],
        "site": {"id": "s", "domain": "news.example", "publisher": {"id": "p"}},
        "device": {"ua": "x", "ip": "203.0.113.7"},
    });
    let answer = api.post("/openrtb2/bid", request).await;
    if answer.status != 200 {
        assert_eq!(answer.status, 204, "{}", answer.text);
        return None;
    }
    let bid = &answer.json["seatbid"][0]["bid"][0];
    let text = |name: &str| bid[name].as_str().expect("text").to_owned();
    Some(Bid {
        hold: text("id"),
        auction: auction.to_owned(),
        price: bid["price"].as_f64().expect("a price"),
        urls: ["nurl", "burl", "lurl"].map(text),
    })
}

/// Asks until it is bid: a bidder wakes with the first request that meets it.
pub async fn bid(api: &Api, auction: &str) -> Bid {
    let began = Instant::now();
    loop {
        if let Some(bid) = ask(api, auction).await {
            return bid;
        }
        assert!(began.elapsed() < PATIENCE, "nothing is bid");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The record of a decision, once it is stored and has come so far.
pub async fn decision(api: &Api, id: &str, outcome: &str) -> Value {
    let began = Instant::now();
    loop {
        let page = api.get(&format!("{DECISIONS}?kind=bid&limit=1000")).await;
        let all = page.json["decisions"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|it| it["id"] == id);
        if let Some(found) = &found
            && outcome_of(found) == outcome
        {
            return found.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{id} is not {outcome}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The amount of an outcome, in micros.
pub fn amount(outcome: &Value) -> i64 {
    (outcome["amount"].as_f64().expect("an amount") * 1e6).round() as i64
}

/// Its name, as of a variant with or without more to say.
pub fn outcome_of(decision: &Value) -> &str {
    match &decision["outcome"] {
        Value::String(name) => name,
        Value::Object(of) => of.keys().next().map_or("", String::as_str),
        _ => "",
    }
}

#[tokio::test]
async fn every_bid_is_told_with_what_became_of_it_and_the_audit_log_proves_it() {
    let api = api().await;
    run(&api).await;
    let (won, lost) = (bid(&api, "r1").await, bid(&api, "r2").await);
    assert_eq!((won.won(&api).await, won.billed(&api).await), (200, 200));
    // Answered with 200: the ledger has it, and so has the timeline.
    let page = api.get(&format!("{DECISIONS}?outcome=billed")).await.is(200);
    assert_eq!(page["decisions"][0]["id"], won.hold.as_str(), "{page}");
    assert_eq!(amount(&page["decisions"][0]["outcome"]["billed"]), won.micros());
    assert_eq!(lost.lost(&api).await, 200);
    let told = decision(&api, &lost.hold, "lost").await;
    assert_eq!((&told["auction"], &told["campaign"]), (&json!("r2"), &json!("c")));
    for part in ["multipliers", "price", "latency_us", "version", "breaker"] {
        assert!(!told[part].is_null(), "{part}: {told}");
    }
    let of = api.get("/api/v1/decisions/r1").await.is(200);
    let of = of["decisions"].as_array().expect("some");
    assert_eq!(of.iter().filter(|it| it["kind"] == "bid").count(), 1);
    // As it stands in the export, each line is proven by the log.
    let lines = api.get(&format!("{DECISIONS}?format=jsonl")).await;
    assert_eq!(lines.status, 200, "{}", lines.text);
    let mut kinds = Vec::new();
    for line in lines.text.lines() {
        let line: serde_json::Map<String, Value> = serde_json::from_str(line).expect("json");
        let batch = line["batch"].as_str().expect("a batch");
        let log = logged(&api, batch).await;
        let root = log["data"]["root"].as_str().expect("a root").parse().expect("a hash");
        let Proof { index, size, path } =
            serde_json::from_value(line["proof"].clone()).expect("a proof");
        let id = line["id"].as_str().expect("an id");
        let record = record_of(&lines.text, id);
        verify_inclusion(&leaf(id, record), index, size, &path, &root).expect("proven");
        kinds.push(line["record"]["kind"].as_str().expect("a kind").to_owned());
    }
    assert_eq!(kinds.iter().filter(|kind| *kind == "bid").count(), 2);
}

/// The text of a record as it stands in its line.
fn record_of<'a>(lines: &'a str, id: &str) -> &'a str {
    let line = lines.lines().find(|line| line.contains(&format!("{{\"id\":\"{id}\"")));
    let (_, record) = line.expect("its line").split_once("\"record\":").expect("a record");
    record.strip_suffix('}').expect("the end of the line")
}

/// The audit record of a batch, once it is in the log.
async fn logged(api: &Api, batch: &str) -> Value {
    let began = Instant::now();
    loop {
        let uri = format!("/api/v1/audit?event=decisions.written&subject={batch}");
        let found = api.of_shield(&uri).await.is(200);
        if found["records"][0].is_object() {
            return found["records"][0].clone();
        }
        assert!(began.elapsed() < PATIENCE, "batch {batch} is not in the audit log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn changes_of_a_campaign_are_in_its_timeline_and_refusals_of_its_budget() {
    let api = api().await;
    let mut of_yen = campaign("c");
    of_yen["currency"] = json!("JPY");
    api.post("/api/v1/campaigns", of_yen).await.is(201);
    api.order("c", "start").await.problem(422, "no_exchange_rate");
    api.order("c", "start").await.problem(422, "no_exchange_rate");
    let began = Instant::now();
    let told = loop {
        let page = api.get(&format!("{DECISIONS}?kind=change")).await.is(200);
        let told = page["decisions"].as_array().expect("some").clone();
        if told.len() > 1 {
            break told;
        }
        assert!(began.elapsed() < PATIENCE, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let what: Vec<&Value> = told.iter().map(|it| &it["change"]["what"]).collect();
    assert_eq!(what, ["budget.refused", "campaign.created"], "once, however often it is tried");
    assert_eq!(told[0]["change"]["to"], "refused: no_exchange_rate");
    assert_eq!((&told[1]["change"]["from"], &told[1]["version"]), (&json!("nothing"), &json!(1)));
    assert_eq!(told[1]["change"]["to"], "draft, version 1");
    assert!(told[1]["change"]["by"].is_string());
    api.call(Method::DELETE, "/api/v1/campaigns/c", &[], Value::Null).await.is(200);
    let page = api.get(&format!("{DECISIONS}?kind=change&limit=1")).await.is(200);
    assert_eq!(page["decisions"][0]["change"]["what"], "campaign.deleted");
}

#[tokio::test]
async fn decisions_are_filtered_paged_exported_and_counted_and_every_bad_wish_is_named() {
    let api = api().await;
    run(&api).await;
    let first = bid(&api, "r1").await;
    let second = bid(&api, "=r2").await;
    for it in [&first, &second] {
        decision(&api, &it.hold, "bid").await;
    }
    let page = api.get(&format!("{DECISIONS}?kind=bid&limit=1")).await.is(200);
    assert_eq!(page["decisions"][0]["id"], second.hold.as_str());
    let cursor = page["next_cursor"].as_str().expect("a cursor");
    let page = api.get(&format!("{DECISIONS}?kind=bid&limit=1&cursor={cursor}")).await.is(200);
    assert_eq!(page["decisions"][0]["id"], first.hold.as_str());
    let none = api.get(&format!("{DECISIONS}?to=2020-01-01T00:00:00Z")).await.is(200);
    assert_eq!(none["decisions"], json!([]));
    let none = api.get(&format!("{DECISIONS}?from=2120-01-01T00:00:00Z&format=jsonl")).await;
    assert_eq!((none.status, none.text.as_str()), (200, ""));
    let table = api.get(&format!("{DECISIONS}?kind=bid&format=csv")).await;
    let rows: Vec<&str> = table.text.lines().collect();
    assert_eq!(rows.len(), 3, "{}", table.text);
    assert!(rows[0].starts_with("at,id,kind,outcome,") && rows[1].contains(",'=r2,"));
    for (wish, field) in [
        ("kind=bids", "kind"),
        ("outcome=gone", "outcome"),
        ("format=xml", "format"),
        ("from=yesterday", "from"),
        ("to=12", "to"),
        ("cursor=1-2", "cursor"),
        ("cursor=9223372036854775808-00000000000000000000000000000000", "cursor"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("reason=none", "reason"),
        ("reason=%25", "reason"),
        ("kimd=bid", "kimd"),
        ("kind=bid&bogus=1", "bogus"),
    ] {
        for uri in [DECISIONS, "/api/v1/decisions"] {
            let problem = api.get(&format!("{uri}?{wish}")).await.problem(400, "invalid_field");
            assert_eq!(problem["field"], field, "{uri} {wish}");
        }
    }
    for (uri, field) in [
        ("/api/v1/decisions?campaign=a%20b", "campaign"),
        ("/api/v1/campaigns/c/decisions?campaign=c", "campaign"),
        ("/api/v1/decisions/r1?kind=bid", "kind"),
        ("/api/v1/campaigns/c/counts?limit=1", "limit"),
        ("/api/v1/campaigns/c/history?before=1", "before"),
        ("/api/v1/campaigns/c?verbose=1", "verbose"),
        ("/api/v1/campaigns?state=active", "state"),
        ("/api/v1/breakers?prefix=x", "prefix"),
    ] {
        assert_eq!(api.get(uri).await.problem(400, "invalid_field")["field"], field, "{uri}");
    }
    // What was counted is written when it ends, too.
    let api = api.again().await;
    let counts = api.get("/api/v1/campaigns/c/counts").await.is(200);
    let bids: i64 = counts["hours"]
        .as_array()
        .expect("hours")
        .iter()
        .filter_map(|hour| hour["counts"]["bids"].as_i64())
        .sum();
    assert_eq!(bids, 2, "{counts}");
    for (wish, field) in [
        ("from=x", "from"),
        ("to=x", "to"),
        ("from=2026-01-01T00:00:00Z&to=2026-02-02T00:00:00Z", "from"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
    ] {
        let uri = format!("/api/v1/campaigns/c/counts?{wish}");
        assert_eq!(api.get(&uri).await.problem(400, "invalid_field")["field"], field, "{wish}");
    }
    api.get("/api/v1/campaigns/none/counts").await.problem(404, "not_found");
    api.post("/api/v1/campaigns", campaign("new")).await.is(201);
    let none = api.get("/api/v1/campaigns/new/counts").await.is(200);
    assert_eq!(none["hours"], json!([]));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_marked_and_keeps_nobody_from_the_others() {
    let api = api().await;
    run(&api).await;
    let good = bid(&api, "r1").await;
    decision(&api, &good.hold, "bid").await;
    let at = kiki::clock::wall_us();
    let bad = FlowDecisionRow {
        account: "default".into(),
        decision: format!("{:032x}", 7),
        campaign: "c".into(),
        at,
        kind: "bid".into(),
        auction: Some("r1".into()),
        outcome: "billed".into(),
        ends_at: at,
        record: "{\"kind\":\"of a later version\"}".into(),
        batch: "b".into(),
        proof: "0/1/".into(),
        updated_at: at,
    };
    let writes = api.flow.shield().writes();
    let written = writes.write("default", "flow/journal", vec![Put::from(bad)]).await;
    assert_eq!(written, Written::Done);
    // A request's are told in pages as well, the oldest first.
    let (mut ids, mut more) = (Vec::new(), Some(String::new()));
    while let Some(cursor) = more {
        let page = api.get(&format!("/api/v1/decisions/r1?limit=1{cursor}")).await.is(200);
        let all = page["decisions"].as_array().expect("some");
        assert!(all.len() <= 1, "{page}");
        ids.extend(all.iter().filter_map(|it| it["id"].as_str().map(str::to_owned)));
        more = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    assert!(ids.ends_with(&[good.hold.clone(), format!("{:032x}", 7)]), "{ids:?}");
    for wish in ["limit=0", "limit=1001", "cursor=1-2"] {
        api.get(&format!("/api/v1/decisions/r1?{wish}")).await.problem(400, "invalid_field");
    }
    for uri in [&format!("{DECISIONS}?kind=bid"), "/api/v1/decisions/r1"] {
        let page = api.get(uri).await.is(200);
        let all = page["decisions"].as_array().expect("some");
        let of = |id: &str| all.iter().find(|it| it["id"] == id).expect("it is there");
        let marked = of(&format!("{:032x}", 7));
        assert_eq!((&marked["unreadable"], &marked["at_us"]), (&json!(true), &json!(at)), "{page}");
        assert_eq!((&marked["kind"], &marked["outcome"]), (&json!("bid"), &json!("billed")));
        assert!(of(&good.hold)["unreadable"].is_null() && of(&good.hold)["price"].is_object());
    }
}

/// The decisions of an account under some parameters, once there are so many.
async fn of_account(api: &Api, wish: &str, many: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let page = api.get(&format!("/api/v1/decisions?{wish}")).await.is(200);
        let all = page["decisions"].as_array().expect("a list").clone();
        if all.len() >= many {
            return all;
        }
        assert!(began.elapsed() < PATIENCE, "{wish}: {page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_accounts_decisions_have_those_of_no_campaign_and_are_found_by_kind_and_reason() {
    let api = api_with(&[("flow.sample_ratio", "1")]).await;
    // Nobody's campaign is looked at for these.
    let mut broken = super::harness::request("no-consent");
    broken["regs"] = json!({"gdpr": 1});
    let mut yen = super::harness::request("yen");
    yen["cur"] = json!(["XAU"]);
    for request in [&broken, &yen] {
        assert_eq!(api.exchange(&[], request.to_string()).await.status, 204);
    }
    let refused = of_account(&api, "kind=no_bid", 2).await;
    assert!(refused.iter().all(|it| it["campaign"].is_null()), "{refused:?}");
    let reason = refused[0]["reasons"][0]["reason"].as_str().expect("a reason").to_owned();
    let of = |all: &[Value]| all.iter().map(|it| it["id"].to_string()).collect::<Vec<_>>();
    let same = |it: &&Value| it["reasons"][0]["reason"] == reason.as_str();
    let want: Vec<Value> = refused.iter().filter(same).cloned().collect();
    assert_eq!(of(&of_account(&api, &format!("reason={reason}"), 1).await), of(&want));
    assert!(of_account(&api, "reason=frequency", 0).await.is_empty());
    // Beside those of a campaign, the newest first, in pages as in whole.
    run(&api).await;
    let made = bid(&api, "r1").await;
    decision(&api, &made.hold, "bid").await;
    let changes = of_account(&api, "kind=change&campaign=c", 2).await;
    assert!(changes.iter().all(|it| it["campaign"] == "c" && it["kind"] == "change"));
    let all = of_account(&api, "limit=1000", 5).await;
    let at = |it: &Value| it["at_us"].as_i64().expect("a time");
    assert!(all.is_sorted_by(|a, b| at(a) >= at(b)), "{all:?}");
    let whole = api.get("/api/v1/decisions?format=jsonl").await;
    let whole: Vec<Value> =
        whole.text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let (mut paged, mut more) = (Vec::new(), Some(String::new()));
    while let Some(cursor) = more {
        let page = api.get(&format!("/api/v1/decisions?limit=2{cursor}")).await.is(200);
        paged.extend(page["decisions"].as_array().expect("some").clone());
        more = page["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
    }
    for kind in ["bid", "no_bid", "change"] {
        assert!(paged.iter().any(|it| it["kind"] == kind), "{kind}: {paged:?}");
    }
    for it in &whole {
        assert!(paged.iter().any(|of| of["id"] == it["id"]), "{it} is in no page");
    }
    let table = api.get("/api/v1/decisions?format=csv&kind=no_bid&campaign=c").await;
    assert!(table.text.starts_with("at,id,kind,"), "{}", table.text);
    // Another account has none of it, and nothing is known of a campaign that nobody has.
    let other = [("x-account", "acme")];
    let uri = "/api/v1/decisions";
    let none = api.call(Method::GET, uri, &other, Value::Null).await.is(200);
    assert_eq!(none["decisions"], json!([]));
    api.get("/api/v1/decisions?campaign=none").await.problem(404, "not_found");
}

#[tokio::test]
async fn decisions_of_a_campaign_that_nobody_knows_are_not_found() {
    let api = api().await;
    for more in ["", "?format=jsonl", "?format=csv", "?outcome=won"] {
        let uri = format!("/api/v1/campaigns/none/decisions{more}");
        api.get(&uri).await.problem(404, "not_found");
    }
    // What was deleted is known of still.
    api.post("/api/v1/campaigns", campaign("c")).await.is(201);
    api.call(Method::DELETE, "/api/v1/campaigns/c", &[], Value::Null).await.is(200);
    let none = api.get(&format!("{DECISIONS}?outcome=won")).await.is(200);
    assert_eq!(none["decisions"], json!([]));
}

#[tokio::test]
async fn a_billing_that_tells_no_price_costs_what_the_win_said() {
    let api = api().await;
    run(&api).await;
    let bid = bid(&api, "r1").await;
    let path = |at: usize| {
        let url = bid.urls[at].replace("${AUCTION_CURRENCY}", "USD");
        url[url.find("/openrtb2/").expect("an address of ours")..].to_owned()
    };
    let won = path(0).replace("${AUCTION_PRICE}", "0.05");
    assert_eq!(api.get(&won).await.status, 200);
    // Nobody has filled in its macro.
    let billed = path(1).replace("${AUCTION_PRICE}", "$%7BAUCTION_PRICE%7D");
    assert_eq!(api.get(&billed).await.status, 200);
    let told = decision(&api, &bid.hold, "billed").await;
    assert!(bid.micros() > 50);
    assert_eq!(amount(&told["outcome"]["billed"]), 50);
}

#[tokio::test]
async fn a_billing_that_comes_too_late_is_not_booked_and_told_once_in_the_timeline() {
    let api = api().await;
    run(&api).await;
    let bid = bid(&api, "r1").await;
    let [_, billing, _] = &bid.urls;
    let billing = billing.replace("${AUCTION_PRICE}", &bid.price.to_string());
    let billing = billing.replace("${AUCTION_CURRENCY}", "USD");
    // As an exchange calls it that has kept it for three days.
    let keys = &api.flow.office().expect("it runs").keys;
    let (_, query) = billing.split_once('?').expect("a query");
    let ticket = keys.open(notice::Kind::Billing, query).expect("one of ours").ticket;
    let expires_us = ticket.expires_us - 3 * 86_400_000_000;
    let mut old = String::new();
    keys.write("http://kiki", &Ticket { expires_us, ..ticket }, &mut old).expect("an address");
    let old = old.replace("${AUCTION_PRICE}", &bid.price.to_string());
    for _ in 0..2 {
        assert_eq!(api.get(&told(&json!(old), &bid.price.to_string())).await.status, 200);
    }
    let began = Instant::now();
    let unbooked = loop {
        let page = api.get(&format!("{DECISIONS}?kind=change")).await.is(200);
        let all = page["decisions"].as_array().expect("some").clone();
        let of = |it: &Value| it["change"]["what"] == "notice.unbooked";
        let unbooked: Vec<Value> = all.into_iter().filter(of).collect();
        if !unbooked.is_empty() {
            break unbooked;
        }
        assert!(began.elapsed() < PATIENCE, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((unbooked.len(), &unbooked[0]["hold"]), (1, &json!(bid.hold)), "{unbooked:?}");
    let from = unbooked[0]["change"]["from"].as_str().expect("text");
    assert!(from.starts_with("billing of 0.") && from.ends_with(" USD"), "{from}");
    assert_eq!(api.budget("c").await.is(200)["spent"], 0);
}
