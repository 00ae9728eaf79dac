//! Candidates: the campaigns of an index that a request, and then a slot of it, leaves.
//!
//! Dimension by dimension, the set of campaigns that take the request's value is laid over what is left; what
//! goes is counted with the dimension's reason. The order of the dimensions is that of
//! [`super::explain::ORDER`], so that every campaign is counted with its first reason.

use crate::campaign::country::Country;
use crate::campaign::name::{with_parent, with_parents};
use crate::campaign::taxonomy::Taxonomies;
use crate::opportunity::{Auction, Need, Rendering, Slot, Supply};
use crate::reason::Reason;

use super::bits;
use super::dictionary::{TEXT_MAX, language_of, lower, region_of};
use super::geo::{GeoLists, city_key, region_key};
use super::index::{AnyOr, Index, device_place, other_place};
use super::live::Live;
use super::scratch::{Refused, Scratch};
use super::sieve::category_key_to;

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
    /// Leaves the campaigns that take the request, in the scratch. `apart`: whether the person can be told apart
    /// from others.
    pub fn request(&self, auction: &Auction<'_>, apart: bool, scratch: &mut Scratch) {
        scratch.begin(self);
        let Scratch { live, request, one, text, refused, .. } = scratch;
        let slots = u32::try_from(auction.slots.len()).unwrap_or(u32::MAX);
        let mut say = |reason: Reason, gone: u32| refused.add(reason, gone.saturating_mul(slots));
        let place = place_of(auction);
        match self.one_seat(auction) {
            Some(false) => {
                live.only(&[]);
                live.clear(request);
                say(Reason::Seat, u32::try_from(self.len()).unwrap_or(u32::MAX));
            }
            Some(true) => {
                // What the first dimensions leave is known beforehand, and where the country leaves anything.
                let base = self.base(auction);
                say(Reason::Coppa, base.coppa);
                say(Reason::Consent, base.consent);
                live.only(self.geo.words(place.country));
                live.copy(&base.set, request);
                self.geo.taking(&place, live, one, text);
                bits::keep(request, one);
                say(Reason::Geo, base.left.saturating_sub(bits::count(request)));
            }
            None => {
                live.all(bits::words(self.len()));
                self.seats(auction, live, request, one, &mut say);
                self.geo.taking(&place, live, one, text);
                say(Reason::Geo, bits::keep(request, one));
            }
        }
        live.shrink(request);
        say(Reason::Geo, self.geo_not.dropping(&place, live, request, text));

        live.clear(one);
        self.devices.add_to(device_place(auction.device.kind), live, one);
        say(Reason::Device, bits::keep(request, one));
        let systems = auction.device.os.filter(|os| os.len() <= TEXT_MAX);
        say(Reason::Device, self.systems.keeping(systems, live, request, one, text));
        let language = auction.device.language.map(language_of).filter(|it| it.len() <= TEXT_MAX);
        say(Reason::Device, self.languages.keeping(language, live, request, one, text));

        self.inventory(auction, live, request, one, &mut say);
        self.content(auction, live, request, one, text, &mut say);

        if auction.transparency.need == Need::Needed {
            let telling = match auction.transparency.rendering {
                Rendering::Never => &self.rendering,
                Rendering::Open | Rendering::Always => &self.telling,
            };
            say(Reason::Transparency, live.keep(telling, request));
        }
        if !apart {
            say(Reason::Frequency, live.drop(&self.capped, request));
        }
        live.shrink(request);
        scratch.sieve.request(self, auction, &mut scratch.text);
    }

    /// Whether the seat is admitted, where all campaigns have the same one.
    fn one_seat(&self, auction: &Auction<'_>) -> Option<bool> {
        let (asked, blocked) = (&auction.seats, &auction.seats_blocked);
        if asked.is_empty() && blocked.is_empty() {
            return Some(true);
        }
        if self.seats.len() != 1 {
            return None;
        }
        let ours = |seat: &&str| self.seats.number(seat).is_some();
        Some((asked.is_empty() || asked.iter().any(ours)) && !blocked.iter().any(ours))
    }

    /// Leaves the campaigns whose seats are admitted, and what children and people who allow nothing may see.
    fn seats(
        &self,
        auction: &Auction<'_>,
        live: &Live,
        request: &mut Vec<u64>,
        one: &mut Vec<u64>,
        say: &mut impl FnMut(Reason, u32),
    ) {
        live.copy(&self.all, request);
        if !auction.seats.is_empty() {
            live.clear(one);
            auction.seats.iter().for_each(|seat| self.seats.add_to(seat, live, one));
            say(Reason::Seat, bits::keep(request, one));
        }
        for seat in &auction.seats_blocked {
            say(Reason::Seat, self.seats.drop_from(seat, live, request));
        }
        if auction.coppa {
            say(Reason::Coppa, live.keep(&self.children, request));
        }
        if !auction.personal {
            say(Reason::Consent, live.drop(&self.personal, request));
        }
    }

    fn inventory(
        &self,
        auction: &Auction<'_>,
        live: &Live,
        request: &mut [u64],
        one: &mut Vec<u64>,
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
            say(Reason::Inventory, live.keep(taking, request));
        }
        let Some((allow, deny)) = lists else { return };
        live.copy(&allow.any, one);
        let names = |each: &mut dyn FnMut(&str)| match (kind, name) {
            (SITE, Some(host)) => with_parents(host).for_each(each),
            (_, Some(bundle)) => each(bundle),
            (_, None) => {}
        };
        names(&mut |name| allow.texts.add_to(name, live, one));
        say(Reason::Inventory, bits::keep(request, one));
        match name {
            None => say(Reason::Inventory, live.drop(&deny.any, request)),
            Some(_) => names(&mut |name| {
                say(Reason::Inventory, deny.texts.drop_from(name, live, request));
            }),
        }
    }

    fn content(
        &self,
        auction: &Auction<'_>,
        live: &Live,
        request: &mut [u64],
        one: &mut Vec<u64>,
        text: &mut String,
        say: &mut impl FnMut(Reason, u32),
    ) {
        if !self.by_content {
            return;
        }
        live.copy(&self.categories.any, one);
        let each = || {
            let all = auction.categories.iter();
            all.flat_map(|it| with_parent(it.code).map(|code| (code, it.taxonomy)))
        };
        for (code, taxonomy) in each() {
            if category_key_to(code, taxonomy, text) {
                self.categories.texts.add_to(text, live, one);
            }
        }
        say(Reason::Category, bits::keep(request, one));
        for (code, taxonomy) in each() {
            if category_key_to(code, taxonomy, text) {
                say(Reason::Category, self.categories_not.drop_from(text, live, request));
            }
        }
        if auction.categories.is_empty() {
            return;
        }
        // Content that tells its categories in another taxonomy alone might be what is excluded.
        let told = Taxonomies::of(auction.categories.iter().map(|it| it.taxonomy));
        for place in self.excluded.places_beyond(told) {
            say(Reason::Category, self.excluding.drop_from(place, live, request));
        }
    }

    /// Leaves the campaigns that take a slot of the request, in the scratch, and counts the others.
    pub fn slot(&self, slot: &Slot<'_>, scratch: &mut Scratch, refused: &mut Refused) {
        let Scratch { live, request, one, slot: left, sieve, text, .. } = scratch;
        sieve.slot(self, slot, text);
        left.clear();
        left.extend_from_slice(request);
        live.clear(one);
        match sieve.banners() {
            (_, true) => live.add_all(&self.banners, one),
            (sizes, false) => sizes.iter().for_each(|size| self.sizes.add_to(*size, live, one)),
        }
        for (kind, _) in sieve.others().into_iter().filter(|(_, taken)| *taken) {
            if let Some(set) = other_place(kind).and_then(|place| self.others.get(place)) {
                live.add_all(set, one);
            }
        }
        refused.add(Reason::Creative, bits::keep(left, one));
        live.clear(one);
        for number in sieve.deals() {
            if let Some(posting) = self.deals.by_number(number) {
                live.add(posting, one);
            }
        }
        if slot.private {
            refused.add(Reason::Deal, bits::keep(left, one));
        } else {
            // Who needs a deal, and has none here.
            one.iter_mut().for_each(|has| *has = !*has);
            live.keep(&self.deals_only, one);
            refused.add(Reason::Deal, bits::drop(left, one));
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

impl AnyOr {
    /// Keeps those that list the text, in lower case, or nothing.
    fn keeping(
        &self,
        of: Option<&str>,
        live: &Live,
        set: &mut [u64],
        one: &mut Vec<u64>,
        text: &mut String,
    ) -> u32 {
        if self.texts.is_empty() {
            return 0;
        }
        live.copy(&self.any, one);
        if let Some(of) = of {
            text.clear();
            lower(of, text);
            self.texts.add_to(text, live, one);
        }
        bits::keep(set, one)
    }
}

impl GeoLists {
    fn taking(&self, at: &Place<'_>, live: &Live, one: &mut Vec<u64>, text: &mut String) {
        live.copy(&self.any, one);
        let Some(country) = at.country else { return };
        self.countries.add_to(country.place(), live, one);
        if let Some(region) = at.region.filter(|_| !self.regions.is_empty()) {
            region_key(country.alpha_3(), region, text);
            self.regions.add_to(text, live, one);
        }
        if let Some(city) = at.city.filter(|_| !self.cities.is_empty()) {
            city_key(country.alpha_3(), city, text);
            self.cities.add_to(text, live, one);
        }
    }

    fn dropping(&self, at: &Place<'_>, live: &Live, set: &mut [u64], text: &mut String) -> u32 {
        let Some(country) = at.country else { return live.drop(&self.any, set) };
        let mut gone = self.countries.drop_from(country.place(), live, set);
        gone += match at.region {
            None => self.within_regions.drop_from(country.place(), live, set),
            Some(_) if self.regions.is_empty() => 0,
            Some(region) => {
                region_key(country.alpha_3(), region, text);
                self.regions.drop_from(text, live, set)
            }
        };
        gone + match at.city {
            None => self.within_cities.drop_from(country.place(), live, set),
            Some(_) if self.cities.is_empty() => 0,
            Some(city) => {
                city_key(country.alpha_3(), city, text);
                self.cities.drop_from(text, live, set)
            }
        }
    }
}
