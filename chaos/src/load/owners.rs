//! Who owns what, as each node says it: asked twice a second, written down where it changed.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::http::{Http, Lost, Reply, Request};
use super::journal::{Closed, Journal};
use super::run::LoadError;
use super::urls::Urls;
use crate::history::Line;

const EVERY: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(400);

#[derive(Deserialize)]
struct View {
    shards: Shards,
}

#[derive(Deserialize)]
struct Shards {
    each: Vec<Shard>,
}

#[derive(Deserialize)]
struct Shard {
    shard: u16,
    owner: Option<Box<str>>,
    epoch: i64,
}

/// Asks every node until `stop` is true. A node that does not answer says nothing; that is no error. How many changes
/// were seen.
///
/// # Errors
/// No client can be made, or the history cannot be written any more.
pub async fn watch_owners(
    urls: &Urls,
    journal: &Journal,
    mut stop: watch::Receiver<bool>,
) -> Result<u64, LoadError> {
    let http = Http::new(urls, TIMEOUT, TIMEOUT)?;
    let request = Request::get("/api/admin/cluster?shards=true".to_owned());
    let mut known = vec![HashMap::new(); urls.nodes.len()];
    let mut changes = 0;
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(changes),
            _ = tick.tick() => {}
        }
        let asked = urls.nodes.iter().map(|(_, url)| http.send(url, &request));
        let told = futures_util::future::join_all(asked).await;
        for (((name, _), known), told) in urls.nodes.iter().zip(&mut known).zip(told) {
            changes += seen(journal, name, known, told).await?;
        }
    }
}

async fn seen(
    journal: &Journal,
    node: &str,
    known: &mut HashMap<u16, (Box<str>, i64)>,
    told: Result<Reply, Lost>,
) -> Result<u64, Closed> {
    let Ok(reply) = told else { return Ok(0) };
    let Ok(view) = serde_json::from_slice::<View>(&reply.body) else { return Ok(0) };
    let at_us = journal.clock().now_us();
    let mut changes = 0;
    for Shard { shard, owner, epoch } in view.shards.each {
        let owner = owner.unwrap_or_default();
        if known.get(&shard) == Some(&(owner.clone(), epoch)) {
            continue;
        }
        known.insert(shard, (owner.clone(), epoch));
        changes += 1;
        journal.line(Line::Owner { at_us, seen_by: node.into(), shard, owner, epoch }).await?;
    }
    Ok(changes)
}
