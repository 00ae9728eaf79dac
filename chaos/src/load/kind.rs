//! What clients are there, as figures tell them apart.

use serde::{Deserialize, Serialize};

use crate::history::Op;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Authorises, settles, releases.
    Budget,
    /// Books what happened elsewhere, and refunds.
    Spend,
    /// Asks for bids and tells what became of them.
    Exchange,
    /// Grants, revokes, asks.
    Customer,
    /// Reads and orders.
    Admin,
}

impl Kind {
    pub const ALL: [Kind; 5] =
        [Kind::Budget, Kind::Spend, Kind::Exchange, Kind::Customer, Kind::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Budget => "budget",
            Kind::Spend => "spend",
            Kind::Exchange => "exchange",
            Kind::Customer => "customer",
            Kind::Admin => "admin",
        }
    }

    /// Whose operation it is.
    pub fn of(op: &Op) -> Kind {
        match op {
            Op::Authorise { .. } | Op::Settle { .. } | Op::Release { .. } => Kind::Budget,
            Op::Spend { .. } => Kind::Spend,
            Op::Bid { .. } | Op::Billing { .. } => Kind::Exchange,
            Op::Call { path, .. } if path.starts_with("/openrtb2/") => Kind::Exchange,
            Op::Grant { .. } | Op::Revoke { .. } | Op::MayUse { .. } => Kind::Customer,
            Op::Read { .. }
            | Op::SetCap { .. }
            | Op::Pause { .. }
            | Op::Resume { .. }
            | Op::Call { .. } => Kind::Admin,
        }
    }
}
