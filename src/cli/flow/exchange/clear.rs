//! How an impression is sold: the bids on it against the best of all other bidders.

use super::answer::{Answer, Bid};
use super::market::Lot;
use crate::models::flow::openrtb::sample::Offer;
use crate::models::flow::opportunity::PriceType;
use crate::models::shield::money::Micros;

/// Why a bid lost (AdCOM 1.0, list "Loss Reason Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    InvalidResponse = 3,
    InvalidDeal = 4,
    BelowFloor = 100,
    BelowDealFloor = 101,
    LostToHigherBid = 102,
    SeatBlocked = 104,
}

impl Loss {
    pub fn name(self) -> &'static str {
        match self {
            Loss::InvalidResponse => "invalid_response",
            Loss::InvalidDeal => "invalid_deal",
            Loss::BelowFloor => "below_floor",
            Loss::BelowDealFloor => "below_deal_floor",
            Loss::LostToHigherBid => "lost_to_higher_bid",
            Loss::SeatBlocked => "seat_blocked",
        }
    }
}

/// What became of a bid. Prices are micros for a thousand impressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sold at this price, which is above 0 and at most the bid.
    Won {
        price: Micros,
        kind: PriceType,
    },
    Lost(Loss),
}

/// A bid with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub bid: Bid,
    pub verdict: Verdict,
    /// The least that would have won, or did; `None`: nothing could win.
    pub least: Option<Micros>,
}

/// Runs the auctions of a lot. Each impression is sold at most once.
///
/// The highest bid that reaches both its floor and what the others pay is sold: at its own price where the
/// auction is a first-price one, or the bid is on a deal; else at the highest of floor, market, and the next
/// bid.
pub fn clear(lot: &Lot, answer: Answer) -> Vec<Judged> {
    let foreign = answer.currency != lot.drawn.currency;
    let mut judged: Vec<(Option<usize>, Judged)> = answer
        .bids
        .into_iter()
        .map(|bid| {
            let at = lot.drawn.offers.iter().position(|offer| offer.id == bid.impression);
            let offer = at.and_then(|at| Some((lot.drawn.offers.get(at)?, *lot.market.get(at)?)));
            let (loss, least) = match offer {
                _ if foreign => (Some(Loss::InvalidResponse), None),
                None => (Some(Loss::InvalidResponse), None),
                Some((offer, market)) => refused(lot, offer, market, &bid),
            };
            // until somebody wins it
            let verdict = Verdict::Lost(loss.unwrap_or(Loss::LostToHigherBid));
            (at.filter(|_| loss.is_none()), Judged { bid, verdict, least })
        })
        .collect();
    for at in 0..lot.drawn.offers.len() {
        let standing = |of: &Option<usize>| *of == Some(at);
        let mut order: Vec<usize> = (0..judged.len())
            .filter(|nth| judged.get(*nth).is_some_and(|(of, _)| standing(of)))
            .collect();
        let cpm = |nth: &usize| judged.get(*nth).map(|(_, judged)| judged.bid.cpm);
        // Of equal bids the first one in the answer; sorting is stable.
        order.sort_by_key(|nth| std::cmp::Reverse(cpm(nth)));
        let next = order.get(1).and_then(cpm).unwrap_or(Micros::ZERO);
        let Some((_, best)) = order.first().and_then(|nth| judged.get_mut(*nth)) else { continue };
        let kind = if best.bid.deal.is_some() { PriceType::First } else { lot.drawn.price };
        let price = match kind {
            PriceType::First => best.bid.cpm,
            PriceType::Second => best.least.unwrap_or(best.bid.cpm).max(next).min(best.bid.cpm),
        };
        best.verdict = Verdict::Won { price, kind };
    }
    judged.into_iter().map(|(_, judged)| judged).collect()
}

/// Why a bid cannot win, whatever the other bids of its bidder are, and the least that could.
fn refused(lot: &Lot, offer: &Offer, market: Micros, bid: &Bid) -> (Option<Loss>, Option<Micros>) {
    // A price of nothing is none: the least that can be bid is a micro for a thousand impressions.
    let least = |floor: Micros| Some(floor.max(market).max(Micros(1)));
    let deal = match (&bid.deal, &offer.deal) {
        (Some(named), Some((id, floor))) if named == id => Some(*floor),
        (Some(_), _) => return (Some(Loss::InvalidDeal), None),
        (None, _) if offer.private => return (Some(Loss::InvalidDeal), None),
        (None, _) => None,
    };
    if let Some(seat) = &lot.drawn.seat
        && bid.seat.as_ref() != Some(seat)
    {
        return (Some(Loss::SeatBlocked), None);
    }
    let floor = deal.unwrap_or(offer.floor);
    let loss = if bid.cpm < floor {
        Some(if deal.is_some() { Loss::BelowDealFloor } else { Loss::BelowFloor })
    } else {
        (bid.cpm < market).then_some(Loss::LostToHigherBid)
    };
    (loss, least(floor))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::models::flow::openrtb::sample::{Drawn, Wants};
    use crate::models::shield::money::Currency;

    fn offer(id: &str, floor: i64) -> Offer {
        Offer {
            id: id.to_owned(),
            wants: Wants::Native,
            floor: Micros(floor),
            deal: Some(("d".to_owned(), Micros(floor + 500))),
            private: false,
        }
    }

    fn lot(price: PriceType, floor: i64, market: i64) -> Lot {
        let drawn = Drawn {
            id: "r".to_owned(),
            price,
            currency: Currency::USD,
            tmax_ms: 100,
            test: false,
            offers: vec![offer("1", floor), offer("2", floor)],
            seat: None,
        };
        Lot { nth: 0, due: Duration::ZERO, drawn, market: vec![Micros(market); 2] }
    }

    fn bid(impression: &str, cpm: i64) -> Bid {
        Bid {
            id: format!("b{cpm}"),
            impression: impression.to_owned(),
            cpm: Micros(cpm),
            deal: None,
            campaign: None,
            seat: None,
            nurl: None,
            burl: None,
            lurl: None,
        }
    }

    fn sold(lot: &Lot, bids: &[Bid]) -> Vec<Verdict> {
        let answer = Answer { currency: Currency::USD, bids: bids.to_vec(), unfit: 0 };
        clear(lot, answer).into_iter().map(|judged| judged.verdict).collect()
    }

    fn won(price: i64, kind: PriceType) -> Verdict {
        Verdict::Won { price: Micros(price), kind }
    }

    #[test]
    fn a_second_price_win_costs_the_highest_of_floor_market_and_the_next_bid() {
        use PriceType::{First, Second};
        for (kind, floor, market, bids, price) in [
            (Second, 1_000, 2_000, vec![5_000], 2_000),
            (Second, 3_000, 2_000, vec![5_000], 3_000),
            (Second, 1_000, 2_000, vec![5_000, 4_000], 4_000),
            (Second, 1_000, 2_000, vec![5_000, 1_500], 2_000),
            (Second, 1_000, 5_000, vec![5_000], 5_000),
            (First, 1_000, 2_000, vec![5_000, 4_000], 5_000),
        ] {
            let bids: Vec<Bid> = bids.into_iter().map(|cpm| bid("1", cpm)).collect();
            assert_eq!(sold(&lot(kind, floor, market), &bids)[0], won(price, kind));
        }
    }

    #[test]
    fn a_lost_bid_says_why() {
        use PriceType::Second;
        let deal = |name: &str, cpm| Bid { deal: Some(name.to_owned()), ..bid("1", cpm) };
        for (bid, loss) in [
            (bid("1", 999), Loss::BelowFloor),
            (bid("1", 1_999), Loss::LostToHigherBid),
            (bid("3", 9_999), Loss::InvalidResponse),
            (deal("d", 1_499), Loss::BelowDealFloor),
            (deal("e", 9_999), Loss::InvalidDeal),
        ] {
            assert_eq!(sold(&lot(Second, 1_000, 2_000), &[bid]), [Verdict::Lost(loss)]);
        }
        let mut closed = lot(Second, 1_000, 2_000);
        closed.drawn.offers[0].private = true;
        assert_eq!(sold(&closed, &[bid("1", 9_999)]), [Verdict::Lost(Loss::InvalidDeal)]);
        // What is sold on a deal costs what was bid.
        assert_eq!(sold(&closed, &[deal("d", 9_999)]), [won(9_999, PriceType::First)]);
        closed.drawn.seat = Some("s".to_owned());
        assert_eq!(sold(&closed, &[deal("d", 9_999)]), [Verdict::Lost(Loss::SeatBlocked)]);
        let answer = Answer {
            currency: "EUR".parse().expect("a code"),
            bids: vec![bid("1", 9_999)],
            unfit: 0,
        };
        let judged = clear(&lot(Second, 1_000, 2_000), answer);
        assert_eq!(judged[0].verdict, Verdict::Lost(Loss::InvalidResponse));
    }

    proptest! {
        #[test]
        fn an_impression_is_sold_at_most_once_and_never_above_its_bid_or_below_what_is_needed(
            first in any::<bool>(),
            floor in 0_i64..3_000,
            market in 0_i64..3_000,
            bids in proptest::collection::vec((1_u8..4, 1_i64..4_000), 0..12),
        ) {
            let kind = if first { PriceType::First } else { PriceType::Second };
            let lot = lot(kind, floor, market);
            let bids = bids.into_iter().map(|(at, cpm)| bid(&at.to_string(), cpm)).collect();
            let judged = clear(&lot, Answer { currency: Currency::USD, bids, unfit: 0 });
            for offer in &lot.drawn.offers {
                let of: Vec<&Judged> = judged.iter().filter(|j| j.bid.impression == offer.id).collect();
                let sold: Vec<(&Judged, Micros)> = of.iter().filter_map(|j| match j.verdict {
                    Verdict::Won { price, .. } => Some((*j, price)),
                    Verdict::Lost(_) => None,
                }).collect();
                let enough = |j: &&&Judged| j.bid.cpm.0 >= floor.max(market);
                prop_assert_eq!(sold.len(), usize::from(of.iter().any(|j| enough(&j))));
                for (won, price) in sold {
                    prop_assert!(price <= won.bid.cpm && price.0 >= floor.max(market).max(1));
                    prop_assert!(of.iter().all(|j| j.bid.cpm <= won.bid.cpm));
                }
            }
        }
    }
}
