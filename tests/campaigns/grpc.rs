//! Bids by gRPC: one, many, all or none.

use std::time::{Duration, Instant};

use axum::http::Method;
use kiki::actors::kernel::FaultKind;
use kiki::api::grpc::flow_v1::sync_flow_service_client::SyncFlowServiceClient;
use kiki::api::grpc::flow_v1::{
    BudgetStatus, GetBudgetStatusRequest, GetBudgetStatusResponse, GetCircuitBreakerStatusRequest,
    PlaceBidBatchRequest, PlaceBidRequest, PlaceBidResponse,
};
use kiki::models::flow::openrtb::Fault;
use kiki::models::flow::reason::Reason;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::harness::{Api, api, api_with, request, rich, told};
use super::trail_lost::fault;
use super::trail_sampled;

pub type Client = SyncFlowServiceClient<Channel>;

pub fn client(api: &Api) -> Client {
    SyncFlowServiceClient::new(api.channel.clone())
}

pub fn asked(request: &Value) -> PlaceBidRequest {
    PlaceBidRequest { openrtb: request.to_string().into_bytes() }
}

/// Of a size that no campaign has.
fn other_size(id: &str) -> Value {
    let mut other = request(id);
    other["imp"][0]["banner"] = json!({"w": 728, "h": 90});
    other
}

fn of_person(id: &str, person: &str) -> Value {
    let mut of = request(id);
    of["user"] = json!({"id": person});
    of
}

async fn batch(
    client: &mut Client,
    requests: &[Value],
    atomic: bool,
) -> Result<Vec<PlaceBidResponse>, Status> {
    let requests = requests.iter().map(asked).collect();
    let answer = client.place_bid_batch(PlaceBidBatchRequest { requests, atomic }).await?;
    Ok(answer.into_inner().responses)
}

async fn budget(client: &mut Client, campaign: &str) -> GetBudgetStatusResponse {
    let campaign_id = campaign.to_owned();
    let answer = client.get_budget_status(GetBudgetStatusRequest { campaign_id }).await;
    answer.expect("a budget").into_inner()
}

pub fn reasons(answers: &[PlaceBidResponse]) -> Vec<&str> {
    for answer in answers {
        assert_ne!(answer.openrtb.is_empty(), answer.reason.is_empty(), "{answer:?}");
    }
    answers.iter().map(|answer| &*answer.reason).collect()
}

fn bid_of(answer: &PlaceBidResponse) -> Value {
    let answer: Value = serde_json::from_slice(&answer.openrtb).expect("a bid response");
    answer["seatbid"][0]["bid"][0].clone()
}

#[tokio::test]
async fn a_bid_is_held_for_billed_and_shown_in_the_budget() {
    let api = api().await;
    let mut client = client(&api);
    api.bidding(rich("c", json!([]))).await;
    let before = budget(&mut client, "c").await;
    assert_eq!((&*before.campaign_id, &*before.account), ("c", "default"));
    assert_eq!((before.status(), &*before.currency), (BudgetStatus::Active, "USD"));
    assert_eq!(before.budget_micros, 1_000_000_000_000_000);
    assert_eq!((before.spent_micros, before.daily_budget_micros), (0, None));

    let answer = client.place_bid(asked(&request("r1"))).await.expect("an answer").into_inner();
    assert_eq!(reasons(std::slice::from_ref(&answer)), [""]);
    let whole: Value = serde_json::from_slice(&answer.openrtb).expect("a bid response");
    assert_eq!(whole["id"], "r1");
    let bid = bid_of(&answer);
    assert_eq!(
        (&bid["impid"], &bid["crid"], &bid["cid"]),
        (&json!("1"), &json!("c:a"), &json!("c"))
    );
    let held = budget(&mut client, "c").await;
    assert_eq!(held.open_holds, before.open_holds + 1);
    assert!(held.held_micros > before.held_micros, "{held:?}");
    assert_eq!(held.remaining_micros, held.budget_micros - held.held_micros);

    // A second price, of half of the bid: a thousandth of it is what the impression costs.
    let thousandths = (bid["price"].as_f64().expect("a price") * 500.0).round() as i64;
    let price = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    let billed = api.notice(Method::GET, &told(&bid["burl"], &price)).await;
    assert_eq!(billed.status, 200, "{billed:?}");
    api.holds("c", before.open_holds).await;
    let spent = budget(&mut client, "c").await;
    assert_eq!((spent.spent_micros, spent.spent_today_micros), (thousandths, thousandths));
    api.order("c", "pause").await.is(200);
    assert_eq!(budget(&mut client, "c").await.status(), BudgetStatus::Paused);
}

#[tokio::test]
async fn a_deadline_that_is_too_short_is_no_bid_with_its_reason_and_holds_nothing() {
    // What is taken off for the way back is more than the calls have.
    let api = api_with(&[("flow.tmax_margin_ms", "1000")]).await;
    let mut client = client(&api);
    api.bidding(rich("c", json!([]))).await;
    let before = budget(&mut client, "c").await.open_holds;
    let mut short = Request::new(asked(&request("r1")));
    short.set_timeout(Duration::from_millis(900));
    let answer = client.place_bid(short).await.expect("an answer").into_inner();
    assert_eq!(reasons(&[answer]), ["deadline"]);
    for atomic in [false, true] {
        let requests = vec![asked(&request("r2")), asked(&request("r3"))];
        let mut short = Request::new(PlaceBidBatchRequest { requests, atomic });
        short.set_timeout(Duration::from_millis(900));
        let answers = client.place_bid_batch(short).await.expect("answers").into_inner().responses;
        let want = if atomic { ["deadline", "withheld"] } else { ["deadline", "deadline"] };
        assert_eq!(reasons(&answers), want, "atomic: {atomic}");
        // The nearest of the requests' own counts for all of them.
        let mut near = request("r4");
        near["tmax"] = json!(900);
        let answers = batch(&mut client, &[request("r5"), near], atomic).await.expect("answers");
        assert_eq!(reasons(&answers), want, "atomic: {atomic}");
    }
    assert_eq!(budget(&mut client, "c").await.open_holds, before);
    let mut long = Request::new(asked(&request("r6")));
    long.set_timeout(Duration::from_secs(9));
    let answer = client.place_bid(long).await.expect("an answer").into_inner();
    assert_eq!(reasons(&[answer]), [""]);
}

#[tokio::test]
async fn an_atomic_batch_in_which_one_cannot_bid_leaves_nothing_behind() {
    let api = api().await;
    let mut client = client(&api);
    api.bidding(rich("c", json!([{"impressions": 1, "period_s": 3_600}]))).await;
    let before = budget(&mut client, "c").await;
    // The last is of no size of ours; the two before it are held for by then.
    let requests = [of_person("r1", "ann"), of_person("r2", "bob"), other_size("r3")];
    let answers = batch(&mut client, &requests, true).await.expect("answers");
    let why = reasons(&answers);
    assert_eq!(why[..2], ["withheld"; 2]);
    assert!(!["withheld", ""].contains(&why[2]), "{why:?}");
    api.holds("c", before.open_holds).await;
    assert_eq!(budget(&mut client, "c").await.held_micros, before.held_micros);
    // One person twice is more than the cap allows.
    let twice = [of_person("r4", "ann"), of_person("r5", "ann")];
    let answers = batch(&mut client, &twice, true).await.expect("answers");
    assert_eq!(reasons(&answers), ["withheld", "frequency"]);
    // One of them is no request at all: nothing is asked for.
    let broken = [of_person("r6", "ann"), json!({"id": "r7"})];
    let answers = batch(&mut client, &broken, true).await.expect("answers");
    assert_eq!(reasons(&answers), ["withheld", "malformed"]);
    api.holds("c", before.open_holds).await;
    // Neither person has seen anything so far.
    let both = [of_person("r8", "ann"), of_person("r9", "bob")];
    let answers = batch(&mut client, &both, true).await.expect("answers");
    assert_eq!(reasons(&answers), ["", ""]);
    api.holds("c", before.open_holds + 2).await;
    let again = batch(&mut client, &[of_person("r10", "bob")], true).await.expect("answers");
    assert_eq!(reasons(&again), ["frequency"]);
    // What was withheld has no record of a bid: what came after it is written.
    for (auction, bids) in [("r8", 1), ("r9", 1), ("r1", 0), ("r2", 0), ("r4", 0)] {
        assert_eq!(bids_in_the_trail(&api, auction, bids).await, bids, "{auction}");
    }
}

#[tokio::test]
async fn what_is_withheld_is_counted_of_each_bid_and_kept_where_all_is_sampled() {
    let api = trail_sampled::api().await;
    let mut client = client(&api);
    api.bidding(rich("c", json!([]))).await;
    let before = trail_sampled::refused(&api, Reason::Withheld);
    // The third is of no size of ours, and the last is not asked for.
    let requests = [request("r1"), request("r2"), other_size("r3"), request("r4")];
    let answers = batch(&mut client, &requests, true).await.expect("answers");
    assert_eq!(reasons(&answers), ["withheld", "withheld", "creative", "withheld"]);
    assert_eq!(trail_sampled::refused(&api, Reason::Withheld), before + 2);
    for (auction, campaign) in [("r1", json!("c")), ("r2", json!("c")), ("r4", Value::Null)] {
        let kept = trail_sampled::kept(&api, auction, 1).await;
        let [it] = &kept[..] else { panic!("{auction}: {kept:?}") };
        let why = &it["reasons"][0]["reason"];
        assert_eq!((&it["kind"], why), (&json!("no_bid"), &json!("withheld")), "{it}");
        assert_eq!((&it["campaign"], &it["hold"]), (&campaign, &Value::Null), "{it}");
        assert_eq!(it["price"]["cpm"].is_number(), auction != "r4", "{it}");
    }
}

/// Bids that are recorded of a request; it waits for those that are wanted.
async fn bids_in_the_trail(api: &Api, auction: &str, wanted: usize) -> usize {
    let mut bids = 0;
    for _ in 0..100 {
        let page = api.get(&format!("/api/v1/decisions/{auction}")).await.is(200);
        let decisions = page["decisions"].as_array().expect("decisions");
        bids = decisions.iter().filter(|decision| decision["kind"] == "bid").count();
        if bids > 0 || wanted == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bids
}

#[tokio::test]
async fn of_a_batch_each_request_is_answered_in_its_place() {
    let api = api().await;
    let mut client = client(&api);
    api.bidding(rich("c", json!([{"impressions": 1, "period_s": 3_600}]))).await;
    let before = budget(&mut client, "c").await.open_holds;
    let requests = [
        of_person("r1", "ann"),
        other_size("r2"),
        json!([]),
        of_person("r3", "ann"),
        of_person("r4", "bob"),
    ];
    let answers = batch(&mut client, &requests, false).await.expect("answers");
    let why = reasons(&answers);
    assert_eq!((why[0], why[2], why[3], why[4]), ("", "malformed", "frequency", ""));
    assert!(!["", "malformed"].contains(&why[1]), "{why:?}");
    assert_eq!(bid_of(&answers[4])["impid"], "1");
    api.holds("c", before + 2).await;
    let lost = api.notice(Method::GET, &told(&bid_of(&answers[0])["lurl"], "")).await;
    assert_eq!(lost.status, 200);
    api.holds("c", before + 1).await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_in_the_middle_of_a_batch_leaves_nothing_behind() {
    let api = api().await;
    let mut client = client(&api);
    api.bidding(rich("c", json!([{"impressions": 1, "period_s": 3_600}]))).await;
    let mut slow = rich("slow", json!([]));
    slow["creatives"][0]["format"] = json!({"banner": {"w": 728, "h": 90}});
    api.post("/api/v1/campaigns", slow).await.is(201);
    api.order("slow", "start").await.is(200);
    let began = Instant::now();
    while api.exchange(&[], other_size("awake").to_string()).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is bid");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = budget(&mut client, "c").await.open_holds;
    for atomic in [false, true] {
        let hangs = fault(&api, "/shield/budget/slow", FaultKind::Hang);
        let requests = [of_person("r1", "ann"), other_size("r2")];
        tokio::select! {
            answers = batch(&mut client, &requests, atomic) => panic!("answered: {answers:?}"),
            () = api.holds("c", before + 1) => {}
        }
        api.holds("c", before).await;
        api.registry.clear_faults(Some(hangs));
    }
    // Both bids of both batches are counted, by the metric as well: the one that was ready and the one that was not.
    let began = Instant::now();
    while trail_sampled::refused(&api, Reason::Deadline) < 4 {
        assert!(began.elapsed() < Duration::from_secs(10), "they are not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // She has seen nothing so far.
    let answers = batch(&mut client, &[of_person("r3", "ann")], false).await.expect("answers");
    assert_eq!(reasons(&answers), [""]);
}

#[tokio::test]
async fn answers_of_a_batch_are_bounded_before_money_is_held_for_good() {
    let api = api_with(&[("server.grpc_message_limit_bytes", "8192")]).await;
    let mut client = client(&api);
    let mut large = rich("c", json!([]));
    large["creatives"][0]["markup"] = json!("x".repeat(3_000));
    api.bidding(large).await;
    let before = budget(&mut client, "c").await.open_holds;
    let requests = [request("r1"), request("r2"), request("r3")];
    let answers = batch(&mut client, &requests, true).await.expect("answers");
    assert_eq!(reasons(&answers), ["overloaded"; 3]);
    api.holds("c", before).await;
    let answers = batch(&mut client, &requests, false).await.expect("answers");
    assert_eq!(reasons(&answers).last(), Some(&"overloaded"));
    let bids = answers.iter().filter(|answer| answer.reason.is_empty()).count();
    assert!((1..3).contains(&bids), "{bids}");
    api.holds("c", before + bids as u64).await;
}

#[tokio::test]
async fn what_is_too_large_or_no_request_is_refused_by_its_field() {
    let api = api().await;
    let mut client = client(&api);
    let refused = |status: Status, field: &str| {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().starts_with(field), "{status:?}");
        assert_eq!(status.metadata().get("kiki-code").expect("a code"), "invalid_field");
    };
    let mut twins = request("r1");
    twins["imp"] = json!([twins["imp"][0], twins["imp"][0]]);
    for openrtb in [
        Vec::new(),
        b"{".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b'['; 100_000],
        vec![b' '; (1 << 20) + 1],
        twins.to_string().into_bytes(),
        json!({"id": "r1", "imp": []}).to_string().into_bytes(),
    ] {
        let status = client.place_bid(PlaceBidRequest { openrtb }).await.expect_err("refused");
        refused(status, "openrtb");
    }
    for atomic in [false, true] {
        let none = batch(&mut client, &[], atomic).await.expect_err("refused");
        refused(none, "requests");
        let many = vec![request("r1"); 101];
        let many = batch(&mut client, &many, atomic).await.expect_err("refused");
        refused(many, "requests");
        let counted = || {
            let counts = &api.flow.office().expect("it runs").counts;
            counts.faults().find(|(fault, _)| *fault == Fault::TooLarge).map_or(0, |(_, n)| n)
        };
        let before = counted();
        let large = PlaceBidRequest { openrtb: vec![b' '; (1 << 20) + 1] };
        let requests = vec![asked(&request("r1")), large, asked(&request("r2"))];
        let asked = PlaceBidBatchRequest { requests, atomic };
        let answers = client.place_bid_batch(asked).await.expect("answers").into_inner().responses;
        let other = if atomic { "withheld" } else { "no_candidate" };
        assert_eq!(reasons(&answers), [other, "malformed", other]);
        assert_eq!(counted() - before, 1, "it is counted");
        let most = batch(&mut client, &vec![request("r1"); 100], atomic).await.expect("answers");
        assert_eq!(most.len(), 100);
    }
    let huge = PlaceBidRequest { openrtb: vec![b' '; 11 << 20] };
    let status = client.place_bid(huge).await.expect_err("refused");
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");
    for campaign in ["", "a b", &"x".repeat(129)] {
        let campaign_id = campaign.to_owned();
        let status = client.get_budget_status(GetBudgetStatusRequest { campaign_id }).await;
        refused(status.expect_err("refused"), "campaign_id");
    }
    let campaign_id = "none".to_owned();
    let status = client.get_budget_status(GetBudgetStatusRequest { campaign_id }).await;
    assert_eq!(status.expect_err("refused").code(), Code::NotFound);
    let prefix = "/".repeat(257);
    let status = client.get_circuit_breaker_status(GetCircuitBreakerStatusRequest { prefix }).await;
    refused(status.expect_err("refused"), "prefix");
}

#[tokio::test]
async fn a_test_without_a_bid_is_told_why_as_over_http() {
    let api = api().await;
    let mut client = client(&api);
    let mut test = other_size("t1");
    test["test"] = json!(1);
    api.bidding(rich("c", json!([]))).await;
    let heard = api.exchange(&[], test.to_string()).await;
    let of_http: Value = serde_json::from_slice(&heard.body).expect("a bid response");
    let answer = client.place_bid(asked(&test)).await.expect("an answer").into_inner();
    let told: Value = serde_json::from_slice(&answer.openrtb).expect("a bid response");
    assert_eq!(told, of_http);
    assert!(told["nbr"].is_number() && told["ext"]["reasons"].is_array(), "{told}");
    assert!(!answer.reason.is_empty());
}
