//! How good pacing is, on landscapes that its constants were not chosen on.
//!
//! The constants of the pacer and of the win curve were chosen on these, seeds 1 and 2, 400,000 auctions:
//! log-normal prices with log-normal values; log-normal prices with probabilities, correlated by 0.5; Pareto
//! prices (1.6) with log-normal values; log-normal prices with all values alike; and, for the memory, a wave of
//! prices over the day and a lasting rise by a half. None of the families below is among them, and their seeds
//! were used for nothing else. For second prices no constant was changed after their figures were first seen.
//! For first prices, that curves may go with values came after "dear what is good" was seen to reach 0.65 of
//! what it reaches now, so that family judges nothing there.
//!
//! For what moves, constants were chosen on log-normal prices with log-normal values, days from midnight, 6, 12 and 18
//! o'clock, seed 81001: how far traffic goes over a day and how rough it is (`traffic/`), how far costs go over a day,
//! how many wins of an hour speak for themselves and how far bids tell of others (`pacing/costs.rs`), and the least
//! elasticity (`pacing/dual.rs`). The markets below are others. What a sudden move is (`pacing/dual.rs`) was chosen on cuts
//! of budgets (`pacing/tests.rs`), and among what does well there, by whether the bars for days below hold.
//!
//! What is not reached: where prices move within a log that is played as one episode, nobody who does not know
//! the day spends as the optimum does, and nobody knows on a first day how much traffic is to come. See "Bars and what
//! misses them" in docs/ARCHITECTURE.md for figures.
//! With 5,000 of 400,000 auctions in flight, what is reserved beyond its price is not there to be spent at the
//! end, and the first 5,000 auctions teach nothing: value .94 to .98, utilisation .96 to .99.

use kiki_models::shield::money::Micros;

use super::tests::{plain, share};
use super::*;
use crate::landscape::{DAY_US, Day, Landscape, Prices, Sale, Shock, Values};
use crate::opportunity::PriceType;
use crate::pacing::Strategy;

const BUDGETS: [(i64, f64); 3] = [(32, 0.965), (8, 0.99), (2, 0.995)];

fn families() -> [(&'static str, Landscape); 6] {
    let floored =
        Prices::Floored { median: 70.0, sigma: 0.7, floor: 20.0, share: 0.15, most: 300.0 };
    [
        ("floors, clicks", plain(floored, Values::Logistic { logit: -7.5, sigma: 0.8 }, 0.2)),
        (
            "Weibull, Pareto values",
            plain(
                Prices::Weibull { scale: 1e6, shape: 0.7 },
                Values::Pareto { least: 0.01, alpha: 2.2 },
                0.4,
            ),
        ),
        (
            "Pareto, no variance",
            plain(
                Prices::Pareto { least: 100.0, alpha: 1.3 },
                Values::Pareto { least: 1.0, alpha: 1.6 },
                0.0,
            ),
        ),
        (
            "four of five worth 0",
            plain(
                Prices::LogNormal { median: 90.0, sigma: 1.2 },
                Values::Sparse { share: 0.2, median: 3.0, sigma: 0.6 },
                0.1,
            ),
        ),
        (
            "two inventories",
            plain(
                Prices::Two { median: 200.0, sigma: 0.5, dear: 0.2, factor: 6.0 },
                Values::LogNormal { median: 4.0, sigma: 1.2 },
                -0.3,
            ),
        ),
        (
            "dear what is good",
            plain(
                Prices::LogNormal { median: 3e4, sigma: 1.0 },
                Values::Pareto { least: 0.1, alpha: 3.0 },
                0.9,
            ),
        ),
    ]
}

fn line(name: &str, part: i64, report: &Report) {
    println!(
        "{name:24} 1/{part:<3} ratio {:.4} slot error {:.4} ({:.0} wins) utilisation {:.4}",
        report.value_ratio, report.slot_error, report.slot_wins, report.utilisation
    );
}

#[test]
fn the_dual_reaches_its_bars_on_landscapes_that_it_was_not_chosen_on() {
    for (seed, (name, landscape)) in (71_001..).zip(families()) {
        let log = landscape.log(seed, 240_000, false);
        for (part, least) in BUDGETS {
            let terms = Terms { budget: share(&log, part), ..Terms::default() };
            let report = simulate(&log, &terms).unwrap();
            line(name, part, &report);
            assert_eq!(report.overspend_micros, 0);
            assert!(report.value_ratio >= least, "{name} 1/{part}: {report:?}");
            assert!(report.utilisation >= 0.995, "{name} 1/{part}: {report:?}");
            assert!(
                report.slot_wins < 400.0 || report.slot_error <= 0.05,
                "{name} 1/{part}: {report:?}"
            );
        }
    }
}

#[test]
fn the_dual_has_more_value_than_throttling_and_than_even_spend() {
    for (seed, (name, landscape)) in (72_001..).zip(families()) {
        let log = landscape.log(seed, 60_000, false);
        for (part, _) in BUDGETS {
            let run = |strategy| {
                let terms = Terms { budget: share(&log, part), strategy, ..Terms::default() };
                simulate(&log, &terms).unwrap()
            };
            let [dual, throttle, linear] =
                [Strategy::Dual, Strategy::Throttle, Strategy::Linear].map(run);
            assert!(dual.value > throttle.value && dual.value > linear.value, "{name} 1/{part}");
            assert_eq!(throttle.overspend_micros + linear.overspend_micros, 0);
            println!(
                "{name:24} 1/{part:<3} dual {:.4} throttle {:.4} linear {:.4}",
                dual.value_ratio, throttle.value_ratio, linear.value_ratio
            );
        }
    }
}

#[test]
fn a_first_price_bidder_is_near_the_best_single_multiplier_in_hindsight() {
    for (seed, (name, landscape)) in (73_001..).zip(families()) {
        let log = landscape.log(seed, 100_000, false);
        for (part, _) in BUDGETS {
            let (budget, price) = (share(&log, part), PriceType::First);
            let report = simulate(&log, &Terms { budget, price, ..Terms::default() }).unwrap();
            let against = report.value / report.uniform_value.unwrap_or(f64::NAN);
            println!(
                "{name:24} 1/{part:<3} of the bound {:.4}, of one multiplier {against:.4}, utilisation {:.4}",
                report.value_ratio, report.utilisation
            );
            assert_eq!(report.overspend_micros, 0);
            assert!(report.spend_micros <= budget.0 && budget > Micros::ZERO);
            assert!(against > 0.85, "{name} 1/{part}: {report:?}");
        }
    }
}

/// Markets that nothing about days and shocks was chosen on.
fn moving() -> [(&'static str, Landscape); 2] {
    let [(clicks, floors), (heavy, weibull), ..] = families();
    [(clicks, floors), (heavy, weibull)]
}

#[test]
fn value_bars_hold_in_logs_without_times_whose_prices_and_values_move() {
    const COUNT: usize = 120_000;
    let second = 1_000_000;
    let shock = |part: i64, price: f64| {
        let from_us = part * COUNT as i64 / 100 * second;
        let to_us = from_us + COUNT as i64 / 20 * second;
        vec![Shock { from_us, to_us, traffic: 1.0, price }]
    };
    let wave = |price: f64| Some(Day { traffic: 0.0, price, price_peak: 0.3, growth: 0.0 });
    let cases: [(&str, Option<Day>, Vec<Shock>, f64); 4] = [
        ("price x3", None, shock(35, 3.0), 1.0),
        ("price /2", None, shock(60, 0.5), 1.0),
        ("price wave", wave(0.25), vec![], 1.0),
        ("value x2", None, vec![], 2.0),
    ];
    for (seed, (market, plain)) in (74_001..).zip(moving()) {
        for (case, day, shocks, value) in cases.clone() {
            let landscape = Landscape { day, shocks, ..plain.clone() };
            let mut log = landscape.log(seed, COUNT, false);
            log[COUNT / 2..COUNT * 11 / 20].iter_mut().for_each(|sale| sale.value *= value);
            for (part, least) in BUDGETS {
                let terms = Terms { budget: share(&log, part), ..Terms::default() };
                let report = simulate(&log, &terms).unwrap();
                line(&format!("{market}, {case}"), part, &report);
                assert_eq!(report.overspend_micros, 0);
                assert!(report.value_ratio >= least, "{market}, {case} 1/{part}: {report:?}");
                assert!(report.utilisation >= 0.995, "{market}, {case} 1/{part}: {report:?}");
            }
        }
    }
}

/// So many days, each an episode.
fn days(landscape: &Landscape, seed: u64, days: i64, from_hour: i64) -> Vec<Vec<Sale>> {
    let from_us = from_hour * DAY_US / 24;
    let at = |sale: &Sale| sale.at_us.unwrap_or(0) - from_us;
    let sales = landscape.sales(seed).skip_while(|sale| at(sale) < 0);
    let log: Vec<Sale> = sales.take_while(|sale| at(sale) < days * DAY_US).collect();
    log.chunk_by(|a, b| at(a) / DAY_US == at(b) / DAY_US).map(<[Sale]>::to_vec).collect()
}

/// The figures of the first day, and of those after it.
fn days_apart(days: &[Vec<Sale>], part: i64, episode: Option<usize>) -> [Report; 2] {
    let all: Vec<Sale> = days.iter().flatten().copied().collect();
    let budget = Micros(share(&all, part).0 / days.len() as i64);
    let mut simulation = Simulation::new(Terms { budget, episode, ..Terms::default() }).unwrap();
    simulation.play(&days[0]);
    let first = simulation.clone().report();
    days[1..].iter().for_each(|day| simulation.play(day));
    let whole = simulation.report();
    assert_eq!(whole.overspend_micros, 0);
    let count = days.len() as f64;
    let later = Report {
        value_ratio: (whole.value - first.value) / (whole.hindsight_value - first.hindsight_value),
        slot_error: (whole.slot_error * count - first.slot_error) / (count - 1.0),
        slot_wins: (whole.slot_wins * count - first.slot_wins) / (count - 1.0),
        utilisation: (whole.spend_micros - first.spend_micros) as f64
            / (whole.budget_micros - first.budget_micros) as f64,
        ..Report::default()
    };
    [first, later]
}

fn assert_bars(name: &str, (part, least): (i64, f64), report: &Report) {
    let Report { value_ratio, utilisation, slot_wins, slot_error, .. } = *report;
    assert!(value_ratio >= least, "{name} 1/{part}: {value_ratio}");
    assert!(utilisation >= 0.995, "{name} 1/{part}: {utilisation}");
    assert!(slot_wins < 400.0 || slot_error <= 0.05, "{name} 1/{part}: {slot_error}");
}

#[test]
fn all_bars_hold_from_the_second_day_on_where_traffic_and_prices_go_with_the_hour() {
    let flat = Day { traffic: 0.6, price: 0.0, price_peak: 0.0, growth: 0.03 };
    let waves = Day { traffic: 0.8, price: 0.3, price_peak: 0.4, growth: 0.0 };
    for (seed, (market, plain)) in (75_001..).zip(moving()) {
        for (case, day, hour) in [("a day", flat, 0), ("a day of prices", waves, 9)] {
            let landscape = Landscape { day: Some(day), per_s: 2.5, ..plain.clone() };
            let (name, days) = (format!("{market}, {case}"), days(&landscape, seed, 3, hour));
            for bar in BUDGETS {
                let [first, later] = days_apart(&days, bar.0, None);
                line(&format!("{name}: 1"), bar.0, &first);
                line(&format!("{name}: 2.."), bar.0, &later);
                assert_bars(&name, bar, &later);
                // Of the first day nobody has said what its hours cost: there, bars are missed by no more than this.
                let least = if day.price > 0.0 { 0.93 } else { bar.1 };
                assert!(first.value_ratio >= least, "{name} 1/{}: {}", bar.0, first.value_ratio);
            }
        }
    }
}

#[test]
fn episodes_of_a_log_without_times_are_days_that_come_again() {
    const COUNT: usize = 150_000;
    let day = Day { traffic: 0.0, price: 0.3, price_peak: 0.1, growth: 0.0 };
    for (seed, (market, plain)) in (76_001..).zip(moving()) {
        let per_s = COUNT as f64 / 86_400.0;
        let landscape = Landscape { day: Some(day), per_s, ..plain };
        let log = landscape.log(seed, 3 * COUNT, false);
        let days: Vec<Vec<Sale>> = log.chunks(COUNT).map(<[Sale]>::to_vec).collect();
        for bar in BUDGETS {
            let [first, later] = days_apart(&days, bar.0, Some(COUNT));
            line(&format!("{market}: 1"), bar.0, &first);
            line(&format!("{market}: 2.."), bar.0, &later);
            assert_bars(market, bar, &later);
        }
    }
}

#[test]
fn a_burst_at_the_start_of_a_first_day_is_not_taken_for_the_shape_of_the_day() {
    for (seed, (market, plain)) in (77_001..).zip(moving()) {
        // Nobody knows of a burst that it is one while it lasts; what is bid low until then misses the bars.
        for (times, least, used) in [(3.0, 0.965, 0.98), (10.0, 0.86, 0.91)] {
            // 100 auctions each quarter of an hour, and the first half hour has more.
            let burst = Shock { from_us: 0, to_us: DAY_US / 48, traffic: times, price: 1.0 };
            let landscape =
                Landscape { shocks: vec![burst], per_s: 9_600.0 / 86_400.0, ..plain.clone() };
            let day = days(&landscape, seed, 1, 0).concat();
            for (part, _) in BUDGETS {
                let terms = Terms { budget: share(&day, part), ..Terms::default() };
                let report = simulate(&day, &terms).unwrap();
                let name = format!("{market}: x{times}");
                line(&name, part, &report);
                assert_eq!(report.overspend_micros, 0);
                assert!(report.value_ratio >= least, "{name} 1/{part}: {report:?}");
                assert!(report.utilisation >= used, "{name} 1/{part}: {report:?}");
            }
        }
    }
}
