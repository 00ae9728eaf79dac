//! Memory of one decision at a time, used again for the next: after the first few nothing is allocated.

use smallvec::SmallVec;

use kiki_models::shield::money::{Currency, Micros};

use crate::auction::rates::{Rates, Round};
use crate::opportunity::Auction;
use crate::reason::Reason;

use super::index::Index;
use super::live::Live;
use super::person::Person;
use super::sieve::Sieve;

/// Refusals by [`Reason`], in the order of [`Reason::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub [u32; Reason::ALL.len()]);

impl Default for Refused {
    fn default() -> Refused {
        Refused([0; Reason::ALL.len()])
    }
}

impl Refused {
    pub fn add(&mut self, reason: Reason, count: u32) {
        if let Some(at) = self.0.get_mut(reason as usize) {
            *at = at.saturating_add(count);
        }
    }

    pub fn take(&mut self, reason: Reason, count: u32) {
        if let Some(at) = self.0.get_mut(reason as usize) {
            *at = at.saturating_sub(count);
        }
    }

    pub fn merge(&mut self, other: &Refused) {
        other.each().for_each(|(reason, count)| self.add(reason, count));
    }

    pub fn get(&self, reason: Reason) -> u32 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    pub fn total(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }

    /// Those that were refused for anything, with their count.
    pub fn each(&self) -> impl Iterator<Item = (Reason, u32)> {
        Reason::ALL.iter().map(|reason| (*reason, self.get(*reason))).filter(|(_, n)| *n > 0)
    }
}

/// An account and a currency, and a person's LTV in it, if a rate leads there.
type Converted = ((u32, Currency), Option<Micros>);

/// See the module's page. Good for any index; it grows to the largest.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Which words the sets are of.
    pub(super) live: Live,
    /// Campaigns that take the request.
    pub(super) request: Vec<u64>,
    /// Those that take one dimension's value.
    pub(super) one: Vec<u64>,
    /// Those that take the slot.
    pub(super) slot: Vec<u64>,
    pub(super) text: String,
    /// Seconds that the clock of each zone is ahead of UTC, once it was asked for.
    pub(super) offsets: Vec<Option<i32>>,
    /// The person's LTV as each account knows it, in each currency that was asked for.
    pub(super) ltv: SmallVec<[Converted; 4]>,
    /// What the publisher takes and blocks.
    pub(super) sieve: Sieve,
    /// Of the request, for each slot.
    pub(crate) refused: Refused,
}

impl Scratch {
    /// Gets ready for a request.
    pub(super) fn begin(&mut self, index: &Index) {
        self.offsets.clear();
        self.offsets.resize(index.zones.len(), None);
        self.ltv.clear();
        self.refused = Refused::default();
    }

    /// How many words the candidates are of.
    pub(crate) fn words(&self) -> usize {
        self.slot.len()
    }

    /// The first campaign of a word, and which from it on take the slot.
    pub(crate) fn word(&self, at: usize) -> Option<(u32, u64)> {
        Some((self.live.word(at)? * 64, *self.slot.get(at)?))
    }

    /// The person's LTV as an account knows it, in a currency; `None`: not known, or no rate leads there.
    pub(crate) fn ltv(
        &mut self,
        person: &Person<'_>,
        rates: &Rates,
        to: (u32, Currency),
    ) -> Option<Micros> {
        let ltv = person.ltv?;
        if let Some((_, known)) = self.ltv.iter().find(|(known, _)| *known == to) {
            return *known;
        }
        let amount = rates.convert(ltv.amount, ltv.currency, to.1, Round::Down);
        if self.ltv.len() < self.ltv.inline_size() {
            self.ltv.push((to, amount));
        }
        amount
    }

    /// Seconds that a zone's clock is ahead of UTC at the time of the request.
    pub(super) fn offset(&mut self, index: &Index, zone: u16, auction: &Auction<'_>) -> i32 {
        let Some(known) = self.offsets.get_mut(usize::from(zone)) else { return 0 };
        *known.get_or_insert_with(|| {
            let at = jiff::Timestamp::from_microsecond(auction.at_us).ok();
            let zone = index.zones.get(usize::from(zone));
            zone.zip(at).map_or(0, |(zone, at)| zone.to_offset(at).seconds())
        })
    }
}
