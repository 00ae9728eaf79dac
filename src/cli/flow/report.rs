//! The exchange's bill: JSON lines, of which the first says who wrote it and the last what it sums up to.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};

use super::exchange::Fate;
use crate::models::flow::opportunity::PriceType;
use crate::models::shield::entry::Op;

/// What the first line says of its form.
pub const VERSION: u32 = 1;
/// Bytes of a line: three addresses of 2,048, and ids.
const LINE_BYTES_MAX: u64 = 16 * 1_024;
/// Impressions of a bill that is read into memory.
const IMPRESSIONS_MAX: usize = 5_000_000;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Began(Began),
    Sold(Box<Sold>),
    Ended(Ended),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    pub version: u32,
    pub seed: u64,
    pub url: String,
    /// Wall-clock microseconds since 1970 UTC.
    pub at_us: i64,
}

/// An impression that was sold, and is billed, whatever became of its notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sold {
    pub auction: String,
    pub imp: String,
    pub bid: String,
    /// What the bidder calls the campaign (`cid`).
    pub campaign: Option<String>,
    /// The bidder's hold, where its addresses name one: 32 hexadecimal digits.
    pub hold: Option<String>,
    pub currency: String,
    pub price_type: Price,
    /// For a thousand impressions.
    pub bid_cpm_micros: i64,
    pub price_cpm_micros: i64,
    /// What this impression costs: a thousandth of the price, rounded up to a whole micro.
    pub price_micros: i64,
    /// Wall-clock microseconds since 1970 UTC.
    pub at_us: i64,
    pub win: Told,
    pub billing: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Price {
    First,
    Second,
}

impl From<PriceType> for Price {
    fn from(kind: PriceType) -> Price {
        match kind {
            PriceType::First => Price::First,
            PriceType::Second => Price::Second,
        }
    }
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What was meant to happen.
    pub fate: Fate,
    pub outcome: Outcome,
    /// The last status that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Calls, with those that were not answered.
    pub calls: u32,
    /// The address, its macros filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a 2xx.
    Answered,
    /// With a status that says not to try again.
    Refused,
    /// Tried to the end of the patience.
    Unanswered,
    /// Never called: it was lost, or the run was over before.
    NotSent,
    /// The bid has no such address.
    NoAddress,
}

/// The sums, so that a bill that was cut off is known as such.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub impressions: u64,
    /// By currency.
    pub total_micros: BTreeMap<String, i64>,
    pub at_us: i64,
}

impl Ended {
    pub fn count(&mut self, sold: &Sold) {
        self.impressions += 1;
        let total = self.total_micros.entry(sold.currency.clone()).or_default();
        *total = total.saturating_add(sold.price_micros);
    }
}

/// A bill that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub began: Began,
    pub sold: Vec<Sold>,
    /// `None`: the file was cut off.
    pub ended: Option<Ended>,
}

/// Why a file is no bill.
#[derive(Debug, thiserror::Error)]
pub enum BadBill {
    #[error("cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("line {line}: {why}")]
    Line { line: u64, why: String },
    #[error("the first line does not say that it is an exchange's bill")]
    NoBill,
    #[error("is a bill of version {0}; this program reads version {VERSION}")]
    Version(u32),
    #[error("says {said} impressions at its end, and has {has}")]
    Count { said: u64, has: u64 },
    #[error("the sums at its end are not those of its lines")]
    Sums,
    #[error("has more than {IMPRESSIONS_MAX} impressions")]
    TooLong,
}

impl Bill {
    /// Reads a bill and checks its sums. A last line that is cut off ends it.
    ///
    /// # Errors
    /// It is no bill, or one that was changed.
    pub fn read(mut from: impl BufRead) -> Result<Bill, BadBill> {
        let (mut began, mut sold, mut ended) = (None, Vec::new(), None);
        let mut counted = Ended::default();
        let (mut text, mut line) = (Vec::new(), 0_u64);
        loop {
            text.clear();
            line += 1;
            let bad = |why: &str| BadBill::Line { line, why: why.to_owned() };
            let read = from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
            if read == 0 {
                break;
            }
            if ended.is_some() {
                return Err(bad("something follows the end"));
            }
            if !text.ends_with(b"\n") {
                if read as u64 == LINE_BYTES_MAX {
                    return Err(bad("is too long"));
                }
                break;
            }
            let record: Record =
                serde_json::from_slice(&text).map_err(|error| bad(&error.to_string()))?;
            match (record, began.is_some()) {
                (Record::Began(first), false) if first.version == VERSION => began = Some(first),
                (Record::Began(first), false) => return Err(BadBill::Version(first.version)),
                (_, false) => return Err(BadBill::NoBill),
                (Record::Began(_), true) => return Err(bad("a second beginning")),
                (Record::Sold(_), true) if sold.len() >= IMPRESSIONS_MAX => {
                    return Err(BadBill::TooLong);
                }
                (Record::Sold(one), true) => {
                    check(&one).map_err(bad)?;
                    counted.count(&one);
                    sold.push(*one);
                }
                (Record::Ended(last), true) => {
                    let (said, has) = (last.impressions, counted.impressions);
                    if said != has {
                        return Err(BadBill::Count { said, has });
                    }
                    if last.total_micros != counted.total_micros {
                        return Err(BadBill::Sums);
                    }
                    ended = Some(last);
                }
            }
        }
        Ok(Bill { began: began.ok_or(BadBill::NoBill)?, sold, ended })
    }
}

fn check(sold: &Sold) -> Result<(), &'static str> {
    if sold.price_micros <= 0 || sold.price_cpm_micros > sold.bid_cpm_micros {
        return Err("the price is not above 0, or above the bid");
    }
    if (sold.price_cpm_micros - 1).div_euclid(1_000) + 1 != sold.price_micros {
        return Err("the price of the impression is not a thousandth, rounded up");
    }
    if sold.hold.as_deref().is_some_and(|hold| Op::from_hex(hold).is_none()) {
        return Err("the hold is not 32 hexadecimal digits");
    }
    Ok(())
}

/// The hold that a notice's address names: its parameter `h`.
pub fn hold(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let hold = query.split('&').find_map(|part| part.strip_prefix("h="))?;
    Op::from_hex(hold).map(|hold| hold.to_string())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn sold(hold: u128, campaign: &str, price_micros: i64) -> Sold {
        let told = Told {
            fate: Fate::OnTime,
            outcome: Outcome::Answered,
            status: Some(200),
            calls: 1,
            url: Some("http://localhost/b".to_owned()),
        };
        Sold {
            auction: "a".to_owned(),
            imp: "1".to_owned(),
            bid: "b".to_owned(),
            campaign: Some(campaign.to_owned()),
            hold: Some(format!("{hold:032x}")),
            currency: "USD".to_owned(),
            price_type: Price::Second,
            bid_cpm_micros: 9_000_000_000,
            price_cpm_micros: price_micros * 1_000,
            price_micros,
            at_us: 0,
            win: told.clone(),
            billing: told,
        }
    }

    fn written(sold: &[Sold], end: bool) -> String {
        let mut ended = Ended::default();
        let url = "http://localhost".to_owned();
        let mut records = vec![Record::Began(Began { version: VERSION, seed: 1, url, at_us: 0 })];
        for one in sold {
            ended.count(one);
            records.push(Record::Sold(Box::new(one.clone())));
        }
        records.extend(end.then_some(Record::Ended(ended)));
        let line = |record| serde_json::to_string(&record).expect("json") + "\n";
        records.into_iter().map(line).collect()
    }

    #[test]
    fn a_bill_is_read_as_it_was_written_and_one_that_was_cut_off_is_known() {
        let lines = [sold(1, "c", 5), sold(2, "c", 7)];
        let whole = written(&lines, true);
        let bill = Bill::read(whole.as_bytes()).expect("a bill");
        assert_eq!(
            (&bill.sold[..], bill.ended.expect("an end").total_micros["USD"]),
            (&lines[..], 12)
        );
        let cut = &whole[..whole.len() - 3];
        assert_eq!(Bill::read(cut.as_bytes()).expect("a bill").ended, None);
        assert_eq!(Bill::read(written(&lines, false).as_bytes()).expect("a bill").sold.len(), 2);
    }

    #[test]
    fn a_bill_that_was_changed_is_refused() {
        let whole = written(&[sold(1, "c", 5), sold(2, "c", 7)], true);
        let dear = Sold { price_micros: 6, ..sold(1, "c", 5) };
        let nobody = Sold { hold: Some("x".to_owned()), ..sold(1, "c", 5) };
        let long = "x".repeat(LINE_BYTES_MAX as usize + 1);
        let without_first = whole.split_once('\n').expect("lines").1;
        for (text, said) in [
            (String::new(), "first line"),
            (without_first.to_owned(), "first line"),
            (whole.replacen("\"version\":1", "\"version\":2", 1), "version 2"),
            (whole.replace("\"impressions\":2", "\"impressions\":3"), "says 3"),
            (whole.replace("\"USD\":12", "\"USD\":13"), "sums"),
            (whole.clone() + "{}\n", "follows"),
            (whole.clone() + &whole, "follows"),
            (written(&[dear], true), "thousandth"),
            (written(&[nobody], true), "hexadecimal"),
            (written(&[], false) + &long, "too long"),
            (written(&[], false) + "{\"sold\":{}}\n", "line 2"),
        ] {
            let why = Bill::read(text.as_bytes()).expect_err("refused").to_string();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn the_hold_is_taken_from_the_address() {
        let hex = "0123456789abcdef0123456789abcdef";
        let of = |query: &str| hold(&format!("http://x/openrtb2/billing?{query}"));
        assert_eq!(of(&format!("v=1&h={hex}&i=2")).as_deref(), Some(hex));
        assert_eq!(of(&format!("xh={hex}")), None);
        assert_eq!(of("h=1"), None);
    }
}
