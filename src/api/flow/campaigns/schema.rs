//! A definition as the documentation of the API describes it. What is read is `models/flow/src/campaign/`; a test
//! holds the two together.
#![expect(dead_code, reason = "describes bodies; the rules read them")]

use utoipa::ToSchema;

/// A campaign as it is defined. Amounts are decimals in its currency, exact to 6 decimals. A field that is not
/// known is an error; `null` is as missing. docs/campaigns.md has every bound.
#[derive(ToSchema)]
#[schema(example = json!({
    "id": "boots", "name": "Winter boots", "advertiser_domain": "acme.example", "categories": ["IAB18"],
    "currency": "USD", "budget": {"amount": 1000.5, "daily": 100},
    "strategy": {"max_cpm": {"cpm": 2.5}},
    "targeting": {"geo": {"include": {"countries": ["DE", "AUT"]}}},
    "frequency": {"caps": [{"impressions": 3, "period_s": 86400}]},
    "creatives": [{"id": "box", "format": {"banner": {"w": 300, "h": 250}},
        "markup": "<a href='https://acme.example'>Boots</a>"}]
}))]
pub struct DefinitionBody {
    /// Also the name of its budget: letters, digits, _, - and . Of a PUT it may be left out.
    id: String,
    /// The one that the request speaks for if not given.
    account: Option<String>,
    /// For people.
    name: String,
    /// openrtb if not given.
    platforms: Option<Vec<CampaignPlatform>>,
    advertiser_domain: String,
    /// Bundle or store id of the app that is advertised.
    advertiser_app: Option<String>,
    /// Codes of what is advertised.
    categories: Option<Vec<String>>,
    /// The taxonomy of categories that do not begin with IAB (AdCOM, "Category Taxonomies").
    #[schema(minimum = 1, maximum = 63)]
    cattax: Option<u16>,
    /// The installation's if not given.
    seat: Option<String>,
    /// ISO 4217.
    currency: String,
    /// Needed to start it.
    budget: Option<CampaignBudget>,
    strategy: CampaignStrategy,
    schedule: Option<CampaignSchedule>,
    targeting: Option<CampaignTargeting>,
    frequency: Option<CampaignFrequency>,
    /// Impressions of one request that it may win; 1 if not given.
    #[schema(minimum = 1, maximum = 64)]
    per_request: Option<u8>,
    consent: Option<CampaignConsent>,
    transparency: Option<CampaignTransparency>,
    /// Ids are unique. One at least to start it where it is on openrtb.
    #[schema(max_items = 100)]
    creatives: Option<Vec<CampaignCreative>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignPlatform {
    Openrtb,
    GoogleAds,
    Meta,
    Tiktok,
    Linkedin,
    Amazon,
    TheTradeDesk,
    X,
}

/// What SyncShield is to allow.
#[derive(ToSchema)]
pub struct CampaignBudget {
    /// All that may be spent.
    amount: f64,
    /// Of one day of the schedule's time zone.
    daily: Option<f64>,
}

/// One of three.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignStrategy {
    /// Every impression is worth the same.
    MaxCpm {
        /// Amount for a thousand impressions.
        cpm: f64,
    },
    /// An impression is worth what the person is expected to bring.
    TargetValue(CampaignWorth),
    /// The same, and all impressions together bring at least so much for a unit spent.
    RoasFloor { roas: f64, worth: CampaignWorth },
}

#[derive(ToSchema)]
pub struct CampaignWorth {
    /// Customers won by one impression.
    #[schema(exclusive_minimum = 0.0, maximum = 1.0)]
    conversion_rate: f64,
    #[schema(minimum = 0.0, maximum = 1.0)]
    engagement_weight: Option<f64>,
    /// The lifetime value of people of whom none is known; without it no bid for them.
    unknown_ltv: Option<f64>,
    /// The most that is bid for a thousand.
    max_cpm: Option<f64>,
}

#[derive(ToSchema)]
pub struct CampaignSchedule {
    /// IANA name; UTC if not given.
    time_zone: Option<String>,
    /// RFC 3339.
    starts: Option<String>,
    /// RFC 3339: not bid from then on.
    ends: Option<String>,
}

/// All parts must hold; an empty list narrows nothing.
#[derive(ToSchema)]
pub struct CampaignTargeting {
    geo: Option<CampaignGeo>,
    device: Option<CampaignDevice>,
    inventory: Option<CampaignInventory>,
    categories: Option<CampaignCategories>,
    formats: Option<Vec<CampaignFormatKind>>,
    sizes: Option<Vec<CampaignSize>>,
    hours: Option<CampaignHours>,
    audience: Option<CampaignAudience>,
    deals: Option<CampaignDeals>,
}

#[derive(ToSchema)]
pub struct CampaignGeo {
    include: Option<CampaignPlaces>,
    exclude: Option<CampaignPlaces>,
}

#[derive(ToSchema)]
pub struct CampaignPlaces {
    /// ISO 3166-1, alpha-3 or alpha-2.
    countries: Option<Vec<String>>,
    regions: Option<Vec<CampaignRegion>>,
    cities: Option<Vec<CampaignCity>>,
}

#[derive(ToSchema)]
pub struct CampaignRegion {
    country: String,
    /// ISO 3166-2, the part after the country.
    region: String,
}

#[derive(ToSchema)]
pub struct CampaignCity {
    country: String,
    city: String,
}

#[derive(ToSchema)]
pub struct CampaignDevice {
    kinds: Option<Vec<CampaignDeviceKind>>,
    /// In lower case.
    systems: Option<Vec<String>>,
    /// ISO 639.
    languages: Option<Vec<String>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignDeviceKind {
    Mobile,
    Desktop,
    Tv,
    Phone,
    Tablet,
    Connected,
    SetTopBox,
    OutOfHome,
    Unknown,
}

#[derive(ToSchema)]
pub struct CampaignInventory {
    kinds: Option<Vec<CampaignPlaceKind>>,
    /// Domains.
    sites: Option<CampaignList>,
    /// Bundles or store ids.
    apps: Option<CampaignList>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignPlaceKind {
    Site,
    App,
    Dooh,
}

#[derive(ToSchema)]
pub struct CampaignList {
    #[schema(max_items = 10_000)]
    allow: Option<Vec<String>>,
    #[schema(max_items = 10_000)]
    deny: Option<Vec<String>>,
}

#[derive(ToSchema)]
pub struct CampaignCategories {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    #[schema(minimum = 1, maximum = 63)]
    cattax: Option<u16>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignFormatKind {
    Banner,
    Video,
    Audio,
    Native,
}

#[derive(ToSchema)]
pub struct CampaignSize {
    w: u16,
    h: u16,
}

#[derive(ToSchema)]
pub struct CampaignHours {
    clock: Option<CampaignClock>,
    #[schema(max_items = 64)]
    parts: Option<Vec<CampaignHoursPart>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignClock {
    Campaign,
    Person,
}

#[derive(ToSchema)]
pub struct CampaignHoursPart {
    /// Every day if not given.
    days: Option<Vec<CampaignWeekday>>,
    /// HH:MM
    from: String,
    /// HH:MM; not after from: of the next day.
    until: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignWeekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// One of three.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignAudience {
    Everybody,
    /// By lifetime value.
    Ltv {
        bands: Vec<CampaignBand>,
        /// Also people of whom none is known.
        unknown: Option<bool>,
    },
    /// By the month of the first purchase: cohort_jan_2026.
    Cohort {
        name: String,
    },
}

#[derive(ToSchema)]
pub struct CampaignBand {
    at_least: f64,
    below: Option<f64>,
}

#[derive(ToSchema)]
pub struct CampaignDeals {
    ids: Option<Vec<String>>,
    /// Never bids without one of them.
    only: Option<bool>,
}

#[derive(ToSchema)]
pub struct CampaignFrequency {
    /// Per person; all of them hold.
    #[schema(max_items = 8)]
    caps: Option<Vec<CampaignCap>>,
    /// Bids also where nobody can be told apart.
    unknown_person: Option<bool>,
}

#[derive(ToSchema)]
pub struct CampaignCap {
    #[schema(minimum = 1, maximum = 100)]
    impressions: u16,
    /// Seconds.
    #[schema(minimum = 1, maximum = 7_776_000)]
    period_s: u32,
}

/// What must be allowed before it bids.
#[derive(ToSchema)]
pub struct CampaignConsent {
    /// Only where personal data may be used.
    personal: Option<bool>,
    /// What a customer must have granted: marketing, analytics, targeting, profiling, data_sharing.
    purposes: Option<Vec<String>>,
    /// May be shown where children are addressed.
    children: Option<bool>,
}

/// Whom its ads are for (DSA).
#[derive(ToSchema)]
pub struct CampaignTransparency {
    #[schema(min_length = 1, max_length = 100)]
    behalf: String,
    /// behalf if not given.
    #[schema(min_length = 1, max_length = 100)]
    paid: Option<String>,
    /// 1 profiling, 2 basic advertising, 3 precise location.
    params: Option<Vec<u8>>,
    /// advertiser_domain if not given.
    domain: Option<String>,
    /// The creatives show it themselves.
    rendered: Option<bool>,
}

#[derive(ToSchema)]
pub struct CampaignCreative {
    id: String,
    format: CampaignFormat,
    /// HTML, VAST or DAAST, or the JSON of a native answer.
    #[schema(min_length = 1, max_length = 65_536)]
    markup: String,
    /// The campaign's if not given.
    advertiser_domains: Option<Vec<String>>,
    /// The campaign's if not given.
    categories: Option<Vec<String>>,
    #[schema(minimum = 1, maximum = 63)]
    cattax: Option<u16>,
    /// AdCOM, "Creative Attributes".
    attributes: Option<Vec<u16>>,
    /// ISO 639.
    language: Option<String>,
    /// A picture of it, for reviews.
    preview_url: Option<String>,
    media: Option<CampaignMedia>,
    /// Loads everything by HTTPS; true if not given.
    secure: Option<bool>,
}

/// One of four.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CampaignFormat {
    Banner { w: u16, h: u16 },
    Video { w: u16, h: u16, duration_s: u16, mime: String },
    Audio { duration_s: u16, mime: String },
    Native {},
}

#[derive(ToSchema)]
pub struct CampaignMedia {
    /// Of a banner that is one file.
    mime: Option<String>,
    /// AdCOM, "Creative Subtypes - Audio/Video"; as the markup says if not given.
    protocol: Option<u16>,
    /// AdCOM, "API Frameworks": it needs one of them.
    apis: Option<Vec<u16>>,
    /// 1 XHTML text, 2 XHTML, 3 JavaScript, 4 iframe; as the markup says if not given.
    banner_types: Option<Vec<u16>>,
}

#[cfg(test)]
mod tests;
