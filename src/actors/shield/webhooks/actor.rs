//! `/shield/webhooks`: the one writer of webhooks, and the sender of what is due.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::attempt::{Ended, Fate, attempt, judged};
use super::fan::{PING, ping};
use super::hook::WAITING;
use super::message::{Due, Kept, Msg, Pinged};
use super::metrics;
use super::rest::{Hook, Rests, SILENT_MAX};
use super::service::WEBHOOKS_MAX;
use super::turn::{Slots, behind, turns};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::actors::shield::view::rfc3339;
use crate::clock;
use crate::connectors::hook::HookClient;
use crate::store::{DeliveryRow, Gone, Outcome, StoreError, WebhookRow, Write};

const EVERY: Duration = Duration::from_millis(250);
const AGAIN: Duration = Duration::from_secs(1);
/// Accounts that a look finds at most: the next one goes on behind them.
const ACCOUNTS: u32 = 128;
/// Deliveries of one webhook that are read for its turns: the first of them may be under way.
const OF_ONE: u32 = 4;
/// What is over is kept for a week.
const KEPT_US: i64 = 7 * 86_400 * 1_000_000;
const PRUNE_EVERY_US: i64 = 60_000_000;
const PRUNED: u32 = 1_000;
/// Resting webhooks that are shown.
const SHOWN_MAX: usize = 16;

/// A webhook that nothing is sent to for a while.
#[derive(Clone, Serialize)]
pub struct Resting {
    account: String,
    webhook: String,
    /// Attempts in a row without an answer.
    silences: u32,
    /// When it is asked again; without: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// As operators see it. URLs are not shown: they may hold secrets.
#[derive(Clone, Default, Serialize)]
pub struct View {
    in_flight: usize,
    /// Webhooks that rest, and the first of them.
    resting: usize,
    resting_first: Vec<Resting>,
    delivered: u64,
    failed: u64,
    dead: u64,
    /// Of those: given up without another attempt.
    expired: u64,
    pruned: u64,
    last_error: Option<String>,
}

pub struct HooksActor {
    shared: Arc<Shared>,
    client: HookClient,
    slots: Slots,
    rests: Rests,
    /// Attempts that are over and not noted yet. Their slots stay taken: what cannot be noted is not
    /// sent over and over again.
    unnoted: Vec<DeliveryRow>,
    /// One write of them is under way, or waits to be tried again.
    noting: bool,
    /// Noted since the look under way began: it may have found them still due.
    ended: HashSet<(Hook, String)>,
    /// The account that the next look begins behind.
    after: String,
    /// Monotonic time of the next look for old ones.
    prune_due_us: i64,
    view: View,
}

impl HooksActor {
    pub fn new(shared: Arc<Shared>, client: HookClient) -> HooksActor {
        HooksActor {
            slots: Slots::default(),
            rests: Rests::new(shared.terms.webhooks.schedule),
            unnoted: Vec::new(),
            noting: false,
            ended: HashSet::new(),
            after: String::new(),
            prune_due_us: 0,
            view: View::default(),
            shared,
            client,
        }
    }

    async fn commit(&mut self, account: &str, webhook: &str, write: Write) -> Result<Kept, Fault> {
        let budget = format!("@webhook/{webhook}");
        let name = BudgetName { account: account.into(), budget: budget.as_str().into() };
        let shard = name.shard();
        let epoch = self.shared.epoch(shard);
        let write = Write { account: account.to_owned(), budget, shard, epoch, ..write };
        let Ok(outcome) = self.shared.committer.submit(write) else { return Ok(Kept::Unavailable) };
        match outcome.await {
            Ok(Outcome::Committed) => Ok(Kept::Saved),
            // Another change came between the read and this write.
            Ok(Outcome::Stale) => Ok(Kept::Unavailable),
            Ok(Outcome::Failed(error)) => {
                self.troubled(&error);
                Ok(Kept::Unavailable)
            }
            other => Err(Fault::new(format!("a webhook's row: {other:?}"))),
        }
    }

    async fn put(&mut self, row: WebhookRow) -> Result<Kept, Fault> {
        // Here, where one comes after the other: two at a time cannot both be the last.
        if row.version == 1 {
            match self.shared.store.webhooks_of(&row.account).await {
                Ok(rows) if rows.len() >= WEBHOOKS_MAX => return Ok(Kept::Full),
                Ok(_) => {}
                Err(error) => {
                    self.troubled(&error);
                    return Ok(Kept::Unavailable);
                }
            }
        }
        let (account, webhook) = (row.account.clone(), row.webhook.clone());
        let write = Write { puts: vec![row.into()], ..Write::default() };
        self.commit(&account, &webhook, write).await
    }

    async fn delete(&mut self, hook: &Hook) -> Result<Kept, Fault> {
        let gone = vec![Gone::Webhook { webhook: hook.1.clone() }];
        let write = Write { gone, ..Write::default() };
        let kept = self.commit(&hook.0, &hook.1, write).await?;
        if kept == Kept::Saved {
            self.rests.answered(hook);
            self.show_rests();
        }
        Ok(kept)
    }

    /// A ping, unless the one before it waits: whoever may operate cannot fill the table with them.
    async fn ping(&mut self, account: String, webhook: &str) -> Pinged {
        let last = self.shared.store.last_delivery_from((&account, webhook), PING).await;
        match last {
            Ok(Some(last)) if last.status == WAITING => return Pinged::Waits,
            Ok(_) => {}
            Err(error) => {
                self.troubled(&error);
                return Pinged::Unavailable;
            }
        }
        let row = ping(account, webhook, clock::wall_us());
        match self.shared.store.deliveries_put(std::slice::from_ref(&row)).await {
            Ok(_) => Pinged::Sent(row.event),
            Err(error) => {
                self.troubled(&error);
                Pinged::Unavailable
            }
        }
    }

    /// Looks for what waits, unless nothing more could be sent.
    async fn look(&mut self, cx: &mut Cx<Self>) {
        self.prune().await;
        self.ended.clear();
        if self.slots.full() {
            cx.send_after(EVERY, Msg::Look);
            return;
        }
        let (shared, after) = (Arc::clone(&self.shared), self.after.clone());
        let work = async move { shared.store.deliveries_waiting(&after, ACCOUNTS).await };
        cx.pipe(work, Msg::Waiting);
    }

    /// Chooses whose turn it is, and reads what they send.
    fn waiting(&mut self, waiting: Vec<(Hook, i64)>, cx: &mut Cx<Self>) {
        self.after = behind(&waiting, ACCOUNTS as usize);
        let now = clock::wall_us();
        // Those of other accounts are sent by the nodes of these.
        let placement = &self.shared.placement;
        let here = |hook: &Hook| placement.admits(BudgetName::account(&hook.0).place());
        let due = waiting.into_iter().filter(|(hook, at)| *at <= now && here(hook));
        let due = due.map(|(hook, _)| hook);
        let turns =
            turns(due.collect(), &self.slots, &self.rests, clock::mono_us(), rand::random::<u64>);
        if turns.is_empty() {
            cx.send_after(EVERY, Msg::Look);
            return;
        }
        let shared = Arc::clone(&self.shared);
        let work = async move {
            let due = due_of(&shared, &turns, now).await;
            (turns, due)
        };
        cx.pipe(work, |(turns, due)| Msg::Found { turns, due });
    }

    fn send(&mut self, turns: Vec<Hook>, mut due: Due, cx: &mut Cx<Self>) {
        let now_us = clock::mono_us();
        for hook in turns {
            if self.slots.full() {
                break;
            }
            let standing = self.rests.standing(&hook, now_us);
            let Some(doubtful) = self.slots.room(&hook, standing) else { continue };
            let Some(rows) = due.get_mut(&hook) else { continue };
            let fresh = |row: &DeliveryRow| {
                !self.slots.holds(&hook, &row.event)
                    && !self.ended.contains(&(hook.clone(), row.event.clone()))
            };
            let Some(at) = rows.iter().position(fresh) else { continue };
            let row = Box::new(rows.remove(at));
            self.slots.take(&hook, &row.event, doubtful);
            self.rests.begins(&hook, now_us);
            let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
            let work = async move {
                let ended = attempt(&shared, &client, &row).await;
                (row, ended)
            };
            cx.pipe(work, |(row, ended)| Msg::Sent { row, ended });
        }
        self.view.in_flight = self.slots.taken();
    }

    fn sent(&mut self, row: DeliveryRow, ended: &Ended, cx: &mut Cx<Self>) {
        let schedule = self.shared.terms.webhooks.schedule;
        let (row, fate) = judged(row, ended, schedule, clock::wall_us(), rand::random());
        metrics::tried(fate.as_str());
        match fate {
            Fate::Delivered => self.view.delivered += 1,
            Fate::Failed => self.view.failed += 1,
            Fate::Dead => {
                self.view.dead += 1;
                let why = row.last_error.as_deref().unwrap_or_default();
                tracing::warn!(webhook = %row.webhook, event = %row.event, why,
                    "a webhook never took an event");
            }
        }
        if row.last_error.is_some() {
            self.view.last_error.clone_from(&row.last_error);
        }
        self.heard(&hook_of(&row), ended);
        self.unnoted.push(row);
        self.note(cx);
    }

    /// What an attempt says about its receiver.
    fn heard(&mut self, hook: &Hook, ended: &Ended) {
        let (account, webhook) = (&hook.0, &hook.1);
        let answered = ended.answered();
        if answered == Some(false) {
            if self.rests.silent(hook, clock::mono_us()) {
                metrics::rested();
                tracing::warn!(%account, %webhook,
                    "webhook {webhook} rests: {SILENT_MAX} attempts in a row had no answer");
            }
        } else if answered == Some(true) || *ended == Ended::Gone {
            let rested = self.rests.answered(hook);
            if rested && answered.is_some() {
                tracing::info!(%account, %webhook, "webhook {webhook} answers again");
            }
        }
        self.show_rests();
    }

    fn show_rests(&mut self) {
        let (mono, wall) = (clock::mono_us(), clock::wall_us());
        let at = |until: i64| rfc3339(wall.saturating_add(until.saturating_sub(mono)));
        self.view.resting = self.rests.resting().count();
        let first = self.rests.resting().take(SHOWN_MAX).map(|rest| Resting {
            account: rest.hook.0.clone(),
            webhook: rest.hook.1.clone(),
            silences: rest.silences,
            until: rest.until_us.map(at),
        });
        self.view.resting_first = first.collect();
        metrics::resting(self.view.resting);
    }

    /// Notes the attempts that are over: one write at a time, of all there are, for the store has
    /// budgets to write as well.
    fn note(&mut self, cx: &mut Cx<Self>) {
        if self.noting || self.unnoted.is_empty() {
            return;
        }
        self.noting = true;
        let (shared, rows) = (Arc::clone(&self.shared), std::mem::take(&mut self.unnoted));
        let work = async move {
            let noted = shared.store.deliveries_tried(&rows).await;
            (rows, noted)
        };
        cx.pipe(work, |(rows, noted)| Msg::Noted { rows, noted });
    }

    fn noted(&mut self, rows: Vec<DeliveryRow>, noted: Result<(), StoreError>, cx: &mut Cx<Self>) {
        if let Err(error) = noted {
            tracing::warn!(%error, attempts = rows.len(),
                "attempts to send events cannot be noted, which is tried again");
            self.troubled(&error);
            self.unnoted.extend(rows);
            cx.send_after(AGAIN, Msg::Note);
            return;
        }
        self.noting = false;
        for row in rows {
            let hook = hook_of(&row);
            self.slots.free(&hook, &row.event);
            self.ended.insert((hook, row.event));
        }
        self.view.in_flight = self.slots.taken();
        self.note(cx);
    }

    async fn prune(&mut self) {
        let now_us = clock::mono_us();
        if now_us < self.prune_due_us {
            return;
        }
        self.rests.forget(now_us);
        self.show_rests();
        if !self.shared.is_first() {
            self.prune_due_us = now_us + PRUNE_EVERY_US;
            return;
        }
        let now = clock::wall_us();
        // The last attempt is made at the very end; what is still there long after it had no turn.
        let schedule = self.shared.terms.webhooks.schedule;
        let over = schedule.give_up_us.saturating_add(schedule.delay_max_us);
        let expired =
            self.shared.store.deliveries_expire(now.saturating_sub(over), now, PRUNED).await;
        match &expired {
            Ok(0) => {}
            Ok(n) => {
                self.view.expired += n;
                self.view.dead += n;
                metrics::expired(*n);
                tracing::warn!(
                    deliveries = n,
                    "{n} deliveries are dead: their webhooks did not answer in all their time"
                );
            }
            Err(error) => self.troubled(error),
        }
        let pruned = self.shared.store.deliveries_prune(now.saturating_sub(KEPT_US), PRUNED).await;
        match &pruned {
            Ok(n) => self.view.pruned += n,
            Err(error) => self.troubled(error),
        }
        // a look that finds more goes on with the next
        let more = Ok(u64::from(PRUNED));
        if expired != more && pruned != more {
            self.prune_due_us = now_us + PRUNE_EVERY_US;
        }
    }

    fn troubled(&mut self, error: &StoreError) {
        self.view.last_error = Some(error.to_string());
    }
}

fn hook_of(row: &DeliveryRow) -> Hook {
    (row.account.clone(), row.webhook.clone())
}

async fn due_of(shared: &Shared, turns: &[Hook], now: i64) -> Result<Due, StoreError> {
    let mut due = Due::new();
    for hook in turns {
        if due.contains_key(hook) {
            continue;
        }
        let rows = shared.store.deliveries_due((&hook.0, &hook.1), now, OF_ONE).await?;
        due.insert(hook.clone(), rows);
    }
    Ok(due)
}

impl Actor for HooksActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "webhooks";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(Duration::ZERO, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look => self.look(cx).await,
            Msg::Waiting(Ok(waiting)) => self.waiting(waiting, cx),
            Msg::Found { turns, due: Ok(due) } => {
                self.send(turns, due, cx);
                cx.send_after(EVERY, Msg::Look);
            }
            Msg::Waiting(Err(error)) | Msg::Found { due: Err(error), .. } => {
                self.troubled(&error);
                cx.send_after(AGAIN, Msg::Look);
            }
            Msg::Sent { row, ended } => self.sent(*row, &ended, cx),
            Msg::Note => {
                self.noting = false;
                self.note(cx);
            }
            Msg::Noted { rows, noted } => self.noted(rows, noted, cx),
            Msg::Put { row, reply } => {
                let kept = self.put(*row).await?;
                reply.send(kept);
            }
            Msg::Delete { account, webhook, reply } => {
                let kept = self.delete(&(account, webhook)).await?;
                reply.send(kept);
            }
            Msg::Ping { account, webhook, reply } => {
                let pinged = self.ping(account, &webhook).await;
                reply.send(pinged);
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
            Msg::Waiting(_) => "Waiting",
            Msg::Found { .. } => "Found",
            Msg::Sent { .. } => "Sent",
            Msg::Note => "Note",
            Msg::Noted { .. } => "Noted",
            Msg::Put { .. } => "Put",
            Msg::Delete { .. } => "Delete",
            Msg::Ping { .. } => "Ping",
        }
    }
}
