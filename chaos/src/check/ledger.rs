//! The rows of all ledgers, findable, and which operation each of them is of.

use super::logical::Asked;
use super::operation::NEVER;
use super::record::Row;
use crate::history::AtUs;

#[derive(Debug)]
pub struct Ledger<'a> {
    pub rows: &'a [Row],
    by_seq: Vec<u32>,
    by_hold: Vec<(u32, u32)>,
}

impl<'a> Ledger<'a> {
    pub fn of(rows: &'a [Row]) -> Ledger<'a> {
        let mut by_seq: Vec<u32> = (0..rows.len() as u32).collect();
        by_seq.sort_unstable_by_key(|row| {
            let row = &rows[*row as usize];
            (row.budget, row.seq)
        });
        let holds = rows.iter().enumerate();
        let mut by_hold: Vec<(u32, u32)> =
            holds.filter_map(|(at, row)| row.hold.map(|hold| (hold, at as u32))).collect();
        by_hold.sort_unstable();
        Ledger { rows, by_seq, by_hold }
    }

    /// The rows of each budget, in the order of their sequence.
    pub fn budgets(&self) -> impl Iterator<Item = impl Iterator<Item = &'a Row> + Clone> {
        let rows = self.rows;
        self.by_seq
            .chunk_by(move |a, b| rows[*a as usize].budget == rows[*b as usize].budget)
            .map(move |places| places.iter().map(move |place| &rows[*place as usize]))
    }

    /// Of each row: the sum of its budget's ledger up to it.
    pub fn sums(&self) -> Vec<i128> {
        let mut sums = vec![0; self.rows.len()];
        let mut before: Option<(u32, i128)> = None;
        for place in &self.by_seq {
            let row = &self.rows[*place as usize];
            let sum = before.filter(|(of, _)| *of == row.budget).map_or(0, |(_, sum)| sum);
            let sum = sum + i128::from(row.amount);
            sums[*place as usize] = sum;
            before = Some((row.budget, sum));
        }
        sums
    }

    pub fn at(&self, budget: u32, seq: i64) -> Option<u32> {
        let key = |row: &u32| {
            let row = &self.rows[*row as usize];
            (row.budget, row.seq)
        };
        let found = self.by_seq.binary_search_by_key(&(budget, seq), key);
        found.ok().map(|at| self.by_seq[at])
    }

    /// Rows after the first of each hold.
    pub fn held_twice(&self) -> impl Iterator<Item = &'a Row> {
        let pairs = self.by_hold.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        pairs.map(|pair| &self.rows[pair[1].1 as usize])
    }

    pub fn of_hold(&self, hold: u32) -> impl Iterator<Item = u32> {
        let from = self.by_hold.partition_point(|(other, _)| *other < hold);
        self.by_hold[from..]
            .iter()
            .take_while(move |(other, _)| *other == hold)
            .map(|(_, row)| *row)
    }
}

/// What the ledger says of a logical booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Row(u32),
    /// It may be one of some rows that are alike; the last of them has this number.
    Possible(i64),
    Never,
}

/// What became of settles, spends and billings, each by its place in its group.
#[derive(Debug, Default)]
pub struct Fates {
    pub settles: Vec<Fate>,
    pub spends: Vec<Fate>,
    pub billings: Vec<Fate>,
}

/// By when rows were certainly booked, as clients know it: before anything of the same budget was acknowledged
/// that has a larger number.
#[derive(Debug)]
pub struct Booked(Vec<(u32, i64, AtUs)>);

impl Booked {
    pub fn of(asked: &Asked, fates: &Fates, ledger: &Ledger) -> Booked {
        let groups = [(&asked.settles, &fates.settles), (&asked.spends, &fates.spends)];
        let mut acks = Vec::new();
        for (group, fates) in groups {
            for (logical, fate) in group.list.iter().zip(fates) {
                if let Fate::Row(row) = fate {
                    let row = &ledger.rows[*row as usize];
                    acks.push((row.budget, row.seq, logical.acked));
                }
            }
        }
        acks.sort_unstable();
        let mut after: Option<(u32, AtUs)> = None;
        for (budget, _, acked) in acks.iter_mut().rev() {
            let least =
                after.filter(|(of, _)| of == budget).map_or(*acked, |(_, at)| at.min(*acked));
            *acked = least;
            after = Some((*budget, least));
        }
        Booked(acks)
    }

    pub fn by(&self, budget: u32, seq: i64) -> AtUs {
        let from = self.0.partition_point(|(of, number, _)| (*of, *number) < (budget, seq));
        self.0.get(from).filter(|(of, ..)| *of == budget).map_or(NEVER, |(.., acked)| *acked)
    }
}
