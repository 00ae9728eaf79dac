//! What a notice's URL carries of a decision: enough to book it, and to rebuild its record.
//!
//! ```text
//! version 2 · flags · which texts are hashes · hold (16) · at · cpm · bid currency (3) · [if the campaign's is
//! another: price · its currency (3) · both rates] · definition · value, mu, lambda, pass (8 each) · [LTV] · [floor] ·
//! account · campaign · creative · impression · model · auction · deal
//! ```
//!
//! Version 1 has neither floor nor auction nor deal: it is read, and not written any more. Whole numbers are LEB128,
//! texts have their length before them. Whoever takes a digest from outside checks
//! the signature around it first; bytes that are none are refused all the same.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest as _;

use kiki_models::shield::money::{Currency, Micros, Rate};

use crate::auction::rates::Cross;
use crate::pacing::Multipliers;
use crate::targeting::LtvStatus;

use super::varint::{self, Reader};

/// Bytes of the longest digest: of an account, a campaign and an auction whose names are as long as they may be. They
/// are never hashes, as a notice is booked by the first two, and a record is looked up by the third.
pub const DIGEST_BYTES_MAX: usize = 608;
/// Beyond this many, the auction's id not among them, texts that nothing is booked or looked up by become hashes.
const USUAL_BYTES_MAX: usize = 256;
/// These, in this order: the impression, which its address has beside the digest; the creative; the model; the deal.
const SHRINKS: [usize; 4] = [3, 2, 4, 6];
/// The place of the auction among the texts.
const AUCTION: usize = 5;
/// Texts of a digest, and of one of version 1.
const TEXTS: usize = 7;
const TEXTS_BEFORE: u8 = 5;
/// Characters of it in base64url.
pub const DIGEST_CHARS_MAX: usize = (DIGEST_BYTES_MAX * 4).div_ceil(3);
/// Bytes of a text that is carried as it is.
pub const TEXT_BYTES_MAX: usize = 128;
const HASH_BYTES: usize = 16;
const VERSION: u8 = 2;
/// The one before it, which still opens.
const BEFORE: u8 = 1;

/// A text, or where it had no room the first 128 bits of its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    Plain(String),
    Hash([u8; HASH_BYTES]),
}

impl Text {
    pub fn plain(text: &str) -> Text {
        match text.len() {
            0..=TEXT_BYTES_MAX => Text::Plain(text.to_owned()),
            _ => Text::Hash(hash(text)),
        }
    }

    /// Whether it is this text.
    pub fn is(&self, text: &str) -> bool {
        match self {
            Text::Plain(plain) => plain == text,
            Text::Hash(bytes) => *bytes == hash(text),
        }
    }
}

/// The first 128 bits of SHA-256.
pub fn hash(text: &str) -> [u8; HASH_BYTES] {
    let all: [u8; 32] = sha2::Sha256::digest(text).into();
    let mut first = [0; HASH_BYTES];
    first.copy_from_slice(&all[..HASH_BYTES]);
    first
}

/// See the module's page. Whoever writes one need not own its texts: [`Said`].
#[derive(Clone, Debug, PartialEq)]
pub struct Digest<T = Text> {
    pub account: T,
    pub campaign: T,
    pub creative: T,
    pub impression: T,
    /// Version of the model of the LTV; empty where none answered.
    pub model: T,
    /// The exchange's id of the request; empty where it is not known, as of version 1. Requests whose id is longer than
    /// [`TEXT_BYTES_MAX`] are not bid on.
    pub auction: T,
    /// The exchange's id of the deal; empty: none, or not known.
    pub deal: T,
    /// Version of the campaign's definition.
    pub definition: u32,
    pub hold: u128,
    /// Wall-clock micros.
    pub at_us: i64,
    /// For a thousand, in the campaign's currency.
    pub cpm: Micros,
    pub own_currency: Currency,
    /// What the exchange was told, for a thousand.
    pub price: Micros,
    pub currency: Currency,
    /// From the campaign's currency to the bid's.
    pub cross: Cross,
    pub first_price: bool,
    /// Micros of the campaign's currency an impression. Not finite: 0 is carried.
    pub value: f64,
    pub multipliers: Multipliers,
    /// In the campaign's currency.
    pub ltv: Option<Micros>,
    pub ltv_status: LtvStatus,
    /// For a thousand, in the campaign's currency; 0: none, or not known.
    pub floor: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the digest of a decision")]
pub struct BadDigest;

const FIRST_PRICE: u8 = 1;
const HAS_LTV: u8 = 2;
const CONVERTED: u8 = 4;
const STATUS_SHIFT: u8 = 3;
const STATUS: u8 = 0b11;
const HAS_FLOOR: u8 = 32;
const FLAGS: u8 = 0b11_1111;
const FLAGS_BEFORE: u8 = 0b1_1111;

/// A text as a digest carries it.
#[derive(Clone, Copy, Debug)]
pub enum Carried<'a> {
    Plain(&'a str),
    Hash([u8; HASH_BYTES]),
}

impl<'a> Carried<'a> {
    fn of(text: &'a str) -> Carried<'a> {
        match text.len() {
            0..=TEXT_BYTES_MAX => Carried::Plain(text),
            _ => Carried::Hash(hash(text)),
        }
    }

    fn bytes(self) -> usize {
        match self {
            // The length before it is one byte below 128 and two at 128.
            Carried::Plain(text) => text.len() + if text.len() < 128 { 1 } else { 2 },
            Carried::Hash(_) => HASH_BYTES,
        }
    }
}

/// What a digest can have its texts from: its own, or somebody else's while it is written.
pub trait Said {
    fn carried(&self) -> Carried<'_>;
}

impl Said for Text {
    fn carried(&self) -> Carried<'_> {
        match self {
            // Whatever somebody has put into it: what is too long is a hash.
            Text::Plain(text) => Carried::of(text),
            Text::Hash(hash) => Carried::Hash(*hash),
        }
    }
}

impl Said for &str {
    fn carried(&self) -> Carried<'_> {
        Carried::of(self)
    }
}

impl<T: Said> Digest<T> {
    fn texts(&self) -> [Carried<'_>; TEXTS] {
        let Digest { account, campaign, creative, impression, model, auction, deal, .. } = self;
        [account, campaign, creative, impression, model, auction, deal].map(Said::carried)
    }

    fn converts(&self) -> bool {
        self.own_currency != self.currency || self.price != self.cpm || self.cross != Cross::SAME
    }

    /// The bytes, at most [`DIGEST_BYTES_MAX`]. Where there are more than usual, texts become hashes; never
    /// those of account, campaign and auction, unless they are longer than names.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(DIGEST_BYTES_MAX);
        let converted = self.converts();
        let status = LtvStatus::ALL.iter().position(|it| *it == self.ltv_status).unwrap_or(3) as u8;
        let mut flags = status << STATUS_SHIFT;
        flags |= if self.first_price { FIRST_PRICE } else { 0 };
        flags |= if self.ltv.is_some() { HAS_LTV } else { 0 };
        flags |= if converted { CONVERTED } else { 0 };
        flags |= if self.floor == Micros::ZERO { 0 } else { HAS_FLOOR };
        // Which texts are hashes is known at the end.
        bytes.extend([VERSION, flags, 0]);
        bytes.extend(self.hold.to_be_bytes());
        varint::put_signed(self.at_us, &mut bytes);
        varint::put_signed(self.cpm.0, &mut bytes);
        bytes.extend(self.currency.as_str().as_bytes());
        if converted {
            varint::put_signed(self.price.0, &mut bytes);
            bytes.extend(self.own_currency.as_str().as_bytes());
            varint::put_signed(self.cross.from.0, &mut bytes);
            varint::put_signed(self.cross.to.0, &mut bytes);
        }
        varint::put(u64::from(self.definition), &mut bytes);
        let Multipliers { mu, lambda, pass } = self.multipliers;
        for n in [self.value, mu, lambda, pass] {
            let n = if n.is_finite() { n } else { 0.0 };
            bytes.extend(n.to_le_bytes());
        }
        if let Some(ltv) = self.ltv {
            varint::put_signed(ltv.0, &mut bytes);
        }
        if self.floor != Micros::ZERO {
            varint::put_signed(self.floor.0, &mut bytes);
        }
        let mut texts = self.texts();
        let auction = texts.get(AUCTION).map_or(0, |auction| auction.bytes());
        let room = (USUAL_BYTES_MAX + auction).saturating_sub(bytes.len());
        for at in SHRINKS {
            if texts.iter().map(|text| text.bytes()).sum::<usize>() <= room {
                break;
            }
            if let Some(text) = texts.get_mut(at)
                && let Carried::Plain(plain) = *text
                && plain.len() >= HASH_BYTES
            {
                *text = Carried::Hash(hash(plain));
            }
        }
        let hashes = texts
            .iter()
            .enumerate()
            .fold(0, |hashes, (i, text)| hashes | u8::from(matches!(text, Carried::Hash(_))) << i);
        if let Some(which) = bytes.get_mut(2) {
            *which = hashes;
        }
        for text in &texts {
            match text {
                Carried::Hash(hash) => bytes.extend(hash),
                Carried::Plain(text) => {
                    varint::put(text.len() as u64, &mut bytes);
                    bytes.extend(text.as_bytes());
                }
            }
        }
        debug_assert!(bytes.len() <= DIGEST_BYTES_MAX);
        bytes
    }

    /// The same in base64url without padding, at most [`DIGEST_CHARS_MAX`] characters.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.encode())
    }
}

impl Digest {
    pub fn decode(bytes: &[u8]) -> Result<Digest, BadDigest> {
        if bytes.len() > DIGEST_BYTES_MAX {
            return Err(BadDigest);
        }
        let mut reader = Reader(bytes);
        let digest = read(&mut reader).ok_or(BadDigest)?;
        if reader.0.is_empty() { Ok(digest) } else { Err(BadDigest) }
    }

    /// Of the text of one.
    pub fn from_text(text: &str) -> Result<Digest, BadDigest> {
        if text.len() > DIGEST_CHARS_MAX {
            return Err(BadDigest);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadDigest)?;
        Digest::decode(&bytes)
    }
}

fn read(it: &mut Reader<'_>) -> Option<Digest> {
    let [version, flags, hashes] = it.array()?;
    let (known, texts) = match version {
        VERSION => (FLAGS, TEXTS as u8),
        BEFORE => (FLAGS_BEFORE, TEXTS_BEFORE),
        _ => return None,
    };
    if flags & !known != 0 || hashes >> texts != 0 {
        return None;
    }
    let currency =
        |it: &mut Reader<'_>| std::str::from_utf8(it.take(3)?).ok()?.parse::<Currency>().ok();
    let hold = u128::from_be_bytes(it.array()?);
    let at_us = it.signed()?;
    let cpm = Micros(it.signed()?);
    let bid = currency(it)?;
    let (mut price, mut own, mut cross) = (cpm, bid, Cross::SAME);
    if flags & CONVERTED != 0 {
        price = Micros(it.signed()?);
        own = currency(it)?;
        cross = Cross { from: Rate(it.signed()?), to: Rate(it.signed()?) };
        if cross.from.0 <= 0 || cross.to.0 <= 0 {
            return None;
        }
    }
    let definition = u32::try_from(it.number()?).ok()?;
    let value = it.float()?;
    let multipliers = Multipliers { mu: it.float()?, lambda: it.float()?, pass: it.float()? };
    let ltv = if flags & HAS_LTV != 0 { Some(Micros(it.signed()?)) } else { None };
    let ltv_status = *LtvStatus::ALL.get(usize::from(flags >> STATUS_SHIFT & STATUS))?;
    let floor = if flags & HAS_FLOOR != 0 { Micros(it.signed()?) } else { Micros::ZERO };
    // There is one way to write that there is none.
    if flags & HAS_FLOOR != 0 && floor == Micros::ZERO {
        return None;
    }
    let mut text = |place: u8| {
        if place >= texts {
            return Some(Text::Plain(String::new()));
        }
        if hashes >> place & 1 == 1 {
            return it.array().map(Text::Hash);
        }
        let length = usize::try_from(it.number()?).ok().filter(|n| *n <= TEXT_BYTES_MAX)?;
        let text = std::str::from_utf8(it.take(length)?).ok()?;
        Some(Text::Plain(text.to_owned()))
    };
    let (account, campaign, creative) = (text(0)?, text(1)?, text(2)?);
    let (impression, model) = (text(3)?, text(4)?);
    let (auction, deal) = (text(5)?, text(6)?);
    Some(Digest {
        account,
        campaign,
        creative,
        impression,
        model,
        auction,
        deal,
        definition,
        hold,
        at_us,
        cpm,
        own_currency: own,
        price,
        currency: bid,
        cross,
        first_price: flags & FIRST_PRICE != 0,
        value,
        multipliers,
        ltv,
        ltv_status,
        floor,
    })
}
