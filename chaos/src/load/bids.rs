//! OpenRTB 2.6, as much of it as an exchange of ours needs: the request, the bids of an answer, and their notices.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decimal;
use crate::history::{Answer, Micros};

/// The domain of an account's places. The campaigns of others do not bid there; `personal` asks for those that need
/// a person's consent.
pub fn domain(account: &str, personal: bool) -> String {
    let kind = if personal { "personal" } else { "open" };
    format!("{kind}.{}.example", account.to_ascii_lowercase().replace('_', "-"))
}

/// One banner on the open market, in a second-price auction.
pub fn request(
    id: &str,
    domain: &str,
    floor: Micros,
    person: Option<&str>,
    currency: &str,
) -> String {
    let user =
        person.map(|person| format!(r#","user":{{"buyeruid":"{person}"}}"#)).unwrap_or_default();
    let floor = decimal::text(floor);
    format!(
        r#"{{"id":"{id}","at":2,"tmax":1000,"cur":["{currency}"],"imp":[{{"id":"1","banner":{{"w":300,"h":250}},"bidfloor":{floor},"bidfloorcur":"{currency}"}}],"site":{{"id":"s","domain":"{domain}"}},"device":{{"ua":"kiki-chaos","geo":{{"country":"USA"}}}}{user}}}"#
    )
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// The id of its hold, too.
    pub id: Box<str>,
    pub account: Box<str>,
    pub campaign: Box<str>,
    /// Of a thousand impressions.
    pub cpm: Micros,
    pub win: Box<str>,
    pub billing: Box<str>,
    pub loss: Box<str>,
}

impl Bid {
    /// The most that it can cost.
    pub fn most(&self) -> Micros {
        self.cpm.div_euclid(1_000) + i64::from(self.cpm.rem_euclid(1_000) > 0)
    }

    /// A clearing price of a whole number of micros an impression, so that nobody has to round: price of a thousand
    /// and of one.
    pub fn clearing(&self, part: f64) -> (Micros, Micros) {
        // A share of a price is drawn, not money that anybody has: what is booked is the whole number.
        let each = ((self.cpm / 1_000) as f64 * part) as Micros;
        match each.clamp(1, (self.cpm / 1_000).max(1)) {
            each if each * 1_000 <= self.cpm => (each * 1_000, each),
            _ => (self.cpm, self.most()),
        }
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    id: String,
    #[serde(default, borrow)]
    seatbid: Vec<Seat<'a>>,
}

#[derive(Deserialize)]
struct Seat<'a> {
    #[serde(default, borrow)]
    bid: Vec<WireBid<'a>>,
}

#[derive(Deserialize)]
struct WireBid<'a> {
    id: Box<str>,
    impid: String,
    #[serde(borrow)]
    price: &'a RawValue,
    nurl: String,
    burl: String,
    lurl: String,
    cid: String,
}

/// The bid of an answer to the request of this id.
///
/// # Errors
/// It is no answer to it, in words.
pub fn bid(request: &str, body: &[u8]) -> Result<Bid, String> {
    let wire: Wire<'_> =
        serde_json::from_slice(body).map_err(|e| format!("a bid that cannot be read: {e}"))?;
    if wire.id != request {
        return Err(format!("an answer to request {:?} where {request:?} was asked", wire.id));
    }
    let mut bids = wire.seatbid.into_iter().flat_map(|seat| seat.bid);
    let (Some(bid), None) = (bids.next(), bids.next()) else {
        return Err("not one bid for the one impression".to_owned());
    };
    let cpm =
        decimal::parse(bid.price.get()).filter(|cpm| *cpm > 0).ok_or("a price that is none")?;
    if bid.impid != "1" {
        return Err(format!("a bid on impression {:?}, which was not asked for", bid.impid));
    }
    // The default account's campaigns are told without it.
    let (account, campaign) = bid.cid.split_once(':').unwrap_or(("default", &bid.cid));
    Ok(Bid {
        account: account.into(),
        campaign: campaign.into(),
        cpm,
        win: notice(&bid.nurl, "win")?,
        billing: notice(&bid.burl, "billing")?,
        loss: notice(&bid.lurl, "loss")?,
        id: bid.id,
    })
}

/// The path of a notice's address: it is called where the load may go, whatever host an answer names.
fn notice(url: &str, kind: &str) -> Result<Box<str>, String> {
    let rest = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let path = rest.filter(|path| path.starts_with(&format!("/openrtb2/{kind}?")));
    path.map(Into::into).ok_or_else(|| format!("no address of a {kind} notice: {url:?}"))
}

/// A notice with its macros filled in.
pub fn told(path: &str, cpm: Micros, currency: &str, lost_for: u32) -> String {
    path.replace("${AUCTION_PRICE}", &decimal::text(cpm))
        .replace("${AUCTION_CURRENCY}", currency)
        .replace("${AUCTION_MIN_TO_WIN}", &decimal::text(cpm))
        .replace("${AUCTION_LOSS}", &lost_for.to_string())
}

/// What the history keeps of a bid. One on a place where only consent lets the account's campaigns bid has used that
/// consent; of a campaign that is not the account's, nobody here knows what it asks for.
///
/// # Errors
/// It is no answer to the request.
pub fn answer(account: &str, request: &str, personal: bool, body: &[u8]) -> Result<Answer, String> {
    let bid = bid(request, body)?;
    Ok(Answer {
        hold: Some(format!("{}.{}", bid.id, bid.campaign).into()),
        amount: Some(bid.most()),
        allowed: (personal && *bid.account == *account).then_some(true),
        campaign: Some(bid.campaign),
        ..Answer::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"id":"r1","seatbid":[{"bid":[{"id":"h1","impid":"1","price":0.640897,"nurl":"http://x:1/openrtb2/win?k=w&p=${AUCTION_PRICE}&c=${AUCTION_CURRENCY}&m=${AUCTION_MIN_TO_WIN}","burl":"http://x:1/openrtb2/billing?k=b&p=${AUCTION_PRICE}","lurl":"http://x:1/openrtb2/loss?l=${AUCTION_LOSS}","adm":"a","cid":"acc:b0"}],"seat":"kiki"}],"cur":"USD"}"#;

    #[test]
    fn a_bid_is_read_with_its_price_to_the_micro() {
        let bid = bid("r1", ANSWER.as_bytes()).expect("a bid");
        assert_eq!(
            (&*bid.account, &*bid.campaign, bid.cpm, bid.most()),
            ("acc", "b0", 640_897, 641)
        );
        assert_eq!(told(&bid.billing, 500_000, "USD", 0), "/openrtb2/billing?k=b&p=0.5");
        assert_eq!(told(&bid.loss, 500_000, "USD", 102), "/openrtb2/loss?l=102");
        assert_eq!(told(&bid.win, 500_000, "USD", 0), "/openrtb2/win?k=w&p=0.5&c=USD&m=0.5");
    }

    #[test]
    fn what_answers_something_else_is_no_bid() {
        assert!(bid("r2", ANSWER.as_bytes()).is_err());
        for (from, to) in [
            ("\"impid\":\"1\"", "\"impid\":\"2\""),
            ("0.640897", "-1"),
            ("/openrtb2/win?", "/elsewhere?"),
            ("http://x:1/openrtb2/billing", "/openrtb2/billing"),
            ("\"seatbid\":[", "\"seatbid\":[{},"),
        ] {
            let ok = from == "\"seatbid\":[";
            assert_eq!(bid("r1", ANSWER.replacen(from, to, 1).as_bytes()).is_ok(), ok, "{from}");
        }
    }

    #[test]
    fn a_clearing_price_is_whole_and_never_above_the_bid() {
        let mut of = bid("r1", ANSWER.as_bytes()).expect("a bid");
        assert_eq!(of.clearing(0.5), (320_000, 320));
        assert_eq!(of.clearing(0.0), (1_000, 1));
        assert_eq!(of.clearing(1.0), (640_000, 640));
        of.cpm = 700;
        assert_eq!(of.clearing(0.5), (700, 1));
    }

    #[test]
    fn a_request_is_json_with_the_floor_as_it_is() {
        let text = request("r", "a.example", 10_000, Some("p1"), "USD");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["user"]["buyeruid"], "p1");
        assert!(text.contains(r#""bidfloor":0.01"#), "{text}");
        assert!(!request("r", "a.example", 1, None, "USD").contains("user"));
    }
}
