//! One attempt to send a delivery, and what becomes of the delivery by it.

use super::hook::{DEAD, DELIVERED, secrets};
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::connectors::hook::{HookClient, Message, SendError};
use crate::models::access::hook::sign;
use crate::models::access::retry::Schedule;
use crate::store::DeliveryRow;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Taken,
    /// The receiver did not take it, or nobody knows.
    Failed(SendError),
    /// It was not sent, for a reason of ours.
    NotSent(&'static str),
    /// There is no such webhook any more.
    Gone,
}

impl Ended {
    /// Whether the receiver answered, whatever it said; `None` where nothing was asked.
    pub fn answered(&self) -> Option<bool> {
        match self {
            Ended::Taken | Ended::Failed(SendError::Status(_)) => Some(true),
            Ended::Failed(SendError::Timeout | SendError::Transport(_)) => Some(false),
            Ended::Failed(SendError::Url(_)) | Ended::NotSent(_) | Ended::Gone => None,
        }
    }
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    /// It is tried again.
    Failed,
    Dead,
}

impl Fate {
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::Failed => "failed",
            Fate::Dead => "dead",
        }
    }
}

/// One attempt, signed now with the secrets that live now.
pub async fn attempt(shared: &Shared, client: &HookClient, row: &DeliveryRow) -> Ended {
    let hook = match shared.store.webhook(&row.account, &row.webhook).await {
        Ok(Some(hook)) => hook,
        Ok(None) => return Ended::Gone,
        Err(error) => {
            tracing::warn!(webhook = %row.webhook, event = %row.event, %error,
                "an event is not sent: the webhook cannot be read");
            return Ended::NotSent("the store is not available");
        }
    };
    let live = match secrets(shared.vault.master(), &hook) {
        Ok(live) => live,
        Err(error) => {
            tracing::error!(webhook = %row.webhook, event = %row.event, %error,
                "an event is not sent: the webhook's secrets cannot be opened");
            return Ended::NotSent("the secrets cannot be opened");
        }
    };
    let now = clock::wall_us();
    let signature = sign(&live.at(now), now / 1_000_000, &row.event, row.body.as_bytes());
    let message = Message { id: row.event.clone(), signature, body: row.body.clone() };
    match client.send(&hook.url, message).await {
        Ok(()) => Ended::Taken,
        Err(error) => Ended::Failed(error),
    }
}

/// The delivery after an attempt that ended at `now` (wall). `entropy` is random.
pub fn judged(
    row: DeliveryRow,
    ended: &Ended,
    schedule: Schedule,
    now: i64,
    entropy: u64,
) -> (DeliveryRow, Fate) {
    let next = DeliveryRow { attempts: row.attempts + 1, updated_at: now, ..row };
    let error = match ended {
        Ended::Taken => {
            let status = DELIVERED.to_owned();
            return (DeliveryRow { status, last_error: None, ..next }, Fate::Delivered);
        }
        Ended::Failed(error) => error.to_string(),
        Ended::NotSent(why) => (*why).to_owned(),
        Ended::Gone => "the webhook was deleted".to_owned(),
    };
    // PostgreSQL stores no NUL, and what cannot be noted would keep its slot for ever.
    let last_error = Some(error.replace('\0', " "));
    let failed = u32::try_from(next.attempts).unwrap_or(u32::MAX);
    let waited = now.saturating_sub(next.created_at);
    match schedule.next_attempt(failed, waited, entropy).filter(|_| *ended != Ended::Gone) {
        Some(pause) => {
            let next_at = now.saturating_add(pause);
            (DeliveryRow { next_at, last_error, ..next }, Fate::Failed)
        }
        None => (DeliveryRow { status: DEAD.to_owned(), last_error, ..next }, Fate::Dead),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::shield::webhooks::hook::WAITING;

    const S: i64 = 1_000_000;

    fn row() -> DeliveryRow {
        DeliveryRow {
            account: "acme".to_owned(),
            webhook: "w".to_owned(),
            event: "e".to_owned(),
            body: "{}".to_owned(),
            status: WAITING.to_owned(),
            attempts: 1,
            next_at: 0,
            last_error: Some("no answer within the time".to_owned()),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn after(ended: &Ended, now: i64) -> (DeliveryRow, Fate) {
        judged(row(), ended, Schedule::default(), now, 0)
    }

    #[test]
    fn what_is_taken_is_over() {
        let (row, fate) = after(&Ended::Taken, 7 * S);
        assert_eq!((row.status.as_str(), row.attempts, row.updated_at), (DELIVERED, 2, 7 * S));
        assert_eq!((row.last_error, fate), (None, Fate::Delivered));
    }

    #[test]
    fn what_is_not_taken_is_due_again_until_its_time_is_over() {
        let timeout = Ended::Failed(SendError::Timeout);
        let (row, fate) = after(&timeout, 7 * S);
        assert_eq!((row.status.as_str(), row.next_at, fate), (WAITING, 12 * S, Fate::Failed));
        let (row, fate) = after(&timeout, Schedule::default().give_up_us);
        assert_eq!((row.status.as_str(), fate), (DEAD, Fate::Dead));
    }

    #[test]
    fn what_is_left_of_a_deleted_webhook_is_dead_at_once() {
        let (row, fate) = after(&Ended::Gone, 7 * S);
        assert_eq!((row.status.as_str(), fate), (DEAD, Fate::Dead));
    }

    #[test]
    fn a_reason_that_no_database_takes_is_made_one_that_all_take() {
        let (row, _) = after(&Ended::Failed(SendError::Transport("a\0b".to_owned())), 0);
        assert_eq!(row.last_error.as_deref(), Some("a b"));
    }

    #[test]
    fn only_what_was_asked_can_be_silent() {
        assert_eq!(Ended::Failed(SendError::Status(500)).answered(), Some(true));
        assert_eq!(Ended::Failed(SendError::Timeout).answered(), Some(false));
        assert_eq!(Ended::NotSent("the store is not available").answered(), None);
    }
}
