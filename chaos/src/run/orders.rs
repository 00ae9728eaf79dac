//! What operators do, through the admin API and the processes of a lab.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Instant;

use super::field::Field;
use super::meters::glob;
use crate::experiment::pick::{BudgetKey, Nodes};
use crate::experiment::step::Order;
use crate::history::{Answer, Op, Outcome};
use crate::load::{Reply, Request};

const POLL: Duration = Duration::from_millis(200);
/// A node that was told to end hands over first.
const ENDS: Duration = Duration::from_secs(30);

/// Does it, and returns when it is done.
///
/// # Errors
/// Why it is not.
pub async fn give(field: &Field, order: &Order, draw: u64) -> Result<(), String> {
    match order {
        Order::RollingRestart { node, pause } => {
            for name in field.cluster.named(node) {
                end(field, &name, true).await?;
                owns(field, &name).await?;
                tokio::time::sleep(Duration::from(*pause)).await;
            }
            Ok(())
        }
        Order::Drain { node } => {
            for name in field.cluster.named(node) {
                end(field, &name, false).await?;
            }
            Ok(())
        }
        Order::MoveShard { budget, to } => shard(field, budget, to, draw).await,
        Order::PauseBudget { budget } => word(field, budget, "pause").await,
        Order::ResumeBudget { budget } => word(field, budget, "resume").await,
        Order::Allocate { budget, cap } => {
            let (account, campaign) = field.budget(budget)?;
            let body = serde_json::json!({
                "campaign_id": campaign, "budget": f64::from(*cap), "currency": "USD", "account": account,
            });
            let request = Request::post("/api/v1/allocate").json(body.to_string());
            budget_order(field, &request, Op::SetCap { account, campaign, cap: cap.micros() }).await
        }
        Order::ResetBreakers { actor } => {
            for (name, url) in &field.cluster.urls.nodes {
                let request = Request::get("/api/admin/breakers".to_owned());
                let all = field
                    .cluster
                    .json(url, &request)
                    .await
                    .map_err(|why| format!("{name}: {why}"))?;
                let list = all.get("breakers").and_then(Value::as_array).into_iter().flatten();
                for path in list.filter_map(|it| it.get("path")?.as_str()) {
                    if glob(actor, path) {
                        let path = format!("/api/admin/breakers{path}/reset");
                        field.cluster.json(url, &Request::post(path)).await?;
                    }
                }
            }
            Ok(())
        }
        Order::ClearFaults { node } => {
            for name in field.cluster.named(node) {
                let url = field.cluster.admin(&name)?;
                let mut request = Request::get("/api/admin/faults".to_owned());
                request.method = reqwest::Method::DELETE;
                field.cluster.json(url, &request).await?;
            }
            Ok(())
        }
    }
}

/// Tells a node to end, by a signal or through the admin API, and starts it again.
async fn end(field: &Field, name: &str, by_signal: bool) -> Result<(), String> {
    let lab = field.cluster.lab.as_ref();
    let lab = lab.ok_or("who would start the nodes of this cluster again is not known here")?;
    let processes = lab.processes();
    if by_signal {
        processes.signal(name, Signal::TERM).map_err(|error| error.to_string())?;
    } else {
        processes.expect_end(name).map_err(|error| error.to_string())?;
        let path = format!("/api/admin/cluster/nodes/{name}/drain");
        field.cluster.json(field.cluster.admin(name)?, &Request::post(path)).await?;
    }
    let ended = processes.ended(name, ENDS).await.map_err(|error| error.to_string())?;
    match ended {
        None => {
            return Err(format!("{name} was told to end, and did not within {} s", ENDS.as_secs()));
        }
        Some(status) if !status.success() => {
            return Err(format!("{name} was told to end, and ended with {status}"));
        }
        Some(_) => {}
    }
    lab.restart(name).await.map_err(|error| error.to_string())
}

/// Waits until a node owns a part of the shards again.
async fn owns(field: &Field, name: &str) -> Result<(), String> {
    let url = field.cluster.admin(name)?;
    let pointer = format!("/shards/owners/{name}");
    loop {
        // Whoever ordered it bounds the time.
        let view = field.cluster.json(url, &Request::get("/api/admin/cluster".to_owned())).await;
        let view = view.unwrap_or_default();
        let own = view.pointer(&pointer).and_then(Value::as_u64).unwrap_or_default();
        let moving = view.pointer("/shards/closing").and_then(Value::as_u64).unwrap_or_default();
        if own > 0 && moving == 0 {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn shard(field: &Field, key: &BudgetKey, to: &Nodes, draw: u64) -> Result<(), String> {
    let (account, campaign) = field.budget(key)?;
    let owner = match to.asks_owner() {
        Some(asked) => field.owner(asked).await?,
        None => String::new(),
    };
    let to = to.at_the_moment(&owner, &field.cluster.names(), draw);
    let to = to.and_then(|names| names.first().cloned()).ok_or("no node is chosen")?;
    let (shard, _) = field.cluster.owner(&account, &campaign).await?;
    let path = format!("/api/admin/cluster/shards/{shard}/move");
    let request = Request::post(path).json(serde_json::json!({ "to": to }).to_string());
    let mut ordered = false;
    loop {
        if !ordered {
            let url = field.cluster.urls.nodes.first().map_or("", |(_, url)| url.as_str());
            // 202: it is on its way. 409 and 503 may be over in a moment.
            match field.cluster.json(url, &request).await {
                Ok(_) => ordered = true,
                Err(why) if why.contains(" 409 ") || why.contains(" 503 ") => {}
                Err(why) => return Err(why),
            }
        }
        let (_, owner) = field.cluster.owner(&account, &campaign).await?;
        if owner.as_deref() == Some(&to) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn word(field: &Field, key: &BudgetKey, word: &str) -> Result<(), String> {
    let (account, campaign) = field.budget(key)?;
    let request = Request::post(format!("/api/v1/allocations/{campaign}/{word}")).of(&account);
    let op = match word {
        "pause" => Op::Pause { account, campaign },
        _ => Op::Resume { account, campaign },
    };
    budget_order(field, &request, op).await
}

/// Sends what changes a budget until it is done; each try is in the history.
async fn budget_order(field: &Field, request: &Request, op: Op) -> Result<(), String> {
    let base = field.cluster.urls.shield.first().map_or("", String::as_str);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let id = field.invoke(base, op.clone()).await?;
        let told = field.cluster.send(base, request).await;
        let outcome = outcome(&told);
        let done = matches!(outcome, Outcome::Done { .. });
        let why = format!("{} {}: {outcome:?}", request.method, request.path);
        let refused = matches!(outcome, Outcome::Refused { .. });
        field.complete(id, outcome).await?;
        match done {
            true => return Ok(()),
            false if refused || Instant::now() >= until => return Err(why),
            false => tokio::time::sleep(POLL).await,
        }
    }
}

fn outcome(told: &Result<Reply, String>) -> Outcome {
    match told {
        Err(why) => Outcome::Unknown { why: why.as_str().into() },
        Ok(reply) => match reply.status {
            status @ 200..=299 => Outcome::Done { status, answer: Answer::default() },
            status @ (429 | 503) => Outcome::Unavailable { status, code: "unavailable".into() },
            status @ 400..=499 => Outcome::Refused { status, reason: "refused".into() },
            status => Outcome::Unknown { why: format!("status {status}").into() },
        },
    }
}
