//! Rows and operations that only budget and amount tie to each other: they are counted.

use std::collections::BTreeMap;

use super::booked::money;
use super::found::Found;
use super::history::History;
use super::record::Row;
use crate::history::{AtUs, Micros};
use crate::verdict::Invariant::Bg2;

/// A logical operation that may be one of the rows.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub place: u32,
    pub budget: u32,
    pub amount: Micros,
    pub first: AtUs,
}

#[derive(Debug, Default)]
struct Alike {
    /// When and as what each row was booked.
    rows: Vec<(i64, i64)>,
    acknowledged: Vec<(Candidate, Vec<u64>)>,
    possible: Vec<Candidate>,
}

#[derive(Debug, Default)]
pub struct Pool {
    alike: BTreeMap<(u32, Micros), Alike>,
}

/// How far a service's wall clock may be behind the suite's.
const SLACK_US: i64 = 2_000_000;

impl Pool {
    fn at(&mut self, budget: u32, amount: Micros) -> &mut Alike {
        self.alike.entry((budget, amount)).or_default()
    }

    pub fn row(&mut self, row: &Row) {
        self.at(row.budget, row.amount).rows.push((row.at_us, row.seq));
    }

    pub fn acknowledged(&mut self, one: Candidate, ids: Vec<u64>) {
        self.at(one.budget, one.amount).acknowledged.push((one, ids));
    }

    pub fn possible(&mut self, one: Candidate) {
        self.at(one.budget, one.amount).possible.push(one);
    }

    /// Each acknowledged one needs a row of its own, and each row one that asked for it before. Returns
    /// those that may be in the ledger, each with the largest number that it may have there.
    pub fn settle(
        self,
        history: &History,
        wall: Option<i64>,
        found: &mut Found,
    ) -> Vec<(u32, i64)> {
        let mut may = Vec::new();
        for ((budget, amount), mut alike) in self.alike {
            let lost = alike.acknowledged.len().saturating_sub(alike.rows.len());
            let about = || format!("{} of {}", money(amount), history.budget_name(budget));
            if lost > 0 {
                let (one, ids) = &alike.acknowledged[0];
                found.add(Bg2, Some(one.first), ids, || {
                    format!("{lost} acknowledged of {} are not in the ledger", about())
                });
            }
            let last = alike.rows.iter().map(|(_, seq)| *seq).max().unwrap_or(i64::MAX);
            if alike.rows.len() > alike.acknowledged.len() {
                may.extend(alike.possible.iter().map(|one| (one.place, last)));
            }
            may.extend(alike.acknowledged.iter().map(|(one, _)| (one.place, last)));
            // Each row, the earliest first, takes the operation that began first: if that one began
            // after the row was booked, then so did all that are left.
            alike.rows.sort_unstable();
            let acknowledged = alike.acknowledged.iter().map(|(one, _)| one.first);
            let mut firsts: Vec<AtUs> =
                acknowledged.chain(alike.possible.iter().map(|one| one.first)).collect();
            firsts.sort_unstable();
            let mut firsts = firsts.into_iter().peekable();
            for (at_us, seq) in &alike.rows {
                let before = |first: &AtUs| {
                    wall.is_none_or(|wall| wall + *first as i64 <= at_us.saturating_add(SLACK_US))
                };
                if firsts.next_if(before).is_none() {
                    found.add(Bg2, None, &[], || {
                        format!("nobody asked for the spend of {}, booked as {seq}", about())
                    });
                }
            }
        }
        may
    }
}
