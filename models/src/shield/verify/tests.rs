use super::*;
use crate::shield::money::Currency;
use crate::shield::terms::{Terms, WindowCap};

const UNIT: i64 = 1_000_000;
const SLICE: &str = "00000000000000a1";

/// Owned rows of a small store, easy to break.
#[derive(Clone)]
struct Ledger {
    terms: String,
    funded: i64,
    refunded: i64,
    settled: i64,
    facts: i64,
    late: i64,
    seq: i64,
    state: String,
    slice: (i64, i64, String),
    since_seq: i64,
    hold: Option<(Op, i64, Option<i64>)>,
    entries: Vec<Line>,
    orders: Vec<String>,
}

#[derive(Clone)]
struct Line {
    seq: i64,
    op: String,
    kind: &'static str,
    amount: i64,
    window: i64,
    currency: &'static str,
    hold: Option<String>,
    slice: Option<&'static str>,
    day: &'static str,
}

fn hold(n: u128) -> Op {
    Op::of(&["hold", &n.to_string()])
}

fn settle(seq: i64, n: u128, amount: i64) -> Line {
    let hold = hold(n);
    Line {
        seq,
        op: settle_op(hold).to_string(),
        kind: "settle",
        amount,
        window: amount,
        currency: "USD",
        hold: Some(hold.to_string()),
        slice: Some(SLICE),
        day: "20260102",
    }
}

fn fact(seq: i64, amount: i64) -> Line {
    Line {
        seq,
        op: Op::of(&["fact", &seq.to_string()]).to_string(),
        kind: if amount < 0 { "refund" } else { "spend" },
        amount,
        window: amount,
        currency: "USD",
        hold: None,
        slice: None,
        day: "20260101",
    }
}

fn usd() -> Currency {
    "USD".parse().expect("a currency")
}

/// Two settles from one slice, then a spend, a refund of more than it and a late settle.
fn good() -> Ledger {
    let late = Line { kind: "late", ..settle(5, 3, 2 * UNIT) };
    Ledger {
        terms: serde_json::to_string(&Terms::campaign(usd(), Micros(100 * UNIT))).expect("JSON"),
        funded: 100 * UNIT,
        refunded: 9 * UNIT,
        settled: 30 * UNIT,
        facts: 10 * UNIT,
        late: 2 * UNIT,
        seq: 5,
        state: r#"{"days":{"20260101":0,"20260102":32000000},"raised":[],"stopped":false}"#.into(),
        slice: (40 * UNIT, 30 * UNIT, "20260102".into()),
        since_seq: 0,
        hold: Some((hold(2), 20 * UNIT, Some(20 * UNIT))),
        entries: vec![
            settle(1, 1, 10 * UNIT),
            settle(2, 2, 20 * UNIT),
            fact(3, 8 * UNIT),
            fact(4, -9 * UNIT),
            late,
        ],
        orders: vec![r#"{"budget":100,"version":1}"#.into()],
    }
}

/// Only settles: what was granted can be held against the cap.
fn only_settles() -> Ledger {
    let mut ledger = good();
    ledger.entries.truncate(2);
    (ledger.refunded, ledger.facts, ledger.late, ledger.seq) = (0, 0, 0, 2);
    ledger.state = r#"{"days":{"20260102":30000000}}"#.into();
    ledger
}

fn check(ledger: &Ledger) -> Report {
    let (account, budget) = ("acme", "camp");
    let mut checker = Checker::default();
    checker.feed(&Row::Budget(BudgetRow {
        account,
        budget,
        terms: &ledger.terms,
        funded: ledger.funded,
        refunded: ledger.refunded,
        settled: ledger.settled,
        facts: ledger.facts,
        late: ledger.late,
        seq: ledger.seq,
        state: &ledger.state,
    }));
    let (quota, settled, day) = &ledger.slice;
    checker.feed(&Row::Slice(SliceRow {
        account,
        budget,
        slice: SLICE,
        quota: *quota,
        settled: *settled,
        day,
        since_seq: ledger.since_seq,
    }));
    if let Some((id, amount, settled)) = &ledger.hold {
        let (hold, amount, settled) = (&*id.to_string(), *amount, *settled);
        checker.feed(&Row::Hold(HoldRow { account, budget, hold, amount, settled }));
    }
    for e in &ledger.entries {
        checker.feed(&Row::Entry(EntryRow {
            account,
            budget,
            seq: e.seq,
            op: &e.op,
            kind: e.kind,
            amount: e.amount,
            window_amount: e.window,
            currency: e.currency,
            hold: e.hold.as_deref(),
            slice: e.slice,
            day: e.day,
        }));
    }
    for answer in &ledger.orders {
        checker.feed(&Row::Order(OrderRow { account, budget, answer }));
    }
    checker.finish()
}

/// Breaks a good ledger and expects a violation that says so.
fn broken(ledger: Ledger, by: impl FnOnce(&mut Ledger), invariant: Invariant, says: &str) {
    let mut broken = ledger;
    assert_eq!(check(&broken).violations, vec![]);
    by(&mut broken);
    let report = check(&broken);
    let found = |v: &Violation| v.invariant == invariant && v.to_string().contains(says);
    assert!(!report.holds && report.violations.iter().any(found), "{:#?}", report.violations);
}

#[test]
fn a_good_ledger_holds_and_is_added_up_exactly() {
    let report = check(&good());
    assert_eq!((report.holds, report.rows, report.violations.len()), (true, 5, 0));
    let total = &report.budgets[0];
    assert_eq!((total.spent, total.funded), (Micros(31 * UNIT), Micros(100 * UNIT)));
    assert_eq!((total.escrow, total.available), (Micros(10 * UNIT), Micros(59 * UNIT)));
    assert_eq!((total.rows, &*total.currency), (5, "USD"));
}

#[test]
fn a_missing_row_leaves_a_gap() {
    broken(good(), |l| drop(l.entries.remove(2)), Bg3, "ledger row 4: stands where row 3 is due");
}

#[test]
fn a_missing_newest_row_is_missed_by_its_budget() {
    broken(good(), |l| drop(l.entries.pop()), Bg3, "should be 5 and is 4");
}

#[test]
fn two_rows_of_one_operation_are_one_too_many() {
    broken(good(), |l| l.entries[3].op = l.entries[2].op.clone(), Bg3, "has a row already");
}

#[test]
fn a_hold_that_is_settled_twice_is_found_under_any_key() {
    let twice = |l: &mut Ledger| l.entries[1].hold = l.entries[0].hold.clone();
    broken(good(), twice, Bg3, "under a key that is not the hold's own");
}

#[test]
fn keys_and_holds_that_are_none_are_named() {
    broken(good(), |l| l.entries[2].op = "x".into(), Bg3, "\"x\" is no operation's key");
    broken(good(), |l| l.entries[0].hold = Some("y".into()), Bg3, "\"y\" is no hold's name");
}

#[test]
fn a_total_that_is_a_micro_off_is_found() {
    broken(good(), |l| l.settled += 1, Bg4, "its settled is 30.000001, its rows add up to 30");
    broken(good(), |l| l.facts -= 1, Bg4, "its facts is 9.999999");
    broken(good(), |l| l.late += 1, Bg4, "its late is 2.000001");
    broken(good(), |l| l.refunded += 1, Bg4, "its refunded is 9.000001");
}

#[test]
fn an_amount_that_was_changed_is_found_in_every_sum() {
    let change = |l: &mut Ledger| l.entries[0].amount += 1;
    broken(good(), change, Bg4, "its settled is 30, its rows add up to 30.000001");
    broken(good(), change, Bg1, "says that 30 was booked from it, the ledger 30.000001");
    broken(good(), change, Bg4, "it used 32 on 20260102");
}

#[test]
fn a_slice_never_books_more_than_its_quota() {
    broken(good(), |l| l.slice.0 = 29 * UNIT, Bg1, "has booked 30 of its quota of 29");
}

#[test]
fn a_slice_and_its_settles_agree() {
    broken(good(), |l| l.slice.1 = 25 * UNIT, Bg1, "says that 25 was booked from it");
    broken(good(), |l| l.slice.2 = "20260103".into(), Bg1, "its slice of day 20260103");
}

#[test]
fn a_slice_made_anew_owns_only_the_rows_since() {
    let mut anew = good();
    (anew.slice.1, anew.since_seq) = (20 * UNIT, 1);
    assert_eq!(check(&anew).violations, vec![]);
    anew.entries[0].day = "20260101";
    anew.state = r#"{"days":{"20260101":9000000,"20260102":22000000}}"#.into();
    assert_eq!(check(&anew).violations, vec![], "its first life had a day of its own");
    broken(
        anew.clone(),
        |l| l.since_seq = 0,
        Bg1,
        "says that 20 was booked from it, the ledger 30",
    );
    broken(anew, |l| l.since_seq = 2, Bg1, "says that 20 was booked from it, the ledger 0");
}

#[test]
fn settles_and_escrow_fit_the_highest_cap_that_there_was() {
    let cut = |l: &mut Ledger| l.funded = 39 * UNIT;
    let mut before = only_settles();
    cut(&mut before);
    assert_eq!(check(&before).violations, vec![], "a cap may be cut below what was granted");
    let grown = |l: &mut Ledger| l.slice.0 = 101 * UNIT;
    broken(only_settles(), grown, Bg1, "101 is settled or in slices, and no cap was above 100");
    let raised = |l: &mut Ledger| l.orders.push(r#"{"budget":120,"version":7}"#.into());
    let mut after = only_settles();
    grown(&mut after);
    raised(&mut after);
    assert_eq!(check(&after).violations, vec![], "it was raised in between");
}

#[test]
fn a_cap_whose_history_is_not_known_is_not_judged() {
    for orders in [&[][..], &["{}"], &[r#"{"budget":1,"version":2}"#]] {
        let mut ledger = only_settles();
        ledger.slice.0 = 101 * UNIT;
        ledger.orders = orders.iter().map(|&answer| answer.to_owned()).collect();
        assert_eq!(check(&ledger).violations, vec![]);
    }
}

#[test]
fn a_journaled_settle_is_in_the_ledger_with_its_amount() {
    let ghost = |l: &mut Ledger| l.hold = Some((hold(9), UNIT, Some(UNIT)));
    broken(good(), ghost, Bg2, "was settled with 1 and has no ledger row");
    let other = |l: &mut Ledger| l.hold = Some((hold(2), 20 * UNIT, Some(19 * UNIT)));
    broken(good(), other, Bg2, "books 20 for hold");
    let more = |l: &mut Ledger| l.hold = Some((hold(2), 19 * UNIT, None));
    broken(good(), more, Bg1, "which was of 19");
    let beyond = |l: &mut Ledger| l.hold = Some((hold(2), 19 * UNIT, Some(20 * UNIT)));
    broken(good(), beyond, Bg1, "was settled with 20 of 19");
}

#[test]
fn signs_follow_the_kind() {
    broken(good(), |l| l.entries[2].kind = "refund", Bg4, "a refund of 8, counted as 8");
    broken(good(), |l| l.entries[3].kind = "spend", Bg4, "a spend of -9, counted as -9");
    broken(good(), |l| l.entries[0].window = -1, Bg4, "a settle of 10, counted as -0.000001");
    broken(good(), |l| l.entries[0].kind = "gift", Bg4, "\"gift\" is no kind of row");
}

#[test]
fn only_settles_name_a_hold_and_a_slice() {
    broken(good(), |l| l.entries[0].hold = None, Bg4, "a settle without a hold or a slice");
    broken(good(), |l| l.entries[2].slice = Some(SLICE), Bg4, "a spend with a hold or a slice");
}

#[test]
fn a_row_is_in_the_currency_of_its_budget() {
    broken(good(), |l| l.entries[2].currency = "EUR", Bg4, "is in EUR, its budget in USD");
}

#[test]
fn days_add_up_as_far_as_they_are_kept() {
    let wrong = |l: &mut Ledger| l.state = r#"{"days":{"20260102":1}}"#.into();
    broken(good(), wrong, Bg4, "it used 0.000001 on 20260102, its rows add up to 32");
    let forgotten = |l: &mut Ledger| l.state = r#"{"days":{"20260101":0}}"#.into();
    broken(good(), forgotten, Bg4, "it used 0 on 20260102");
    let mut older_left_out = good();
    older_left_out.state = r#"{"days":{"20260102":32000000}}"#.into();
    assert_eq!(check(&older_left_out).violations, vec![]);
    broken(good(), |l| l.entries[0].day = "today", Bg4, "\"today\" is no day");
}

#[test]
fn what_cannot_be_read_is_a_violation_and_no_panic() {
    broken(good(), |l| l.terms = "{".into(), Bg4, "its terms are not understood");
    broken(good(), |l| l.state = "{".into(), Bg4, "its state is not understood");
    let mut extreme = good();
    for entry in &mut extreme.entries {
        (entry.amount, entry.seq, entry.window) = (i64::MIN, i64::MAX, i64::MIN);
    }
    (extreme.settled, extreme.slice.0, extreme.slice.1) = (i64::MIN, i64::MAX, i64::MIN);
    assert!(!check(&extreme).holds);
}

#[test]
fn rows_without_a_budget_are_found() {
    let mut checker = Checker::default();
    let line = fact(1, UNIT);
    checker.feed(&Row::Entry(EntryRow {
        account: "acme",
        budget: "gone",
        seq: 1,
        op: &line.op,
        kind: line.kind,
        amount: UNIT,
        window_amount: UNIT,
        currency: "USD",
        hold: None,
        slice: None,
        day: line.day,
    }));
    let report = checker.finish();
    assert_eq!(report.violations.len(), 1);
    assert!(report.violations[0].to_string().starts_with("BG-4 acme/gone: 1 ledger rows"));
}

#[test]
fn the_budget_of_an_account_is_checked_but_not_listed() {
    let cap = WindowCap { amount: Micros(UNIT), length_us: 60 };
    let mut ledger = only_settles();
    ledger.terms = serde_json::to_string(&Terms::account(usd(), Some(cap))).expect("JSON");
    let report = check(&ledger);
    assert!(report.holds && report.budgets.is_empty());
}

#[test]
fn violations_beyond_a_thousand_are_counted() {
    let mut ledger = good();
    ledger.entries = (0..3000).map(|seq| fact(seq * 2, UNIT)).collect();
    let report = check(&ledger);
    assert_eq!(report.violations.len(), VIOLATIONS_MAX);
    assert!(report.violations_left_out >= 2000);
}

#[test]
fn answers_of_requests_about_people_are_no_budgets_and_those_of_no_budget_are_found() {
    let order = |budget: &str| {
        let mut checker = Checker::default();
        checker.feed(&Row::Order(OrderRow { account: "acme", budget, answer: "01a1fe31cc39" }));
        checker.finish()
    };
    let report = order("@dsr/01a1fe31cc39");
    assert_eq!((report.violations, report.budgets.len()), (vec![], 0));
    assert_eq!(order("camp").violations.len(), 1);
}
