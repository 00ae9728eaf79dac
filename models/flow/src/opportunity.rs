//! A request for bids as the rules see it, whatever protocol it came by. Borrowed from the bytes of the
//! request.

use smallvec::SmallVec;

use kiki_models::shield::money::{Currency, Micros};

use crate::campaign::creative::FormatKind;
use crate::campaign::native::Wanted;
use crate::campaign::taxonomy::Taxonomy;

/// How the price of a win is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceType {
    First,
    Second,
}

/// One request for bids: what all of its impressions have in common.
#[derive(Clone, Debug)]
pub struct Auction<'a> {
    /// The exchange's id of it.
    pub id: &'a str,
    /// Wall-clock microseconds since 1970 UTC.
    pub at_us: i64,
    pub price: PriceType,
    /// Not billable: nothing is reserved and nothing counted as traffic.
    pub test: bool,
    pub supply: Supply<'a>,
    /// Categories of site, app, page and content.
    pub categories: SmallVec<[Category<'a>; 8]>,
    pub geo: Geo<'a>,
    pub device: Device<'a>,
    /// Who sees it. `None`: not told, or not to be used.
    pub user: Option<User<'a>>,
    /// Whether personal data may be used: ids, audiences, caps per person.
    pub personal: bool,
    pub coppa: bool,
    pub transparency: Disclosure,
    pub blocked: Blocked<'a>,
    pub allowed: Allowed<'a>,
    /// Seats that may bid; empty: all.
    pub seats: SmallVec<[&'a str; 4]>,
    pub seats_blocked: SmallVec<[&'a str; 4]>,
    /// Currencies that a bid may be in; never empty.
    pub currencies: SmallVec<[Currency; 2]>,
    pub slots: SmallVec<[Slot<'a>; 4]>,
}

/// A category of what is shown around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category<'a> {
    /// As written.
    pub code: &'a str,
    pub taxonomy: Taxonomy,
}

/// Where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply<'a> {
    /// Host name in lower case as it came; `None`: not told.
    Site {
        domain: Option<&'a str>,
    },
    App {
        bundle: Option<&'a str>,
    },
    /// Digital out of home: screens in public, seen by many.
    Dooh {
        id: Option<&'a str>,
    },
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Geo<'a> {
    /// ISO 3166-1 alpha-3, upper case.
    pub country: Option<&'a str>,
    /// ISO 3166-2 (the part after the country), or what the exchange says.
    pub region: Option<&'a str>,
    pub city: Option<&'a str>,
    pub zip: Option<&'a str>,
    /// Minutes that the person's clock is ahead of UTC.
    pub utc_offset_min: Option<i16>,
}

/// OpenRTB 2.6, AdCOM list "Device Types".
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    Mobile,
    Desktop,
    Tv,
    Phone,
    Tablet,
    Connected,
    SetTopBox,
    OutOfHome,
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device<'a> {
    pub kind: DeviceKind,
    /// Operating system as written.
    pub os: Option<&'a str>,
    /// ISO 639-1, as written.
    pub language: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// The best id there is: the buyer's own, else the exchange's, else the device's.
    pub key: &'a str,
    pub kind: IdKind,
}

impl User<'_> {
    /// Whether `key` is the id under which the customer is known to us.
    pub fn is_known(&self) -> bool {
        self.kind == IdKind::Buyer
    }
}

/// Whose id of a person it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// The one under which the customer is known to us.
    Buyer,
    /// The exchange's: another exchange means somebody else by it.
    Exchange,
    /// The device's id for advertising: the same at every exchange.
    Device,
}

/// What is asked of bids about whom an ad is for and who pays (IAB Tech Lab, "DSA Transparency").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disclosure {
    pub need: Need,
    pub rendering: Rendering,
    /// It is to be told also where the ad shows it.
    pub data: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    #[default]
    None,
    /// Bids are taken with it and without.
    Welcome,
    /// Bids without it are not taken.
    Needed,
}

/// Whether the publisher shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rendering {
    Never,
    /// Where the ad does not.
    #[default]
    Open,
    Always,
}

/// What the publisher does not want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked<'a> {
    pub categories: SmallVec<[&'a str; 8]>,
    /// Domains of advertisers.
    pub advertisers: SmallVec<[&'a str; 4]>,
    /// Bundles or store ids of apps.
    pub apps: SmallVec<[&'a str; 4]>,
}

/// What creatives have to be of, where a list is given; empty: no list is. A creative that does not tell is not
/// on one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed<'a> {
    /// Categories of what is advertised.
    pub categories: SmallVec<[&'a str; 4]>,
    /// ISO 639-1 or BCP 47, as written.
    pub languages: SmallVec<[&'a str; 4]>,
    /// Of categories, these and the blocked ones.
    pub taxonomy: Taxonomy,
}

/// One impression.
#[derive(Clone, Debug)]
pub struct Slot<'a> {
    pub id: &'a str,
    /// What may be shown; never empty.
    pub formats: SmallVec<[Format; 4]>,
    pub floor: Option<Floor>,
    pub deals: SmallVec<[Deal<'a>; 2]>,
    /// Only bids on `deals` are taken.
    pub private: bool,
    /// Only markup that is loaded by HTTPS.
    pub secure: bool,
    /// What creatives need beside size and length.
    pub asks: Asks<'a>,
    /// Seconds between auction and impression that the exchange allows for.
    pub expires_s: Option<u32>,
}

/// The least that is taken for a thousand impressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    pub cpm: Micros,
    /// As written: there may be no rate of it.
    pub currency: Currency,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal<'a> {
    pub id: &'a str,
    pub floor: Option<Floor>,
    /// `None`: as the auction's.
    pub price: Option<PriceType>,
    /// The floor is the agreed price: it is what a win pays, so it is what is bid, neither more nor less.
    pub fixed: bool,
    /// Seats that may bid on it; empty: all.
    pub seats: SmallVec<[&'a str; 2]>,
    /// Domains of advertisers that may bid on it; empty: all.
    pub advertisers: SmallVec<[&'a str; 2]>,
}

/// What a slot asks of creatives, by the kind of their format. A kind that is not among them asks nothing, and
/// has no frameworks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks<'a>(SmallVec<[(FormatKind, Ask<'a>); 1]>);

impl<'a> Asks<'a> {
    /// What asks nothing takes no room.
    pub fn add(&mut self, kind: FormatKind, ask: Ask<'a>) {
        if ask != Ask::default() {
            self.0.push((kind, ask));
        }
    }

    pub fn of(&self, kind: FormatKind) -> Option<&Ask<'a>> {
        self.0.iter().find(|(known, _)| *known == kind).map(|(_, ask)| ask)
    }
}

/// What one kind of format asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask<'a> {
    /// Types of media that are taken; empty: all.
    pub mimes: SmallVec<[&'a str; 4]>,
    /// Protocols of video and audio that are taken (AdCOM list "Creative Subtypes - Audio/Video"); `None`: all.
    pub protocols: Option<Codes>,
    /// Frameworks that are there (AdCOM list "API Frameworks").
    pub apis: Codes,
    /// Types of banners that are blocked (OpenRTB list "Banner Ad Types").
    pub types_blocked: Codes,
    /// Attributes of creatives that are blocked (AdCOM list "Creative Attributes").
    pub attributes_blocked: SmallVec<[u16; 8]>,
    /// Of native, what it is made of.
    pub assets: Vec<Wanted>,
}

/// A set of codes of one of AdCOM's lists, 1 to 63. Higher ones are vendors' own: nobody here has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Codes(u64);

impl Codes {
    pub fn of(codes: impl IntoIterator<Item = u16>) -> Codes {
        let known = codes.into_iter().filter(|code| (1..64).contains(code));
        Codes(known.fold(0, |set, code| set | 1 << code))
    }

    pub fn has(self, code: u16) -> bool {
        code < 64 && self.0 >> code & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether they have one in common.
    pub fn meets(self, other: Codes) -> bool {
        self.0 & other.0 != 0
    }
}

/// A way to fill an impression. Sizes are in device-independent pixels; 0: any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Banner { w: u16, h: u16 },
    Video { w: u16, h: u16, min_s: u16, max_s: u16 },
    Audio { min_s: u16, max_s: u16 },
    Native,
}
