//! One key at all nodes at once, and what a pause or a smaller budget takes back while all nodes grant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::common::client;
use crate::lab::{Lab, authorise};
use crate::load::{Load, allocate};

/// What each bid asks for, in units; of it and of budgets both are exact.
const BID: f64 = 0.5;
const ROUNDS: usize = 60;

/// The same request to every node at the same time, and again where one says so: what each said in the end.
async fn at_all(lab: &Lab, path: &str, body: &Value, key: Option<&str>) -> Vec<(u16, Value)> {
    let mut asked = JoinSet::new();
    for (at, node) in lab.nodes.iter().enumerate() {
        let (url, body, key) = (node.url(path), body.to_string(), key.map(str::to_owned));
        asked.spawn(async move {
            let (http, began) = (client(), Instant::now());
            loop {
                let mut request = http.post(&url).header("content-type", "application/json");
                if let Some(key) = &key {
                    request = request.header("idempotency-key", key);
                }
                let answer = request.body(body.clone()).send().await.expect("an answer");
                let status = answer.status().as_u16();
                let again = answer.headers().contains_key("retry-after");
                let answer = answer.json::<Value>().await.expect("JSON");
                let under_way = status == 409 && answer["code"] == "in_progress";
                if !(under_way || status == 503 && again) {
                    return (at, status, answer);
                }
                assert!(began.elapsed() < Duration::from_secs(10), "{status} {answer}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let mut all = asked.join_all().await;
    all.sort_by_key(|(at, ..)| *at);
    all.into_iter().map(|(_, status, answer)| (status, answer)).collect()
}

/// An answer without what says who was first, and what of a hold only the purse knows that has granted it.
fn content(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().expect("an object");
    let replayed = fields.remove("replayed");
    if fields.contains_key("hold_id") {
        fields.retain(|name, _| !["amount", "expires_at"].contains(&&**name));
        assert!(fields["booked"].is_object(), "{answer}");
    }
    assert!(replayed.is_some_and(|it| it.is_boolean()), "{answer}");
    answer
}

fn all_equal(answers: Vec<(u16, Value)>, first: u16) {
    let said = format!("{answers:?}");
    let made = answers.iter().filter(|(_, it)| it["replayed"] == json!(false)).count();
    assert_eq!(made, 1, "{said}");
    for (status, answer) in &answers {
        let expected = if answer["replayed"] == json!(false) { first } else { 200 };
        assert_eq!(*status, expected, "{said}");
    }
    let mut all = answers.into_iter().map(|(_, answer)| content(answer));
    let one = all.next().expect("an answer");
    assert!(all.all(|other| other == one), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_and_one_hold_at_all_nodes_at_once_book_once_and_are_answered_alike() {
    let Some(lab) = Lab::open("keys", 3, &["shield.window_cap=1000000"]).await else { return };
    let mut campaigns = Vec::new();
    for owner in 0..3 {
        campaigns.push(lab.campaign_of(owner, "same").await);
    }
    for campaign in &campaigns {
        allocate(&lab.nodes[0], campaign, 10_000).await;
    }
    let load = Load::begin(&lab, 6, None).await;
    for round in 0..ROUNDS {
        let campaign = &campaigns[round % 3];
        let amount = (1_000_000 + round) as f64 / 1e6;
        let body = json!({"campaign_id": campaign, "amount": amount});
        let answers = at_all(&lab, "/api/v1/spend", &body, Some(&format!("one-{round}"))).await;
        all_equal(answers, 201);
        let amount = (2_000_000 + round) as f64 / 1e6;
        let began = Instant::now();
        let hold = loop {
            match authorise(&lab.nodes[round / 3 % 3], campaign, amount, &format!("h{round}")).await
            {
                Ok(hold) => break hold,
                Err(status) => assert_eq!(status, 503),
            }
            assert!(began.elapsed() < Duration::from_secs(10), "no hold");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let path = format!("/api/v1/holds/{}/settle", hold["hold_id"].as_str().expect("an id"));
        let mut body = json!({"amount": amount});
        if round % 2 == 0 {
            body["token"] = hold["token"].clone();
        }
        all_equal(at_all(&lab, &path, &body, None).await, 200);
    }
    load.proceed(200, Duration::from_secs(20)).await;
    let names: Vec<&str> = campaigns.iter().map(String::as_str).collect();
    load.end_beside(&lab, &names).await;
    let rows = lab.rows("SELECT budget, amount FROM ledger WHERE account = 'default'").await;
    for (at, campaign) in campaigns.iter().enumerate() {
        let mut booked: Vec<i64> =
            rows.iter().filter(|(of, _)| of == campaign).map(|(_, amount)| *amount).collect();
        booked.sort_unstable();
        let rounds = || (at..ROUNDS).step_by(3).map(|round| round as i64);
        let spends = rounds().map(|round| 1_000_000 + round);
        let all: Vec<i64> = spends.chain(rounds().map(|round| 2_000_000 + round)).collect();
        assert_eq!(booked, all, "{campaign}");
    }
    lab.close().await;
}

/// Bids at every node, each grant settled or released at once at another one.
struct Bids {
    lab: Arc<Lab>,
    campaign: String,
    stop: AtomicBool,
    /// What bids that are asked for now belong to, and how many of each phase are not answered yet.
    phase: AtomicUsize,
    asked: [AtomicU64; PHASES],
    /// By phase and node.
    granted: [[AtomicU64; 3]; PHASES],
    refused: [[AtomicU64; 3]; PHASES],
    settled: AtomicU64,
    released: AtomicU64,
}

const PHASES: usize = 5;
const PAUSED: usize = 1;
const RESUMED: usize = 2;
const CUT: usize = 3;
const RAISED: usize = 4;

impl Bids {
    async fn one(&self, caller: usize, n: usize) {
        let at = caller % 3;
        let phase = loop {
            let phase = self.phase.load(SeqCst);
            self.asked[phase].fetch_add(1, SeqCst);
            if self.phase.load(SeqCst) == phase {
                break phase;
            }
            self.asked[phase].fetch_sub(1, SeqCst);
        };
        let answer = authorise(&self.lab.nodes[at], &self.campaign, BID, "").await;
        self.asked[phase].fetch_sub(1, SeqCst);
        let hold = match answer {
            Ok(hold) => hold,
            Err(status) => {
                assert!(matches!(status, 403 | 503), "{status}");
                self.refused[phase][at].fetch_add(u64::from(status == 403), SeqCst);
                return tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        self.granted[phase][at].fetch_add(1, SeqCst);
        let id = hold["hold_id"].as_str().expect("an id");
        let teller = &self.lab.nodes[(caller + n) % 3];
        // A hold that stands may be settled whatever has become of the budget.
        let (what, body, count) = match n % 5 {
            4 => ("release", json!({}), &self.released),
            _ => ("settle", json!({"amount": BID, "token": hold["token"]}), &self.settled),
        };
        let began = Instant::now();
        loop {
            let (status, answer) = teller.post(&format!("/api/v1/holds/{id}/{what}"), &body).await;
            if status == 200 {
                break;
            }
            assert_eq!(status, 503, "{what}: {answer}");
            assert!(began.elapsed() < Duration::from_secs(10), "{what}: {answer}");
        }
        count.fetch_add(1, SeqCst);
    }

    /// Takes money away: what is asked for after the answer is of the next phase.
    async fn take(&self, at: usize, path: &str, body: &Value) {
        let began = Instant::now();
        let (status, answer) = self.lab.nodes[at].post(path, body).await;
        self.phase.fetch_add(1, SeqCst);
        assert_eq!(status, 200, "{path}: {answer}");
        println!("{path} {body} took {:?}", began.elapsed());
    }

    /// Gives money: when all that was asked for before is answered.
    async fn give(&self, at: usize, path: &str, body: &Value) {
        let phase = self.phase.fetch_add(1, SeqCst);
        let began = Instant::now();
        while self.asked[phase].load(SeqCst) > 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "no answer");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (status, answer) = self.lab.nodes[at].post(path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }

    /// Waits until each node has done so much of it in a phase.
    async fn each(&self, what: &[[AtomicU64; 3]; PHASES], phase: usize, least: u64) {
        let began = Instant::now();
        while what[phase].iter().any(|count| count.load(SeqCst) < least) {
            assert!(began.elapsed() < Duration::from_secs(15), "{phase}: {:?}", what[phase]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn all_granted(&self) -> u64 {
        self.granted.iter().flatten().map(|count| count.load(SeqCst)).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_pause_or_a_cut_is_answered_no_node_grants_and_what_came_back_can_be_spent() {
    let Some(lab) = Lab::open("recalls", 3, &["shield.window_cap=1000000"]).await else { return };
    let campaign = lab.campaign_of(0, "recalled").await;
    allocate(&lab.nodes[0], &campaign, 100_000).await;
    let lab = Arc::new(lab);
    let bids = Arc::new(Bids {
        lab: Arc::clone(&lab),
        campaign: campaign.clone(),
        stop: AtomicBool::new(false),
        phase: AtomicUsize::new(0),
        asked: Default::default(),
        granted: Default::default(),
        refused: Default::default(),
        settled: AtomicU64::new(0),
        released: AtomicU64::new(0),
    });
    let mut callers = JoinSet::new();
    for caller in 0..9 {
        let bids = Arc::clone(&bids);
        callers.spawn(async move {
            let mut n = 0;
            while !bids.stop.load(SeqCst) {
                bids.one(caller, n).await;
                n += 1;
            }
        });
    }
    bids.each(&bids.granted, 0, 50).await;
    // Ordered where the campaign is not.
    let of = |what: &str| format!("/api/v1/allocations/{campaign}/{what}");
    bids.take(1, &of("pause"), &json!({})).await;
    bids.each(&bids.refused, PAUSED, 40).await;
    bids.give(2, &of("resume"), &json!({})).await;
    bids.each(&bids.granted, RESUMED, 50).await;
    // Far less than is spent already.
    let cut = json!({"campaign_id": campaign, "budget": 1});
    bids.take(1, "/api/v1/allocate", &cut).await;
    bids.each(&bids.refused, CUT, 40).await;
    // Some 150 more bids for each node.
    let budget = (bids.settled.load(SeqCst) + 600).div_ceil(2);
    let raised = json!({"campaign_id": campaign, "budget": budget});
    bids.give(2, "/api/v1/allocate", &raised).await;
    let began = Instant::now();
    loop {
        let spent = bids.settled.load(SeqCst) as f64 * BID;
        if spent >= 0.995 * budget as f64 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{spent} of {budget}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{budget} spent after {:?}", began.elapsed());
    bids.each(&bids.refused, RAISED, 10).await;
    bids.stop.store(true, SeqCst);
    while let Some(done) = callers.join_next().await {
        done.expect("a caller");
    }
    println!("granted {:?}, refused {:?}", bids.granted, bids.refused);
    for phase in [PAUSED, CUT] {
        let granted: u64 = bids.granted[phase].iter().map(|count| count.load(SeqCst)).sum();
        assert_eq!(granted, 0, "asked for in phase {phase}, after the order was answered");
    }
    bids.each(&bids.granted, RAISED, 20).await;
    let (settled, released) = (bids.settled.load(SeqCst), bids.released.load(SeqCst));
    assert_eq!(settled + released, bids.all_granted());
    assert!(released > 50, "{released}");
    let spent = lab
        .number(&format!(
            "SELECT CAST(SUM(amount) AS BIGINT) FROM ledger WHERE budget = '{campaign}'"
        ))
        .await;
    assert_eq!(spent, i64::try_from(settled).expect("small") * 500_000);
    assert!(spent <= i64::try_from(budget).expect("small") * 1_000_000, "{spent} of {budget}");
    drop(bids);
    Arc::try_unwrap(lab).ok().expect("alone").close().await;
}
