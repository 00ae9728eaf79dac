//! Writes TC strings for the tests: by a way of its own, bit by bit as text.

use super::core::Core;
use super::sets::{Numbers, Vendors};
use super::tc::{RestrictionType, Tc};

/// A string with nothing in it.
pub(super) fn blank() -> Tc {
    Tc {
        core: Core {
            created_us: 0,
            last_updated_us: 0,
            cmp_id: 0,
            cmp_version: 0,
            consent_screen: 0,
            consent_language: *b"EN",
            vendor_list_version: 0,
            policy_version: 2,
            is_service_specific: false,
            use_non_standard_texts: false,
            special_feature_opt_ins: Numbers::default(),
            purposes_consent: Numbers::default(),
            purposes_li_transparency: Numbers::default(),
            purpose_one_treatment: false,
            publisher_country: *b"AA",
            vendor_consents: Vendors::default(),
            vendor_legitimate_interests: Vendors::default(),
            restrictions: vec![],
        },
        disclosed: None,
        allowed: None,
        publisher: None,
    }
}

/// Zeros and ones to base64url, six at a time.
pub(super) fn base64url(bits: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let six = |chunk: &[u8]| {
        let text = format!("{:0<6}", std::str::from_utf8(chunk).unwrap());
        char::from(LETTERS[usize::from_str_radix(&text, 2).unwrap()])
    };
    bits.as_bytes().chunks(6).map(six).collect()
}

fn number(value: u64, width: usize) -> String {
    format!("{value:0width$b}")
}

fn letters(pair: [u8; 2]) -> String {
    pair.map(|c| number(u64::from(c - b'A'), 6)).concat()
}

fn numbers(set: Numbers, count: u8) -> String {
    (1..=count).map(|n| if set.contains(n) { '1' } else { '0' }).collect()
}

fn ranges(ranges: &[(u16, u16)]) -> String {
    let one = |(start, end): &(u16, u16)| match start == end {
        true => format!("0{start:016b}"),
        false => format!("1{start:016b}{end:016b}"),
    };
    number(ranges.len() as u64, 12) + &ranges.iter().map(one).collect::<String>()
}

/// By ranges, or by a bit for each.
pub(super) fn vendors(set: &Vendors, by_ranges: bool) -> String {
    let max = set.iter().last().unwrap_or(0);
    if !by_ranges {
        let bits: String = (1..=max).map(|v| if set.contains(v) { '1' } else { '0' }).collect();
        return format!("{max:016b}0{bits}");
    }
    let mut runs: Vec<(u16, u16)> = vec![];
    for v in set.iter() {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == v => *end = v,
            _ => runs.push((v, v)),
        }
    }
    format!("{max:016b}1{}", ranges(&runs))
}

/// The string of a [`Tc`]; `custom` is the number of custom purposes.
pub(super) fn encode(tc: &Tc, by_ranges: bool, custom: u8) -> String {
    let c = &tc.core;
    let flag = |yes| if yes { "1" } else { "0" };
    let mut core = [
        number(2, 6),
        number(c.created_us as u64 / 100_000, 36),
        number(c.last_updated_us as u64 / 100_000, 36),
        number(c.cmp_id.into(), 12),
        number(c.cmp_version.into(), 12),
        number(c.consent_screen.into(), 6),
        letters(c.consent_language),
        number(c.vendor_list_version.into(), 12),
        number(c.policy_version.into(), 6),
        flag(c.is_service_specific).to_owned(),
        flag(c.use_non_standard_texts).to_owned(),
        numbers(c.special_feature_opt_ins, 12),
        numbers(c.purposes_consent, 24),
        numbers(c.purposes_li_transparency, 24),
        flag(c.purpose_one_treatment).to_owned(),
        letters(c.publisher_country),
        vendors(&c.vendor_consents, by_ranges),
        vendors(&c.vendor_legitimate_interests, !by_ranges),
        number(c.restrictions.len() as u64, 12),
    ]
    .concat();
    for r in &c.restrictions {
        let kind = match r.kind {
            RestrictionType::NotAllowed => 0,
            RestrictionType::RequireConsent => 1,
            RestrictionType::RequireLegitimateInterest => 2,
            RestrictionType::Undefined => 3,
        };
        core += &(number(r.purpose.into(), 6) + &number(kind, 2) + &ranges(&r.vendors));
    }
    let mut segments = vec![core];
    segments.extend(tc.publisher.map(|p| {
        [
            number(3, 3),
            numbers(p.purposes_consent, 24),
            numbers(p.purposes_li_transparency, 24),
            number(custom.into(), 6),
            numbers(p.custom_purposes_consent, custom),
            numbers(p.custom_purposes_li_transparency, custom),
        ]
        .concat()
    }));
    segments.extend(tc.disclosed.as_ref().map(|v| number(1, 3) + &vendors(v, by_ranges)));
    segments.extend(tc.allowed.as_ref().map(|v| number(2, 3) + &vendors(v, !by_ranges)));
    segments.iter().map(|s| base64url(s)).collect::<Vec<String>>().join(".")
}
