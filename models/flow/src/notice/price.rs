//! What a price in a notice is worth. It is not signed: the exchange, or whoever has the address, may say
//! anything. So it only ever lowers what is booked, from the bid, which is what the hold covers; and where
//! it is not clear what was meant, the bid is booked and the notice flagged, for the exchange's billing
//! report to settle.
//!
//! | what is told | booked | flag |
//! |---|---|---|
//! | a price up to the bid, second price | the price | – |
//! | a price that is the bid's to the micro of one impression, first price | the price, at most the bid | – |
//! | another price below the bid, first price | the bid | `below_bid` |
//! | a price above the bid | the bid | `over_bid` |
//! | 0 | the bid | `zero` |
//! | a negative price | the bid | `negative` |
//! | `NaN`, text, a price beyond all bounds | the bid | `unreadable` |
//! | `AUDIT`, the macro itself | the bid | `not_substituted` |
//! | nothing | the bid | `missing` |
//! | a price in another currency | the bid | `currency` |

use kiki_models::shield::money::{Currency, Micros};

use crate::openrtb::decimal::{self, PriceError};
use crate::opportunity::PriceType;

use super::url::Told;

/// What was bid, as the hold or the digest has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bid {
    /// For a thousand impressions.
    pub cpm: Micros,
    pub currency: Currency,
    pub price: PriceType,
}

/// Why a price was not taken as it was told: a closed set, counted by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    Missing,
    NotSubstituted,
    Unreadable,
    Negative,
    Zero,
    OverBid,
    BelowBid,
    Currency,
}

impl Flag {
    pub const ALL: [Flag; 8] = [
        Flag::Missing,
        Flag::NotSubstituted,
        Flag::Unreadable,
        Flag::Negative,
        Flag::Zero,
        Flag::OverBid,
        Flag::BelowBid,
        Flag::Currency,
    ];

    /// No price was told, rather than an odd one: exchanges may fill it in in one notice only.
    pub fn is_silent(self) -> bool {
        matches!(self, Flag::Missing | Flag::NotSubstituted | Flag::Unreadable)
    }

    pub fn name(self) -> &'static str {
        match self {
            Flag::Missing => "missing",
            Flag::NotSubstituted => "not_substituted",
            Flag::Unreadable => "unreadable",
            Flag::Negative => "negative",
            Flag::Zero => "zero",
            Flag::OverBid => "over_bid",
            Flag::BelowBid => "below_bid",
            Flag::Currency => "currency",
        }
    }
}

/// What a win costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Micros of the bid's currency for a thousand impressions: above 0, at most the bid.
    pub cpm: Micros,
    pub flag: Option<Flag>,
}

impl Price {
    /// What one impression costs: a thousandth, rounded up, so that no part of a micro is lost.
    pub fn amount(self) -> Micros {
        impression(self.cpm)
    }
}

/// A thousandth, rounded up. `cpm` is not negative.
pub fn impression(cpm: Micros) -> Micros {
    Micros(cpm.0.saturating_add(999).div_euclid(1_000))
}

/// The price of a win, by the table above.
pub fn settle(told: &Told<'_>, bid: &Bid) -> Price {
    let flagged = |flag| Price { cpm: bid.cpm, flag: Some(flag) };
    let Some(text) = told.price.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
        return flagged(Flag::Missing);
    };
    if is_macro(text) {
        return flagged(Flag::NotSubstituted);
    }
    let cpm = match decimal::up(text) {
        Ok(cpm) => cpm,
        Err(PriceError::Negative) => return flagged(Flag::Negative),
        Err(PriceError::NotANumber | PriceError::OutOfRange) => return flagged(Flag::Unreadable),
    };
    // A currency that is told has to be the bid's; a macro that stayed says nothing.
    let currency = told.currency.as_deref().map(str::trim);
    let currency = currency.filter(|code| !code.is_empty() && !is_macro(code));
    if currency.is_some_and(|code| !code.eq_ignore_ascii_case(bid.currency.as_str())) {
        return flagged(Flag::Currency);
    }
    if cpm == Micros::ZERO {
        return flagged(Flag::Zero);
    }
    if impression(cpm) == impression(bid.cpm) {
        // Exchanges cut digits, which may even lift a price: it is the bid's all the same.
        return Price { cpm: cpm.min(bid.cpm), flag: None };
    }
    if cpm > bid.cpm {
        return flagged(Flag::OverBid);
    }
    match bid.price {
        PriceType::First => flagged(Flag::BelowBid),
        PriceType::Second => Price { cpm, flag: None },
    }
}

fn is_macro(text: &str) -> bool {
    text.contains("${") || text.eq_ignore_ascii_case("AUDIT")
}

/// The least that would have won, if the exchange tells it: for estimates, never for booking.
pub fn min_to_win(told: &Told<'_>) -> Option<Micros> {
    decimal::up(told.min_to_win.as_deref()?.trim()).ok().filter(|cpm| *cpm > Micros::ZERO)
}

/// Why a bid lost (AdCOM 1.0, list "Loss Reason Codes"), if the exchange tells it.
pub fn loss(told: &Told<'_>) -> Option<u16> {
    told.loss.as_deref()?.trim().parse().ok()
}
