//! One decision as it is stored, queried and exported.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::{Currency, Micros};

use crate::auction::Bid;
use crate::opportunity::PriceType;
use crate::pacing::Multipliers;
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

/// The record. It holds no id of a person. What there is nothing to say of is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub kind: Kind,
    /// Wall-clock micros UTC.
    pub at_us: i64,
    pub account: String,
    /// `None`: of a request that meant nobody in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// Of the campaign's definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The exchange's id of the request. `None`: of a change, of a request that could not be read, and of what was
    /// rebuilt of an address that does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<String>,
    /// The exchange's id of the impression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creative: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ltv: Option<LtvUsed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipliers: Option<MultipliersUsed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceUsed>,
    /// Id of the hold, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// The breaker before the store. `None`: not known, as of what was rebuilt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerState>,
    /// The breakers before what forecasts lifetime values: where the best of them stood. `None`: not known, as
    /// in records that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ltv_breaker: Option<BreakerState>,
    /// From the request's arrival to the decision, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u32>,
    pub outcome: Outcome,
    /// Of a bid: when its hold is over, unless something is told by then. Wall-clock micros UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_us: Option<i64>,
    /// Why not, the reason that counted first. Of a bid there is none: where its request is sampled, others of ours that
    /// did not win have records of their own, which say why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Finding>,
    /// Of a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeOf>,
    /// Made of the digest in a notice's URL, as the record itself was lost: what the digest does not hold is
    /// missing.
    pub rebuilt: bool,
}

/// The lifetime value that was bid on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LtvUsed {
    /// In the campaign's currency; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// Prices of a bid, and of a pair that did not win what it would have bid. Where there was no bid to be made, `cpm`,
/// `price` and `reserve` are 0: `value`, `worth` and `floor` say why. The estimates are micros of the campaign's
/// currency for one impression.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Micros>,
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub win: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surplus: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeOf {
    /// What changed: `campaign.created`, `campaign.edited`, `campaign.activated`, `campaign.paused`,
    /// `campaign.ended`, `campaign.deleted`, `budget.refused`, `notice.unbooked`, `bidder`, `breaker`, `ltv_breaker`.
    pub what: String,
    pub from: String,
    pub to: String,
    /// Who changed it: a key, a user, `schedule`; `None`: it did so by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl From<Multipliers> for MultipliersUsed {
    fn from(of: Multipliers) -> MultipliersUsed {
        let Multipliers { mu, lambda, pass } = of;
        MultipliersUsed { mu, lambda, pass }
    }
}

impl PriceUsed {
    /// Of a bid of a campaign in `own` currency.
    pub fn of(bid: &Bid, own: Currency) -> PriceUsed {
        PriceUsed {
            cpm: bid.cpm,
            own_currency: own,
            price: bid.price,
            currency: bid.currency,
            rates: [bid.cross.from.0, bid.cross.to.0],
            reserve: bid.reserve,
            first_price: bid.price_type == PriceType::First,
            floor: (bid.floor.0 > 0).then_some(bid.floor),
            value: bid.value,
            worth: Some(bid.worth),
            win: bid.win,
            surplus: Some(bid.surplus),
        }
    }
}

impl ChangeOf {
    pub fn new(what: &str, from: &str, to: &str) -> ChangeOf {
        ChangeOf { what: what.to_owned(), from: from.to_owned(), to: to.to_owned(), by: None }
    }
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
            breaker: Some(BreakerState::Closed),
            ltv_breaker: None,
            latency_us: None,
            outcome: Outcome::default_of(kind),
            ends_us: None,
            reasons: Vec::new(),
            change: None,
            rebuilt: false,
        }
    }

    /// What has become of it by `now_us`. A bid of which nothing was told by the end of its hold has expired,
    /// and its record need not be written again to say so: most bids end like that.
    pub fn outcome_at(&self, now_us: i64) -> Outcome {
        match (self.outcome, self.ends_us) {
            (Outcome::Bid, Some(at_us)) if at_us <= now_us => Outcome::Expired { at_us },
            (outcome, _) => outcome,
        }
    }

    /// A change of a campaign's state, or of what its bids depend on.
    pub fn change(account: &str, campaign: &str, at_us: i64, change: ChangeOf) -> Decision {
        Decision {
            campaign: Some(campaign.to_owned()),
            change: Some(change),
            ..Decision::new(Kind::Change, account, at_us)
        }
    }

    /// Whether all of its numbers have words in JSON.
    pub fn is_tidy(&self) -> bool {
        let by = self
            .multipliers
            .is_none_or(|by| [by.mu, by.lambda, by.pass].into_iter().all(f64::is_finite));
        let price = self.price.as_ref().is_none_or(|price| {
            let known = [price.worth, price.win, price.surplus];
            price.value.is_finite() && known.into_iter().flatten().all(f64::is_finite)
        });
        by && price
    }

    /// Without numbers that JSON has no words for: they would be written as `null`, and a record that has
    /// them could not be read again.
    pub fn tidied(mut self) -> Decision {
        let finite = |n: &mut f64| {
            if !n.is_finite() {
                *n = 0.0;
            }
        };
        let known = |n: &mut Option<f64>| *n = n.filter(|n| n.is_finite());
        if let Some(MultipliersUsed { mu, lambda, pass }) = &mut self.multipliers {
            [mu, lambda, pass].into_iter().for_each(finite);
        }
        if let Some(price) = &mut self.price {
            finite(&mut price.value);
            [&mut price.worth, &mut price.win, &mut price.surplus].into_iter().for_each(known);
        }
        self
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
