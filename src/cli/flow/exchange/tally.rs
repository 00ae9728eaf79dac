//! What happened in a run, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::report::{Outcome, Sold, Told};
use super::clear::Loss;
use super::fate::Fate;
use super::spread::{Percentiles, Spread};
use crate::models::flow::notice::Kind;

/// Parts of a run by which traffic and spending are shown.
pub const SLOTS: usize = 32;
/// Campaigns that are told apart; what further ones spend is counted under `*`.
const CAMPAIGNS_MAX: usize = 10_000;

/// What a request came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Bids,
    /// 204, or a 200 without bids.
    NoBid,
    /// Not within the time of the auction.
    Timeout,
    /// No connection, or one that broke.
    Unreachable,
    /// A status that bidders do not answer auctions with.
    Status(u16),
    /// A 200 that is no answer.
    Malformed,
}

/// Notices of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Notices {
    pub due: u64,
    /// Calls, with repeats and those that were not answered.
    pub calls: u64,
    pub answered: u64,
    pub refused: u64,
    pub unanswered: u64,
    pub not_sent: u64,
    pub no_address: u64,
    pub late: u64,
    pub duplicated: u64,
    pub lost: u64,
}

/// What a campaign bought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bought {
    pub impressions: u64,
    pub spend_micros: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub auctions: u64,
    pub impressions: u64,
    /// Not sent: too much was on the way.
    pub skipped: u64,
    pub with_bids: u64,
    pub no_bids: u64,
    pub timeouts: u64,
    pub unreachable: u64,
    pub malformed: u64,
    pub statuses: BTreeMap<u16, u64>,
    pub bids: u64,
    /// Bids of test requests, which are neither sold nor told anything.
    pub tests: u64,
    pub unfit: u64,
    pub wins: u64,
    pub losses: BTreeMap<&'static str, u64>,
    /// By currency, in micros.
    pub spend: BTreeMap<String, i64>,
    /// By currency and campaign.
    pub campaigns: BTreeMap<String, BTreeMap<String, Bought>>,
    /// By kind of notice.
    pub notices: BTreeMap<&'static str, Notices>,
    pub took: Spread,
    /// Requests and micros of all currencies by slot of the run, for their curves.
    pub traffic: [u64; SLOTS],
    pub spending: [i64; SLOTS],
}

impl Tally {
    /// A request that is sent in this slot of the run.
    pub fn auction(&mut self, offers: usize, slot: usize) {
        self.auctions += 1;
        self.impressions += offers as u64;
        if let Some(count) = self.traffic.get_mut(slot) {
            *count += 1;
        }
    }

    pub fn reply(&mut self, reply: Reply, took: Duration) {
        *match reply {
            Reply::Bids => &mut self.with_bids,
            Reply::NoBid => &mut self.no_bids,
            Reply::Timeout => &mut self.timeouts,
            Reply::Unreachable => &mut self.unreachable,
            Reply::Status(status) => self.statuses.entry(status).or_default(),
            Reply::Malformed => &mut self.malformed,
        } += 1;
        // What was cut off says nothing of how long an answer takes.
        if !matches!(reply, Reply::Timeout | Reply::Unreachable) {
            self.took.record(took);
        }
    }

    pub fn lost(&mut self, loss: Loss) {
        *self.losses.entry(loss.name()).or_default() += 1;
    }

    pub fn sold(&mut self, sold: &Sold, slot: usize) {
        self.wins += 1;
        let add = |sum: &mut i64| *sum = sum.saturating_add(sold.price_micros);
        add(self.spend.entry(sold.currency.clone()).or_default());
        if let Some(sum) = self.spending.get_mut(slot) {
            add(sum);
        }
        let of = self.campaigns.entry(sold.currency.clone()).or_default();
        let name = sold.campaign.as_deref().unwrap_or("-");
        let name = if of.len() < CAMPAIGNS_MAX || of.contains_key(name) { name } else { "*" };
        let bought = of.entry(name.to_owned()).or_default();
        bought.impressions += 1;
        add(&mut bought.spend_micros);
    }

    pub fn told(&mut self, kind: Kind, told: &Told) {
        let notices = self.notices.entry(kind.as_str()).or_default();
        notices.due += 1;
        notices.calls += u64::from(told.calls);
        match told.fate {
            Fate::OnTime => {}
            Fate::Late => notices.late += 1,
            Fate::Duplicated => notices.duplicated += 1,
            Fate::Lost => notices.lost += 1,
        }
        *match told.outcome {
            Outcome::Answered => &mut notices.answered,
            Outcome::Refused => &mut notices.refused,
            Outcome::Unanswered => &mut notices.unanswered,
            Outcome::NotSent => &mut notices.not_sent,
            Outcome::NoAddress => &mut notices.no_address,
        } += 1;
    }

    /// Requests that were answered as the protocol has it.
    pub fn answered(&self) -> u64 {
        self.with_bids + self.no_bids
    }

    pub fn latency(&self) -> Percentiles {
        self.took.percentiles()
    }

    /// How far spending is off the curve of the traffic: the root mean square of its slots' differences, in parts of what
    /// a slot spends on average. 0: every request was worth as much money as any other; nothing while none is spent.
    pub fn unpaced(&self) -> Option<f64> {
        let (requests, spent) = (
            self.traffic.iter().sum::<u64>() as f64,
            self.spending.iter().map(|n| *n as f64).sum::<f64>(),
        );
        let met = self.traffic.iter().filter(|n| **n > 0).count() as f64;
        if requests <= 0.0 || spent <= 0.0 {
            return None;
        }
        let off = |(traffic, spending): (&u64, &i64)| {
            let even = spent * (*traffic as f64 / requests);
            (*spending as f64 - even).powi(2)
        };
        let squares: f64 = self.traffic.iter().zip(&self.spending).map(off).sum();
        Some((squares / met).sqrt() / (spent / met))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::sold;
    use super::*;

    #[test]
    fn a_run_adds_up_to_the_micro_by_currency_and_campaign() {
        let mut tally = Tally::default();
        let euros = |sold: Sold| Sold { currency: "EUR".to_owned(), ..sold };
        tally.sold(&sold(1, "c", 5), 0);
        tally.sold(&sold(2, "d", 7), SLOTS - 1);
        tally.sold(&euros(sold(3, "c", 11)), SLOTS);
        assert_eq!((tally.wins, tally.spend["USD"], tally.spend["EUR"]), (3, 12, 11));
        assert_eq!(tally.campaigns["USD"]["c"].spend_micros, 5);
        assert_eq!(tally.campaigns["EUR"]["c"].impressions, 1);
        // beyond the run's end there is no slot
        assert_eq!(tally.spending.iter().sum::<i64>(), 12);
    }

    #[test]
    fn spending_is_off_the_traffic_by_what_its_slots_differ() {
        let mut tally = Tally::default();
        assert_eq!(tally.unpaced(), None, "nothing was asked");
        (0..3).for_each(|_| tally.auction(1, 0));
        tally.auction(1, 1);
        assert_eq!(tally.unpaced(), None, "nothing is spent");
        tally.sold(&sold(1, "c", 300), 0);
        tally.sold(&sold(2, "c", 100), 1);
        assert_eq!(tally.unpaced(), Some(0.0), "as the traffic is");
        // 500 and 100 where 450 and 150 would be even: 50 of 300 a slot
        tally.sold(&sold(3, "c", 200), 0);
        let off = tally.unpaced().expect("it is known");
        assert!((off - 50.0 / 300.0).abs() < 1e-9, "{off}");
    }

    #[test]
    fn every_reply_is_counted_once() {
        let mut tally = Tally::default();
        let replies = [
            Reply::Bids,
            Reply::NoBid,
            Reply::Timeout,
            Reply::Unreachable,
            Reply::Status(503),
            Reply::Malformed,
        ];
        for reply in replies {
            tally.auction(2, 0);
            tally.reply(reply, Duration::from_millis(1));
        }
        let sum = tally.answered() + tally.timeouts + tally.unreachable + tally.malformed;
        assert_eq!((tally.auctions, tally.impressions), (6, 12));
        assert_eq!(sum + tally.statuses.values().sum::<u64>(), 6);
        assert_eq!(tally.latency().max_us, 1_000);
    }
}
