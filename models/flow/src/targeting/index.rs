//! The campaigns that auctions see: immutable, shared, made anew when campaigns change.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use smallvec::SmallVec;

use kiki_models::shield::consent::kind::KindSet;

use crate::campaign::audience::Audience;
use crate::campaign::country::COUNTRIES;
use crate::campaign::creative::FormatKind;
use crate::campaign::state::Campaign;
use crate::campaign::target::{PlaceKind, Places as Where};
use crate::opportunity::DeviceKind;

use super::bits;
use super::compile::{Entry, Fit, FitKind, Sold, key_of};
use super::dictionary::lower;
use super::lists::{Places, Set, Sizes, TextLists, Texts};

/// Campaigns of one index.
pub const CAMPAIGNS_MAX: usize = 1_000_000;

/// See the module's page. The sets have a bit for each entry.
#[derive(Debug)]
pub struct Index {
    pub entries: Box<[Entry]>,
    /// Of campaigns that name none.
    pub seat: Box<str>,
    pub(super) zones: Box<[TimeZone]>,
    pub(super) sold: Sold,
    pub(super) all: Box<[u64]>,
    pub(super) seats: Texts,
    pub(super) children: Box<[u64]>,
    /// Not where personal data may not be used.
    pub(super) personal: Box<[u64]>,
    /// Not where nobody can be told apart.
    pub(super) capped: Box<[u64]>,
    pub(super) geo: GeoLists,
    pub(super) geo_not: GeoLists,
    pub(super) devices: Places,
    pub(super) systems: AnyOr,
    pub(super) languages: AnyOr,
    /// By kind of place: site, app, screen, not told.
    pub(super) places: [Box<[u64]>; 4],
    pub(super) sites: AnyOr,
    pub(super) apps: AnyOr,
    pub(super) sites_not: AnyOr,
    pub(super) apps_not: AnyOr,
    pub(super) categories: AnyOr,
    pub(super) categories_not: Texts,
    pub(super) cohorts: AnyOr,
    pub(super) banners: Box<[u64]>,
    pub(super) sizes: Sizes,
    /// Of videos, audio and native.
    pub(super) others: [Box<[u64]>; 3],
    pub(super) deals: Texts,
    pub(super) deals_only: Box<[u64]>,
}

/// Campaigns that list nothing, and the lists of the others. Of deny lists: those that list something.
#[derive(Debug)]
pub struct AnyOr {
    pub any: Box<[u64]>,
    pub texts: Texts,
}

/// Places of the world. `any`: as [`AnyOr`]. `within_*`: campaigns that list a region or a city of a country.
#[derive(Debug)]
pub struct GeoLists {
    pub any: Box<[u64]>,
    pub countries: Places,
    pub regions: Texts,
    pub cities: Texts,
    pub within_regions: Places,
    pub within_cities: Places,
}

struct AnyLists(Set, TextLists);

impl AnyLists {
    fn new(n: usize) -> AnyLists {
        AnyLists(Set::of(n), TextLists::default())
    }

    fn add<'a>(&mut self, any: bool, texts: impl IntoIterator<Item = &'a str>, at: u32) {
        self.0.add_if(any, at);
        texts.into_iter().for_each(|text| {
            self.1.add(text, at);
        });
    }

    fn done(self, n: usize) -> AnyOr {
        AnyOr { any: self.0.0, texts: self.1.done(n) }
    }
}

struct GeoMaking {
    any: Set,
    countries: Vec<Vec<u32>>,
    regions: TextLists,
    cities: TextLists,
    within_regions: Vec<Vec<u32>>,
    within_cities: Vec<Vec<u32>>,
    text: String,
}

impl GeoMaking {
    fn new(n: usize) -> GeoMaking {
        let none = || vec![Vec::new(); COUNTRIES];
        GeoMaking {
            any: Set::of(n),
            countries: none(),
            regions: TextLists::default(),
            cities: TextLists::default(),
            within_regions: none(),
            within_cities: none(),
            text: String::new(),
        }
    }

    fn add(&mut self, any: bool, places: &Where, at: u32) {
        let push = |lists: &mut Vec<Vec<u32>>, place: usize| {
            if let Some(list) = lists.get_mut(place)
                && list.last() != Some(&at)
            {
                list.push(at);
            }
        };
        self.any.add_if(any, at);
        places.countries.iter().for_each(|it| push(&mut self.countries, it.place()));
        for it in &places.regions {
            region_key(it.country.alpha_3(), &it.region, &mut self.text);
            self.regions.add(&self.text, at);
            push(&mut self.within_regions, it.country.place());
        }
        for it in &places.cities {
            city_key(it.country.alpha_3(), &it.city, &mut self.text);
            self.cities.add(&self.text, at);
            push(&mut self.within_cities, it.country.place());
        }
    }

    fn done(self, n: usize) -> GeoLists {
        GeoLists {
            any: self.any.0,
            countries: Places::of(self.countries, n),
            regions: self.regions.done(n),
            cities: self.cities.done(n),
            within_regions: Places::of(self.within_regions, n),
            within_cities: Places::of(self.within_cities, n),
        }
    }
}

/// `USA-CA`.
pub(super) fn region_key(country: &str, region: &str, to: &mut String) {
    to.clear();
    to.extend([country, "-"]);
    to.extend(region.chars().map(|c| c.to_ascii_uppercase()));
}

/// `FRA:paris`.
pub(super) fn city_key(country: &str, city: &str, to: &mut String) {
    to.clear();
    to.extend([country, ":"]);
    lower(city, to);
}

/// Places of device kinds in the order of the enum.
pub(super) fn device_place(kind: DeviceKind) -> usize {
    kind as usize
}

const DEVICE_KINDS: [DeviceKind; 9] = [
    DeviceKind::Mobile,
    DeviceKind::Desktop,
    DeviceKind::Tv,
    DeviceKind::Phone,
    DeviceKind::Tablet,
    DeviceKind::Connected,
    DeviceKind::SetTopBox,
    DeviceKind::OutOfHome,
    DeviceKind::Unknown,
];

/// Whether a list of kinds means a kind.
fn means(kinds: &[DeviceKind], kind: DeviceKind) -> bool {
    use DeviceKind::{Mobile, Phone, Tablet};
    kinds.is_empty()
        || kinds.contains(&kind)
        || match kind {
            Phone | Tablet => kinds.contains(&Mobile),
            Mobile => kinds.contains(&Phone) && kinds.contains(&Tablet),
            _ => false,
        }
}

impl Index {
    /// Of campaigns that are active; `seat` is that of campaigns which name none. Two campaigns with one name
    /// are two entries: the caller has each once. What is beyond [`CAMPAIGNS_MAX`] is left out.
    pub fn new(campaigns: impl IntoIterator<Item = Arc<Campaign>>, seat: &str) -> Index {
        let campaigns: Vec<Arc<Campaign>> = campaigns.into_iter().take(CAMPAIGNS_MAX).collect();
        let n = campaigns.len();
        let set = || Set::of(n);
        let any = || AnyLists::new(n);
        let (mut sold, mut zones, mut zone_names) = (Sold::default(), Vec::new(), HashMap::new());
        let (mut all, mut children, mut personal, mut capped) = (set(), set(), set(), set());
        let (mut seats, mut deals, mut deals_only) = (TextLists::default(), any(), set());
        let (mut geo, mut geo_not) = (GeoMaking::new(n), GeoMaking::new(n));
        let mut devices = vec![Vec::new(); DEVICE_KINDS.len()];
        let (mut systems, mut languages) = (any(), any());
        let mut places = [set(), set(), set(), set()];
        let (mut sites, mut apps, mut sites_not, mut apps_not) = (any(), any(), any(), any());
        let (mut categories, mut categories_not) = (any(), any());
        let mut cohorts = any();
        let (mut banners, mut others) = (set(), [set(), set(), set()]);
        let mut sizes: HashMap<(u16, u16), Vec<u32>> = HashMap::new();
        let mut entries = Vec::with_capacity(n);
        for (at, campaign) in (0_u32..).zip(campaigns) {
            let it = &campaign.definition;
            let target = &it.targeting;
            all.add_if(true, at);
            seats.add(it.seat.as_deref().unwrap_or(seat), at);
            children.add_if(it.consent.children, at);
            personal.add_if(it.consent.personal, at);
            capped.add_if(!it.frequency.caps.is_empty() && !it.frequency.unknown_person, at);
            geo.add(target.geo.include.is_empty(), &target.geo.include, at);
            geo_not.add(!target.geo.exclude.is_empty(), &target.geo.exclude, at);
            for (kind, list) in DEVICE_KINDS.into_iter().zip(&mut devices) {
                if means(&target.device.kinds, kind) {
                    list.push(at);
                }
            }
            let (names, codes) = (&target.device.systems, &target.device.languages);
            systems.add(names.is_empty(), names.iter().map(String::as_str), at);
            languages.add(codes.is_empty(), codes.iter().map(String::as_str), at);
            let kinds = [Some(PlaceKind::Site), Some(PlaceKind::App), Some(PlaceKind::Dooh), None];
            for (kind, set) in kinds.into_iter().zip(&mut places) {
                set.add_if(target.inventory.takes(kind), at);
            }
            for (lists, texts, allow) in [
                (&mut sites, &target.inventory.sites.allow, true),
                (&mut apps, &target.inventory.apps.allow, true),
                (&mut sites_not, &target.inventory.sites.deny, false),
                (&mut apps_not, &target.inventory.apps.deny, false),
            ] {
                lists.add(texts.is_empty() == allow, texts.iter().map(String::as_str), at);
            }
            let upper = |list: &[String]| -> Vec<String> {
                list.iter().map(|code| code.to_ascii_uppercase()).collect()
            };
            let include = upper(&target.categories.include);
            categories.add(include.is_empty(), include.iter().map(String::as_str), at);
            let exclude = upper(&target.categories.exclude);
            categories_not.add(false, exclude.iter().map(String::as_str), at);
            let cohort = match &target.audience {
                Audience::Cohort { name } => Some(name.as_str()),
                _ => None,
            };
            cohorts.add(cohort.is_none(), cohort, at);
            deals_only.add_if(target.deals.only, at);
            let ids = target.deals.ids.iter().map(|id| deals.1.add(id, at));
            let mut ids: Vec<u32> = ids.collect();
            ids.sort_unstable();
            let creatives = Fit::all(it, &mut sold);
            for fit in &creatives {
                match fit.kind {
                    FitKind::Banner { w, h } => {
                        banners.add_if(true, at);
                        let list = sizes.entry((w, h)).or_default();
                        if list.last() != Some(&at) {
                            list.push(at);
                        }
                    }
                    FitKind::Video { .. } => others[0].add_if(true, at),
                    FitKind::Audio { .. } => others[1].add_if(true, at),
                    FitKind::Native => others[2].add_if(true, at),
                }
            }
            let zone =
                *zone_names.entry(it.schedule.time_zone.clone()).or_insert_with_key(|name| {
                    // A zone that is not known was refused before; UTC is what SyncShield would count by.
                    zones.push(TimeZone::get(name).unwrap_or(TimeZone::UTC));
                    u16::try_from(zones.len() - 1).unwrap_or(0)
                });
            let bands = match &target.audience {
                Audience::Ltv { bands, unknown } => Some((SmallVec::from_slice(bands), *unknown)),
                _ => None,
            };
            let mut purposes = KindSet::default();
            it.consent.purposes.iter().for_each(|kind| purposes.insert(*kind));
            entries.push(Entry {
                key: key_of(&it.account, &it.id),
                currency: it.currency,
                starts_us: it.schedule.starts_us().unwrap_or(i64::MIN),
                ends_us: it.schedule.ends_us().unwrap_or(i64::MAX),
                week: target.hours.week(),
                clock: target.hours.clock,
                zone,
                bands,
                purposes,
                caps: SmallVec::from_slice(&it.frequency.caps),
                per_request: it.per_request,
                strategy: it.strategy.clone(),
                app: it.advertiser_app.as_deref().map(Box::from),
                deals_only: target.deals.only,
                creatives,
                deals: ids.into_boxed_slice(),
                campaign,
            });
        }
        Index {
            entries: entries.into_boxed_slice(),
            seat: seat.into(),
            zones: zones.into_boxed_slice(),
            sold,
            all: all.0,
            seats: seats.done(n),
            children: children.0,
            personal: personal.0,
            capped: capped.0,
            geo: geo.done(n),
            geo_not: geo_not.done(n),
            devices: Places::of(devices, n),
            systems: systems.done(n),
            languages: languages.done(n),
            places: places.map(|set| set.0),
            sites: sites.done(n),
            apps: apps.done(n),
            sites_not: sites_not.done(n),
            apps_not: apps_not.done(n),
            categories: categories.done(n),
            categories_not: categories_not.done(n).texts,
            cohorts: cohorts.done(n),
            banners: banners.0,
            sizes: Sizes::of(sizes, n),
            others: others.map(|set| set.0),
            deals: deals.done(n).texts,
            deals_only: deals_only.0,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn entry(&self, at: u32) -> Option<&Entry> {
        self.entries.get(at as usize)
    }

    /// Where a campaign is.
    pub fn find(&self, account: &str, id: &str) -> Option<u32> {
        let of = |entry: &Entry| {
            let it = &entry.campaign.definition;
            it.account == account && it.id == id
        };
        self.entries.iter().position(of).and_then(|at| u32::try_from(at).ok())
    }

    /// Bytes of its lists and sets, without the campaigns themselves.
    pub fn bytes(&self) -> usize {
        let sets = 16 + self.places.len() + self.others.len();
        let texts = [
            &self.seats,
            &self.systems.texts,
            &self.languages.texts,
            &self.sites.texts,
            &self.apps.texts,
            &self.sites_not.texts,
            &self.apps_not.texts,
            &self.categories.texts,
            &self.categories_not,
            &self.cohorts.texts,
            &self.deals,
        ];
        let geo = |it: &GeoLists| {
            it.countries.bytes()
                + it.regions.bytes()
                + it.cities.bytes()
                + it.within_regions.bytes()
                + it.within_cities.bytes()
        };
        8 * bits::words(self.len()) * sets
            + texts.into_iter().map(Texts::bytes).sum::<usize>()
            + geo(&self.geo)
            + geo(&self.geo_not)
            + self.devices.bytes()
            + self.sizes.bytes()
            + self.sold.domains.bytes()
            + self.sold.categories.bytes()
    }
}

/// Place of a kind of format among [`Index::others`].
pub(super) fn other_place(kind: FormatKind) -> Option<usize> {
    match kind {
        FormatKind::Banner => None,
        FormatKind::Video => Some(0),
        FormatKind::Audio => Some(1),
        FormatKind::Native => Some(2),
    }
}
