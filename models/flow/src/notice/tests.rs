use std::borrow::Cow;

use proptest::prelude::*;

use kiki_models::shield::money::{Currency, Micros};

use super::action::{Action, Decision, Heard, Oddity, Patience, Stage, decide};
use super::price::{Bid, Flag, impression, loss, min_to_win, settle};
use super::url::*;
use super::*;
use crate::openrtb::macros::{Macro, Place, Unknown, Values, replace};
use crate::opportunity::PriceType;

fn ticket(kind: Kind) -> Ticket<'static> {
    Ticket {
        kind,
        hold: Op(0x1234_5678_9abc_def0_1234_5678_9abc_def0),
        impression: "1".into(),
        expires_us: 1_795_000_000_000_000,
        digest: Cow::Borrowed(&[0, 255, 62, 63, 7]),
    }
}

fn written(keys: &Keys, ticket: &Ticket<'_>) -> String {
    let mut url = String::new();
    keys.write("https://bid.example:8082", ticket, &mut url).expect("address");
    url
}

fn query(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}

#[test]
fn an_address_says_what_was_signed_once_the_exchange_has_filled_it_in() {
    let keys = Keys::new(b"secret", None);
    for kind in Kind::ALL {
        let url = written(&keys, &ticket(kind));
        assert!(url.starts_with(&format!("https://bid.example:8082{}?v=1&", kind.path())), "{url}");
        let mut values = Values::default();
        values.set(Macro::Price, "1.25").set(Macro::Currency, "EUR").set(Macro::Loss, "102");
        values.set(Macro::MinToWin, "1.5");
        let mut called = String::new();
        replace(&url, &values, Place::Url, Unknown::Left, &mut called);
        called.push_str("&cachebuster=77&flag");
        let notice = keys.open(kind, query(&called)).expect("notice");
        assert_eq!(notice.ticket, ticket(kind));
        assert_eq!(notice.told.price.as_deref(), Some("1.25"));
        assert_eq!(notice.told.currency.as_deref(), Some("EUR"));
        let lowest = (kind != Kind::Billing).then_some(Micros(1_500_000));
        assert_eq!(min_to_win(&notice.told), lowest);
        assert_eq!(loss(&notice.told), (kind == Kind::Loss).then_some(102));
    }
}

#[test]
fn the_addresses_of_a_bid_are_those_of_its_notices_one_by_one() {
    let keys = Keys::new(b"secret", None);
    let all = keys.write_all("https://bid.example:8082", &ticket(Kind::Loss)).expect("addresses");
    for kind in Kind::ALL {
        assert_eq!(all.get(kind), written(&keys, &ticket(kind)), "{}", kind.as_str());
    }
    let long = "b".repeat(URL_BYTES_MAX);
    assert_eq!(keys.write_all(&long, &ticket(Kind::Win)), Err(Unwritable::Url));
    let id = "x".repeat(IMPRESSION_BYTES_MAX + 1);
    let bad = Ticket { impression: id.into(), ..ticket(Kind::Win) };
    assert_eq!(keys.write_all("https://bid.example", &bad), Err(Unwritable::Impression));
}

#[test]
fn an_address_that_was_changed_anywhere_is_none_of_ours() {
    let keys = Keys::new(b"secret", None);
    let url = written(&keys, &ticket(Kind::Billing));
    let query = query(&url);
    let unsigned = query.find("&p=").expect("macros");
    for at in 0..unsigned {
        for other in *b"A0b~%=&" {
            let mut bent = query.as_bytes().to_vec();
            if bent[at] == other {
                continue;
            }
            bent[at] = other;
            let bent = String::from_utf8(bent).expect("ascii");
            if let Ok(notice) = keys.open(Kind::Billing, &bent) {
                assert_eq!(
                    notice.ticket,
                    ticket(Kind::Billing),
                    "it must say nothing else: {bent}"
                );
            }
        }
    }
    for kind in [Kind::Win, Kind::Loss] {
        assert_eq!(keys.open(kind, query), Err(BadNotice), "called at another path");
    }
    let twice = format!("{query}&x=1");
    let long = format!("{query}&y={}", "z".repeat(QUERY_BYTES_MAX));
    let truncated = query.replace("&s=", "&t=");
    for bad in ["", "v=1", "&&&=", "%", &twice, &long, &truncated] {
        assert_eq!(keys.open(Kind::Billing, bad), Err(BadNotice), "{bad}");
    }
}

#[test]
fn a_key_that_was_replaced_opens_and_does_not_sign() {
    let before = Keys::new(b"first", None);
    let now = Keys::new(b"second", Some(b"first"));
    let next = Keys::new(b"third", Some(b"second"));
    let (old, new) = (written(&before, &ticket(Kind::Win)), written(&now, &ticket(Kind::Win)));
    assert!(now.open(Kind::Win, query(&old)).is_ok() && now.open(Kind::Win, query(&new)).is_ok());
    assert_eq!(before.open(Kind::Win, query(&new)), Err(BadNotice));
    assert!(next.open(Kind::Win, query(&new)).is_ok());
    assert_eq!(next.open(Kind::Win, query(&old)), Err(BadNotice), "two rotations ago");
}

#[test]
fn the_longest_address_stays_below_1_800_bytes() {
    let keys = Keys::new(b"secret", None);
    let base = format!("https://{}", "b".repeat(200));
    let impression = "ä".repeat(IMPRESSION_BYTES_MAX / 2);
    let digest = vec![0xff; DIGEST_BYTES_MAX];
    for kind in Kind::ALL {
        let longest = Ticket {
            impression: (&*impression).into(),
            digest: Cow::Borrowed(&digest),
            expires_us: i64::MAX,
            ..ticket(kind)
        };
        let mut url = String::new();
        keys.write(&base, &longest, &mut url).expect("address");
        assert!(url.len() < 1_800, "{} bytes", url.len());
        let opened = keys.open(kind, query(&url)).expect("notice");
        assert_eq!(
            (opened.ticket.impression, opened.ticket.digest.len()),
            ((&*impression).into(), DIGEST_BYTES_MAX)
        );
        let usual = Ticket { digest: Cow::Borrowed(&digest), ..ticket(kind) };
        let mut usual_url = String::new();
        keys.write("https://bid.example", &usual, &mut usual_url).expect("address");
        println!("{}: usual {} bytes, longest {} bytes", kind.as_str(), usual_url.len(), url.len());
    }
    let too_long = vec![0; DIGEST_BYTES_MAX + 1];
    let bad = Ticket { digest: Cow::Borrowed(&too_long), ..ticket(Kind::Win) };
    let mut url = "before".to_owned();
    assert_eq!(keys.write(&base, &bad, &mut url), Err(Unwritable::Digest));
    let id = "x".repeat(IMPRESSION_BYTES_MAX + 1);
    let bad = Ticket { impression: id.into(), ..ticket(Kind::Win) };
    assert_eq!(keys.write(&base, &bad, &mut url), Err(Unwritable::Impression));
    let base = "b".repeat(1_800);
    assert_eq!(keys.write(&base, &ticket(Kind::Win), &mut url), Err(Unwritable::Url));
    assert_eq!(url, "before", "nothing is half written");
}

fn told<'a>(price: Option<&'a str>, currency: Option<&'a str>) -> Told<'a> {
    Told {
        price: price.map(Cow::Borrowed),
        currency: currency.map(Cow::Borrowed),
        ..Told::default()
    }
}

#[test]
fn a_price_lowers_what_is_booked_and_in_doubt_the_bid_is_booked() {
    use PriceType::{First, Second};
    for (price, text, cpm, flag) in [
        (Second, Some("1.25"), 1_250_000, None),
        (Second, Some(" 1.25 "), 1_250_000, None),
        (Second, Some("1.2500001"), 1_250_001, None),
        (Second, Some("2.5"), 2_500_000, None),
        (Second, Some("0.000001"), 1, None),
        (First, Some("2.5"), 2_500_000, None),
        (First, Some("2.50000"), 2_500_000, None),
        (First, Some("2.4999999"), 2_500_000, None),
        (First, Some("2.4995"), 2_499_500, None),
        (First, Some("2.499"), 2_500_000, Some(Flag::BelowBid)),
        (First, Some("1.25"), 2_500_000, Some(Flag::BelowBid)),
        (First, Some("2.51"), 2_500_000, Some(Flag::OverBid)),
        (Second, Some("2.51"), 2_500_000, Some(Flag::OverBid)),
        (Second, Some("1e300"), 2_500_000, Some(Flag::Unreadable)),
        (Second, Some("0"), 2_500_000, Some(Flag::Zero)),
        (Second, Some("0.00"), 2_500_000, Some(Flag::Zero)),
        (Second, Some("-1.25"), 2_500_000, Some(Flag::Negative)),
        (Second, Some("NaN"), 2_500_000, Some(Flag::Unreadable)),
        (Second, Some("inf"), 2_500_000, Some(Flag::Unreadable)),
        (Second, Some("1,25"), 2_500_000, Some(Flag::Unreadable)),
        (Second, Some("MS4yNQ"), 2_500_000, Some(Flag::Unreadable)),
        (Second, Some("AUDIT"), 2_500_000, Some(Flag::NotSubstituted)),
        (Second, Some("${AUCTION_PRICE}"), 2_500_000, Some(Flag::NotSubstituted)),
        (Second, Some(""), 2_500_000, Some(Flag::Missing)),
        (Second, None, 2_500_000, Some(Flag::Missing)),
    ] {
        let bid = Bid { cpm: Micros(2_500_000), currency: Currency::USD, price };
        let settled = settle(&told(text, Some("USD")), &bid);
        assert_eq!((settled.cpm, settled.flag), (Micros(cpm), flag), "{price:?} {text:?}");
    }
}

#[test]
fn a_price_in_another_currency_is_not_taken_for_one_in_ours() {
    let bid = Bid { cpm: Micros(2_000_000), currency: Currency::USD, price: PriceType::Second };
    for (currency, flag) in [
        (Some("EUR"), Some(Flag::Currency)),
        (Some("usd"), None),
        (Some(""), None),
        (Some("${AUCTION_CURRENCY}"), None),
        (Some("AUDIT"), None),
        (None, None),
    ] {
        let settled = settle(&told(Some("1"), currency), &bid);
        assert_eq!(settled.flag, flag, "{currency:?}");
    }
}

#[test]
fn one_impression_costs_a_thousandth_rounded_up() {
    for (cpm, amount) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (2_500_000, 2_500)] {
        assert_eq!(impression(Micros(cpm)), Micros(amount));
    }
}

const P: Micros = Micros(1_250_000);
const Q: Micros = Micros(1_300_000);

/// Kind, stage, seconds after the hold's end, what is done, what is odd.
type Row = (Kind, Stage, i64, Action, Option<Oddity>);

#[test]
fn every_row_of_the_table_is_as_it_is_documented() {
    use Action::*;
    use Kind::{Billing, Loss, Win};
    use Oddity::*;
    let day = 86_400;
    let rows: [Row; 43] = [
        (Win, Stage::Open, -1, Remember(P), None),
        (Win, Stage::Open, 0, BookLate(P), Some(Late)),
        (Win, Stage::Open, day, Review, Some(Stale)),
        (Win, Stage::Unknown, -1, Restore(P), None),
        (Win, Stage::Unknown, 0, BookLate(P), Some(Late)),
        (Win, Stage::Unknown, day, Review, Some(Stale)),
        (Win, Stage::Won(P), -1, Nothing, Some(Repeated)),
        (Win, Stage::Won(Q), -1, Nothing, Some(PriceDiffers)),
        (Win, Stage::Won(P), day, Nothing, Some(Repeated)),
        (Win, Stage::Settled(P), -1, Nothing, None),
        (Win, Stage::Settled(Q), 5, Nothing, None),
        (Win, Stage::Released, -1, BookLate(P), Some(Contradicted)),
        (Win, Stage::Released, 5, BookLate(P), Some(Contradicted)),
        (Win, Stage::Released, day, Review, Some(Stale)),
        (Win, Stage::Expired, 5, BookLate(P), Some(Late)),
        (Win, Stage::Expired, day - 1, BookLate(P), Some(Late)),
        (Win, Stage::Expired, day, Review, Some(Stale)),
        (Billing, Stage::Open, -1, Settle(P), None),
        (Billing, Stage::Open, 0, BookLate(P), Some(Late)),
        (Billing, Stage::Open, day, Review, Some(Stale)),
        (Billing, Stage::Unknown, -1, BookLate(P), None),
        (Billing, Stage::Unknown, 5, BookLate(P), Some(Late)),
        (Billing, Stage::Unknown, day, Review, Some(Stale)),
        (Billing, Stage::Won(P), -1, Settle(P), None),
        (Billing, Stage::Won(Q), -1, Settle(P), Some(PriceDiffers)),
        (Billing, Stage::Won(P), 5, Settle(P), None),
        (Billing, Stage::Settled(P), 5, Nothing, Some(Repeated)),
        (Billing, Stage::Settled(Q), 5, Nothing, Some(PriceDiffers)),
        (Billing, Stage::Settled(P), day, Nothing, Some(Repeated)),
        (Billing, Stage::Released, -1, BookLate(P), Some(Contradicted)),
        (Billing, Stage::Released, 5, BookLate(P), Some(Contradicted)),
        (Billing, Stage::Released, day, Review, Some(Stale)),
        (Billing, Stage::Expired, 5, BookLate(P), Some(Late)),
        (Billing, Stage::Expired, day, Review, Some(Stale)),
        (Loss, Stage::Open, -1, Release, None),
        (Loss, Stage::Open, 5, Release, None),
        (Loss, Stage::Unknown, -1, Nothing, None),
        (Loss, Stage::Won(P), -1, Nothing, Some(Contradicted)),
        (Loss, Stage::Won(P), 5, Nothing, Some(Contradicted)),
        (Loss, Stage::Settled(P), -1, Nothing, Some(Contradicted)),
        (Loss, Stage::Released, -1, Nothing, Some(Repeated)),
        (Loss, Stage::Expired, 5, Nothing, None),
        (Loss, Stage::Expired, day, Nothing, None),
    ];
    for (kind, stage, after_s, action, oddity) in rows {
        let heard = Heard {
            kind,
            cpm: P,
            expires_us: 1_000_000_000,
            now_us: 1_000_000_000 + after_s * 1_000_000,
        };
        let expected = Decision { action, oddity };
        assert_eq!(
            decide(&heard, stage, &Patience::default()),
            expected,
            "{kind:?} {stage:?} {after_s}"
        );
    }
}

#[test]
fn only_what_was_told_as_bought_has_been_counted_for_its_person() {
    let silent = [Stage::Unknown, Stage::Open, Stage::Released, Stage::Expired];
    assert!(silent.into_iter().all(|stage| !stage.is_bought()));
    assert!(Stage::Won(P).is_bought() && Stage::Settled(P).is_bought());
}

#[test]
fn where_memory_was_lost_what_is_owed_decides_unless_a_billing_tells_its_price() {
    for (kind, silent, defers) in [
        (Kind::Win, false, true),
        (Kind::Win, true, true),
        (Kind::Billing, true, true),
        (Kind::Billing, false, false),
        (Kind::Loss, true, false),
    ] {
        assert_eq!(Stage::Unknown.defers(kind, silent), defers, "{kind:?} {silent}");
        for known in [Stage::Open, Stage::Won(P), Stage::Settled(P), Stage::Expired] {
            assert!(!known.defers(kind, silent), "{known:?}");
        }
    }
}

/// The stage that an action leaves.
fn after(stage: Stage, action: Action) -> Stage {
    match action {
        Action::Remember(cpm) | Action::Restore(cpm) => Stage::Won(cpm),
        Action::Settle(cpm) | Action::BookLate(cpm) => Stage::Settled(cpm),
        Action::Release => Stage::Released,
        Action::Nothing | Action::Review => stage,
    }
}

proptest! {
    #[test]
    fn in_any_order_and_however_often_a_hold_is_booked_at_most_once_and_billed_ones_are(
        known in any::<bool>(),
        calls in prop::collection::vec((0..3_usize, 0..3_i64, 0..200_i64), 1..12),
    ) {
        let mut stage = if known { Stage::Open } else { Stage::Unknown };
        let (mut booked, mut billed, mut won) = (0, false, false);
        for (kind, price, second) in calls {
            // Its end is at 60; nobody having said anything, it is given back there.
            if second >= 60 && stage == Stage::Open {
                stage = Stage::Expired;
            }
            let heard = Heard {
                kind: Kind::ALL[kind],
                cpm: Micros(1_000_000 + price),
                expires_us: 60_000_000,
                now_us: second * 1_000_000,
            };
            let decision = decide(&heard, stage, &Patience::default());
            booked += usize::from(matches!(decision.action, Action::Settle(_) | Action::BookLate(_)));
            billed |= heard.kind == Kind::Billing;
            won |= heard.kind == Kind::Win;
            stage = after(stage, decision.action);
            // Called again, it changes nothing.
            let again = decide(&heard, stage, &Patience::default());
            prop_assert_eq!(after(stage, again.action), stage);
        }
        prop_assert!(booked <= 1);
        prop_assert!(!billed || booked == 1);
        // A win is booked, or waits for the end of its hold to be; whatever was lost before.
        prop_assert!(!won || stage.is_bought());
    }

    #[test]
    fn whatever_is_told_the_booked_price_is_above_0_and_within_the_bid(
        text in prop::option::of("[-+0-9.eE]{0,12}|.{0,12}|[0-9]{1,3}\\.[0-9]{1,9}"),
        bid in 1_i64..1_000_000_000,
        first in any::<bool>(),
    ) {
        let price = if first { PriceType::First } else { PriceType::Second };
        let bid = Bid { cpm: Micros(bid), currency: Currency::USD, price };
        let settled = settle(&told(text.as_deref(), None), &bid);
        prop_assert!(settled.cpm > Micros::ZERO && settled.cpm <= bid.cpm);
        prop_assert!(settled.amount() <= impression(bid.cpm));
        if first {
            prop_assert_eq!(settled.amount(), impression(bid.cpm));
        }
    }

    #[test]
    fn any_ticket_is_read_back_and_no_query_panics(
        hold in any::<u128>(),
        impression in ".{0,40}",
        ms in any::<i32>(),
        digest in prop::collection::vec(any::<u8>(), 0..=256),
        other in "[a-z]{0,2}(=|&|%|[a-zA-Z0-9_-]){0,80}",
    ) {
        prop_assume!(impression.len() <= IMPRESSION_BYTES_MAX);
        let keys = Keys::new(b"k", None);
        let ticket = Ticket {
            kind: Kind::Win,
            hold: Op(hold),
            impression: impression.into(),
            expires_us: i64::from(ms) * 1_000,
            digest: digest.into(),
        };
        let url = written(&keys, &ticket);
        prop_assert_eq!(keys.open(Kind::Win, query(&url)).map(|notice| notice.ticket), Ok(ticket));
        prop_assert_eq!(keys.open(Kind::Win, &other), Err(BadNotice));
    }
}

#[test]
fn a_notice_is_the_same_one_whatever_price_it_tells() {
    assert_eq!(key(Kind::Win, Op(1)), key(Kind::Win, Op(1)));
    let keys = [key(Kind::Win, Op(1)), key(Kind::Billing, Op(1)), key(Kind::Win, Op(2))];
    assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
    let names: Vec<&str> = Flag::ALL.iter().map(|flag| flag.name()).collect();
    assert_eq!(names.len(), 8);
}
