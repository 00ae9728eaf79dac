//! A campaign as users write it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use kiki_models::shield::consent::kind::Kind;
use kiki_models::shield::day::is_zone;
use kiki_models::shield::money::{AMOUNT_MAX, Currency, Micros};

use super::creative::{CREATIVES_MAX, Creative};
use super::fields::Fields;
use super::mistake::Mistakes;
use super::name::{DEFAULT_ACCOUNT, is_domain, is_name, is_token};
use super::strategy::Strategy;
use super::target::Target;
use super::taxonomy::{self, Listed};
use super::transparency::Transparency;

/// Bytes of a definition as text.
pub const DEFINITION_BYTES_MAX: usize = 2 << 20;
/// Characters of a campaign's name for people.
pub const TITLE_CHARS_MAX: usize = 200;
/// Caps of one campaign.
pub const CAPS_MAX: usize = 8;
/// Impressions that a cap counts to.
pub const CAP_IMPRESSIONS_MAX: u16 = 100;
/// Seconds of the longest period: 90 days.
pub const PERIOD_MAX: u32 = 90 * 86_400;
/// Impressions of one request that one campaign may win.
pub const PER_REQUEST_MAX: u8 = 64;

/// Where a campaign runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Real-time auctions.
    Openrtb,
    GoogleAds,
    Meta,
    Tiktok,
    Linkedin,
    Amazon,
    TheTradeDesk,
    X,
}

/// The whole of what a user says about a campaign. Amounts are in `currency`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Also the name of its budget.
    pub id: String,
    #[serde(default = "default_account")]
    pub account: String,
    /// For people.
    pub name: String,
    #[serde(default = "default_platforms")]
    pub platforms: BTreeSet<Platform>,
    /// Who advertises, for the block lists of publishers.
    pub advertiser_domain: String,
    /// The app that is advertised: bundle or store id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertiser_app: Option<String>,
    /// What is advertised, in codes of the IAB.
    #[serde(default)]
    pub categories: Vec<String>,
    /// The taxonomy of categories that do not begin with `IAB`: AdCOM list "Category Taxonomies".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cattax: Option<u16>,
    /// The seat that bids; `None`: the installation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    pub currency: Currency,
    /// What the campaign asks SyncShield to allocate; SyncShield owns the money. Needed to activate it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    pub strategy: Strategy,
    #[serde(default)]
    pub schedule: Schedule,
    #[serde(default)]
    pub targeting: Target,
    #[serde(default)]
    pub frequency: Frequency,
    /// Impressions of one request that it may win.
    #[serde(default = "one")]
    pub per_request: u8,
    #[serde(default)]
    pub consent: Consent,
    /// Whom it is for and who pays; `None`: not shown where that has to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparency: Option<Transparency>,
    #[serde(default)]
    pub creatives: Vec<Creative>,
}

fn default_account() -> String {
    DEFAULT_ACCOUNT.to_owned()
}

fn default_platforms() -> BTreeSet<Platform> {
    BTreeSet::from([Platform::Openrtb])
}

fn one() -> u8 {
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub amount: Micros,
    /// Of one day in the schedule's time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<Micros>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// IANA name: its midnight ends the day, and the hours are of its clock.
    pub time_zone: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// RFC 3339; not bid from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { time_zone: "UTC".to_owned(), starts: None, ends: None }
    }
}

impl Schedule {
    /// Wall-clock micros.
    pub fn starts_us(&self) -> Option<i64> {
        self.starts.map(Timestamp::as_microsecond)
    }

    /// Wall-clock micros.
    pub fn ends_us(&self) -> Option<i64> {
        self.ends.map(Timestamp::as_microsecond)
    }

    /// Whether a time is within it.
    pub fn holds(&self, at_us: i64) -> bool {
        self.starts_us().is_none_or(|starts| starts <= at_us)
            && self.ends_us().is_none_or(|ends| at_us < ends)
    }
}

/// Caps per person; all of them hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frequency {
    pub caps: Vec<Cap>,
    /// Bids also where nobody can be told apart, and the caps cannot be kept.
    pub unknown_person: bool,
}

/// At most `impressions` in any `period_s` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    pub impressions: u16,
    pub period_s: u32,
}

/// What must be allowed before it bids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consent {
    /// Bids only where personal data may be used.
    pub personal: bool,
    /// What a person who is known to us must have granted SyncShield.
    pub purposes: BTreeSet<Kind>,
    /// May be shown where children are addressed (COPPA).
    pub children: bool,
}

impl Definition {
    /// Reads a definition and names everything that is wrong with it.
    pub fn read(text: &str) -> Result<Definition, Mistakes> {
        if text.len() > DEFINITION_BYTES_MAX {
            return Err(Mistakes::of("", "is longer than 2 MiB"));
        }
        let fields = Fields::read(text).map_err(|error| Mistakes::of("", error.to_string()))?;
        Definition::of_fields(fields)
    }

    fn of_fields(mut it: Fields) -> Result<Definition, Mistakes> {
        let wrong = &mut Mistakes::default();
        let id = it.need("id", "", wrong);
        let account = it.take("account", "", wrong).unwrap_or_else(default_account);
        let name = it.need("name", "", wrong);
        let platforms = it.take("platforms", "", wrong).unwrap_or_else(default_platforms);
        let advertiser_domain = it.need("advertiser_domain", "", wrong);
        let advertiser_app = it.take("advertiser_app", "", wrong);
        let categories = it.list("categories", "", wrong);
        let cattax = it.take("cattax", "", wrong);
        let seat = it.take("seat", "", wrong);
        let currency = it.need("currency", "", wrong);
        let budget = it.take("budget", "", wrong);
        let strategy = it.need("strategy", "", wrong);
        let schedule = it.take("schedule", "", wrong).unwrap_or_default();
        let targeting = target(&mut it, wrong);
        let frequency = it.take("frequency", "", wrong).unwrap_or_default();
        let per_request = it.take("per_request", "", wrong).unwrap_or(1);
        let consent = it.take("consent", "", wrong).unwrap_or_default();
        let transparency = it.take("transparency", "", wrong);
        let creatives = it.list("creatives", "", wrong);
        it.end("", wrong);
        // What is missing is said; the rest is checked beside something that is right.
        let definition = Definition {
            id: id.unwrap_or_else(|| "x".to_owned()),
            account,
            name: name.unwrap_or_else(|| "x".to_owned()),
            platforms,
            advertiser_domain: advertiser_domain.unwrap_or_else(|| "x.example".to_owned()),
            advertiser_app,
            categories,
            cattax,
            seat,
            currency: currency.unwrap_or(Currency::USD),
            budget,
            strategy: strategy.unwrap_or(Strategy::MaxCpm { cpm: Micros(1) }),
            schedule,
            targeting,
            frequency,
            per_request,
            consent,
            transparency,
            creatives,
        };
        definition.check(wrong);
        std::mem::take(wrong).none().map(|()| definition)
    }

    /// Every bound, by field.
    pub fn check(&self, wrong: &mut Mistakes) {
        let name = "is not 1 to 128 letters, digits, _, - and .";
        wrong.unless(is_name(&self.id), "id", name);
        wrong.unless(is_name(&self.account), "account", name);
        let title = (1..=TITLE_CHARS_MAX).contains(&self.name.chars().count())
            && !self.name.chars().any(char::is_control)
            && !self.name.trim().is_empty();
        wrong.unless(title, "name", "is not 1 to 200 characters");
        wrong.unless(!self.platforms.is_empty(), "platforms", "are none");
        let domain = is_domain(&self.advertiser_domain);
        wrong.unless(domain, "advertiser_domain", "is not a domain in lower case");
        let app = self.advertiser_app.as_deref().is_none_or(|app| is_token(app, 128));
        wrong.unless(app, "advertiser_app", "is not 1 to 128 printable characters");
        taxonomy::check((&self.categories, "categories", 32), self.cattax, wrong);
        taxonomy::check_number(self.cattax, "cattax", wrong);
        let seat = self.seat.as_deref().is_none_or(|seat| is_token(seat, 64));
        wrong.unless(seat, "seat", "is not 1 to 64 printable characters");
        if let Some(Budget { amount, daily }) = self.budget {
            let amount_fits = Micros::ZERO < amount && amount.0 <= AMOUNT_MAX;
            wrong.unless(amount_fits, "budget.amount", "is not above 0 and at most one billion");
            let daily_fits = daily.is_none_or(|daily| Micros::ZERO < daily && daily <= amount);
            wrong.unless(daily_fits, "budget.daily", "is not above 0 and at most the amount");
        }
        self.strategy.check(wrong);
        let zone = is_zone(&self.schedule.time_zone);
        wrong.unless(zone, "schedule.time_zone", "is not an IANA time zone");
        if let (Some(starts), Some(ends)) = (self.schedule.starts, self.schedule.ends) {
            wrong.unless(starts < ends, "schedule.ends", "is not after its start");
        }
        self.targeting.check("targeting", wrong);
        wrong.unless(self.frequency.caps.len() <= CAPS_MAX, "frequency.caps", "are more than 8");
        for (i, cap) in self.frequency.caps.iter().enumerate().take(CAPS_MAX) {
            let n = (1..=CAP_IMPRESSIONS_MAX).contains(&cap.impressions);
            wrong.unless(n, &format!("frequency.caps[{i}].impressions"), "are not 1 to 100");
            let period = (1..=PERIOD_MAX).contains(&cap.period_s);
            wrong.unless(period, &format!("frequency.caps[{i}].period_s"), "is not 1 to 7776000");
        }
        let per_request = (1..=PER_REQUEST_MAX).contains(&self.per_request);
        wrong.unless(per_request, "per_request", "is not 1 to 64");
        if let Some(transparency) = &self.transparency {
            transparency.check(wrong);
        }
        self.check_creatives(wrong);
    }

    fn check_creatives(&self, wrong: &mut Mistakes) {
        wrong.unless(self.creatives.len() <= CREATIVES_MAX, "creatives", "are more than 100");
        for (i, creative) in self.creatives.iter().enumerate().take(CREATIVES_MAX) {
            creative.check(&format!("creatives[{i}]"), self.cattax, wrong);
            let twice = self.creatives.iter().take(i).any(|other| other.id == creative.id);
            wrong.unless(!twice, &format!("creatives[{i}].id"), "is that of another creative");
        }
    }

    /// Whether its ads show whom they are for; `None`: that is not told.
    pub fn rendered(&self) -> Option<bool> {
        self.transparency.as_ref().map(|it| it.rendered)
    }

    /// Domains of who advertises by one of its creatives.
    pub fn domains<'a>(&'a self, of: &'a Creative) -> &'a [String] {
        let own = std::slice::from_ref(&self.advertiser_domain);
        if of.advertiser_domains.is_empty() { own } else { &of.advertiser_domains }
    }

    /// Categories of what is advertised by one of its creatives.
    pub fn sold<'a>(&'a self, of: &'a Creative) -> Listed<'a> {
        match of.categories.is_empty() {
            true => Listed::new(&self.categories, self.cattax),
            false => Listed::new(&of.categories, of.cattax.or(self.cattax)),
        }
    }

    /// What is missing before it can be activated; not wrong in a draft.
    pub fn ready(&self) -> Result<(), Mistakes> {
        let mut wrong = Mistakes::default();
        wrong.unless(self.budget.is_some(), "budget", "is missing");
        let shown = !self.platforms.contains(&Platform::Openrtb) || !self.creatives.is_empty();
        wrong.unless(shown, "creatives", "are none, and auctions need one");
        wrong.none()
    }
}

/// Targeting, part by part, so that one mistake does not hide the others.
fn target(it: &mut Fields, wrong: &mut Mistakes) -> Target {
    let path = "targeting";
    let Some(mut of) = it.take::<Fields>(path, "", wrong) else { return Target::default() };
    let target = Target {
        geo: of.take("geo", path, wrong).unwrap_or_default(),
        device: of.take("device", path, wrong).unwrap_or_default(),
        inventory: of.take("inventory", path, wrong).unwrap_or_default(),
        categories: of.take("categories", path, wrong).unwrap_or_default(),
        formats: of.take("formats", path, wrong).unwrap_or_default(),
        sizes: of.take("sizes", path, wrong).unwrap_or_default(),
        hours: of.take("hours", path, wrong).unwrap_or_default(),
        audience: of.take("audience", path, wrong).unwrap_or_default(),
        deals: of.take("deals", path, wrong).unwrap_or_default(),
    };
    of.end(path, wrong);
    target
}
