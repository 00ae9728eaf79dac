//! Writes a made-up request.

use kiki_models::shield::money::{Currency, Micros};
use rand::RngExt;

use crate::opportunity::PriceType;

use super::consent::{Choices, gpp_string, tc_string};
use super::people::{DESKTOPS, PHONES, SOURCES, Screen, TELEVISIONS};
use super::places::{APPS, BANNERS, BLOCKED_CATEGORIES, COUNTRIES, Country, SITES};
use super::{Drawn, Offer, Sampler, Wants};
use crate::openrtb::json::Json;

#[derive(Clone, Copy, PartialEq)]
enum Channel {
    Site,
    App,
    Television,
}

/// The privacy of a request, before it is put where the version has it.
#[derive(Default)]
struct Law {
    gdpr: Option<bool>,
    consent: Option<String>,
    gpp: Option<(String, u64)>,
    us_privacy: Option<&'static str>,
}

pub(super) fn draw(s: &mut Sampler, body: &mut Vec<u8>) -> Drawn {
    body.clear();
    let country = s.one(&COUNTRIES);
    let channel = match s.between(1, 100) {
        1..=45 => Channel::Site,
        46..=92 => Channel::App,
        _ => Channel::Television,
    };
    let screen = match channel {
        Channel::Television => s.one(&TELEVISIONS),
        Channel::Site if s.chance(0.4) => s.one(&DESKTOPS),
        _ => s.one(&PHONES),
    };
    let older = s.chance(s.mix.older);
    let limited = s.chance(s.mix.limited);
    let (id, seller) = (s.uuid(), s.between(10_000, 99_999));
    let first = s.chance(s.mix.first_price);
    let currency =
        if country.euro { "EUR".parse().unwrap_or(Currency::USD) } else { Currency::USD };
    let mut json = Json::new(body);
    json.open(b'{').member("id", &id);
    let count = if s.chance(s.mix.several) { s.between(2, 3) } else { 1 };
    json.key("imp").open(b'[');
    let offers: Vec<Offer> =
        (1..=count).map(|nth| offer(s, &mut json, nth, channel, currency)).collect();
    json.close(b']');
    match channel {
        Channel::Site => site(s, &mut json, seller, country),
        Channel::App | Channel::Television => app(s, &mut json, seller, channel),
    }
    device(s, &mut json, screen, country, limited);
    let law = law(s, country);
    user(s, &mut json, &law, older);
    let test = s.chance(0.002);
    json.number("test", test.into()).number("at", if first { 1 } else { 2 });
    let tmax_ms = s.one(&[80, 100, 120, 150, 200, 250, 300, 500]);
    json.number("tmax", tmax_ms.into()).texts("cur", [currency.as_str()]);
    blocks(s, &mut json);
    let seat = s.chance(0.02).then(|| "kiki".to_owned());
    json.texts("wseat", seat.as_deref());
    source(s, &mut json, older, seller);
    regs(s, &mut json, &law, older);
    json.key("ext").open(b'{').number("exchange", 7).key("traffic").open(b'{');
    json.key("score").raw("0.9731").number("tier", s.between(1, 4).into()).close(b'}').close(b'}');
    json.close(b'}');
    let price = if first { PriceType::First } else { PriceType::Second };
    Drawn { id, price, currency, tmax_ms, test, offers, seat }
}

fn offer(
    s: &mut Sampler,
    json: &mut Json<'_>,
    nth: u32,
    channel: Channel,
    currency: Currency,
) -> Offer {
    let id = nth.to_string();
    let wants = match (channel, s.between(1, 100)) {
        (Channel::Television, _) => Wants::Video,
        (_, 1..=60) => {
            let (w, h) = s.one(&BANNERS);
            Wants::Banner { w, h }
        }
        (_, 61..=82) => Wants::Video,
        (_, 83..=96) => Wants::Native,
        _ => Wants::Audio,
    };
    let floor = s.price(if wants == Wants::Video { 3.0 } else { 0.4 });
    json.open(b'{').member("id", &id);
    match wants {
        Wants::Banner { w, h } => banner(s, json, w, h),
        Wants::Video => video(s, json, channel),
        Wants::Audio => {
            json.key("audio").open(b'{').texts("mimes", ["audio/mp4", "audio/mpeg"]);
            json.number("minduration", 5)
                .number("maxduration", 30)
                .numbers("protocols", [2, 3, 9, 10]);
            json.number("startdelay", 0).numbers("battr", [1, 3]).close(b'}');
        }
        Wants::Native => {
            json.key("native").open(b'{').member("request", NATIVE).member("ver", "1.2");
            json.numbers("api", [3, 5]).numbers("battr", [1, 2]).close(b'}');
        }
    }
    json.member("tagid", &format!("unit-{}", s.between(1, 400)));
    json.number("instl", s.chance(0.1).into());
    json.key("bidfloor");
    // Some exchanges compute their floors in binary fractions, and send what becomes of that.
    if s.chance(0.05) {
        let floor = floor.0 as f64 / 1e6;
        json.raw(&format!("{:.17}", floor));
    } else {
        json.amount(floor);
    }
    json.member("bidfloorcur", currency.as_str()).number("secure", 1);
    if s.chance(0.3) {
        json.number("exp", s.one(&[30, 60, 300, 900, 3_600]));
    }
    let deal = s.chance(s.mix.deals).then(|| {
        let deal = format!("deal-{}", s.between(1, 50));
        (deal, Micros(floor.0 + s.price(0.5).0))
    });
    let private = deal.is_some() && s.chance(0.3);
    if let Some((id, floor)) = &deal {
        json.key("pmp").open(b'{').number("private_auction", private.into());
        json.key("deals").open(b'[').open(b'{').member("id", id);
        json.key("bidfloor").amount(*floor).member("bidfloorcur", currency.as_str());
        json.number("at", 1).texts("wseat", ["kiki"]).close(b'}').close(b']').close(b'}');
    }
    json.key("ext").open(b'{').member("gpid", &format!("/4711/home/unit-{nth}"));
    json.key("viewability").raw("0.64").key("skadn").open(b'{').texts("versions", ["3.0", "4.0"]);
    json.close(b'}').close(b'}').close(b'}');
    Offer { id, wants, floor, deal, private }
}

const NATIVE: &str = r#"{"ver":"1.2","context":1,"plcmttype":1,"assets":[{"id":1,"required":1,"title":{"len":90}},{"id":2,"required":1,"img":{"type":3,"wmin":1200,"hmin":627}},{"id":3,"data":{"type":2,"len":140}},{"id":4,"data":{"type":1}}],"eventtrackers":[{"event":1,"methods":[1,2]}]}"#;

fn banner(s: &mut Sampler, json: &mut Json<'_>, w: u16, h: u16) {
    json.key("banner").open(b'{').key("format").open(b'[');
    let other = s.one(&BANNERS);
    for (w, h) in [(w, h), other].into_iter().take(if s.chance(0.4) { 2 } else { 1 }) {
        json.open(b'{').number("w", w.into()).number("h", h.into()).close(b'}');
    }
    json.close(b']').number("w", w.into()).number("h", h.into()).number("pos", 1);
    json.numbers("btype", [4]).numbers("battr", [1, 2, 3, 6, 8, 9, 10]);
    json.numbers("api", [3, 5, 6, 7]).number("topframe", 1).close(b'}');
}

fn video(s: &mut Sampler, json: &mut Json<'_>, channel: Channel) {
    let (w, h) = if channel == Channel::Television { (1_920, 1_080) } else { (640, 360) };
    json.key("video").open(b'{');
    json.texts("mimes", ["video/mp4", "video/webm", "application/javascript"]);
    json.number("minduration", 5).number("maxduration", s.one(&[15_u64, 30, 60]));
    json.numbers("protocols", [2, 3, 5, 6, 7, 8]).number("w", w).number("h", h);
    json.number("startdelay", 0).number("plcmt", 1).number("linearity", 1).number("skip", 1);
    json.number("skipmin", 0).number("skipafter", 5).numbers("playbackmethod", [1, 2]);
    json.numbers("delivery", [2]).numbers("battr", [16]).numbers("api", [7]).close(b'}');
}

fn site(s: &mut Sampler, json: &mut Json<'_>, seller: u32, country: Country) {
    let (domain, name, categories) = s.one(&SITES);
    let article = s.between(100_000, 999_999);
    let page =
        format!("https://{domain}/2026/11/article-{article}.html?utm_source=newsletter&ref=home");
    json.key("site").open(b'{').member("id", &(seller * 3).to_string());
    json.member("name", name).member("domain", domain).texts("cat", categories.iter().copied());
    json.texts("pagecat", categories.iter().copied().take(1)).key("page");
    // As encoders of PHP write it.
    if s.chance(0.1) {
        json.raw(&format!("\"{}\"", page.replace('/', "\\/")));
    } else {
        json.text(&page);
    }
    json.member("ref", &format!("https://search.example/?q=%22{article}%22"));
    json.key("publisher").open(b'{').member("id", &seller.to_string()).member("name", name);
    json.member("domain", domain).close(b'}').key("content").open(b'{');
    json.member("title", "Was man dazu “wissen” muss: \"alles\"")
        .member("language", country.language);
    json.member("keywords", "daily,politics,life,local,video").number("livestream", 0).close(b'}');
    json.number("privacypolicy", 1).number("mobile", 1).close(b'}');
}

fn app(s: &mut Sampler, json: &mut Json<'_>, seller: u32, channel: Channel) {
    let apps = if channel == Channel::Television { &APPS[6..] } else { &APPS[..6] };
    let (bundle, name, publisher, categories) = s.one(apps);
    json.key("app").open(b'{').member("id", &s.uuid()).member("name", name);
    json.member("bundle", bundle).member("domain", "apps.example");
    json.member("storeurl", &format!("https://store.example/apps/details?id={bundle}&hl=en"));
    json.texts("cat", categories.iter().copied()).member("ver", "8.12.3").number("paid", 0);
    json.key("publisher").open(b'{').member("id", &seller.to_string()).member("name", publisher);
    json.close(b'}').key("content").open(b'{').texts("cat", categories.iter().copied().take(1));
    json.member("language", "en").number("context", 1).close(b'}');
    json.member("keywords", "casual,family,offline").close(b'}');
}

fn device(s: &mut Sampler, json: &mut Json<'_>, screen: Screen, country: Country, limited: bool) {
    let (town, postcode) = s.one(&country.towns);
    json.key("device").open(b'{').member("ua", screen.agent);
    json.member("ip", &format!("198.51.{}.0", s.between(0, 255)));
    json.key("geo").open(b'{').key("lat").raw("48.1372").key("lon").raw("-11.5755");
    json.number("type", 2).member("country", country.code).member("region", country.region);
    json.member("city", town).member("zip", postcode).key("utcoffset");
    json.raw(&country.offset.to_string()).close(b'}');
    json.number("dnt", 0).number("lmt", limited.into()).number("devicetype", screen.kind);
    if !screen.make.is_empty() {
        json.member("make", screen.make).member("model", screen.model);
    }
    json.member("os", screen.os).member("osv", screen.version);
    json.number("w", screen.size.0).number("h", screen.size.1).key("pxratio").raw(screen.ratio);
    json.number("js", 1).member("language", country.language).number("connectiontype", 2);
    let ifa = if limited { "00000000-0000-0000-0000-000000000000".to_owned() } else { s.uuid() };
    if screen.kind != 2 {
        json.member("ifa", &ifa);
    }
    json.key("sua").open(b'{').key("browsers").open(b'[');
    for (brand, version) in [("Chromium", "138"), ("Not)A;Brand", "8")] {
        json.open(b'{').member("brand", brand).texts("version", [version]).close(b'}');
    }
    json.close(b']').number("mobile", 1).close(b'}').key("ext").open(b'{');
    json.number("atts", if limited { 2 } else { 3 }).close(b'}').close(b'}');
}

fn law(s: &mut Sampler, country: Country) -> Law {
    let refuses = s.chance(s.mix.refusing);
    if country.gdpr {
        // Every third vendor of the list, and ours if that one is granted.
        let (ours, phase) = (s.vendor, s.between(0, 2) as u16);
        let others = (1..1_200_u16).filter(|id| id % 3 == phase && *id != ours).map(|id| (id, id));
        let mut vendors: Vec<(u16, u16)> = others.collect();
        if !refuses {
            vendors.push((ours, ours));
        }
        let personal: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let purposes = if s.chance(0.1) { &[1, 2, 7, 10][..] } else { personal };
        let choices = Choices {
            purposes: if refuses { &[] } else { purposes },
            interests: &[2, 7, 9, 10],
            vendors: &vendors,
            vendor_interests: &[(2, 2), (10, 16), (25, 25), (50, 80)],
            disclosed: Some(&[(1, 1_200)]),
            ..Choices::default()
        };
        let consent = tc_string(&choices);
        let gpp = s.chance(0.2).then(|| (gpp_string(&[(2, &consent)]), 2));
        return Law { gdpr: Some(true), consent: Some(consent), gpp, us_privacy: None };
    }
    if country.code != "USA" {
        return Law { gdpr: Some(false), ..Law::default() };
    }
    if s.chance(0.5) {
        // The national section or California's: notice given, opted out or not.
        let (id, section) = match (s.chance(0.5), refuses) {
            (true, true) => (7, "BVQVAAAAAg"),
            (true, false) => (7, "BVQqAAAAAg"),
            (false, true) => (8, "BUUAAACA"),
            (false, false) => (8, "BUoAAACA"),
        };
        return Law { gpp: Some((gpp_string(&[(id, section)]), id.into())), ..Law::default() };
    }
    Law { us_privacy: Some(if refuses { "1YYN" } else { "1YNN" }), ..Law::default() }
}

fn user(s: &mut Sampler, json: &mut Json<'_>, law: &Law, older: bool) {
    let person = s.rng.random_range(0..s.people);
    json.key("user").open(b'{').member("id", &format!("x{person:08x}"));
    if s.chance(s.mix.known) {
        json.member("buyeruid", &format!("cust_{person}"));
    }
    json.member("keywords", "sports,cooking");
    let count = s.between(1, 4);
    let mut eids = |json: &mut Json<'_>| {
        json.key("eids").open(b'[');
        for source in SOURCES.iter().take(count as usize) {
            json.open(b'{').member("source", source).key("uids").open(b'[').open(b'{');
            json.member("id", &s.uuid()).number("atype", 1).close(b'}').close(b']').close(b'}');
        }
        json.close(b']');
    };
    if older {
        json.key("ext").open(b'{').optional("consent", law.consent.as_deref());
        eids(json);
        json.close(b'}');
    } else {
        json.optional("consent", law.consent.as_deref());
        eids(json);
    }
    json.close(b'}');
}

fn blocks(s: &mut Sampler, json: &mut Json<'_>) {
    let count = s.between(4, BLOCKED_CATEGORIES.len() as u32) as usize;
    json.texts("bcat", BLOCKED_CATEGORIES.iter().copied().take(count));
    let count = s.between(0, 12);
    let domains: Vec<String> =
        (0..count).map(|_| format!("rival-{}.example", s.between(1, 500))).collect();
    json.texts("badv", domains.iter().map(String::as_str));
    if s.chance(0.2) {
        json.texts("bapp", ["com.example.rival", "555000111"]);
    }
}

fn source(s: &mut Sampler, json: &mut Json<'_>, older: bool, seller: u32) {
    json.key("source").open(b'{').number("fd", 0).member("tid", &s.uuid());
    if older {
        json.key("ext").open(b'{');
    }
    json.key("schain").open(b'{').number("complete", (!s.chance(0.05)).into());
    json.member("ver", "1.0").key("nodes").open(b'[');
    for (nth, asi) in ["ssp.example", "exchange.example", "reseller.example"]
        .into_iter()
        .take(s.between(1, 3) as usize)
        .enumerate()
    {
        json.open(b'{').member("asi", asi).member("sid", &(seller + nth as u32).to_string());
        json.number("hp", 1).close(b'}');
    }
    json.close(b']').close(b'}').close(b'}');
    if older {
        json.close(b'}');
    }
}

/// Whom an ad is for, as some ask it: mostly they take bids without it too.
fn dsa(s: &mut Sampler) -> Option<&'static str> {
    if s.later.random::<f64>() >= s.mix.disclosed {
        return None;
    }
    Some(match s.later.random_range(0..10) {
        0..2 => r#"{"dsarequired":0,"pubrender":0}"#,
        2..8 => r#"{"dsarequired":1,"pubrender":1,"datatopub":1}"#,
        8 => r#"{"dsarequired":2,"pubrender":0,"datatopub":2}"#,
        _ => r#"{"dsarequired":3,"pubrender":2,"datatopub":2}"#,
    })
}

fn regs(s: &mut Sampler, json: &mut Json<'_>, law: &Law, older: bool) {
    let coppa = s.chance(s.mix.coppa);
    json.key("regs").open(b'{').number("coppa", coppa.into());
    let dsa = if law.gdpr == Some(true) { dsa(s) } else { None };
    if let Some(dsa) = dsa.filter(|_| !older) {
        json.key("dsa").raw(dsa);
    }
    if older {
        json.key("ext").open(b'{');
        if let Some(dsa) = dsa {
            json.key("dsa").raw(dsa);
        }
    }
    if let Some(gdpr) = law.gdpr {
        json.number("gdpr", gdpr.into());
    }
    json.optional("us_privacy", law.us_privacy);
    if let Some((gpp, section)) = &law.gpp {
        json.member("gpp", gpp).numbers("gpp_sid", [*section]);
    }
    if older {
        json.close(b'}');
    }
    json.close(b'}');
}
