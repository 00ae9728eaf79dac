//! Whatever a pacer is told, it publishes numbers to price by.

use proptest::prelude::*;

use kiki_models::shield::money::Micros;

use super::{Event, Multipliers, Pacer, Period, Strategy as Means, Terms};
use crate::traffic::Prior;

fn real() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1e4f64,
        2 => any::<f64>(),
        1 => Just(0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(1e-300),
        1 => Just(1e300),
    ]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..200_000_000_000i64, 1 => any::<i64>()]
}

fn money() -> impl Strategy<Value = Micros> {
    prop_oneof![8 => (0..1_000_000i64).prop_map(Micros), 1 => any::<i64>().prop_map(Micros)]
}

fn event() -> impl Strategy<Value = Event> {
    let id = 0..40u64;
    let period = (any::<i64>(), any::<i64>(), money())
        .prop_map(|(from_us, to_us, budget)| Period { from_us, to_us, budget });
    prop_oneof![
        6 => (time(), 0..1_000u64, 0..1_000u64, real(), 0..1_000u64).prop_map(
            |(at_us, auctions, valued, value, left_out)| {
                Event::Seen { at_us, auctions, valued, value, left_out }
            }
        ),
        1 => (time(), prop_oneof![0..1_000u64, any::<u64>()])
            .prop_map(|(at_us, auctions)| Event::Below { at_us, auctions }),
        1 => (time(), any::<[u64; 3]>(), real()).prop_map(
            |(at_us, [auctions, valued, left_out], value)| {
                Event::Seen { at_us, auctions, valued, value, left_out }
            }
        ),
        6 => (time(), id.clone(), money(), real(), real(), real()).prop_map(
            |(at_us, id, hold, value, worth, bid)| Event::Bid { at_us, id, hold, value, worth, bid }
        ),
        4 => (time(), id.clone(), money())
            .prop_map(|(at_us, id, price)| Event::Won { at_us, id, price }),
        3 => (time(), id.clone()).prop_map(|(at_us, id)| Event::Lost { at_us, id }),
        1 => (time(), id).prop_map(|(at_us, id)| Event::Expired { at_us, id }),
        1 => (time(), money(), prop::option::of(money()))
            .prop_map(|(at_us, budget, spent)| Event::Budget { at_us, budget, spent }),
        1 => (time(), period).prop_map(|(at_us, period)| Event::Period { at_us, period }),
        1 => time().prop_map(|at_us| Event::Tick { at_us }),
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    let strategy = prop_oneof![
        4 => Just(Means::Dual),
        1 => Just(Means::Throttle),
        1 => Just(Means::Linear)
    ];
    (
        strategy,
        prop::option::of(1e-6..1e6f64),
        prop::option::of(1e-9..1e9f64),
        1..30u32,
        any::<bool>(),
    )
        .prop_map(|(strategy, roas_min, value_prior, open_max, known)| Terms {
            strategy,
            roas_min,
            value_prior,
            open_max,
            traffic: known.then_some(Prior { per_day: 10_000.0, days: 2.0 }),
            ..Terms::default()
        })
}

#[test]
fn a_forecast_for_ages_of_more_auctions_than_there_are_can_be_stored() {
    let period = Period { from_us: 0, to_us: 86_400_000_000, budget: Micros(0) };
    let mut pacer = Pacer::new(Terms { open_max: 1, ..Terms::default() }, period).unwrap();
    let seen =
        |at_us, auctions| Event::Seen { at_us, auctions, valued: 0, value: 0.0, left_out: 0 };
    pacer.on(seen(195_806_209_709, u64::MAX / 5));
    pacer.on(seen(0, u64::MAX / 2));
    let period = Period { to_us: i64::MAX / 2, ..period };
    pacer.on(Event::Period { at_us: 0, period });
    pacer.on(seen(195_807_109_710, u64::MAX / 3));
    let json = serde_json::to_string(&pacer).unwrap();
    let stored = serde_json::from_str::<Pacer>(&json);
    assert!(stored.is_ok(), "{stored:?} {json}");
}

#[test]
fn bids_that_may_cost_more_than_a_number_holds_add_up() {
    let period = Period { from_us: 0, to_us: 86_400_000_000, budget: Micros(0) };
    let terms = Terms { roas_min: Some(1e-6), ..Terms::default() };
    let mut pacer = Pacer::new(terms, period).unwrap();
    let hold = Micros(i64::MAX);
    for id in 0..3 {
        pacer.on(Event::Bid { at_us: 0, id, hold, value: 1.0, worth: 2.0, bid: 0.0 });
    }
    let stored = |pacer: &Pacer| {
        serde_json::from_str::<Pacer>(&serde_json::to_string(pacer).unwrap()).is_ok()
    };
    assert!(stored(&pacer));
    pacer.on(Event::Lost { at_us: 1, id: 0 });
    pacer.on(Event::Lost { at_us: 1, id: 1 });
    assert!(stored(&pacer));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_events_lead_to_a_multiplier_that_is_none_or_a_state_that_cannot_be_stored(
        terms in terms(),
        budget in money(),
        events in prop::collection::vec(event(), 0..120),
    ) {
        let period = Period { from_us: 0, to_us: 86_400_000_000, budget };
        let mut pacer = Pacer::new(terms.clone(), period).unwrap();
        for event in events {
            pacer.on(event);
            let Multipliers { mu, lambda, pass } = pacer.multipliers();
            prop_assert!(mu.is_finite() && lambda.is_finite() && lambda >= 0.0, "{mu} {lambda}");
            prop_assert!(mu + lambda > 0.0 && (0.0..=1.0).contains(&pass), "{mu} {lambda} {pass}");
            let view = pacer.view();
            prop_assert!(view.open_bids <= terms.open_max as usize, "{view:?}");
            prop_assert!(view.in_flight_micros >= 0.0 && view.rho_micros.is_finite(), "{view:?}");
        }
        let json = serde_json::to_string(&pacer).unwrap();
        let stored = serde_json::from_str::<Pacer>(&json);
        prop_assert!(stored.is_ok(), "{stored:?} {json}");
        prop_assert!(json.len() < 40_000, "{}", json.len());
    }
}
