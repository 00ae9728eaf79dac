//! What a request tells others, and the part of its state that makes sure it is told.

use serde::{Deserialize, Serialize};

use super::step::Step;

/// What happened to a request. For the audit and the webhooks; nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Received,
    Verified,
    Extended,
    /// The due time is over and the request is open. Once for each request.
    Overdue,
    Rejected,
    Cancelled,
    Completed,
    /// A step has failed many times in a row. It is still tried.
    Stuck(Step),
    /// The restriction will be lifted; the person is told before (GDPR Art. 18(3)).
    Lifting,
    Lifted,
}

impl Event {
    /// The name in the audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Received => "dsr.received",
            Self::Verified => "dsr.verified",
            Self::Extended => "dsr.extended",
            Self::Overdue => "dsr.overdue",
            Self::Rejected => "dsr.rejected",
            Self::Cancelled => "dsr.cancelled",
            Self::Completed => "dsr.completed",
            Self::Stuck(_) => "dsr.stuck",
            Self::Lifting => "dsr.lifting",
            Self::Lifted => "dsr.lifted",
        }
    }
}

/// An event that is saved and may not have been told yet. It can come twice after a restart;
/// request and number together tell it from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// Dense from 0 for each request.
    pub number: u32,
    /// When it happened, wall micros.
    pub at: i64,
    pub event: Event,
    /// Who asked for it or decided it, as the audit names callers; nobody: the rules did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
