//! A webhook, opened.

use crate::models::access::live::LiveSecrets;
use crate::models::access::pattern::Pattern;
use crate::models::shield::seal::{Binding, MasterKey, SealError};
use crate::store::WebhookRow;

/// The state of a delivery.
pub const WAITING: &str = "waiting";
pub const DELIVERED: &str = "delivered";
pub const DEAD: &str = "dead";

fn binding<'a>(account: &'a str, webhook: &'a str) -> Binding<'a> {
    Binding { account, person: webhook, purpose: "webhook.secrets" }
}

/// Its secrets, sealed for this webhook alone.
pub fn sealed(
    master: &MasterKey,
    (account, webhook): (&str, &str),
    live: &LiveSecrets,
) -> Result<String, SealError> {
    let nonce = super::super::vault::nonce();
    master.seal_secret(live.text().as_bytes(), binding(account, webhook), nonce)
}

/// The secrets of a row.
pub fn secrets(master: &MasterKey, row: &WebhookRow) -> Result<LiveSecrets, SealError> {
    let plain = master.open_secret(&row.sealed, binding(&row.account, &row.webhook))?;
    LiveSecrets::parse(&plain).map_err(|_| SealError::Format)
}

/// The patterns of a row.
///
/// # Errors
/// The row is not as it was written.
pub fn patterns(row: &WebhookRow) -> Result<Vec<Pattern>, String> {
    let texts: Vec<String> = serde_json::from_str(&row.events).map_err(|e| e.to_string())?;
    texts.iter().map(|text| Pattern::parse(text).map_err(|e| e.to_string())).collect()
}
