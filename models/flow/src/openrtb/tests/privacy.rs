//! What a request says about consent, to the permit.

use crate::privacy::{Permits, Terms};

use super::{parse, request};

/// May anything be bid, and may personal data be used?
fn permits(members: &str) -> (bool, bool) {
    let body = request(members);
    let parsed = parse(&body).expect("request");
    let terms = Terms { vendor: Some(755), ..Terms::default() };
    let permits = Permits::of(&parsed.signals(), &terms);
    (permits.bid.is_ok(), permits.personal)
}

#[test]
fn without_consent_there_is_no_bid_in_europe_however_its_countries_are_written() {
    for country in
        ["DEU", "deu", "DE", "de", "UK", "GB", "EL", "gr", "AX", "MF", "EU", "Germany", "276"]
    {
        for place in ["device", "user"] {
            let members = format!(r#""{place}":{{"geo":{{"country":"{country}"}}}}"#);
            assert_eq!(permits(&members), (false, false), "{members}");
        }
    }
    for country in ["USA", "US", "br", "JPN", ""] {
        let members = format!(r#""device":{{"geo":{{"country":"{country}"}}}}"#);
        assert_eq!(permits(&members), (true, true), "{members}");
    }
}

#[test]
fn who_asks_not_to_be_tracked_is_not_by_whatever_way_it_is_told() {
    for members in [
        r#""device":{"lmt":1}"#,
        r#""device":{"dnt":"1"}"#,
        r#""device":{"ext":{"atts":0}}"#,
        r#""device":{"lmt":0,"ext":{"atts":2}}"#,
        r#""regs":{"ext":{"gpc":"1"}}"#,
        r#""regs":{"gpc":1}"#,
        r#""regs":{"coppa":1}"#,
        r#""regs":{"us_privacy":"1YYN"}"#,
        r#""regs":{"gpp_sid":[7]}"#,
        r#""regs":{"gpp":"DBAB"}"#,
    ] {
        assert_eq!(permits(members), (true, false), "{members}");
    }
    let asks_nothing = r#""device":{"lmt":0,"ext":{"atts":3}},"regs":{"ext":{"gpc":"0"}}"#;
    assert_eq!(permits(asks_nothing), (true, true));
}
