//! Where and to whom a campaign is shown, as users write it. An empty list narrows nothing.

use serde::{Deserialize, Serialize};

use crate::opportunity::DeviceKind;

use super::audience::Audience;
use super::country::Country;
use super::creative::{EDGE_MAX, FormatKind, is_language};
use super::hours::Hours;
use super::mistake::Mistakes;
use super::name::{is_domain, is_token};
use super::taxonomy::{self, Listed};

/// Sites or apps of one list.
pub const PLACES_MAX: usize = 10_000;
/// Entries of any other list.
pub const ENTRIES_MAX: usize = 1_000;
/// Bytes of a region's, a city's, a system's name, of a deal or an app.
const TEXT_MAX: usize = 128;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Target {
    pub geo: Geo,
    pub device: Device,
    pub inventory: Inventory,
    /// Categories of the content.
    pub categories: Categories,
    /// Of impressions; what no creative fits is left out in any case.
    pub formats: Vec<FormatKind>,
    /// Sizes of creatives that are used; empty: all.
    pub sizes: Vec<Size>,
    pub hours: Hours,
    pub audience: Audience,
    pub deals: Deals,
}

/// A request is meant if one of `include` is where it comes from (any, where there is none), and none of
/// `exclude` is. What is excluded must be known not to be there: an exclusion refuses also a request that
/// does not tell its country, or tells the country of an excluded region or city and not the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    pub include: Places,
    pub exclude: Places,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Places {
    /// ISO 3166-1, alpha-3 or alpha-2.
    pub countries: Vec<Country>,
    pub regions: Vec<Region>,
    pub cities: Vec<City>,
}

impl Places {
    pub fn is_empty(&self) -> bool {
        self.countries.is_empty() && self.regions.is_empty() && self.cities.is_empty()
    }
}

/// `{"country": "USA", "region": "CA"}`: ISO 3166-2, the part after the country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    pub country: Country,
    pub region: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct City {
    pub country: Country,
    /// As exchanges write it; case does not count.
    pub city: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Device {
    /// `mobile` is also `phone` and `tablet`, and both of these together are also `mobile`.
    pub kinds: Vec<DeviceKind>,
    /// Names of systems, in lower case.
    pub systems: Vec<String>,
    /// ISO 639-1.
    pub languages: Vec<String>,
}

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceKind {
    Site,
    App,
    /// Screens in public.
    Dooh,
}

/// Sites are domains and mean all within them; apps are bundles or store ids. An allow list narrows its own
/// kind of place. A deny list also refuses a place of its kind that does not say its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inventory {
    /// Empty: those that an allow list is given of; without any such list, all.
    pub kinds: Vec<PlaceKind>,
    pub sites: List,
    pub apps: List,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct List {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

impl Inventory {
    /// Whether places of a kind are meant; `None`: a request that does not tell its kind.
    pub fn takes(&self, kind: Option<PlaceKind>) -> bool {
        let by_list = !self.sites.allow.is_empty() || !self.apps.allow.is_empty();
        let Some(kind) = kind else { return self.kinds.is_empty() && !by_list };
        if !self.kinds.is_empty() {
            return self.kinds.contains(&kind);
        }
        !by_list
            || match kind {
                PlaceKind::Site => !self.sites.allow.is_empty(),
                PlaceKind::App => !self.apps.allow.is_empty(),
                PlaceKind::Dooh => false,
            }
    }
}

/// A category is also all that is below it: `IAB1` is `IAB1-5`. Content without categories is in none. Codes are
/// compared within their taxonomy; content whose categories are all of another one might be what is excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Categories {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// The taxonomy of codes that do not begin with `IAB`: AdCOM list "Category Taxonomies".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cattax: Option<u16>,
}

impl Categories {
    pub fn included(&self) -> Listed<'_> {
        Listed::new(&self.include, self.cattax)
    }

    pub fn excluded(&self) -> Listed<'_> {
        Listed::new(&self.exclude, self.cattax)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    pub w: u16,
    pub h: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deals {
    /// Ids of deals that it may bid on.
    pub ids: Vec<String>,
    /// Never bids without one.
    pub only: bool,
}

impl Target {
    pub(super) fn check(&self, path: &str, wrong: &mut Mistakes) {
        self.geo.include.check(&format!("{path}.geo.include"), wrong);
        self.geo.exclude.check(&format!("{path}.geo.exclude"), wrong);
        let mut list =
            |field: &str, list: &[String], most: usize, why: &str, fits: fn(&str) -> bool| {
                let path = format!("{path}.{field}");
                wrong.unless(list.len() <= most, &path, &format!("are more than {most}"));
                if let Some(i) = list.iter().take(most).position(|text| !fits(text)) {
                    wrong.add(format!("{path}[{i}]"), why);
                }
            };
        let token = "is not 1 to 128 printable characters";
        let domain = "is not a domain in lower case";
        let is_app = |text: &str| is_token(text, TEXT_MAX);
        list("inventory.sites.allow", &self.inventory.sites.allow, PLACES_MAX, domain, is_domain);
        list("inventory.sites.deny", &self.inventory.sites.deny, PLACES_MAX, domain, is_domain);
        list("inventory.apps.allow", &self.inventory.apps.allow, PLACES_MAX, token, is_app);
        list("inventory.apps.deny", &self.inventory.apps.deny, PLACES_MAX, token, is_app);
        list("deals.ids", &self.deals.ids, ENTRIES_MAX, token, is_app);
        let language = "is not two or three lower-case letters";
        list("device.languages", &self.device.languages, ENTRIES_MAX, language, is_language);
        let system = "is not 1 to 128 bytes in lower case";
        list("device.systems", &self.device.systems, ENTRIES_MAX, system, |text| {
            (1..=TEXT_MAX).contains(&text.len())
                && !text.chars().any(char::is_control)
                && text.to_lowercase() == text
        });
        let Categories { include, exclude, cattax } = &self.categories;
        for (field, codes) in [("include", include), ("exclude", exclude)] {
            let field = format!("{path}.categories.{field}");
            taxonomy::check((codes, &field, ENTRIES_MAX), *cattax, wrong);
        }
        taxonomy::check_number(*cattax, &format!("{path}.categories.cattax"), wrong);
        let kinds = self.device.kinds.len() <= 16;
        wrong.unless(kinds, &format!("{path}.device.kinds"), "are more than 16");
        let kinds = self.inventory.kinds.len() <= 3;
        wrong.unless(kinds, &format!("{path}.inventory.kinds"), "are more than 3");
        let formats = self.formats.len() <= FormatKind::ALL.len();
        wrong.unless(formats, &format!("{path}.formats"), "are more than 4");
        let edge = |edge: u16| (1..=EDGE_MAX).contains(&edge);
        let fits = |size: &Size| edge(size.w) && edge(size.h);
        wrong.unless(
            self.sizes.len() <= ENTRIES_MAX,
            &format!("{path}.sizes"),
            "are more than 1000",
        );
        if let Some(i) = self.sizes.iter().take(ENTRIES_MAX).position(|size| !fits(size)) {
            wrong.add(format!("{path}.sizes[{i}]"), "has an edge that is not 1 to 10000");
        }
        self.hours.check(&format!("{path}.hours"), wrong);
        self.audience.check(&format!("{path}.audience"), wrong);
        if self.deals.only && self.deals.ids.is_empty() {
            wrong.add(format!("{path}.deals.ids"), "are none, and only deals are wanted");
        }
    }
}

impl Places {
    fn check(&self, path: &str, wrong: &mut Mistakes) {
        for (field, len) in [
            ("countries", self.countries.len()),
            ("regions", self.regions.len()),
            ("cities", self.cities.len()),
        ] {
            wrong.unless(len <= ENTRIES_MAX, &format!("{path}.{field}"), "are more than 1000");
        }
        let region = |text: &str| {
            (1..=3).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        if let Some(i) = self.regions.iter().position(|it| !region(&it.region)) {
            let why = "is not the part of ISO 3166-2 after the country: 1 to 3 letters or digits";
            wrong.add(format!("{path}.regions[{i}].region"), why);
        }
        let city = |text: &str| {
            (1..=TEXT_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if let Some(i) = self.cities.iter().position(|it| !city(&it.city)) {
            wrong.add(format!("{path}.cities[{i}].city"), "is not 1 to 128 bytes");
        }
    }
}
