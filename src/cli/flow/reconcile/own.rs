//! Whose an impression of a bill is, and what it costs in its campaign's currency.
//!
//! A bid is made at the rates of its moment, and booked at them, whatever they are when the bill comes. They are
//! in the digest that the addresses of its notices carry. Only the server can check that nobody has changed it:
//! who writes the bill says what is owed in either case, so that nothing is lost by believing it.

use super::super::report::Sold;
use crate::models::flow::decision::{Digest, Text, outcome};
use crate::models::shield::entry::Op;
use crate::models::shield::money::Micros;

/// The digest of an address that names this hold.
fn digest(url: &str, hold: Op) -> Option<Digest> {
    let (_, query) = url.split_once('?')?;
    let text = query.split('&').find_map(|part| part.strip_prefix("d="))?;
    let digest = Digest::from_text(text).ok()?;
    (digest.hold == hold.0).then_some(digest)
}

/// What the addresses of an impression tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// `None`: no address tells it.
    pub account: Option<String>,
    /// The campaign's.
    pub currency: String,
    /// What the impression costs in it.
    pub amount_micros: i64,
}

/// The account, the campaign's currency, and what the impression costs in it: where no address tells them, what
/// the bill says.
pub fn own(sold: &Sold, hold: Op) -> Own {
    let urls = [&sold.billing.url, &sold.win.url];
    let told = urls.into_iter().flatten().find_map(|url| digest(url, hold));
    let account = told.as_ref().and_then(|of| match &of.account {
        Text::Plain(account) => Some(account.clone()),
        Text::Hash(_) => None,
    });
    // In one currency the bill is the bill.
    let other =
        told.filter(|of| of.own_currency != of.currency && of.currency.as_str() == sold.currency);
    let (currency, amount_micros) = match other {
        Some(of) => {
            let cost = outcome::cost(Micros(sold.price_cpm_micros), of.cross);
            (of.own_currency.to_string(), cost.0)
        }
        None => (sold.currency.clone(), sold.price_micros),
    };
    Own { account, currency, amount_micros }
}

#[cfg(test)]
pub mod tests {
    use super::super::super::report::tests::sold;
    use super::*;
    use crate::models::flow::auction::Cross;
    use crate::models::flow::pacing::Multipliers;
    use crate::models::flow::targeting::LtvStatus;
    use crate::models::shield::money::Rate;

    pub fn address(hold: u128, account: &str) -> String {
        let plain = |text: &str| Text::Plain(text.to_owned());
        let digest = Digest {
            account: plain(account),
            campaign: plain("c"),
            creative: plain("b"),
            impression: plain("1"),
            model: plain(""),
            auction: plain("r"),
            deal: plain(""),
            definition: 1,
            hold,
            at_us: 1,
            cpm: Micros(4_340_001),
            own_currency: "USD".parse().expect("a code"),
            price: Micros(4_000_001),
            currency: "EUR".parse().expect("a code"),
            // A dollar is 1, a euro 1.085.
            cross: Cross { from: Rate::ONE, to: Rate(1_085_000_000) },
            first_price: false,
            value: 1.0,
            multipliers: Multipliers::VALUE,
            ltv: None,
            ltv_status: LtvStatus::Unknown,
            floor: Micros::ZERO,
        };
        format!("http://kiki/openrtb2/billing?v=1&d={}&s=x", digest.to_text())
    }

    /// Sold for so many micros of a euro a thousand, to a campaign in dollars.
    pub fn euros(hold: u128, campaign: &str, cpm: i64) -> Sold {
        let currency = "EUR".to_owned();
        let mut sold = Sold { currency, price_cpm_micros: cpm, ..sold(hold, campaign, 0) };
        sold.price_micros = cpm.unsigned_abs().div_ceil(1_000) as i64;
        sold.billing.url = Some(address(hold, "a"));
        sold
    }

    fn cost(sold: &Sold, hold: Op) -> (String, i64) {
        let own = own(sold, hold);
        (own.currency, own.amount_micros)
    }

    #[test]
    fn the_address_tells_the_account() {
        let mut sold = euros(7, "c", 4_000_001);
        assert_eq!(own(&sold, Op(7)).account.as_deref(), Some("a"));
        assert_eq!(own(&sold, Op(8)).account, None, "of another hold");
        sold.billing.url = None;
        assert_eq!(own(&sold, Op(7)).account, None);
    }

    #[test]
    fn the_rate_of_the_bid_makes_the_campaigns_currency_of_it() {
        // 4.000001 EUR × 1.085 = 4.340001085 USD a thousand: rounded up, 4,341 micros each.
        assert_eq!(cost(&euros(7, "c", 4_000_001), Op(7)), ("USD".to_owned(), 4_341));
        let mut by_win = euros(7, "c", 4_000_001);
        std::mem::swap(&mut by_win.win.url, &mut by_win.billing.url);
        assert_eq!(cost(&by_win, Op(7)), ("USD".to_owned(), 4_341));
    }

    #[test]
    fn an_address_that_does_not_tell_leaves_what_the_bill_says() {
        let as_it_is = ("EUR".to_owned(), 4_001);
        let whole = euros(7, "c", 4_000_001);
        // of another hold
        assert_eq!(cost(&whole, Op(8)), as_it_is);
        let cut = whole.billing.url.clone().expect("one").replace("&d=A", "&d=B");
        for url in [Some(cut), Some("http://kiki/?d=%%".to_owned()), Some("kiki".to_owned()), None]
        {
            let mut sold = whole.clone();
            sold.billing.url = url;
            assert_eq!(cost(&sold, Op(7)), as_it_is, "{:?}", sold.billing.url);
        }
        // Sold in a third currency: the digest says nothing of it.
        let pounds = Sold { currency: "GBP".to_owned(), ..whole };
        assert_eq!(cost(&pounds, Op(7)).0, "GBP");
    }
}
