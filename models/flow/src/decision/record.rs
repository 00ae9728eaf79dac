//! One decision as it is stored, queried and exported.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::{Currency, Micros};

use crate::reason::Reason;
use crate::targeting::LtvStatus;
use crate::targeting::explain::Finding;

use super::outcome::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Bid,
    NoBid,
    /// A campaign, a breaker or a pacer changed its state.
    Change,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Bid => "bid",
            Kind::NoBid => "no_bid",
            Kind::Change => "change",
        }
    }
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    #[default]
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// The record. It holds no id of a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub kind: Kind,
    /// Wall-clock micros UTC.
    pub at_us: i64,
    pub account: String,
    /// `None`: of a request that meant nobody in particular.
    pub campaign: Option<String>,
    /// Of the campaign's definition.
    pub version: Option<u32>,
    /// The exchange's id of the request. `None`: of a change, and of what was rebuilt.
    pub auction: Option<String>,
    /// The exchange's id of the impression.
    pub impression: Option<String>,
    pub creative: Option<String>,
    pub deal: Option<String>,
    pub ltv: Option<LtvUsed>,
    pub multipliers: Option<MultipliersUsed>,
    pub price: Option<PriceUsed>,
    /// Id of the hold, 32 hexadecimal digits.
    pub hold: Option<String>,
    pub breaker: BreakerState,
    /// From the request's arrival to the decision, microseconds.
    pub latency_us: Option<u32>,
    pub outcome: Outcome,
    /// Why not; of a bid: why others of ours did not win, where that was sampled.
    pub reasons: Vec<Finding>,
    /// Of a change.
    pub change: Option<ChangeOf>,
    /// What the impression has brought since, in the campaign's currency.
    pub actual: Option<Actual>,
    /// Made of the digest in a notice's URL, as the record itself was lost: what the digest does not hold is
    /// missing.
    pub rebuilt: bool,
}

/// The lifetime value that was bid on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LtvUsed {
    /// In the campaign's currency; `None`: not known.
    pub amount: Option<Micros>,
    pub status: LtvStatus,
    /// Version of the model; empty where none answered.
    pub model: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultipliersUsed {
    pub mu: f64,
    pub lambda: f64,
    pub pass: f64,
}

/// Prices of a bid. The estimates are micros of the campaign's currency for one impression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceUsed {
    /// For a thousand, in the campaign's currency.
    pub cpm: Micros,
    /// The campaign's.
    pub own_currency: Currency,
    /// What the exchange was told, for a thousand.
    pub price: Micros,
    pub currency: Currency,
    /// Units of the rates' base × 1e9 for one unit of the campaign's and of the bid's currency.
    pub rates: [i64; 2],
    /// What was authorised for the impression, in the campaign's currency.
    pub reserve: Micros,
    pub first_price: bool,
    /// For a thousand, in the campaign's currency.
    pub floor: Option<Micros>,
    pub value: f64,
    pub worth: Option<f64>,
    pub win: Option<f64>,
    pub surplus: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeOf {
    /// What changed: `campaign`, `breaker`, `pacer`.
    pub what: String,
    pub from: String,
    pub to: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actual {
    pub value: Micros,
    /// Wall-clock micros of when it was known.
    pub at_us: i64,
}

impl Decision {
    /// A record of a kind with nothing in it yet.
    pub fn new(kind: Kind, account: &str, at_us: i64) -> Decision {
        Decision {
            kind,
            at_us,
            account: account.to_owned(),
            campaign: None,
            version: None,
            auction: None,
            impression: None,
            creative: None,
            deal: None,
            ltv: None,
            multipliers: None,
            price: None,
            hold: None,
            breaker: BreakerState::Closed,
            latency_us: None,
            outcome: Outcome::default_of(kind),
            reasons: Vec::new(),
            change: None,
            actual: None,
            rebuilt: false,
        }
    }

    /// The reason that counted.
    pub fn reason(&self) -> Option<Reason> {
        self.reasons.first().map(|it| it.reason)
    }

    /// Whether money was booked for it.
    pub fn is_booked(&self) -> bool {
        matches!(self.outcome, Outcome::Billed { .. })
    }
}
