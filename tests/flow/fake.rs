//! A bidder with a ledger, as simple as they come: it bids on everything, and books what its notices say.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path as File;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use kiki::models::shield::money::Micros;
use serde_json::{Value, json};

/// How it behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manners {
    /// Answers 503 to the first call of each notice.
    pub shy: bool,
    /// Answers 404 to notices.
    pub refuses: bool,
    /// Books a micro too much.
    pub dear: bool,
}

#[derive(Clone)]
pub struct Row {
    pub campaign: String,
    pub amount: Micros,
    currency: String,
    pub hold: Option<String>,
    memo: Option<String>,
}

#[derive(Default)]
pub struct Books {
    pub manners: Manners,
    /// Currencies and campaigns of holds.
    holds: HashMap<String, (String, String)>,
    pub rows: Vec<Row>,
    /// Calls of each kind and hold, with those that were not acknowledged.
    pub calls: HashMap<(String, String), u32>,
    keys: HashSet<String>,
    /// Requests that had a header of authentication: of bids, and of notices.
    pub bids_with_key: u32,
    pub notices_with_key: u32,
}

#[derive(Clone)]
pub struct Fake {
    pub address: SocketAddr,
    books: Arc<Mutex<Books>>,
}

impl Fake {
    /// Answers until the test's runtime ends.
    pub async fn start() -> Fake {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let fake = Fake { address, books: Arc::default() };
        let router = Router::new()
            .route("/openrtb2/bid", post(bid))
            .route("/openrtb2/{kind}", get(notice))
            .route("/api/v1/budget/{campaign}/ledger", get(ledger))
            .route("/api/v1/holds/{id}", get(hold))
            .route("/api/v1/spend", post(spend))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        fake
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("not poisoned")
    }

    pub fn booked(&self) -> Micros {
        self.books().rows.iter().map(|row| row.amount).sum()
    }

    /// Runs the exchange against it for a short time; its summary.
    pub async fn trade(&self, report: &File, more: &[&str]) -> Value {
        let (url, report) = (self.url(), report.to_str().expect("text").to_owned());
        let mut args = vec!["flow", "exchange", "--json", "--url", &url, "--report", &report];
        args.extend(["--late-by", "200ms", "--answers-within", "20s", "--seconds", "2"]);
        if !more.contains(&"--rate") {
            args.extend(["--rate", "150"]);
        }
        args.extend(more);
        let (code, out, err) = kiki(&args).await;
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).expect("json")
    }

    /// Reconciles a bill with its ledger: the exit code and what was found.
    pub async fn reconcile(&self, report: &File, more: &[&str]) -> (i32, Value) {
        let (url, report) = (self.url(), report.to_str().expect("text").to_owned());
        let mut args = vec!["flow", "reconcile", "--json", "--url", &url, "--report", &report];
        args.extend(more);
        let (code, out, err) = kiki(&args).await;
        let found = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code} {out} {err}"));
        (code, found)
    }
}

/// Runs the program beside the test's runtime, which answers it.
pub async fn kiki(args: &[&str]) -> (i32, String, String) {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || super::kiki(&args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.expect("ran")
}

async fn bid(State(fake): State<Fake>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).expect("json");
    let currency = request["cur"][0].as_str().unwrap_or("USD").to_owned();
    let mut books = fake.books();
    books.bids_with_key += u32::from(headers.contains_key(header::AUTHORIZATION));
    let mut bids = Vec::new();
    for imp in request["imp"].as_array().expect("impressions") {
        let hold = format!("{:032x}", books.holds.len() + 1);
        let campaign = format!("camp_{}", books.holds.len() % 3);
        books.holds.insert(hold.clone(), (currency.clone(), campaign.clone()));
        let id = imp["id"].as_str().expect("an id");
        let url = |kind: &str, macros: &str| {
            format!("http://{}/openrtb2/{kind}?v=1&h={hold}&{macros}", fake.address)
        };
        bids.push(json!({
            "id": format!("b{hold}"),
            "impid": id,
            "price": imp["bidfloor"].as_f64().unwrap_or(0.0).mul_add(1.5, 0.7531).min(50.0),
            "adm": "<a>",
            "cid": campaign,
            "nurl": url("win", "p=${AUCTION_PRICE}"),
            "burl": url("billing", "p=${AUCTION_PRICE}"),
            "lurl": url("loss", "l=${AUCTION_LOSS}"),
        }));
    }
    let seats = json!([{"seat": "kiki", "bid": bids}]);
    Json(json!({"id": request["id"], "cur": currency, "seatbid": seats})).into_response()
}

async fn notice(
    State(fake): State<Fake>,
    Path(kind): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> StatusCode {
    let mut books = fake.books();
    books.notices_with_key += u32::from(headers.contains_key(header::AUTHORIZATION));
    let id = query["h"].clone();
    let calls = books.calls.entry((kind.clone(), id.clone())).or_default();
    *calls += 1;
    if *calls == 1 && books.manners.shy {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if books.manners.refuses {
        return StatusCode::NOT_FOUND;
    }
    let booked = books.rows.iter().any(|row| row.hold.as_ref() == Some(&id));
    if kind != "loss" && !booked {
        let cpm = Micros::parse(&query["p"]).expect("a price");
        let dear = i64::from(std::mem::take(&mut books.manners.dear));
        let amount = Micros((cpm.0 + 999) / 1_000 + dear);
        let (currency, campaign) = books.holds[&id].clone();
        books.rows.push(Row { campaign, amount, currency, hold: Some(id), memo: None });
    }
    StatusCode::OK
}

async fn ledger(
    State(fake): State<Fake>,
    Path(campaign): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let after: usize = query["cursor"].parse().expect("a number");
    // Shorter pages than were asked for.
    let limit = 7;
    let books = fake.books();
    let of = books.rows.iter().filter(|row| row.campaign == campaign).enumerate();
    let rows: Vec<Value> = of
        .map(|(nth, row)| (nth + 1, row))
        .filter(|(seq, _)| *seq > after)
        .take(limit)
        .map(|(seq, row)| {
            let hold = row.hold.as_ref().map(|hold| format!("{hold}.{campaign}"));
            json!({"seq": seq, "amount": row.amount, "currency": row.currency,
                "at": "2100-01-01T00:00:00Z", "op": format!("{seq:032x}"), "hold_id": hold, "memo": row.memo})
        })
        .collect();
    let next = (rows.len() == limit).then(|| after + limit);
    Json(json!({"rows": rows, "next_cursor": next}))
}

async fn hold(State(fake): State<Fake>, Path(id): Path<String>) -> Json<Value> {
    let hold = id.split('.').next().unwrap_or_default();
    let booked = fake.books().rows.iter().any(|row| row.hold.as_deref() == Some(hold));
    Json(json!({"state": if booked { "settled" } else { "expired" }}))
}

async fn spend(State(fake): State<Fake>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let spend: Value = serde_json::from_slice(&body).expect("json");
    let text = |name: &str| spend[name].as_str().map(str::to_owned);
    let key = headers["idempotency-key"].to_str().expect("text").to_owned();
    let mut books = fake.books();
    if !books.keys.insert(key) {
        return StatusCode::OK;
    }
    let amount = Micros::parse(&spend["amount"].to_string()).expect("an amount");
    let (campaign, currency) = (text("campaign_id"), text("currency"));
    // What a hold has cost is booked once, whoever tells it.
    let hold = text("hold_id").and_then(|id| Some(id.split_once('.')?.0.to_owned()));
    if hold.is_some() && books.rows.iter().any(|row| row.hold == hold) {
        return StatusCode::OK;
    }
    books.rows.push(Row {
        campaign: campaign.expect("a campaign"),
        amount,
        currency: currency.expect("a currency"),
        hold,
        memo: text("memo"),
    });
    StatusCode::CREATED
}
