//! A decision as one line of the log.
//!
//! `decision: kind=bid at_us=… account=… campaign=… …`: always the same keys in the same order, `-` where
//! there is no value. A value with a blank, a quote, an equals sign, a control character or anything that is
//! not ASCII is quoted as in JSON, so that nobody's id makes a second line or a second key.

use std::fmt;

use super::record::{BreakerState, Decision};

/// Keys in their order: others read lines by them.
pub const KEYS: [&str; 32] = [
    "kind",
    "at_us",
    "account",
    "campaign",
    "version",
    "auction",
    "impression",
    "creative",
    "deal",
    "currency",
    "price_cpm",
    "cpm",
    "reserve",
    "price_type",
    "floor_cpm",
    "value",
    "worth",
    "win",
    "ltv",
    "ltv_status",
    "model",
    "mu",
    "lambda",
    "pass",
    "hold",
    "breaker",
    "latency_us",
    "outcome",
    "reason",
    "change",
    "rebuilt",
    // What came later stands behind, for those who read by place.
    "ltv_breaker",
];

/// Shows the line.
pub struct Line<'a>(pub &'a Decision);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self.0;
        f.write_str("decision:")?;
        let (price, ltv, by) = (it.price.as_ref(), it.ltv.as_ref(), it.multipliers.as_ref());
        let mut keys = KEYS.iter();
        let mut text = |value: Option<&dyn fmt::Display>, f: &mut fmt::Formatter<'_>| {
            let key = keys.next().copied().unwrap_or("-");
            // A line has some thirty of them: pieces cost less than patterns.
            [" ", key, "="].into_iter().try_for_each(|part| f.write_str(part))?;
            match value {
                Some(value) => value.fmt(f),
                None => f.write_str("-"),
            }
        };
        macro_rules! say {
            ($($value:expr),+ $(,)?) => {$(
                match $value {
                    Some(value) => text(Some(&value), f)?,
                    None => text(None, f)?,
                }
            )+};
        }
        let change = it.change.as_ref().map(|c| format!("{}:{}>{}", c.what, c.from, c.to));
        say!(
            Some(it.kind.as_str()),
            Some(it.at_us),
            Some(Quoted(&it.account)),
            it.campaign.as_deref().map(Quoted),
            it.version,
            it.auction.as_deref().map(Quoted),
            it.impression.as_deref().map(Quoted),
            it.creative.as_deref().map(Quoted),
            it.deal.as_deref().map(Quoted),
            price.map(|p| p.currency),
            price.map(|p| p.price),
            price.map(|p| p.cpm),
            price.map(|p| p.reserve),
            price.map(|p| if p.first_price { "first" } else { "second" }),
            price.and_then(|p| p.floor),
            price.map(|p| p.value),
            price.and_then(|p| p.worth),
            price.and_then(|p| p.win),
            ltv.and_then(|l| l.amount),
            ltv.map(|l| l.status.as_str()),
            ltv.map(|l| Quoted(&l.model)),
            by.map(|m| m.mu),
            by.map(|m| m.lambda),
            by.map(|m| m.pass),
            it.hold.as_deref().map(Quoted),
            it.breaker.map(BreakerState::as_str),
            it.latency_us,
            Some(it.outcome.name()),
            it.reason(),
            change.as_deref().map(Quoted),
            Some(it.rebuilt),
            it.ltv_breaker.map(BreakerState::as_str),
        );
        Ok(())
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\');
        if !self.0.is_empty() && self.0 != "-" && self.0.bytes().all(plain) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' '..='~' => f.write_char(c)?,
                c => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        write!(f, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        f.write_char('"')
    }
}
