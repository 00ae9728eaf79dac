//! What exchanges are told beside a price: whom an ad is for, why a test has no bid, and what is wrong with a
//! request, by count.

use axum::http::Method;
use kiki::models::flow::openrtb::Fault;
use kiki::store::RateRow;
use serde_json::{Value, json};

use super::harness::{Heard, api, campaign, request};

#[track_caller]
fn body(heard: &Heard, status: u16) -> Value {
    assert_eq!(heard.status, status, "{heard:?}");
    serde_json::from_slice(&heard.body).expect("json")
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_an_ad_is_for_is_told_where_it_is_asked_and_a_test_says_that_it_is_not() {
    let api = api().await;
    api.bidding(campaign("boots")).await;
    let asks = |dsa: Value, test: u8| {
        let mut it = request("r");
        it["regs"]["dsa"] = dsa;
        it["test"] = test.into();
        it.to_string()
    };
    let needed = || json!({"dsarequired": 2, "pubrender": 1, "datatopub": 2});
    // Bids are taken without it, too.
    let bid = api.exchange(&[], asks(json!({"dsarequired": 1}), 1)).await.bid();
    assert!(bid.get("ext").is_none(), "{bid}");
    assert_eq!(api.exchange(&[], asks(needed(), 0)).await.status, 204);
    let told = body(&api.exchange(&[], asks(needed(), 1)).await, 200);
    let why = json!({"id": "r", "nbr": 0, "ext": {"reason": "transparency",
        "reasons": [{"reason": "transparency", "count": 1}]}});
    assert_eq!(told, why);
    let patch = json!({"transparency": {"behalf": "Acme", "params": [2]}});
    api.call(Method::PATCH, "/api/v1/campaigns/boots", &[], patch).await.is(200);
    let began = std::time::Instant::now();
    let heard = loop {
        let heard = api.exchange(&[], asks(needed(), 1)).await;
        let told = body(&heard, 200);
        if told.get("seatbid").is_some() {
            break heard;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{told}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let dsa = json!({"behalf": "Acme", "paid": "Acme", "adrender": 0,
        "transparency": [{"domain": "acme.example", "dsaparams": [2]}]});
    assert_eq!(heard.bid()["ext"]["dsa"], dsa);
    // Nobody would show it.
    let nobody = json!({"dsarequired": 3, "pubrender": 0});
    let told = body(&api.exchange(&[], asks(nobody, 1)).await, 200);
    assert_eq!(told["ext"]["reason"], "transparency", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_ends_before_campaigns_are_looked_at_says_so() {
    let api = api().await;
    let mut it = request("r");
    it["test"] = 1.into();
    it["cur"] = json!(["XXX"]);
    let told = body(&api.exchange(&[], it.to_string()).await, 200);
    let why = json!({"id": "r", "nbr": 2, "ext": {"reason": "currency", "reasons": []}});
    assert_eq!(told, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_none_are_counted_by_what_is_wrong() {
    let api = api().await;
    let broken = [0x1f, 0x8b, 8, 0];
    let deep = format!(r#"{{"id":"r","x":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    for (fault, headers, bytes) in [
        (Fault::NotJson, &[][..], b"{".to_vec()),
        (Fault::Missing, &[], br#"{"id":"r"}"#.to_vec()),
        (Fault::TooDeep, &[], deep.into_bytes()),
        (Fault::TooLarge, &[], vec![b' '; (1 << 20) + 1]),
        (Fault::Broken, &[("content-encoding", "gzip")], broken.to_vec()),
        (Fault::Coding, &[("content-encoding", "br")], b"{}".to_vec()),
    ] {
        let heard = api.exchange(headers, bytes).await;
        assert!(heard.status >= 400 && heard.body.is_empty(), "{heard:?}");
        let counts = &api.flow.office().expect("an office").counts;
        let of = |wanted: Fault| counts.faults().find(|(it, _)| *it == wanted);
        assert_eq!(of(fault), Some((fault, 1)), "{}", fault.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_one_currency_also_where_all_who_won_first_are_refused() {
    let api = api().await;
    // A yen is 0.67 cents.
    let row = RateRow {
        account: "default".to_owned(),
        currency: "JPY".to_owned(),
        day: "20200101".to_owned(),
        rate_e9: 6_700_000,
    };
    api.flow.shield().put_rates("default", &[row]).await.expect("stored");
    let creative = |id: &str, w: u16, h: u16| json!({"id": id, "format": {"banner": {"w": w, "h": h}}, "markup": "x"});
    let (wide, box_) = (creative("wide", 728, 90), creative("box", 300, 250));
    let all = [
        ("best", "USD", 100, json!([wide, box_])),
        ("yen", "JPY", 5_000, json!([wide])),
        ("dollars", "USD", 2, json!([box_])),
    ];
    for (id, currency, cpm, creatives) in all {
        let mut it = campaign(id);
        it["currency"] = json!(currency);
        it["strategy"] = json!({"max_cpm": {"cpm": cpm}});
        it["budget"] = json!({"amount": 1_000_000_000});
        it["per_request"] = json!(2);
        it["creatives"] = creatives;
        api.post("/api/v1/campaigns", it).await.is(201);
        api.order(id, "start").await.is(200);
    }
    let mut both = request("both");
    both["cur"] = json!(["USD", "JPY"]);
    both["imp"] = json!([
        {"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.01},
        {"id": "2", "banner": {"w": 728, "h": 90}, "bidfloor": 0.01},
    ]);
    let ask = || async { api.exchange(&[], both.to_string()).await };
    let bids = |answer: &Value| -> Vec<(String, String)> {
        let bids = answer["seatbid"][0]["bid"].as_array().cloned().unwrap_or_default();
        let text = |bid: &Value, name: &str| bid[name].as_str().expect("text").to_owned();
        bids.iter().map(|bid| (text(bid, "impid"), text(bid, "cid"))).collect()
    };
    let is = |of: &[(&str, &str)]| -> Vec<(String, String)> {
        of.iter().map(|(imp, cid)| ((*imp).to_owned(), (*cid).to_owned())).collect()
    };
    // By then the others know what to bid, too.
    let (began, mut won) = (std::time::Instant::now(), 0);
    while won < 100 {
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "it does not win both");
        let heard = ask().await;
        if heard.status == 200 {
            let sorted = |mut all: Vec<_>| {
                all.sort();
                all
            };
            let answer = body(&heard, 200);
            won += u32::from(sorted(bids(&answer)) == is(&[("1", "best"), ("2", "best")]));
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    api.to_shield("/api/v1/allocations/best/pause", &Value::Null).await.is(200);
    let answer = body(&ask().await, 200);
    assert_eq!((answer["cur"].as_str(), bids(&answer)), (Some("JPY"), is(&[("2", "yen")])));
}
