//! What cannot be listed, checked of one candidate and one slot.

use crate::campaign::hours::{Clock, minute_of_week};
use crate::frequency::key::mix;
use crate::opportunity::{Auction, Slot};
use crate::reason::Reason;

use super::compile::Entry;
use super::index::Index;
use super::person::Person;
use super::scratch::Scratch;
use super::sieve::{Offered, Sieve};
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
        let by = if slot.private || entry.deals_only { By::SomeDeal } else { By::Market };
        let creative = creative(self, entry, slot, (drawn, by), &mut scratch.sieve)?;
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

/// How a creative is to be sold.
#[derive(Clone, Copy)]
enum By {
    /// On the open market: by whoever advertises.
    Market,
    /// By a deal that admits its advertiser, whichever.
    SomeDeal,
    /// By this one.
    Deal(Offered),
}

/// One of the creatives that fit, are not blocked and can be sold so, each as likely as the others.
fn creative(
    index: &Index,
    entry: &Entry,
    slot: &Slot<'_>,
    (seed, by): (u64, By),
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
        if app || sieve.blocks(fit) {
            none = if none == Reason::Deal { none } else { Reason::Blocked };
            continue;
        }
        none = Reason::Deal;
        let sold = match by {
            By::Market => true,
            By::SomeDeal => {
                let mut offered = sieve.offered(&entry.deals, entry.seat);
                offered.any(|deal| sieve.admits(deal, &fit.domains))
            }
            By::Deal(deal) => sieve.admits(deal, &fit.domains),
        };
        if sold {
            let drawn = (mix(seed ^ entry.key ^ u64::from(fit.place) << 32), fit.place);
            best = best.max(Some(drawn));
        }
    }
    best.map(|(_, place)| place).ok_or(none)
}

impl Index {
    /// The nth of the slot's known deals, where the campaign may bid on it: the deal's place in the slot, and the
    /// creative whose advertiser it admits; `None`: any that fits. `place`: the slot's, in the request.
    pub(crate) fn nth_deal(
        &self,
        nth: usize,
        entry: &Entry,
        (slot, place, seed): (&Slot<'_>, usize, u64),
        scratch: &mut Scratch,
    ) -> Option<(usize, Option<u16>)> {
        let deal = scratch.sieve.nth_offered(nth, &entry.deals, entry.seat)?;
        if deal.for_all {
            return Some((deal.place, None));
        }
        let drawn = mix(seed ^ place as u64);
        let by = (drawn, By::Deal(deal));
        let creative = creative(self, entry, slot, by, &mut scratch.sieve).ok()?;
        Some((deal.place, Some(creative)))
    }
}

/// How many deals of the slot there are to be asked for by [`Index::nth_deal`].
pub(crate) fn deals_known(entry: &Entry, scratch: &Scratch) -> usize {
    scratch.sieve.deals_known(&entry.deals)
}
