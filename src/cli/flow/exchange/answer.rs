//! A bidder's answer, as an exchange reads it: any bidder's, so nothing in it is taken for granted.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::models::flow::campaign::name::campaign_of_told;
use crate::models::flow::openrtb::decimal;
use crate::models::shield::money::{Currency, Micros};

/// Bids of an answer that are looked at.
pub const BIDS_MAX: usize = 64;
/// Bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Bytes of an address that is called: what exchanges commonly allow.
pub const URL_BYTES_MAX: usize = 2_048;
/// Bytes of the ids that are written down.
const ID_BYTES_MAX: usize = 128;
/// An account and a campaign of it.
const CID_BYTES_MAX: usize = 2 * ID_BYTES_MAX + 1;

/// A bid that can take part in an auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    pub id: String,
    pub impression: String,
    /// Micros of the answer's currency for a thousand impressions.
    pub cpm: Micros,
    pub deal: Option<String>,
    /// `cid`: what the bidder calls the campaign, without what is before a `:`. KIKI puts the account there, which bills
    /// leave to who reads them.
    pub campaign: Option<String>,
    pub seat: Option<String>,
    pub nurl: Option<String>,
    pub burl: Option<String>,
    pub lurl: Option<String>,
}

/// The bids of an answer, and how many of them are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub currency: Currency,
    pub bids: Vec<Bid>,
    pub unfit: u64,
}

/// Why an answer as a whole counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    #[error("is no answer of OpenRTB")]
    Malformed,
    #[error("answers another request")]
    OtherId,
    #[error("is in a currency that does not exist")]
    NoCurrency,
}

#[derive(Deserialize)]
struct Wire<'a> {
    id: Option<String>,
    #[serde(borrow)]
    seatbid: Option<Vec<WireSeat<'a>>>,
    cur: Option<String>,
}

#[derive(Deserialize)]
struct WireSeat<'a> {
    #[serde(default, borrow)]
    bid: Vec<WireBid<'a>>,
    seat: Option<String>,
}

#[derive(Deserialize)]
struct WireBid<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    impid: String,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    adm: Option<String>,
    nurl: Option<String>,
    burl: Option<String>,
    lurl: Option<String>,
    cid: Option<String>,
    dealid: Option<String>,
}

impl Answer {
    /// Reads the body of a 200. An object without bids is a no-bid, and needs nothing in it (OpenRTB 2.6, section
    /// 7.1); a body without anything is none: who has nothing to say answers 204.
    ///
    /// # Errors
    /// The body as a whole is no answer to the request of this id.
    pub fn parse(body: &[u8], request: &str) -> Result<Answer, BadAnswer> {
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(|_| BadAnswer::Malformed)?;
        let seats = wire.seatbid.unwrap_or_default();
        match wire.id {
            Some(id) if id != request => return Err(BadAnswer::OtherId),
            None if seats.iter().any(|seat| !seat.bid.is_empty()) => {
                return Err(BadAnswer::Malformed);
            }
            _ => {}
        }
        // OpenRTB 2.6, section 4.2.1: US dollars where nothing is said.
        let currency = wire.cur.as_deref().unwrap_or("USD");
        let currency = currency.parse().map_err(|_| BadAnswer::NoCurrency)?;
        let mut answer = Answer { currency, bids: Vec::new(), unfit: 0 };
        for seat in seats {
            for bid in seat.bid {
                match fit(bid, seat.seat.as_deref()) {
                    Some(bid) if answer.bids.len() < BIDS_MAX => answer.bids.push(bid),
                    _ => answer.unfit += 1,
                }
            }
        }
        Ok(answer)
    }
}

fn fit(bid: WireBid<'_>, seat: Option<&str>) -> Option<Bid> {
    let named = |text: &str| !text.is_empty() && text.len() <= ID_BYTES_MAX;
    let short = |text: &Option<String>| text.as_deref().is_none_or(|t| t.len() <= ID_BYTES_MAX);
    let called = |url: &Option<String>| url.as_deref().is_none_or(|u| u.len() <= URL_BYTES_MAX);
    let cpm = decimal::up(bid.price?.get()).ok().filter(|cpm| *cpm > Micros::ZERO)?;
    let fits = named(&bid.id)
        && named(&bid.impid)
        && bid.cid.as_deref().is_none_or(|cid| cid.len() <= CID_BYTES_MAX)
        && short(&bid.dealid)
        && (bid.adm.is_some() || bid.nurl.is_some())
        && [&bid.nurl, &bid.burl, &bid.lurl].into_iter().all(called);
    fits.then(|| Bid {
        id: bid.id,
        impression: bid.impid,
        cpm,
        deal: bid.dealid,
        campaign: bid.cid.map(|cid| campaign_of_told(&cid).to_owned()),
        seat: seat.map(str::to_owned),
        nurl: bid.nurl,
        burl: bid.burl,
        lurl: bid.lurl,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bids: &str) -> Answer {
        let body = format!(r#"{{"id":"r","cur":"EUR","seatbid":[{{"seat":"s","bid":[{bids}]}}]}}"#);
        Answer::parse(body.as_bytes(), "r").expect("an answer")
    }

    #[test]
    fn a_bid_is_read_with_its_exact_price() {
        let answer =
            of(r#"{"id":"b","impid":"1","price":1.234567,"adm":"<a>","cid":"c","burl":"u"}"#);
        assert_eq!((answer.currency.as_str(), answer.unfit), ("EUR", 0));
        let bid = &answer.bids[0];
        assert_eq!(bid.cpm, Micros(1_234_567));
        assert_eq!((bid.campaign.as_deref(), bid.burl.as_deref()), (Some("c"), Some("u")));
        assert_eq!(bid.seat.as_deref(), Some("s"));
        // KIKI names the account before a campaign of another than the default one.
        let answer = of(r#"{"id":"b","impid":"1","price":1,"adm":"<a>","cid":"acme:c"}"#);
        assert_eq!(answer.bids[0].campaign.as_deref(), Some("c"));
    }

    #[test]
    fn what_is_no_bid_is_counted_and_takes_no_part() {
        let long = "u".repeat(URL_BYTES_MAX + 1);
        for bad in [
            r#"{"impid":"1","price":1,"adm":""}"#.to_owned(),
            r#"{"id":"b","price":1,"adm":""}"#.to_owned(),
            r#"{"id":"b","impid":"1","adm":""}"#.to_owned(),
            r#"{"id":"b","impid":"1","price":0,"adm":""}"#.to_owned(),
            r#"{"id":"b","impid":"1","price":-1,"adm":""}"#.to_owned(),
            r#"{"id":"b","impid":"1","price":"1","adm":""}"#.to_owned(),
            r#"{"id":"b","impid":"1","price":1}"#.to_owned(),
            format!(r#"{{"id":"b","impid":"1","price":1,"nurl":"{long}"}}"#),
        ] {
            let answer = of(&bad);
            assert_eq!((answer.bids.len(), answer.unfit), (0, 1), "{bad}");
        }
    }

    #[test]
    fn an_answer_to_something_else_counts_for_nothing() {
        for (body, why) in [
            ("", BadAnswer::Malformed),
            ("[]", BadAnswer::Malformed),
            (r#"{"id":"r","seatbid":{}}"#, BadAnswer::Malformed),
            (
                r#"{"seatbid":[{"bid":[{"id":"b","impid":"1","price":1,"adm":"<a>"}]}]}"#,
                BadAnswer::Malformed,
            ),
            (r#"{"id":"q"}"#, BadAnswer::OtherId),
            (r#"{"id":"r","cur":"XXX"}"#, BadAnswer::NoCurrency),
        ] {
            assert_eq!(Answer::parse(body.as_bytes(), "r"), Err(why), "{body}");
        }
    }

    #[test]
    fn an_answer_without_bids_needs_nothing_else() {
        for none in [
            "{}",
            r#"{"id":"r"}"#,
            r#"{"id":"r","seatbid":null}"#,
            r#"{"id":null,"seatbid":[]}"#,
            r#"{"id":"r","seatbid":[],"nbr":2}"#,
            r#"{"seatbid":[{"bid":[]}]}"#,
        ] {
            let answer = Answer::parse(none.as_bytes(), "r").expect(none);
            assert_eq!((answer.bids.len(), answer.unfit), (0, 0), "{none}");
            assert_eq!(answer.currency, Currency::USD);
        }
    }
}
