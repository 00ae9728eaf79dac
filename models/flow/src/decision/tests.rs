//! Digests, lines, outcomes and samples.

use proptest::prelude::*;

use kiki_models::shield::money::{Currency, Micros, Rate};

use super::digest::{BadDigest, DIGEST_BYTES_MAX, DIGEST_CHARS_MAX, Digest, Text, hash};
use super::line::{KEYS, Line};
use super::outcome::{Effect, Event, Outcome, Taken, cost};
use super::rebuild::{Named, rebuild};
use super::record::{BreakerState, Decision, Kind, LtvUsed};
use super::sample::sampled;
use crate::auction::rates::Cross;
use crate::pacing::Multipliers;
use crate::reason::Reason;
use crate::targeting::LtvStatus;
use crate::targeting::explain::Finding;

fn usual() -> Digest {
    Digest {
        account: Text::plain("default"),
        campaign: Text::plain("camp_001"),
        creative: Text::plain("cr1"),
        impression: Text::plain("1"),
        model: Text::plain("bg_nbd-7"),
        auction: Text::plain("r-1"),
        deal: Text::plain("d7"),
        definition: 3,
        hold: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        at_us: 1_795_262_400_000_000,
        cpm: Micros(2_500_000),
        own_currency: Currency::USD,
        price: Micros(2_500_000),
        currency: Currency::USD,
        cross: Cross::SAME,
        first_price: true,
        value: 3_141.5,
        multipliers: Multipliers { mu: 1.25, lambda: 0.0, pass: 1.0 },
        ltv: Some(Micros(512_340_000)),
        ltv_status: LtvStatus::Success,
        floor: Micros(1_500_000),
    }
}

/// The same as version 1 had it.
fn before() -> Digest {
    let none = || Text::plain("");
    Digest { auction: none(), deal: none(), floor: Micros::ZERO, ..usual() }
}

#[test]
fn a_usual_digest_is_short_and_reads_back() {
    let digest = usual();
    let bytes = digest.encode();
    println!("a usual digest: {} bytes, {} characters", bytes.len(), digest.to_text().len());
    assert!(bytes.len() <= 128, "{}", bytes.len());
    assert_eq!(Digest::decode(&bytes), Ok(digest.clone()));
    assert_eq!(Digest::from_text(&digest.to_text()), Ok(digest));
}

/// Of version 1: addresses that are out there, and lines of the files have it.
const BEFORE: &str = concat!(
    "0103000123456789abcdef0123456789abcdef80c08b9a83b2b006c096b1025553440300000000008ba8400000000000",
    "00f43f0000000000000000000000000000f03fc0c0cde8030764656661756c740863616d705f30303103637231013108",
    "62675f6e62642d37",
);

/// Expected: the same fields written by Python. A change here makes every URL that is out there unreadable.
#[test]
fn the_form_of_a_digest_stays() {
    let expected = concat!(
        "0223000123456789abcdef0123456789abcdef80c08b9a83b2b006c096b1025553440300000000008ba8400000000000",
        "00f43f0000000000000000000000000000f03fc0c0cde803c08db7010764656661756c740863616d705f303031036372",
        "3101310862675f6e62642d3703722d31026437",
    );
    let hex: String = usual().encode().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
}

#[test]
fn a_digest_of_before_is_read_and_says_neither_auction_nor_deal() {
    let bytes: Vec<u8> = (0..BEFORE.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&BEFORE[at..at + 2], 16).expect("a byte"))
        .collect();
    assert_eq!(Digest::decode(&bytes), Ok(before()));
    let told = rebuild(&before(), |_, _| None);
    assert_eq!((told.auction, told.deal), (None, None));
    assert_eq!(told.price.and_then(|price| price.floor), None);
    // What version 1 had no place for is no digest of it.
    for (at, bits) in [(1, 0x20), (2, 0x20), (2, 0x40), (0, 0x02)] {
        let mut bent = bytes.clone();
        bent[at] |= bits;
        assert_eq!(Digest::decode(&bent), Err(BadDigest), "byte {at}");
    }
}

#[test]
fn a_record_that_is_made_anew_is_found_by_its_request_and_says_nothing_of_breakers() {
    let told = rebuild(&usual(), |_, _| None);
    assert_eq!((told.auction.as_deref(), told.deal.as_deref()), (Some("r-1"), Some("d7")));
    assert_eq!((told.breaker, told.ltv_breaker), (None, None));
    let price = told.price.as_ref().expect("a price");
    // 3,141.5 / 1.25
    assert_eq!((price.floor, price.worth), (Some(Micros(1_500_000)), Some(2_513.2)));
    let text = serde_json::to_string(&told).expect("json");
    assert!(!text.contains("breaker"), "{text}");
    assert_eq!(serde_json::from_str::<Decision>(&text).ok(), Some(told));
    // As they were stored before, it is there.
    let old = r#"{"kind":"bid","at_us":7,"account":"a","breaker":"closed","outcome":"bid","rebuilt":true}"#;
    let old: Decision = serde_json::from_str(old).expect("a record of before");
    assert_eq!(old.breaker, Some(BreakerState::Closed));
    // Without multipliers that are numbers nobody knows what it was worth.
    let none = Multipliers { mu: f64::NAN, lambda: 0.0, pass: 1.0 };
    let none = Digest::decode(&Digest { multipliers: none, ..usual() }.encode()).expect("reads");
    assert_eq!(rebuild(&none, |_, _| None).price.expect("a price").worth, None);
}

#[test]
fn the_longest_id_of_a_request_is_carried_as_it_is_beside_anything() {
    let longest = "x".repeat(128);
    let all = || Text::plain(&longest);
    let digest = Digest {
        account: all(),
        campaign: all(),
        creative: all(),
        impression: all(),
        model: all(),
        auction: all(),
        deal: all(),
        ..usual()
    };
    let back = Digest::decode(&digest.encode()).expect("its own bytes");
    assert_eq!((&back.auction, &back.campaign), (&digest.auction, &digest.campaign));
    assert!(matches!(back.deal, Text::Hash(_)) && back.deal.is(&longest));
    // It takes no room from the others.
    let digest = Digest { auction: all(), creative: Text::plain(&"c".repeat(64)), ..usual() };
    assert_eq!(Digest::decode(&digest.encode()), Ok(digest));
}

fn texts() -> impl Strategy<Value = Text> {
    prop_oneof![
        "[a-zA-Z0-9_.-]{0,12}".prop_map(|text| Text::plain(&text)),
        "[a-z\u{e9}\u{4e2d}]{0,140}".prop_map(|text| Text::plain(&text)),
        any::<[u8; 16]>().prop_map(Text::Hash),
    ]
}

fn digests() -> impl Strategy<Value = Digest> {
    let names = (texts(), texts(), texts(), texts(), texts(), texts(), texts());
    let floor = prop_oneof![Just(0), any::<i64>()];
    let money = (any::<i64>(), any::<i64>(), 1..i64::MAX, 1..i64::MAX, any::<bool>(), floor);
    let rest = (any::<u128>(), any::<i64>(), any::<u32>(), any::<Option<i64>>(), 0_usize..4);
    let floats = (-1e300..1e300, -1e3..1e3, 0.0..1e3, 0.0..1.0_f64);
    (names, money, rest, floats, any::<bool>()).prop_map(
        |(names, money, rest, floats, first_price)| {
            let (account, campaign, creative, impression, model, auction, deal) = names;
            let (cpm, price, from, to, same, floor) = money;
            let eur: Currency = "EUR".parse().expect("a code");
            let cross = if same { Cross::SAME } else { Cross { from: Rate(from), to: Rate(to) } };
            Digest {
                account,
                campaign,
                creative,
                impression,
                model,
                auction,
                deal,
                definition: rest.2,
                hold: rest.0,
                at_us: rest.1,
                cpm: Micros(cpm),
                own_currency: Currency::USD,
                price: if same { Micros(cpm) } else { Micros(price) },
                currency: if same { Currency::USD } else { eur },
                cross,
                first_price,
                value: floats.0,
                multipliers: Multipliers { mu: floats.1, lambda: floats.2, pass: floats.3 },
                ltv: rest.3.map(Micros),
                ltv_status: LtvStatus::ALL[rest.4],
                floor: Micros(floor),
            }
        },
    )
}

fn same(a: &Text, b: &Text) -> bool {
    match (a, b) {
        (Text::Plain(plain), Text::Hash(bytes)) => hash(plain) == *bytes,
        (a, b) => a == b,
    }
}

#[test]
fn a_bid_of_which_nothing_is_told_expires_by_itself_and_whatever_is_told_stands() {
    let bid = Decision { ends_us: Some(100), ..Decision::new(Kind::Bid, "a", 40) };
    assert_eq!(bid.outcome_at(99), Outcome::Bid);
    assert_eq!(bid.outcome_at(100), Outcome::Expired { at_us: 100 });
    // Told late, it is booked all the same.
    let billed = Outcome::Billed { amount: Micros(5), at_us: 900, late: true };
    assert!(bid.outcome.gives_way_to(&billed) && bid.outcome_at(900).gives_way_to(&billed));
    let told = Decision { outcome: billed, ..bid.clone() };
    assert_eq!(told.outcome_at(1_000), billed);
    // Of a change there is nothing to wait for, and records of before say nothing of their end.
    assert_eq!(Decision::new(Kind::Change, "a", 0).outcome_at(i64::MAX), Outcome::None);
    assert_eq!(Decision { ends_us: None, ..bid }.outcome_at(i64::MAX), Outcome::Bid);
}

proptest! {
    #[test]
    fn digests_read_back_and_fit(digest in digests()) {
        let bytes = digest.encode();
        prop_assert!(bytes.len() <= DIGEST_BYTES_MAX);
        prop_assert!(digest.to_text().len() <= DIGEST_CHARS_MAX);
        let back = Digest::decode(&bytes).expect("its own bytes");
        // Long texts may have become their hashes; everything else is as it was.
        prop_assert!(same(&digest.account, &back.account) && same(&digest.campaign, &back.campaign));
        prop_assert!(same(&digest.creative, &back.creative) && same(&digest.model, &back.model));
        prop_assert!(same(&digest.impression, &back.impression));
        prop_assert!(same(&digest.auction, &back.auction) && same(&digest.deal, &back.deal));
        prop_assert!(matches!(
            (&digest.auction, &back.auction),
            (Text::Plain(_), Text::Plain(_)) | (Text::Hash(_), _)
        ) || matches!(&digest.auction, Text::Plain(long) if long.len() > 128));
        prop_assert_eq!(&back.encode(), &bytes);
        let with = Digest {
            account: back.account.clone(), campaign: back.campaign.clone(), creative: back.creative.clone(),
            impression: back.impression.clone(), model: back.model.clone(),
            auction: back.auction.clone(), deal: back.deal.clone(), ..digest
        };
        prop_assert_eq!(with, back);
    }

    #[test]
    fn hostile_bytes_never_panic_and_what_reads_is_written_the_same(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        digest in digests(),
        bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        text in "\\PC{0,400}",
    ) {
        let _ = Digest::decode(&bytes);
        let _ = Digest::from_text(&text);
        let mut bent = digest.encode();
        prop_assert_eq!(Digest::decode(&bent[..cut.index(bent.len())]), Err(BadDigest));
        for (at, byte) in bends {
            let at = at.index(bent.len());
            bent[at] = byte;
        }
        if let Ok(read) = Digest::decode(&bent) {
            let again = read.encode();
            let back = Digest::decode(&again).expect("its own bytes");
            prop_assert_eq!(back.encode(), again);
            prop_assert!(same(&read.account, &back.account) && same(&read.campaign, &back.campaign));
            prop_assert_eq!((back.hold, back.at_us, back.cpm), (read.hold, read.at_us, read.cpm));
        }
    }

    /// Whatever notices come, in any order and any number: one amount is booked at most, and one is where
    /// the impression was billed, or won.
    #[test]
    fn at_most_one_amount_is_booked_for_a_bid(
        events in proptest::collection::vec((0_u8..4, proptest::option::of(0_i64..2_000)), 0..10),
    ) {
        let most = Micros(1_000);
        let (mut outcome, mut settled, mut released) = (Outcome::Bid, Vec::new(), 0);
        let (mut won, mut over) = (false, false);
        let last = [(3, None)];
        for (i, (kind, price)) in events.iter().chain(&last).enumerate() {
            let price = price.map(Micros);
            let event = match kind {
                0 => Event::Win { price },
                1 => Event::Billing { price },
                2 => Event::Loss { code: Some(102) },
                _ => Event::Expiry,
            };
            let step = outcome.step(event, most, i as i64);
            match step.effect {
                Effect::Settle { amount, late } => {
                    prop_assert!(Micros::ZERO <= amount && amount <= most);
                    prop_assert_eq!(late, released > 0);
                    settled.push(amount);
                }
                Effect::Release => {
                    released += 1;
                    prop_assert!(!won);
                }
                Effect::Nothing => {}
            }
            // The same again changes nothing.
            let again = step.outcome.step(event, most, 99);
            prop_assert_eq!((again.outcome, again.effect), (step.outcome, Effect::Nothing));
            prop_assert_eq!(step.taken == Taken::Contradiction, step.outcome == outcome && matches!(kind, 2) && won);
            won |= matches!(kind, 0 | 1);
            over |= released > 0;
            outcome = step.outcome;
        }
        prop_assert_eq!(settled.len(), usize::from(won));
        prop_assert!(released <= 1);
        prop_assert_eq!(matches!(outcome, Outcome::Billed { .. }), won);
        prop_assert!(!won || !over || settled.len() == 1);
    }

    #[test]
    fn lines_have_every_key_once_in_order_whatever_ids_there_are(ids in proptest::collection::vec("\\PC{0,20}", 3), newline in any::<bool>()) {
        let mut decision = Decision::new(Kind::Bid, &ids[0], 7);
        decision.campaign = Some(ids[1].clone());
        let evil = if newline { "\n decision: kind=bid hold=\"x\" \r\u{2028}" } else { "" };
        decision.auction = Some(format!("{}{evil}", ids[2]));
        let line = Line(&decision).to_string();
        prop_assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", line);
        prop_assert!(line.starts_with("decision: kind=bid at_us=7 account="));
        // Outside quotes each key is there once, in order.
        let mut plain = String::new();
        let (mut quoted, mut escaped) = (false, false);
        for c in line.chars() {
            match (quoted, escaped, c) {
                (true, true, _) => escaped = false,
                (true, false, '\\') => escaped = true,
                (_, _, '"') => quoted = !quoted,
                (true, _, _) => {}
                (false, _, c) => plain.push(c),
            }
        }
        let keys: Vec<&str> = plain.split(' ').skip(1).filter_map(|part| part.split('=').next()).collect();
        prop_assert_eq!(keys, KEYS);
    }
}

#[test]
fn a_line_shows_what_a_record_holds() {
    let mut decision = rebuild(&usual(), |_, _| None);
    decision.reasons = vec![Finding { reason: Reason::Budget, detail: "x".into() }];
    decision.latency_us = Some(412);
    assert_eq!(
        Line(&decision).to_string(),
        "decision: kind=bid at_us=1795262400000000 account=default campaign=camp_001 version=3 auction=r-1 \
         impression=1 creative=cr1 deal=d7 currency=USD price_cpm=2.5 cpm=2.5 reserve=0.0025 price_type=first \
         floor_cpm=1.5 value=3141.5 worth=2513.2 win=- ltv=512.34 ltv_status=success model=bg_nbd-7 mu=1.25 lambda=0 \
         pass=1 hold=0123456789abcdef0123456789abcdef breaker=- latency_us=412 outcome=bid reason=budget \
         change=- rebuilt=true ltv_breaker=-"
    );
    // Those who read by place find everything where it was.
    assert_eq!(KEYS[30..], ["rebuilt", "ltv_breaker"]);
    decision.breaker = Some(BreakerState::Open);
    decision.ltv_breaker = Some(BreakerState::HalfOpen);
    let line = Line(&decision).to_string();
    assert!(line.contains(" breaker=open ") && line.ends_with(" ltv_breaker=half_open"), "{line}");
}

#[test]
fn records_are_json_that_reads_back() {
    let mut decision = rebuild(&usual(), |_, _| None);
    decision.outcome = Outcome::Billed { amount: Micros(2_345), at_us: 9, late: false };
    decision.reasons = vec![Finding { reason: Reason::Outbid, detail: "x".into() }];
    let text = serde_json::to_string(&decision).expect("json");
    assert_eq!(serde_json::from_str::<Decision>(&text).expect("read"), decision);
    assert!(decision.is_booked() && decision.reason() == Some(Reason::Outbid));
}

#[test]
fn what_a_digest_holds_only_as_a_hash_is_looked_up_and_checked() {
    let long = "x".repeat(128);
    let mut digest = usual();
    digest.campaign = Text::plain(&long);
    digest.creative = Text::plain(&"y".repeat(128));
    let back = Digest::from_text(&digest.to_text()).expect("its own text");
    assert!(matches!(back.creative, Text::Hash(_)));
    assert_eq!(back.impression, Text::plain("1"));
    // As older addresses have it, which saved room at the campaign, too.
    let back = Digest { campaign: Text::Hash(hash(&long)), ..back };
    let known = rebuild(&back, |named, _| {
        (named == Named::Campaign || named == Named::Creative).then(|| long.clone())
    });
    assert_eq!(known.campaign.as_deref(), Some(&long[..]));
    let creative = known.creative.expect("a creative");
    assert!(
        creative.starts_with("sha256:") && creative.len() == 39,
        "what is found must be it: {creative}"
    );
    assert!(
        known.rebuilt
            && known.ltv
                == Some(LtvUsed {
                    amount: digest.ltv,
                    status: LtvStatus::Success,
                    model: "bg_nbd-7".into()
                })
    );
}

#[test]
fn what_a_notice_is_booked_by_is_never_a_hash_however_long_everything_is() {
    let (longest, most) = ("x".repeat(128), i64::MAX);
    let mut digest = Digest {
        account: Text::plain(&"a".repeat(128)),
        campaign: Text::plain(&longest),
        creative: Text::plain(&longest),
        impression: Text::plain(&longest),
        model: Text::plain(&longest),
        definition: u32::MAX,
        at_us: most,
        cpm: Micros(most),
        price: Micros(most),
        currency: "EUR".parse().expect("a code"),
        cross: Cross { from: Rate(most), to: Rate(most) },
        ltv: Some(Micros(most)),
        ..usual()
    };
    let bytes = digest.encode();
    assert!(bytes.len() <= DIGEST_BYTES_MAX, "{}", bytes.len());
    let back = Digest::decode(&bytes).expect("its own bytes");
    assert_eq!((&back.account, &back.campaign), (&digest.account, &digest.campaign));
    for text in [&back.creative, &back.impression, &back.model] {
        assert!(matches!(text, Text::Hash(_)), "{text:?}");
    }
    // Where less room is needed the impression goes first: its address says it once more.
    let usual = usual();
    digest = Digest {
        impression: Text::plain(&longest),
        creative: Text::plain(&"c".repeat(64)),
        ..usual
    };
    let back = Digest::decode(&digest.encode()).expect("its own bytes");
    assert!(matches!(back.impression, Text::Hash(_)) && back.creative == digest.creative);
}

#[test]
fn a_price_is_converted_back_at_the_rates_of_the_bid() {
    assert_eq!(cost(Micros(2_500_000), Cross::SAME), Micros(2_500));
    assert_eq!(cost(Micros(2_500_001), Cross::SAME), Micros(2_501));
    // From USD to EUR at 1.085: 1 EUR a thousand is 1.085 USD.
    let cross = Cross { from: Rate(1_000_000_000), to: Rate(1_085_000_000) };
    assert_eq!(cost(Micros(1_000_000), cross), Micros(1_085));
}

#[test]
fn a_sample_by_hash_is_of_the_asked_size_and_always_the_same() {
    let kept = (0..100_000_u64).filter(|key| sampled(*key, 10_000)).count();
    // 1,000 expected, with a standard deviation of 31
    assert!((875..1_125).contains(&kept), "{kept}");
    assert!((0..1_000).all(|key| sampled(key, 1_000_000) && !sampled(key, 0)));
}

#[test]
fn a_record_from_before_the_breaker_of_values_was_told_reads_and_one_with_it_reads_back() {
    let old = Decision::new(Kind::Bid, "a", 7);
    let text = serde_json::to_string(&old).unwrap();
    assert!(!text.contains("ltv_breaker"), "{text}");
    assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), old);
    let new = Decision { ltv_breaker: Some(BreakerState::HalfOpen), ..old };
    let text = serde_json::to_string(&new).unwrap();
    assert!(text.contains(r#""breaker":"closed","ltv_breaker":"half_open""#), "{text}");
    assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), new);
}
