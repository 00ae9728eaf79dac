//! The addresses of a bid's notices, with what the exchange fills in.

use super::clear::{Judged, Verdict};
use super::market::Lot;
use crate::models::flow::notice::Kind;
use crate::models::flow::openrtb::decimal;
use crate::models::flow::openrtb::macros::{Macro, Place, Unknown, Values, replace};
use crate::models::shield::money::{Currency, Micros};

/// The address of a notice, its macros filled in; `None`: the bid has none that can be called.
pub fn address(lot: &Lot, currency: Currency, judged: &Judged, kind: Kind) -> Option<String> {
    let bid = &judged.bid;
    let template = match kind {
        Kind::Win => &bid.nurl,
        Kind::Billing => &bid.burl,
        Kind::Loss => &bid.lurl,
    };
    let template = template.as_deref()?;
    let mut values = Values::default();
    values
        .set(Macro::Id, lot.drawn.id.as_str())
        .set(Macro::BidId, bid.id.as_str())
        .set(Macro::ImpId, bid.impression.as_str())
        .set(Macro::Currency, currency.as_str().to_owned())
        .set(Macro::Multiplier, "1");
    if let Some(seat) = &bid.seat {
        values.set(Macro::SeatId, seat.as_str());
    }
    match (judged.verdict, judged.least) {
        (Verdict::Won { price, .. }, _) => {
            values.set(Macro::Price, decimal_text(price));
        }
        // What it was sold for to somebody else.
        (Verdict::Lost(loss), least) => {
            values.set(Macro::Loss, (loss as u16).to_string());
            if let Some(least) = least {
                values.set(Macro::Price, decimal_text(least));
            }
        }
    }
    if let Some(least) = judged.least {
        values.set(Macro::MinToWin, decimal_text(least));
    }
    let mut url = String::with_capacity(template.len() + 64);
    replace(template, &values, Place::Url, Unknown::Empty, &mut url);
    let parsed = reqwest::Url::parse(&url).ok()?;
    matches!(parsed.scheme(), "http" | "https").then_some(url)
}

fn decimal_text(amount: Micros) -> String {
    let mut text = Vec::new();
    decimal::write(amount, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::answer::Bid;
    use super::super::clear::Loss;
    use super::*;
    use crate::models::flow::openrtb::sample::Drawn;
    use crate::models::flow::opportunity::PriceType;

    #[test]
    fn an_address_carries_the_exact_price_or_the_reason_of_the_loss() {
        let drawn = Drawn {
            id: "r&".to_owned(),
            price: PriceType::Second,
            currency: Currency::USD,
            tmax_ms: 100,
            test: false,
            offers: Vec::new(),
            seat: None,
        };
        let lot = Lot { nth: 0, due: Duration::ZERO, drawn, market: Vec::new() };
        let template = "http://x/n?a=${AUCTION_ID}&p=${AUCTION_PRICE}&l=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}";
        let bid = Bid {
            id: "b".to_owned(),
            impression: "1".to_owned(),
            cpm: Micros(9_000_000),
            deal: None,
            campaign: None,
            seat: None,
            nurl: Some(template.to_owned()),
            burl: Some("file:///etc/passwd".to_owned()),
            lurl: Some(template.to_owned()),
        };
        let price = Micros(1_234_567);
        let verdict = Verdict::Won { price, kind: PriceType::Second };
        let won = Judged { bid, verdict, least: Some(price) };
        let of = |judged: &Judged, kind| address(&lot, Currency::USD, judged, kind);
        let win = of(&won, Kind::Win).expect("an address");
        assert_eq!(win, "http://x/n?a=r%26&p=1.234567&l=&m=1.234567");
        assert_eq!(of(&won, Kind::Billing), None);
        let lost = Judged { verdict: Verdict::Lost(Loss::LostToHigherBid), ..won };
        let loss = of(&lost, Kind::Loss).expect("an address");
        assert_eq!(loss, "http://x/n?a=r%26&p=1.234567&l=102&m=1.234567");
    }
}
