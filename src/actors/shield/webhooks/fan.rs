//! From events to deliveries.

use std::collections::HashMap;

use super::hook::{WAITING, patterns};
use crate::actors::shield::shared::Shared;
use crate::actors::shield::view::rfc3339;
use crate::clock;
use crate::models::access::pattern::Pattern;
use crate::store::{DeliveryRow, OutboxRow, StoreError};

/// What a receiver gets.
pub fn body(event: &OutboxRow) -> String {
    let data: serde_json::Value = serde_json::from_str(&event.payload).unwrap_or_default();
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

/// A delivery that is due now.
pub fn delivery(event: &OutboxRow, webhook: &str, now: i64) -> DeliveryRow {
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
    let hooks = shared.store.webhooks().await?;
    if hooks.is_empty() || events.is_empty() {
        return Ok(0);
    }
    let mut wants: HashMap<&str, Vec<(&str, Vec<Pattern>)>> = HashMap::new();
    for hook in hooks.iter().filter(|hook| hook.disabled == 0) {
        wants.entry(&hook.account).or_default().push((&hook.webhook, patterns(hook)));
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
