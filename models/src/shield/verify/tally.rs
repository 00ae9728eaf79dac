//! One budget, added up.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::report::{Findings, Invariant, Total};
use super::row::{BudgetRow, EntryRow, OrderRow, SliceRow};
use crate::shield::entry::Kind;
use crate::shield::money::Micros;
use crate::shield::terms::Terms;
use Invariant::{Bg1, Bg3, Bg4};

#[derive(Debug, Default)]
pub(super) struct Tally {
    stored: Option<Stored>,
    rows: u64,
    last_seq: i64,
    settled: i128,
    late: i128,
    spends: i128,
    refunded: i128,
    days: BTreeMap<i32, i128>,
    slices: BTreeMap<String, Slice>,
    orders: Orders,
}

/// What the budget's row says.
#[derive(Debug)]
struct Stored {
    terms: Option<Terms>,
    days: Option<BTreeMap<i32, i64>>,
    funded: i64,
    refunded: i64,
    settled: i64,
    facts: i64,
    late: i64,
    seq: i64,
}

#[derive(Debug)]
struct Slice {
    quota: i64,
    settled: i64,
    day: String,
    /// Rows up to this one are of an earlier life of the name.
    since_seq: i64,
    /// By the ledger.
    booked: i128,
}

/// How the lifetime cap came to be, as far as stored answers tell.
#[derive(Debug, Default)]
struct Orders {
    highest: i64,
    versions: Vec<i64>,
    unread: bool,
}

/// The part of a budget's state that is checked.
#[derive(Deserialize)]
struct State {
    #[serde(default)]
    days: BTreeMap<i32, i64>,
}

/// The part of an allocation's stored answer that tells its cap.
#[derive(Deserialize)]
struct Allocated {
    budget: Micros,
    version: i64,
}

impl Tally {
    pub fn budget(&mut self, row: &BudgetRow<'_>, findings: &mut Findings) {
        let name = (row.account, row.budget);
        let mut wrong = |what: String| findings.add(Bg4, name, None, what);
        let terms = serde_json::from_str::<Terms>(row.terms);
        let terms = terms.map_err(|e| wrong(format!("its terms are not understood: {e}"))).ok();
        let state = serde_json::from_str::<State>(row.state);
        let state = state.map_err(|e| wrong(format!("its state is not understood: {e}"))).ok();
        if self.stored.is_some() {
            wrong("it is there twice".to_owned());
        }
        self.stored = Some(Stored {
            terms,
            days: state.map(|state| state.days),
            funded: row.funded,
            refunded: row.refunded,
            settled: row.settled,
            facts: row.facts,
            late: row.late,
            seq: row.seq,
        });
    }

    pub fn slice(&mut self, row: &SliceRow<'_>, findings: &mut Findings) {
        let id = || Some(format!("slice {}", row.slice));
        let name = (row.account, row.budget);
        if row.settled > row.quota || row.settled < 0 {
            let (settled, quota) = (Micros(row.settled), Micros(row.quota));
            findings.add(Bg1, name, id(), format!("has booked {settled} of its quota of {quota}"));
        }
        let (quota, settled, day) = (row.quota, row.settled, row.day.to_owned());
        let slice = Slice { quota, settled, day, since_seq: row.since_seq, booked: 0 };
        if self.slices.insert(row.slice.to_owned(), slice).is_some() {
            findings.add(Bg4, name, id(), "is there twice".to_owned());
        }
    }

    pub fn order(&mut self, row: &OrderRow<'_>) {
        match serde_json::from_str::<Allocated>(row.answer) {
            Ok(allocated) => {
                self.orders.highest = self.orders.highest.max(allocated.budget.0);
                self.orders.versions.push(allocated.version);
            }
            Err(_) => self.orders.unread = true,
        }
    }

    /// Counts a ledger row; returns its kind if it has one.
    pub fn entry(&mut self, row: &EntryRow<'_>, findings: &mut Findings) -> Option<Kind> {
        let name = (row.account, row.budget);
        let mut wrong = |invariant, what: String| {
            findings.add(invariant, name, Some(format!("ledger row {}", row.seq)), what);
        };
        self.rows += 1;
        let due = self.last_seq.saturating_add(1);
        if row.seq != due {
            wrong(Bg3, format!("stands where row {due} is due"));
        }
        self.last_seq = row.seq;
        let terms = self.stored.as_ref().and_then(|stored| stored.terms.as_ref());
        if let Some(own) = terms.map(|terms| terms.currency).filter(|c| c.as_str() != row.currency)
        {
            wrong(Bg4, format!("is in {}, its budget in {own}", row.currency));
        }
        let amount = i128::from(row.amount);
        match row.day.parse::<i32>() {
            Ok(day) => {
                let used = self.days.entry(day).or_default();
                *used = (*used + amount).max(0);
            }
            Err(_) => wrong(Bg4, format!("{:?} is no day", row.day)),
        }
        let Some(kind) = Kind::parse(row.kind) else {
            wrong(Bg4, format!("{:?} is no kind of row", row.kind));
            return None;
        };
        let refund = kind == Kind::Refund;
        let signs_agree = if refund { row.window_amount <= 0 } else { row.window_amount >= 0 };
        if refund != (row.amount < 0) || !signs_agree {
            let (amount, counted) = (Micros(row.amount), Micros(row.window_amount));
            wrong(Bg4, format!("a {} of {amount}, counted as {counted}", kind.as_str()));
        }
        let of_hold = matches!(kind, Kind::Settle | Kind::Late);
        if row.hold.is_some() != of_hold || row.slice.is_some() != of_hold {
            let word = if of_hold { "without" } else { "with" };
            wrong(Bg4, format!("a {} {word} a hold or a slice", kind.as_str()));
        }
        match kind {
            Kind::Settle => {
                self.settled += amount;
                let slice = row.slice.and_then(|slice| self.slices.get_mut(slice));
                if let Some(slice) = slice.filter(|slice| row.seq > slice.since_seq) {
                    slice.booked += amount;
                    if slice.day != row.day {
                        wrong(Bg1, format!("of day {}, its slice of day {}", row.day, slice.day));
                    }
                }
            }
            Kind::Late => self.late += amount,
            Kind::Spend => self.spends += amount,
            Kind::Refund => self.refunded -= amount,
        }
        Some(kind)
    }

    /// Whether it is the budget of an account itself: a window and no lifetime cap.
    pub fn is_account(&self) -> bool {
        let terms = self.stored.as_ref().and_then(|stored| stored.terms.as_ref());
        terms.is_some_and(|t| t.window.is_some() && t.lifetime.is_none())
    }

    fn escrow(&self) -> i128 {
        let reserved = |s: &Slice| i128::from(s.quota) - i128::from(s.settled);
        self.slices.values().map(reserved).sum()
    }

    /// Compares what the budget's row says with the sums.
    pub fn finish(&self, name: (&str, &str), findings: &mut Findings) {
        for (id, slice) in &self.slices {
            if i128::from(slice.settled) != slice.booked {
                let (settled, booked) = (Micros(slice.settled), micros(slice.booked));
                let what = format!("says that {settled} was booked from it, the ledger {booked}");
                findings.add(Bg1, name, Some(format!("slice {id}")), what);
            }
        }
        let Some(stored) = &self.stored else {
            let what = format!("{} ledger rows or slices have no budget", self.rows);
            findings.add(Bg4, name, None, what);
            return;
        };
        if stored.seq != self.last_seq {
            let (says, newest) = (stored.seq, self.last_seq);
            let what = format!("its newest ledger row should be {says} and is {newest}");
            findings.add(Bg3, name, None, what);
        }
        let sums = [
            ("settled", stored.settled, self.settled),
            ("facts", stored.facts, self.spends + self.late),
            ("late", stored.late, self.late),
            ("refunded", stored.refunded, self.refunded),
        ];
        for (what, says, sum) in sums.into_iter().filter(|(_, says, sum)| i128::from(*says) != *sum)
        {
            let what =
                format!("its {what} is {}, its rows add up to {}", Micros(says), micros(sum));
            findings.add(Bg4, name, None, what);
        }
        self.check_days(stored, name, findings);
        self.check_cap(stored, name, findings);
    }

    /// The newest days are kept; what was used on them is what the rows say.
    fn check_days(&self, stored: &Stored, name: (&str, &str), findings: &mut Findings) {
        let Some(days) = &stored.days else { return };
        let oldest = days.keys().next().copied().unwrap_or(i32::MIN);
        let all = days.keys().chain(self.days.range(oldest..).map(|(day, _)| day));
        let all: std::collections::BTreeSet<i32> = all.copied().collect();
        for day in all {
            let says = i128::from(days.get(&day).copied().unwrap_or(0));
            let sum = self.days.get(&day).copied().unwrap_or(0);
            if says != sum {
                let (says, sum) = (micros(says), micros(sum));
                let what = format!("it used {says} on {day}, its rows add up to {sum}");
                findings.add(Bg4, name, None, what);
            }
        }
    }

    /// Without facts, all that was ever granted fits the cap, unless the cap was cut later: facts
    /// and cuts only stop further grants.
    fn check_cap(&self, stored: &Stored, name: (&str, &str), findings: &mut Findings) {
        let capped = stored.terms.as_ref().is_some_and(|terms| terms.lifetime.is_some());
        let Some(highest) = self.orders.highest_cap() else { return };
        if !capped || self.spends != 0 || self.late != 0 {
            return;
        }
        let cap = i128::from(highest.max(stored.funded)) + self.refunded;
        let granted = self.settled + self.escrow();
        if granted > cap {
            let (granted, cap) = (micros(granted), micros(cap));
            let what = format!("{granted} is settled or in slices, and no cap was above {cap}");
            findings.add(Bg1, name, None, what);
        }
    }

    pub fn total(&self, account: &str, budget: &str) -> Total {
        let stored = self.stored.as_ref();
        let terms = stored.and_then(|stored| stored.terms.as_ref());
        let funded = i128::from(stored.map_or(0, |stored| stored.funded));
        let (facts, escrow) = (self.spends + self.late, self.escrow());
        Total {
            account: account.to_owned(),
            budget: budget.to_owned(),
            currency: terms.map(|terms| terms.currency.to_string()).unwrap_or_default(),
            rows: self.rows,
            funded: micros(funded),
            spent: micros(self.settled + facts - self.refunded),
            settled: micros(self.settled),
            facts: micros(facts),
            late: micros(self.late),
            refunded: micros(self.refunded),
            escrow: micros(escrow),
            available: micros(funded + self.refunded - self.settled - facts - escrow),
        }
    }
}

impl Orders {
    /// The highest cap that there ever was; `None` where the answers do not tell all of it: the
    /// first is missing, one is of another kind, or two orders went into one version.
    fn highest_cap(&self) -> Option<i64> {
        let mut versions = self.versions.clone();
        versions.sort_unstable();
        let whole = versions.first() == Some(&1) && versions.windows(2).all(|v| v[0] < v[1]);
        (whole && !self.unread).then_some(self.highest)
    }
}

/// Sums of rows that a store can hold fit; a broken one is shown as the end of the range.
fn micros(sum: i128) -> Micros {
    Micros(i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX }))
}
