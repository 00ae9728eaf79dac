//! What a reconciliation came to, for people and programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::super::super::format::{grouped, table};
use super::compare::{Comparison, Difference, Why};
use crate::models::shield::money::Micros;

/// Differences that are shown; all are counted.
const SHOWN_MAX: usize = 200;

/// What was booked on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Notices that were called and answered.
    pub notices: usize,
    pub spends: usize,
    pub corrections: usize,
}

#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    /// False: the bill was cut off.
    whole: bool,
    equal: bool,
    impressions: u64,
    /// By the bill's currencies, as it has them.
    invoiced_micros: &'a BTreeMap<String, i64>,
    /// By the campaigns' currencies.
    billed_micros: BTreeMap<&'a str, i64>,
    booked_micros: BTreeMap<&'a str, i64>,
    difference_micros: BTreeMap<&'a str, i64>,
    /// Of bookings that belong to no hold.
    other_micros: &'a BTreeMap<String, i64>,
    missing: usize,
    differing: usize,
    other_currency: usize,
    unbilled: usize,
    nameless: usize,
    /// Bookings in the time of no bill, which are no differences.
    other_times: u64,
    booked_now: Done,
    campaigns: Vec<Campaign<'a>>,
    /// The first 200.
    differences: &'a [Difference],
}

#[derive(Debug, Serialize)]
struct Campaign<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    campaign: &'a str,
    currency: &'a str,
    impressions: u64,
    billed_micros: i64,
    booked_micros: i64,
    difference_micros: i64,
}

impl<'a> Shown<'a> {
    pub fn of(found: &'a Comparison, booked_now: Done, whole: bool) -> Shown<'a> {
        let campaigns: Vec<Campaign<'a>> = found
            .sums
            .iter()
            .map(|((book, currency), sums)| Campaign {
                account: book.account.as_deref(),
                campaign: &book.campaign,
                currency,
                impressions: sums.impressions,
                billed_micros: sums.billed_micros,
                booked_micros: sums.booked_micros,
                difference_micros: sums.booked_micros.saturating_sub(sums.billed_micros),
            })
            .collect();
        let sum = |of: fn(&Campaign<'_>) -> i64| {
            let mut by_currency: BTreeMap<&'a str, i64> = BTreeMap::new();
            for campaign in &campaigns {
                let sum = by_currency.entry(campaign.currency).or_default();
                *sum = sum.saturating_add(of(campaign));
            }
            by_currency
        };
        Shown {
            whole,
            equal: found.differences.is_empty(),
            impressions: campaigns.iter().map(|campaign| campaign.impressions).sum(),
            invoiced_micros: &found.invoiced,
            billed_micros: sum(|campaign| campaign.billed_micros),
            booked_micros: sum(|campaign| campaign.booked_micros),
            difference_micros: sum(|campaign| campaign.difference_micros),
            other_micros: &found.other,
            missing: found.count(Why::Missing),
            differing: found.count(Why::Differs),
            other_currency: found.count(Why::Currency),
            unbilled: found.count(Why::Unbilled),
            nameless: found.count(Why::Nameless),
            other_times: found.other_times,
            booked_now,
            differences: found.differences.get(..SHOWN_MAX).unwrap_or(&found.differences),
            campaigns,
        }
    }

    pub fn table(&self) -> String {
        let amount = |n: i64| grouped(&Micros(n).display_2());
        // Where there is one account, nobody needs to be told which.
        let accounts: BTreeSet<Option<&str>> = self.campaigns.iter().map(|of| of.account).collect();
        let named = |account: Option<&str>, campaign: &str| match account {
            Some(account) if accounts.len() > 1 => format!("{account}/{campaign}"),
            _ => campaign.to_owned(),
        };
        let rows: Vec<Vec<String>> = self
            .campaigns
            .iter()
            .map(|of| {
                vec![
                    named(of.account, of.campaign),
                    of.currency.to_owned(),
                    grouped(&of.impressions.to_string()),
                    amount(of.billed_micros),
                    amount(of.booked_micros),
                    amount(of.difference_micros),
                ]
            })
            .collect();
        let head = ["campaign", "currency", "impressions", "billed", "booked", "difference"];
        let mut out = table(&head, &rows);
        // Writing to a string cannot fail.
        for (currency, billed) in &self.billed_micros {
            let of = |sums: &BTreeMap<&str, i64>| amount(sums.get(currency).copied().unwrap_or(0));
            let _ = writeln!(
                out,
                "{currency}: billed {}, booked {}, difference {}",
                amount(*billed),
                of(&self.booked_micros),
                of(&self.difference_micros)
            );
        }
        if self.invoiced_micros.keys().any(|code| !self.billed_micros.contains_key(code.as_str())) {
            let of = |(code, sum): (&String, &i64)| format!("{code} {}", amount(*sum));
            let sums: Vec<String> = self.invoiced_micros.iter().map(of).collect();
            let _ = writeln!(out, "as the bill has it: {}", sums.join(", "));
        }
        let Done { notices, spends, corrections } = self.booked_now;
        if notices + spends + corrections > 0 {
            let _ = writeln!(
                out,
                "booked now: {notices} by notices, {spends} as spends, {corrections} corrections"
            );
        }
        for one in self.differences {
            let why = match one.why {
                Why::Missing => "is not booked",
                Why::Differs => "is booked at another price",
                Why::Currency => "is booked in another currency",
                Why::Unbilled => "is not billed",
                Why::Nameless => "names no hold",
            };
            let currency = &one.currency;
            let state = one.state.as_deref().map(|state| format!(", the hold is {state}"));
            let _ = writeln!(
                out,
                "{} {} {why}: {currency} {} billed, {} booked, difference {}{}",
                named(one.account.as_deref(), &one.campaign),
                one.hold,
                amount(one.billed_micros),
                amount(one.booked_micros),
                amount(one.booked_micros.saturating_sub(one.billed_micros)),
                state.unwrap_or_default()
            );
        }
        let all =
            self.missing + self.differing + self.other_currency + self.unbilled + self.nameless;
        if let Some(more) = all.checked_sub(self.differences.len()).filter(|more| *more > 0) {
            let _ = writeln!(out, "and {more} more");
        }
        if self.unbilled > 0 {
            out += "what is not billed may be of another run: give its bill, too, or --others\n";
        }
        if self.other_times > 0 {
            let count = grouped(&self.other_times.to_string());
            let _ = writeln!(out, "and {count} bookings of other times; give their bills, too");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::sold;
    use super::super::compare::{Book, Ledger, Row, Times, compare, impressions};
    use super::*;
    use crate::models::shield::entry::Op;

    #[test]
    fn amounts_are_told_in_their_currency_and_what_is_of_other_times_by_its_number() {
        let bill = impressions([sold(1, "c", 1_500_001)].into_iter(), None).expect("a bill");
        let mut ledger = Ledger::default();
        for (hold, amount_micros, at_us) in [(1, 1_500_002, 1), (2, 7, 1), (3, 7, 9), (4, 7, 9)] {
            let (currency, hold) = ("USD".to_owned(), Some(Op(hold)));
            ledger.add(Row { amount_micros, currency, at_us, hold, op: None, memo: None });
        }
        let book = Book { account: None, campaign: "c".to_owned() };
        let mut times = Times::default();
        times.add(0, Some(5));
        let found = compare(&bill, &BTreeMap::from([(book, ledger)]), &times, false);
        let shown = Shown::of(&found, Done::default(), true).table();
        for line in [
            "USD: billed 1.500001, booked 1.500009, difference 0.000008",
            "USD 1.500001 billed, 1.500002 booked, difference 0.000001",
            "and 2 bookings of other times; give their bills, too",
            "may be of another run",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        assert!(!shown.contains("micros"), "{shown}");
    }
}
