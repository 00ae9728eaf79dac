//! What is asked of the actor of webhooks, and what it tells itself.

use std::collections::HashMap;

use super::attempt::Ended;
use super::rest::Hook;
use crate::actors::kernel::Reply;
use crate::store::{DeliveryRow, StoreError, WebhookRow};

/// Deliveries that are due, by webhook.
pub type Due = HashMap<Hook, Vec<DeliveryRow>>;

pub enum Msg {
    /// Find what waits, and send it.
    Look,
    /// For which webhooks something waits, and since when (wall) it is due.
    Waiting(Result<Vec<(Hook, i64)>, StoreError>),
    /// What those have that are to send now.
    Found {
        turns: Vec<Hook>,
        due: Result<Due, StoreError>,
    },
    Sent {
        row: Box<DeliveryRow>,
        ended: Ended,
    },
    /// Note once more what could not be noted.
    Note,
    Noted {
        rows: Vec<DeliveryRow>,
        noted: Result<(), StoreError>,
    },
    /// Write a webhook, new or changed.
    Put {
        row: Box<WebhookRow>,
        reply: Reply<Kept>,
    },
    Delete {
        account: String,
        webhook: String,
        reply: Reply<Kept>,
    },
    Ping {
        account: String,
        webhook: String,
        reply: Reply<Pinged>,
    },
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Saved,
    /// The account has all the webhooks that it may have.
    Full,
    Unavailable,
}

/// What became of a ping.
pub enum Pinged {
    /// With the id of its event.
    Sent(String),
    /// One before it still waits.
    Waits,
    Unavailable,
}
