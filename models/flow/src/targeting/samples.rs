//! Campaigns and requests of every kind, for tests: few values, so that they meet.

use std::sync::Arc;

use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smallvec::SmallVec;

use kiki_models::shield::consent::kind::Kind;
use kiki_models::shield::money::{Micros, UNIT};

use crate::campaign::audience::{Audience, Band};
use crate::campaign::creative::{Creative, FormatKind, Shape};
use crate::campaign::definition::{Cap, Definition};
use crate::campaign::hours::{Clock, Part, Weekday};
use crate::campaign::media::Media;
use crate::campaign::native::{Asset, Wanted};
use crate::campaign::state::{Campaign, Status};
use crate::campaign::strategy::{Strategy as Bidding, Worth};
use crate::campaign::target::{City, PlaceKind, Region, Size};
use crate::campaign::taxonomy::Taxonomy;
use crate::campaign::tests::SMALL;
use crate::campaign::transparency::Transparency;
use crate::opportunity::{
    Allowed, Ask, Asks, Auction, Blocked, Category, Codes, Deal, Device, DeviceKind,
    Disclosure as Dsa, Floor, Format, Geo, IdKind, Need, PriceType, Rendering, Slot, Supply, User,
};

pub const SITES: [&str; 5] =
    ["news.example", "m.news.example", "sport.news.example", "shop.example", "blog.test"];
const APPS: [&str; 3] = ["com.game", "com.chat", "123456789"];
const COUNTRIES: [&str; 4] = ["DEU", "FRA", "USA", "AUT"];
const REGIONS: [&str; 3] = ["BY", "CA", "NY"];
const CITIES: [&str; 3] = ["Berlin", "Paris", "M\u{fc}nchen"];
const CATEGORIES: [&str; 6] = ["IAB1", "IAB1-5", "IAB12", "IAB12-1", "IAB25", "483"];
const SYSTEMS: [&str; 3] = ["ios", "android", "windows"];
const LANGUAGES: [&str; 3] = ["de", "en", "fr"];
const DEALS: [&str; 3] = ["deal-1", "deal-2", "deal-3"];
pub const COHORTS: [&str; 2] = ["cohort_jan_2026", "cohort_feb_2026"];
const DOMAINS: [&str; 4] = ["acme.example", "shop.acme.example", "rival.example", "other.test"];
const MARKUPS: [&str; 5] = [
    "x",
    "<script>",
    "<iframe>",
    r#"<VAST version="3.0"><Ad/></VAST>"#,
    r#"<VAST version="2.0"><Ad><Wrapper/></Ad></VAST>"#,
];
const NATIVES: [&str; 2] = [
    r#"{"link":{"url":"https://acme.example"},"assets":[{"title":{"text":"Boots"}}]}"#,
    r#"{"native":{"link":{"url":"https://acme.example"},"assets":[{"data":{"type":2,"value":"Boots"}}]}}"#,
];
const ASSETS: [Wanted; 3] = [
    Wanted { id: 1, required: true, asset: Asset::Title { len: 25 } },
    Wanted { id: 2, required: false, asset: Asset::Title { len: 0 } },
    Wanted { id: 3, required: false, asset: Asset::Data { kind: 2, len: 90 } },
];
const SEATS: [&str; 3] = ["s1", "s2", "house"];
const SIZES: [(u16, u16); 4] = [(300, 250), (728, 90), (320, 50), (640, 360)];
const KINDS: [DeviceKind; 6] = [
    DeviceKind::Mobile,
    DeviceKind::Phone,
    DeviceKind::Tablet,
    DeviceKind::Desktop,
    DeviceKind::Tv,
    DeviceKind::Unknown,
];
/// 2026-11-21 12:00 UTC, a Saturday.
pub const NOON: i64 = 1_795_262_400_000_000;

pub struct Dice(pub ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn yes(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    pub fn raw(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Nothing, mostly; else one to three.
    fn some<T: Copy>(&mut self, percent: u32, of: &[T]) -> Vec<T> {
        if !self.yes(percent) {
            return Vec::new();
        }
        let n = self.0.random_range(1..=3);
        (0..n).map(|_| self.one(of)).collect()
    }

    fn texts(&mut self, percent: u32, of: &[&str]) -> Vec<String> {
        self.some(percent, of).into_iter().map(str::to_owned).collect()
    }
}

/// A campaign that is active. `often`: percent of the dimensions that it narrows.
pub fn campaign(id: usize, often: u32, dice: &mut Dice) -> Arc<Campaign> {
    let mut it = Definition::read(SMALL).expect("a definition");
    it.id = format!("camp_{id}");
    it.currency = dice.one(&["USD", "EUR", "USD"]).parse().expect("a code");
    it.advertiser_domain = dice.one(&DOMAINS).to_owned();
    it.advertiser_app = dice.yes(20).then(|| dice.one(&APPS).to_owned());
    it.categories = dice.texts(50, &CATEGORIES);
    it.cattax = Some(dice.one(&[6, 6, 7]));
    it.seat = dice.yes(40).then(|| dice.one(&SEATS).to_owned());
    it.consent.children = dice.yes(50);
    it.consent.personal = dice.yes(often / 2);
    if dice.yes(often / 2) {
        it.consent.purposes.insert(Kind::Targeting);
    }
    it.transparency = dice.yes(60).then(|| Transparency {
        behalf: "Acme".to_owned(),
        paid: None,
        params: Vec::new(),
        domain: None,
        rendered: dice.yes(50),
    });
    it.per_request = dice.one(&[1, 1, 2]);
    it.strategy = match dice.0.random_range(0..3) {
        0 => Bidding::MaxCpm { cpm: Micros(dice.0.random_range(1..12) * UNIT / 2) },
        n => {
            let worth = Worth {
                conversion_rate: 0.00002,
                engagement_weight: 0.5,
                unknown_ltv: dice.yes(50).then_some(Micros(50 * UNIT)),
                max_cpm: dice.yes(50).then_some(Micros(6 * UNIT)),
            };
            if n == 1 {
                Bidding::TargetValue(worth)
            } else {
                Bidding::RoasFloor { roas: 2.0, worth }
            }
        }
    };
    let target = &mut it.targeting;
    for places in [&mut target.geo.include, &mut target.geo.exclude] {
        let countries = dice.some(often / 2, &COUNTRIES);
        places.countries = countries.iter().map(|c| c.parse().expect("a country")).collect();
        let country = |dice: &mut Dice| dice.one(&COUNTRIES).parse().expect("a country");
        let regions = dice.texts(often / 3, &REGIONS);
        let with = regions.into_iter().map(|region| Region { country: country(dice), region });
        places.regions = with.collect();
        let cities = dice.texts(often / 3, &CITIES);
        places.cities =
            cities.into_iter().map(|city| City { country: country(dice), city }).collect();
    }
    target.device.kinds = dice.some(often, &KINDS);
    target.device.systems = dice.texts(often / 2, &SYSTEMS);
    target.device.languages = dice.texts(often / 2, &LANGUAGES);
    target.inventory.kinds =
        dice.some(often / 3, &[PlaceKind::Site, PlaceKind::App, PlaceKind::Dooh]);
    target.inventory.sites.allow = dice.texts(often / 2, &SITES);
    target.inventory.sites.deny = dice.texts(often / 3, &SITES);
    target.inventory.apps.allow = dice.texts(often / 2, &APPS);
    target.inventory.apps.deny = dice.texts(often / 3, &APPS);
    target.categories.include = dice.texts(often / 2, &CATEGORIES);
    target.categories.exclude = dice.texts(often / 2, &CATEGORIES);
    target.categories.cattax = Some(dice.one(&[6, 6, 7]));
    target.formats = dice.some(often / 3, &FormatKind::ALL);
    target.sizes = dice.some(often / 3, &SIZES).into_iter().map(|(w, h)| Size { w, h }).collect();
    if dice.yes(often) {
        let time = |dice: &mut Dice| format!("{:02}:30", dice.0.random_range(0..24));
        target.hours.clock = dice.one(&[Clock::Campaign, Clock::Person]);
        let days = dice.some(50, &Weekday::ALL);
        target.hours.parts = vec![Part { days, from: time(dice), until: time(dice) }];
    }
    it.schedule.time_zone = dice.one(&["UTC", "Europe/Berlin", "Asia/Tokyo"]).to_owned();
    if dice.yes(often / 3) {
        let hours = dice.0.random_range(-20..20);
        let at = jiff::Timestamp::from_microsecond(NOON + hours * 3_600_000_000).ok();
        if dice.yes(50) { it.schedule.starts = at } else { it.schedule.ends = at }
    }
    if dice.yes(often) {
        target.audience = match dice.yes(50) {
            true => Audience::Cohort { name: dice.one(&COHORTS).to_owned() },
            false => {
                let at_least = Micros(dice.0.random_range(0..3) * 100 * UNIT);
                let below = dice.yes(50).then_some(at_least + Micros(100 * UNIT));
                Audience::Ltv { bands: vec![Band { at_least, below }], unknown: dice.yes(30) }
            }
        };
    }
    target.deals.ids = dice.texts(40, &DEALS);
    target.deals.only = !target.deals.ids.is_empty() && dice.yes(often);
    if dice.yes(often) {
        it.frequency.caps = vec![Cap { impressions: dice.one(&[1, 2, 3]), period_s: 3_600 }];
        it.frequency.unknown_person = dice.yes(30);
    }
    it.creatives = (0..dice.0.random_range(1..4)).map(|i| creative(i, dice)).collect();
    let mut wrong = crate::campaign::mistake::Mistakes::default();
    it.check(&mut wrong);
    assert!(wrong.is_empty(), "{wrong}");
    let draft = Campaign::create(it, 0).expect("created").0;
    Arc::new(Campaign { status: Status::Active, ..draft })
}

fn creative(i: usize, dice: &mut Dice) -> Creative {
    let (w, h) = dice.one(&SIZES);
    let duration_s = dice.one(&[6, 15, 30]);
    let media = Media {
        mime: dice.yes(20).then(|| dice.one(&["image/png", "text/html"]).to_owned()),
        protocol: dice.yes(20).then(|| dice.one(&[2, 3, 7])),
        apis: dice.some(20, &[5, 7]),
        banner_types: dice.some(20, &[1, 3]),
    };
    let format = match dice.0.random_range(0..7) {
        0..4 => Shape::Banner { w, h },
        4 => Shape::Video { w, h, duration_s, mime: "video/mp4".into() },
        5 => Shape::Audio { duration_s, mime: "audio/mpeg".into() },
        _ => Shape::Native {},
    };
    let markup = match format {
        Shape::Native {} => dice.one(&NATIVES),
        _ => dice.one(&MARKUPS),
    };
    Creative {
        id: format!("cr{i}"),
        format,
        markup: markup.into(),
        advertiser_domains: dice.texts(20, &DOMAINS),
        categories: dice.texts(30, &CATEGORIES),
        cattax: dice.yes(30).then(|| dice.one(&[6, 7])),
        attributes: dice.some(30, &[1, 6, 17]),
        language: dice.yes(50).then(|| dice.one(&["de", "en"]).to_owned()),
        preview_url: None,
        media,
        secure: dice.yes(80),
    }
}

/// A request. `often`: percent of what may narrow it that it does.
pub fn auction(often: u32, dice: &mut Dice) -> Auction<'static> {
    let told = |dice: &mut Dice| dice.yes(85);
    let supply = match dice.0.random_range(0..10) {
        0..6 => Supply::Site { domain: told(dice).then(|| dice.one(&SITES)) },
        6..8 => Supply::App { bundle: told(dice).then(|| dice.one(&APPS)) },
        8 => Supply::Dooh { id: None },
        _ => Supply::Unknown,
    };
    let n = dice.0.random_range(1..4);
    Auction {
        id: "a",
        at_us: NOON + dice.0.random_range(-30..30) * 1_800_000_000,
        price: dice.one(&[PriceType::First, PriceType::Second]),
        test: false,
        supply,
        categories: {
            let said = Taxonomy::of(dice.one(&[1, 6, 6, 7, 500]));
            let codes = dice.some(60, &CATEGORIES);
            let of = |code| Category { code, taxonomy: said.of_code(code) };
            codes.into_iter().map(of).collect()
        },
        geo: Geo {
            country: told(dice).then(|| dice.one(&["DEU", "FRA", "USA", "AUT", "XXX"])),
            region: dice.yes(60).then(|| dice.one(&["BY", "US-CA", "ny", "TX"])),
            city: dice.yes(60).then(|| dice.one(&["berlin", "Paris", "M\u{dc}NCHEN", "Rome"])),
            zip: None,
            utc_offset_min: dice.yes(50).then(|| dice.one(&[-480, 0, 60, 540])),
        },
        device: Device {
            kind: dice.one(&KINDS),
            os: told(dice).then(|| dice.one(&["iOS", "Android", "Windows", "Tizen"])),
            language: told(dice).then(|| dice.one(&["de-AT", "EN", "fr", "pl"])),
        },
        user: {
            let kind = dice.one(&[IdKind::Buyer, IdKind::Exchange]);
            told(dice).then_some(User { key: "anna", kind })
        },
        personal: dice.yes(80),
        coppa: dice.yes(often / 3),
        transparency: if dice.yes(often / 2) {
            Dsa {
                need: dice.one(&[Need::None, Need::Welcome, Need::Needed, Need::Needed]),
                rendering: dice.one(&[Rendering::Never, Rendering::Open, Rendering::Always]),
                data: dice.yes(50),
            }
        } else {
            Dsa::default()
        },
        blocked: Blocked {
            categories: dice.some(often, &["IAB1", "iab12-1", "IAB25", "483"]).into(),
            advertisers: dice.some(often, &["acme.example", "rival.example", "nobody.test"]).into(),
            apps: dice.some(often / 2, &APPS).into(),
        },
        allowed: Allowed {
            categories: dice.some(often / 3, &["IAB1", "iab12-1", "IAB25", "483"]).into(),
            languages: dice.some(often / 3, &["de-AT", "EN", "fr"]).into(),
            taxonomy: Taxonomy::of(dice.one(&[1, 1, 6, 7, 500])),
        },
        seats: dice.some(often / 2, &SEATS).into(),
        seats_blocked: dice.some(often / 4, &SEATS).into(),
        currencies: {
            let codes = dice.some(100, &["USD", "EUR", "JPY", "GBP"]);
            codes.iter().map(|code| code.parse().expect("a code")).collect()
        },
        slots: (0..n).map(|_| slot(often, dice)).collect(),
    }
}

fn slot(often: u32, dice: &mut Dice) -> Slot<'static> {
    let floor = |dice: &mut Dice| {
        let cpm = Micros(dice.0.random_range(0..6) * UNIT / 2);
        let currency = dice.one(&["USD", "USD", "EUR", "GBP"]).parse().expect("a code");
        dice.yes(60).then_some(Floor { cpm, currency })
    };
    let (w, h) = dice.one(&[(300, 250), (728, 90), (320, 50), (0, 0), (300, 0)]);
    let mut formats: SmallVec<[Format; 4]> = SmallVec::from_iter([Format::Banner { w, h }]);
    if dice.yes(40) {
        let video = Format::Video { w: 640, h: 360, min_s: 0, max_s: dice.one(&[0, 10, 30]) };
        formats.push(video);
    }
    if dice.yes(20) {
        formats.push(dice.one(&[Format::Native, Format::Audio { min_s: 10, max_s: 20 }]));
    }
    let deals = dice.some(40, &DEALS).into_iter().map(|id| Deal {
        id,
        floor: floor(dice),
        price: dice.one(&[None, Some(PriceType::First), Some(PriceType::Second)]),
        fixed: dice.yes(30),
        seats: dice.some(30, &SEATS).into(),
        advertisers: dice.some(30, &["acme.example", "rival.example"]).into(),
    });
    let deals = deals.collect();
    Slot {
        id: "1",
        formats,
        floor: floor(dice),
        deals,
        private: dice.yes(often / 3),
        secure: dice.yes(70),
        asks: asks(often, dice),
        expires_s: None,
    }
}

fn asks(often: u32, dice: &mut Dice) -> Asks<'static> {
    let mut asks = Asks::default();
    for kind in FormatKind::ALL {
        let mimes: &[&str] = match kind {
            FormatKind::Banner => &["image/PNG", "image/gif"],
            FormatKind::Video => &["video/mp4", "video/webm"],
            FormatKind::Audio => &["audio/mpeg", "audio/ogg"],
            FormatKind::Native => &[],
        };
        let mimes = if mimes.is_empty() { Vec::new() } else { dice.some(often, mimes) };
        let protocols = dice.some(often, &[2, 3, 7, 500]);
        let ask = Ask {
            mimes: mimes.into(),
            protocols: (!protocols.is_empty()).then(|| Codes::of(protocols)),
            apis: Codes::of(dice.some(60, &[5, 7])),
            types_blocked: Codes::of(dice.some(often, &[1, 3, 4])),
            attributes_blocked: dice.some(often, &[6, 17]).into(),
            assets: match kind {
                FormatKind::Native => dice.some(90, &ASSETS),
                _ => Vec::new(),
            },
        };
        asks.add(kind, ask);
    }
    asks
}

/// Seeds of samples.
pub fn seeds() -> impl Strategy<Value = u64> {
    any::<u64>()
}
