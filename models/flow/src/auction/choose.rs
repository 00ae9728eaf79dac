//! Which bids stand of those that several nodes have for one request: each has decided among its own campaigns,
//! and for each slot the best of all bids goes, as if one node had them all. In one thing it is not the same: who
//! loses a slot here does not fall back to another one that its campaign has left to the next best of its node.

use std::collections::BTreeMap;

use kiki_models::shield::money::Currency;

use crate::reason::Reason;

use super::bid::BEHIND;
use super::rates::{Cross, Rates};

/// A bid of some node on a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    pub slot: usize,
    /// In one currency for all of them: see [`factor`].
    pub score: f64,
    /// Decides between equal scores. No two campaigns have the same for a slot.
    pub tie: u64,
    /// That of its price.
    pub currency: Currency,
}

impl Offer {
    fn before(&self, other: &Offer) -> bool {
        self.score.total_cmp(&other.score).then(self.tie.cmp(&other.tie)).is_gt()
    }
}

/// What makes a score in one currency comparable to those in another, by the first table that knows both. Without
/// one it stands behind all that can be compared, and does not get lost for it.
pub fn factor<'r>(from: Currency, to: Currency, rates: impl IntoIterator<Item = &'r Rates>) -> f64 {
    if from == to {
        return 1.0;
    }
    rates.into_iter().find_map(|rates| rates.cross(from, to)).map_or(BEHIND, Cross::factor)
}

/// Why each of them is not bid, in their order; `None`: it is. An answer has one currency, that of the best bid of
/// all, and one bid for each slot. In whatever order they come, the same ones stand.
pub fn choose(offers: &[Offer]) -> Vec<Option<Reason>> {
    let best = offers.iter().reduce(|best, it| if it.before(best) { it } else { best });
    let Some(currency) = best.map(|best| best.currency) else { return Vec::new() };
    let mut winners: BTreeMap<usize, &Offer> = BTreeMap::new();
    for it in offers.iter().filter(|it| it.currency == currency) {
        let winner = winners.entry(it.slot).or_insert(it);
        if it.before(winner) {
            *winner = it;
        }
    }
    let why = |it: &Offer| match winners.get(&it.slot) {
        _ if it.currency != currency => Some(Reason::Currency),
        Some(winner) if std::ptr::eq(*winner, it) => None,
        _ => Some(Reason::Outbid),
    };
    offers.iter().map(why).collect()
}

#[cfg(test)]
mod tests {
    use kiki_models::shield::money::Rate;

    use super::*;

    fn eur() -> Currency {
        "EUR".parse().expect("a code")
    }

    fn offer(slot: usize, score: f64, tie: u64, currency: Currency) -> Offer {
        Offer { slot, score, tie, currency }
    }

    #[test]
    fn the_best_bid_of_each_slot_goes_in_whatever_order_they_come() {
        let usd = Currency::USD;
        let offers = [
            offer(0, 1.0, 1, usd),
            offer(0, 2.0, 2, usd),
            offer(1, 5.0, 3, usd),
            offer(1, 5.0, 9, usd),
            offer(2, -1.0, 1, usd),
        ];
        let lost = Some(Reason::Outbid);
        assert_eq!(choose(&offers), [lost, None, lost, None, None]);
        let mut turned = offers;
        turned.reverse();
        assert_eq!(choose(&turned), [None, None, lost, None, lost]);
        assert!(choose(&[]).is_empty());
    }

    #[test]
    fn an_answer_has_the_currency_of_its_best_bid() {
        let usd = Currency::USD;
        let offers = [offer(0, 3.0, 1, usd), offer(0, 2.0, 1, eur()), offer(1, 2.5, 1, eur())];
        let other = Some(Reason::Currency);
        assert_eq!(choose(&offers), [None, other, other]);
        let offers = [offer(0, 3.0, 1, usd), offer(0, 2.0, 1, eur()), offer(1, 4.0, 1, eur())];
        assert_eq!(choose(&offers), [other, None, None]);
    }

    #[test]
    fn scores_in_another_currency_are_converted_or_stand_behind() {
        let rates = Rates::new(20261121, Currency::USD, [(eur(), Rate(1_250_000_000))]);
        let rates = [Rates::none(Currency::USD), rates.expect("rates")];
        assert_eq!(factor(eur(), Currency::USD, &rates), 1.25);
        assert_eq!(factor(eur(), eur(), &rates[..0]), 1.0);
        let behind = factor(eur(), Currency::USD, &rates[..1]);
        assert!(behind > 0.0 && behind < 1e-9);
    }
}
