//! Each pair of an impression and a campaign that an auction reached is counted once: as a bid, or by why not.

use std::collections::BTreeMap;
use std::time::Duration;

use kiki::actors::kernel::{FaultKind, FaultRule};
use serde_json::{Value, json};

use super::harness::{Api, api, campaign, request};

/// What was counted of a campaign until now, all hours together.
async fn counted(api: &Api, campaign: &str) -> BTreeMap<String, i64> {
    let counts = api.get(&format!("/api/v1/campaigns/{campaign}/counts")).await.is(200);
    let mut all = BTreeMap::new();
    for hour in counts["hours"].as_array().expect("hours") {
        for (reason, count) in hour["counts"].as_object().expect("counts") {
            *all.entry(reason.clone()).or_default() += count.as_i64().expect("a number");
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_impression_is_counted_once_for_each_campaign_that_it_reached() {
    let api = api().await;
    // The second one is worth half, and wins where the first one may have no more of a request.
    for (id, cpm) in [("first", 2), ("second", 1)] {
        let mut it = campaign(id);
        it["strategy"] = json!({"max_cpm": {"cpm": cpm}});
        it["budget"] = json!({"amount": 1_000_000});
        api.post("/api/v1/campaigns", it).await.is(201);
        api.order(id, "start").await.is(200);
    }
    api.running(2).await;
    // From then on auctions reach both.
    while api.flow.office().expect("it runs").market().seats.len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = async |n: usize, imps: usize| {
        let mut it = request(&format!("r{n}"));
        let imp = |id: usize| json!({"id": id.to_string(), "banner": {"w": 300, "h": 250}});
        it["imp"] = (0..imps).map(imp).collect::<Value>();
        let answer = api.exchange(&[], it.to_string()).await;
        assert!([200, 204].contains(&answer.status), "{answer:?}");
    };
    let mut pairs = 0;
    for n in 0..60 {
        let imps = 1 + n % 3;
        pairs += i64::try_from(imps).expect("few");
        asked(n, imps).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    // A budget that does not answer is why, too.
    let hangs = FaultRule {
        pattern: "/shield/budget/first".to_owned(),
        kind: FaultKind::Drop,
        probability: 1.0,
        ttl_ms: 60_000,
        seed: 1,
    };
    let fault = api.registry.set_fault(hangs).expect("a fault");
    for n in 60..64 {
        pairs += 1;
        asked(n, 1).await;
    }
    api.registry.clear_faults(Some(fault));
    let api = api.again().await;
    for id in ["first", "second"] {
        let counted = counted(&api, id).await;
        assert_eq!(counted.values().sum::<i64>(), pairs, "{id}: {counted:?}");
        let bids = counted.get("bids").copied().unwrap_or(0);
        assert!(bids > 0, "{id}: {counted:?}");
        if id == "first" {
            assert!(counted.contains_key("budget_unavailable"), "{counted:?}");
        } else {
            assert!(counted.contains_key("outbid"), "{counted:?}");
        }
    }
}
