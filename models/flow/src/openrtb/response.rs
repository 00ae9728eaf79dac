//! The answer to a request, written straight into a buffer.

use kiki_models::shield::money::{Currency, Micros};

use super::json::Json;
use super::nbr;
use crate::reason::Reason;

/// What a bid's markup is (field `mtype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Markup {
    Banner = 1,
    Video = 2,
    Audio = 3,
    Native = 4,
}

/// Why a bid cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("a bid has neither markup nor a win notice that returns it")]
    NoMarkup,
    #[error("a bid's price is not above 0")]
    NoPrice,
    #[error("a bid has no id, or names no impression")]
    NoId,
}

/// A bid on one impression. Lists that are empty and texts that are `None` are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bid<'a> {
    pub id: &'a str,
    pub impression: &'a str,
    /// Micros of the response's currency for a thousand impressions.
    pub cpm: Micros,
    /// The markup; without it, the answer to `nurl` is the markup.
    pub adm: Option<&'a str>,
    pub nurl: Option<&'a str>,
    pub burl: Option<&'a str>,
    pub lurl: Option<&'a str>,
    pub adomain: &'a [&'a str],
    pub bundle: Option<&'a str>,
    pub crid: Option<&'a str>,
    pub cid: Option<&'a str>,
    pub cat: &'a [&'a str],
    /// The taxonomy of `cat` (AdCOM list "Category Taxonomies"); left out where that is empty.
    pub cattax: Option<u16>,
    pub attr: &'a [u16],
    /// Of a video or audio ad (AdCOM list "Creative Subtypes - Audio/Video").
    pub protocol: Option<u16>,
    /// Frameworks that the markup needs one of (AdCOM list "API Frameworks").
    pub apis: &'a [u16],
    /// ISO 639-1.
    pub language: Option<&'a str>,
    pub w: Option<u16>,
    pub h: Option<u16>,
    /// Seconds; of a video or audio ad.
    pub dur: Option<u16>,
    pub dealid: Option<&'a str>,
    /// Seconds that we wait between the auction and the impression.
    pub exp: Option<u32>,
    pub mtype: Option<Markup>,
    /// A picture of it, for reviews.
    pub iurl: Option<&'a str>,
    pub dsa: Option<Dsa<'a>>,
}

/// Whom an ad is for, and who pays (IAB Tech Lab, "DSA Transparency").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dsa<'a> {
    /// `None`: the ad alone shows it.
    pub names: Option<Names<'a>>,
    /// The ad shows it.
    pub renders: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    pub behalf: &'a str,
    pub paid: &'a str,
    /// What of a person was used, and by whom.
    pub params: &'a [u8],
    pub domain: &'a str,
}

/// The bids of one seat.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seat<'a> {
    pub seat: Option<&'a str>,
    pub bids: &'a [Bid<'a>],
}

/// A bid that was written elsewhere, as [`Bid::json`] has it, and its seat.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    pub seat: &'a str,
    pub bid: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The request's id.
    pub id: &'a str,
    pub bidid: Option<&'a str>,
    pub currency: Currency,
    pub seats: &'a [Seat<'a>],
}

impl Response<'_> {
    /// Appends the response. Nothing is appended when a bid is unfit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        self.write_with(&[], out)
    }

    /// The same with bids that were written elsewhere: those of a seat stand behind its others.
    pub fn write_with(&self, written: &[Written<'_>], out: &mut Vec<u8>) -> Result<(), Unfit> {
        for bid in self.seats.iter().flat_map(|seat| seat.bids) {
            bid.check()?;
        }
        let mut json = Json::new(out);
        json.open(b'{').member("id", self.id);
        let seats = || self.seats.iter().filter(|seat| !seat.bids.is_empty());
        let alone = |place: usize, it: &Written<'_>| {
            let known = written.iter().take(place).any(|other| other.seat == it.seat);
            !known && seats().all(|seat| seat.seat != Some(it.seat))
        };
        if seats().next().is_some() || !written.is_empty() {
            json.key("seatbid").open(b'[');
            for seat in seats() {
                json.open(b'{').key("bid").open(b'[');
                for bid in seat.bids {
                    bid.write(&mut json);
                }
                for other in written.iter().filter(|other| seat.seat == Some(other.seat)) {
                    json.raw(other.bid);
                }
                json.close(b']').optional("seat", seat.seat).close(b'}');
            }
            for (place, first) in written.iter().enumerate() {
                if alone(place, first) {
                    json.open(b'{').key("bid").open(b'[');
                    for other in written.iter().filter(|other| other.seat == first.seat) {
                        json.raw(other.bid);
                    }
                    json.close(b']').member("seat", first.seat).close(b'}');
                }
            }
            json.close(b']');
        }
        json.optional("bidid", self.bidid).member("cur", self.currency.as_str()).close(b'}');
        Ok(())
    }
}

impl<'a> Bid<'a> {
    /// The bid alone, for an answer that is written elsewhere.
    ///
    /// # Errors
    /// It is unfit.
    pub fn json(&self) -> Result<Vec<u8>, Unfit> {
        self.check()?;
        let mut out = Vec::with_capacity(2_048);
        self.write(&mut Json::new(&mut out));
        Ok(out)
    }

    fn check(&self) -> Result<(), Unfit> {
        if self.id.is_empty() || self.impression.is_empty() {
            return Err(Unfit::NoId);
        }
        if self.cpm <= Micros::ZERO {
            return Err(Unfit::NoPrice);
        }
        if self.adm.is_none() && self.nurl.is_none() {
            return Err(Unfit::NoMarkup);
        }
        Ok(())
    }

    fn write(&self, json: &mut Json<'_>) {
        json.open(b'{').member("id", self.id).member("impid", self.impression);
        json.key("price").amount(self.cpm);
        json.optional("nurl", self.nurl).optional("burl", self.burl).optional("lurl", self.lurl);
        json.optional("adm", self.adm).texts("adomain", self.adomain.iter().copied());
        json.optional("bundle", self.bundle).optional("cid", self.cid).optional("crid", self.crid);
        json.texts("cat", self.cat.iter().copied());
        let codes = |list: &'a [u16]| list.iter().map(|code| u64::from(*code));
        json.numbers("attr", codes(self.attr)).numbers("apis", codes(self.apis));
        json.optional("language", self.language);
        // Before 2.6 there was room for one.
        let api = self.apis.first().copied().filter(|_| self.apis.len() == 1);
        for (name, number) in [
            ("cattax", self.cattax.filter(|_| !self.cat.is_empty())),
            ("api", api),
            ("protocol", self.protocol),
            ("w", self.w),
            ("h", self.h),
            ("dur", self.dur),
        ] {
            if let Some(number) = number {
                json.number(name, number.into());
            }
        }
        json.optional("dealid", self.dealid);
        if let Some(seconds) = self.exp {
            json.number("exp", seconds.into());
        }
        if let Some(markup) = self.mtype {
            json.number("mtype", markup as u64);
        }
        json.optional("iurl", self.iurl);
        if let Some(dsa) = &self.dsa {
            dsa.write(json.key("ext").open(b'{'));
            json.close(b'}');
        }
        json.close(b'}');
    }
}

impl Dsa<'_> {
    fn write(&self, json: &mut Json<'_>) {
        json.key("dsa").open(b'{');
        if let Some(names) = &self.names {
            json.member("behalf", names.behalf).member("paid", names.paid);
            if !names.params.is_empty() {
                json.key("transparency").open(b'[').open(b'{').member("domain", names.domain);
                json.numbers("dsaparams", names.params.iter().map(|param| u64::from(*param)));
                json.close(b'}').close(b']');
            }
        }
        json.number("adrender", self.renders.into()).close(b'}');
    }
}

/// Appends the answer to a test without a bid: why, and how many pairs of an impression and a campaign were refused for
/// what. OpenRTB 2.6, section 4.2.1: a code and no seats are no bid.
pub fn explained(
    id: &str,
    reason: Reason,
    refused: impl IntoIterator<Item = (Reason, u32)>,
    out: &mut Vec<u8>,
) {
    let mut json = Json::new(out);
    json.open(b'{').member("id", id).number("nbr", nbr::code(reason).into());
    json.key("ext").open(b'{').member("reason", reason.name()).key("reasons").open(b'[');
    for (reason, count) in refused {
        json.open(b'{').member("reason", reason.name()).number("count", count.into()).close(b'}');
    }
    json.close(b']').close(b'}').close(b'}');
}

/// Appends an answer without bids that says why: for exchanges that ask for it instead of a 204.
pub fn no_bid(id: &str, nbr: u16, out: &mut Vec<u8>) {
    Json::new(out).open(b'{').member("id", id).number("nbr", nbr.into()).close(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bid() -> Bid<'static> {
        Bid {
            id: "1",
            impression: "a\"b",
            cpm: Micros(1_234_567),
            adm: Some("<a href=\"x\">\n</a>"),
            ..Bid::default()
        }
    }

    fn written(bids: &[Bid<'_>]) -> Result<serde_json::Value, Unfit> {
        let seats = [Seat { seat: Some("kiki"), bids }, Seat::default()];
        let response = Response { id: "r", bidid: None, currency: Currency::USD, seats: &seats };
        let mut out = Vec::new();
        let written = response.write(&mut out);
        assert_eq!(written.is_err(), out.is_empty(), "nothing is half written");
        written.map(|()| serde_json::from_slice(&out).expect("json"))
    }

    #[test]
    fn a_response_has_what_the_bids_have_and_nothing_else() {
        let full = Bid {
            nurl: Some("https://x/n?p=${AUCTION_PRICE}"),
            burl: Some("https://x/b"),
            lurl: Some("https://x/l"),
            adomain: &["shop.example"],
            bundle: Some("com.shop"),
            crid: Some("cr_1"),
            cid: Some("camp_001"),
            cat: &["IAB22"],
            cattax: Some(1),
            attr: &[1, 2],
            protocol: Some(3),
            apis: &[7],
            language: Some("de"),
            w: Some(300),
            h: Some(250),
            dur: Some(15),
            dealid: Some("d"),
            exp: Some(60),
            mtype: Some(Markup::Banner),
            ..bid()
        };
        let expected = serde_json::json!({
            "id": "r", "cur": "USD",
            "seatbid": [{"seat": "kiki", "bid": [
                {"id": "1", "impid": "a\"b", "price": 1.234567, "adm": "<a href=\"x\">\n</a>"},
                {"id": "1", "impid": "a\"b", "price": 1.234567, "adm": "<a href=\"x\">\n</a>",
                 "nurl": "https://x/n?p=${AUCTION_PRICE}", "burl": "https://x/b", "lurl": "https://x/l",
                 "adomain": ["shop.example"], "bundle": "com.shop", "crid": "cr_1",
                 "cid": "camp_001", "cat": ["IAB22"], "cattax": 1, "attr": [1, 2], "protocol": 3,
                 "apis": [7], "api": 7, "language": "de", "w": 300, "h": 250, "dur": 15,
                 "dealid": "d", "exp": 60, "mtype": 1},
            ]}],
        });
        assert_eq!(written(&[bid(), full]), Ok(expected));
    }

    #[test]
    fn what_was_written_elsewhere_stands_in_the_answer_as_it_would_have_here() {
        let (one, two) = (bid(), Bid { id: "2", cpm: Micros(5_000_000), ..bid() });
        let json = two.json().expect("fit");
        let json = std::str::from_utf8(&json).expect("text");
        let answer = |seats: &[Seat<'_>], written: &[Written<'_>]| {
            let response = Response { id: "r", bidid: None, currency: Currency::USD, seats };
            let mut out = Vec::new();
            response.write_with(written, &mut out).map(|()| out)
        };
        fn seat<'a>(seat: &'a str, bids: &'a [Bid<'a>]) -> Seat<'a> {
            Seat { seat: Some(seat), bids }
        }
        let [s, t] = ["s", "t"].map(|seat| Written { seat, bid: json });
        assert_eq!(answer(&[seat("s", &[one])], &[s]), answer(&[seat("s", &[one, two])], &[]));
        let apart = answer(&[seat("s", &[two, two]), seat("t", &[two])], &[]);
        assert_eq!(answer(&[], &[s, t, s]), apart);
        assert_eq!(answer(&[seat("s", &[two])], &[t, s]), apart);
        assert_eq!(Bid { cpm: Micros(0), ..bid() }.json(), Err(Unfit::NoPrice));
    }

    #[test]
    fn whom_an_ad_is_for_is_told_as_the_ad_or_the_publisher_shows_it() {
        let names = Names { behalf: "A", paid: "B", params: &[1, 3], domain: "a.example" };
        let told = |dsa: Dsa<'static>| {
            let bid = Bid { iurl: Some("https://x/i.png"), dsa: Some(dsa), ..bid() };
            let bid = written(&[bid]).expect("fit")["seatbid"][0]["bid"][0].clone();
            assert_eq!(bid["iurl"], "https://x/i.png");
            bid["ext"].to_string()
        };
        assert_eq!(
            told(Dsa { names: Some(names), renders: false }),
            r#"{"dsa":{"adrender":0,"behalf":"A","paid":"B","transparency":[{"domain":"a.example","dsaparams":[1,3]}]}}"#
        );
        let nothing_used = Names { params: &[], ..names };
        assert_eq!(
            told(Dsa { names: Some(nothing_used), renders: true }),
            r#"{"dsa":{"adrender":1,"behalf":"A","paid":"B"}}"#
        );
        assert_eq!(told(Dsa { names: None, renders: true }), r#"{"dsa":{"adrender":1}}"#);
    }

    #[test]
    fn a_taxonomy_is_told_with_categories_and_a_framework_alone_also_as_before_2_6() {
        let two = Bid { cattax: Some(6), apis: &[5, 7], ..bid() };
        let bid = written(&[two]).expect("fit")["seatbid"][0]["bid"][0].clone();
        assert_eq!(bid["apis"], serde_json::json!([5, 7]));
        assert!(bid.get("api").is_none() && bid.get("cattax").is_none());
    }

    #[test]
    fn a_bid_without_price_markup_or_id_is_not_written() {
        assert_eq!(written(&[bid(), Bid { cpm: Micros(0), ..bid() }]), Err(Unfit::NoPrice));
        assert_eq!(written(&[Bid { adm: None, ..bid() }]), Err(Unfit::NoMarkup));
        assert!(written(&[Bid { adm: None, nurl: Some("https://x"), ..bid() }]).is_ok());
        assert_eq!(written(&[Bid { id: "", ..bid() }]), Err(Unfit::NoId));
    }

    #[test]
    fn a_response_without_bids_has_no_seats_and_a_no_bid_says_why() {
        assert_eq!(written(&[]), Ok(serde_json::json!({"id": "r", "cur": "USD"})));
        let mut out = Vec::new();
        no_bid("r\\", 15, &mut out);
        assert_eq!(out, br#"{"id":"r\\","nbr":15}"#);
        out.clear();
        explained("r", Reason::Geo, [(Reason::Geo, 2), (Reason::Creative, 1)], &mut out);
        let told = r#"{"id":"r","nbr":0,"ext":{"reason":"geo","reasons":[{"reason":"geo","count":2},{"reason":"creative","count":1}]}}"#;
        assert_eq!(std::str::from_utf8(&out), Ok(told));
    }
}
