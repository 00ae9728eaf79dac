//! BG-2: what was acknowledged is in the ledger once, with its amount; what nobody asked for is not.

use super::found::Found;
use super::history::History;
use super::ledger::{Fate, Fates, Ledger};
use super::logical::{Asked, Logical};
use super::operation::What;
use super::pool::{Candidate, Pool};
use super::record::{Row, RowKind};
use crate::history::Micros;
use crate::verdict::Invariant::{Bg2, Bg3};

struct Checker<'a> {
    history: &'a History,
    asked: &'a Asked,
    ledger: &'a Ledger<'a>,
    found: &'a mut Found,
    /// Rows whose operation is known.
    taken: Vec<bool>,
}

pub fn check(history: &History, asked: &Asked, ledger: &Ledger, found: &mut Found) -> Fates {
    let taken = vec![false; ledger.rows.len()];
    let mut checker = Checker { history, asked, ledger, found, taken };
    let settles = asked.settles.list.iter().map(|settle| checker.settle(settle)).collect();
    let mut spends: Vec<Fate> =
        asked.spends.list.iter().map(|spend| checker.spend(spend)).collect();
    let pool = checker.facts(&spends);
    let alike = pool.settle(history, checker.wall(), "spend", checker.found);
    for (place, last) in alike {
        spends[place as usize] = Fate::Possible(last);
    }
    checker.billings();
    Fates { settles, spends }
}

impl Checker<'_> {
    fn row(&self, row: u32) -> &Row {
        &self.ledger.rows[row as usize]
    }

    fn settle(&mut self, settle: &Logical) -> Fate {
        let (history, group) = (self.history, &self.asked.settles);
        let ids = || group.ids(settle, history);
        let mut rows = self.ledger.of_hold(settle.name);
        let Some(first) = rows.next() else {
            if settle.is_acked() {
                self.found.add(Bg2, Some(settle.acked), &ids(), || {
                    let (hold, of) = (history.names.text(settle.name), settle.budget);
                    let of = history.budget_name(of);
                    format!("a settle of {} at {hold} was acknowledged and is not in the ledger of {of}", money(settle.amount))
                });
            }
            return Fate::Never;
        };
        self.taken[first as usize] = true;
        let extra: Vec<u32> = rows.collect();
        for row in &extra {
            self.taken[*row as usize] = true;
            self.found.add(Bg3, None, &ids(), || {
                let (hold, seq) =
                    (history.names.text(settle.name), self.ledger.rows[*row as usize].seq);
                format!("hold {hold} is in the ledger more than once, again as {seq}")
            });
        }
        let row = *self.row(first);
        let at = |what: String| {
            format!(
                "hold {} in the ledger of {}: {what}",
                history.names.text(settle.name),
                history.budget_name(row.budget)
            )
        };
        let mut amounts = group.attempts(settle, history).filter(|op| op.may_have_happened());
        let asked = |amount| matches!(amount, What::Settle { amount, .. } if amount == row.amount);
        if settle.is_acked() && (row.amount != settle.amount || row.budget != settle.budget) {
            self.found.add(Bg2, Some(settle.acked), &ids(), || {
                at(format!(
                    "{} was acknowledged, {} is booked",
                    money(settle.amount),
                    money(row.amount)
                ))
            });
        } else if settle.is_acked() && settle.seq.is_some_and(|seq| seq != row.seq) {
            self.found.add(Bg2, Some(settle.acked), &ids(), || {
                at(format!(
                    "acknowledged as {}, booked as {}",
                    settle.seq.unwrap_or_default(),
                    row.seq
                ))
            });
        } else if !settle.is_acked() && !settle.maybe {
            self.found.add(Bg2, Some(settle.first), &ids(), || {
                at(format!("{} is booked, though every settle was refused", money(row.amount)))
            });
        } else if !settle.is_acked() && !amounts.any(|op| asked(op.what)) {
            self.found.add(Bg2, Some(settle.first), &ids(), || {
                at(format!("{} is booked, which nobody asked for", money(row.amount)))
            });
        }
        Fate::Row(first)
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
        } else if row.hold.is_some() || row.kind != fact_of(row.amount) {
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

    /// Wins and their prices: their holds are the platform's own, so amounts have to tell.
    fn billings(&mut self) {
        let history = self.history;
        let mut pool = Pool::default();
        let mut direct = vec![false; self.asked.billings.list.len()];
        for (place, billing) in self.asked.billings.list.iter().enumerate() {
            for row in self.ledger.of_hold(billing.name) {
                direct[place] = true;
                let taken = std::mem::replace(&mut self.taken[row as usize], true);
                let row = *self.row(row);
                if !taken && row.amount != billing.amount {
                    let ids = self.asked.billings.ids(billing, history);
                    self.found.add(Bg2, Some(billing.first), &ids, || {
                        format!(
                            "{} was billed, {} is booked",
                            money(billing.amount),
                            money(row.amount)
                        )
                    });
                }
            }
        }
        for (place, row) in self.ledger.rows.iter().enumerate() {
            if row.hold.is_some() && !self.taken[place] {
                pool.row(row);
            }
        }
        for (place, billing) in self.asked.billings.list.iter().enumerate() {
            if direct[place] {
                continue;
            }
            let (budget, amount, first) = (billing.budget, billing.amount, billing.first);
            let one = Candidate { place: place as u32, budget, amount, first };
            match billing.is_acked() {
                true => pool.acknowledged(one, self.asked.billings.ids(billing, history)),
                false if billing.maybe => pool.possible(one),
                false => {}
            }
        }
        // A win without a billing books its price when its hold ends: nobody asked for that by amount.
        let wins = history.operations.iter().any(|op| matches!(op.what, What::Call { win: true }));
        if wins {
            self.found.note("wins were told: rows of holds that no settle names are not compared with who asked for them");
            pool.tolerate_unasked();
        }
        pool.settle(history, self.wall(), "booking of a hold", self.found);
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
