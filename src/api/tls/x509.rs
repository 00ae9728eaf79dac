//! The few things that are read from a certificate: until when it is good, and whom it names.
//!
//! X.509 is RFC 5280 section 4.1; its bytes are DER (X.690). That the certificate is authentic and
//! well-formed is the verifier's business: what is not understood here is not there.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Names of one kind that are kept; a certificate with more keeps its first.
const NAMES_MAX: usize = 32;
/// Bytes of the longest name that is kept (a SPIFFE id has at most 2048, RFC 5280 gives a common
/// name 64).
const NAME_BYTES_MAX: usize = 2_048;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]` of the version, `[3]` of the extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// `[2]` and `[6]` of a GeneralName.
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;

/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// What a certificate says of its time and its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Good from then on, in microseconds since 1970-01-01 UTC.
    pub not_before_us: i64,
    /// Good until then (that second included), in microseconds since 1970-01-01 UTC.
    pub not_after_us: i64,
    /// The subject's common name; none where there are several.
    pub common_name: Option<String>,
    /// DNS names of the subjectAltName extension.
    pub dns_names: Vec<String>,
    /// URIs of the subjectAltName extension, a SPIFFE id among them.
    pub uris: Vec<String>,
}

/// Reads a certificate's DER bytes. `None` when they are not laid out like a certificate.
pub fn read(certificate: &[u8]) -> Option<Facts> {
    let mut tbs = Der(Der(Der(certificate).take(SEQUENCE)?).take(SEQUENCE)?);
    if tbs.tag() == Some(VERSION) {
        tbs.next()?;
    }
    tbs.take(INTEGER)?; // serial number
    tbs.take(SEQUENCE)?; // signature algorithm
    tbs.take(SEQUENCE)?; // issuer
    let mut validity = Der(tbs.take(SEQUENCE)?);
    let not_before_us = time(validity.next()?)?;
    let not_after_us = time(validity.next()?)?;
    let common_name = common_name(Der(tbs.take(SEQUENCE)?))?;
    tbs.take(SEQUENCE)?; // public key
    let mut facts =
        Facts { not_before_us, not_after_us, common_name, dns_names: vec![], uris: vec![] };
    while let Some((tag, value)) = tbs.next() {
        if tag == EXTENSIONS {
            alternative_names(Der(Der(value).take(SEQUENCE)?), &mut facts)?;
        }
    }
    Some(facts)
}

/// Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value }
fn common_name(mut name: Der) -> Option<Option<String>> {
    let mut found = Vec::new();
    while !name.is_empty() {
        let mut set = Der(name.take(SET)?);
        while !set.is_empty() {
            let mut attribute = Der(set.take(SEQUENCE)?);
            let kind = attribute.take(OID)?;
            let (tag, value) = attribute.next()?;
            if kind == COMMON_NAME {
                let known = matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING);
                found.push(text(value).filter(|_| known));
            }
        }
    }
    // Of several names nobody says which one is meant.
    Some(if found.len() == 1 { found.pop().flatten() } else { None })
}

/// Extensions ::= SEQUENCE OF SEQUENCE { id OID, critical BOOLEAN DEFAULT FALSE, value OCTETS }
fn alternative_names(mut extensions: Der, facts: &mut Facts) -> Option<()> {
    while !extensions.is_empty() {
        let mut extension = Der(extensions.take(SEQUENCE)?);
        if extension.take(OID)? != SUBJECT_ALT_NAME {
            continue;
        }
        if extension.tag() != Some(OCTETS) {
            extension.next()?;
        }
        let mut names = Der(Der(extension.take(OCTETS)?).take(SEQUENCE)?);
        while let Some((tag, value)) = names.next() {
            let kept = match tag {
                DNS_NAME => &mut facts.dns_names,
                URI => &mut facts.uris,
                _ => continue,
            };
            if kept.len() < NAMES_MAX {
                kept.extend(text(value));
            }
        }
    }
    Some(())
}

/// A name that can be shown and written to a log: no control characters, of bounded length.
fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = !text.is_empty() && text.len() <= NAME_BYTES_MAX;
    (fits && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// UTCTime `YYMMDDHHMMSSZ` (RFC 5280 4.1.2.5.1: 50 and more are 19xx) or GeneralizedTime
/// `YYYYMMDDHHMMSSZ`.
fn time((tag, digits): (u8, &[u8])) -> Option<i64> {
    let digits = digits.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |at: std::ops::Range<usize>| -> Option<i16> {
        std::str::from_utf8(digits.get(at)?).ok()?.parse().ok()
    };
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => (number(0..2).map(|y| if y >= 50 { 1900 + y } else { 2000 + y })?, 2),
        (GENERALIZED_TIME, 14) => (number(0..4)?, 4),
        _ => return None,
    };
    let pair = |at: usize| -> Option<i8> { number(rest + at..rest + at + 2)?.try_into().ok() };
    let at = DateTime::new(year, pair(0)?, pair(2)?, pair(4)?, pair(6)?, pair(8)?, 0).ok()?;
    // 99991231235959Z means "no end" (RFC 5280 4.1.2.5) and is beyond what a timestamp holds.
    let end = Timestamp::MAX;
    Some(at.to_zoned(TimeZone::UTC).map_or(end, |at| at.timestamp()).as_microsecond())
}

/// Elements that are still to be read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// The next element's tag and value. Tags of several bytes do not occur in certificates.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        self.0 = rest;
        Some((tag, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn names_and_times_are_read_as_they_were_written() {
        let der = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "Ädler GmbH");
            params.distinguished_name.push(DnType::OrganizationName, "not this");
            params.not_before = date_time_ymd(1999, 12, 31);
            params.not_after = date_time_ymd(2049, 2, 28);
            let id = "spiffe://kiki/ns/flow".try_into().unwrap();
            params.subject_alt_names.push(SanType::URI(id));
            // An extension before the names, and a critical one.
            let mut other = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            other.set_criticality(true);
            params.custom_extensions.push(other);
        });
        let expected = Facts {
            not_before_us: us("1999-12-31T00:00:00Z"),
            not_after_us: us("2049-02-28T00:00:00Z"),
            common_name: Some("Ädler GmbH".to_owned()),
            dns_names: vec!["a.example".to_owned()],
            uris: vec!["spiffe://kiki/ns/flow".to_owned()],
        };
        assert_eq!(read(&der), Some(expected));
    }

    #[test]
    fn years_beyond_2049_are_read_and_the_year_without_end_too() {
        let der = made(|params| params.not_after = date_time_ymd(2050, 1, 1));
        assert_eq!(read(&der).unwrap().not_after_us, us("2050-01-01T00:00:00Z"));
        let endless = time((GENERALIZED_TIME, b"99991231235959Z"));
        assert_eq!(endless, Some(Timestamp::MAX.as_microsecond()));
        assert_eq!(time((UTC_TIME, b"500101000000Z")), Some(us("1950-01-01T00:00:00Z")));
        assert_eq!(time((UTC_TIME, b"500101000000")), None);
        assert_eq!(time((UTC_TIME, b"501301000000Z")), None);
        assert_eq!(time((UTC_TIME, b"5001010000+1Z")), None);
    }

    #[test]
    fn names_that_would_break_a_log_line_are_not_kept() {
        let der = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "a\nb");
        });
        assert_eq!(read(&der).unwrap().common_name, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_fail(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            cut in 0usize..500,
            (at, bit) in (0usize..500, 0u8..8),
        ) {
            read(&noise);
            let mut der = made(|_| {});
            let at = at % der.len();
            der[at] ^= 1 << bit;
            read(&der);
            let cut = cut % der.len();
            prop_assert_eq!(read(&der[..cut]), None);
        }
    }
}
