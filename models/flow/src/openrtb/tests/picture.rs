use kiki_models::shield::money::{Currency, Micros};

use crate::campaign::creative::FormatKind;
use crate::campaign::taxonomy::Taxonomy;
use crate::opportunity::{
    Codes, DeviceKind, Disclosure, Floor, Format, IdKind, Need, PriceType, Rendering, Supply, User,
};
use crate::privacy::Permits;
use crate::reason::Reason;

use super::{FREE, parse, request};

const FULL: &str = r#"{
  "id":"req-1","at":1,"tmax":120,"test":1,"cur":["EUR","USD","EUR","XYZ"],
  "wseat":["kiki"],"bseat":["other"],"bcat":["IAB25","IAB26"],"badv":["https://www.rival.example/",""],"bapp":["com.rival"],
  "imp":[
    {"id":"a","instl":1,"secure":1,"rwdd":1,"exp":300,"bidfloor":1.2345671,"bidfloorcur":"EUR",
     "banner":{"format":[{"w":300,"h":250},{"wratio":16,"hratio":9},{"w":320,"h":50}],"w":1,"h":1,"battr":[1,2],"btype":[4],"api":[3,5]},
     "video":{"mimes":["video/mp4"],"minduration":5,"maxduration":30,"w":640,"h":360,"battr":[16],
       "protocols":[2,3,500],"api":[7]},
     "pmp":{"private_auction":1,"deals":[
       {"id":"d1","bidfloor":2,"bidfloorcur":"EUR","at":2,"wseat":["kiki"],"wadomain":["shop.example"]},
       {"id":"d2","at":3,"bidfloor":4.5},{"id":"d5","at":3},{"id":"d3","at":77},{"id":"d4","bidfloor":1,"bidfloorcur":"???"}]}},
    {"id":"b","native":{"request":"{\"ver\":\"1.2\"}"}},
    {"id":"c","audio":{"mimes":["audio/mp4"],"rqddurs":[15,30]}},
    {"id":"d","video":{"mimes":["video/mp4"],"poddur":60}},
    {"id":"e","banner":{}}
  ],
  "site":{"domain":"News.Example","cat":["IAB12"],"sectioncat":["IAB12-1"],"pagecat":["IAB12-2"],
    "publisher":{"id":"pub-1"},"content":{"cat":["IAB1"]}},
  "device":{"devicetype":2,"os":"Windows","language":"de","ifa":"0f00",
    "geo":{"country":"deu","region":"BY","city":"München","zip":"80331","utcoffset":60}},
  "user":{"id":"x1","buyeruid":"cust_1","geo":{"country":"FRA","region":"IDF"}},
  "regs":{"coppa":0}
}"#;

#[test]
fn a_whole_request_becomes_the_picture_that_the_rules_see() {
    let request = parse(FULL).expect("request");
    let auction = request.auction(99, &FREE).expect("auction");
    let eur: Currency = "EUR".parse().expect("currency");
    assert_eq!((auction.id, auction.at_us, auction.price), ("req-1", 99, PriceType::First));
    assert!(auction.test && auction.personal && !auction.coppa);
    assert_eq!(auction.supply, Supply::Site { domain: Some("news.example") });
    let categories: Vec<&str> = auction.categories.iter().map(|it| it.code).collect();
    assert_eq!(categories, ["IAB12", "IAB12-1", "IAB12-2", "IAB1"]);
    assert!(auction.categories.iter().all(|it| it.taxonomy == Taxonomy::FIRST));
    assert_eq!(auction.currencies[..], [eur, Currency::USD]);
    assert_eq!(
        (auction.seats[..].to_vec(), auction.seats_blocked[..].to_vec()),
        (vec!["kiki"], vec!["other"])
    );
    assert_eq!(auction.blocked.categories[..], ["IAB25", "IAB26"]);
    assert_eq!(auction.blocked.advertisers[..], ["rival.example"]);
    assert_eq!(auction.blocked.apps[..], ["com.rival"]);
    assert_eq!(auction.device.kind, DeviceKind::Desktop);
    assert_eq!((auction.device.os, auction.device.language), (Some("Windows"), Some("de")));
    let geo = auction.geo;
    assert_eq!((geo.country, geo.region, geo.city), (Some("DEU"), Some("BY"), Some("München")));
    assert_eq!((geo.zip, geo.utc_offset_min), (Some("80331"), Some(60)));
    assert_eq!(auction.user, Some(User { key: "cust_1", kind: IdKind::Buyer }));

    let slot = &auction.slots[0];
    assert_eq!(
        slot.formats[..],
        [
            Format::Banner { w: 300, h: 250 },
            Format::Banner { w: 320, h: 50 },
            Format::Video { w: 640, h: 360, min_s: 5, max_s: 30 },
        ]
    );
    assert_eq!(slot.floor, Some(Floor { cpm: Micros(1_234_568), currency: eur }), "rounded up");
    assert!(slot.private && slot.secure);
    assert_eq!(slot.expires_s, Some(300));
    let deals: Vec<(&str, Option<PriceType>, bool)> =
        slot.deals.iter().map(|deal| (deal.id, deal.price, deal.fixed)).collect();
    let (first, second) = (Some(PriceType::First), Some(PriceType::Second));
    assert_eq!(deals, [("d1", second, false), ("d2", first, true)]);
    let banner = slot.asks.of(FormatKind::Banner).expect("asks");
    assert_eq!((banner.types_blocked, banner.apis), (Codes::of([4]), Codes::of([3, 5])));
    assert_eq!(banner.attributes_blocked[..], [1, 2]);
    let video = slot.asks.of(FormatKind::Video).expect("asks");
    assert_eq!((&video.mimes[..], video.protocols), (&["video/mp4"][..], Some(Codes::of([2, 3]))));
    assert_eq!(video.attributes_blocked[..], [16], "each format blocks its own");
    assert_eq!((video.apis, slot.asks.of(FormatKind::Native)), (Codes::of([7]), None));
    assert_eq!(slot.deals[0].advertisers[..], ["shop.example"]);
    let floor = Floor { cpm: Micros(4_500_000), currency: Currency::USD };
    assert_eq!(slot.deals[1].floor, Some(floor), "without a currency it is in dollars");

    let formats: Vec<&[Format]> = auction.slots[1..].iter().map(|slot| &slot.formats[..]).collect();
    assert_eq!(
        formats,
        [
            &[Format::Native][..],
            &[Format::Audio { min_s: 15, max_s: 15 }, Format::Audio { min_s: 30, max_s: 30 }],
            &[Format::Video { w: 0, h: 0, min_s: 0, max_s: 60 }],
            &[Format::Banner { w: 0, h: 0 }],
        ]
    );
    assert!(auction.slots[1..].iter().all(|slot| slot.floor.is_none() && !slot.private));
}

#[test]
fn without_a_permit_the_person_and_the_exact_place_are_left_out() {
    let request = parse(FULL).expect("request");
    let auction = request.auction(0, &Permits { personal: false, ..FREE }).expect("auction");
    assert_eq!((auction.user, auction.geo.city, auction.geo.zip), (None, None, None));
    assert_eq!((auction.geo.country, auction.geo.region), (Some("DEU"), Some("BY")));
    assert!(!auction.personal);
    let refused = Permits { bid: Err(Reason::Consent), ..FREE };
    assert_eq!(request.auction(0, &refused).err(), Some(Reason::Consent));
    let coppa = Permits { coppa: true, ..FREE };
    assert!(request.auction(0, &coppa).is_ok_and(|auction| auction.coppa));
}

#[test]
fn a_person_is_known_by_our_id_else_the_exchanges_else_the_devices() {
    for (members, expected) in [
        (r#""user":{"buyeruid":"b","id":"u"},"device":{"ifa":"i"}"#, Some(("b", IdKind::Buyer))),
        (r#""user":{"buyeruid":"","id":"u"},"device":{"ifa":"i"}"#, Some(("u", IdKind::Exchange))),
        (
            r#""device":{"ifa":"6d92078a-8246-4ba4-ae5b-76104861e7dc"}"#,
            Some(("6d92078a-8246-4ba4-ae5b-76104861e7dc", IdKind::Device)),
        ),
        (r#""user":{},"device":{"ifa":"00000000-0000-0000-0000-000000000000"}"#, None),
        ("", None),
    ] {
        let body = request(members);
        let parsed = parse(&body).expect("request");
        let auction = parsed.auction(0, &FREE).expect("auction");
        let expected = expected.map(|(key, kind)| User { key, kind });
        assert_eq!(auction.user, expected, "{members}");
    }
}

#[test]
fn what_cannot_be_bid_on_has_a_reason() {
    for (members, expected) in [
        (r#""at":500"#, Some(Reason::UnsupportedFormat)),
        (r#""cur":["XYZ","usd"]"#, Some(Reason::Currency)),
        (
            r#""imp":[{"id":"1","banner":{"format":[{"wratio":1,"hratio":1}]}}]"#,
            Some(Reason::UnsupportedFormat),
        ),
        (
            r#""imp":[{"id":"1","banner":{},"bidfloor":1,"bidfloorcur":"XYZ"}]"#,
            Some(Reason::NoRate),
        ),
        (r#""imp":[{"id":"1","banner":{},"bidfloor":0,"bidfloorcur":"XYZ"}]"#, None),
        (
            r#""dooh":{},"imp":[{"id":"1","banner":{},"qty":{"multiplier":14.2,"sourcetype":1}}]"#,
            Some(Reason::UnsupportedFormat),
        ),
        (
            r#""imp":[{"id":"1","banner":{},"qty":{"multiplier":0.999999}}]"#,
            Some(Reason::UnsupportedFormat),
        ),
        (r#""imp":[{"id":"1","banner":{},"qty":{"multiplier":1.0}}]"#, None),
        (r#""imp":[{"id":"1","banner":{},"qty":{"vendor":"x"}}]"#, None),
        (r#""cur":[]"#, None),
        (r#""at":2"#, None),
    ] {
        let body = request(members);
        let parsed = parse(&body).expect("request");
        assert_eq!(parsed.auction(0, &FREE).err(), expected, "{members}");
    }
    let body = request(
        r#""imp":[{"id":"1","banner":{},"bidfloor":1,"bidfloorcur":"XYZ"},{"id":"2","banner":{}}]"#,
    );
    let parsed = parse(&body).expect("request");
    let auction = parsed.auction(0, &FREE).expect("auction");
    assert_eq!(auction.slots.iter().map(|slot| slot.id).collect::<Vec<&str>>(), ["2"]);
    assert_eq!(
        (auction.price, auction.currencies[..].to_vec()),
        (PriceType::Second, vec![Currency::USD])
    );
}

#[test]
fn apps_and_screens_in_public_are_told_from_sites() {
    for (members, supply) in [
        (r#""app":{"bundle":"com.x"}"#, Supply::App { bundle: Some("com.x") }),
        (r#""dooh":{"id":"screen-1"}"#, Supply::Dooh { id: Some("screen-1") }),
        (r#""site":{"page":"https://a.example/x"}"#, Supply::Site { domain: Some("a.example") }),
        (r#""site":[]"#, Supply::Site { domain: None }),
        ("", Supply::Unknown),
    ] {
        let body = request(members);
        let parsed = parse(&body).expect("request");
        let auction = parsed.auction(0, &FREE).expect("auction");
        assert_eq!(auction.supply, supply, "{members}");
    }
}

#[test]
fn places_are_the_devices_else_the_persons_and_odd_ones_are_left_out() {
    for (members, country, offset) in [
        (
            r#""device":{"geo":{"country":"Germany"}},"user":{"geo":{"country":"FRA"}}"#,
            Some("FRA"),
            None,
        ),
        (r#""device":{"geo":{"country":"DE"}}"#, Some("DEU"), None),
        (r#""device":{"geo":{"country":"gb"}}"#, Some("GBR"), None),
        (r#""device":{"geo":{"country":"UK"}}"#, Some("GBR"), None),
        (r#""device":{"geo":{"country":"1A2"}}"#, None, None),
        (r#""device":{"geo":{"utcoffset":-480}}"#, None, Some(-480)),
        (r#""device":{"geo":{"utcoffset":99999}}"#, None, None),
        (r#""device":{"geo":{"utcoffset":-32768}}"#, None, None),
        (r#""user":{"geo":{"country":"usa","utcoffset":60}}"#, Some("USA"), Some(60)),
    ] {
        let body = request(members);
        let parsed = parse(&body).expect("request");
        let geo = parsed.auction(0, &FREE).expect("auction").geo;
        assert_eq!((geo.country, geo.utc_offset_min), (country, offset), "{members}");
    }
}

#[test]
fn what_exchanges_write_in_other_ways_means_the_same() {
    let body = r#"{"id":4711,"at":"1","tmax":"120","test":"0","cur":"EUR","bcat":["IAB1",null,483],"badv":"",
        "imp":[{"id":1,"bidfloor":"0.5","bidfloorcur":"EUR","secure":"1","exp":"300",
          "banner":{"w":"300","h":250.0,"battr":"3","format":null}},
          {"id":"2","native":{"request":{"ver":"1.2","assets":[]}}}],
        "device":{"devicetype":"2","geo":{"zip":80331,"utcoffset":"60"}},
        "user":{"id":77},"regs":{"gpp_sid":["7",8],"coppa":"0"}}"#;
    let request = parse(body).expect("request");
    assert_eq!(request.tmax_ms(), Some(120));
    assert_eq!(request.signals().gpp_sections[..], [7, 8]);
    let auction = request.auction(0, &FREE).expect("auction");
    let eur: Currency = "EUR".parse().expect("currency");
    assert_eq!((auction.id, auction.price, auction.test), ("4711", PriceType::First, false));
    assert_eq!((&auction.currencies[..], auction.device.kind), (&[eur][..], DeviceKind::Desktop));
    assert_eq!(auction.blocked.categories[..], ["IAB1", "483"]);
    assert!(auction.blocked.advertisers.is_empty());
    assert_eq!((auction.geo.zip, auction.geo.utc_offset_min), (Some("80331"), Some(60)));
    assert_eq!(auction.user, Some(User { key: "77", kind: IdKind::Exchange }));
    let slot = &auction.slots[0];
    assert_eq!((slot.id, slot.secure, slot.expires_s), ("1", true, Some(300)));
    assert_eq!(slot.floor, Some(Floor { cpm: Micros(500_000), currency: eur }));
    assert_eq!(slot.formats[..], [Format::Banner { w: 300, h: 250 }]);
    let banner = slot.asks.of(FormatKind::Banner).expect("asks");
    assert_eq!(banner.attributes_blocked[..], [3]);
    assert_eq!(auction.slots[1].formats[..], [Format::Native]);
}

#[test]
fn lists_of_what_is_allowed_and_the_taxonomy_of_categories_are_read() {
    for (members, categories, languages, taxonomy) in [
        (r#""acat":["IAB1"],"cattax":1"#, &["IAB1"][..], &[][..], Some(1)),
        (r#""wlang":["en"],"wlangb":["pt-BR",""]"#, &[], &["en", "pt-BR"], Some(1)),
        (r#""bcat":["1"],"cattax":7"#, &[], &[], Some(7)),
        (r#""cattax":-1"#, &[], &[], None),
        ("", &[], &[], Some(1)),
    ] {
        let body = request(members);
        let parsed = parse(&body).expect("request");
        let allowed = parsed.auction(0, &FREE).expect("auction").allowed;
        assert_eq!((&allowed.categories[..], &allowed.languages[..]), (categories, languages));
        assert_eq!(allowed.taxonomy.number(), taxonomy, "{members}");
    }
    let body = request(
        r#""site":{"cattax":6,"cat":["52"],"pagecat":["IAB25"],"content":{"cattax":7,"cat":["53"]}}"#,
    );
    let parsed = parse(&body).expect("request");
    let categories = parsed.auction(0, &FREE).expect("auction").categories;
    let told: Vec<(&str, Option<u16>)> =
        categories.iter().map(|it| (it.code, it.taxonomy.number())).collect();
    assert_eq!(told, [("52", Some(6)), ("IAB25", Some(1)), ("53", Some(7))]);
    let body = request(r#""app":{"cat":["52"]}"#);
    let parsed = parse(&body).expect("request");
    let categories = parsed.auction(0, &FREE).expect("auction").categories;
    assert_eq!(categories[0].taxonomy, Taxonomy::UNKNOWN, "no code of the first begins so");
}

#[test]
fn a_video_that_is_not_linear_and_protocols_of_before_are_told_apart() {
    let body = request(
        r#""imp":[{"id":"1","banner":{},"video":{"mimes":["video/mp4"],"linearity":2}},
        {"id":"2","video":{"mimes":["video/mp4"],"linearity":1,"protocol":3}}]"#,
    );
    let parsed = parse(&body).expect("request");
    let auction = parsed.auction(0, &FREE).expect("auction");
    assert_eq!(auction.slots[0].formats[..], [Format::Banner { w: 0, h: 0 }]);
    let video = auction.slots[1].asks.of(FormatKind::Video).expect("asks");
    assert_eq!(video.protocols, Some(Codes::of([3])));
}

#[test]
fn whom_an_ad_is_for_is_asked_here_or_where_2_5_has_it_and_what_asks_for_more_counts() {
    let asked = |regs: &str| {
        let body = request(&format!(r#""regs":{regs}"#));
        let request = parse(&body).expect("request");
        request.auction(0, &FREE).expect("auction").transparency
    };
    for nothing in ["{}", "null", r#"{"dsa":{}}"#, r#"{"dsa":{"dsarequired":0}}"#] {
        assert_eq!(asked(nothing).need, Need::None, "{nothing}");
    }
    let whole = |need, rendering, data| Disclosure { need, rendering, data };
    for (regs, wanted) in [
        (
            r#"{"dsa":{"dsarequired":1,"pubrender":0,"datatopub":0}}"#,
            whole(Need::Welcome, Rendering::Never, false),
        ),
        (
            r#"{"ext":{"dsa":{"dsarequired":"2","pubrender":1,"datatopub":1,"transparency":[{"domain":"x.example"}]}}}"#,
            whole(Need::Needed, Rendering::Open, true),
        ),
        (
            r#"{"dsa":{"dsarequired":3,"pubrender":2},"ext":{"dsa":{"dsarequired":1}}}"#,
            whole(Need::Needed, Rendering::Always, true),
        ),
        (
            r#"{"dsa":{"dsarequired":0},"ext":{"dsa":{"dsarequired":2}}}"#,
            whole(Need::Needed, Rendering::Open, true),
        ),
    ] {
        assert_eq!(asked(regs), wanted, "{regs}");
    }
}
