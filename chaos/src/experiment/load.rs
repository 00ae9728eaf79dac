//! What clients do while faults strike.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Amount, Period};

/// What clients do, and how much of it has to be done for a run to mean something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// How long operations are sent, from the beginning of the method on.
    #[schemars(extend("x-least" = "5s", "x-most" = "10m"))]
    pub duration: Period,
    /// Sent before that, while nothing is broken yet; the hypothesis is asked at its end.
    #[serde(default = "warm_up")]
    #[schemars(extend("x-least" = "0s", "x-most" = "2m"))]
    pub warm_up: Period,
    /// Clients, each with one operation at a time. What they do not keep up with is not sent later.
    #[serde(default = "clients")]
    #[schemars(range(min = 1, max = 512))]
    pub clients: u16,
    /// `account-1`, `account-2` and so on.
    #[serde(default = "accounts")]
    #[schemars(range(min = 1, max = 64))]
    pub accounts: u16,
    /// Campaigns of each account: `campaign-1`, `campaign-2` and so on.
    #[serde(default = "campaigns")]
    #[schemars(range(min = 1, max = 256))]
    pub campaigns: u16,
    /// How unevenly campaigns are asked: the exponent of Zipf's law; 0 is evenly.
    #[serde(default = "skew")]
    #[schemars(range(min = 0, max = 3))]
    pub skew: f64,
    #[serde(default)]
    pub amounts: Amounts,
    #[serde(default)]
    pub budgets: Budgets,
    /// Operations a second.
    pub rates: Rates,
    /// What has to be done for the run to mean something; below it the run has failed.
    #[serde(default)]
    pub minimum: Minimum,
    /// Clients that mean ill, or do not know better.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub hostile: Vec<Hostile>,
}

fn warm_up() -> Period {
    Period::seconds(2)
}

fn clients() -> u16 {
    32
}

fn accounts() -> u16 {
    2
}

fn campaigns() -> u16 {
    6
}

fn skew() -> f64 {
    0.9
}

/// Between which amounts one operation moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    pub least: Amount,
    pub most: Amount,
}

impl Default for Amounts {
    fn default() -> Amounts {
        Amounts { least: Amount::units(1), most: Amount::units(5) }
    }
}

/// What campaigns have to spend.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Of campaigns of which nobody comes to the end.
    pub wide: Amount,
    /// Of those that run out within seconds, so that the last of it is fought for.
    pub tight: Amount,
    /// Which part of the campaigns is tight.
    #[schemars(range(min = 0, max = 1))]
    pub tight_share: f64,
    /// The most that an account may spend in a window of the platform's length.
    pub window_cap: Amount,
}

impl Default for Budgets {
    fn default() -> Budgets {
        Budgets {
            wide: Amount::units(1_000_000),
            tight: Amount::units(500),
            tight_share: 0.25,
            window_cap: Amount::units(10_000_000),
        }
    }
}

/// Operations a second, of all clients together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    pub authorise: Authorise,
    /// Bookings of what was spent elsewhere.
    #[schemars(range(min = 0, max = 10_000))]
    pub spend: f64,
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
    #[schemars(range(min = 0, max = 10_000))]
    pub grant: f64,
    #[schemars(range(min = 0, max = 10_000))]
    pub revoke: f64,
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

/// Operations done a second, on average over the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Minimum {
    /// Of all kinds together.
    #[schemars(range(min = 0, max = 100_000))]
    pub per_second: f64,
    /// Of one kind.
    pub of: BTreeMap<Kind, f64>,
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

/// Clients that mean ill, or do not know better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Hostile {
    /// Connections that send the head of their request a byte at a time.
    SlowLoris {
        /// From the beginning of the method.
        #[schemars(extend("x-most" = "10m"))]
        start: Period,
        #[schemars(extend("x-least" = "100ms", "x-most" = "10m"))]
        duration: Period,
        #[schemars(range(min = 1, max = 5_000))]
        connections: u32,
        /// Time between two bytes.
        #[serde(default = "byte_every")]
        #[schemars(extend("x-least" = "10ms", "x-most" = "60s"))]
        byte_every: Period,
    },
    /// Connections that are opened and say nothing.
    ConnectionStorm {
        /// From the beginning of the method.
        #[schemars(extend("x-most" = "10m"))]
        start: Period,
        #[schemars(extend("x-least" = "100ms", "x-most" = "10m"))]
        duration: Period,
        /// Opened a second.
        #[schemars(range(min = 1, max = 5_000))]
        per_second: u32,
        /// Open at a time.
        #[schemars(range(min = 1, max = 5_000))]
        open_max: u32,
    },
}

fn byte_every() -> Period {
    Period::seconds(1)
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
