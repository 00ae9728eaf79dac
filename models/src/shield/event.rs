//! What happened to a budget that people should hear of. Events leave through the outbox, in the
//! transaction of the state that they follow from.

use serde::Serialize;

use super::entry::{Op, SliceId};
use super::money::Micros;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Spending reached a share of the lifetime cap.
    Threshold {
        percent: u8,
        spent: Micros,
        funded: Micros,
    },
    /// A hold was settled that its slice no longer covered.
    LateSettle {
        hold: Op,
        amount: Micros,
    },
    /// A slice's capacity came back because its time was over, not because it was returned.
    Reclaimed {
        slice: SliceId,
        amount: Micros,
    },
    Allocated {
        funded: Micros,
        before: Option<Micros>,
    },
    ToppedUp {
        amount: Micros,
        funded: Micros,
    },
    Paused,
    Resumed,
    Ended,
    /// The account's stop-all switch was turned.
    Stopped {
        stopped: bool,
    },
}

impl Event {
    /// The stable name in the outbox, in `/events` and in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::Threshold { .. } => "budget.threshold",
            Event::LateSettle { .. } => "budget.late_settle",
            Event::Reclaimed { .. } => "budget.slice_reclaimed",
            Event::Allocated { .. } => "budget.allocated",
            Event::ToppedUp { .. } => "budget.topped_up",
            Event::Paused => "budget.paused",
            Event::Resumed => "budget.resumed",
            Event::Ended => "budget.ended",
            Event::Stopped { stopped: true } => "account.stopped",
            Event::Stopped { stopped: false } => "account.released",
        }
    }

    /// The payload as JSON.
    pub fn payload(&self) -> serde_json::Value {
        #[derive(Serialize, Default)]
        struct Payload {
            #[serde(skip_serializing_if = "Option::is_none")]
            percent: Option<u8>,
            #[serde(skip_serializing_if = "Option::is_none")]
            amount: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            funded: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            hold_id: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            slice: Option<String>,
        }
        let payload = match self {
            Event::Threshold { percent, spent, funded } => Payload {
                percent: Some(*percent),
                amount: Some(spent.to_string()),
                funded: Some(funded.to_string()),
                ..Payload::default()
            },
            Event::LateSettle { hold, amount } => Payload {
                hold_id: Some(hold.to_string()),
                amount: Some(amount.to_string()),
                ..Payload::default()
            },
            Event::Reclaimed { slice, amount } => Payload {
                slice: Some(slice.to_string()),
                amount: Some(amount.to_string()),
                ..Payload::default()
            },
            Event::Allocated { funded, .. } => {
                Payload { funded: Some(funded.to_string()), ..Payload::default() }
            }
            Event::ToppedUp { amount, funded } => Payload {
                amount: Some(amount.to_string()),
                funded: Some(funded.to_string()),
                ..Payload::default()
            },
            Event::Paused | Event::Resumed | Event::Ended | Event::Stopped { .. } => {
                Payload::default()
            }
        };
        serde_json::to_value(payload).unwrap_or_default()
    }
}
