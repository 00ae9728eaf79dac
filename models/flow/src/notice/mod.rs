//! Notices of what became of a bid: the addresses that an exchange calls, what a price in one means, and
//! what to do about it.
//!
//! `nurl` says that the auction was won, which is not yet billable; `burl` that it is billable: that
//! settles the hold; `lurl` that it was lost: that releases it. An exchange may send any of them late,
//! twice, in any order, or not at all.

pub mod action;
pub mod debt;
pub mod price;
#[cfg(test)]
mod tests;
pub mod url;

use kiki_models::shield::entry::Op;

/// What a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Win,
    Billing,
    Loss,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Win, Kind::Billing, Kind::Loss];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Win => "win",
            Kind::Billing => "billing",
            Kind::Loss => "loss",
        }
    }

    /// The path that it is called at.
    pub fn path(self) -> &'static str {
        match self {
            Kind::Win => "/openrtb2/win",
            Kind::Billing => "/openrtb2/billing",
            Kind::Loss => "/openrtb2/loss",
        }
    }

    fn letter(self) -> char {
        match self {
            Kind::Win => 'w',
            Kind::Billing => 'b',
            Kind::Loss => 'l',
        }
    }
}

/// Names a notice: called again, it is the same one. Its price is no part of it: a second call with another
/// price is the same notice, told differently.
pub fn key(kind: Kind, hold: Op) -> Op {
    Op::of(&["notice", kind.as_str(), &hold.to_string()])
}
