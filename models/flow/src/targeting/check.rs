//! What cannot be listed, checked of one candidate and one slot.

use crate::campaign::hours::{Clock, minute_of_week};
use crate::frequency::key::mix;
use crate::opportunity::{Auction, Deal, Format, Slot};
use crate::reason::Reason;

use super::bits;
use super::compile::{Entry, Fit, FitKind};
use super::index::Index;
use super::person::Person;
use super::scratch::Scratch;
use crate::auction::rates::Rates;
use crate::campaign::name::is_under;
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

/// One request as candidates are checked against it.
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
        let ltv = scratch.ltv(person, rates, entry.currency);
        if let Some((bands, unknown)) = &entry.bands {
            let within = match ltv {
                Some(ltv) => bands.iter().any(|band| band.holds(ltv)),
                None => *unknown,
            };
            if !within {
                return Err(Reason::Audience);
            }
        }
        let creative = creative(entry, auction, slot, mix(seed ^ place as u64), scratch)?;
        let needs_deal = slot.private || entry.deals_only;
        if needs_deal && admitted(self, entry, slot, scratch).next().is_none() {
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
    entry: &Entry,
    auction: &Auction<'_>,
    slot: &Slot<'_>,
    seed: u64,
    scratch: &Scratch,
) -> Result<u16, Reason> {
    let app = entry.app.as_deref();
    let app = app.is_some_and(|app| auction.blocked.apps.contains(&app));
    let mut best: Option<(u64, u16)> = None;
    let mut fits = false;
    for fit in entry.creatives.iter().filter(|fit| fit.is_for(slot)) {
        fits = true;
        if !app && !blocks(slot, fit, scratch) {
            let drawn = (mix(seed ^ entry.key ^ u64::from(fit.place) << 32), fit.place);
            best = best.max(Some(drawn));
        }
    }
    match best {
        Some((_, place)) => Ok(place),
        None if fits => Err(Reason::Blocked),
        None => Err(Reason::Creative),
    }
}

fn blocks(slot: &Slot<'_>, fit: &Fit, scratch: &Scratch) -> bool {
    let attribute = fit.attributes.iter().any(|it| slot.attributes_blocked.contains(it));
    let named = |numbers: &[u32], set: &[u64]| numbers.iter().any(|it| bits::holds(set, *it));
    attribute
        || scratch.blocked
            && (named(&fit.domains, &scratch.blocked_domains)
                || named(&fit.categories, &scratch.blocked_categories))
}

impl Fit {
    /// Whether it can be shown in a slot.
    pub fn is_for(&self, slot: &Slot<'_>) -> bool {
        (self.secure || !slot.secure) && slot.formats.iter().any(|format| self.kind.is_for(format))
    }
}

impl FitKind {
    fn is_for(self, format: &Format) -> bool {
        let edge = |asked: u16, is: u16| asked == 0 || asked == is;
        // Without an upper bound the exchange says 0.
        let length = |is: u16, least: u16, most: u16| least <= is && (most == 0 || is <= most);
        match (self, format) {
            (FitKind::Banner { w, h }, Format::Banner { w: asked_w, h: asked_h }) => {
                edge(*asked_w, w) && edge(*asked_h, h)
            }
            (FitKind::Video { duration_s }, Format::Video { min_s, max_s, .. })
            | (FitKind::Audio { duration_s }, Format::Audio { min_s, max_s }) => {
                length(duration_s, *min_s, *max_s)
            }
            (FitKind::Native, Format::Native) => true,
            _ => false,
        }
    }
}

/// Deals of the slot that the campaign may bid on, by their places.
pub(crate) fn admitted<'a>(
    index: &'a Index,
    entry: &'a Entry,
    slot: &'a Slot<'_>,
    scratch: &'a Scratch,
) -> impl Iterator<Item = usize> {
    let numbers = scratch.deals.iter().zip(&slot.deals).enumerate();
    numbers.filter_map(move |(place, (number, deal))| {
        let ours = entry.deals.binary_search(&(*number)?).is_ok();
        (ours && index.admits(entry, deal)).then_some(place)
    })
}

impl Index {
    fn admits(&self, entry: &Entry, deal: &Deal<'_>) -> bool {
        let it = &entry.campaign.definition;
        let seat =
            deal.seats.is_empty() || deal.seats.contains(&it.seat.as_deref().unwrap_or(&self.seat));
        let domain = |domain: &&str| is_under(&it.advertiser_domain, domain);
        seat && (deal.advertisers.is_empty() || deal.advertisers.iter().any(domain))
    }
}
