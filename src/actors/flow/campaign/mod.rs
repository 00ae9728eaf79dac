//! What a campaign is, and what becomes of it: one entity each, the only writer of its rows and the only
//! one that tells its budget of its life.

mod actor;
mod budget;
mod change;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use actor::CampaignActor;

use crate::actors::kernel::Reply;
use crate::models::flow::campaign::definition::Definition;
use crate::models::flow::campaign::state::{Campaign, Command, Refusal};
use crate::models::shield::money::Currency;
use crate::models::shield::refusal;
use crate::store::FlowCampaignRow;

/// Why a campaign did not do something.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Declined {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("there is no such campaign")]
    Unknown,
    #[error("there is a campaign of this name")]
    Exists,
    #[error("there is no such account")]
    UnknownAccount,
    /// Its budget may not be what it says.
    #[error("the budget is refused: {}", .0.help())]
    Budget(refusal::Reason),
    #[error("no exchange rate leads from {from}, the campaign's currency, to {to}, the account's")]
    NoRate { from: Currency, to: String },
    #[error("the store is not available")]
    Unavailable,
}

impl Declined {
    /// Why the budget is refused, where it is.
    pub fn of_budget(&self) -> Option<refusal::Reason> {
        match self {
            Declined::Budget(reason) => Some(*reason),
            Declined::NoRate { .. } => Some(refusal::Reason::NoExchangeRate),
            _ => None,
        }
    }
}

/// A campaign right after an order.
#[derive(Clone, Debug)]
pub struct Seen {
    /// As it was last, where it is gone.
    pub campaign: Arc<Campaign>,
    /// SyncShield has been told; else it will be as soon as it answers.
    pub budget_told: bool,
}

type Answer = Reply<Result<Seen, Declined>>;

pub enum Msg {
    Create {
        definition: Box<Definition>,
        by: String,
        reply: Answer,
    },
    Order {
        command: Command,
        expects: Option<u64>,
        by: String,
        reply: Answer,
    },
    Patch {
        patch: String,
        expects: Option<u64>,
        by: String,
        reply: Answer,
    },
    See {
        reply: Reply<Result<Arc<Campaign>, Declined>>,
    },
    /// A time of its schedule has come, or its budget has yet to be told something.
    Tick,
}

impl Msg {
    /// The campaign is not this node's: nothing is done.
    fn refuse(self) {
        match self {
            Msg::Create { reply, .. } | Msg::Order { reply, .. } | Msg::Patch { reply, .. } => {
                reply.send(Err(Declined::Unavailable));
            }
            Msg::See { reply } => reply.send(Err(Declined::Unavailable)),
            Msg::Tick => {}
        }
    }
}

/// What a budget is told once the campaign's own change is durable: it takes away, and is tried until it
/// is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Todo {
    PauseBudget,
    EndBudget,
}

/// When to look at a campaign again. A start that is past is written over only by the next change.
pub fn wake_of(
    row: &FlowCampaignRow,
    campaign: &Campaign,
    todo: &[Todo],
    now_us: i64,
) -> Option<i64> {
    match todo.is_empty() && campaign.runs(now_us) {
        true => campaign.definition.schedule.ends_us(),
        false => row.wake_at,
    }
}

/// As operators see it.
#[derive(Clone, Default, Serialize)]
pub struct View {
    pub status: Option<&'static str>,
    pub revision: u64,
    pub version: u32,
    pub todo: Vec<Todo>,
}
