//! BG-2: what was acknowledged is in the ledger once, with its amount; what nobody asked for is not.

use std::collections::HashSet;

use super::found::Found;
use super::history::History;
use super::late::Late;
use super::ledger::{Fate, Fates, Ledger};
use super::logical::{Asked, Group, Logical};
use super::operation::{Operation, What};
use super::pool::{Candidate, Pool};
use super::record::{Row, RowKind};
use crate::history::Micros;
use crate::verdict::Invariant::{Bg2, Bg3};

struct Checker<'a> {
    history: &'a History,
    asked: &'a Asked,
    ledger: &'a Ledger<'a>,
    found: &'a mut Found,
    /// Bids that were told to have won.
    wins: HashSet<u32>,
    /// Holds that clients were given.
    granted: HashSet<u32>,
    late: Late,
    /// Rows whose operation is known.
    taken: Vec<bool>,
}

pub fn check(history: &History, asked: &Asked, ledger: &Ledger, found: &mut Found) -> Fates {
    let mut wins = HashSet::new();
    let mut granted = HashSet::new();
    for op in history.operations.iter().filter(|op| op.may_have_happened()) {
        match op.what {
            What::Call { win: Some(bid) } => wins.insert(bid),
            What::Authorise { .. } => {
                op.told().and_then(|told| told.hold).is_some_and(|hold| granted.insert(hold))
            }
            _ => false,
        };
    }
    let taken = vec![false; ledger.rows.len()];
    let late = Late::of(history, asked);
    let mut checker = Checker { history, asked, ledger, found, wins, granted, late, taken };
    checker.rows();
    let mut holds = |group: &Group| -> Vec<Fate> {
        group.list.iter().map(|logical| checker.hold(group, logical)).collect()
    };
    let settles = holds(&asked.settles);
    let billings = holds(&asked.billings);
    let mut spends: Vec<Fate> =
        asked.spends.list.iter().map(|spend| checker.spend(spend)).collect();
    let pool = checker.facts(&spends);
    let alike = pool.settle(history, checker.wall(), checker.found);
    for (place, last) in alike {
        spends[place as usize] = Fate::Possible(last);
    }
    checker.unasked();
    Fates { settles, spends, billings }
}

impl Checker<'_> {
    fn row(&self, row: u32) -> &Row {
        &self.ledger.rows[row as usize]
    }

    /// Every row is in its budget's currency, and of the kind that goes with its hold and amount.
    fn rows(&mut self) {
        let history = self.history;
        let currencies = history.begin.budgets.iter();
        let currencies: Vec<Option<u32>> =
            currencies.map(|budget| history.names.find(&budget.currency)).collect();
        for row in self.ledger.rows {
            let at = |what: &str| {
                format!("row {} of {}: {what}", row.seq, history.budget_name(row.budget))
            };
            if let Some(currency) = currencies.get(row.budget as usize)
                && *currency != Some(row.currency)
            {
                self.found.add(Bg2, None, &[], || {
                    let currency = history.names.text(row.currency);
                    at(&format!("booked in {currency}, which is not the currency of its budget"))
                });
            }
            let fits = match row.kind {
                RowKind::Settle | RowKind::Late => row.hold.is_some(),
                RowKind::Spend | RowKind::Refund => {
                    row.hold.is_none() && row.kind == fact_of(row.amount)
                }
            };
            if !fits {
                self.found.add(Bg2, None, &[], || at("it is of a kind that nobody asked for"));
            }
        }
    }

    /// A settle, or a billing: both name the hold that they book.
    fn hold(&mut self, group: &Group, logical: &Logical) -> Fate {
        let history = self.history;
        let ids = || group.ids(logical, history);
        let name = || history.names.text(logical.name);
        let kind = group.attempts(logical, history).next().map_or("settle", |op| op.what.kind());
        let mut rows = self.ledger.of_hold(logical.name);
        let Some(first) = rows.next() else {
            if logical.is_acked() {
                self.found.add(Bg2, Some(logical.acked), &ids(), || {
                    let (amount, of) = (money(logical.amount), history.budget_name(logical.budget));
                    let hold = name();
                    format!("a {kind} of {amount} at {hold} was acknowledged and is not in the ledger of {of}")
                });
            }
            return Fate::Never;
        };
        self.taken[first as usize] = true;
        // That it has more than one is said where rows are counted.
        rows.for_each(|row| self.taken[row as usize] = true);
        let row = *self.row(first);
        let at = |what: String| {
            format!("hold {} in the ledger of {}: {what}", name(), history.budget_name(row.budget))
        };
        let booked = money(row.amount);
        let asked = |op: &Operation| match op.what {
            What::Settle { budget, amount, .. } | What::Billing { budget, amount, .. } => {
                op.may_have_happened() && (budget, amount) == (row.budget, row.amount)
            }
            _ => false,
        };
        if logical.is_acked() {
            let seq = logical.seq.filter(|seq| *seq != row.seq);
            if row.amount != logical.amount || row.budget != logical.budget {
                self.found.add(Bg2, Some(logical.acked), &ids(), || {
                    let amount = money(logical.amount);
                    at(format!("{amount} was acknowledged, {booked} is booked"))
                });
            } else if let Some(seq) = seq {
                self.found.add(Bg2, Some(logical.acked), &ids(), || {
                    at(format!("acknowledged as {seq}, booked as {}", row.seq))
                });
            }
        } else if self.won(logical.name) {
            // The win was booked, at the price that was told with it.
        } else if !logical.maybe {
            self.found.add(Bg2, Some(logical.first), &ids(), || {
                at(format!("{booked} is booked, though every {kind} was refused"))
            });
        } else if !group.attempts(logical, history).any(asked) {
            self.found.add(Bg2, Some(logical.first), &ids(), || {
                at(format!("{booked} is booked, which nobody asked for"))
            });
        }
        if row.kind == RowKind::Late && !self.late.may_be(history, group, logical) {
            self.found.add(Bg2, Some(logical.first), &ids(), || {
                at("booked as late, though nothing had ended it before its time".to_owned())
            });
        }
        Fate::Row(first)
    }

    /// Somebody told that the bid of this hold was won. It is booked when its hold ends, billed or not.
    fn won(&self, hold: u32) -> bool {
        let text = self.history.names.text(hold);
        let bid = text.split_once('.').map_or(text, |(bid, _)| bid);
        let bid = self.history.names.find(bid);
        bid.is_some_and(|bid| self.wins.contains(&bid)) && !self.granted.contains(&hold)
    }

    fn spend(&mut self, spend: &Logical) -> Fate {
        let (history, group) = (self.history, &self.asked.spends);
        let Some(seq) = spend.seq.filter(|_| spend.is_acked()) else {
            return Fate::Never;
        };
        let ids = || group.ids(spend, history);
        let at = |what: &str| {
            let of = history.budget_name(spend.budget);
            format!(
                "a spend of {} was acknowledged as {seq} in the ledger of {of}: {what}",
                money(spend.amount)
            )
        };
        let Some(place) = self.ledger.at(spend.budget, seq) else {
            self.found.add(Bg2, Some(spend.acked), &ids(), || at("no such row is there"));
            return Fate::Never;
        };
        let row = *self.row(place);
        if std::mem::replace(&mut self.taken[place as usize], true) {
            self.found
                .add(Bg3, Some(spend.acked), &ids(), || at("that row is of another operation"));
        } else if row.amount != spend.amount {
            let what = format!("{} is booked there", money(row.amount));
            self.found.add(Bg2, Some(spend.acked), &ids(), || at(&what));
        } else if row.hold.is_some() {
            self.found.add(Bg2, Some(spend.acked), &ids(), || at("that row is no spend"));
        }
        Fate::Row(place)
    }

    /// Spends that no sequence number ties to a row, and the rows without a hold that are left.
    fn facts(&mut self, spends: &[Fate]) -> Pool {
        let mut pool = Pool::default();
        for (place, row) in self.ledger.rows.iter().enumerate() {
            if row.hold.is_none() && !self.taken[place] {
                pool.row(row);
            }
        }
        for (place, spend) in self.asked.spends.list.iter().enumerate() {
            let known = spend.is_acked() && spend.seq.is_some();
            if known || spends[place] != Fate::Never {
                continue;
            }
            let one = |amount| Candidate {
                place: place as u32,
                budget: spend.budget,
                amount,
                first: spend.first,
            };
            if spend.is_acked() {
                pool.acknowledged(one(spend.amount), self.asked.spends.ids(spend, self.history));
                continue;
            }
            let mut amounts: Vec<Micros> = Vec::new();
            for op in self.asked.spends.attempts(spend, self.history) {
                if let What::Spend { amount, .. } = op.what
                    && op.may_have_happened()
                    && !amounts.contains(&amount)
                {
                    amounts.push(amount);
                    pool.possible(one(amount));
                }
            }
        }
        pool
    }

    /// Rows of holds that neither a settle nor a billing names.
    fn unasked(&mut self) {
        let mut unbilled = 0u64;
        for (place, row) in self.ledger.rows.iter().enumerate() {
            let Some(hold) = row.hold.filter(|_| !self.taken[place]) else { continue };
            if self.won(hold) {
                unbilled += 1;
                continue;
            }
            self.found.add(Bg2, None, &[], || {
                let (hold, of) =
                    (self.history.names.text(hold), self.history.budget_name(row.budget));
                let (amount, seq) = (money(row.amount), row.seq);
                format!(
                    "nobody asked for the booking of hold {hold}: {amount} of {of}, booked as {seq}"
                )
            });
        }
        if unbilled > 0 {
            self.found.note(format!(
                "{unbilled} wins were booked that nobody billed: their prices were not compared"
            ));
        }
    }

    /// The wall clock at the beginning, where it can be relied on.
    fn wall(&self) -> Option<i64> {
        if self.history.clocks_were_struck() {
            return None;
        }
        let at: jiff::Timestamp = self.history.begin.started_at.parse().ok()?;
        Some(at.as_microsecond())
    }
}

fn fact_of(amount: Micros) -> RowKind {
    if amount < 0 { RowKind::Refund } else { RowKind::Spend }
}

/// Micros as people read them.
pub fn money(amount: Micros) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let all = amount.unsigned_abs();
    format!("{sign}{}.{:06}", all / 1_000_000, all % 1_000_000)
}
