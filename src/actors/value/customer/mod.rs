//! Customers: one entity each, the only writer of a customer's purchases. Its name is the keyed hash
//! of the customer's id, as that of people is.

mod actor;
mod imports;
mod load;
mod view;

use std::sync::Arc;

pub use actor::CustomerActor;
pub use imports::{ALIKE_MAX, NeedsKey, PurchaseId, Source};
pub use load::{Known, known};
pub use view::CustomerView;

use serde::{Deserialize, Serialize};

use super::answer::History;
use crate::actors::kernel::Reply;
use crate::models::shield::money::Currency;
use crate::models::value::log::day::Day;

/// Purchases of one customer at most.
pub const PURCHASES_MAX: usize = 100_000;
/// Purchases of one customer in a message at most.
pub const ROWS_MAX: usize = 4_096;
/// Bytes of the caller's own id of a purchase.
pub const REFERENCE_BYTES_MAX: usize = 128;

/// A purchase to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPurchase {
    pub id: PurchaseId,
    pub reference: Option<String>,
    pub day: Day,
    /// Micros, at least 0.
    pub amount: i64,
    /// Without: that of the account.
    pub currency: Option<Currency>,
}

/// Why a purchase was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotTaken {
    #[error("is in another currency than the account's")]
    CurrencyMix,
    #[error("has the id of another purchase")]
    Differs,
    #[error("is beyond the purchases that a customer may have")]
    TooMany,
}

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub new: u64,
    /// They were there already.
    pub known: u64,
    /// By their place in the message.
    pub not_taken: Vec<(usize, NotTaken)>,
}

impl Imported {
    /// Adds what became of a part that has so many purchases before it.
    pub fn add(&mut self, part: Imported, before: usize) {
        self.new += part.new;
        self.known += part.known;
        self.not_taken.extend(part.not_taken.into_iter().map(|(at, why)| (at + before, why)));
    }
}

/// Why a customer's actor did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    #[error("the store is not available")]
    Unavailable,
    #[error("there is no such account")]
    UnknownAccount,
    #[error("the customer is being erased")]
    Erased,
}

/// A customer as callers see one.
#[derive(Clone, Debug)]
pub struct Seen {
    pub history: Arc<History>,
    /// Rows, of which some may be of one day.
    pub purchases: u64,
    pub total: i64,
    pub currency: Currency,
}

pub enum Msg {
    /// What is known.
    Look {
        reply: Reply<Result<Arc<History>, Declined>>,
    },
    See {
        reply: Reply<Result<Seen, Declined>>,
    },
    /// At most [`ROWS_MAX`] purchases.
    Import {
        customer: Arc<str>,
        rows: Vec<NewPurchase>,
        reply: Reply<Result<Imported, Declined>>,
    },
    /// What would become of an import; nothing is taken. All purchases of one request.
    Check {
        rows: Vec<NewPurchase>,
        reply: Reply<Result<Imported, Declined>>,
    },
    /// The person is being erased.
    Forget {
        person: Arc<str>,
        reply: Reply<()>,
    },
}
