//! The bill against the ledger, impression by impression: pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::super::report::Sold;
use super::own::{self, Own};
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
    /// When something was booked of it first. `None`: nothing was.
    first_at_us: Option<i64>,
}

/// The earlier of two times that may not be.
fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    [one, other].into_iter().flatten().min()
}

/// The times that bills are of, wall-clock microseconds from and to: what was booked in none of them is on no
/// bill that is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times(Vec<(i64, i64)>);

impl Times {
    /// `ended_us`: `None` of a bill that was cut off.
    pub fn add(&mut self, began_us: i64, ended_us: Option<i64>) {
        self.0.push((began_us, ended_us.unwrap_or(i64::MAX)));
    }

    fn have(&self, at_us: i64) -> bool {
        self.0.iter().any(|(began_us, ended_us)| (*began_us..=*ended_us).contains(&at_us))
    }
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
        booking.first_at_us = earlier(booking.first_at_us, Some(row.at_us));
        booking.currencies.insert(row.currency);
    }

    /// What is booked of a hold, whatever it is called.
    fn of(&self, hold: Op) -> Option<Booking> {
        match (self.holds.get(&hold), self.loose.get(&settle_op(hold))) {
            (Some(of), None) | (None, Some(of)) => Some(of.clone()),
            (Some(of), Some(after)) => Some(Booking {
                amount_micros: of.amount_micros.saturating_add(after.amount_micros),
                currencies: of.currencies.union(&after.currencies).cloned().collect(),
                first_at_us: earlier(of.first_at_us, after.first_at_us),
            }),
            (None, None) => None,
        }
    }
}

/// Whose ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Book {
    /// `None`: nobody says; the server's default account.
    pub account: Option<String>,
    pub campaign: String,
}

/// An impression as the bill has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billed {
    pub hold: Op,
    pub book: Book,
    /// The campaign's, and what the impression costs in it.
    pub currency: String,
    pub amount_micros: i64,
    pub sold: Sold,
}

/// Impressions of bills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impressions {
    pub billed: Vec<Billed>,
    /// Those that name neither hold nor campaign.
    pub nameless: Vec<Sold>,
    /// Those of other accounts, which were left out.
    pub of_others: u64,
}

/// The impressions of bills. `account`: of it alone, and of those that do not say whose they are.
///
/// # Errors
/// A hold is on them twice: one of the bills was given twice.
pub fn impressions(
    sold: impl Iterator<Item = Sold>,
    account: Option<&str>,
) -> Result<Impressions, Op> {
    let mut out = Impressions::default();
    let mut seen = HashSet::new();
    for sold in sold {
        let hold = sold.hold.as_deref().and_then(Op::from_hex);
        let (Some(hold), Some(campaign)) = (hold, sold.campaign.clone()) else {
            out.nameless.push(sold);
            continue;
        };
        if !seen.insert(hold) {
            return Err(hold);
        }
        let Own { account: told, currency, amount_micros } = own::own(&sold, hold);
        let of = told.or_else(|| account.map(str::to_owned));
        if account.is_some() && of.as_deref() != account {
            out.of_others += 1;
            continue;
        }
        let book = Book { account: of, campaign };
        out.billed.push(Billed { hold, book, currency, amount_micros, sold });
    }
    Ok(out)
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
    /// Where it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
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
    /// Of the holds that are on a bill, or were booked first in the time of one.
    pub booked_micros: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// By campaign and currency.
    pub sums: BTreeMap<(Book, String), Sums>,
    /// In the order of the bill; what is not on it follows.
    pub differences: Vec<Difference>,
    /// Micros of bookings that belong to no hold, by currency: of other business.
    pub other: BTreeMap<String, i64>,
    /// Micros as the bill has them, by its currencies.
    pub invoiced: BTreeMap<String, i64>,
    /// Holds of these campaigns that are on no bill, and were booked in the time of none.
    pub other_times: u64,
}

impl Difference {
    pub fn book(&self) -> Book {
        Book { account: self.account.clone(), campaign: self.campaign.clone() }
    }
}

/// Holds that are on a bill. Where a bill does not say whose one is, it is on it for every account, and for the
/// default account, which nobody names here, is what is on it for any.
#[derive(Default)]
struct Known<'a> {
    of: HashSet<(Option<&'a str>, &'a str, Op)>,
    of_any: HashSet<(&'a str, Op)>,
}

impl<'a> Known<'a> {
    fn insert(&mut self, book: &'a Book, hold: Op) {
        self.of.insert((book.account.as_deref(), &book.campaign, hold));
        self.of_any.insert((&book.campaign, hold));
    }

    fn has(&self, book: &Book, hold: Op) -> bool {
        let campaign = book.campaign.as_str();
        match book.account.as_deref() {
            None => self.of_any.contains(&(campaign, hold)),
            account => {
                self.of.contains(&(account, campaign, hold))
                    || self.of.contains(&(None, campaign, hold))
            }
        }
    }
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

/// Compares bills, which are of these times, with the ledgers of their campaigns. Bookings of holds that are
/// not on a bill count as `Unbilled` in its time, unless `others` sell to these campaigns, too.
pub fn compare(
    Impressions { billed, nameless, .. }: &Impressions,
    ledgers: &BTreeMap<Book, Ledger>,
    times: &Times,
    others: bool,
) -> Comparison {
    let mut out = Comparison::default();
    let mut known = Known::default();
    let mut settled = HashSet::with_capacity(billed.len());
    for one in billed {
        known.insert(&one.book, one.hold);
        settled.insert(settle_op(one.hold));
        let booking = ledgers.get(&one.book).and_then(|ledger| ledger.of(one.hold));
        let booked = booking.as_ref().map_or(0, |booking| booking.amount_micros);
        out.invoice(&one.sold);
        let sums = out.sums.entry((one.book.clone(), one.currency.clone())).or_default();
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
            account: one.book.account.clone(),
            campaign: one.book.campaign.clone(),
            hold: one.hold.to_string(),
            currency: one.currency.clone(),
            billed_micros: one.amount_micros,
            ..of(&one.sold, booked)
        }));
    }
    for sold in nameless {
        out.invoice(sold);
        let campaign = sold.campaign.clone().unwrap_or_default();
        let book = Book { account: None, campaign: campaign.clone() };
        let sums = out.sums.entry((book, sold.currency.clone())).or_default();
        sums.impressions += 1;
        sums.billed_micros = sums.billed_micros.saturating_add(sold.price_micros);
        out.differences.push(Difference { why: Why::Nameless, campaign, ..of(sold, 0) });
    }
    // The default account's ledger may have been read under its name, too.
    let mut seen = HashSet::new();
    for (book, ledger) in ledgers {
        for (op, booking) in &ledger.loose {
            if settled.contains(op) || !seen.insert((&book.campaign, *op)) {
                continue;
            }
            let currency = booking.currencies.first().cloned().unwrap_or_default();
            let sum = out.other.entry(currency).or_default();
            *sum = sum.saturating_add(booking.amount_micros);
        }
    }
    if others {
        return out;
    }
    for (book, ledger) in ledgers {
        let mut unbilled: Vec<(&Op, &Booking)> = ledger
            .holds
            .iter()
            .filter(|(hold, _)| !known.has(book, **hold))
            .filter(|(hold, _)| seen.insert((&book.campaign, **hold)))
            .collect();
        let booked = unbilled.len();
        unbilled.retain(|(_, of)| of.first_at_us.is_some_and(|at_us| times.have(at_us)));
        out.other_times += (booked - unbilled.len()) as u64;
        unbilled.sort_by_key(|(hold, of)| (of.first_at_us, hold.0));
        for (hold, booking) in unbilled {
            let currency = booking.currencies.first().cloned().unwrap_or_default();
            let sums = out.sums.entry((book.clone(), currency.clone())).or_default();
            sums.booked_micros = sums.booked_micros.saturating_add(booking.amount_micros);
            if booking.amount_micros == 0 {
                // booked and given back again
                continue;
            }
            out.differences.push(Difference {
                why: Why::Unbilled,
                account: book.account.clone(),
                campaign: book.campaign.clone(),
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
        account: None,
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
mod tests;
