//! Candidates: the campaigns of an index that a request, and then a slot of it, leaves.
//!
//! Dimension by dimension, the set of campaigns that take the request's value is laid over what is left; what
//! goes is counted with the dimension's reason. The order of the dimensions is that of
//! [`super::explain::ORDER`], so that every campaign is counted with its first reason.

use crate::campaign::country::Country;
use crate::campaign::name::{with_parent, with_parents};
use crate::opportunity::{Auction, Format, Slot, Supply};
use crate::reason::Reason;

use super::bits;
use super::dictionary::{TEXT_MAX, language_of, lower, region_of};
use super::index::{AnyOr, GeoLists, Index, city_key, device_place, other_place, region_key};
use super::person::Person;
use super::scratch::{Refused, Scratch};
use crate::campaign::creative::FormatKind;

/// Kinds of places as the index has them.
const SITE: usize = 0;
const APP: usize = 1;
const DOOH: usize = 2;
const NOT_TOLD: usize = 3;

/// Where a request comes from, as far as it tells.
struct Place<'a> {
    country: Option<Country>,
    region: Option<&'a str>,
    city: Option<&'a str>,
}

impl Index {
    /// Leaves the campaigns that take the request, in the scratch.
    pub fn request(&self, auction: &Auction<'_>, person: &Person<'_>, scratch: &mut Scratch) {
        scratch.begin(self);
        let Scratch { request, one, text, refused, .. } = scratch;
        let slots = u32::try_from(auction.slots.len()).unwrap_or(u32::MAX);
        let mut say = |reason: Reason, gone: u32| refused.add(reason, gone.saturating_mul(slots));

        if !auction.seats.is_empty() {
            one.fill(0);
            auction.seats.iter().for_each(|seat| self.seats.add_to(seat, one));
            say(Reason::Seat, bits::keep(request, one));
        }
        for seat in &auction.seats_blocked {
            say(Reason::Seat, self.seats.drop_from(seat, request));
        }
        if auction.coppa {
            say(Reason::Coppa, bits::keep(request, &self.children));
        }
        if !auction.personal {
            say(Reason::Consent, bits::drop(request, &self.personal));
        }

        let place = place_of(auction);
        self.geo.taking(&place, one, text);
        say(Reason::Geo, bits::keep(request, one));
        say(Reason::Geo, self.geo_not.dropping(&place, request, text));

        one.fill(0);
        self.devices.add_to(device_place(auction.device.kind), one);
        say(Reason::Device, bits::keep(request, one));
        let systems = auction.device.os.filter(|os| os.len() <= TEXT_MAX);
        say(Reason::Device, self.systems.keeping(systems, lower, request, one, text));
        let language = auction.device.language.map(language_of).filter(|it| it.len() <= TEXT_MAX);
        say(Reason::Device, self.languages.keeping(language, lower, request, one, text));

        self.inventory(auction, request, one, &mut say);
        self.content(auction, request, one, text, &mut say);

        one.copy_from_slice(&self.cohorts.any);
        person.cohorts.iter().for_each(|name| self.cohorts.texts.add_to(name, one));
        say(Reason::Audience, bits::keep(request, one));
        if person.seen.is_none() {
            say(Reason::Frequency, bits::drop(request, &self.capped));
        }
        self.blocks(auction, scratch);
    }

    fn inventory(
        &self,
        auction: &Auction<'_>,
        request: &mut [u64],
        one: &mut [u64],
        say: &mut impl FnMut(Reason, u32),
    ) {
        let (kind, name, lists) = match auction.supply {
            Supply::Site { domain } => (SITE, domain, Some((&self.sites, &self.sites_not))),
            Supply::App { bundle } => (APP, bundle, Some((&self.apps, &self.apps_not))),
            Supply::Dooh { .. } => (DOOH, None, None),
            Supply::Unknown => (NOT_TOLD, None, None),
        };
        // Longer than any name can be: none, so that nothing gets past a deny list by its length.
        let name = name.filter(|name| name.len() <= TEXT_MAX);
        if let Some(taking) = self.places.get(kind) {
            say(Reason::Inventory, bits::keep(request, taking));
        }
        let Some((allow, deny)) = lists else { return };
        one.copy_from_slice(&allow.any);
        let names = |each: &mut dyn FnMut(&str)| match (kind, name) {
            (SITE, Some(host)) => with_parents(host).for_each(each),
            (_, Some(bundle)) => each(bundle),
            (_, None) => {}
        };
        names(&mut |name| allow.texts.add_to(name, one));
        say(Reason::Inventory, bits::keep(request, one));
        match name {
            None => say(Reason::Inventory, bits::drop(request, &deny.any)),
            Some(_) => names(&mut |name| {
                say(Reason::Inventory, deny.texts.drop_from(name, request));
            }),
        }
    }

    fn content(
        &self,
        auction: &Auction<'_>,
        request: &mut [u64],
        one: &mut [u64],
        text: &mut String,
        say: &mut impl FnMut(Reason, u32),
    ) {
        if self.categories.texts.is_empty() && self.categories_not.is_empty() {
            return;
        }
        one.copy_from_slice(&self.categories.any);
        for code in auction.categories.iter().flat_map(|code| with_parent(code)) {
            upper(code, text);
            self.categories.texts.add_to(text, one);
        }
        say(Reason::Category, bits::keep(request, one));
        for code in auction.categories.iter().flat_map(|code| with_parent(code)) {
            upper(code, text);
            say(Reason::Category, self.categories_not.drop_from(text, request));
        }
    }

    /// Notes what the publisher blocks, as far as anybody here is meant by it.
    fn blocks(&self, auction: &Auction<'_>, scratch: &mut Scratch) {
        let Scratch { text, blocked_domains, blocked_categories, blocked, .. } = scratch;
        for domain in &auction.blocked.advertisers {
            let domain = domain.strip_suffix('.').unwrap_or(domain);
            text.clear();
            if domain.len() <= TEXT_MAX {
                lower(domain, text);
            }
            if let Some(number) = self.sold.domains.find(text) {
                bits::set(blocked_domains, number);
                *blocked = true;
            }
        }
        for code in &auction.blocked.categories {
            upper(code, text);
            if let Some(number) = self.sold.categories.find(text) {
                bits::set(blocked_categories, number);
                *blocked = true;
            }
        }
    }

    /// Leaves the campaigns that take a slot of the request, in the scratch, and counts the others.
    pub fn slot(&self, slot: &Slot<'_>, scratch: &mut Scratch, refused: &mut Refused) {
        let Scratch { request, one, slot: left, deals, .. } = scratch;
        left.copy_from_slice(request);
        one.fill(0);
        let add = |kind: FormatKind, one: &mut [u64]| {
            if let Some(set) = other_place(kind).and_then(|place| self.others.get(place)) {
                one.iter_mut().zip(set).for_each(|(word, of)| *word |= of);
            }
        };
        for format in &slot.formats {
            match format {
                Format::Banner { w: 0, .. } | Format::Banner { h: 0, .. } => {
                    one.iter_mut().zip(&self.banners).for_each(|(word, of)| *word |= of);
                }
                Format::Banner { w, h } => self.sizes.add_to((*w, *h), one),
                Format::Video { .. } => add(FormatKind::Video, one),
                Format::Audio { .. } => add(FormatKind::Audio, one),
                Format::Native => add(FormatKind::Native, one),
            }
        }
        refused.add(Reason::Creative, bits::keep(left, one));
        deals.clear();
        deals.extend(slot.deals.iter().map(|deal| self.deals.number(deal.id)));
        one.fill(0);
        for number in deals.iter().flatten() {
            if let Some(posting) = self.deals.by_number(*number) {
                posting.add_to(one);
            }
        }
        if slot.private {
            refused.add(Reason::Deal, bits::keep(left, one));
        } else {
            // Who needs a deal, and has none here.
            for ((word, only), has) in left.iter_mut().zip(&self.deals_only).zip(one.iter()) {
                let gone = *word & only & !has;
                refused.add(Reason::Deal, gone.count_ones());
                *word &= !gone;
            }
        }
    }
}

fn place_of<'a>(auction: &Auction<'a>) -> Place<'a> {
    let geo = &auction.geo;
    let short = |text: &&str| text.len() <= TEXT_MAX;
    Place {
        country: geo.country.and_then(Country::of_alpha_3),
        region: geo.region.map(region_of).filter(short),
        city: geo.city.filter(short),
    }
}

fn upper(code: &str, to: &mut String) {
    to.clear();
    if code.len() <= TEXT_MAX {
        to.push_str(code);
        to.make_ascii_uppercase();
    }
}

impl AnyOr {
    /// Keeps those that list the text or nothing.
    fn keeping(
        &self,
        of: Option<&str>,
        fold: fn(&str, &mut String),
        set: &mut [u64],
        one: &mut [u64],
        text: &mut String,
    ) -> u32 {
        if self.texts.is_empty() {
            return 0;
        }
        one.copy_from_slice(&self.any);
        if let Some(of) = of {
            text.clear();
            fold(of, text);
            self.texts.add_to(text, one);
        }
        bits::keep(set, one)
    }
}

impl GeoLists {
    fn taking(&self, at: &Place<'_>, one: &mut [u64], text: &mut String) {
        one.copy_from_slice(&self.any);
        let Some(country) = at.country else { return };
        self.countries.add_to(country.place(), one);
        if let Some(region) = at.region.filter(|_| !self.regions.is_empty()) {
            region_key(country.alpha_3(), region, text);
            self.regions.add_to(text, one);
        }
        if let Some(city) = at.city.filter(|_| !self.cities.is_empty()) {
            city_key(country.alpha_3(), city, text);
            self.cities.add_to(text, one);
        }
    }

    fn dropping(&self, at: &Place<'_>, set: &mut [u64], text: &mut String) -> u32 {
        let Some(country) = at.country else { return bits::drop(set, &self.any) };
        let mut gone = self.countries.drop_from(country.place(), set);
        gone += match at.region {
            None => self.within_regions.drop_from(country.place(), set),
            Some(_) if self.regions.is_empty() => 0,
            Some(region) => {
                region_key(country.alpha_3(), region, text);
                self.regions.drop_from(text, set)
            }
        };
        gone + match at.city {
            None => self.within_cities.drop_from(country.place(), set),
            Some(_) if self.cities.is_empty() => 0,
            Some(city) => {
                city_key(country.alpha_3(), city, text);
                self.cities.drop_from(text, set)
            }
        }
    }
}
