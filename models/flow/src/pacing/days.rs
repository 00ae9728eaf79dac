//! What a pacer learns from day to day.

use kiki_models::shield::money::Micros;

use super::tests::{SECOND, dual, market, pacer, play};
use super::*;
use crate::traffic::Prior;

#[test]
fn a_state_of_before_costs_were_kept_by_the_hour_is_read() {
    let mut pacer = pacer(dual(), 750_000);
    play(&mut pacer, 0, 1_000, market);
    let mut old = serde_json::to_value(&pacer).unwrap();
    let fields = old.as_object_mut().unwrap();
    assert!(fields.remove("costs").is_some() && fields.remove("each").is_some());
    let mut old: Pacer = serde_json::from_value(old).unwrap();
    let (was, read) = (pacer.multipliers(), old.multipliers());
    assert!((was.mu / read.mu - 1.0).abs() < 1e-9);
    let spent = play(&mut old, 1_000, 10_000, market);
    assert!((660_000..=690_000).contains(&spent), "{spent}");
}

#[test]
fn from_the_second_day_on_an_auction_counts_for_as_many_as_its_hour_costs() {
    const DAY: i64 = 86_400;
    let traffic = Some(Prior { per_day: 86_400.0, days: 1_000.0 });
    let budget = Micros(3_000_000);
    let mut pacer =
        Pacer::new(Terms { traffic, ..dual() }, Period { from_us: 0, to_us: DAY * SECOND, budget })
            .unwrap();
    // From noon on prices are up by a half: of 100 to 299 micros, or 150 to 448.
    let price = |at: i64| market(at) * if at % DAY < DAY / 2 { 2 } else { 3 } / 2;
    let mut bids = Vec::new();
    for day in 0..3 {
        let from_us = day * DAY * SECOND;
        let period = Period { from_us, to_us: from_us + DAY * SECOND, budget };
        pacer.on(Event::Period { at_us: from_us, period });
        for half in 0..2 {
            play(
                &mut pacer,
                day * DAY + half * DAY / 2,
                day * DAY + half * DAY / 2 + DAY / 3,
                price,
            );
            bids.push(pacer.multipliers().per_value());
            let from = day * DAY + half * DAY / 2 + DAY / 3;
            play(&mut pacer, from, from + DAY / 6, price);
        }
    }
    // One bid for all hours, where it was one for each.
    assert!((bids[1] / bids[0] - 1.0).abs() > 0.2, "{bids:?}");
    assert!((bids[5] / bids[4] - 1.0).abs() < 0.06, "{bids:?}");
}

#[test]
fn where_all_is_won_bids_do_not_rise_without_end() {
    // More than all auctions cost: 200 micros each.
    let mut pacer = pacer(dual(), 4_000_000);
    play(&mut pacer, 0, 3_000, market);
    let high = pacer.multipliers().per_value();
    // It began at 800, before it was known how many auctions have a bid, and may go e-fold beyond that once.
    assert!((290.0..2_200.0).contains(&high), "{high}");
}
