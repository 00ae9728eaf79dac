//! Several nodes on one database act as one platform: any of them answers, one owns, none overspends.

#[path = "nodes/admin.rs"]
mod admin;
#[path = "nodes/balancer.rs"]
mod balancer;
#[path = "common/mod.rs"]
mod common;
#[path = "nodes/databases.rs"]
mod databases;
#[path = "nodes/erasure.rs"]
mod erasure;
#[path = "nodes/homes.rs"]
mod homes;
#[path = "nodes/hostile.rs"]
mod hostile;
#[path = "nodes/keys.rs"]
mod keys;
#[path = "nodes/lab.rs"]
mod lab;
#[path = "nodes/load.rs"]
mod load;
#[path = "nodes/partitions.rs"]
mod partitions;
#[path = "nodes/recalls.rs"]
mod recalls;
#[path = "nodes/servers.rs"]
mod servers;
#[path = "nodes/stopped.rs"]
mod stopped;
#[path = "nodes/strangers.rs"]
mod strangers;
#[path = "nodes/wires.rs"]
mod wires;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use common::client;
use lab::{Lab, authorise, member, settle};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_answers_for_what_another_one_owns() {
    let Some(lab) = Lab::open("any", 3, &["shield.window_cap=100000"]).await else { return };
    // Made at one node, changed at the next, looked at on the third.
    for n in 0..12 {
        let (at, next, third) =
            (&lab.nodes[n % 3], &lab.nodes[(n + 1) % 3], &lab.nodes[(n + 2) % 3]);
        let campaign = format!("camp_{n}");
        at.allocate(&campaign, 100).await;
        let spend = json!({"campaign_id": campaign, "amount": 2.5});
        let (status, answer) = next.post("/api/v1/spend", &spend).await;
        assert!((200..300).contains(&status), "{status} {answer}");
        let (status, budget) = third.get(&format!("/api/v1/budget/{campaign}")).await;
        assert_eq!((status, &budget["spent"]), (200, &json!(2.5)), "{budget}");
        let pause = format!("/api/v1/allocations/{campaign}/pause");
        let (status, answer) = third.post(&pause, &json!({})).await;
        assert_eq!(status, 200, "{answer}");
        let refused = authorise(at, &campaign, 1.0, &format!("after-{n}")).await;
        assert!(
            matches!(refused, Err(403 | 402 | 409 | 429))
                || refused.as_ref().is_ok_and(|it| it["approved"] == json!(false)),
            "{refused:?}"
        );
    }
    // What people allow is the same everywhere, and a no is a no at once.
    let grant = json!({"customer_id": "ann", "consent_type": "targeting", "legal_basis": "consent", "source": "web"});
    let allowed = "/api/v1/consent/check?customer_id=ann&type=targeting";
    let (status, answer) = lab.nodes[0].post("/consent/grant", &grant).await;
    assert!((200..300).contains(&status), "{status} {answer}");
    for node in &lab.nodes {
        let (status, answer) = node.get(allowed).await;
        assert_eq!((status, &answer["allowed"]), (200, &json!(true)), "{answer}");
    }
    let (status, answer) = lab.nodes[1].post("/consent/revoke", &grant).await;
    assert!((200..300).contains(&status), "{status} {answer}");
    for node in &lab.nodes {
        let (status, answer) = node.get(allowed).await;
        assert_eq!((status, &answer["allowed"]), (200, &json!(false)), "{answer}");
    }
    // A campaign of SyncFlow, at whichever node.
    let flow = |node: &common::Server, path: &str| {
        format!("http://127.0.0.1:{}{path}", 8082 + node.offset)
    };
    let list =
        client().get(flow(&lab.nodes[2], "/api/v1/campaigns")).send().await.expect("an answer");
    assert_eq!(list.status(), 200);
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_is_bid_for_at_every_node_is_spent_whole_and_not_above() {
    let Some(lab) = Lab::open("hot", 3, &["shield.window_cap=1000000"]).await else { return };
    lab.nodes[0].allocate("hot", 100).await;
    let granted = Arc::new(AtomicU64::new(0));
    let lab = Arc::new(lab);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..9_usize {
        let (lab, granted) = (Arc::clone(&lab), Arc::clone(&granted));
        callers.spawn(async move {
            for n in 0..80 {
                let at = &lab.nodes[caller % 3];
                let Ok(hold) = authorise(at, "hot", 0.5, "").await else {
                    continue;
                };
                if hold["approved"] != json!(true) {
                    continue;
                }
                granted.fetch_add(1, Relaxed);
                // Told at another node than the one that granted it, with its token or without.
                let teller = &lab.nodes[(caller + n) % 3];
                let (status, answer) = settle(teller, &hold, 0.5, n % 2 == 0).await;
                assert_eq!(status, 200, "{answer}");
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.expect("a caller");
    }
    let (_, budget) = lab.nodes[1].get("/api/v1/budget/hot").await;
    let spent = budget["spent"].as_f64().expect("an amount");
    assert!((99.5..=100.0).contains(&spent), "{budget}, {} holds", granted.load(Relaxed));
    assert_eq!(granted.load(Relaxed) as f64 * 0.5, spent, "{budget}");
    let late = lab.number("SELECT CAST(COUNT(*) AS BIGINT) FROM ledger WHERE kind = 'late'").await;
    assert_eq!(late, 0, "every hold was found where it was");
    Arc::try_unwrap(lab).ok().expect("alone").close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_an_owner_is_killed_another_answers_in_time_and_the_rest_go_on() {
    let Some(mut lab) = Lab::open("killed", 3, &["shield.window_cap=1000000"]).await else {
        return;
    };
    let (theirs, ours) = (lab.campaign_of(2, "theirs").await, lab.campaign_of(0, "ours").await);
    for campaign in [&theirs, &ours] {
        lab.nodes[0].allocate(campaign, 10_000).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let failures = Arc::new(AtomicU64::new(0));
    let url = lab.nodes[1].url("/api/v1/spend");
    let beside = tokio::spawn({
        let (stop, failures) = (Arc::clone(&stop), Arc::clone(&failures));
        async move {
            let mut done = 0;
            while !stop.load(Relaxed) {
                let body = json!({"campaign_id": ours, "amount": 0.01}).to_string();
                let request = client().post(&url).header("content-type", "application/json");
                let answer = request.body(body).send().await;
                let good = answer.is_ok_and(|it| it.status().is_success());
                failures.fetch_add(u64::from(!good), Relaxed);
                done += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            done
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let killed = Instant::now();
    lab.nodes[2].kill();
    let mut dead = lab.nodes.pop().expect("the third");
    let took = loop {
        let body = json!({"campaign_id": theirs, "amount": 1});
        let (status, _) = lab.nodes[0].post("/api/v1/spend", &body).await;
        if (200..300).contains(&status) {
            break killed.elapsed();
        }
        assert!(killed.elapsed() < Duration::from_secs(20), "nobody took it over");
    };
    stop.store(true, Relaxed);
    let done: u64 = beside.await.expect("a caller");
    println!("first answer after {took:?}; {done} requests beside it");
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert_eq!(failures.load(Relaxed), 0, "of {done} requests to shards of nodes that live");
    // It comes back, and gets its part again.
    dead.restart();
    lab.nodes.push(dead);
    lab.settle().await;
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stood_still_is_replaced_and_writes_nothing_when_it_wakes() {
    let Some(mut lab) = Lab::open("stopped", 3, &["shield.window_cap=1000000"]).await else {
        return;
    };
    let campaign = lab.campaign_of(2, "camp").await;
    lab.nodes[0].allocate(&campaign, 100).await;
    // The owner has a slice of it, and a hold.
    let hold = authorise(&lab.nodes[2], &campaign, 1.0, "before").await.expect("a hold");
    assert_eq!(hold["approved"], json!(true), "{hold}");
    lab.nodes[2].signal(Signal::STOP);
    let began = Instant::now();
    loop {
        let body = json!({"campaign_id": campaign, "amount": 60});
        let (status, _) = lab.nodes[0].post("/api/v1/spend", &body).await;
        if (200..300).contains(&status) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "nobody took it over");
    }
    lab.nodes[2].signal(Signal::CONT);
    let status = lab.nodes[2].ended(Duration::from_secs(15));
    assert!(!status.success());
    lab.nodes.truncate(2);
    let mut granted = 0.0;
    for n in 0..200 {
        let at = &lab.nodes[n % 2];
        if let Ok(hold) = authorise(at, &campaign, 1.0, "").await
            && hold["approved"] == json!(true)
        {
            let (status, answer) = settle(at, &hold, 1.0, true).await;
            assert_eq!(status, 200, "{answer}");
            granted += 1.0;
        }
    }
    let (_, budget) = lab.nodes[0].get(&format!("/api/v1/budget/{campaign}")).await;
    let spent = budget["spent"].as_f64().expect("an amount");
    assert_eq!(spent, 60.0 + granted, "{budget}");
    assert!(spent <= 100.0, "{budget}");
    assert!(member(&lab.nodes[0]).await["shards"].as_u64() > Some(0));
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let settings = ["shield.window_cap=1000000", "server.drain_linger_ms=300"];
    let Some(lab) = Lab::open("rolling", 3, &settings).await else { return };
    for n in 0..9 {
        lab.nodes[0].allocate(&format!("camp_{n}"), 10_000).await;
    }
    // Whoever balances load leaves out who says that it is not ready.
    let urls: Vec<(String, String)> =
        lab.nodes.iter().map(|it| (it.url("/api/v1/spend"), it.url("/ready"))).collect();
    let ready: Arc<Vec<AtomicBool>> =
        Arc::new(urls.iter().map(|_| AtomicBool::new(true)).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for (at, (_, url)) in urls.iter().cloned().enumerate() {
        let (ready, stop) = (Arc::clone(&ready), Arc::clone(&stop));
        tasks.spawn(async move {
            while !stop.load(Relaxed) {
                let answer = client().get(&url).timeout(Duration::from_secs(1)).send().await;
                ready[at].store(answer.is_ok_and(|it| it.status().is_success()), Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Vec::new()
        });
    }
    for caller in 0..4_usize {
        let (urls, ready, stop) = (urls.clone(), Arc::clone(&ready), Arc::clone(&stop));
        tasks.spawn(async move {
            let (http, mut failed, mut n) = (client(), Vec::new(), caller);
            while !stop.load(Relaxed) {
                n += 1;
                let Some(at) = (0..3).map(|k| (n + k) % 3).find(|at| ready[*at].load(Relaxed))
                else {
                    failed.push("no node is ready".to_owned());
                    continue;
                };
                let body = json!({"campaign_id": format!("camp_{}", n % 9), "amount": 0.01});
                let request = http.post(&urls[at].0).header("content-type", "application/json");
                match request.body(body.to_string()).send().await {
                    Ok(answer) if answer.status().is_success() => {}
                    Ok(answer) => {
                        let status = answer.status();
                        failed
                            .push(format!("{status} {}", answer.text().await.unwrap_or_default()));
                    }
                    Err(error) => failed.push(format!("{error:?}")),
                }
            }
            failed.push(format!("#{n}"));
            failed
        });
    }
    let mut lab = lab;
    for at in 0..3 {
        let status = lab.nodes[at].terminate();
        assert!(status.success(), "{}", lab.nodes[at].said());
        lab.nodes[at].restart();
        // The next one goes when this one has its part again.
        let began = Instant::now();
        while !ready[at].load(Relaxed) {
            assert!(began.elapsed() < Duration::from_secs(10), "not ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.store(true, Relaxed);
    let mut failed = Vec::new();
    while let Some(done) = tasks.join_next().await {
        failed.extend(done.expect("a task"));
    }
    let (counts, failed): (Vec<String>, Vec<String>) =
        failed.into_iter().partition(|it| it.starts_with('#'));
    println!("{counts:?}");
    assert!(failed.is_empty(), "{} failed, the first: {:?}", failed.len(), failed.first());
    lab.close().await;
}
