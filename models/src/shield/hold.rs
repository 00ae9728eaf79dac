//! A hold: the most that one bid may cost, set aside until it is settled, released or over.

use serde::{Deserialize, Serialize};

use super::entry::{Day, Op, SliceId};
use super::money::Micros;

/// Where a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    Open,
    /// A settle of this amount is on its way to the ledger; the hold waits for it and cannot expire.
    Settling(Micros),
    /// A win notice with this price was acknowledged: at its expiry it books that price (rule 6).
    Won(Micros),
    /// The ends, as the journal keeps them.
    Settled(Micros),
    Released,
    Expired,
}

impl HoldState {
    pub fn as_str(self) -> &'static str {
        match self {
            HoldState::Open => "open",
            HoldState::Settling(_) => "settling",
            HoldState::Won(_) => "won",
            HoldState::Settled(_) => "settled",
            HoldState::Released => "released",
            HoldState::Expired => "expired",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub id: Op,
    pub amount: Micros,
    /// `amount` in the account's currency, as the window counts it.
    pub window_amount: Micros,
    /// Monotonic time at which it is void, unless settled or won.
    pub expires_us: i64,
    /// The same by the wall clock, for people and for the token.
    pub expires_wall_us: i64,
    pub slice: SliceId,
    pub window_slice: SliceId,
    /// The day of its slice: it settles on that day, whenever that is.
    pub day: Day,
    pub state: HoldState,
    /// Fingerprint of the request, or [`OWN_PROOF`] or [`UNKEYED`].
    pub body: u64,
}

/// In place of a fingerprint: whoever asked keeps what proves the hold, and shows it when it is won. So it need
/// not be journaled, as most end without a word.
pub const OWN_PROOF: u64 = 0;

/// In place of a fingerprint: it was asked for without a key, so nobody can ask for it again.
pub const UNKEYED: u64 = 1;

/// The least that a fingerprint is: what is below says something else.
pub const FINGERPRINT_MIN: u64 = 2;

impl Hold {
    /// Whether nothing is lost where it is forgotten by a crash.
    pub fn is_proven_elsewhere(&self) -> bool {
        self.body == OWN_PROOF
    }

    /// Whether its id is of one request alone: no other can be told of this hold.
    pub fn is_asked_once(&self) -> bool {
        self.body < FINGERPRINT_MIN
    }
}

/// The operation that settles a hold: unique by the hold alone (one hold, one settle).
pub fn settle_op(hold: Op) -> Op {
    Op::of(&["settle", &hold.to_string()])
}
