//! The bill against the ledger, impression by impression: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::super::report::Sold;
use super::own;
use crate::models::shield::entry::Op;
use crate::models::shield::hold::settle_op;

/// What a spend says that books an impression of a bill, before its hold.
pub const MEMO: &str = "exchange billing, hold ";

/// A row of a ledger, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub amount_micros: i64,
    pub currency: String,
    /// Wall-clock microseconds since 1970 UTC.
    pub at_us: i64,
    pub hold: Option<Op>,
    /// The operation that booked it.
    pub op: Option<Op>,
    pub memo: Option<String>,
}

/// What is booked of a hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Booking {
    amount_micros: i64,
    /// More than one where somebody made a mistake.
    currencies: BTreeSet<String>,
    last_at_us: i64,
}

/// What is booked of a campaign, by hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    holds: HashMap<Op, Booking>,
    /// Rows without a hold, by their operation: what is booked after a release is a spend, under the
    /// operation that would have settled the hold.
    loose: HashMap<Op, Booking>,
}

impl Ledger {
    pub fn add(&mut self, row: Row) {
        let told = || Op::from_hex(row.memo.as_deref()?.strip_prefix(MEMO)?);
        let booking = match (row.hold.or_else(told), row.op) {
            (Some(hold), _) => self.holds.entry(hold).or_default(),
            (None, Some(op)) => self.loose.entry(op).or_default(),
            (None, None) => return,
        };
        booking.amount_micros = booking.amount_micros.saturating_add(row.amount_micros);
        booking.last_at_us = booking.last_at_us.max(row.at_us);
        booking.currencies.insert(row.currency);
    }

    /// What is booked of a hold, whatever it is called.
    fn of(&self, hold: Op) -> Option<Booking> {
        match (self.holds.get(&hold), self.loose.get(&settle_op(hold))) {
            (Some(of), None) | (None, Some(of)) => Some(of.clone()),
            (Some(of), Some(after)) => Some(Booking {
                amount_micros: of.amount_micros.saturating_add(after.amount_micros),
                currencies: of.currencies.union(&after.currencies).cloned().collect(),
                last_at_us: of.last_at_us.max(after.last_at_us),
            }),
            (None, None) => None,
        }
    }
}

/// An impression as the bill has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billed {
    pub hold: Op,
    pub campaign: String,
    /// The campaign's, and what the impression costs in it.
    pub currency: String,
    pub amount_micros: i64,
    pub sold: Sold,
}

/// The impressions of bills, and how many name neither hold nor campaign.
///
/// # Errors
/// A hold is on them twice: one of the bills was given twice.
pub fn billed(sold: impl Iterator<Item = Sold>) -> Result<(Vec<Billed>, Vec<Sold>), Op> {
    let (mut named, mut nameless) = (Vec::new(), Vec::new());
    let mut seen = std::collections::HashSet::new();
    for sold in sold {
        let hold = sold.hold.as_deref().and_then(Op::from_hex);
        let (Some(hold), Some(campaign)) = (hold, sold.campaign.clone()) else {
            nameless.push(sold);
            continue;
        };
        if !seen.insert(hold) {
            return Err(hold);
        }
        let (currency, amount_micros) = own::cost(&sold, hold);
        named.push(Billed { hold, campaign, currency, amount_micros, sold });
    }
    Ok((named, nameless))
}

/// What is wrong with an impression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Billed, and not booked.
    Missing,
    /// Booked at another price.
    Differs,
    /// Booked in another currency.
    Currency,
    /// Booked, and not billed.
    Unbilled,
    /// Billed without the name of a hold or campaign, so that nothing can be found about it.
    Nameless,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub why: Why,
    pub campaign: String,
    /// 32 hexadecimal digits.
    pub hold: String,
    /// The campaign's, where the bill tells it.
    pub currency: String,
    pub billed_micros: i64,
    pub booked_micros: i64,
    /// Of the bill, where it is on one.
    pub auction: Option<String>,
    pub imp: Option<String>,
    /// What the server says of the hold, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// One campaign in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    pub impressions: u64,
    pub billed_micros: i64,
    /// Of the holds that are on the bill or after its beginning.
    pub booked_micros: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// By campaign and currency.
    pub sums: BTreeMap<(String, String), Sums>,
    /// In the order of the bill; what is not on it follows.
    pub differences: Vec<Difference>,
    /// Micros of bookings that belong to no hold, by currency: of other business.
    pub other: BTreeMap<String, i64>,
    /// Micros as the bill has them, by its currencies.
    pub invoiced: BTreeMap<String, i64>,
}

impl Comparison {
    fn invoice(&mut self, sold: &Sold) {
        let sum = self.invoiced.entry(sold.currency.clone()).or_default();
        *sum = sum.saturating_add(sold.price_micros);
    }

    pub fn count(&self, why: Why) -> usize {
        self.differences.iter().filter(|difference| difference.why == why).count()
    }
}

/// Compares bills, which began at `began_us`, with the ledgers of their campaigns. Bookings of holds that are
/// not on a bill count as `Unbilled` from its beginning on, unless `others` sell to these campaigns, too.
pub fn compare(
    billed: &[Billed],
    nameless: &[Sold],
    ledgers: &BTreeMap<String, Ledger>,
    began_us: i64,
    others: bool,
) -> Comparison {
    let mut out = Comparison::default();
    let mut known = std::collections::HashSet::with_capacity(billed.len());
    let mut settled = std::collections::HashSet::with_capacity(billed.len());
    for one in billed {
        known.insert((one.campaign.as_str(), one.hold));
        settled.insert(settle_op(one.hold));
        let booking = ledgers.get(&one.campaign).and_then(|ledger| ledger.of(one.hold));
        let booked = booking.as_ref().map_or(0, |booking| booking.amount_micros);
        out.invoice(&one.sold);
        let sums = out.sums.entry((one.campaign.clone(), one.currency.clone())).or_default();
        sums.impressions += 1;
        sums.billed_micros = sums.billed_micros.saturating_add(one.amount_micros);
        let strange = |of: &Booking| of.currencies.iter().any(|code| *code != one.currency);
        let why = match &booking {
            None => Some(Why::Missing),
            Some(of) if strange(of) => Some(Why::Currency),
            Some(_) => (booked != one.amount_micros).then_some(Why::Differs),
        };
        if why != Some(Why::Currency) {
            sums.booked_micros = sums.booked_micros.saturating_add(booked);
        }
        out.differences.extend(why.map(|why| Difference {
            why,
            campaign: one.campaign.clone(),
            hold: one.hold.to_string(),
            currency: one.currency.clone(),
            billed_micros: one.amount_micros,
            ..of(&one.sold, booked)
        }));
    }
    for sold in nameless {
        out.invoice(sold);
        let campaign = sold.campaign.clone().unwrap_or_default();
        let sums = out.sums.entry((campaign.clone(), sold.currency.clone())).or_default();
        sums.impressions += 1;
        sums.billed_micros = sums.billed_micros.saturating_add(sold.price_micros);
        out.differences.push(Difference { why: Why::Nameless, campaign, ..of(sold, 0) });
    }
    let loose = ledgers.values().flat_map(|ledger| &ledger.loose);
    for (_, booking) in loose.filter(|(op, _)| !settled.contains(*op)) {
        let currency = booking.currencies.first().cloned().unwrap_or_default();
        let sum = out.other.entry(currency).or_default();
        *sum = sum.saturating_add(booking.amount_micros);
    }
    if others {
        return out;
    }
    for (campaign, ledger) in ledgers {
        let mut unbilled: Vec<(&Op, &Booking)> = ledger
            .holds
            .iter()
            .filter(|(hold, of)| {
                of.last_at_us >= began_us && !known.contains(&(campaign.as_str(), **hold))
            })
            .collect();
        unbilled.sort_by_key(|(hold, of)| (of.last_at_us, hold.0));
        for (hold, booking) in unbilled {
            let currency = booking.currencies.first().cloned().unwrap_or_default();
            let sums = out.sums.entry((campaign.clone(), currency.clone())).or_default();
            sums.booked_micros = sums.booked_micros.saturating_add(booking.amount_micros);
            if booking.amount_micros == 0 {
                // booked and given back again
                continue;
            }
            out.differences.push(Difference {
                why: Why::Unbilled,
                campaign: campaign.clone(),
                hold: hold.to_string(),
                currency,
                billed_micros: 0,
                booked_micros: booking.amount_micros,
                auction: None,
                imp: None,
                state: None,
            });
        }
    }
    out
}

fn of(sold: &Sold, booked_micros: i64) -> Difference {
    Difference {
        why: Why::Differs,
        campaign: String::new(),
        hold: String::new(),
        currency: sold.currency.clone(),
        billed_micros: sold.price_micros,
        booked_micros,
        auction: Some(sold.auction.clone()),
        imp: Some(sold.imp.clone()),
        state: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::sold;
    use super::*;

    fn row(hold: u128, amount_micros: i64) -> Row {
        let currency = "USD".to_owned();
        Row { amount_micros, currency, at_us: 10, hold: Some(Op(hold)), op: None, memo: None }
    }

    fn ledgers(rows: Vec<Row>) -> BTreeMap<String, Ledger> {
        let mut ledger = Ledger::default();
        rows.into_iter().for_each(|row| ledger.add(row));
        BTreeMap::from([("c".to_owned(), ledger)])
    }

    fn against(sold: Vec<Sold>, rows: Vec<Row>, began_us: i64, others: bool) -> Comparison {
        let (billed, nameless) = billed(sold.into_iter()).expect("no hold twice");
        compare(&billed, &nameless, &ledgers(rows), began_us, others)
    }

    fn whys(comparison: &Comparison) -> Vec<(Why, i64, i64)> {
        let of = |d: &Difference| (d.why, d.billed_micros, d.booked_micros);
        comparison.differences.iter().map(of).collect()
    }

    #[test]
    fn a_ledger_that_is_equal_to_the_bill_has_no_difference() {
        let bill = vec![sold(1, "c", 5), sold(2, "c", 7)];
        let found = against(bill, vec![row(2, 7), row(1, 5)], 0, false);
        assert_eq!(whys(&found), []);
        let sums = &found.sums[&("c".to_owned(), "USD".to_owned())];
        assert_eq!((sums.impressions, sums.billed_micros, sums.booked_micros), (2, 12, 12));
    }

    #[test]
    fn every_kind_of_difference_is_found_to_the_micro() {
        let bill = vec![sold(1, "c", 5), sold(2, "c", 7), sold(3, "c", 9)];
        let euros = Row { currency: "EUR".to_owned(), ..row(3, 9) };
        let found = against(bill, vec![row(2, 8), euros, row(4, 1)], 0, false);
        let expected = [
            (Why::Missing, 5, 0),
            (Why::Differs, 7, 8),
            (Why::Currency, 9, 9),
            (Why::Unbilled, 0, 1),
        ];
        assert_eq!(whys(&found), expected);
        let sums = &found.sums[&("c".to_owned(), "USD".to_owned())];
        assert_eq!((sums.billed_micros, sums.booked_micros), (21, 9));
        let nobody = Sold { hold: None, ..sold(1, "c", 5) };
        assert_eq!(whys(&against(vec![nobody], vec![], 0, false)), [(Why::Nameless, 5, 0)]);
    }

    #[test]
    fn what_was_booked_before_the_bill_or_by_others_is_no_difference() {
        let rows = || vec![row(1, 5), row(9, 3)];
        let bill = || vec![sold(1, "c", 5)];
        assert_eq!(whys(&against(bill(), rows(), 11, false)), []);
        assert_eq!(whys(&against(bill(), rows(), 0, true)), []);
        assert_eq!(whys(&against(bill(), rows(), 10, false)), [(Why::Unbilled, 0, 3)]);
    }

    #[test]
    fn a_spend_that_names_the_hold_counts_for_it() {
        let memo = Some(format!("{MEMO}{}", Op(1)));
        let spend = Row { hold: None, memo, ..row(0, 5) };
        assert_eq!(whys(&against(vec![sold(1, "c", 5)], vec![spend.clone()], 0, false)), []);
        let correction = Row { amount_micros: -2, ..spend };
        let rows = vec![row(1, 7), correction];
        assert_eq!(whys(&against(vec![sold(1, "c", 5)], rows, 0, false)), []);
        let released = Row { hold: None, op: Some(settle_op(Op(1))), ..row(0, 5) };
        assert_eq!(whys(&against(vec![sold(1, "c", 5)], vec![released], 0, false)), []);
        let other = Row { hold: None, op: Some(Op(9)), ..row(0, 5) };
        let found = against(vec![sold(1, "c", 5)], vec![other], 0, false);
        assert_eq!((found.other["USD"], whys(&found)), (5, vec![(Why::Missing, 5, 0)]));
    }

    #[test]
    fn what_was_sold_in_another_currency_is_compared_in_the_campaigns() {
        let euros = own::tests::euros(1, "c", 4_000_001);
        let found =
            against(vec![euros.clone(), sold(2, "c", 7)], vec![row(1, 4_341), row(2, 7)], 0, false);
        assert_eq!(whys(&found), []);
        let sums = &found.sums[&("c".to_owned(), "USD".to_owned())];
        assert_eq!((sums.impressions, sums.billed_micros, sums.booked_micros), (2, 4_348, 4_348));
        assert_eq!((found.invoiced["EUR"], found.invoiced["USD"]), (4_001, 7));
        let found = against(vec![euros.clone()], vec![row(1, 4_340)], 0, false);
        assert_eq!(whys(&found), [(Why::Differs, 4_341, 4_340)]);
        assert_eq!(found.differences[0].currency, "USD");
        assert_eq!(whys(&against(vec![euros], vec![], 0, false)), [(Why::Missing, 4_341, 0)]);
    }

    #[test]
    fn a_bill_that_is_given_twice_is_refused() {
        let twice = [sold(1, "c", 5), sold(1, "c", 5)];
        assert_eq!(billed(twice.into_iter()), Err(Op(1)));
    }
}
