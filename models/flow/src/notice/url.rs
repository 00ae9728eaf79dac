//! The addresses of notices, signed.
//!
//! `<base>/openrtb2/<kind>?v=1&k=<kind>&h=<hold>&i=<impression>&x=<expiry>&d=<digest>&s=<mac>` and then the
//! macros that the exchange fills in: `p` price, `c` currency, `m` the least that wins, `l` why it was
//! lost. The MAC is HMAC-SHA-256, the first 16 bytes of it (RFC 2104, section 5), over version, hold, expiry,
//! impression, digest and kind, each in a form of fixed length or with its length before it. The kind is last,
//! as it is all that the three addresses of a bid do not have in common. What the exchange fills in is not under
//! it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use kiki_models::shield::entry::Op;

use super::Kind;
use crate::openrtb::macros::percent;

/// Bytes of the longest address that is written: exchanges take 2,048, macros filled in.
pub const URL_BYTES_MAX: usize = 1_799;
/// Bytes of the longest digest that an address carries.
pub const DIGEST_BYTES_MAX: usize = crate::decision::digest::DIGEST_BYTES_MAX;
/// Bytes of the longest id of an impression that an address carries, as it is.
pub const IMPRESSION_BYTES_MAX: usize = 128;
/// Bytes of the longest query that is looked at: exchanges add parameters of their own.
pub const QUERY_BYTES_MAX: usize = 4_096;
const MAC_BYTES: usize = 16;
const VERSION: u8 = 1;

/// What an address says that only we can have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket<'a> {
    pub kind: Kind,
    pub hold: Op,
    /// The exchange's id of the impression.
    pub impression: std::borrow::Cow<'a, str>,
    /// Wall-clock microseconds since 1970 UTC, a whole number of milliseconds: when the hold ends.
    pub expires_us: i64,
    /// What the decision can be told from.
    pub digest: std::borrow::Cow<'a, [u8]>,
}

/// A notice as it was called: what we signed, and what the exchange filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice<'a> {
    pub ticket: Ticket<'a>,
    pub told: Told<'a>,
}

/// What the exchange filled in, percent-decoded and otherwise as it came. `None`: the parameter is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told<'a> {
    pub price: Option<std::borrow::Cow<'a, str>>,
    pub currency: Option<std::borrow::Cow<'a, str>>,
    pub min_to_win: Option<std::borrow::Cow<'a, str>>,
    pub loss: Option<std::borrow::Cow<'a, str>>,
}

/// Why an address is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("the digest is longer than {DIGEST_BYTES_MAX} bytes")]
    Digest,
    #[error("the impression's id is longer than {IMPRESSION_BYTES_MAX} bytes")]
    Impression,
    #[error("the address would be longer than {URL_BYTES_MAX} bytes")]
    Url,
}

/// An address that is none of ours. It is not said what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a notice of this installation")]
pub struct BadNotice;

/// The key that signs, and the one before it, which still opens.
#[derive(Clone)]
pub struct Keys {
    newest: Hmac<Sha256>,
    before: Option<Hmac<Sha256>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    // Of a key of any length HMAC makes one: this cannot fail.
    Hmac::new_from_slice(secret).expect("hmac takes keys of any length")
}

impl Keys {
    pub fn new(newest: &[u8], before: Option<&[u8]>) -> Keys {
        Keys { newest: keyed(newest), before: before.map(keyed) }
    }

    /// The addresses of all notices of one bid; the ticket's kind is not looked at. `base`: as of [`Keys::write`].
    pub fn write_all(&self, base: &str, ticket: &Ticket<'_>) -> Result<Addresses, Unwritable> {
        let ms = writable(ticket)?;
        let common = common(&self.newest, ticket, ms);
        let mut all = Addresses { text: String::with_capacity(3 * 640), ends: [0; 3] };
        let mut shared: Option<std::ops::Range<usize>> = None;
        for (kind, place) in Kind::ALL.into_iter().zip(0..) {
            let text = &mut all.text;
            let start = text.len();
            head(base, kind, text);
            match shared.clone() {
                Some(shared) => text.extend_from_within(shared),
                None => {
                    let from = text.len();
                    body(ticket, ms, text);
                    shared = Some(from..text.len());
                }
            }
            tail(kind, common.clone(), text);
            if text.len() - start > URL_BYTES_MAX {
                return Err(Unwritable::Url);
            }
            if let Some(end) = all.ends.get_mut(place) {
                *end = text.len();
            }
        }
        Ok(all)
    }

    /// Appends the address of a notice. `base` is scheme, host and port, without a slash at its end.
    pub fn write(
        &self,
        base: &str,
        ticket: &Ticket<'_>,
        out: &mut String,
    ) -> Result<(), Unwritable> {
        let ms = writable(ticket)?;
        let start = out.len();
        head(base, ticket.kind, out);
        body(ticket, ms, out);
        tail(ticket.kind, common(&self.newest, ticket, ms), out);
        if out.len() - start > URL_BYTES_MAX {
            out.truncate(start);
            return Err(Unwritable::Url);
        }
        Ok(())
    }

    /// Reads the query of a notice that was called at the path of `kind`. Parameters that are not known are
    /// passed over; a signed one that comes twice is refused.
    pub fn open<'q>(&self, kind: Kind, query: &'q str) -> Result<Notice<'q>, BadNotice> {
        if query.len() > QUERY_BYTES_MAX {
            return Err(BadNotice);
        }
        let mut signed_parts: [Option<&str>; 7] = [None; 7];
        let mut told = Told::default();
        for part in query.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let at = match name {
                "v" => 0,
                "k" => 1,
                "h" => 2,
                "i" => 3,
                "x" => 4,
                "d" => 5,
                "s" => 6,
                "p" => {
                    told.price.get_or_insert(decoded(value));
                    continue;
                }
                "c" => {
                    told.currency.get_or_insert(decoded(value));
                    continue;
                }
                "m" => {
                    told.min_to_win.get_or_insert(decoded(value));
                    continue;
                }
                "l" => {
                    told.loss.get_or_insert(decoded(value));
                    continue;
                }
                _ => continue,
            };
            let slot = signed_parts.get_mut(at).ok_or(BadNotice)?;
            if slot.replace(value).is_some() {
                return Err(BadNotice);
            }
        }
        let [
            Some(version),
            Some(letter),
            Some(hold),
            Some(impression),
            Some(ms),
            Some(digest),
            Some(mac),
        ] = signed_parts
        else {
            return Err(BadNotice);
        };
        if version != "1"
            || letter.chars().ne([kind.letter()])
            || digest.len() > 2 * DIGEST_BYTES_MAX
        {
            return Err(BadNotice);
        }
        let ms: i64 = ms.parse().map_err(|_| BadNotice)?;
        let ticket = Ticket {
            kind,
            hold: Op::from_hex(hold).ok_or(BadNotice)?,
            impression: decoded(impression),
            expires_us: ms.checked_mul(1_000).ok_or(BadNotice)?,
            digest: URL_SAFE_NO_PAD.decode(digest).map_err(|_| BadNotice)?.into(),
        };
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| BadNotice)?;
        if mac.len() != MAC_BYTES {
            return Err(BadNotice);
        }
        // Compared in constant time.
        let good = |key: &Hmac<Sha256>| {
            of_kind(kind, common(key, &ticket, ms)).verify_truncated_left(&mac).is_ok()
        };
        if good(&self.newest) || self.before.as_ref().is_some_and(good) {
            return Ok(Notice { ticket, told });
        }
        Err(BadNotice)
    }
}

/// The addresses of the notices of one bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// One after the other, in the order of [`Kind::ALL`].
    text: String,
    ends: [usize; 3],
}

impl Addresses {
    pub fn get(&self, kind: Kind) -> &str {
        let place = Kind::ALL.iter().position(|it| *it == kind).unwrap_or(0);
        let end = |place: usize| self.ends.get(place).copied().unwrap_or(0);
        let start = place.checked_sub(1).map_or(0, end);
        self.text.get(start..end(place)).unwrap_or_default()
    }
}

/// The milliseconds at which a ticket expires, if an address can say all of it.
fn writable(ticket: &Ticket<'_>) -> Result<i64, Unwritable> {
    if ticket.digest.len() > DIGEST_BYTES_MAX {
        return Err(Unwritable::Digest);
    }
    if ticket.impression.len() > IMPRESSION_BYTES_MAX {
        return Err(Unwritable::Impression);
    }
    Ok(ticket.expires_us.div_euclid(1_000))
}

fn head(base: &str, kind: Kind, out: &mut String) {
    out.push_str(base);
    out.push_str(kind.path());
    // Formatting into a string cannot fail.
    let _ = std::fmt::Write::write_fmt(out, format_args!("?v={VERSION}&k={}", kind.letter()));
}

fn body(ticket: &Ticket<'_>, ms: i64, out: &mut String) {
    let _ = std::fmt::Write::write_fmt(out, format_args!("&h={}&i=", ticket.hold));
    percent(&ticket.impression, out);
    let _ = std::fmt::Write::write_fmt(out, format_args!("&x={ms}&d="));
    URL_SAFE_NO_PAD.encode_string(&ticket.digest, out);
    out.push_str("&s=");
}

fn tail(kind: Kind, common: Hmac<Sha256>, out: &mut String) {
    let mac = of_kind(kind, common).finalize().into_bytes();
    URL_SAFE_NO_PAD.encode_string(mac.get(..MAC_BYTES).unwrap_or_default(), out);
    out.push_str("&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}");
    match kind {
        Kind::Win => out.push_str("&m=${AUCTION_MIN_TO_WIN}"),
        Kind::Loss => out.push_str("&m=${AUCTION_MIN_TO_WIN}&l=${AUCTION_LOSS}"),
        Kind::Billing => {}
    }
}

/// What the addresses of a bid have in common, signed so far.
fn common(key: &Hmac<Sha256>, ticket: &Ticket<'_>, ms: i64) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(&[VERSION]);
    mac.update(&ticket.hold.0.to_be_bytes());
    mac.update(&ms.to_be_bytes());
    for part in [ticket.impression.as_bytes(), &ticket.digest] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn of_kind(kind: Kind, mut mac: Hmac<Sha256>) -> Hmac<Sha256> {
    mac.update(&[kind.letter() as u8]);
    mac
}

/// Percent-decoded; what is no code stays as it is, bytes that are no text become U+FFFD.
fn decoded(value: &str) -> std::borrow::Cow<'_, str> {
    use std::borrow::Cow;
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        if *byte == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            bytes.push((high << 4 | low) as u8);
            rest = after;
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
