use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const VALUE: Multipliers = Multipliers::VALUE;

fn quote(value: f64) -> Quote {
    Quote { value, first_price: false, floor: 0.0, max_bid: None }
}

fn told(price: f64) -> Outcome {
    Outcome { bid: price.max(1e-3), value: 1.0, won: true, price: Some(price) }
}

fn untold(bid: f64, won: bool) -> Outcome {
    Outcome { bid, value: 1.0, won, price: None }
}

/// Prices uniform between 0 and `most`, told.
fn uniform(most: f64, count: u64) -> WinLearner {
    let mut learner = WinLearner::default();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..count {
        learner.observe(&Outcome { bid: most, value: 100.0, ..told(rng.random::<f64>() * most) });
    }
    learner.refresh();
    learner
}

#[test]
fn a_second_price_bid_is_the_value_over_the_price_of_money() {
    let unknown = WinCurve::unknown();
    for (mu, lambda, bid) in
        [(1.0, 0.0, 120.0), (2.0, 0.0, 60.0), (0.5, 0.0, 240.0), (2.0, 1.0, 80.0)]
    {
        let priced =
            price(&quote(120.0), &Multipliers { mu, lambda, pass: 1.0 }, &unknown).unwrap();
        assert_eq!((priced.bid, priced.worth, priced.win), (bid, bid, None));
        assert!(priced.surplus > 0.0);
    }
}

#[test]
fn a_bid_keeps_within_the_floor_and_the_most_that_may_be_bid() {
    let unknown = WinCurve::unknown();
    let ask = |floor, max_bid, first_price| {
        price(&Quote { value: 100.0, first_price, floor, max_bid }, &VALUE, &unknown)
    };
    for first_price in [false, true] {
        assert_eq!(ask(100.1, None, first_price), Err(Reason::BelowFloor));
        assert_eq!(ask(50.0, Some(49.0), first_price), Err(Reason::PriceBounds));
        assert_eq!(ask(0.0, Some(0.0), first_price), Err(Reason::PriceBounds));
        assert_eq!(ask(f64::NAN, None, first_price), Err(Reason::BelowFloor));
        assert_eq!(ask(0.0, Some(f64::NAN), first_price), Err(Reason::PriceBounds));
        assert_eq!(
            ask(95.0, Some(97.0), first_price).unwrap().bid,
            [97.0, 95.0][usize::from(first_price)]
        );
    }
    assert_eq!(ask(0.0, Some(70.0), false).unwrap().bid, 70.0);
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(price(&quote(value), &VALUE, &unknown), Err(Reason::PriceBounds));
    }
}

#[test]
fn a_first_price_bid_for_a_uniform_price_is_near_half_the_worth() {
    // argmax (w − b) b / 1000 is w / 2, whatever the scale.
    let curve = uniform(1_000.0, 20_000).curve().clone();
    for value in [200.0, 500.0, 900.0] {
        let first = Quote { first_price: true, ..quote(value) };
        let priced = price(&first, &VALUE, &curve).unwrap();
        let share = priced.bid / value;
        assert!((0.5 * (-0.25f64).exp()..0.5 * 0.25f64.exp()).contains(&share), "{value}: {share}");
        let win = priced.win.unwrap();
        assert!((win - priced.bid / 1_000.0).abs() < 0.03, "{win} at {}", priced.bid);
        // Exploring costs a part of second order of the best surplus, w²/4000.
        assert!(priced.surplus > 0.93 * value * value / 4_000.0, "{}", priced.surplus);
        let scarce = price(&first, &Multipliers { mu: 2.0, ..VALUE }, &curve).unwrap();
        assert!((0.39..0.64).contains(&(scarce.bid / (value / 2.0))), "{}", scarce.bid);
    }
}

#[test]
fn the_surplus_of_a_second_price_bid_is_what_it_gains_on_average() {
    // ∫₀ʷ (w − p) dp / 1000 = w² / 2000
    let curve = uniform(1_000.0, 50_000).curve().clone();
    for value in [100.0, 400.0, 800.0] {
        let priced = price(&quote(value), &VALUE, &curve).unwrap();
        let truth = value * value / 2_000.0;
        assert!((priced.surplus / truth - 1.0).abs() < 0.06, "{} of {truth}", priced.surplus);
    }
}

#[test]
fn wins_and_losses_alone_tell_the_curve_where_bids_are_made() {
    let mut learner = WinLearner::default();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..60_000 {
        let price = 300.0 * rng.random::<f64>();
        let bid = 20.0 + 250.0 * rng.random::<f64>();
        learner.observe(&untold(bid, bid >= price));
    }
    for bid in [60.0, 120.0, 200.0] {
        let said = learner.curve().win(bid, 1.0).unwrap();
        assert!((said - bid / 300.0).abs() < 0.05, "{said} at {bid}");
    }
}

#[test]
fn losses_count_when_wins_tell_their_price() {
    // Prices above 100 are never seen: bids of 100 lose half of the time (Kaplan and Meier).
    let mut learner = WinLearner::default();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..20_000 {
        let price = 200.0 * rng.random::<f64>();
        learner.observe(&if price <= 100.0 { told(price) } else { untold(100.0, false) });
    }
    let curve = learner.curve();
    for (bid, truth) in [(50.0, 0.25), (90.0, 0.45)] {
        let said = curve.win(bid, 1.0).unwrap();
        assert!((said - truth).abs() < 0.04, "{said} at {bid}");
    }
}

#[test]
fn when_nothing_was_ever_won_a_higher_bid_is_tried() {
    let mut learner = WinLearner::default();
    for _ in 0..500 {
        learner.observe(&untold(50.0, false));
    }
    let first = Quote { first_price: true, ..quote(400.0) };
    let priced = price(&first, &VALUE, learner.curve()).unwrap();
    assert!(priced.bid > 60.0 && priced.win.unwrap() < 1.0, "{priced:?}");
}

#[test]
fn prices_that_go_with_values_are_told_apart() {
    // The price is 50 to 150 times the value: a bid of 100 times the value wins half of the time.
    let mut learner = WinLearner::default();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..30_000 {
        let value = (3.0 * rng.random::<f64>()).exp();
        let price = value * (50.0 + 100.0 * rng.random::<f64>());
        let bid = value * 160.0 * rng.random::<f64>();
        learner.observe(&Outcome { bid, value, won: bid >= price, price: None });
    }
    for value in [1.5, 5.0, 15.0] {
        for (times, truth) in [(60.0, 0.1), (100.0, 0.5), (140.0, 0.9)] {
            let said = learner.curve().win(times * value, value).unwrap();
            assert!((said - truth).abs() < 0.12, "{said} at {times} × {value}");
        }
    }
    // A value below 0 that multipliers turn around has no scale.
    let strange = Multipliers { mu: 5.0, lambda: -2.0, pass: 1.0 };
    for first_price in [true, false] {
        let quote = Quote { value: -3.0, first_price, floor: 0.5, max_bid: None };
        assert_eq!(price(&quote, &strange, learner.curve()), Err(Reason::PriceBounds));
    }
}

#[test]
fn the_curve_forgets_a_market_that_is_gone() {
    let mut learner = uniform(100.0, 100_000);
    for _ in 0..200_000 {
        learner.observe(&told(1_000.0));
    }
    let win = learner.curve().win(200.0, 1.0).unwrap();
    assert!(win < 0.05, "{win}");
}

#[test]
fn a_learner_that_was_stored_goes_on_and_a_broken_one_is_refused() {
    let mut learner = uniform(500.0, 3_000);
    for bid in 0..300 {
        learner.observe(&untold(f64::from(bid) + 1.0, false));
        learner.observe(&untold(f64::from(bid) + 100.0, true));
    }
    learner.refresh();
    let json = serde_json::to_string(&learner).unwrap();
    assert!(json.len() < 60_000, "{}", json.len());
    let stored: WinLearner = serde_json::from_str(&json).unwrap();
    for bid in [10.0, 100.0, 400.0] {
        let (was, is) =
            (learner.curve().win(bid, 1.0).unwrap(), stored.curve().win(bid, 1.0).unwrap());
        assert!((was - is).abs() < 0.02, "{was} {is} at {bid}");
    }
    for (from, to) in [("\"won\":[[", "\"won\":[[9"), ("\"prior\":", "\"prior\":-")] {
        let broken = json.replacen(from, to, 1);
        assert!(broken != json && serde_json::from_str::<WinLearner>(&broken).is_err(), "{from}");
    }
}

fn amount() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        0.0..1e6f64,
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE),
        Just(1e300),
    ]
}

proptest! {
    #[test]
    fn no_input_makes_a_price_that_is_none_or_out_of_bounds(
        value in amount(),
        mu in amount(),
        lambda in amount(),
        floor in amount(),
        max_bid in prop::option::of(amount()),
        first_price in any::<bool>(),
        seen in prop::collection::vec((0..3u8, amount(), amount()), 0..40),
    ) {
        let mut learner = WinLearner::default();
        for (kind, amount, value) in seen {
            let price = (kind == 0).then_some(amount);
            learner.observe(&Outcome { bid: amount, value, won: kind < 2, price });
        }
        let multipliers = Multipliers { mu, lambda, pass: 1.0 };
        let quote = Quote { value, first_price, floor, max_bid };
        if let Ok(priced) = price(&quote, &multipliers, learner.curve()) {
            prop_assert!(priced.bid.is_finite() && priced.bid > 0.0, "{priced:?}");
            prop_assert!(priced.bid <= priced.worth && priced.bid >= floor.max(0.0), "{priced:?}");
            prop_assert!(max_bid.is_none_or(|most| priced.bid <= most), "{priced:?}");
            prop_assert!(priced.surplus.is_finite() && priced.surplus >= 0.0, "{priced:?}");
            prop_assert!(priced.win.is_none_or(|win| (0.0..=1.0).contains(&win)), "{priced:?}");
        }
    }

    #[test]
    fn a_curve_never_falls(
        seen in prop::collection::vec((0..3u8, 0.0..1e9f64, 1e-9..1e9f64), 1..200),
        bids in prop::collection::vec(0.0..1e10f64, 2),
        value in 1e-9..1e9f64,
    ) {
        let mut learner = WinLearner::default();
        for (kind, amount, value) in seen {
            let price = (kind == 0).then_some(amount);
            learner.observe(&Outcome { bid: amount, value, won: kind < 2, price });
        }
        let (low, high) = (bids[0].min(bids[1]), bids[0].max(bids[1]));
        let curve = learner.curve();
        prop_assert!(curve.win(low, value) <= curve.win(high, value));
        prop_assert!(curve.cost(low, value) <= curve.cost(high, value));
    }
}

#[test]
fn bids_are_ranked_by_the_most_that_they_gain_at_a_price_that_is_uniform() {
    let asked = |first_price, floor, max_bid| Quote { value: 1.0, first_price, floor, max_bid };
    for (worth, floor, max_bid) in [
        (100.0, 0.0, None),
        (100.0, 30.0, None),
        (100.0, 80.0, None),
        (100.0, 0.0, Some(20.0)),
        (100.0, 15.0, Some(70.0)),
        (100.0, 100.0, None),
    ] {
        let top = max_bid.unwrap_or(worth);
        let cents = |from: f64, to: f64| (from * 100.0) as u32..=(to * 100.0) as u32;
        let gains = cents(floor, top).map(|b| f64::from(b) / 100.0).map(|b| (worth - b) * b);
        let best = gains.fold(0.0, f64::max);
        let said = rank(worth, &asked(true, floor, max_bid));
        assert!((said * said - best).abs() < 0.01, "{worth} {floor} {max_bid:?}: {said} {best}");
        let prices = cents(0.0, top).map(|p| f64::from(p) / 100.0);
        let sum: f64 = prices.map(|p| (worth - p.max(floor)) / 100.0).sum();
        let said = rank(worth, &asked(false, floor, max_bid));
        assert!((said * said - sum).abs() < 1.5, "{worth} {floor} {max_bid:?}: {said} {sum}");
    }
}

proptest! {
    #[test]
    fn who_values_it_more_or_may_bid_more_is_never_ranked_lower(
        worth in 0.0..1e6f64, more in 1.0..3.0f64, first_price: bool,
        floor in 0.0..1.0f64, cap in proptest::option::of(0.0..1.0f64),
    ) {
        let floor = worth * floor;
        let max_bid = cap.map(|cap| floor + (worth - floor) * cap);
        let quote = Quote { value: worth, first_price, floor, max_bid };
        let wide = Quote { max_bid: max_bid.map(|most| most * more), ..quote };
        let near = 1e-9 * (1.0 + worth);
        prop_assert!(rank(worth * more, &quote) >= rank(worth, &quote) - near);
        prop_assert!(rank(worth, &wide) >= rank(worth, &quote) - near);
    }
}
