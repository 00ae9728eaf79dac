//! `/shield/webhooks`: the one writer of webhooks, and the sender of what is due.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::hook::{DEAD, DELIVERED, secrets};
use super::metrics;
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::connectors::hook::{HookClient, Message, SendError};
use crate::models::access::hook::sign;
use crate::store::{DeliveryRow, Gone, Outcome, StoreError, WebhookRow, Write};

const EVERY: Duration = Duration::from_millis(250);
const AGAIN: Duration = Duration::from_secs(1);
/// Attempts under way at a time, and of one webhook.
const IN_FLIGHT_MAX: usize = 8;
const OF_ONE_MAX: usize = 2;
const PAGE: u32 = 64;
/// What is over is kept for a week.
const KEPT_US: i64 = 7 * 86_400 * 1_000_000;
const PRUNE_EVERY_US: i64 = 60_000_000;
const PRUNED: u32 = 1_000;

/// A delivery by name: account, webhook, event.
type Key = (String, String, String);

pub enum Msg {
    Look,
    Found(Result<Vec<DeliveryRow>, StoreError>),
    Sent {
        row: Box<DeliveryRow>,
        result: Result<(), SendError>,
    },
    /// Write a webhook, new or changed.
    Put {
        row: Box<WebhookRow>,
        reply: Reply<bool>,
    },
    Delete {
        account: String,
        webhook: String,
        reply: Reply<bool>,
    },
}

/// As operators see it. URLs are not shown: they may hold secrets.
#[derive(Clone, Default, Serialize)]
pub struct View {
    in_flight: usize,
    delivered: u64,
    failed: u64,
    dead: u64,
    pruned: u64,
    last_error: Option<String>,
}

pub struct HooksActor {
    shared: Arc<Shared>,
    client: HookClient,
    in_flight: HashSet<Key>,
    /// Ended since the look under way began: it may have found them still due.
    ended: HashSet<Key>,
    /// Monotonic time of the next look for old ones.
    prune_due_us: i64,
    view: View,
}

impl HooksActor {
    pub fn new(shared: Arc<Shared>, client: HookClient) -> HooksActor {
        HooksActor {
            shared,
            client,
            in_flight: HashSet::new(),
            ended: HashSet::new(),
            prune_due_us: 0,
            view: View::default(),
        }
    }

    /// Whether it was committed.
    async fn commit(&mut self, account: &str, webhook: &str, write: Write) -> Result<bool, Fault> {
        let budget = format!("@webhook/{webhook}");
        let name = BudgetName { account: account.into(), budget: budget.as_str().into() };
        let shard = name.shard();
        let epoch = self.shared.epoch(shard);
        let write = Write { account: account.to_owned(), budget, shard, epoch, ..write };
        let Ok(outcome) = self.shared.committer.submit(write) else { return Ok(false) };
        match outcome.await {
            Ok(Outcome::Committed) => Ok(true),
            // Another change came between the read and this write.
            Ok(Outcome::Stale) => Ok(false),
            Ok(Outcome::Failed(error)) => {
                self.view.last_error = Some(error.to_string());
                Ok(false)
            }
            other => Err(Fault::new(format!("a webhook's row: {other:?}"))),
        }
    }

    fn send(&mut self, rows: Vec<DeliveryRow>, cx: &mut Cx<Self>) {
        for row in rows {
            let key = key(&row);
            let of_one = |k: &&Key| k.0 == key.0 && k.1 == key.1;
            let room = self.in_flight.len() < IN_FLIGHT_MAX
                && self.in_flight.iter().filter(of_one).count() < OF_ONE_MAX;
            if !room || self.ended.contains(&key) || !self.in_flight.insert(key) {
                continue;
            }
            let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
            let work = async move {
                let result = attempt(&shared, &client, &row).await;
                (Box::new(row), result)
            };
            cx.pipe(work, |(row, result)| Msg::Sent { row, result });
        }
        self.view.in_flight = self.in_flight.len();
    }

    async fn sent(&mut self, row: DeliveryRow, result: Result<(), SendError>) {
        let now = clock::wall_us();
        let of = key(&row);
        let attempts = row.attempts + 1;
        let mut next = DeliveryRow { attempts, updated_at: now, ..row };
        let outcome = match &result {
            Ok(()) => {
                next.status = DELIVERED.to_owned();
                next.last_error = None;
                self.view.delivered += 1;
                "delivered"
            }
            Err(error) => {
                next.last_error = Some(error.to_string());
                self.view.last_error = Some(error.to_string());
                let failed = u32::try_from(attempts).unwrap_or(u32::MAX);
                let waited = now.saturating_sub(next.created_at);
                let schedule = self.shared.terms.webhooks.schedule;
                match schedule.next_attempt(failed, waited, rand::random()) {
                    Some(pause) => {
                        next.next_at = now.saturating_add(pause);
                        self.view.failed += 1;
                        "failed"
                    }
                    None => {
                        next.status = DEAD.to_owned();
                        self.view.dead += 1;
                        tracing::warn!(webhook = %next.webhook, event = %next.event, %error,
                            "a webhook never took an event");
                        "dead"
                    }
                }
            }
        };
        metrics::tried(outcome);
        if let Err(error) = self.shared.store.delivery_tried(&next).await {
            // It stays due and is sent again: receivers know an id that they have seen.
            self.view.last_error = Some(error.to_string());
        }
        self.in_flight.remove(&of);
        self.ended.insert(of);
        self.view.in_flight = self.in_flight.len();
    }

    async fn prune(&mut self) {
        let now_us = clock::mono_us();
        if now_us < self.prune_due_us {
            return;
        }
        let pruned = self.shared.store.deliveries_prune(clock::wall_us() - KEPT_US, PRUNED).await;
        match pruned {
            Ok(n) => self.view.pruned += n,
            Err(ref error) => self.view.last_error = Some(error.to_string()),
        }
        if pruned != Ok(u64::from(PRUNED)) {
            self.prune_due_us = now_us + PRUNE_EVERY_US;
        }
    }
}

fn key(row: &DeliveryRow) -> Key {
    (row.account.clone(), row.webhook.clone(), row.event.clone())
}

/// One attempt, signed now with the secrets that live now.
async fn attempt(shared: &Shared, client: &HookClient, row: &DeliveryRow) -> Result<(), SendError> {
    let failed = |why: &str| SendError::Transport(why.to_owned());
    let hook = shared.store.webhook(&row.account, &row.webhook).await;
    let hook = hook.map_err(|_| failed("the store is not available"))?;
    let hook = hook.ok_or_else(|| failed("the webhook was deleted"))?;
    let live = secrets(shared.vault.master(), &hook);
    let live = live.map_err(|_| failed("the secrets cannot be opened"))?;
    let now = clock::wall_us();
    let signature = sign(&live.at(now), now / 1_000_000, &row.event, row.body.as_bytes());
    let message = Message { id: row.event.clone(), signature, body: row.body.clone() };
    client.send(&hook.url, message).await
}

impl Actor for HooksActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "webhooks";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.in_flight.clear();
        cx.send_after(Duration::ZERO, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look => {
                self.ended.clear();
                let shared = Arc::clone(&self.shared);
                let due = async move { shared.store.deliveries_due(clock::wall_us(), PAGE).await };
                cx.pipe(due, Msg::Found);
            }
            Msg::Found(Ok(rows)) => {
                self.send(rows, cx);
                self.prune().await;
                cx.send_after(EVERY, Msg::Look);
            }
            Msg::Found(Err(error)) => {
                self.view.last_error = Some(error.to_string());
                cx.send_after(AGAIN, Msg::Look);
            }
            Msg::Sent { row, result } => {
                self.sent(*row, result).await;
            }
            Msg::Put { row, reply } => {
                let (account, webhook) = (row.account.clone(), row.webhook.clone());
                let write = Write { puts: vec![(*row).into()], ..Write::default() };
                let done = self.commit(&account, &webhook, write).await?;
                reply.send(done);
            }
            Msg::Delete { account, webhook, reply } => {
                let gone = vec![Gone::Webhook { webhook: webhook.clone() }];
                let write = Write { gone, ..Write::default() };
                let done = self.commit(&account, &webhook, write).await?;
                reply.send(done);
            }
        }
        Ok(())
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look => "Look",
            Msg::Found(_) => "Found",
            Msg::Sent { .. } => "Sent",
            Msg::Put { .. } => "Put",
            Msg::Delete { .. } => "Delete",
        }
    }
}
