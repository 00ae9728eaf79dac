//! How often something was decided, exactly: by campaign, hour and reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::actors::flow::auction::{Market, Office};
use crate::actors::flow::bidder::Seat;
use crate::actors::shield::{Writes, Written};
use crate::clock;
use crate::store::{FlowCountRow, Put};

pub const HOUR_US: i64 = 3_600_000_000;

type Name = (String, String);

pub struct Counts {
    /// The hour that is counted, since 1970-01-01.
    hour: i64,
    of: BTreeMap<Name, BTreeMap<&'static str, i64>>,
    /// Campaigns whose rows are not as they are here.
    changed: BTreeSet<Name>,
    /// Names this life in the rows.
    writer: String,
    market: Option<Arc<Market>>,
    /// Seats that auctions see no more, and may be counted on until the last of them is over.
    leaving: Vec<Arc<Seat>>,
}

/// Rows that are to be written, and whose they are.
pub struct Taken {
    names: Vec<Name>,
    rows: BTreeMap<String, Vec<Put>>,
}

impl Counts {
    pub fn new(now_us: i64) -> Counts {
        Counts {
            hour: now_us.div_euclid(HOUR_US),
            of: BTreeMap::new(),
            changed: BTreeSet::new(),
            writer: format!("{:032x}", rand::random::<u128>()),
            market: None,
            leaving: Vec::new(),
        }
    }

    /// Remembers the seats of campaigns that left, so that what was counted on them is not lost.
    pub fn follow(&mut self, office: &Office) {
        let market = office.market();
        if let Some(before) = &self.market
            && before.generation() != market.generation()
        {
            let left = |seat: &&Arc<Seat>| {
                market.by_key(seat.key).is_none_or(|now| !Arc::ptr_eq(now, seat))
            };
            self.leaving.extend(before.seats.iter().filter(left).cloned());
        }
        if self.market.as_ref().is_none_or(|before| before.generation() != market.generation()) {
            self.market = Some(market);
        }
    }

    /// Adds up what the seats have counted. An hour is written whole before the next one begins: until then
    /// what comes stays on the seats.
    pub fn gather(&mut self, now_us: i64) {
        let hour = now_us.div_euclid(HOUR_US);
        if hour != self.hour {
            if !self.changed.is_empty() {
                return;
            }
            self.hour = hour;
            self.of.clear();
        }
        let Some(market) = self.market.clone() else { return };
        for seat in &market.seats {
            self.add(seat);
        }
        for seat in std::mem::take(&mut self.leaving) {
            // Looked at first: who has it now may still count on it.
            let alone = Arc::strong_count(&seat) == 1;
            self.add(&seat);
            if !alone {
                self.leaving.push(seat);
            }
        }
    }

    fn add(&mut self, seat: &Seat) {
        let (bids, refused) = seat.counts();
        if bids == 0 && refused.is_empty() {
            return;
        }
        let name = (seat.name.account.to_string(), seat.name.budget.to_string());
        let of = self.of.entry(name.clone()).or_default();
        *of.entry("bids").or_default() += i64::try_from(bids).unwrap_or(i64::MAX);
        for (reason, n) in refused {
            *of.entry(reason.name()).or_default() += i64::from(n);
        }
        self.changed.insert(name);
    }

    /// Rows of at most `most` campaigns; nothing where all is written.
    pub fn take(&self, most: usize) -> Option<Taken> {
        let names: Vec<Name> = self.changed.iter().take(most).cloned().collect();
        if names.is_empty() {
            return None;
        }
        let mut rows: BTreeMap<String, Vec<Put>> = BTreeMap::new();
        for name in &names {
            let of = self.of.get(name).into_iter().flatten();
            rows.entry(name.0.clone()).or_default().extend(of.map(|(reason, count)| {
                Put::from(FlowCountRow {
                    account: name.0.clone(),
                    campaign: name.1.clone(),
                    hour: self.hour,
                    reason: (*reason).to_owned(),
                    writer: self.writer.clone(),
                    count: *count,
                    updated_at: clock::wall_us(),
                })
            }));
        }
        Some(Taken { names, rows })
    }

    /// They are written. Nothing was gathered meanwhile.
    pub fn wrote(&mut self, taken: &[(String, String)]) {
        for name in taken {
            self.changed.remove(name);
        }
    }
}

/// Writes them; whose they were.
pub async fn write(writes: &Writes, taken: Taken) -> Result<Vec<(String, String)>, String> {
    for (account, rows) in taken.rows {
        match writes.write(&account, "flow/counts", rows).await {
            Written::Done => {}
            other => return Err(format!("counts of {account}: {other:?}")),
        }
    }
    Ok(taken.names)
}
