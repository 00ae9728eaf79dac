//! What cannot be listed, checked of one candidate and one slot.

use crate::campaign::hours::{Clock, minute_of_week};
use crate::frequency::key::mix;
use crate::opportunity::{Auction, Slot};
use crate::reason::Reason;

use super::compile::Entry;
use super::index::Index;
use super::person::Person;
use super::scratch::Scratch;
use super::sieve::Sieve;
use crate::auction::rates::Rates;
use kiki_models::shield::money::Micros;

/// A candidate that may be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fitted {
    /// Place of the creative in the definition.
    pub creative: u16,
    /// Impressions of this request that it may win.
    pub room: u16,
    /// The person's LTV in the campaign's currency.
    pub ltv: Option<Micros>,
}

/// One request as candidates of one account are checked against it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a, 'r> {
    pub auction: &'a Auction<'r>,
    pub person: &'a Person<'a>,
    pub rates: &'a Rates,
    /// Chooses among creatives that fit alike.
    pub seed: u64,
}

impl Index {
    /// Whether a candidate of the slot takes it; the first reason why not. `place`: the slot's, in the
    /// request. The scratch is that which the request and the slot went through.
    pub fn check(
        &self,
        entry: &Entry,
        asked: &Asked<'_, '_>,
        slot: &Slot<'_>,
        place: usize,
        scratch: &mut Scratch,
    ) -> Result<Fitted, Reason> {
        let Asked { auction, person, rates, seed } = *asked;
        let at_us = auction.at_us;
        if !(entry.starts_us <= at_us && at_us < entry.ends_us) {
            return Err(Reason::Schedule);
        }
        if !entry.week.is_always() {
            let offset_s = match (entry.clock, auction.geo.utc_offset_min) {
                (Clock::Person, Some(minutes)) => i32::from(minutes) * 60,
                _ => scratch.offset(self, entry.zone, auction),
            };
            if !entry.week.holds(minute_of_week(at_us, offset_s)) {
                return Err(Reason::DayPart);
            }
        }
        if let Some(granted) = person.granted
            && entry.purposes.bits() & !granted.bits() != 0
        {
            return Err(Reason::Consent);
        }
        if entry.cohort.is_some() && entry.cohort != person.cohort {
            return Err(Reason::Audience);
        }
        let ltv = scratch.ltv(person, rates, (entry.account, entry.currency));
        if let Some((bands, unknown)) = &entry.bands {
            let within = match ltv {
                Some(ltv) => bands.iter().any(|band| band.holds(ltv)),
                None => *unknown,
            };
            if !within {
                return Err(Reason::Audience);
            }
        }
        let drawn = mix(seed ^ place as u64);
        let creative = creative(self, entry, slot, drawn, &mut scratch.sieve)?;
        let needs_deal = slot.private || entry.deals_only;
        if needs_deal && admitted(entry, scratch).next().is_none() {
            return Err(Reason::Deal);
        }
        let seen = match person.seen {
            Some((table, key)) if !entry.caps.is_empty() => {
                table.room(key, entry.key, &entry.caps, at_us)
            }
            _ => u16::MAX,
        };
        match seen.min(u16::from(entry.per_request)) {
            0 => Err(Reason::Frequency),
            room => Ok(Fitted { creative, room, ltv }),
        }
    }
}

/// One of the creatives that fit and are not blocked, each as likely as the others.
fn creative(
    index: &Index,
    entry: &Entry,
    slot: &Slot<'_>,
    seed: u64,
    sieve: &mut Sieve,
) -> Result<u16, Reason> {
    let app = sieve.blocks_app(entry.app);
    let mut best: Option<(u64, u16)> = None;
    let mut none = Reason::Creative;
    for fit in &entry.creatives {
        if !sieve.fits(fit, slot) {
            continue;
        }
        // What comes later in the order of reasons came nearer to a bid.
        if !sieve.meets(index, fit.needs, slot) {
            none = if none == Reason::Creative { Reason::Media } else { none };
            continue;
        }
        none = Reason::Blocked;
        if !app && !sieve.blocks(fit) {
            let drawn = (mix(seed ^ entry.key ^ u64::from(fit.place) << 32), fit.place);
            best = best.max(Some(drawn));
        }
    }
    best.map(|(_, place)| place).ok_or(none)
}

/// Deals of the slot that the campaign may bid on, by their places.
pub(crate) fn admitted<'a>(
    entry: &'a Entry,
    scratch: &'a Scratch,
) -> impl Iterator<Item = usize> + use<'a> {
    scratch.sieve.admitted(&entry.deals, entry.seat, &entry.advertiser)
}
