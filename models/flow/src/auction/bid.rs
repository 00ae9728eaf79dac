//! What one candidate bids on one slot.

use kiki_models::shield::money::{Currency, Micros};

use crate::campaign::strategy::{CPM_MAX, Known};
use crate::opportunity::{Auction, Floor, PriceType, Slot};
use crate::pricing::{self, Priced, Quote};
use crate::reason::Reason;
use crate::targeting::check::Fitted;
use crate::targeting::compile::Entry;

use super::rates::{Cross, Rates, Round};
use super::snapshot::Snapshot;

/// A bid on a slot. `cpm` and what is derived from it are whole micros; the estimates are micros of the
/// campaign's currency for one impression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bid {
    /// Place of the campaign in the index.
    pub at: u32,
    /// Place of the creative in the definition.
    pub creative: u16,
    /// Place of the deal in the slot.
    pub deal: Option<u16>,
    pub price_type: PriceType,
    /// For a thousand, in the campaign's currency.
    pub cpm: Micros,
    /// What the exchange is told, for a thousand in `currency`.
    pub price: Micros,
    pub currency: Currency,
    /// From the campaign's currency to `currency`.
    pub cross: Cross,
    /// The most that the impression may cost, in the campaign's currency: what is to be authorised.
    pub reserve: Micros,
    /// The floor for a thousand, in the campaign's currency; 0: none.
    pub floor: Micros,
    pub value: f64,
    /// The value as budget and return weigh it.
    pub worth: f64,
    pub win: Option<f64>,
    pub surplus: f64,
    /// [`pricing::rank`] in one currency for all bids of the request.
    pub score: f64,
    /// The person's LTV in the campaign's currency.
    pub ltv: Option<Micros>,
    /// Impressions of the request that the campaign may win.
    pub room: u16,
}

/// The most that one impression can cost that was bid for at `cpm` a thousand: `ceil(cpm / 1000)`.
pub fn reserve(cpm: Micros) -> Micros {
    Micros(cpm.0.max(0).div_euclid(1_000) + i64::from(cpm.0.max(0) % 1_000 != 0))
}

/// How a campaign's currency is bid in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tender {
    pub currency: Currency,
    pub cross: Cross,
    /// From the campaign's currency to the one that bids are compared in.
    pub to_common: f64,
}

/// In place of a rate between two accounts' base currencies that neither account has: such bids stand behind
/// all that can be compared, and do not get lost for it.
pub(super) const BEHIND: f64 = 1e-12;

impl Tender {
    /// The campaign's own currency where the exchange takes it, else the first that there is a rate for.
    /// `rates`: those of the campaign's account; bids are compared in the base of `common`.
    pub fn of(
        own: Currency,
        auction: &Auction<'_>,
        rates: &Rates,
        common: &Rates,
    ) -> Result<Tender, Reason> {
        let to_base = rates.cross(own, rates.base()).ok_or(Reason::NoRate)?.factor();
        let (from, to) = (rates.base(), common.base());
        let between = rates.cross(from, to).or_else(|| common.cross(from, to));
        let to_common = to_base * between.map_or(BEHIND, Cross::factor);
        if auction.currencies.contains(&own) {
            return Ok(Tender { currency: own, cross: Cross::SAME, to_common });
        }
        let rated = |to: &Currency| Some((*to, rates.cross(own, *to)?));
        let (currency, cross) =
            auction.currencies.iter().find_map(rated).ok_or(Reason::Currency)?;
        Ok(Tender { currency, cross, to_common })
    }
}

/// One way to bid on a slot: on the open market or by a deal.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub deal: Option<u16>,
    pub price_type: PriceType,
    pub floor: Option<Floor>,
    /// The floor is the price, neither more nor less.
    pub fixed: bool,
    /// Place of the creative that it is for, in the definition; `None`: any that fits.
    pub creative: Option<u16>,
}

impl Offer {
    pub fn open(auction: &Auction<'_>, slot: &Slot<'_>) -> Offer {
        let (price_type, floor) = (auction.price, slot.floor);
        Offer { deal: None, price_type, floor, fixed: false, creative: None }
    }

    /// A deal has its own floor, or none.
    pub fn deal(auction: &Auction<'_>, slot: &Slot<'_>, place: usize) -> Option<Offer> {
        let deal = slot.deals.get(place)?;
        let price_type = deal.price.unwrap_or(auction.price);
        let (floor, fixed) = (deal.floor, deal.fixed && deal.floor.is_some());
        let deal = u16::try_from(place).ok();
        Some(Offer { deal, price_type, floor, fixed, creative: None })
    }
}

/// A candidate about to be priced.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    pub at: u32,
    pub entry: &'a Entry,
    pub snapshot: &'a Snapshot,
    pub fitted: Fitted,
    pub tender: Tender,
    /// Micros an impression.
    pub value: f64,
}

impl Candidate<'_> {
    /// What the impression is worth by the campaign's strategy. A return that is asked for is in the
    /// multipliers already.
    pub fn value(
        entry: &Entry,
        snapshot: &Snapshot,
        ltv: Option<Micros>,
        engagement: Option<f64>,
    ) -> Result<f64, Reason> {
        let strategy = &entry.strategy;
        let conversion_rate = snapshot.learned.conversion_rate(ltv);
        let known = Known { ltv, engagement, conversion_rate };
        strategy.value(known).ok_or(Reason::NoValue)
    }

    /// The bid on one offer.
    pub fn bid(&self, offer: Offer, rates: &Rates) -> Result<Bid, Reason> {
        let Candidate { at, entry, snapshot, fitted, tender, value } = *self;
        let floor = match offer.floor {
            None => Micros::ZERO,
            Some(Floor { cpm, currency }) => {
                rates.convert(cpm, currency, entry.currency, Round::Up).ok_or(Reason::NoRate)?
            }
        };
        let most = entry.strategy.cpm_max().min(CPM_MAX);
        // ceil(cpm / 1000) is within what is left if the thousand are.
        let left = snapshot.left.map_or(most, |left| Micros(left.0.saturating_mul(1_000)));
        let most = most.min(left);
        let quote = Quote {
            value,
            first_price: offer.price_type == PriceType::First && !offer.fixed,
            floor: floor.0 as f64 / 1_000.0,
            max_bid: Some(most.0 as f64 / 1_000.0),
        };
        let (priced, cpm, price) = match offer.floor.filter(|_| offer.fixed) {
            Some(agreed) => self.agreed(agreed, &quote, most, rates)?,
            None => self.free(offer, &quote, (floor, most), rates)?,
        };
        // A price that was agreed is paid as it is.
        let ranked = match offer.fixed {
            true => {
                Quote { first_price: true, floor: priced.bid, max_bid: Some(priced.bid), value }
            }
            false => quote,
        };
        let score = pricing::rank(priced.worth, &ranked) * tender.to_common;
        if !score.is_finite() {
            return Err(Reason::PriceBounds);
        }
        Ok(Bid {
            at,
            creative: offer.creative.unwrap_or(fitted.creative),
            deal: offer.deal,
            price_type: offer.price_type,
            cpm,
            price,
            currency: tender.currency,
            cross: tender.cross,
            reserve: reserve(cpm),
            floor,
            value,
            worth: priced.worth,
            win: priced.win,
            surplus: priced.surplus,
            score,
            ltv: fitted.ltv,
            room: fitted.room,
        })
    }

    /// The price of a deal that has one: not shaded, and nothing above it, as that is what a win pays. In the
    /// campaign's currency and in the bid's, both for a thousand.
    fn agreed(
        &self,
        agreed: Floor,
        quote: &Quote,
        most: Micros,
        rates: &Rates,
    ) -> Result<(Priced, Micros, Micros), Reason> {
        let Candidate { snapshot, tender, .. } = *self;
        let Floor { cpm, currency } = agreed;
        let price = rates.convert(cpm, currency, tender.currency, Round::Up);
        let price = price.ok_or(Reason::NoRate)?;
        // As it is converted back when it is booked.
        let cpm = tender.cross.back().convert(price, Round::Up);
        if cpm > most {
            return Err(Reason::BelowFloor);
        }
        let bid = cpm.0 as f64 / 1_000.0;
        let quote = Quote { first_price: false, floor: bid, ..*quote };
        // Refuses where it is worth less.
        let Priced { worth, .. } = pricing::price(&quote, &snapshot.multipliers, &snapshot.curve)?;
        if price <= Micros::ZERO {
            return Err(Reason::PriceBounds);
        }
        let win = snapshot.curve.win(bid, quote.value);
        // What is not known of a deal's chances is reckoned as of any other bid.
        let surplus = (worth - bid) * win.unwrap_or(bid / worth);
        Ok((Priced { bid, worth, win, surplus }, cpm, price))
    }

    /// The same where the price is ours to choose.
    fn free(
        &self,
        offer: Offer,
        quote: &Quote,
        (floor, most): (Micros, Micros),
        rates: &Rates,
    ) -> Result<(Priced, Micros, Micros), Reason> {
        let Candidate { snapshot, tender, .. } = *self;
        let priced = pricing::price(quote, &snapshot.multipliers, &snapshot.curve)?;
        // A float that is a hair below a whole micro means that micro.
        let whole = (priced.bid * 1_000.0 * (1.0 + 1e-12)).floor();
        let mut cpm = Micros(whole.clamp(0.0, CPM_MAX.0 as f64) as i64).min(most);
        if cpm < floor {
            // At the floor, but for what was cut off.
            let meant = priced.bid >= quote.floor * (1.0 - 1e-9);
            if !meant || floor > most {
                return Err(Reason::BelowFloor);
            }
            cpm = floor;
        }
        let price = tender.cross.convert(cpm, Round::Down);
        if price <= Micros::ZERO {
            return Err(Reason::PriceBounds);
        }
        if let Some(Floor { cpm, currency }) = offer.floor {
            let asked = rates.convert(cpm, currency, tender.currency, Round::Up);
            if price < asked.ok_or(Reason::NoRate)? {
                return Err(Reason::BelowFloor);
            }
        }
        Ok((priced, cpm, price))
    }

    /// The best of several offers, or why the first of them was no bid.
    pub fn best(
        &self,
        offers: impl IntoIterator<Item = Offer>,
        rates: &Rates,
    ) -> Result<Bid, Reason> {
        let mut best: Result<Bid, Reason> = Err(Reason::Deal);
        let (mut first, mut priced) = (true, 0);
        for offer in offers {
            if priced >= PRICED_MAX {
                break;
            }
            let bid = self.bid(offer, rates);
            // What cannot be bid for stands in nobody's way: the ninth deal may be the one that can.
            priced += usize::from(bid.is_ok());
            match (&best, &bid) {
                (Err(_), Ok(_)) => best = bid,
                (Err(_), Err(_)) if first => best = bid,
                (Ok(known), Ok(new)) if new.surplus > known.surplus => best = bid,
                _ => {}
            }
            first = false;
        }
        best
    }
}

/// Offers of one slot that a campaign could bid on, and that are compared: the open market and deals in their order.
const PRICED_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_what_an_impression_can_cost_and_not_a_micro_less() {
        for (cpm, micros) in
            [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (2_500_000, 2_500), (-5, 0)]
        {
            assert_eq!(reserve(Micros(cpm)), Micros(micros), "{cpm}");
        }
        assert_eq!(reserve(Micros(i64::MAX)), Micros(i64::MAX / 1_000 + 1));
    }
}
