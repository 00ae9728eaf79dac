//! From events to deliveries.

use std::collections::{BTreeSet, HashMap};

use super::hook::{WAITING, patterns};
use super::metrics;
use crate::actors::shield::shared::Shared;
use crate::actors::shield::view::rfc3339;
use crate::clock;
use crate::models::access::pattern::Pattern;
use crate::store::{DeliveryRow, OutboxRow, StoreError};

/// The ids of pings begin so. Those of other events are hexadecimal: they sort before all pings, and
/// pings sort by time.
pub const PING: &str = "ping_";

/// What a receiver gets.
fn body(event: &OutboxRow) -> String {
    // that something happened is told even where it cannot be read what
    let data = serde_json::from_str(&event.payload).unwrap_or_else(|error| {
        metrics::unreadable();
        tracing::error!(account = %event.account, event = %event.id, %error,
            "an event's data cannot be read: it is sent without them");
        serde_json::Value::Null
    });
    serde_json::json!({
        "id": event.id,
        "event": event.kind,
        "account": event.account,
        "subject": event.subject,
        "at": rfc3339(event.created_at),
        "data": data,
    })
    .to_string()
}

/// A ping that is due now.
pub fn ping(account: String, webhook: &str, now: i64) -> DeliveryRow {
    let event = OutboxRow {
        account,
        id: format!("{PING}{}", uuid::Uuid::now_v7().simple()),
        kind: "ping".to_owned(),
        subject: webhook.to_owned(),
        payload: "{}".to_owned(),
        created_at: now,
        delivered_at: None,
    };
    delivery(&event, webhook, now)
}

/// A delivery that is due now.
fn delivery(event: &OutboxRow, webhook: &str, now: i64) -> DeliveryRow {
    DeliveryRow {
        account: event.account.clone(),
        webhook: webhook.to_owned(),
        event: event.id.clone(),
        body: body(event),
        status: WAITING.to_owned(),
        attempts: 0,
        next_at: now,
        last_error: None,
        created_at: now,
        updated_at: now,
    }
}

/// Writes a delivery for each of these events and each webhook of its account that wants it. Doing it
/// again adds none: an event is marked as delivered only after this.
///
/// # Errors
/// The store does not answer.
pub async fn fan_out(shared: &Shared, events: &[OutboxRow]) -> Result<u64, StoreError> {
    let accounts: BTreeSet<&str> = events.iter().map(|event| &*event.account).collect();
    let mut hooks = Vec::new();
    for account in accounts {
        hooks.extend(shared.store.webhooks_of(account).await?);
    }
    let mut wants: HashMap<&str, Vec<(&str, Vec<Pattern>)>> = HashMap::new();
    for hook in hooks.iter().filter(|hook| hook.disabled == 0) {
        // one damaged row must not keep the events of others back
        let patterns = patterns(hook).unwrap_or_else(|error| {
            metrics::unreadable();
            tracing::error!(account = %hook.account, webhook = %hook.webhook, error,
                "a webhook's events cannot be read: it gets every event until it is changed");
            Pattern::parse("*").into_iter().collect()
        });
        wants.entry(&hook.account).or_default().push((&hook.webhook, patterns));
    }
    let now = clock::wall_us();
    let mut rows = Vec::new();
    for event in events {
        for (webhook, patterns) in wants.get(event.account.as_str()).into_iter().flatten() {
            if patterns.iter().any(|pattern| pattern.matches(&event.kind)) {
                rows.push(delivery(event, webhook, now));
            }
        }
    }
    match rows.is_empty() {
        true => Ok(0),
        false => shared.store.deliveries_put(&rows).await,
    }
}
