//! Books what is missing the way the exchange should have: by the notices of the bill.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::Client;

use super::super::report::Sold;
use crate::models::shield::entry::Op;

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls on the way at once.
const AT_ONCE: usize = 32;

/// What a notice was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Answered,
    /// By a status that says not to try again.
    Refused,
    /// Tried to the end of the patience.
    Unanswered,
    /// The bill has no address for it.
    NoAddress,
}

/// The address by which an impression is booked: that of the billing, or else that of the win.
fn address(sold: &Sold) -> Option<&str> {
    sold.billing.url.as_deref().or(sold.win.url.as_deref())
}

/// Calls the notices of these impressions, each until it is answered.
pub async fn call<'a>(
    client: &Client,
    missing: impl Iterator<Item = (Op, &'a Sold)>,
    give_up_after: Duration,
) -> HashMap<Op, Heard> {
    let calls = missing.map(|(hold, sold)| async move {
        let heard = match address(sold) {
            Some(url) => until_answered(client, url, give_up_after).await,
            None => Heard::NoAddress,
        };
        (hold, heard)
    });
    futures_util::stream::iter(calls).buffer_unordered(AT_ONCE).collect().await
}

async fn until_answered(client: &Client, url: &str, give_up_after: Duration) -> Heard {
    let begun = Instant::now();
    let mut backoff = BACKOFF_MIN;
    loop {
        match client.get(url).timeout(CALL_TIMEOUT).send().await.map(|answer| answer.status()) {
            Ok(status) if status.is_success() => return Heard::Answered,
            Ok(status)
                if !status.is_server_error()
                    && !matches!(status.as_u16(), 408 | 409 | 425 | 429) =>
            {
                return Heard::Refused;
            }
            Ok(_) | Err(_) => {}
        }
        if begun.elapsed() + backoff > give_up_after {
            return Heard::Unanswered;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}
