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
//! What is not reached: where prices move within a log that is played as one episode, nobody who does not know
//! the day spends as the optimum does. Measured, with prices in a wave of ±15% over the log and budgets of 1/32,
//! 1/8 and 1/2: value .998/.999/1.000, slot error 12%/6%/1%; a wave of ±30%: .990/.997/.998 and 26%/12%/8%.
//! With 5,000 of 400,000 auctions in flight, what is reserved beyond its price is not there to be spent at the
//! end, and the first 5,000 auctions teach nothing: value .94 to .98, utilisation .96 to .99.

use kiki_models::shield::money::Micros;

use super::tests::{plain, share};
use super::*;
use crate::landscape::{Landscape, Prices, Values};
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
