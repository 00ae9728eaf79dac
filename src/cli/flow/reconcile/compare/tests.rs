//! Differences of every kind, and what is none.

use super::super::super::report::tests::sold;
use super::*;

fn row(hold: u128, amount_micros: i64) -> Row {
    let currency = "USD".to_owned();
    Row { amount_micros, currency, at_us: 10, hold: Some(Op(hold)), op: None, memo: None }
}

fn book(account: Option<&str>) -> Book {
    Book { account: account.map(str::to_owned), campaign: "c".to_owned() }
}

fn ledger(rows: Vec<Row>) -> Ledger {
    let mut ledger = Ledger::default();
    rows.into_iter().for_each(|row| ledger.add(row));
    ledger
}

fn told(account: &str, hold: u128) -> Sold {
    let mut sold = sold(hold, "c", 5);
    sold.billing.url = Some(own::tests::address(hold, account));
    sold
}

/// A bill that was cut off has no end.
fn from(began_us: i64) -> Times {
    let mut times = Times::default();
    times.add(began_us, None);
    times
}

fn against(sold: Vec<Sold>, rows: Vec<Row>, began_us: i64, others: bool) -> Comparison {
    within(sold, rows, &from(began_us), others)
}

fn within(sold: Vec<Sold>, rows: Vec<Row>, times: &Times, others: bool) -> Comparison {
    let bill = impressions(sold.into_iter(), Some("a")).expect("no hold twice");
    let ledgers = BTreeMap::from([(book(Some("a")), ledger(rows))]);
    compare(&bill, &ledgers, times, others)
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
    let sums = &found.sums[&(book(Some("a")), "USD".to_owned())];
    assert_eq!((sums.impressions, sums.billed_micros, sums.booked_micros), (2, 12, 12));
}

#[test]
fn every_kind_of_difference_is_found_to_the_micro() {
    let bill = vec![sold(1, "c", 5), sold(2, "c", 7), sold(3, "c", 9)];
    let euros = Row { currency: "EUR".to_owned(), ..row(3, 9) };
    let found = against(bill, vec![row(2, 8), euros, row(4, 1)], 0, false);
    let expected =
        [(Why::Missing, 5, 0), (Why::Differs, 7, 8), (Why::Currency, 9, 9), (Why::Unbilled, 0, 1)];
    assert_eq!(whys(&found), expected);
    let sums = &found.sums[&(book(Some("a")), "USD".to_owned())];
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
fn what_was_booked_in_the_time_of_no_bill_is_counted_and_is_no_difference() {
    let at = |hold, at_us| Row { at_us, ..row(hold, 3) };
    // On the bill, whenever it was booked; before, within and after the two runs, and corrected after them.
    let rows = || {
        let corrected = Row { amount_micros: -1, ..at(13, 90) };
        vec![row(1, 5), at(9, 4), at(10, 5), at(11, 20), at(12, 26), at(13, 30), corrected]
    };
    let mut times = Times::default();
    times.add(5, Some(9));
    assert_eq!(times, Times(vec![(5, 9)]));
    let found = within(vec![sold(1, "c", 5)], rows(), &times, false);
    assert_eq!((whys(&found), found.other_times), (vec![(Why::Unbilled, 0, 3)], 4));
    times.add(25, Some(30));
    let found = within(vec![sold(1, "c", 5)], rows(), &times, false);
    let expected = [(Why::Unbilled, 0, 3), (Why::Unbilled, 0, 3), (Why::Unbilled, 0, 2)];
    assert_eq!((whys(&found), found.other_times), (expected.to_vec(), 2));
    let found = within(vec![sold(1, "c", 5)], rows(), &times, true);
    assert_eq!((whys(&found), found.other_times), (vec![], 0), "others are asked after");
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
    let sums = &found.sums[&(book(Some("a")), "USD".to_owned())];
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
    assert_eq!(impressions(twice.into_iter(), None), Err(Op(1)));
}

#[test]
fn campaigns_of_one_name_are_those_of_their_accounts() {
    let bill = impressions([told("a", 1), told("b", 2)].into_iter(), None).expect("a bill");
    let books = |a: Vec<Row>, b: Vec<Row>| {
        BTreeMap::from([(book(Some("a")), ledger(a)), (book(Some("b")), ledger(b))])
    };
    let right = books(vec![row(1, 5)], vec![row(2, 5)]);
    assert_eq!(whys(&compare(&bill, &right, &from(0), false)), []);
    // What was booked on the other's campaign is missing here and too much there.
    let wrong = books(vec![row(1, 5), row(2, 5)], vec![]);
    let found = compare(&bill, &wrong, &from(0), false);
    assert_eq!(whys(&found), [(Why::Missing, 5, 0), (Why::Unbilled, 0, 5)]);
    let of: Vec<Option<&str>> = found.differences.iter().map(|it| it.account.as_deref()).collect();
    assert_eq!(of, [Some("b"), Some("a")]);
}

#[test]
fn of_one_account_what_belongs_to_others_is_left_out_and_what_says_nothing_is_its_own() {
    let bill = || [told("a", 1), told("b", 2), sold(3, "c", 5)].into_iter();
    let of_a = impressions(bill(), Some("a")).expect("a bill");
    assert_eq!((of_a.of_others, of_a.billed.len()), (1, 2));
    assert!(of_a.billed.iter().all(|one| one.book == book(Some("a"))));
    // Nobody says whose: the default account's, which is one of the two, read under both names.
    let of_all = impressions(bill(), None).expect("a bill");
    let rows = || vec![row(1, 5), row(3, 5), row(9, 2)];
    let ledgers = BTreeMap::from([
        (book(None), ledger(rows())),
        (book(Some("a")), ledger(rows())),
        (book(Some("b")), ledger(vec![row(2, 5)])),
    ]);
    let found = compare(&of_all, &ledgers, &from(0), false);
    assert_eq!(whys(&found), [(Why::Unbilled, 0, 2)], "and once");
}
