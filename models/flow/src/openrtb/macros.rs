//! The macros that an exchange replaces in our notices and markup (OpenRTB 2.6, section 4.4).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A macro by its name between `${` and `}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Macro {
    Id,
    BidId,
    ImpId,
    SeatId,
    AdId,
    Price,
    Currency,
    /// The clearing price as a part of the bid.
    Mbr,
    Loss,
    MinToWin,
    Multiplier,
    ImpTs,
}

const NAMES: [(&str, Macro); 12] = [
    ("AUCTION_ID", Macro::Id),
    ("AUCTION_BID_ID", Macro::BidId),
    ("AUCTION_IMP_ID", Macro::ImpId),
    ("AUCTION_SEAT_ID", Macro::SeatId),
    ("AUCTION_AD_ID", Macro::AdId),
    ("AUCTION_PRICE", Macro::Price),
    ("AUCTION_CURRENCY", Macro::Currency),
    ("AUCTION_MBR", Macro::Mbr),
    ("AUCTION_LOSS", Macro::Loss),
    ("AUCTION_MIN_TO_WIN", Macro::MinToWin),
    ("AUCTION_MULTIPLIER", Macro::Multiplier),
    ("AUCTION_IMP_TS", Macro::ImpTs),
];

/// `${AUCTION_MULTIPLIER:B64}` is the longest.
const WHOLE_BYTES_MAX: usize = 32;

/// What macros stand for. What is `None` is not known.
#[derive(Clone, Debug, Default)]
pub struct Values<'a>([Option<Cow<'a, str>>; NAMES.len()]);

impl<'a> Values<'a> {
    pub fn set(&mut self, name: Macro, value: impl Into<Cow<'a, str>>) -> &mut Self {
        if let Some(slot) = self.0.get_mut(name as usize) {
            *slot = Some(value.into());
        }
        self
    }

    fn get(&self, name: Macro) -> Option<&str> {
        self.0.get(name as usize).and_then(|value| value.as_deref())
    }
}

/// Where the macros stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In an address: values are percent-encoded, `:B64` is base64url.
    Url,
    /// In markup: values are as they are, `:B64` is base64.
    Markup,
}

/// What becomes of a macro whose value is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It stays as it is.
    Left,
    /// It becomes `AUDIT`, as when a markup is rendered to be looked at.
    Audit,
    /// It becomes nothing.
    Empty,
}

/// Appends `template` with its macros replaced. What is no macro, or one that is not known, or one with
/// another encoding than `B64`, stays as it is. Values are not looked through for macros again.
pub fn replace(
    template: &str,
    values: &Values<'_>,
    place: Place,
    unknown: Unknown,
    out: &mut String,
) {
    let mut rest = template;
    while let Some(at) = rest.find("${") {
        let (plain, found) = rest.split_at(at);
        out.push_str(plain);
        // Not further than a macro's name goes, however many openings there are.
        let end = found.bytes().take(WHOLE_BYTES_MAX).position(|byte| byte == b'}');
        let whole = end.and_then(|end| found.get(..=end));
        let Some((whole, (name, encoded))) = whole.and_then(|whole| Some((whole, parse(whole)?)))
        else {
            out.push_str("${");
            rest = found.get(2..).unwrap_or_default();
            continue;
        };
        match (values.get(name), unknown) {
            (Some(value), _) => write(value, encoded, place, out),
            (None, Unknown::Left) => out.push_str(whole),
            (None, Unknown::Audit) => write("AUDIT", encoded, place, out),
            (None, Unknown::Empty) => {}
        }
        rest = found.get(whole.len()..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// The macro, and whether its value is wanted in base64.
fn parse(whole: &str) -> Option<(Macro, bool)> {
    let name = whole.strip_prefix("${")?.strip_suffix('}')?;
    let (name, encoded) = match name.split_once(':') {
        Some((name, "B64")) => (name, true),
        Some(_) => return None,
        None => (name, false),
    };
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, name)| (*name, encoded))
}

fn write(value: &str, encoded: bool, place: Place, out: &mut String) {
    match (encoded, place) {
        (true, Place::Url) => URL_SAFE_NO_PAD.encode_string(value, out),
        (true, Place::Markup) => STANDARD.encode_string(value, out),
        (false, Place::Url) => percent(value, out),
        (false, Place::Markup) => out.push_str(value),
    }
}

/// Appends a value of a query, percent-encoded but for the unreserved characters (RFC 3986, section 2.3).
pub fn percent(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(digit.into(), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replaced(template: &str, place: Place, unknown: Unknown) -> String {
        let mut values = Values::default();
        values
            .set(Macro::Price, "1.25")
            .set(Macro::ImpId, "a/b &${AUCTION_PRICE}")
            .set(Macro::Id, "?>");
        let mut out = String::new();
        replace(template, &values, place, unknown, &mut out);
        out
    }

    #[test]
    fn every_macro_of_the_specification_is_replaced() {
        for (nth, (name, known)) in NAMES.iter().enumerate() {
            let mut values = Values::default();
            values.set(*known, nth.to_string());
            let mut out = String::new();
            replace(&format!("<${{{name}}}>"), &values, Place::Url, Unknown::Left, &mut out);
            assert_eq!(out, format!("<{nth}>"));
        }
    }

    #[test]
    fn values_are_encoded_for_the_place_where_they_stand() {
        let (url, markup) = (Place::Url, Place::Markup);
        for (template, place, expected) in [
            ("p=${AUCTION_PRICE}", url, "p=1.25"),
            ("i=${AUCTION_IMP_ID}&", url, "i=a%2Fb%20%26%24%7BAUCTION_PRICE%7D&"),
            ("i=${AUCTION_IMP_ID}", markup, "i=a/b &${AUCTION_PRICE}"),
            ("${AUCTION_PRICE:B64}", url, "MS4yNQ"),
            ("${AUCTION_ID:B64}", url, "Pz4"),
            ("${AUCTION_ID:B64}", markup, "Pz4="),
            ("${AUCTION_PRICE}${AUCTION_PRICE}", url, "1.251.25"),
            ("${AUCTION_PRICE:ROT13}", url, "${AUCTION_PRICE:ROT13}"),
            ("${OTHER} ${auction_price} $ { ${ ${}", url, "${OTHER} ${auction_price} $ { ${ ${}"),
            ("${${AUCTION_PRICE}", url, "${1.25"),
            ("ä${AUCTION_PRICE}ä", url, "ä1.25ä"),
        ] {
            assert_eq!(replaced(template, place, Unknown::Left), expected);
        }
    }

    #[test]
    fn what_is_not_known_stays_or_is_audit_or_nothing() {
        let template = "${AUCTION_LOSS}|${AUCTION_LOSS:B64}";
        assert_eq!(replaced(template, Place::Url, Unknown::Left), template);
        assert_eq!(replaced(template, Place::Url, Unknown::Audit), "AUDIT|QVVESVQ");
        assert_eq!(replaced(template, Place::Url, Unknown::Empty), "|");
    }

    proptest! {
        #[test]
        fn a_text_without_macros_stays_and_none_panics(text in "(\\$|\\{|\\}|:|AUCTION_PRICE|ä|.){0,30}") {
            let out = replaced(&text, Place::Url, Unknown::Left);
            if !text.contains("${AUCTION_PRICE}") && !text.contains("${AUCTION_PRICE:B64}") {
                prop_assert_eq!(out, text);
            }
        }
    }
}
