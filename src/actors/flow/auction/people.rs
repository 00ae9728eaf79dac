//! How often people have seen campaigns, in several tables so that they do not wait for each other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::models::flow::frequency::key::Keyer;
use crate::models::flow::frequency::stored::{self, BadFile, Stored, Writer};
use crate::models::flow::frequency::table::{Record, bits};
use crate::models::flow::frequency::{PersonKey, Table};
use crate::models::flow::opportunity::User;

const TABLES: usize = 16;

pub struct People {
    keyer: Keyer,
    tables: Vec<Mutex<Table>>,
    /// Bids from before the start of which nothing was told by then, by [`bits`] of their ids, with their table:
    /// a win that is told now counts for whoever it was bid for, although no notice says who that is.
    before: Mutex<HashMap<u32, (u32, Record)>>,
    restored: watch::Sender<bool>,
}

impl People {
    /// Room for about `pairs` pairs of a person and a campaign.
    pub fn new(secret: &[u8], pairs: usize) -> People {
        let tables = (0..TABLES).map(|_| Mutex::new(Table::new(pairs.div_ceil(TABLES)))).collect();
        let (keyer, before) = (Keyer::new(secret), Mutex::default());
        People { keyer, tables, before, restored: watch::Sender::new(false) }
    }

    /// Names the secret without saying it: files of another one are of no use.
    fn name(&self) -> u64 {
        self.keyer.key("").0
    }

    /// What counts, as a file. Each table is held for its part of it alone.
    pub fn file(&self, now_us: i64) -> Vec<u8> {
        let now_s = u32::try_from(now_us.div_euclid(1_000_000)).unwrap_or(u32::MAX);
        let counts = |it: &Record| now_s.saturating_sub(it.stamp.at_s) <= it.longest_s;
        self.before().retain(|_, (_, record)| counts(record));
        let mut writer = Writer::new(self.name(), TABLES as u32, now_us);
        for table in &self.tables {
            writer.table(&table.lock().unwrap_or_else(PoisonError::into_inner), now_us);
        }
        writer.done()
    }

    /// Takes back what a file counts; when it was written (wall-clock micros).
    ///
    /// # Errors
    /// It cannot be read: then nothing of it counts.
    pub fn take_back(&self, file: &[u8], now_us: i64) -> Result<i64, BadFile> {
        let mut before = HashMap::new();
        let read = stored::read(file, (self.name(), TABLES as u32), |table, stored| {
            if let Stored::Seen(record) = &stored
                && record.stamp.until_s != 0
            {
                before.insert(record.stamp.bid, (table, *record));
            }
            if let Some(table) = self.tables.get(table as usize) {
                let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                table.take_back(stored, now_us);
            }
        });
        if read.is_ok() {
            *self.before() = before;
        }
        read
    }

    fn before(&self) -> MutexGuard<'_, HashMap<u32, (u32, Record)>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bid from before the start was won. `at_us`: when it was bid. Nothing where it is not known, or told
    /// again.
    pub fn won_before(&self, bid: u128, at_us: i64, now_us: i64) {
        let at_s = u32::try_from(at_us.div_euclid(1_000_000)).unwrap_or(0);
        let mut before = self.before();
        let Some((at, mut record)) = before.get(&bits(bid)).copied() else { return };
        // Bits of another bid may be the same.
        if record.stamp.at_s != at_s {
            return;
        }
        before.remove(&bits(bid));
        drop(before);
        record.stamp.until_s = 0;
        if let Some(table) = self.tables.get(at as usize) {
            table.lock().unwrap_or_else(PoisonError::into_inner).restore(record, now_us);
        }
    }

    /// What was counted before the start is taken back, or is lost.
    pub fn is_restored(&self) {
        self.restored.send_replace(true);
    }

    pub fn has_begun(&self) -> bool {
        *self.restored.borrow()
    }

    /// Waits for that, so long at most.
    pub async fn restored(&self, patience: Duration) {
        let mut restored = self.restored.subscribe();
        let waited = tokio::time::timeout(patience, restored.wait_for(|restored| *restored)).await;
        if waited.is_err() {
            tracing::warn!(
                "it takes long to read how often people have seen campaigns: bids begin without"
            );
        }
    }

    /// Whoever a request of an exchange is about.
    pub fn person(&self, user: &User<'_>, exchange: &str) -> PersonKey {
        self.keyer.person(user, exchange)
    }

    /// The table of a person. It is not held while anything is waited for.
    pub fn table(&self, person: PersonKey) -> Option<MutexGuard<'_, Table>> {
        let at = (person.0 >> 32) as usize % TABLES;
        self.tables.get(at).map(|table| table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::campaign::definition::Cap;

    #[test]
    fn a_file_of_one_secret_counts_after_a_start_and_one_of_another_does_not() {
        let caps = [Cap { impressions: 3, period_s: 3_600 }];
        let people = People::new(b"secret", 1_024);
        let keys: Vec<PersonKey> =
            (0..100).map(|n| people.keyer.key(&format!("person {n}"))).collect();
        for key in &keys {
            people.table(*key).expect("a table").won(*key, 1, &caps, 5, 0, 0);
        }
        let file = people.file(1_000_000);
        let next = People::new(b"secret", 4_096);
        assert_eq!(next.take_back(&file, 2_000_000), Ok(1_000_000));
        for key in &keys {
            let room = next.table(*key).expect("a table").room(*key, 1, &caps, 2_000_000);
            assert_eq!(room, 2);
        }
        let other = People::new(b"another", 1_024);
        assert_eq!(other.take_back(&file, 2_000_000), Err(BadFile::Stranger));
    }

    #[test]
    fn a_win_that_is_told_after_a_start_counts_for_whoever_was_bid_for_before_it() {
        const S: i64 = 1_000_000;
        let caps = [Cap { impressions: 3, period_s: 3_600 }];
        let people = People::new(b"secret", 1_024);
        let (won, silent) = (people.keyer.key("won"), people.keyer.key("silent"));
        for (key, bid) in [(won, 5), (silent, 6)] {
            let mut table = people.table(key).expect("a table");
            table.bid(key, 1, &caps, bid, 10 * S, 70 * S);
        }
        let file = people.file(20 * S);
        let next = People::new(b"secret", 1_024);
        next.take_back(&file, 30 * S).expect("reads");
        let room = |key, now_us| next.table(key).expect("a table").room(key, 1, &caps, now_us);
        // Bid at another time, it is another bid.
        next.won_before(5, 11 * S, 30 * S);
        assert_eq!([won, silent].map(|key| room(key, 100 * S)), [3, 3]);
        for _ in 0..2 {
            next.won_before(5, 10 * S, 40 * S);
            next.won_before(7, 10 * S, 40 * S);
        }
        assert_eq!([won, silent].map(|key| room(key, 50 * S)), [2, 2], "the other may yet be won");
        assert_eq!([won, silent].map(|key| room(key, 100 * S)), [2, 3]);
    }
}
