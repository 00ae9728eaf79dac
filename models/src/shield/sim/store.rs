//! The simulated store: rows, epochs, and transactions that happen wholly or not at all.

use std::collections::{BTreeMap, HashMap};

use super::world::{BUDGETS, SECOND};
use crate::cluster::node::Incarnation;
use crate::cluster::register::Register;
use crate::cluster::shard::Shard;
use crate::shield::authority::Found;
use crate::shield::budget::Core;
use crate::shield::effect::Batch;
use crate::shield::entry::{Day, Entry, Kind, Now, Op, SliceId};
use crate::shield::money::{Currency, Micros};
use crate::shield::slice::Slice;
use crate::shield::terms::{Terms, WindowCap};

pub fn shard(budget: usize) -> Shard {
    Shard(budget as u16)
}

pub const WINDOW_US: i64 = 8 * SECOND;
pub const WINDOW_CAP: Micros = Micros(300);

/// Sums over the ledger, kept row by row: the store's own opinion of a budget.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub settled: Micros,
    pub facts: Micros,
    pub refunded: Micros,
    pub days: BTreeMap<Day, Micros>,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub entry: Entry,
    /// True time of its commit, and the boot of the clock that `entry.at.mono_us` was read from.
    pub boot: u64,
    pub true_us: i64,
}

pub struct Store {
    /// Who owns which budget: budget b is shard b.
    pub register: Register,
    /// How far its clock is ahead of true time.
    pub clock_us: i64,
    pub cores: Vec<Core>,
    pub ledger: Vec<Vec<Row>>,
    pub sums: Vec<Sums>,
    pub ops: HashMap<Op, Found>,
    /// Until when the store refuses everything.
    pub down_until: i64,
}

/// How the store met a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Met {
    Applied,
    Duplicate(Vec<(Op, Found)>),
    Stale,
    Fenced,
}

impl Store {
    pub fn new(tight_days: bool) -> Store {
        let account = Terms::account(
            Currency::USD,
            Some(WindowCap { amount: WINDOW_CAP, length_us: WINDOW_US }),
        );
        let mut cores = vec![Core::new(account)];
        for _ in 1..BUDGETS {
            let (lifetime, daily) = if tight_days { (2_000, 90) } else { (400, 260) };
            let mut terms = Terms::campaign(Currency::USD, Micros(lifetime));
            terms.daily = Some(Micros(daily));
            cores.push(Core::new(terms));
        }
        for core in &mut cores {
            core.version = 1;
        }
        Store {
            register: Register::new((0..BUDGETS).map(shard)),
            clock_us: 0,
            cores,
            ledger: vec![Vec::new(); BUDGETS],
            sums: vec![Sums::default(); BUDGETS],
            ops: HashMap::new(),
            down_until: 0,
        }
    }

    pub fn epoch(&self, budget: usize) -> i64 {
        self.register.shard(shard(budget)).map_or(-1, |row| row.epoch)
    }

    pub fn owner(&self, budget: usize) -> Option<Incarnation> {
        self.register.shard(shard(budget)).and_then(|row| row.owner)
    }

    /// One transaction: fence, look-up, version, rows. What the SQL does, said once more plainly.
    pub fn meet(
        &mut self,
        budget: usize,
        epoch: i64,
        batch: &Batch,
        boot: u64,
        true_us: i64,
        fenced: bool,
    ) -> Met {
        if fenced && self.epoch(budget) != epoch {
            return Met::Fenced;
        }
        let ops = batch.entries.iter().map(|e| e.op).chain(batch.operations.iter().map(|o| o.0));
        let known: Vec<(Op, Found)> =
            ops.filter_map(|op| Some((op, self.ops.get(&op)?.clone()))).collect();
        if !known.is_empty() {
            return if batch.check_ops { Met::Duplicate(known) } else { Met::Stale };
        }
        if self.cores[budget].version != batch.expected_version {
            return Met::Stale;
        }
        for (op, body, _) in &batch.operations {
            let answer = Found::Answer { body: *body, status: 200, answer: String::new() };
            self.ops.insert(*op, answer);
        }
        for entry in &batch.entries {
            self.ops.insert(entry.op, Found::Row { entry: Box::new(entry.clone()) });
            self.add(budget, entry);
            self.ledger[budget].push(Row { entry: entry.clone(), boot, true_us });
        }
        let mut slices: BTreeMap<_, Slice> = self.cores[budget].slices.clone();
        for put in &batch.slices_put {
            let settled = slices.get(&put.id).map_or(Micros::ZERO, |s| s.settled);
            slices.insert(put.id, Slice { settled, ..put.clone() });
        }
        for (id, amount) in &batch.slice_settles {
            if let Some(slice) = slices.get_mut(id) {
                slice.settled += *amount;
            }
        }
        for id in &batch.slices_gone {
            slices.remove(id);
        }
        self.cores[budget] = Core { slices, ..batch.core.clone() };
        Met::Applied
    }

    /// Whether a batch books more from a slice than is left of it, whether the slice outlives the batch or not.
    pub fn books_beyond(&self, budget: usize, batch: &Batch) -> bool {
        let slices = &self.cores[budget].slices;
        let mut booked: BTreeMap<SliceId, Micros> = BTreeMap::new();
        for (id, amount) in &batch.slice_settles {
            *booked.entry(*id).or_default() += *amount;
        }
        booked.iter().any(|(id, amount)| {
            // What is given back with the same batch may have been booked before.
            slices.get(id).is_none_or(|slice| slice.settled + *amount > slice.quota)
        })
    }

    fn add(&mut self, budget: usize, entry: &Entry) {
        let sums = &mut self.sums[budget];
        match entry.kind {
            Kind::Settle => sums.settled += entry.amount,
            Kind::Late | Kind::Spend => sums.facts += entry.amount,
            Kind::Refund => sums.refunded += -entry.amount,
        }
        let day = sums.days.entry(entry.day).or_default();
        *day = (*day + entry.amount).max(Micros::ZERO);
    }

    /// Rows that an account's window may still have to count, oldest first.
    pub fn window_rows(&self, since_true_us: i64) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self
            .ledger
            .iter()
            .flat_map(|l| l.iter().rev().take_while(|r| r.true_us >= since_true_us))
            .collect();
        rows.sort_by_key(|r| r.true_us);
        rows
    }

    /// What the ledger has of one slice of the account's window.
    pub fn booked_from(&self, slice: SliceId) -> Micros {
        let rows = self.ledger.iter().flatten().map(|row| &row.entry);
        rows.filter(|e| e.window_slice == Some(slice)).map(|e| e.window_amount).sum()
    }

    pub fn core(&self, budget: usize) -> Core {
        self.cores[budget].clone()
    }
}

/// A reading of both clocks of a node.
pub fn reading(t: i64, mono_offset: i64, wall_offset: i64) -> Now {
    Now { mono_us: t + mono_offset, wall_us: super::world::EPOCH_WALL_US + t + wall_offset }
}
