//! The campaigns that auctions see: immutable, shared, made anew when campaigns change.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use smallvec::SmallVec;

use kiki_models::shield::consent::kind::KindSet;

use crate::campaign::audience::Audience;
use crate::campaign::creative::FormatKind;
use crate::campaign::definition::Definition;
use crate::campaign::media::Needs;
use crate::campaign::state::Campaign;
use crate::campaign::target::{PlaceKind, Places as Where};
use crate::campaign::taxonomy::{Listed, Taxonomies, Taxonomy};
use crate::opportunity::{Auction, DeviceKind};

use super::bits;
use super::compile::{Entry, Fit, FitKind, Sold, key_of};
use super::geo::{GeoLists, GeoMaking};
use super::lists::{Places, Set, Sizes, TextLists, Texts};
use super::sieve::category_key_to;

/// Campaigns of one index.
pub const CAMPAIGNS_MAX: usize = 1_000_000;

/// See the module's page. The sets have a bit for each entry.
#[derive(Debug)]
pub struct Index {
    pub entries: Box<[Entry]>,
    /// The accounts of its campaigns, in the order in which they come up.
    pub accounts: Box<[Arc<str>]>,
    /// Of campaigns that name none.
    pub seat: Box<str>,
    pub(super) zones: Box<[TimeZone]>,
    pub(super) sold: Sold,
    pub(super) all: Box<[u64]>,
    pub(super) seats: Texts,
    pub(super) children: Box<[u64]>,
    /// Not where personal data may not be used.
    pub(super) personal: Box<[u64]>,
    /// What is left of all campaigns where the request is for children (the first bit of its place), and where
    /// personal data may not be used (the second one).
    bases: [Base; 4],
    /// Tells whom it is for (DSA), and of these those whose ads show it.
    pub(super) telling: Box<[u64]>,
    pub(super) rendering: Box<[u64]>,
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
    /// Campaigns that exclude codes of a taxonomy, by its place; and of which there are any.
    pub(super) excluding: Places,
    pub(super) excluded: Taxonomies,
    /// Some campaign looks at categories of content.
    pub(super) by_content: bool,
    pub(super) banners: Box<[u64]>,
    pub(super) sizes: Sizes,
    /// Of videos, audio and native.
    pub(super) others: [Box<[u64]>; 3],
    pub(super) deals: Texts,
    pub(super) deals_only: Box<[u64]>,
}

/// Campaigns that are left by who may see an impression, and how many went.
#[derive(Debug)]
pub(super) struct Base {
    pub set: Box<[u64]>,
    pub coppa: u32,
    pub consent: u32,
    pub left: u32,
}

impl Base {
    fn of(n: usize, all: &[u64], children: Option<&[u64]>, personal: Option<&[u64]>) -> Base {
        let mut set: Box<[u64]> = all.into();
        let coppa = children.map_or(0, |children| bits::keep(&mut set, children));
        let consent = personal.map_or(0, |personal| bits::drop(&mut set, personal));
        let left = u32::try_from(n).unwrap_or(u32::MAX) - coppa - consent;
        Base { set, coppa, consent, left }
    }
}

/// Campaigns that list nothing, and the lists of the others. Of deny lists: those that list something.
#[derive(Debug)]
pub struct AnyOr {
    pub any: Box<[u64]>,
    pub texts: Texts,
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

/// Campaigns that are put in order: of fewer there are few words to begin with.
const TOGETHER_FROM: usize = 1_024;

/// The countries that a campaign is for, by their places; of one that is for all, none.
fn countries(of: &Definition) -> SmallVec<[u16; 4]> {
    let Where { countries, regions, cities } = &of.targeting.geo.include;
    let all = countries
        .iter()
        .chain(regions.iter().map(|it| &it.country))
        .chain(cities.iter().map(|it| &it.country));
    let mut places: SmallVec<[u16; 4]> =
        all.map(|country| u16::try_from(country.place()).unwrap_or(u16::MAX)).collect();
    places.sort_unstable();
    places.dedup();
    places
}

impl Index {
    /// Of campaigns that are active; `seat` is that of campaigns which name none. Two campaigns with one name
    /// are two entries: the caller has each once. What is beyond [`CAMPAIGNS_MAX`] is left out.
    pub fn new(campaigns: impl IntoIterator<Item = Arc<Campaign>>, seat: &str) -> Index {
        Index::after(None, campaigns, seat)
    }

    /// The same; more than a thousand are put in an order of their own, in which campaigns of the same countries
    /// stand together. Of definitions that are in the index `before` too, what was read from their markup is taken
    /// from there.
    pub fn after(
        before: Option<&Index>,
        campaigns: impl IntoIterator<Item = Arc<Campaign>>,
        seat: &str,
    ) -> Index {
        let before = before.filter(|index| !index.is_empty());
        let known: HashMap<u64, &Entry> =
            before.iter().flat_map(|it| &it.entries).map(|it| (it.key, it)).collect();
        let mut campaigns: Vec<Arc<Campaign>> = campaigns.into_iter().take(CAMPAIGNS_MAX).collect();
        if campaigns.len() > TOGETHER_FROM {
            // Stable: of one country those of one account stay together.
            campaigns.sort_by_cached_key(|campaign| countries(&campaign.definition));
        }
        let n = campaigns.len();
        let set = || Set::of(n);
        let any = || AnyLists::new(n);
        let (mut sold, mut zones, mut zone_names) = (Sold::default(), Vec::new(), HashMap::new());
        let (mut all, mut children, mut personal, mut capped) = (set(), set(), set(), set());
        let (mut telling, mut rendering) = (set(), set());
        let (mut seats, mut deals, mut deals_only) = (TextLists::default(), any(), set());
        let (mut geo, mut geo_not) = (GeoMaking::new(n), GeoMaking::new(n));
        let mut devices = vec![Vec::new(); DEVICE_KINDS.len()];
        let (mut systems, mut languages) = (any(), any());
        let mut places = [set(), set(), set(), set()];
        let (mut sites, mut apps, mut sites_not, mut apps_not) = (any(), any(), any(), any());
        let (mut categories, mut categories_not) = (any(), any());
        let mut excluding = vec![Vec::new(); Taxonomy::ALL];
        let (mut excluded, mut by_content) = (Taxonomies::default(), false);
        let (mut accounts, mut account_places) = (Vec::<Arc<str>>::new(), HashMap::new());
        let (mut banners, mut others) = (set(), [set(), set(), set()]);
        let mut sizes: HashMap<(u16, u16), Vec<u32>> = HashMap::new();
        let mut entries = Vec::with_capacity(n);
        for (at, campaign) in (0_u32..).zip(campaigns) {
            let it = &campaign.definition;
            let account = match account_places.get(it.account.as_str()) {
                Some(place) => *place,
                None => {
                    let place = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
                    let name: Arc<str> = it.account.as_str().into();
                    account_places.insert(Arc::clone(&name), place);
                    accounts.push(name);
                    place
                }
            };
            let target = &it.targeting;
            all.add_if(true, at);
            let seat = seats.add(it.seat.as_deref().unwrap_or(seat), at);
            children.add_if(it.consent.children, at);
            personal.add_if(it.consent.personal, at);
            telling.add_if(it.rendered().is_some(), at);
            rendering.add_if(it.rendered() == Some(true), at);
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
            let keys = |list: Listed<'_>| -> Vec<String> {
                list.each().filter_map(|(code, taxonomy)| category_key(code, taxonomy)).collect()
            };
            let (include, exclude) = (target.categories.included(), target.categories.excluded());
            let any = include.codes.is_empty();
            categories.add(any, keys(include).iter().map(String::as_str), at);
            categories_not.add(false, keys(exclude).iter().map(String::as_str), at);
            let of = exclude.taxonomies();
            for place in of.places_beyond(Taxonomies::default()) {
                if let Some(list) = excluding.get_mut(place) {
                    list.push(at);
                }
            }
            excluded = excluded.and(of);
            by_content |= !any || !exclude.codes.is_empty();
            deals_only.add_if(target.deals.only, at);
            let ids = target.deals.ids.iter().map(|id| deals.1.add(id, at));
            let mut ids: Vec<u32> = ids.collect();
            ids.sort_unstable();
            let key = key_of(&it.account, &it.id);
            let known = known.get(&key).filter(|entry| Arc::ptr_eq(&entry.campaign.definition, it));
            let known = known.zip(before).map(|(entry, before)| (&*entry.creatives, &before.sold));
            let creatives = Fit::all(it, known, &mut sold);
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
                key,
                account,
                currency: it.currency,
                starts_us: it.schedule.starts_us().unwrap_or(i64::MIN),
                ends_us: it.schedule.ends_us().unwrap_or(i64::MAX),
                week: target.hours.week(),
                clock: target.hours.clock,
                zone,
                bands,
                cohort: target.audience.cohort(),
                purposes,
                caps: SmallVec::from_slice(&it.frequency.caps),
                per_request: it.per_request,
                strategy: it.strategy.clone(),
                app: it.advertiser_app.as_deref().map(|app| sold.apps.add(app)),
                seat,
                deals_only: target.deals.only,
                creatives,
                deals: ids.into_boxed_slice(),
                campaign,
            });
        }
        let base = |coppa: bool, nothing_personal: bool| {
            let children = coppa.then_some(&*children.0);
            let personal = nothing_personal.then_some(&*personal.0);
            Base::of(n, &all.0, children, personal)
        };
        let bases = [base(false, false), base(true, false), base(false, true), base(true, true)];
        Index {
            entries: entries.into_boxed_slice(),
            accounts: accounts.into_boxed_slice(),
            seat: seat.into(),
            zones: zones.into_boxed_slice(),
            sold,
            all: all.0,
            seats: seats.done(n),
            children: children.0,
            bases,
            personal: personal.0,
            telling: telling.0,
            rendering: rendering.0,
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
            excluding: Places::of(excluding, n),
            excluded,
            by_content,
            banners: banners.0,
            sizes: Sizes::of(sizes, n),
            others: others.map(|set| set.0),
            deals: deals.done(n).texts,
            deals_only: deals_only.0,
        }
    }

    pub(super) fn base(&self, auction: &Auction<'_>) -> &Base {
        let [all, children, nothing_personal, both] = &self.bases;
        match (auction.coppa, !auction.personal) {
            (false, false) => all,
            (true, false) => children,
            (false, true) => nothing_personal,
            (true, true) => both,
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

    /// What a creative needs of a place, by its own place in the definition.
    pub fn needs(&self, entry: &Entry, creative: u16) -> Option<&Needs> {
        let at = entry.creatives.binary_search_by_key(&creative, |fit| fit.place).ok()?;
        self.sold.needs.get(entry.creatives.get(at)?.needs as usize)
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
        let sets = 22 + self.places.len() + self.others.len();
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
            &self.deals,
        ];
        8 * bits::words(self.len()) * sets
            + texts.into_iter().map(Texts::bytes).sum::<usize>()
            + self.geo.bytes()
            + self.geo_not.bytes()
            + self.devices.bytes()
            + self.excluding.bytes()
            + self.sizes.bytes()
            + self.sold.bytes()
    }
}

/// What a category is listed by; `None`: its taxonomy is not known, so that no content is known to be of it.
fn category_key(code: &str, taxonomy: Taxonomy) -> Option<String> {
    let mut key = String::new();
    category_key_to(code, taxonomy, &mut key).then_some(key)
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
