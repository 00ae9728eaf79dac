//! How much of which operation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::Period;

/// Operations a second, of all clients together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    pub authorise: Authorise,
    /// Bookings of what was spent elsewhere.
    #[schemars(range(min = 0, max = 10_000))]
    pub spend: f64,
    /// Bookings of what comes back.
    #[schemars(range(min = 0, max = 10_000))]
    pub refund: f64,
    /// Looks at a budget.
    #[schemars(range(min = 0, max = 10_000))]
    pub read: f64,
    pub bid: Bid,
    pub consent: Consent,
    /// Forecasts of what a customer is worth.
    #[schemars(range(min = 0, max = 10_000))]
    pub forecast: f64,
    /// Looks into nodes by operators: trees, actors, the cluster.
    #[schemars(range(min = 0, max = 1_000))]
    pub admin_read: f64,
    /// New caps for budgets.
    #[schemars(range(min = 0, max = 1_000))]
    pub set_cap: f64,
    /// Pauses, each with a resume after it.
    #[schemars(range(min = 0, max = 1_000))]
    pub pause: f64,
}

/// Holds, and what becomes of them. What is neither settled nor released nor left is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Authorise {
    /// How many.
    #[schemars(range(min = 0, max = 10_000))]
    pub per_second: f64,
    /// Which part is settled.
    #[schemars(range(min = 0, max = 1))]
    pub settle: f64,
    /// Which part is released.
    #[schemars(range(min = 0, max = 1))]
    pub release: f64,
    /// Which part is left until it expires.
    #[schemars(range(min = 0, max = 1))]
    pub expire: f64,
}

impl Default for Authorise {
    fn default() -> Authorise {
        Authorise { per_second: 0.0, settle: 0.75, release: 0.2, expire: 0.05 }
    }
}

/// Auctions; each bid that wins has a notice with its price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bid {
    /// How many.
    #[schemars(range(min = 0, max = 10_000))]
    pub per_second: f64,
    /// Which part of the bids wins.
    #[schemars(range(min = 0, max = 1))]
    pub win: f64,
    /// Which part of the notices is sent twice, to any node.
    #[schemars(range(min = 0, max = 1))]
    pub duplicate: f64,
    /// Which part of the notices is sent late.
    #[schemars(range(min = 0, max = 1))]
    pub late: f64,
    /// How late.
    #[schemars(extend("x-least" = "100ms", "x-most" = "2m"))]
    pub late_by: Period,
    /// Which part of the auctions is about a person whose consent a bid needs.
    #[schemars(range(min = 0, max = 1))]
    pub personal: f64,
}

impl Default for Bid {
    fn default() -> Bid {
        Bid {
            per_second: 0.0,
            win: 0.5,
            duplicate: 0.0,
            late: 0.0,
            late_by: Period::seconds(5),
            personal: 0.2,
        }
    }
}

/// What people allow, and who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Consent {
    /// Grants.
    #[schemars(range(min = 0, max = 10_000))]
    pub grant: f64,
    /// Revocations.
    #[schemars(range(min = 0, max = 10_000))]
    pub revoke: f64,
    /// Questions whether something is allowed.
    #[schemars(range(min = 0, max = 10_000))]
    pub check: f64,
    /// How many people there are.
    #[schemars(range(min = 1, max = 100_000))]
    pub people: u32,
}

impl Default for Consent {
    fn default() -> Consent {
        Consent { grant: 0.0, revoke: 0.0, check: 0.0, people: 50 }
    }
}

/// A kind of operation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Authorise,
    Settle,
    Release,
    Spend,
    Refund,
    Read,
    Bid,
    Billing,
    Grant,
    Revoke,
    ConsentCheck,
    Forecast,
    AdminRead,
    SetCap,
    Pause,
}

impl Rates {
    /// Operations a second by kind, as far as they are asked for by themselves.
    pub fn of(&self, kind: Kind) -> f64 {
        let bid = &self.bid;
        match kind {
            Kind::Authorise => self.authorise.per_second,
            Kind::Settle => self.authorise.per_second * self.authorise.settle,
            Kind::Release => self.authorise.per_second * self.authorise.release,
            Kind::Spend => self.spend,
            Kind::Refund => self.refund,
            Kind::Read => self.read,
            Kind::Bid => bid.per_second,
            Kind::Billing => bid.per_second * bid.win * (1.0 + bid.duplicate),
            Kind::Grant => self.consent.grant,
            Kind::Revoke => self.consent.revoke,
            Kind::ConsentCheck => self.consent.check,
            Kind::Forecast => self.forecast,
            Kind::AdminRead => self.admin_read,
            Kind::SetCap => self.set_cap,
            Kind::Pause => self.pause,
        }
    }

    pub fn total(&self) -> f64 {
        Kind::ALL.iter().map(|kind| self.of(*kind)).sum()
    }
}

impl Kind {
    pub const ALL: [Kind; 15] = [
        Kind::Authorise,
        Kind::Settle,
        Kind::Release,
        Kind::Spend,
        Kind::Refund,
        Kind::Read,
        Kind::Bid,
        Kind::Billing,
        Kind::Grant,
        Kind::Revoke,
        Kind::ConsentCheck,
        Kind::Forecast,
        Kind::AdminRead,
        Kind::SetCap,
        Kind::Pause,
    ];
}
