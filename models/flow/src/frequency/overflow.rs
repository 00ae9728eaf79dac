//! What is left of counts that had no room: never less than they were.

use super::key::mix;

/// Impressions of all pairs that were put here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub count: u16,
    /// The newest of them.
    pub newest_s: u32,
    pub longest_s: u32,
}

/// Two rows of cells; a pair belongs to one of each. A pair counts with what the lesser of its two cells
/// holds, which is at least its own share: others that share both make it more (the conservative bound of a
/// count-min sketch, Cormode & Muthukrishnan 2005, with cells that are over when their newest impression is).
#[derive(Clone, Debug)]
pub struct Overflow {
    rows: [Box<[Cell]>; 2],
}

impl Overflow {
    /// `cells` a row, at least one; 12 bytes each.
    pub fn new(cells: usize) -> Overflow {
        let row = || vec![Cell::default(); cells.max(1)].into_boxed_slice();
        Overflow { rows: [row(), row()] }
    }

    fn place(&self, row: usize, key: u64) -> usize {
        let spread = mix(key ^ (row as u64 + 1).wrapping_mul(0xa076_1d64_78bd_642f));
        let cells = self.rows.get(row).map_or(1, |cells| cells.len());
        ((u128::from(spread) * cells as u128) >> 64) as usize
    }

    /// Puts impressions there.
    pub fn put(&mut self, key: u64, count: u16, newest_s: u32, longest_s: u32, now_s: u32) {
        for row in 0..self.rows.len() {
            let at = self.place(row, key);
            let Some(cell) = self.rows.get_mut(row).and_then(|cells| cells.get_mut(at)) else {
                continue;
            };
            if now_s.saturating_sub(cell.newest_s) > cell.longest_s {
                *cell = Cell::default();
            }
            cell.count = cell.count.saturating_add(count);
            cell.newest_s = cell.newest_s.max(newest_s);
            cell.longest_s = cell.longest_s.max(longest_s);
        }
    }

    /// Impressions that a pair may have seen in a period.
    pub fn count(&self, key: u64, period_s: u32, now_s: u32) -> u16 {
        let of = |row: usize| {
            let cell = self.rows.get(row).and_then(|cells| cells.get(self.place(row, key)))?;
            let fresh = now_s.saturating_sub(cell.newest_s) <= period_s;
            Some(if fresh { cell.count } else { 0 })
        };
        (0..self.rows.len()).filter_map(of).min().unwrap_or(0)
    }

    /// Cells of a row.
    pub fn cells(&self) -> usize {
        self.rows.first().map_or(1, |cells| cells.len())
    }

    /// Cells that count, with their row and place.
    pub fn fresh(&self, now_s: u32) -> impl Iterator<Item = (u8, u32, Cell)> {
        let rows = (0_u8..).zip(&self.rows);
        let all = rows.flat_map(|(row, cells)| {
            (0_u32..).zip(cells.iter()).map(move |(at, cell)| (row, at, *cell))
        });
        all.filter(move |(_, _, cell)| {
            cell.count > 0 && now_s.saturating_sub(cell.newest_s) <= cell.longest_s
        })
    }

    /// Takes a cell back that was one of `of` in its row. Where a row has another number of cells now, each that
    /// may have its pairs takes all of it.
    pub fn take_back(&mut self, row: u8, (at, of): (u32, u32), cell: Cell, now_s: u32) {
        if at >= of || now_s.saturating_sub(cell.newest_s) > cell.longest_s {
            return;
        }
        let Some(cells) = self.rows.get_mut(usize::from(row)) else { return };
        // A place is a share of 2^64 in the order of the spread keys.
        let (at, of, n) = (u128::from(at), u128::from(of), cells.len() as u128);
        let (first, last) = (at * n / of, ((at + 1) * n - 1) / of);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        for own in cells.iter_mut().skip(first).take(last.saturating_sub(first) + 1) {
            own.count = own.count.saturating_add(cell.count);
            own.newest_s = own.newest_s.max(cell.newest_s);
            own.longest_s = own.longest_s.max(cell.longest_s);
        }
    }
}
