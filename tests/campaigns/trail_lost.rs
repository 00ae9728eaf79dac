//! No booked decision is without its record, whatever is lost on the way.

use std::time::{Duration, Instant};

use kiki::actors::flow::journal::OVERFLOW_FILE;
use kiki::actors::kernel::{FaultKind, FaultRule};
use kiki::actors::shield::Written;
use kiki::models::shield::day::DaySpan;
use kiki::store::{Fault, FlowCountRow, FlowDecisionList, FlowDecisionRow, Put};

use serde_json::{Value, json};

use super::harness::{Api, api, api_with, campaign};
use super::trail::{amount, ask, bid, decision, outcome_of, run};

/// What is booked of the campaign, in micros.
async fn spent(api: &Api) -> i64 {
    let budget = api.budget("c").await.is(200);
    (budget["spent"].as_f64().expect("an amount") * 1e6).round() as i64
}

fn break_journal(api: &Api) -> u64 {
    fault(api, "/flow/journal", FaultKind::Panic)
}

pub fn fault(api: &Api, pattern: &str, kind: FaultKind) -> u64 {
    let rule =
        FaultRule { pattern: pattern.to_owned(), kind, probability: 1.0, ttl_ms: 60_000, seed: 1 };
    api.registry.set_fault(rule).expect("a fault")
}

#[tokio::test]
async fn a_bid_whose_record_was_lost_has_one_made_of_its_notice_before_that_is_answered() {
    let api = api().await;
    run(&api).await;
    let known = bid(&api, "r1").await;
    decision(&api, &known.hold, "bid").await;
    let fault = break_journal(&api);
    let lost = ask(&api, "r2").await.expect("a bid: the journal is beside the bid path");
    tokio::time::sleep(Duration::from_millis(50)).await;
    api.registry.clear_faults(Some(fault));
    assert_eq!((lost.billed(&api).await, known.billed(&api).await), (200, 200));
    let made = decision(&api, &lost.hold, "billed").await;
    assert_eq!((&made["rebuilt"], &made["campaign"]), (&true.into(), &"c".into()), "{made}");
    // It is found by its request, and claims nothing that the address does not say.
    let of = api.get("/api/v1/decisions/r2").await.is(200);
    let of = of["decisions"].as_array().expect("some");
    let ids: Vec<&Value> = of.iter().map(|it| &it["id"]).collect();
    assert_eq!((ids, &made["auction"]), (vec![&json!(lost.hold)], &json!("r2")), "{of:?}");
    assert!(made["breaker"].is_null() && made["ltv_breaker"].is_null(), "{made}");
    let price = &made["price"];
    assert_eq!(price["floor"].as_f64(), Some(0.1), "{made}");
    assert!(price["worth"].as_f64().is_some_and(|worth| worth > 0.0), "{made}");
    assert_eq!(amount(&made["outcome"]["billed"]), lost.micros());
    let kept = decision(&api, &known.hold, "billed").await;
    assert_eq!((&kept["rebuilt"], &kept["auction"]), (&false.into(), &"r1".into()), "{kept}");
    // Told again it changes nothing.
    assert_eq!(lost.billed(&api).await, 200);
    assert_eq!(spent(&api).await, lost.micros() + known.micros());
}

#[tokio::test]
async fn what_has_no_room_while_the_store_is_away_waits_in_a_file_and_is_told_when_it_is_back() {
    let api = api_with(&[("flow.journal_max", "1"), ("flow.sample_ratio", "1")]).await;
    run(&api).await;
    let first = bid(&api, "r1").await;
    decision(&api, &first.hold, "bid").await;
    api.flow.shield().store().faults().set(Fault::BeforeCommit, u32::MAX);
    // Their money is held from slices that are here: in memory, and for a while.
    let mut bids = Vec::new();
    for n in 0..8 {
        bids.extend(ask(&api, &format!("away-{n}")).await);
    }
    assert!(!bids.is_empty(), "nothing is bid without the store");
    let file = api.dir.path().join(OVERFLOW_FILE);
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < Duration::from_secs(5), "nothing was put into the file");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The notices are answered: what they say is on disk.
    assert_eq!((first.won(&api).await, first.billed(&api).await), (200, 200));
    let last = bids.last().expect("one");
    assert_eq!(last.billed(&api).await, 200);
    api.flow.shield().store().faults().clear();
    for bid in &bids {
        let outcome = if bid.hold == last.hold { "billed" } else { "bid" };
        let told = decision(&api, &bid.hold, outcome).await;
        assert_eq!(
            (&told["rebuilt"], &told["auction"]),
            (&false.into(), &bid.auction.as_str().into())
        );
    }
    decision(&api, &first.hold, "billed").await;
    assert_eq!(spent(&api).await, first.micros() + last.micros());
    let began = Instant::now();
    while file.exists() {
        assert!(began.elapsed() < Duration::from_secs(5), "the file is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_could_not_be_stored_before_the_end_is_stored_after_the_next_start() {
    let api = api().await;
    run(&api).await;
    bid(&api, "r1").await;
    api.flow.shield().store().faults().set(Fault::BeforeCommit, u32::MAX);
    let last = ask(&api, "r2").await.expect("a bid");
    let api = api.again().await;
    let told = decision(&api, &last.hold, "bid").await;
    assert_eq!((&told["auction"], &told["rebuilt"]), (&"r2".into(), &false.into()), "{told}");
    assert_eq!(last.billed(&api).await, 200);
    let told = decision(&api, &last.hold, "billed").await;
    assert_eq!(
        (&told["auction"], amount(&told["outcome"]["billed"])),
        (&"r2".into(), last.micros())
    );
}

#[tokio::test]
async fn what_a_slow_store_does_not_take_before_the_end_is_stored_after_the_next_start() {
    let api = api().await;
    run(&api).await;
    bid(&api, "r1").await;
    let store = api.flow.shield().store().clone();
    store.faults().set(Fault::SlowCommit(Duration::from_secs(3)), u32::MAX);
    let last = ask(&api, "r2").await.expect("a bid");
    let file = api.dir.path().join(OVERFLOW_FILE);
    let mends = tokio::spawn(async move {
        let began = Instant::now();
        while !file.exists() && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        store.faults().clear();
    });
    // All of the time is used up before the turn of the journal comes.
    let api = api.again_within(Duration::from_millis(200)).await;
    mends.await.expect("it ends");
    let told = decision(&api, &last.hold, "bid").await;
    assert_eq!((&told["auction"], &told["rebuilt"]), (&"r2".into(), &false.into()), "{told}");
}

#[tokio::test]
async fn a_win_is_booked_with_its_record_at_the_end_of_its_hold_across_a_restart() {
    let api = api_with(&[("flow.hold_ttl_s", "5")]).await;
    run(&api).await;
    let (won, silent) = (bid(&api, "r1").await, bid(&api, "r2").await);
    assert_eq!(won.won(&api).await, 200);
    let told = decision(&api, &won.hold, "won").await;
    assert_eq!(amount(&told["outcome"]["won"]), won.micros());
    decision(&api, &silent.hold, "bid").await;
    let api = api.again().await;
    let told = decision(&api, &won.hold, "billed").await;
    assert_eq!(told["outcome"]["billed"]["late"], false, "it was told in time: {told}");
    assert_eq!(told["auction"], "r1");
    assert_eq!(spent(&api).await, won.micros());
    // Of the other nobody has heard, and nothing is booked.
    let page = api.get("/api/v1/campaigns/c/decisions?kind=bid").await.is(200);
    let other = page["decisions"]
        .as_array()
        .expect("some")
        .iter()
        .find(|it| it["id"] == silent.hold.as_str());
    assert!(["bid", "expired"].contains(&outcome_of(other.expect("it is there"))));
}

#[tokio::test]
async fn a_win_whose_booking_is_away_at_the_end_of_its_hold_is_booked_by_it_and_once() {
    let api = api_with(&[("flow.hold_ttl_s", "4"), ("shield.grace_s", "0.2")]).await;
    run(&api).await;
    let won = bid(&api, "r1").await;
    assert_eq!(won.won(&api).await, 200);
    decision(&api, &won.hold, "won").await;
    // From here on it neither books nor looks at the time.
    let away = fault(&api, "/flow/notices", FaultKind::Drop);
    let began = Instant::now();
    while spent(&api).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the hold has expired to nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(spent(&api).await, won.micros());
    api.registry.clear_faults(Some(away));
    let api = api.again().await;
    let told = decision(&api, &won.hold, "billed").await;
    assert_eq!(amount(&told["outcome"]["billed"]), won.micros(), "{told}");
    assert_eq!(won.billed(&api).await, 200);
    assert_eq!(spent(&api).await, won.micros());
}

#[tokio::test]
async fn a_win_of_a_campaign_that_auctions_do_not_see_is_booked_on_the_day_that_it_was_bid() {
    let now = kiki::clock::wall_us();
    let utc = DaySpan::at("UTC", now).day;
    let zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago"];
    let zone = zones.into_iter().find(|zone| DaySpan::at(zone, now).day != utc);
    let zone = zone.expect("it is another day in one of them");
    let api = api().await;
    let mut abroad = campaign("c");
    abroad["schedule"] = json!({"time_zone": zone});
    api.bidding(abroad).await;
    let bid = bid(&api, "r1").await;
    // Neither memory nor journal has the hold: all that is known of it is its notice.
    let dies = fault(&api, "/shield/budget/c", FaultKind::Panic);
    assert_ne!(api.budget("c").await.status, 200);
    api.registry.clear_faults(Some(dies));
    let began = Instant::now();
    while api.order("c", "pause").await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not paused");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let api = api.again().await;
    api.running(0).await;
    assert_eq!(bid.billed(&api).await, 200);
    let told = decision(&api, &bid.hold, "billed").await;
    let at_us = told["at_us"].as_i64().expect("a time");
    let ledger = api.of_shield("/api/v1/budget/c/ledger").await.is(200);
    let rows = ledger["rows"].as_array().expect("rows");
    let hold = format!("{}.c", bid.hold);
    let row = rows.iter().find(|row| row["hold_id"] == hold.as_str()).expect("it is booked");
    assert_eq!(row["day"], DaySpan::at(zone, at_us).day.0, "{row}");
}

#[tokio::test]
async fn old_decisions_and_counts_are_deleted_a_few_at_a_time_and_no_others() {
    let api = api().await;
    let writes = api.flow.shield().writes();
    let decision = |n: i64, outcome: &str| FlowDecisionRow {
        account: "default".into(),
        decision: format!("{n:032x}"),
        campaign: "c".into(),
        at: n,
        kind: "bid".into(),
        auction: None,
        outcome: outcome.into(),
        ends_at: n,
        record: "{}".into(),
        batch: "b".into(),
        proof: "0/1/".into(),
        updated_at: 0,
    };
    let count = |hour: i64| FlowCountRow {
        account: "default".into(),
        campaign: "c".into(),
        hour,
        reason: "bids".into(),
        writer: "w".into(),
        count: 1,
        updated_at: 0,
    };
    let mut puts: Vec<Put> = (0..10).map(|n| decision(n, "bid").into()).collect();
    puts.extend((10..12).map(|n| Put::from(decision(n, "billed"))));
    puts.extend((0..5).map(|hour| Put::from(count(hour))));
    assert_eq!(writes.write("default", "flow/journal", puts).await, Written::Done);
    let store = api.flow.shield().store();
    let pruned = async |limit| store.flow_decisions_prune(5, limit).await.expect("pruned");
    assert_eq!((pruned(3).await, pruned(3).await, pruned(3).await), (3, 2, 0));
    assert_eq!(store.flow_counts_prune(3, 100).await.expect("pruned"), 3);
    // Of nobody was told what became of it: those whose holds are over by then have expired.
    let list = |outcome: &str| FlowDecisionList {
        account: "default".into(),
        campaign: "c".into(),
        before: (i64::MAX, String::new()),
        from_us: i64::MIN,
        outcome: outcome.into(),
        now_us: 8,
        limit: 100,
        ..FlowDecisionList::default()
    };
    for (outcome, ids) in
        [("bid", &[9][..]), ("expired", &[8, 7, 6, 5]), ("billed", &[11, 10]), ("won", &[])]
    {
        let rows = store.flow_decisions(&list(outcome)).await.expect("read");
        assert_eq!(rows.iter().map(|row| row.at).collect::<Vec<_>>(), ids, "{outcome}");
    }
    let names: Vec<(String, String)> =
        [4, 5, 11].map(|n| ("default".to_owned(), format!("{n:032x}"))).into();
    let mut found: Vec<i64> =
        store.flow_decisions_found(&names).await.expect("read").iter().map(|row| row.at).collect();
    found.sort_unstable();
    assert_eq!(found, [5, 11]);
    let counts = store.flow_counts(("default", "c"), (0, 9)).await.expect("read");
    assert_eq!(counts.iter().map(|it| it.hour).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(store.flow_changes_prune(i64::MAX, 10).await.expect("pruned"), 0);
}
