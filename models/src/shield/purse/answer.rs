//! What a purse is asked, and what it answers.

use serde::{Deserialize, Serialize};

use crate::shield::budget::Settlement;
use crate::shield::entry::{Entry, Now, Op};
use crate::shield::hold::{FINGERPRINT_MIN, Hold, settle_op};
use crate::shield::money::{Micros, Rate};
use crate::shield::refusal::Refusal;

/// What a bidder asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorise {
    /// Hash of account, route and key: the same request makes the same hold.
    pub id: Op,
    /// The most that the bid can cost.
    pub amount: Micros,
    pub ttl_us: i64,
    pub body: u64,
    /// Monotonic time after which nobody waits for the answer any more.
    pub deadline_us: i64,
}

impl Authorise {
    /// Whether its hold has a name that others may ask under, too.
    pub fn is_keyed(&self) -> bool {
        self.body >= FINGERPRINT_MIN
    }

    /// Whether nobody waits for it any more.
    pub fn is_late(&self, now: Now) -> bool {
        now.mono_us >= self.deadline_us
    }
}

/// Answers of the purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldAnswer {
    /// The hold stands. `replayed`: it stood before.
    Held {
        hold: Hold,
        replayed: bool,
    },
    Refused(Refusal),
    Settled {
        hold: Hold,
        entry: Box<Entry>,
        replayed: bool,
    },
    Released(Hold),
    /// The notice is durable.
    Noticed(Hold),
    /// No such hold on this node, or over: the ledger and the journal know more.
    Unknown,
    Mismatch,
    /// Settled for more than was held.
    TooMuch(Hold),
    Busy,
    Overloaded,
    Unavailable,
    /// The deadline passed before there was capacity, or whoever asked took it back.
    Expired,
}

/// The settle of a hold as its authority is asked for it. A hold that is open counts at the rate at
/// which it was granted: what the window set aside for it suffices.
pub fn settlement(hold: &Hold, amount: Micros, rate: Rate, confirmed: bool) -> Settlement {
    let window_amount = match confirmed && hold.amount > Micros::ZERO {
        true => hold.window_amount.share(amount, hold.amount),
        false => rate.convert(amount),
    };
    Settlement {
        hold: hold.id,
        op: settle_op(hold.id),
        slice: hold.slice,
        window_slice: hold.window_slice,
        amount,
        window_amount,
        day: hold.day,
        confirmed,
        again: false,
        body: amount.0 as u64,
        memo: None,
    }
}
