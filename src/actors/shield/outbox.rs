//! `/shield/outbox`: what happened to budgets leaves here, in order and at least once.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault, Registry};
use crate::clock;
use crate::json;
use crate::store::OutboxRow;

const EVERY: Duration = Duration::from_millis(250);
const PAGE: u32 = 256;
/// Delivered events and holds that are over are kept for a week.
const KEPT_US: i64 = 7 * 86_400 * 1_000_000;
/// How often the journal of holds is looked through for old ones.
const HOLDS_EVERY_US: i64 = 60_000_000;
/// Holds that are deleted at once: a look that finds more goes on with the next.
const HOLDS_PRUNED: u32 = 1_000;

pub struct OutboxActor {
    shared: Arc<Shared>,
    registry: Registry,
    view: View,
    /// Monotonic time of the next look for old holds.
    holds_due_us: i64,
}

pub enum Msg {
    Look,
    Read(Result<Vec<OutboxRow>, Fault>),
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    delivered: u64,
    holds_pruned: u64,
    last_error: Option<String>,
}

impl OutboxActor {
    pub fn new(shared: Arc<Shared>, registry: Registry) -> OutboxActor {
        // Not at the start, when there is enough to do.
        let holds_due_us = clock::mono_us() + HOLDS_EVERY_US;
        OutboxActor { shared, registry, view: View::default(), holds_due_us }
    }
}

impl Actor for OutboxActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "outbox";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(EVERY, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            // Once for all nodes: what is told twice in between is told at least once.
            Msg::Look if !self.shared.is_first() => cx.send_after(EVERY, Msg::Look),
            Msg::Look => {
                let shared = Arc::clone(&self.shared);
                cx.pipe(async move { Ok(shared.store.outbox_pending(PAGE).await?) }, Msg::Read);
            }
            Msg::Read(Ok(rows)) => {
                let again = if rows.len() as u32 == PAGE { Duration::ZERO } else { EVERY };
                self.deliver(rows).await;
                self.forget_holds().await;
                cx.send_after(again, Msg::Look);
            }
            Msg::Read(Err(fault)) => {
                self.view.last_error = Some(fault.to_string());
                cx.send_after(EVERY * 4, Msg::Look);
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
}

impl OutboxActor {
    async fn deliver(&mut self, rows: Vec<OutboxRow>) {
        if rows.is_empty() {
            return;
        }
        // First: what is marked below is not read again.
        if let Err(error) = super::webhooks::fan_out(&self.shared, &rows).await {
            self.view.last_error = Some(error.to_string());
            return;
        }
        for row in &rows {
            let payload: serde_json::Value = json::stored(&row.payload);
            tracing::info!(account = %row.account, budget = %row.subject, event = %row.kind,
                payload = %row.payload, "{} of {}/{}", row.kind, row.account, row.subject);
            let data = serde_json::json!({
                "kind": row.kind, "account": row.account, "subject": row.subject, "data": payload,
                "at": super::view::rfc3339(row.created_at),
            });
            match row.kind.starts_with("ltv.") {
                true => {
                    self.registry.emit("value", format!("/value/registry/{}", row.account), data)
                }
                false => {
                    self.registry.emit("shield", format!("/shield/budget/{}", row.subject), data)
                }
            }
        }
        let ids: Vec<String> = rows.iter().map(|r| r.id.clone()).collect();
        let now = clock::wall_us();
        let marked = self.shared.store.outbox_delivered(&ids, now).await;
        match marked {
            Ok(n) => self.view.delivered += n,
            Err(error) => self.view.last_error = Some(error.to_string()),
        }
        if let Err(error) = self.shared.store.outbox_prune(now - KEPT_US, 1_000).await {
            self.view.last_error = Some(error.to_string());
        }
    }

    /// Deletes holds that nobody can ask for any more.
    async fn forget_holds(&mut self) {
        let now_us = clock::mono_us();
        if now_us < self.holds_due_us {
            return;
        }
        let pruned = self.shared.store.holds_prune(clock::wall_us() - KEPT_US, HOLDS_PRUNED).await;
        match pruned {
            Ok(n) => self.view.holds_pruned += n,
            Err(ref error) => self.view.last_error = Some(error.to_string()),
        }
        if pruned != Ok(u64::from(HOLDS_PRUNED)) {
            self.holds_due_us = now_us + HOLDS_EVERY_US;
        }
    }
}
