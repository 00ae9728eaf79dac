use kiki_models::shield::money::Micros;

use super::*;
use crate::traffic::Prior;

pub(super) const SECOND: i64 = 1_000_000;

/// A period of 10,000 auctions, one a second, with this budget.
pub(super) fn pacer(terms: Terms, budget: i64) -> Pacer {
    let traffic = Some(Prior { per_day: 86_400.0, days: 1_000.0 });
    let period = Period { from_us: 0, to_us: 10_000 * SECOND, budget: Micros(budget) };
    Pacer::new(Terms { traffic, ..terms }, period).unwrap()
}

pub(super) fn dual() -> Terms {
    Terms::default()
}

/// Auction `at` with a value of 1: seen, and bid on if the pacer takes part. What was bid.
fn auction(pacer: &mut Pacer, at: i64) -> Option<f64> {
    auction_ahead(pacer, at, 0)
}

/// By a clock that is so many seconds ahead.
fn auction_ahead(pacer: &mut Pacer, at: i64, ahead: i64) -> Option<f64> {
    let at_us = (at + ahead) * SECOND;
    pacer.on(Event::Seen { at_us, auctions: 1, valued: 1, value: 1.0, left_out: 0 });
    let multipliers = pacer.multipliers();
    if multipliers.pass <= 0.0 {
        return None;
    }
    let bid = multipliers.per_value();
    let hold = Micros(bid.ceil() as i64);
    pacer.on(Event::Bid { at_us, id: at as u64, hold, value: 1.0, worth: bid, bid });
    Some(bid)
}

/// Plays `from..to` where the market price of auction `at` is `price(at)`. What was spent.
pub(super) fn play(pacer: &mut Pacer, from: i64, to: i64, price: impl Fn(i64) -> i64) -> i64 {
    play_ahead(pacer, from, to, (0, price))
}

/// By a clock that is so many seconds ahead.
fn play_ahead(
    pacer: &mut Pacer,
    from: i64,
    to: i64,
    (ahead, price): (i64, impl Fn(i64) -> i64),
) -> i64 {
    let mut spent = 0;
    for at in from..to {
        let Some(bid) = auction_ahead(pacer, at, ahead) else { continue };
        let (at_us, id, market) = ((at + ahead) * SECOND, at as u64, price(at));
        if bid >= market as f64 {
            pacer.on(Event::Won { at_us, id, price: Micros(market) });
            spent += market;
        } else {
            pacer.on(Event::Lost { at_us, id });
        }
    }
    spent
}

/// Prices from 100 to 299 in a fixed disorder.
pub(super) fn market(at: i64) -> i64 {
    100 + (at * 7_919) % 200
}

#[test]
fn a_budget_is_spent_evenly_over_a_market_that_does_not_change() {
    // Half of the auctions cost 100 to 199: 75 micros an auction.
    let mut pacer = pacer(dual(), 750_000);
    let quarters: Vec<i64> =
        (0..4).map(|q| play(&mut pacer, q * 2_500, (q + 1) * 2_500, market)).collect();
    assert!(quarters.iter().all(|q| (170_000..205_000).contains(q)), "{quarters:?}");
    let spent: i64 = quarters.iter().sum();
    assert!((746_000..=751_000).contains(&spent), "{spent}");
    let view = pacer.view();
    assert_eq!((view.spent, view.open_bids), (Micros(spent), 0));
    assert!((1.0 / 210.0..1.0 / 190.0).contains(&view.mu) || view.auctions_expected < 100.0);
}

#[test]
fn nothing_is_bid_before_a_value_is_seen_or_known_nor_without_a_budget() {
    assert_eq!(pacer(dual(), 1_000).multipliers().pass, 0.0);
    let known = Terms { value_prior: Some(2.0), ..dual() };
    let ready = pacer(known.clone(), 1_000_000).multipliers();
    // ρ is 100: bids of 100 on average cannot cost more.
    assert!(ready.pass == 1.0 && (ready.mu - 0.02).abs() < 1e-6, "{ready:?}");
    let mut empty = pacer(known, 0);
    assert_eq!(play(&mut empty, 0, 100, market), 0);
    assert_eq!(empty.multipliers().pass, 0.0);
}

#[test]
fn without_a_win_bids_rise_and_after_the_first_wins_they_settle() {
    let mut pacer = pacer(dual(), 750_000);
    play(&mut pacer, 0, 200, |_| i64::MAX);
    let high = pacer.multipliers().per_value();
    assert!(high > 1_000.0 && high.is_finite(), "{high}");
    play(&mut pacer, 200, 3_000, market);
    let settled = pacer.multipliers().per_value();
    assert!((150.0..280.0).contains(&settled), "{settled}");
}

#[test]
fn a_top_up_raises_bids_at_once_and_a_cut_stops_them() {
    let mut pacer = pacer(dual(), 400_000);
    play(&mut pacer, 0, 5_000, market);
    let before = pacer.multipliers().per_value();
    let at_us = 5_000 * SECOND;
    pacer.on(Event::Budget { at_us, budget: Micros(700_000), spent: None });
    assert!(pacer.multipliers().per_value() > 1.1 * before);
    pacer.on(Event::Budget { at_us, budget: Micros(100_000), spent: None });
    assert_eq!(pacer.multipliers().pass, 0.0);
    // What the ledger says goes before what the pacer counted.
    pacer.on(Event::Budget { at_us, budget: Micros(100_000), spent: Some(Micros(10_000)) });
    assert_eq!((pacer.multipliers().pass, pacer.view().spent), (1.0, Micros(10_000)));
}

#[test]
fn a_cut_where_everything_is_won_lowers_bids_and_does_not_stop_them() {
    for (budget, part) in [(2_100_000, 2), (2_100_000, 4), (8_000_000, 2), (8_000_000, 4)] {
        let mut pacer = pacer(dual(), budget);
        let spent = play(&mut pacer, 0, 5_000, market);
        assert!(spent > 960_000, "{spent}");
        // To win the rest as well would cost a million more.
        let left = 1_000_000 / part;
        let budget = Micros(spent + left);
        pacer.on(Event::Budget { at_us: 5_000 * SECOND, budget, spent: None });
        let tenth = |at: i64| play(&mut pacer, 5_000 + at * 500, 5_500 + at * 500, market);
        let tenths: Vec<i64> = (0..10).map(tenth).collect();
        assert!(tenths[1..].iter().all(|tenth| *tenth > left * 6 / 100), "1/{part}: {tenths:?}");
        let all: i64 = tenths.iter().sum();
        assert!((left * 99 / 100..left * 101 / 100).contains(&all), "1/{part}: {tenths:?}");
    }
}

#[test]
fn bids_in_flight_count_as_what_they_are_expected_to_cost() {
    let mut pacer = pacer(dual(), 750_000);
    play(&mut pacer, 0, 5_000, market);
    let (before, rho) = (pacer.multipliers().per_value(), pacer.view().rho_micros);
    for at in 5_000..6_000 {
        auction(&mut pacer, at);
    }
    let view = pacer.view();
    assert_eq!(view.open_bids, 1_000);
    assert!((0.85..1.15).contains(&(view.in_flight_micros / (1_000.0 * rho))), "{view:?}");
    let during = pacer.multipliers().per_value();
    assert!((0.97..1.03).contains(&(during / before)), "{before} {during}");
}

#[test]
fn bids_of_which_nothing_is_heard_are_given_up_by_age_and_by_number() {
    let terms = Terms { open_age_us: 60 * SECOND, open_max: 50, ..dual() };
    let mut pacer = pacer(terms, 750_000);
    for at in 0..300 {
        auction(&mut pacer, at);
        assert!(pacer.view().open_bids <= 50);
    }
    pacer.on(Event::Tick { at_us: 400 * SECOND });
    assert_eq!((pacer.view().open_bids, pacer.view().in_flight_micros), (0, 0.0));
    // The win of a bid that was given up still counts, once.
    for _ in 0..3 {
        pacer.on(Event::Won { at_us: 400 * SECOND, id: 10, price: Micros(120) });
    }
    assert_eq!(pacer.view().spent, Micros(120));
}

#[test]
fn events_that_are_taken_together_pace_as_well_as_one_by_one() {
    let mut pacer = pacer(dual(), 750_000);
    let (mut quarters, mut events) = ([0; 4], Vec::new());
    for at in 0..10_000_i64 {
        let (at_us, id, market) = (at * SECOND, at as u64, market(at));
        let multipliers = pacer.multipliers();
        events.push(Event::Seen { at_us, auctions: 1, valued: 1, value: 1.0, left_out: 0 });
        if multipliers.pass > 0.0 {
            let bid = multipliers.per_value();
            let hold = Micros(bid.ceil() as i64);
            events.push(Event::Bid { at_us, id, hold, value: 1.0, worth: bid, bid });
            if bid >= market as f64 {
                events.push(Event::Won { at_us, id, price: Micros(market) });
                quarters[(at / 2_500) as usize] += market;
            } else {
                events.push(Event::Lost { at_us, id });
            }
        }
        if at % 50 == 49 {
            pacer.on_all(events.drain(..));
            assert_eq!(pacer.view().open_bids, 0);
        }
    }
    // The first 50 auctions teach at once, and the first quarter is spent 14% faster for it.
    assert!((187_500..225_000).contains(&quarters[0]), "{quarters:?}");
    assert!(quarters[1..].iter().all(|q| (165_000..190_000).contains(q)), "{quarters:?}");
    assert!(quarters.iter().sum::<i64>() <= 755_000, "{quarters:?}");
}

#[test]
fn notices_in_any_order_and_number_count_once() {
    let mut pacer = pacer(dual(), 750_000);
    for at in 0..10 {
        auction(&mut pacer, at);
    }
    let at_us = 20 * SECOND;
    let won = |id| Event::Won { at_us, id, price: Micros(100) };
    let (lost, expired) = (|id| Event::Lost { at_us, id }, |id| Event::Expired { at_us, id });
    for event in [won(9), won(9), lost(9), expired(3), won(3), won(3), lost(5), lost(5), won(77)] {
        pacer.on(event);
    }
    assert_eq!((pacer.view().spent, pacer.view().open_bids), (Micros(300), 7));
}

#[test]
fn a_new_day_begins_with_its_budget_and_what_was_learned() {
    let mut pacer = pacer(dual(), 750_000);
    play(&mut pacer, 0, 10_000, market);
    let at_us = 10_000 * SECOND;
    let period = Period { from_us: at_us, to_us: 20_000 * SECOND, budget: Micros(750_000) };
    pacer.on(Event::Period { at_us, period });
    assert_eq!(pacer.view().spent, Micros::ZERO);
    let first = play(&mut pacer, 10_000, 11_000, market);
    assert!((71_000..79_000).contains(&first), "{first}");
}

#[test]
fn a_roas_floor_is_kept_at_all_times_and_binds_before_the_budget() {
    // A value of 1 per 150 micros: wins at 100 to 199 bring 1 / 150 each on average.
    let terms = Terms { roas_min: Some(1.0 / 150.0), ..dual() };
    let mut pacer = pacer(terms, 10_000_000);
    let (mut spent, mut wins) = (0, 0.0);
    for at in 0..10_000 {
        let Some(bid) = auction(&mut pacer, at) else { continue };
        let (at_us, id, price) = (at * SECOND, at as u64, market(at));
        if bid >= price as f64 {
            pacer.on(Event::Won { at_us, id, price: Micros(price) });
            (spent, wins) = (spent + price, wins + 1.0);
        } else {
            pacer.on(Event::Lost { at_us, id });
        }
        assert!(spent == 0 || wins * 150.0 >= spent as f64, "at {at}: {wins} wins for {spent}");
    }
    // All that the floor allows is half of the auctions.
    assert!((4_500.0..=5_010.0).contains(&wins), "{wins}");
    let multipliers = pacer.multipliers();
    assert!(multipliers.lambda > 0.0 && multipliers.per_value() < 250.0, "{multipliers:?}");
}

#[test]
fn with_a_least_mu_of_1_nothing_is_bid_above_its_value() {
    let mut pacer = pacer(Terms { mu_min: 1.0, ..dual() }, 750_000);
    play(&mut pacer, 0, 2_000, market);
    assert_eq!(pacer.multipliers().per_value(), 1.0);
}

#[test]
fn throttling_leaves_bids_alone_and_takes_part_as_often_as_the_budget_bears() {
    let terms = Terms { strategy: Strategy::Throttle, mu_fixed: 1.0 / 300.0, ..dual() };
    let mut pacer = pacer(terms, 500_000);
    let (mut spent, mut passes) = (0, 0.0);
    for at in 0..10_000 {
        // Chance by a fixed disorder.
        let pass = pacer.multipliers().pass;
        assert_eq!(pacer.multipliers().per_value(), 300.0);
        passes += pass;
        if pass * 1_000.0 > ((at * 389) % 1_000) as f64 {
            spent += play(&mut pacer, at, at + 1, market);
        } else {
            let at_us = at * SECOND;
            pacer.on(Event::Seen { at_us, auctions: 1, valued: 1, value: 1.0, left_out: 1 });
        }
    }
    // 200 micros an auction, 50 of budget.
    assert!((0.2..0.3).contains(&(passes / 10_000.0)), "{passes}");
    assert!((485_000..=501_000).contains(&spent), "{spent}");
}

#[test]
fn a_pacer_that_was_stored_goes_on_as_if_it_had_not_been() {
    let terms = Terms { roas_min: Some(1e-4), ..dual() };
    let mut kept = pacer(terms, 750_000);
    let mut stored = kept.clone();
    for at in 0..50 {
        let json = serde_json::to_string(&stored).unwrap();
        stored = serde_json::from_str(&json).unwrap();
        for pacer in [&mut kept, &mut stored] {
            play(pacer, at * 20, at * 20 + 20, market);
            auction(pacer, 100_000 + at);
        }
        let (a, b) = (kept.multipliers().per_value(), stored.multipliers().per_value());
        assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
        assert_eq!(kept.view().spent, stored.view().spent);
    }
}

#[test]
fn a_pacer_that_was_away_keeps_what_it_learned_and_waits_for_no_bid_of_before() {
    let terms = Terms { roas_min: Some(1e-4), ..dual() };
    let mut kept = pacer(terms, 750_000);
    play(&mut kept, 0, 1_000, market);
    let mut away = kept.clone();
    let now_us = 999 * SECOND;
    away.resume(now_us);
    kept.on(Event::Tick { at_us: now_us });
    let (a, b) = (away.multipliers().per_value(), kept.multipliers().per_value());
    assert!((a / b - 1.0).abs() < 1e-9, "no time was lost, and no bid was open: {a} {b}");
    // A bid that nothing is told of any more.
    let hold = Micros(100_000);
    let bid = Event::Bid { at_us: now_us, id: 7, hold, value: 1.0, worth: 1.0, bid: 1.0 };
    away.on(bid);
    assert_eq!(away.view().open_bids, 1);
    let json = serde_json::to_string(&away).unwrap();
    let mut back: Pacer = serde_json::from_str(&json).unwrap();
    let before = back.traffic().level();
    // Two hours later.
    back.resume(now_us + 7_200 * SECOND);
    let view = back.view();
    assert_eq!((view.open_bids, view.in_flight_micros, view.spent), (0, 0.0, kept.view().spent));
    assert!((back.traffic().level() / before - 1.0).abs() < 0.5, "nobody was there to see none");
    let json = serde_json::to_string(&back).unwrap();
    assert!(json.len() < 16_000, "{}", json.len());
}

#[test]
fn a_pacer_that_slept_knows_of_the_hours_without_an_auction_as_one_that_was_awake() {
    const HOUR: i64 = 3_600 * SECOND;
    // Ten auctions a minute, from 8 to 12, on three days: what the pacers expect of the fourth.
    let period = Period { from_us: 0, to_us: 240 * HOUR, budget: Micros(750_000) };
    let mut awake = Pacer::new(dual(), period).unwrap();
    let (mut slept, mut away) = (awake.clone(), awake.clone());
    for day in [0, 24, 48] {
        let (noon, next) = ((day + 12) * HOUR + 120 * SECOND, (day + 32) * HOUR);
        for pacer in [&mut awake, &mut slept, &mut away] {
            for minute in 0..240 {
                let at_us = (day + 8) * HOUR + minute * 60 * SECOND;
                pacer.on(Event::Seen { at_us, auctions: 10, valued: 10, value: 9.0, left_out: 0 });
            }
            pacer.on(Event::Tick { at_us: noon });
        }
        (day + 13..day + 32).for_each(|hour| awake.on(Event::Tick { at_us: hour * HOUR }));
        awake.on(Event::Tick { at_us: next });
        // As it is stored.
        slept.resume(noon);
        let json = serde_json::to_string(&slept).unwrap();
        slept = serde_json::from_str(&json).unwrap();
        slept.wake(next);
        away.resume(next);
    }
    let rest = |pacer: &Pacer| pacer.traffic().between(80 * HOUR, 96 * HOUR).unwrap();
    let (awake, back, away) = (rest(&awake), rest(&slept), rest(&away));
    assert!((2_300.0..2_500.0).contains(&back), "{back} of 2,400");
    assert!((back / awake - 1.0).abs() < 0.01, "{back} {awake}");
    assert!(away > 2.0 * back, "nobody was there to see none: {away}");
    // A bid that nothing is told of any more.
    let at_us = 81 * HOUR;
    let hold = Micros(100_000);
    slept.on(Event::Bid { at_us, id: 7, hold, value: 1.0, worth: 1.0, bid: 1.0 });
    assert_eq!(slept.view().open_bids, 1);
    slept.wake(at_us);
    assert_eq!((slept.view().open_bids, slept.view().in_flight_micros), (0, 0.0));
}

#[test]
fn what_hours_cost_is_stored_as_numbers_without_names() {
    let mut kept = pacer(dual(), 8_000_000);
    (0..2_880).for_each(|minute| {
        play(&mut kept, minute * 60, minute * 60 + 1, market);
    });
    kept.resume(2_880 * 60 * SECOND);
    let json = serde_json::to_string(&kept).unwrap();
    assert!((6_000..13_000).contains(&json.len()), "{}", json.len());
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["costs"]["slots"][7].as_array().map(Vec::len), Some(4));
    assert!(serde_json::from_str::<Pacer>(&json).is_ok());
    value["costs"]["slots"][7] = serde_json::json!([1.0, 1.0, 1.0]);
    assert!(serde_json::from_value::<Pacer>(value).is_err());
}

#[test]
fn a_state_that_nothing_leads_to_is_refused() {
    let mut pacer = pacer(dual(), 750_000);
    play(&mut pacer, 0, 100, market);
    auction(&mut pacer, 200);
    let json = serde_json::to_string(&pacer).unwrap();
    assert!(serde_json::from_str::<Pacer>(&json).is_ok());
    for (from, to) in [
        ("\"held\":", "\"held\":1"),
        ("\"slots\":96", "\"slots\":0"),
        ("\"pass\":", "\"pass\":-1"),
        ("\"remaining\":", "\"remaining\":-"),
    ] {
        let broken = json.replacen(from, to, 1);
        assert_ne!(broken, json);
        assert!(serde_json::from_str::<Pacer>(&broken).is_err(), "{from}");
    }
    for terms in [
        Terms { mu_min: f64::NAN, ..dual() },
        Terms { mu_fixed: 0.0, ..dual() },
        Terms { roas_min: Some(-1.0), ..dual() },
        Terms { value_prior: Some(f64::INFINITY), ..dual() },
        Terms { open_max: 0, ..dual() },
    ] {
        let period = Period { from_us: 0, to_us: 1, budget: Micros(1) };
        assert!(Pacer::new(terms, period).is_err());
    }
}

#[test]
fn bids_below_every_floor_find_out_what_it_takes_in_the_time_of_some_hundred_auctions() {
    // 10 micros an auction of a million: as few as one in fifteen, where each costs 150 at least.
    let traffic = Some(Prior { per_day: 86_400.0, days: 1_000.0 });
    let period = Period { from_us: 0, to_us: 1_000_000 * SECOND, budget: Micros(10_000_000) };
    let terms = Terms { traffic, mu_min: 1.0, value_prior: Some(500.0), ..Terms::default() };
    let mut pacer = Pacer::new(terms, period).unwrap();
    let (mut first, mut spent) = (None, 0);
    for at in 0..20_000 {
        let at_us = at * SECOND;
        let seen = Event::Seen { at_us, auctions: 1, valued: 0, value: 0.0, left_out: 0 };
        pacer.on(seen);
        // Values from 100 to 900, second price at the floor.
        let value = 100.0 + ((at * 7_919) % 800) as f64;
        let bid = value * pacer.multipliers().per_value();
        if bid < 150.0 {
            pacer.on(Event::Below { at_us, auctions: 1 });
            continue;
        }
        first.get_or_insert(at);
        let hold = Micros(bid.ceil() as i64);
        pacer.on(Event::Bid { at_us, id: at as u64, hold, value, worth: bid, bid });
        pacer.on(Event::Won { at_us, id: at as u64, price: Micros(150) });
        spent += 150;
    }
    assert!(first.is_some_and(|at| at < 500), "{first:?}");
    assert!((150_000..260_000).contains(&spent), "{spent} where 200,000 are due");
}

#[test]
fn a_clock_that_had_leapt_years_ahead_is_set_back_by_the_next_period() {
    const DAY: i64 = 86_400;
    for strategy in [Strategy::Dual, Strategy::Throttle] {
        let mut pacer = pacer(Terms { strategy, mu_fixed: 1.0 / 200.0, ..dual() }, 750_000);
        play(&mut pacer, 0, 5_000, market);
        pacer.on(Event::Tick { at_us: 3_650 * DAY * SECOND });
        let (from_us, budget) = (DAY * SECOND, Micros(750_000));
        let period = Period { from_us, to_us: from_us + 10_000 * SECOND, budget };
        pacer.on(Event::Period { at_us: from_us, period });
        let expected = pacer.view().auctions_expected;
        assert!((8_000.0..12_000.0).contains(&expected), "{expected}");
        let quarters: Vec<i64> = (0..4)
            .map(|q| play(&mut pacer, DAY + q * 2_500, DAY + (q + 1) * 2_500, market))
            .collect();
        assert!(
            quarters.iter().all(|q| (120_000..260_000).contains(q)),
            "{strategy:?} {quarters:?}"
        );
    }
}

#[test]
fn a_clock_that_was_an_hour_ahead_is_set_back_and_the_rest_of_the_budget_is_spent_evenly() {
    let mut pacer = pacer(dual(), 750_000);
    // A quarter of the auctions, by a clock by which four tenths of the time are left after them.
    let ahead = play_ahead(&mut pacer, 0, 2_500, (3_600, market));
    assert!((230_000..350_000).contains(&ahead), "{ahead}");
    // Tidings that come late do not set it back.
    pacer.on(Event::Lost { at_us: 0, id: u64::MAX });
    assert!(pacer.view().auctions_expected < 4_500.0, "{:?}", pacer.view());
    let quarters: Vec<i64> =
        (1..4).map(|q| play(&mut pacer, q * 2_500, (q + 1) * 2_500, market)).collect();
    let each = (750_000 - ahead) / 3;
    assert!(quarters.iter().all(|q| (each * 7 / 10..each * 13 / 10).contains(q)), "{quarters:?}");
}

#[test]
fn among_more_auctions_than_can_be_told_apart_one_that_is_lost_counts_as_one() {
    for memory in [1e3, 1e12, 1e20, 1e300] {
        let mut dual = super::dual::Dual::new(Some(1.0));
        dual.solve(100.0);
        let at = dual.per_value().ln();
        let before = dual.expects(at);
        dual.missed(1.0, (at, 1.0), memory);
        let after = dual.expects(at);
        assert!((0.8..1.0).contains(&(after / before)), "{memory}: {before} {after}");
    }
}
