//! What a publisher takes and blocks, looked up once for each request and slot: no candidate goes through a list
//! that came with a request, so that a list of thousands costs what it takes to read it, and not that for each of
//! thousands of candidates.

use std::ops::Range;

use crate::campaign::creative::FormatKind;
use crate::campaign::taxonomy::Taxonomy;
use crate::opportunity::{Auction, Deal, Format, Slot};

use super::compile::{Fit, FitKind};
use super::dictionary::{TEXT_MAX, language_of, lower};
use super::index::Index;
use super::marks::Marks;

/// See the module's page. Its numbers are those of [`super::compile::Sold`].
#[derive(Debug, Default)]
pub struct Sieve {
    /// Advertisers' domains, categories and apps that are blocked.
    domains: Marks,
    categories: Marks,
    apps: Marks,
    /// Categories and languages that are allowed, where a list says so.
    allowed: Marks,
    languages: Marks,
    has_allowed: bool,
    has_languages: bool,
    /// Categories are blocked, and of what taxonomy these and the allowed ones are.
    has_blocked: bool,
    taxonomy: Taxonomy,
    /// Of the slot, those that are blocked of each kind of format, ascending.
    attributes: [Vec<u16>; FormatKind::ALL.len()],
    formats: Formats,
    /// Needs that were held against the slot, and those of them that it meets.
    held: Marks,
    met: Marks,
    deals: Deals,
}

impl Sieve {
    /// Looks up what a request says.
    pub fn request(&mut self, index: &Index, auction: &Auction<'_>, text: &mut String) {
        let sold = &index.sold;
        let (blocked, allowed) = (&auction.blocked, &auction.allowed);
        self.domains.begin(sold.domains.len());
        for domain in &blocked.advertisers {
            let domain = domain.strip_suffix('.').unwrap_or(domain);
            text.clear();
            if domain.len() <= TEXT_MAX {
                lower(domain, text);
            }
            if let Some(number) = sold.domains.find(text) {
                self.domains.mark(number);
            }
        }
        for (marks, codes) in [
            (&mut self.categories, &blocked.categories[..]),
            (&mut self.allowed, &allowed.categories[..]),
        ] {
            marks.begin(sold.categories.len());
            for code in codes {
                upper(code, text);
                if let Some(number) = sold.categories.find(text) {
                    marks.mark(number);
                }
            }
        }
        self.apps.begin(sold.apps.len());
        for app in &blocked.apps {
            if let Some(number) = sold.apps.find(app) {
                self.apps.mark(number);
            }
        }
        self.languages.begin(sold.languages.len());
        for language in &allowed.languages {
            upper(language_of(language), text);
            if let Some(number) = sold.languages.find(text) {
                self.languages.mark(number);
            }
        }
        self.has_allowed = !allowed.categories.is_empty();
        self.has_languages = !allowed.languages.is_empty();
        self.has_blocked = !blocked.categories.is_empty();
        self.taxonomy = allowed.taxonomy;
    }

    /// Looks up what a slot says.
    pub fn slot(&mut self, index: &Index, slot: &Slot<'_>, text: &mut String) {
        for (kind, blocked) in FormatKind::ALL.into_iter().zip(&mut self.attributes) {
            blocked.clear();
            if let Some(ask) = slot.asks.of(kind) {
                blocked.extend_from_slice(&ask.attributes_blocked);
                blocked.sort_unstable();
            }
        }
        self.formats.read(slot);
        self.held.begin(index.sold.needs.len());
        self.met.begin(index.sold.needs.len());
        self.deals.read(index, slot, text);
    }

    /// Whether the slot has the size or the length that a creative is of.
    pub fn fits(&self, fit: &Fit, slot: &Slot<'_>) -> bool {
        (fit.secure || !slot.secure) && self.formats.take(fit.kind)
    }

    /// Whether the slot has what a creative needs. Of thousands of creatives few need different things: those
    /// are held against the slot once.
    pub fn meets(&mut self, index: &Index, needs: u32, slot: &Slot<'_>) -> bool {
        if !self.held.holds(needs) {
            self.held.mark(needs);
            if index.sold.needs.get(needs as usize).is_some_and(|it| it.met_by(&slot.asks)) {
                self.met.mark(needs);
            }
        }
        self.met.holds(needs)
    }

    /// Whether an app that is advertised is blocked.
    pub fn blocks_app(&self, app: Option<u32>) -> bool {
        app.is_some_and(|app| self.apps.holds(app))
    }

    /// Whether the publisher blocks a creative, or does not allow it.
    pub fn blocks(&self, fit: &Fit) -> bool {
        let attributes = self.attributes.get(fit.kind.place());
        let attribute = attributes.is_some_and(|blocked| {
            let holds = |code: &u16| blocked.binary_search(code).is_ok();
            !blocked.is_empty() && fit.attributes.iter().any(holds)
        });
        let spoken = |it: &u32| self.languages.holds(*it);
        let compared = fit.taxonomies.has(self.taxonomy);
        attribute
            || self.domains.meets(&fit.domains)
            || self.categories.meets(&fit.categories)
            || self.has_blocked && !compared && !fit.categories.is_empty()
            || self.has_allowed && !(compared && self.allowed.meets(&fit.categories))
            || self.has_languages && !fit.language.as_ref().is_some_and(spoken)
    }

    /// Exact sizes of banners, each once, and whether others are taken too.
    pub fn banners(&self) -> (&[(u16, u16)], bool) {
        self.formats.banners()
    }

    /// Whether videos, audio and native are taken, of whatever length.
    pub fn others(&self) -> [(FormatKind, bool); 3] {
        let Formats { video, audio, native, .. } = &self.formats;
        [
            (FormatKind::Video, video.asked),
            (FormatKind::Audio, audio.asked),
            (FormatKind::Native, *native),
        ]
    }

    /// Numbers of the deals of the slot that some campaign has.
    pub fn deals(&self) -> impl Iterator<Item = u32> {
        self.deals.known.iter().map(|deal| deal.number)
    }

    /// Deals of the slot that a campaign has and whose seats admit its own. `deals`: the campaign's, ascending;
    /// `seat`: the number of its seat.
    pub fn offered<'a>(
        &'a self,
        deals: &'a [u32],
        seat: u32,
    ) -> impl Iterator<Item = Offered> + use<'a> {
        (0..self.deals_known(deals)).filter_map(move |nth| self.nth_offered(nth, deals, seat))
    }

    /// How many deals there are to go through for a campaign. Most campaigns have none.
    pub fn deals_known(&self, deals: &[u32]) -> usize {
        if deals.is_empty() { 0 } else { self.deals.known.len() }
    }

    /// The nth of them, where it is one of [`Sieve::offered`].
    pub fn nth_offered(&self, nth: usize, deals: &[u32], seat: u32) -> Option<Offered> {
        let deal = self.deals.known.get(nth)?;
        deals.binary_search(&deal.number).ok()?;
        let ours = self.listed(&deal.seats, &[seat]);
        ours.then_some(Offered { nth, place: deal.place, for_all: deal.advertisers.is_none() })
    }

    /// Whether a deal admits an advertiser. `domains`: numbers of the creative's domains and those that they are in.
    pub fn admits(&self, deal: Offered, domains: &[u32]) -> bool {
        let known = self.deals.known.get(deal.nth);
        deal.for_all || known.is_some_and(|known| self.listed(&known.advertisers, domains))
    }

    /// Whether one of the numbers is on a list, or there is no list.
    fn listed(&self, list: &Option<Range<usize>>, numbers: &[u32]) -> bool {
        let Some(list) = list else { return true };
        let listed = self.deals.numbers.get(list.clone()).unwrap_or_default();
        numbers.iter().any(|number| listed.binary_search(number).is_ok())
    }
}

/// Writes what a category is listed by: its code in upper case, of a later taxonomy behind the number of that.
/// `false`: nobody knows of which taxonomy it is.
pub(super) fn category_key_to(code: &str, taxonomy: Taxonomy, to: &mut String) -> bool {
    upper(code, to);
    match taxonomy.number() {
        None => return false,
        Some(1) => {}
        Some(number) => {
            // Digits of a number, without an allocation.
            let digits = [number / 10, number % 10].map(|n| char::from(b'0' + n as u8));
            to.insert(0, ':');
            digits.into_iter().rev().for_each(|digit| to.insert(0, digit));
        }
    }
    true
}

/// A deal of the slot that a campaign has.
#[derive(Clone, Copy, Debug)]
pub struct Offered {
    nth: usize,
    /// Its place in the slot.
    pub place: usize,
    /// It lists no advertisers.
    pub for_all: bool,
}

/// A code in upper case; nothing of what is longer than any code.
pub(super) fn upper(code: &str, to: &mut String) {
    to.clear();
    if code.len() <= TEXT_MAX {
        to.push_str(code);
        to.make_ascii_uppercase();
    }
}

/// Sizes and lengths that a slot takes.
#[derive(Debug, Default)]
struct Formats {
    /// Exact ones, ascending.
    sizes: Vec<(u16, u16)>,
    /// Edges whose other edge is any, ascending.
    widths: Vec<u16>,
    heights: Vec<u16>,
    any_size: bool,
    video: Spans,
    audio: Spans,
    native: bool,
}

impl Formats {
    fn read(&mut self, slot: &Slot<'_>) {
        let Formats { sizes, widths, heights, any_size, video, audio, native } = self;
        sizes.clear();
        widths.clear();
        heights.clear();
        video.clear();
        audio.clear();
        (*any_size, *native) = (false, false);
        for format in &slot.formats {
            match *format {
                Format::Banner { w: 0, h: 0 } => *any_size = true,
                Format::Banner { w, h: 0 } => widths.push(w),
                Format::Banner { w: 0, h } => heights.push(h),
                Format::Banner { w, h } => sizes.push((w, h)),
                Format::Video { min_s, max_s, .. } => video.add(min_s, max_s),
                Format::Audio { min_s, max_s } => audio.add(min_s, max_s),
                Format::Native => *native = true,
            }
        }
        sizes.sort_unstable();
        sizes.dedup();
        widths.sort_unstable();
        heights.sort_unstable();
        video.join();
        audio.join();
    }

    /// Sizes of which each is exact, and whether there are banners of others.
    fn banners(&self) -> (&[(u16, u16)], bool) {
        let other = self.any_size || !self.widths.is_empty() || !self.heights.is_empty();
        (&self.sizes, other)
    }

    fn take(&self, kind: FitKind) -> bool {
        match kind {
            FitKind::Banner { w, h } => {
                self.any_size
                    || self.sizes.binary_search(&(w, h)).is_ok()
                    || self.widths.binary_search(&w).is_ok()
                    || self.heights.binary_search(&h).is_ok()
            }
            FitKind::Video { duration_s } => self.video.hold(duration_s),
            FitKind::Audio { duration_s } => self.audio.hold(duration_s),
            FitKind::Native => self.native,
        }
    }
}

/// Least and most seconds; once they are joined, ascending and apart.
#[derive(Debug, Default)]
struct Spans {
    spans: Vec<(u16, u16)>,
    /// There was one, and be it one that nothing is in.
    asked: bool,
}

impl Spans {
    fn clear(&mut self) {
        self.spans.clear();
        self.asked = false;
    }

    fn add(&mut self, least: u16, most: u16) {
        self.asked = true;
        // Without an upper bound the exchange says 0.
        let most = if most == 0 { u16::MAX } else { most };
        if least <= most {
            self.spans.push((least, most));
        }
    }

    fn join(&mut self) {
        self.spans.sort_unstable();
        self.spans.dedup_by(|next, one| {
            let meets = next.0 <= one.1;
            if meets {
                one.1 = one.1.max(next.1);
            }
            meets
        });
    }

    fn hold(&self, seconds: u16) -> bool {
        let after = self.spans.partition_point(|(least, _)| *least <= seconds);
        after
            .checked_sub(1)
            .and_then(|at| self.spans.get(at))
            .is_some_and(|(_, most)| seconds <= *most)
    }
}

/// Deals of a slot that some campaign has, in their order.
#[derive(Debug, Default)]
struct Deals {
    known: Vec<Known>,
    /// Of their seats and advertisers, list after list.
    numbers: Vec<u32>,
}

#[derive(Debug)]
struct Known {
    number: u32,
    place: usize,
    /// Where its lists are; `None`: it lists nobody, and is for all.
    seats: Option<Range<usize>>,
    advertisers: Option<Range<usize>>,
}

impl Deals {
    fn read(&mut self, index: &Index, slot: &Slot<'_>, text: &mut String) {
        self.known.clear();
        self.numbers.clear();
        for (place, deal) in slot.deals.iter().enumerate() {
            let Some(number) = index.deals.number(deal.id) else { continue };
            let Deal { seats, advertisers, .. } = deal;
            let seats = self.list(seats, |seat| index.seats.number(seat));
            let advertisers = self.list(advertisers, |domain| {
                text.clear();
                if domain.len() <= TEXT_MAX {
                    lower(domain, text);
                }
                index.sold.domains.find(text)
            });
            self.known.push(Known { number, place, seats, advertisers });
        }
    }

    fn list(
        &mut self,
        texts: &[&str],
        number: impl FnMut(&str) -> Option<u32>,
    ) -> Option<Range<usize>> {
        if texts.is_empty() {
            return None;
        }
        let from = self.numbers.len();
        self.numbers.extend(texts.iter().copied().filter_map(number));
        self.numbers.get_mut(from..).unwrap_or_default().sort_unstable();
        Some(from..self.numbers.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_hold_what_one_of_them_holds(
            spans in proptest::collection::vec((0_u16..40, 0_u16..40), 0..6),
            seconds in 0_u16..60,
        ) {
            let mut joined = Spans::default();
            spans.iter().for_each(|(least, most)| joined.add(*least, *most));
            joined.join();
            let one = |(least, most): &(u16, u16)| {
                *least <= seconds && (*most == 0 || seconds <= *most)
            };
            prop_assert_eq!(joined.hold(seconds), spans.iter().any(one));
        }
    }
}
