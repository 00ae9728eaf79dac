//! Counts as they are stored: a file that tells when it is damaged.
//!
//! Little endian: `KIKIFRQ1`, what names the keys, wall-clock micros, the number of tables; of each table its
//! impressions and the cells of its overflow, each list after its length; then SHA-256 of all of it. What is
//! read back never counts less than what was written, also where the tables have another size by then.

use sha2::{Digest, Sha256};

use super::entry::{Entry, Stamp};
use super::overflow::{Cell, Overflow};
use super::table::{Record, Table, seconds};

const MAGIC: &[u8; 8] = b"KIKIFRQ1";
const CHECK_BYTES: usize = 32;
const RECORD_BYTES: usize = 24;
const CELL_BYTES: usize = 15;
/// Tables of one file.
pub const TABLES_MAX: u32 = 1_024;
/// Impressions that are written of each pair that a table has room for, on the average: of more, the rest goes
/// to the overflow of the file.
const RECORDS_OF_PAIR: usize = 4;

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    #[error("is no file of counts")]
    Magic,
    #[error("is damaged: its checksum differs")]
    Checksum,
    #[error("is of another installation, or of another key")]
    Stranger,
    #[error("has another number of tables")]
    Tables,
    #[error("ends too early, or has more than it says")]
    Length,
}

/// A file in the making.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// `name`: something that the keys of people are made with and that says nothing of them, such as the key
    /// of nobody.
    pub fn new(name: u64, tables: u32, now_us: i64) -> Writer {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(name.to_le_bytes());
        bytes.extend(now_us.to_le_bytes());
        bytes.extend(tables.to_le_bytes());
        Writer(bytes)
    }

    /// The next table.
    pub fn table(&mut self, table: &Table, now_us: i64) {
        let now_s = seconds(now_us);
        let most = table.pairs().saturating_mul(RECORDS_OF_PAIR);
        let mut overflow = None;
        let begins = self.0.len();
        self.0.extend(0_u32.to_le_bytes());
        let mut count = 0_usize;
        for entry in table.entries() {
            let Entry { key, longest_s, ref stamps } = *entry;
            let fresh = || stamps.iter().filter(|stamp| stamp.counts(longest_s, now_s));
            let n = fresh().count();
            if count + n > most {
                let overflow: &mut Overflow =
                    overflow.get_or_insert_with(|| table.overflow().clone());
                let n = u16::try_from(n).unwrap_or(u16::MAX);
                overflow.put(key, n, entry.newest_s(), longest_s, now_s);
                continue;
            }
            count += n;
            for Stamp { at_s, until_s, bid } in fresh().copied() {
                self.0.extend(key.to_le_bytes());
                [longest_s, at_s, until_s, bid].iter().for_each(|n| self.0.extend(n.to_le_bytes()));
            }
        }
        self.counted(begins, count);
        let begins = self.0.len();
        self.0.extend(0_u32.to_le_bytes());
        let mut count = 0;
        let overflow = overflow.as_ref().unwrap_or(table.overflow());
        self.0.extend((overflow.cells() as u32).to_le_bytes());
        for (row, at, cell) in overflow.fresh(now_s) {
            self.0.push(row);
            self.0.extend(at.to_le_bytes());
            self.0.extend(cell.count.to_le_bytes());
            [cell.newest_s, cell.longest_s].iter().for_each(|n| self.0.extend(n.to_le_bytes()));
            count += 1;
        }
        self.counted(begins, count);
    }

    fn counted(&mut self, begins: usize, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if let Some(place) = self.0.get_mut(begins..begins + 4) {
            place.copy_from_slice(&count.to_le_bytes());
        }
    }

    /// All of it.
    pub fn done(mut self) -> Vec<u8> {
        let sum = Sha256::digest(&self.0);
        self.0.extend_from_slice(&sum);
        self.0
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], BadFile> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(BadFile::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadFile> {
        self.take(N)?.try_into().map_err(|_| BadFile::Length)
    }

    fn u32(&mut self) -> Result<u32, BadFile> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, BadFile> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes of a list after its length.
    fn list(&mut self, each: usize, more: usize) -> Result<(Bytes<'a>, u32), BadFile> {
        let n = self.u32()?;
        let bytes = usize::try_from(n).ok().and_then(|n| n.checked_mul(each)?.checked_add(more));
        Ok((Bytes(self.take(bytes.ok_or(BadFile::Length)?)?), n))
    }
}

/// Reads a file back into tables, which are in the order in which they were written: `each` is told the number
/// of a table and what it is to take back. Gives when it was written (wall-clock micros). Of a file with a
/// mistake nothing is told.
///
/// # Errors
/// What is wrong with it.
pub fn read(
    file: &[u8],
    (name, tables): (u64, u32),
    mut each: impl FnMut(u32, Stored),
) -> Result<i64, BadFile> {
    let at = file.len().checked_sub(CHECK_BYTES).ok_or(BadFile::Magic)?;
    let (body, sum) = file.split_at_checked(at).ok_or(BadFile::Magic)?;
    if !body.starts_with(MAGIC) {
        return Err(BadFile::Magic);
    }
    if *Sha256::digest(body) != *sum {
        return Err(BadFile::Checksum);
    }
    let mut bytes = Bytes(body);
    bytes.take(MAGIC.len())?;
    if bytes.u64()? != name {
        return Err(BadFile::Stranger);
    }
    let at_us = bytes.array().map(i64::from_le_bytes)?;
    if bytes.u32()? != tables || tables > TABLES_MAX {
        return Err(BadFile::Tables);
    }
    // First whether it is all there.
    for tell in [false, true] {
        let mut bytes = Bytes(bytes.0);
        for table in 0..tables {
            let (mut records, n) = bytes.list(RECORD_BYTES, 0)?;
            for _ in 0..n {
                let key = records.u64()?;
                let (longest_s, at_s) = (records.u32()?, records.u32()?);
                let stamp = Stamp { at_s, until_s: records.u32()?, bid: records.u32()? };
                if tell {
                    each(table, Stored::Seen(Record { key, longest_s, stamp }));
                }
            }
            let (mut cells, n) = bytes.list(CELL_BYTES, 4)?;
            let of = cells.u32()?;
            for _ in 0..n {
                let [row] = cells.array()?;
                let at = cells.u32()?;
                let count = cells.array().map(u16::from_le_bytes)?;
                let cell = Cell { count, newest_s: cells.u32()?, longest_s: cells.u32()? };
                if tell {
                    each(table, Stored::Forgotten { row, at, of, cell });
                }
            }
        }
        if !bytes.0.is_empty() {
            return Err(BadFile::Length);
        }
    }
    Ok(at_us)
}

/// Something that a table is to take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Seen(Record),
    /// Impressions of pairs that had no room: the cell, of `of` cells in its row.
    Forgotten {
        row: u8,
        at: u32,
        of: u32,
        cell: Cell,
    },
}

impl Table {
    /// Takes back what was stored.
    pub fn take_back(&mut self, stored: Stored, now_us: i64) {
        match stored {
            Stored::Seen(record) => self.restore(record, now_us),
            Stored::Forgotten { row, at, of, cell } => {
                self.overflow_mut().take_back(row, (at, of), cell, seconds(now_us));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::campaign::definition::Cap;
    use crate::frequency::PersonKey;

    const S: i64 = 1_000_000;
    const CAPS: [Cap; 1] = [Cap { impressions: 100, period_s: 3_600 }];

    fn written(tables: &[Table], now_us: i64) -> Vec<u8> {
        let mut writer = Writer::new(7, tables.len() as u32, now_us);
        tables.iter().for_each(|table| writer.table(table, now_us));
        writer.done()
    }

    fn read_back(file: &[u8], pairs: usize, now_us: i64) -> Result<Table, BadFile> {
        let mut table = Table::new(pairs);
        read(file, (7, 1), |_, stored| table.take_back(stored, now_us))?;
        Ok(table)
    }

    fn room(table: &Table, person: u64, now_us: i64) -> u16 {
        table.room(PersonKey(person), 1, &CAPS, now_us)
    }

    #[test]
    fn what_was_seen_and_what_is_pending_counts_after_it_was_read_back() {
        let mut table = Table::new(64);
        table.won(PersonKey(1), 1, &CAPS, 10, 0, 0);
        table.bid(PersonKey(1), 1, &CAPS, 11, 0, 60 * S);
        table.bid(PersonKey(2), 1, &CAPS, 12, 0, 60 * S);
        let file = written(&[table], 5 * S);
        let mut back = read_back(&file, 64, 5 * S).expect("reads");
        assert_eq!([1, 2, 3].map(|p| room(&back, p, 5 * S)), [98, 99, 100]);
        back.lost(PersonKey(2), 1, 12, 6 * S);
        back.won(PersonKey(1), 1, &CAPS, 11, 0, 6 * S);
        assert_eq!([1, 2].map(|p| room(&back, p, 120 * S)), [98, 100]);
        assert_eq!(room(&read_back(&file, 64, 7_200 * S).expect("reads"), 1, 7_200 * S), 100);
    }

    #[test]
    fn a_file_that_is_damaged_cut_off_or_of_somebody_else_is_refused_and_tells_nothing() {
        let mut table = Table::new(64);
        table.won(PersonKey(1), 1, &CAPS, 10, 0, 0);
        let file = written(&[table], 0);
        let refused = |file: &[u8], name, tables| {
            read(file, (name, tables), |_, _| panic!("nothing is told")).expect_err("refused")
        };
        for at in 8..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert_eq!(refused(&damaged, 7, 1), BadFile::Checksum, "{at}");
        }
        for n in 0..file.len() {
            let error = refused(&file[..n], 7, 1);
            assert!(matches!(error, BadFile::Magic | BadFile::Checksum), "{n}");
        }
        assert_eq!(refused(b"something else that is longer than a checksum", 7, 1), BadFile::Magic);
        assert_eq!(refused(&file, 8, 1), BadFile::Stranger);
        assert_eq!(refused(&file, 7, 2), BadFile::Tables);
        // Lengths that lie, with a checksum that does not.
        for (at, n) in [(28, u32::MAX), (28, 2), (28, 0)] {
            let mut lying = file[..file.len() - CHECK_BYTES].to_vec();
            lying[at..at + 4].copy_from_slice(&n.to_le_bytes());
            let sum = Sha256::digest(&lying);
            lying.extend_from_slice(&sum);
            assert_eq!(refused(&lying, 7, 1), BadFile::Length, "{n}");
        }
    }

    #[test]
    fn a_file_is_no_longer_than_its_table_may_make_it() {
        let mut table = Table::new(64);
        for person in 0..200 {
            for bid in 0..100 {
                table.won(PersonKey(person << 50 | person), 1, &CAPS, bid, 0, 0);
            }
        }
        let file = written(std::slice::from_ref(&table), 0);
        let most = table.pairs() * RECORDS_OF_PAIR * RECORD_BYTES;
        assert!(file.len() <= most + 2 * 64 * CELL_BYTES + 128, "{}", file.len());
        let back = read_back(&file, 64, 0).expect("reads");
        assert!((0..200).all(|person| room(&back, person << 50 | person, 0) == 0));
    }

    proptest! {
        /// Also into a table of another size.
        #[test]
        fn nobody_may_see_more_than_before_whatever_the_size(
            wins in prop::collection::vec((0..40_u64, 0..50_u128), 0..120),
            pairs in 8..64_usize,
            other in 8..64_usize,
        ) {
            let mut table = Table::new(pairs);
            for (person, bid) in wins {
                table.won(PersonKey(person), 1, &CAPS, bid, 0, 0);
            }
            let back = read_back(&written(std::slice::from_ref(&table), 0), other, 0);
            let back = back.expect("reads");
            for person in 0..40 {
                prop_assert!(room(&back, person, 0) <= room(&table, person, 0));
            }
        }
    }
}
