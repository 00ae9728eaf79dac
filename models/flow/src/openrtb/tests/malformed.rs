use crate::openrtb::value::told;
use crate::openrtb::{Limits, Malformed, Request};
use crate::reason::Reason;

use super::{FREE, parse, request};

fn fault(body: &str) -> Option<Malformed> {
    parse(body).err()
}

#[test]
fn a_request_without_what_is_required_is_malformed() {
    for (body, missing) in [
        ("{}".to_owned(), "id"),
        ("[]".to_owned(), "id"),
        (r#"{"id":""}"#.into(), "id"),
        (r#"{"id":"r"}"#.into(), "imp"),
        (request(r#""imp":[]"#), "imp"),
        (request(r#""imp":null"#), "imp"),
        (request(r#""imp":[null]"#), "imp"),
        (request(r#""imp":[{"id":"1","native":{"request":""}}]"#), "imp.native.request"),
        (request(r#""imp":[{"banner":{}}]"#), "imp.id"),
        (request(r#""imp":[{"id":"1"}]"#), "imp.banner, video, audio or native"),
        (request(r#""imp":[{"id":"1","video":{}}]"#), "imp.video.mimes"),
        (request(r#""imp":[{"id":"1","banner":{},"video":{"mimes":[]}}]"#), "imp.video.mimes"),
        (request(r#""imp":[{"id":"1","audio":{}}]"#), "imp.audio.mimes"),
        (request(r#""imp":[{"id":"1","native":{}}]"#), "imp.native.request"),
        (request(r#""imp":[{"id":"1","banner":{},"pmp":{"deals":[{}]}}]"#), "imp.pmp.deals.id"),
    ] {
        assert_eq!(fault(&body), Some(Malformed::Missing(missing)), "{body}");
    }
}

#[test]
fn a_request_that_contradicts_the_specification_is_malformed() {
    let two = r#""imp":[{"id":"1","banner":{}},{"id":"2","banner":{}},{"id":"1","banner":{}}]"#;
    for (members, expected) in [
        (two, Malformed::ImpressionTwice),
        (r#""site":{},"app":{}"#, Malformed::Channels),
        (r#""app":{},"dooh":{}"#, Malformed::Channels),
        (r#""at":0"#, Malformed::Invalid("at")),
        (r#""at":3"#, Malformed::Invalid("at")),
        (r#""at":-1"#, Malformed::Invalid("at")),
        (r#""tmax":-1"#, Malformed::Invalid("tmax")),
        (r#""imp":[{"id":"1","banner":{},"exp":-5}]"#, Malformed::Invalid("imp.exp")),
        (r#""imp":[{"id":"1","banner":{},"exp":1e12}]"#, Malformed::Invalid("imp.exp")),
    ] {
        assert_eq!(fault(&request(members)), Some(expected), "{members}");
    }
    assert!(parse(&request(r#""site":{},"app":null,"at":2"#)).is_ok());
    assert!(parse(&request(r#""at":501"#)).is_ok(), "an exchange's own way is no mistake");
}

#[test]
fn values_of_another_type_are_malformed_where_they_are_read() {
    for members in [
        r#""imp":{"id":"1","banner":{}}"#,
        r#""imp":[1]"#,
        r#""imp":["x"]"#,
        r#""imp":[{"id":"1","banner":[1]}]"#,
        r#""imp":[{"id":"1","banner":{"w":-1}}]"#,
        r#""imp":[{"id":"1","banner":{"w":1e300}}]"#,
        r#""imp":[{"id":"1","banner":{"w":300.5}}]"#,
        r#""imp":[{"id":"1","banner":{},"bidfloor":-0.01}]"#,
        r#""imp":[{"id":"1","banner":{},"bidfloor":1e300}]"#,
        r#""imp":[{"id":"1","banner":{},"bidfloor":[0.5]}]"#,
        r#""imp":[{"id":"1","banner":{},"bidfloor":9999999999999999999999999}]"#,
        r#""site":[{}]"#,
        r#""site":"news.example""#,
        r#""regs":{"gdpr":"maybe"}"#,
        r#""imp":[{"id":1.5,"banner":{}}]"#,
        r#""imp":[{"id":"1","banner":{},"bidfloor":"cheap"}]"#,
        r#""bcat":{"IAB1":1}"#,
        r#""at":"first""#,
        r#""id":"again""#,
        r#""tmax":100,"tmax":200"#,
    ] {
        let body = request(members);
        assert!(
            matches!(fault(&body), Some(Malformed::Value { .. })),
            "{members}: {:?}",
            fault(&body)
        );
    }
}

#[test]
fn what_is_no_json_is_malformed() {
    for body in [
        "",
        " ",
        "{",
        "null ",
        "[{}]",
        "1",
        "{\"id\":\"r\"",
        "{\"id\":\"r\"}}",
        "{\"id\":\"r\",}",
        "{'id':'r'}",
        "{\"id\":NaN}",
        "{\"id\":\"r\",\"x\":Infinity}",
        "{\"id\":\"r\",\"x\":01}",
        "{\"id\":\"\\ud800\"}",
        "{\"id\":\"a\u{1}b\"}",
        "\u{feff}{}",
    ] {
        assert!(
            matches!(fault(body), Some(Malformed::Json { .. } | Malformed::Value { .. })),
            "{body}: {:?}",
            fault(body)
        );
    }
    let bad = b"{\"id\":\"r\",\"imp\":[{\"id\":\"1\",\"banner\":{}}],\"x\":\"\xff\"}";
    assert_eq!(Request::parse(bad, &Limits::default()).err(), Some(Malformed::NotUtf8));
}

#[test]
fn null_and_unknown_fields_and_unknown_values_of_lists_are_passed_over() {
    let body = request(
        r#""imp":[{"id":"1","banner":{"battr":[1,99999,-7],"format":null,"w":null},"video":null,"bidfloor":null,
        "ext":{"a":[[[[1]]]]},"unheard":true,"pmp":null}],"device":{"devicetype":4711,"geo":{"lat":1e400}},
        "user":null,"source":{},"regs":null,"wlang":["en"],"bcat":null,"future":{"x":[{}]}"#,
    );
    assert!(matches!(fault(&body), Some(Malformed::Json { .. } | Malformed::Value { .. }) | None));
    let body = body.replace("1e400", "1e40");
    assert!(parse(&body).is_ok(), "{:?}", fault(&body));
}

#[test]
fn depth_numbers_and_lengths_are_bounded() {
    let limits = Limits::default();
    let nested =
        |levels: usize| request(&format!(r#""ext":{}1{}"#, "[".repeat(levels), "]".repeat(levels)));
    assert!(parse(&nested(31)).is_ok());
    assert_eq!(fault(&nested(32)), Some(Malformed::TooDeep(32)));
    assert_eq!(fault(&nested(400_000)), Some(Malformed::TooDeep(32)));
    let list = |count: usize| request(&format!(r#""bcat":[{}]"#, vec![r#""A""#; count].join(",")));
    assert_eq!(parse(&list(4_096)).map(|r| r.bcat.len()), Ok(4_096));
    assert_eq!(fault(&list(4_097)), Some(Malformed::TooMany(4_096)));
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!(r#""x{n}":0"#)).collect();
        request(&format!(r#""ext":{{{}}}"#, members.join(",")))
    };
    assert!(parse(&members(4_096)).is_ok());
    assert_eq!(fault(&members(4_097)), Some(Malformed::TooMany(4_096)));
    let imps = |count: usize| {
        let imps: Vec<String> =
            (0..count).map(|n| format!(r#"{{"id":"{n}","banner":{{}}}}"#)).collect();
        request(&format!(r#""imp":[{}]"#, imps.join(",")))
    };
    assert_eq!(parse(&imps(64)).map(|r| r.imp.len()), Ok(64));
    assert_eq!(fault(&imps(65)), Some(Malformed::Impressions(64)));
    assert!(matches!(fault(&imps(1_025)), Some(Malformed::Oversized { .. })), "not all in memory");
    let deals = |count: usize| {
        let deals = vec![r#"{"id":"d"}"#; count].join(",");
        request(&format!(r#""imp":[{{"id":"1","banner":{{}},"pmp":{{"deals":[{deals}]}}}}]"#))
    };
    assert!(parse(&deals(256)).is_ok());
    assert!(matches!(fault(&deals(257)), Some(Malformed::Oversized { .. })));
    let attributes = |count: usize| {
        let codes = vec!["1"; count].join(",");
        request(&format!(r#""imp":[{{"id":"1","banner":{{"battr":[{codes}]}}}}]"#))
    };
    assert!(parse(&attributes(256)).is_ok());
    assert!(matches!(fault(&attributes(257)), Some(Malformed::Oversized { .. })));
    let text = |bytes: usize| request(&format!(r#""bcat":["{}"]"#, "x".repeat(bytes)));
    assert!(parse(&text(limits.text_bytes - 1)).is_ok());
    assert_eq!(fault(&text(limits.text_bytes)), Some(Malformed::TooLong(limits.text_bytes)));
    let id = format!(r#"{{"id":"{}"}}"#, "x".repeat(129));
    assert_eq!(fault(&id), Some(Malformed::Long("id", 128)));
    let id = request(&format!(r#""imp":[{{"id":"{}","banner":{{}}}}]"#, "x".repeat(129)));
    assert_eq!(fault(&id), Some(Malformed::Long("imp.id", 128)));
    let large = " ".repeat(limits.body_bytes + 1);
    assert_eq!(fault(&large), Some(Malformed::TooLarge(limits.body_bytes)));
}

#[test]
fn what_is_only_larger_than_what_is_looked_at_has_no_bid_and_is_no_mistake() {
    let many = |each: &str, count: usize| vec![each; count].join(",");
    let imps: Vec<String> = (0..65).map(|n| format!(r#"{{"id":"{n}","banner":{{}}}}"#)).collect();
    for members in [
        format!(r#""badv":[{}]"#, many(r#""a.example""#, 4_097)),
        format!(r#""ext":{{"a":[{}]}}"#, many("0", 100_000)),
        format!(r#""imp":[{}]"#, imps.join(",")),
        format!(r#""imp":[{{"id":"1","banner":{{"battr":[{}]}}}}]"#, many("1", 257)),
    ] {
        let body = request(&members);
        let why = fault(&body).expect("it is not read");
        assert_eq!(why.no_bid(), Some(Reason::Oversized), "{why}");
        // What is no JSON behind it is a mistake as ever.
        for broken in [&body[..body.len() - 1], &format!("{body}]")] {
            let why = fault(broken).expect("broken");
            assert!(matches!(why, Malformed::Json { .. }), "{why}");
            assert_eq!(why.no_bid(), None);
        }
    }
    for body in ["{}", "[1]", r#"{"id":"r","imp":[{"id":"1"}]}"#] {
        assert_eq!(fault(body).and_then(Malformed::no_bid), None, "{body}");
    }
}

#[test]
fn what_decides_nothing_may_be_written_in_any_way() {
    let eids: Vec<String> =
        (0..65).map(|n| format!(r#"{{"source":"{n}","uids":[{{}}]}}"#)).collect();
    for members in [
        r#""user":{"ext":[]}"#.to_owned(),
        r#""user":[],"device":[],"regs":[],"source":[]"#.into(),
        r#""device":{"geo":[]}"#.into(),
        r#""device":{"geo":{"utcoffset":330.5},"devicetype":"phone"}"#.into(),
        r#""device":{"geo":{"utcoffset":""},"devicetype":{}}"#.into(),
        format!(r#""user":{{"eids":[{}]}}"#, eids.join(",")),
        r#""user":{"eids":{"source":1}}"#.into(),
        r#""imp":[{"id":"1","tagid":{},"instl":"yes","rwdd":[],"banner":{"pos":1.5}}]"#.into(),
        r#""imp":[{"id":"1","video":{"mimes":["video/mp4"],"startdelay":0.5,"skip":"no"}}]"#.into(),
        r#""site":{"id":1.5,"publisher":"p"}"#.into(),
    ] {
        let body = request(&members);
        let parsed = parse(&body).unwrap_or_else(|why| panic!("{members}: {why}"));
        let auction = parsed.auction(0, &FREE).expect("auction");
        assert_eq!(auction.geo.utc_offset_min, None);
    }
}

#[test]
fn what_2_5_had_elsewhere_is_read_there() {
    let body = request(
        r#""regs":{"ext":{"gdpr":1,"us_privacy":"1YNN","gpp":"DBAA","gpp_sid":[6]}},
        "user":{"ext":{"consent":"CO","eids":[]}},
        "source":{"ext":{"schain":{"complete":1,"nodes":[{"asi":"a","sid":"b","hp":1}],"ver":"1.0"}}}"#,
    );
    let parsed = parse(&body).expect("request");
    let signals = parsed.signals();
    assert_eq!((signals.gdpr, signals.consent), (Some(true), Some("CO")));
    assert_eq!((signals.us_privacy, signals.gpp), (Some("1YNN"), Some("DBAA")));
    assert_eq!(signals.gpp_sections[..], [6]);
    assert_eq!(parsed.chain().as_str(), "complete");
    // Where both are told, the place of 2.6 counts, but that the GDPR applies counts wherever it is told.
    let body = request(
        r#""regs":{"gdpr":0,"us_privacy":"1---","ext":{"gdpr":1,"us_privacy":"1YYN"}},
        "user":{"consent":"new","ext":{"consent":"old"}}"#,
    );
    let parsed = parse(&body).expect("request");
    let signals = parsed.signals();
    assert_eq!((signals.gdpr, signals.consent), (Some(true), Some("new")));
    assert_eq!(signals.us_privacy, Some("1---"));
}

#[test]
fn escapes_are_resolved_and_the_deadline_is_told_or_not() {
    let body = request(r#""site":{"domain":"N\u0065ws.example"},"tmax":120"#);
    let parsed = parse(&body).expect("request");
    assert_eq!(parsed.site.as_ref().and_then(|site| told(&site.domain)), Some("news.example"));
    assert_eq!(parsed.tmax_ms(), Some(120));
    for (tmax, expected) in [("0", None), ("null", None), ("1e18", Some(u32::MAX))] {
        let body = request(&format!(r#""tmax":{tmax}"#));
        assert_eq!(parse(&body).map(|r| r.tmax_ms()), Ok(expected), "{tmax}");
    }
}
