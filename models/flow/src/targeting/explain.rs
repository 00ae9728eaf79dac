//! Why a campaign is not shown somewhere: all the reasons, from its definition alone.
//!
//! Slow and plain on purpose: this is what people read, and what tests hold the index against.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::auction::rates::{Rates, Round};
use crate::campaign::audience::Audience;
use crate::campaign::country::Country;
use crate::campaign::creative::{Creative, Shape};
use crate::campaign::definition::Definition;
use crate::campaign::hours::{Clock, minute_of_week};
use crate::campaign::media::Needs;
use crate::campaign::name::{is_under, is_within};
use crate::campaign::state::{Campaign, Status};
use crate::campaign::target::{PlaceKind, Places};
use crate::campaign::taxonomy::Taxonomy;
use crate::campaign::transparency;
use crate::opportunity::{Auction, Category, Deal, DeviceKind, Format, Slot, Supply};
use crate::reason::Reason;

use super::compile::wanted;
use super::dictionary::{TEXT_MAX, language_of, region_of};
use super::person::Person;

/// The order in which reasons are found; the first one is the one that counts. Up to [`Reason::Deal`] it is
/// what the index tells; some reasons are looked for there and once more among what it cannot list.
pub const ORDER: &[Reason] = &[
    Reason::NotActive,
    Reason::Seat,
    Reason::Coppa,
    Reason::Consent,
    Reason::Geo,
    Reason::Device,
    Reason::Inventory,
    Reason::Category,
    Reason::Transparency,
    Reason::Frequency,
    Reason::Creative,
    Reason::Deal,
    Reason::Schedule,
    Reason::DayPart,
    Reason::Consent,
    Reason::Audience,
    Reason::Creative,
    Reason::Media,
    Reason::Blocked,
    Reason::Deal,
    Reason::Frequency,
];

/// One reason with what was wanted and what was there. No personal data: of a person only what the campaign
/// asks for is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub reason: Reason,
    pub detail: String,
}

/// All findings of one campaign and one slot, in the order of [`ORDER`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    pub findings: Vec<Finding>,
    /// How many of them keep the campaign from being a candidate at all.
    pub listed: usize,
}

struct Findings(Vec<Finding>);

impl Findings {
    fn unless(&mut self, fine: bool, reason: Reason, detail: impl FnOnce() -> String) {
        if !fine {
            self.0.push(Finding { reason, detail: detail() });
        }
    }
}

/// Why the campaign does not take the slot; nothing: it does, and its price decides. `seat` is that of
/// campaigns which name none; `person` what may be used of the person, and `rates`, as the campaign's account
/// has them.
pub fn explain(
    campaign: &Campaign,
    seat: &str,
    auction: &Auction<'_>,
    slot: &Slot<'_>,
    person: &Person<'_>,
    rates: &Rates,
) -> Explained {
    let it = &*campaign.definition;
    let target = &it.targeting;
    let mut found = Findings(Vec::new());
    let active = campaign.status == Status::Active;
    found.unless(active, Reason::NotActive, || format!("is {}", campaign.status.as_str()));

    let seat = it.seat.as_deref().unwrap_or(seat);
    let admitted = auction.seats.is_empty() || auction.seats.contains(&seat);
    found.unless(admitted, Reason::Seat, || format!("seat {seat} is not admitted"));
    let blocked = auction.seats_blocked.contains(&seat);
    found.unless(!blocked, Reason::Seat, || format!("seat {seat} is blocked"));
    let children = !auction.coppa || it.consent.children;
    found.unless(children, Reason::Coppa, || "is not for children".to_owned());
    let personal = auction.personal || !it.consent.personal;
    found.unless(personal, Reason::Consent, || "personal data may not be used".to_owned());

    let include = target.geo.include.is_empty() || includes(&target.geo.include, auction);
    found.unless(include, Reason::Geo, || format!("{} is not included", place(auction)));
    let exclude = excludes(&target.geo.exclude, auction);
    found.unless(!exclude, Reason::Geo, || format!("{} is excluded, or may be", place(auction)));
    device(it, auction, &mut found);
    inventory(it, auction, &mut found);
    categories(it, auction, &mut found);
    let told = transparency::admits(it.rendered(), auction.transparency);
    found.unless(told, Reason::Transparency, || match it.rendered() {
        None => "whom the ad is for has to be told, and it has no transparency".to_owned(),
        Some(_) => "neither the publisher nor its ads show whom they are for".to_owned(),
    });

    let ltv = person
        .ltv
        .and_then(|ltv| rates.convert(ltv.amount, ltv.currency, it.currency, Round::Down));
    let caps = !it.frequency.caps.is_empty() && !it.frequency.unknown_person;
    let told = !caps || person.seen.is_some();
    found.unless(told, Reason::Frequency, || "the person cannot be told apart".to_owned());
    let formats = wanted(target, &it.creatives).any(|(_, c)| is_of_format(c, slot));
    found.unless(formats, Reason::Creative, || "no creative has the format and size".to_owned());
    deals_offered(it, slot, &mut found);
    let listed = found.0.len();

    let scheduled = it.schedule.holds(auction.at_us);
    found.unless(scheduled, Reason::Schedule, || {
        let time =
            |at: Option<Timestamp>| at.map_or_else(|| "ever".to_owned(), |at| at.to_string());
        format!("runs from {} to {}", time(it.schedule.starts), time(it.schedule.ends))
    });
    let minute = minute_of_week(auction.at_us, offset_s(it, auction));
    found.unless(target.hours.week().holds(minute), Reason::DayPart, || {
        format!("minute {minute} of the week is not among its hours")
    });
    let granted = person
        .granted
        .is_none_or(|granted| it.consent.purposes.iter().all(|purpose| granted.contains(*purpose)));
    found
        .unless(granted, Reason::Consent, || "the person has not granted what it needs".to_owned());
    let within = target.audience.holds(ltv, person.cohort);
    found.unless(within, Reason::Audience, || match &target.audience {
        Audience::Cohort { name } => format!("is for {name}"),
        Audience::Ltv { .. } | Audience::Everybody => "the LTV is in none of its bands".to_owned(),
    });
    creatives(it, auction, slot, &mut found);
    deals_admitting(it, seat, (auction, slot), &mut found);
    if let Some((table, key)) = person.seen {
        let pair = super::compile::key_of(&it.account, &it.id);
        let room = table.room(key, pair, &it.frequency.caps, auction.at_us);
        found.unless(room > 0, Reason::Frequency, || "the caps are reached".to_owned());
    }
    Explained { findings: found.0, listed }
}

fn country(auction: &Auction<'_>) -> Option<Country> {
    auction.geo.country.and_then(Country::of_alpha_3)
}

fn place(auction: &Auction<'_>) -> String {
    let geo = &auction.geo;
    let country = country(auction).map_or("an unknown country", Country::alpha_3);
    let region = geo.region.unwrap_or("-");
    format!("{country}, region {region}, city {}", geo.city.unwrap_or("-"))
}

fn same_city(a: &str, b: &str) -> bool {
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    fold(a) == fold(b)
}

fn includes(places: &Places, auction: &Auction<'_>) -> bool {
    let Some(country) = country(auction) else { return false };
    let (region, city) = (auction.geo.region.map(region_of), auction.geo.city);
    places.countries.contains(&country)
        || places.regions.iter().any(|it| {
            it.country == country && region.is_some_and(|r| r.eq_ignore_ascii_case(&it.region))
        })
        || places
            .cities
            .iter()
            .any(|it| it.country == country && city.is_some_and(|city| same_city(city, &it.city)))
}

/// Whether the request comes from one of the places, or cannot be told not to.
fn excludes(places: &Places, auction: &Auction<'_>) -> bool {
    let Some(country) = country(auction) else { return !places.is_empty() };
    let (region, city) = (auction.geo.region.map(region_of), auction.geo.city);
    places.countries.contains(&country)
        || places.regions.iter().any(|it| {
            it.country == country && region.is_none_or(|r| r.eq_ignore_ascii_case(&it.region))
        })
        || places
            .cities
            .iter()
            .any(|it| it.country == country && city.is_none_or(|city| same_city(city, &it.city)))
}

fn device(it: &Definition, auction: &Auction<'_>, found: &mut Findings) {
    use DeviceKind::{Mobile, Phone, Tablet};
    let (wanted, is) = (&it.targeting.device, &auction.device);
    let has = |kind: DeviceKind| wanted.kinds.contains(&kind);
    let kind = wanted.kinds.is_empty()
        || has(is.kind)
        || matches!(is.kind, Phone | Tablet) && has(Mobile)
        || is.kind == Mobile && has(Phone) && has(Tablet);
    found.unless(kind, Reason::Device, || format!("{:?} is not among its kinds", is.kind));
    let system = wanted.systems.is_empty()
        || is.os.is_some_and(|os| wanted.systems.iter().any(|it| same_city(it, os)));
    found.unless(system, Reason::Device, || {
        format!("system {} is not among its own", is.os.unwrap_or("-"))
    });
    let language = wanted.languages.is_empty()
        || is.language.is_some_and(|language| {
            wanted.languages.iter().any(|it| it.eq_ignore_ascii_case(language_of(language)))
        });
    found.unless(language, Reason::Device, || {
        format!("language {} is not among its own", is.language.unwrap_or("-"))
    });
}

fn inventory(it: &Definition, auction: &Auction<'_>, found: &mut Findings) {
    let inventory = &it.targeting.inventory;
    let (kind, name, lists) = match auction.supply {
        Supply::Site { domain } => (Some(PlaceKind::Site), domain, Some(&inventory.sites)),
        Supply::App { bundle } => (Some(PlaceKind::App), bundle, Some(&inventory.apps)),
        Supply::Dooh { .. } => (Some(PlaceKind::Dooh), None, None),
        Supply::Unknown => (None, None, None),
    };
    found.unless(inventory.takes(kind), Reason::Inventory, || format!("{kind:?} is not meant"));
    let Some(list) = lists else { return };
    let name = name.filter(|name| name.len() <= TEXT_MAX);
    let is = |listed: &String| {
        name.is_some_and(|name| match kind {
            Some(PlaceKind::Site) => is_under_exactly(name, listed),
            _ => name == listed,
        })
    };
    let shown = name.unwrap_or("a place without a name");
    let allowed = list.allow.is_empty() || list.allow.iter().any(is);
    found.unless(allowed, Reason::Inventory, || format!("{shown} is not on its list"));
    let denied = !list.deny.is_empty() && (name.is_none() || list.deny.iter().any(is));
    found.unless(!denied, Reason::Inventory, || format!("{shown} is on its deny list, or may be"));
}

/// Hosts come in lower case; one that does not is nobody's.
fn is_under_exactly(host: &str, domain: &str) -> bool {
    is_under(host, domain) && host.strip_suffix('.').unwrap_or(host).ends_with(domain)
}

fn categories(it: &Definition, auction: &Auction<'_>, found: &mut Findings) {
    let wanted = &it.targeting.categories;
    let told = &auction.categories;
    let has = |(listed, of): (&str, Taxonomy)| {
        let is = |it: &Category<'_>| it.taxonomy == of && is_within(it.code, listed);
        of != Taxonomy::UNKNOWN && told.iter().any(is)
    };
    let included = wanted.include.is_empty() || wanted.included().each().any(has);
    found.unless(included, Reason::Category, || "no category is one that it looks for".to_owned());
    if let Some((code, _)) = wanted.excluded().each().find(|it| has(*it)) {
        found.unless(false, Reason::Category, || format!("avoids {code}"));
        return;
    }
    let in_it = |of: Taxonomy| of != Taxonomy::UNKNOWN && told.iter().any(|it| it.taxonomy == of);
    let mut avoided = wanted.excluded().each().filter(|_| !told.is_empty());
    if let Some((code, _)) = avoided.find(|(_, of)| !in_it(*of)) {
        found.unless(false, Reason::Category, || {
            format!("avoids {code}, and categories are told in another taxonomy")
        });
    }
}

fn is_of_format(creative: &Creative, slot: &Slot<'_>) -> bool {
    slot.formats.iter().any(|format| match (&creative.format, format) {
        (Shape::Banner { w, h }, Format::Banner { w: asked_w, h: asked_h }) => {
            *asked_w == 0 || *asked_h == 0 || (w, h) == (asked_w, asked_h)
        }
        (Shape::Video { .. }, Format::Video { .. })
        | (Shape::Audio { .. }, Format::Audio { .. })
        | (Shape::Native {}, Format::Native) => true,
        _ => false,
    })
}

fn fits(creative: &Creative, slot: &Slot<'_>) -> bool {
    let secure = creative.secure || !slot.secure;
    secure
        && slot.formats.iter().any(|format| match (&creative.format, format) {
            (Shape::Banner { w, h }, Format::Banner { w: asked_w, h: asked_h }) => {
                (*asked_w == 0 || asked_w == w) && (*asked_h == 0 || asked_h == h)
            }
            (Shape::Video { duration_s, .. }, Format::Video { min_s, max_s, .. })
            | (Shape::Audio { duration_s, .. }, Format::Audio { min_s, max_s }) => {
                min_s <= duration_s && (*max_s == 0 || duration_s <= max_s)
            }
            (Shape::Native {}, Format::Native) => true,
            _ => false,
        })
}

/// Creatives that are of a format of the slot: whether one fits it, the slot has what one of those needs, and one
/// of these is not blocked.
fn creatives(it: &Definition, auction: &Auction<'_>, slot: &Slot<'_>, found: &mut Findings) {
    let fitting = || wanted(&it.targeting, &it.creatives).filter(|(_, c)| fits(c, slot));
    if fitting().next().is_none() {
        let any = wanted(&it.targeting, &it.creatives).any(|(_, c)| is_of_format(c, slot));
        // Without any format that has been said before.
        found.unless(!any, Reason::Creative, || {
            "no creative fits: size, length or HTTPS".to_owned()
        });
        return;
    }
    if fitting().all(|(_, c)| !Needs::of(c).met_by(&slot.asks)) {
        let unread = fitting().find(|(_, c)| Needs::of(c).is_unread());
        found.unless(false, Reason::Media, || match unread {
            Some((_, c)) => format!(
                "the markup of {} is no VAST or DAAST that names its version, and it tells no media.protocol: \
                 it is shown nowhere that lists protocols",
                c.id
            ),
            None => "no creative that fits is of a type, protocol or framework that is taken, or has the \
                 assets that a native place requires"
                .to_owned(),
        });
        return;
    }
    found.unless(!shown(it, auction, slot).is_empty(), Reason::Blocked, || {
        "the publisher blocks every creative, or allows none of its languages and categories"
            .to_owned()
    });
}

/// Creatives that fit the slot and are not blocked there.
pub(crate) fn shown<'d>(
    it: &'d Definition,
    auction: &Auction<'_>,
    slot: &Slot<'_>,
) -> Vec<&'d Creative> {
    let app = it.advertiser_app.as_deref();
    if app.is_some_and(|app| auction.blocked.apps.contains(&app)) {
        return Vec::new();
    }
    let passes = |creative: &&Creative| {
        let needs = Needs::of(creative);
        let attributes = slot.asks.of(creative.format.kind()).map(|ask| &ask.attributes_blocked);
        let domains = it.domains(creative);
        fits(creative, slot)
            && needs.met_by(&slot.asks)
            && needs.speaks(&auction.allowed.languages)
            && it.sold(creative).passes(&auction.allowed, &auction.blocked)
            && !attributes
                .is_some_and(|them| creative.attributes.iter().any(|it| them.contains(it)))
            && !auction.blocked.advertisers.iter().any(|blocked| {
                let blocked = blocked.strip_suffix('.').unwrap_or(blocked);
                domains.iter().any(|domain| is_under(domain, blocked))
            })
    };
    wanted(&it.targeting, &it.creatives).map(|(_, creative)| creative).filter(passes).collect()
}

/// Whether a deal may be bid on by a seat with one of these creatives.
pub(crate) fn admits(deal: &Deal<'_>, it: &Definition, seat: &str, shown: &[&Creative]) -> bool {
    let advertised = |creative: &&Creative| {
        let domains = it.domains(creative);
        deal.advertisers.iter().any(|listed| domains.iter().any(|domain| is_under(domain, listed)))
    };
    it.targeting.deals.ids.iter().any(|our| our == deal.id)
        && (deal.seats.is_empty() || deal.seats.contains(&seat))
        && (deal.advertisers.is_empty() || shown.iter().any(advertised))
}

fn needs_deal(it: &Definition, slot: &Slot<'_>) -> bool {
    slot.private || it.targeting.deals.only
}

fn deals_offered(it: &Definition, slot: &Slot<'_>, found: &mut Findings) {
    let ours = |id: &str| it.targeting.deals.ids.iter().any(|our| our == id);
    let offered = !needs_deal(it, slot) || slot.deals.iter().any(|deal| ours(deal.id));
    found.unless(offered, Reason::Deal, || "none of its deals is offered".to_owned());
}

fn deals_admitting(
    it: &Definition,
    seat: &str,
    (auction, slot): (&Auction<'_>, &Slot<'_>),
    found: &mut Findings,
) {
    let ours = |id: &str| it.targeting.deals.ids.iter().any(|our| our == id);
    if !needs_deal(it, slot) || !slot.deals.iter().any(|deal| ours(deal.id)) {
        return;
    }
    let shown = shown(it, auction, slot);
    // Where nothing can be shown, that has been said.
    let admitted = shown.is_empty() || slot.deals.iter().any(|deal| admits(deal, it, seat, &shown));
    found.unless(admitted, Reason::Deal, || "its deals do not admit it".to_owned());
}

fn offset_s(it: &Definition, auction: &Auction<'_>) -> i32 {
    match (it.targeting.hours.clock, auction.geo.utc_offset_min) {
        (Clock::Person, Some(minutes)) => i32::from(minutes) * 60,
        _ => {
            let zone = TimeZone::get(&it.schedule.time_zone).unwrap_or(TimeZone::UTC);
            let at = Timestamp::from_microsecond(auction.at_us);
            at.map_or(0, |at| zone.to_offset(at).seconds())
        }
    }
}
