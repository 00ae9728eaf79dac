use kiki_models::shield::money::Micros;

use super::*;
use crate::landscape::{Day, Landscape, Prices, Sale, Shock, Values};
use crate::opportunity::PriceType;
use crate::pacing::Strategy;

pub(super) fn plain(prices: Prices, values: Values, correlation: f64) -> Landscape {
    let (day, shocks) = (None, Vec::new());
    Landscape { prices, values, correlation, day, shocks, per_s: 1.0, click_rate: 0.01 }
}

fn usual() -> Landscape {
    plain(
        Prices::LogNormal { median: 80.0, sigma: 0.9 },
        Values::Logistic { logit: -7.0, sigma: 1.0 },
        0.3,
    )
}

/// A share of what an unlimited bidder would spend.
pub(super) fn share(log: &[Sale], part: i64) -> Micros {
    let valued = log.iter().filter(|sale| sale.value > 0.0);
    Micros(valued.map(|sale| sale.market_price.0).sum::<i64>() / part)
}

fn sale(market_price: i64, value: f64) -> Sale {
    Sale { at_us: None, market_price: Micros(market_price), value, click: false }
}

#[test]
fn the_optimum_in_hindsight_is_the_fractional_knapsack() {
    // By value for the price: 6/2, 10/5, 12/8; a budget of 11 buys half of the last.
    let log = [sale(8, 12.0), sale(2, 6.0), sale(5, 10.0), sale(1, 0.0)];
    let report =
        simulate(&log, &Terms { budget: Micros(11), slots: 2, ..Terms::default() }).unwrap();
    assert_eq!((report.hindsight_value, report.market_micros), (22.0, 15.0));
    let all = simulate(&log, &Terms { budget: Micros(100), slots: 2, ..Terms::default() }).unwrap();
    assert_eq!(all.hindsight_value, 28.0);
    // Alike auctions are taken in equal parts, so that the optimum has no favourite slot.
    let alike = [sale(10, 1.0); 8];
    let report =
        simulate(&alike, &Terms { budget: Micros(40), slots: 4, ..Terms::default() }).unwrap();
    assert!(report.curve.iter().all(|point| (point.hindsight_micros - 10.0).abs() < 1e-9));
}

#[test]
fn a_first_price_win_pays_its_bid_and_a_second_price_win_the_market_price() {
    let log = usual().log(1, 20_000, false);
    let budget = share(&log, 4);
    let run = |price| simulate(&log, &Terms { budget, price, ..Terms::default() }).unwrap();
    let (first, second) = (run(PriceType::First), run(PriceType::Second));
    assert!(first.uniform_value.is_some() && second.uniform_value.is_none());
    assert!(second.value > first.value && first.value > 0.0);
    assert!(first.utilisation > 0.98 && second.utilisation > 0.995, "{first:?} {second:?}");
    assert_eq!(first.hindsight_value, second.hindsight_value);
}

#[test]
fn the_same_log_and_terms_give_the_same_report() {
    let log = usual().log(2, 10_000, false);
    for strategy in [Strategy::Dual, Strategy::Throttle, Strategy::Linear] {
        let terms =
            Terms { budget: share(&log, 8), strategy, notice_delay: 37, ..Terms::default() };
        assert_eq!(simulate(&log, &terms).unwrap(), simulate(&log, &terms).unwrap());
    }
}

#[test]
fn what_comes_later_in_the_log_changes_nothing_before_it() {
    let log = usual().log(3, 20_000, false);
    let mut other = log.clone();
    for sale in &mut other[10_000..] {
        *sale = Sale { market_price: Micros(sale.market_price.0 * 7 + 1), value: 0.1, ..*sale };
    }
    let terms = Terms { budget: share(&log, 8), notice_delay: 50, ..Terms::default() };
    let (one, two) = (simulate(&log, &terms).unwrap(), simulate(&other, &terms).unwrap());
    for (a, b) in one.curve.iter().zip(&two.curve).take(48) {
        assert_eq!(
            (a.spend_micros, a.priced, a.ln_per_value),
            (b.spend_micros, b.priced, b.ln_per_value)
        );
    }
    assert_ne!(one.value, two.value);
}

#[test]
fn episodes_have_a_budget_each_and_a_shorter_one_its_share() {
    let log = usual().log(4, 25_000, false);
    let terms = Terms { budget: Micros(100_000), episode: Some(10_000), ..Terms::default() };
    let report = simulate(&log, &terms).unwrap();
    assert_eq!((report.episodes, report.budget_micros, report.auctions), (3, 250_000, 25_000));
    assert!(report.utilisation > 0.995 && report.spend_micros <= 250_000, "{report:?}");
    // A log that is read is played as one that is held.
    let mut text = "market_price_micros,value,click\n".to_owned();
    for sale in &log {
        text += &format!("{},{},{}\n", sale.market_price.0, sale.value, u8::from(sale.click));
    }
    let read = Log::open(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!(simulate_log(read, &terms, Limits::default()).unwrap().unwrap(), report);
}

#[test]
fn nothing_is_overspent_with_any_delay_strategy_or_price() {
    for (seed, notice_delay) in [(5, 0), (6, 100), (7, 1_000), (8, 5_000)] {
        let log = usual().log(seed, 40_000, false);
        for strategy in [Strategy::Dual, Strategy::Throttle, Strategy::Linear] {
            for price in [PriceType::First, PriceType::Second] {
                for part in [2, 64] {
                    let budget = share(&log, part);
                    let terms = Terms { budget, strategy, price, notice_delay, ..Terms::default() };
                    let report = simulate(&log, &terms).unwrap();
                    assert_eq!(report.overspend_micros, 0);
                    assert!(report.spend_micros <= budget.0 && report.held_max_micros <= budget.0);
                    assert!(report.spend_micros > budget.0 / 20, "{terms:?} {report:?}");
                }
            }
        }
    }
}

#[test]
fn a_day_that_is_learned_is_paced_by_its_traffic() {
    let mut landscape = usual();
    landscape.per_s = 0.6;
    landscape.day = Some(Day { traffic: 0.7, price: 0.0, price_peak: 0.0, growth: 0.02 });
    let day_us = 86_400_000_000;
    let log: Vec<Sale> =
        landscape.sales(9).take_while(|sale| sale.at_us < Some(4 * day_us)).collect();
    let days: Vec<&[Sale]> = log
        .chunk_by(|a, b| a.at_us.map(|at| at / day_us) == b.at_us.map(|at| at / day_us))
        .collect();
    let terms = Terms { budget: share(days[0], 8), slots: 24, ..Terms::default() };
    let mut errors = Vec::new();
    for known in 1..=4 {
        let mut simulation = Simulation::new(terms.clone()).unwrap();
        days.iter().take(known).for_each(|day| simulation.play(day));
        let report = simulation.report();
        errors.push(report.slot_error * known as f64);
        assert!(report.utilisation > 0.99, "{report:?}");
    }
    // The first day is flat by the forecast, the ones after it are not.
    let later = (errors[3] - errors[0]) / 3.0;
    assert!(later < 0.07 && errors[0] > 2.0 * later, "{errors:?}");
}

#[test]
fn a_shock_is_outlived() {
    let mut landscape = usual();
    let hour = 3_600_000_000;
    landscape.shocks = vec![Shock { from_us: 5 * hour, to_us: 6 * hour, traffic: 1.0, price: 4.0 }];
    let log = landscape.log(10, 60_000, false);
    let report = simulate(&log, &Terms { budget: share(&log, 8), ..Terms::default() }).unwrap();
    assert!(report.value_ratio > 0.99 && report.utilisation > 0.995, "{report:?}");
}

#[test]
fn bad_logs_are_refused_by_their_line() {
    let read = |text: &str| {
        let limits = Limits { line_bytes: 100, auctions: 3 };
        let log = Log::open(text.as_bytes(), limits).map_err(|bad| bad.to_string())?;
        let terms = Terms { budget: Micros(10), ..Terms::default() };
        let report = simulate_log(log, &terms, limits).map_err(|bad| bad.to_string())?;
        report.map(|report| report.auctions).map_err(|bad| bad.to_string())
    };
    let head = "market_price_micros,value,click\n";
    assert_eq!(read(&format!("{head}1,0.5,0\n300,0,1\n")), Ok(2));
    assert_eq!(read("\u{feff}click,extra,value,market_price_micros\r\n1,x,1e-5,7\r\n"), Ok(1));
    assert_eq!(read(head), Ok(0));
    let long = format!("{head}1,0.5,{}\n", "0".repeat(200));
    for (text, error) in [
        ("", "no column market_price_micros"),
        ("market_price_micros,value\n1,2\n", "no column click"),
        (&format!("{head}1,0.5,0\n1.5,1,0\n"), "line 3: market_price_micros is not"),
        (&format!("{head}-1,0.5,0\n"), "line 2: market_price_micros"),
        (&format!("{head}1,NaN,0\n"), "line 2: value"),
        (&format!("{head}1,-2,0\n"), "line 2: value"),
        (&format!("{head}1,1,yes\n"), "line 2: click"),
        (&format!("{head}1,1\n"), "line 2: 2 fields"),
        (&format!("{head}1,1,0\n2,2,0\n3,3,0\n4,4,0\n"), "more than 3 auctions"),
        ("market_price_micros,value,click,at_us\n1,1,0,9\n1,1,0,8\n", "line 3: at_us is before"),
        (
            "market_price_micros,value,click,at_us\n1,1,0,-9223372036854775808\n",
            "line 2: at_us is not a time",
        ),
        (&long, "a line of more than 100 bytes"),
    ] {
        let said = read(text).unwrap_err();
        assert!(said.contains(error), "{text:?}: {said}");
    }
}

#[test]
fn terms_that_nothing_can_be_replayed_by_are_refused() {
    let bad = |terms: Terms| Simulation::new(terms).err();
    assert_eq!(bad(Terms { budget: Micros(-1), ..Terms::default() }), Some(BadTerms::Budget));
    assert_eq!(bad(Terms { slots: 0, ..Terms::default() }), Some(BadTerms::Slots));
    assert_eq!(bad(Terms { episode: Some(0), ..Terms::default() }), Some(BadTerms::Episode));
    assert_eq!(bad(Terms { notice_delay: 1 << 40, ..Terms::default() }), Some(BadTerms::Delay));
    assert!(bad(Terms { mu_fixed: Some(-1.0), ..Terms::default() }).is_some());
}

#[test]
fn logs_of_nothing_worth_nothing_or_free_are_played() {
    for log in [vec![], vec![sale(100, 0.0); 500], vec![sale(0, 1.0); 500], vec![sale(7, 1.0)]] {
        for budget in [0, 1, 1_000_000] {
            let terms = Terms { budget: Micros(budget), ..Terms::default() };
            let report = simulate(&log, &terms).unwrap();
            assert!(report.spend_micros <= budget && report.value_ratio <= 1.0, "{report:?}");
            let ratios = [report.value_ratio, report.slot_error, report.utilisation];
            assert!(ratios.iter().all(|ratio| ratio.is_finite()), "{report:?}");
        }
    }
}

#[test]
fn the_page_has_both_curves_and_nothing_that_runs() {
    let log = usual().log(11, 20_000, false);
    let terms = Terms { budget: share(&log, 8), ..Terms::default() };
    let report = simulate(&log, &terms).unwrap();
    let page = page(&report, &terms, "A <log> & its \"page\"");
    for part in
        ["second: a win pays the market's price", "dual: ", "micros; value in the log's unit"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("<title>A &lt;log&gt; &amp; its &quot;page&quot;</title>"));
    assert_eq!(page.matches("<svg").count(), 2);
    assert_eq!(page.matches("<path").count(), 3);
    assert!(!page.contains("script") && !page.contains("NaN") && !page.contains("inf"));
    assert!(page.len() < 30_000, "{}", page.len());
}
