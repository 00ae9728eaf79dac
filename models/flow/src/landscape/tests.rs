use super::*;

fn plain(prices: Prices, values: Values, correlation: f64) -> Landscape {
    let (day, shocks) = (None, Vec::new());
    Landscape { prices, values, correlation, day, shocks, per_s: 100.0, click_rate: 0.01 }
}

#[test]
fn the_same_seed_gives_the_same_log_and_another_one_another() {
    let landscape = plain(
        Prices::LogNormal { median: 100.0, sigma: 1.0 },
        Values::Logistic { logit: -7.0, sigma: 1.0 },
        0.3,
    );
    assert_eq!(landscape.log(1, 1_000, true), landscape.log(1, 1_000, true));
    assert_ne!(landscape.log(1, 1_000, true), landscape.log(2, 1_000, true));
    let json = serde_json::to_string(&landscape).unwrap();
    assert_eq!(serde_json::from_str::<Landscape>(&json).unwrap(), landscape);
}

#[test]
fn medians_correlation_and_clicks_are_as_asked() {
    let landscape = plain(
        Prices::LogNormal { median: 10_000.0, sigma: 1.0 },
        Values::LogNormal { median: 2.0, sigma: 0.5 },
        0.6,
    );
    let log = landscape.log(3, 50_000, true);
    let mut prices: Vec<i64> = log.iter().map(|sale| sale.market_price.0).collect();
    prices.sort_unstable();
    let median = prices[25_000] as f64;
    assert!((9_700.0..10_300.0).contains(&median), "{median}");
    let pairs = log.iter().map(|s| ((s.market_price.0 as f64 / 1e4).ln(), (s.value / 2.0).ln()));
    let product = pairs.map(|(p, v)| p * v / 0.5).sum::<f64>() / 50_000.0;
    assert!((0.57..0.63).contains(&product), "{product}");
    let clicks = log.iter().filter(|sale| sale.click).count();
    assert!((420..580).contains(&clicks), "{clicks}");
    let spent = log.last().and_then(|sale| sale.at_us).unwrap();
    assert!((480_000_000..520_000_000).contains(&spent), "{spent}");
}

#[test]
fn a_pareto_tail_has_its_exponent_and_a_sparse_value_its_zeros() {
    let landscape = plain(
        Prices::Pareto { least: 1_000.0, alpha: 1.5 },
        Values::Sparse { share: 0.1, median: 1.0, sigma: 0.1 },
        0.0,
    );
    let log = landscape.log(4, 100_000, false);
    assert!(log.iter().all(|sale| sale.at_us.is_none() && sale.market_price.0 >= 999));
    let above = log.iter().filter(|sale| sale.market_price.0 > 10_000).count() as f64 / 1e5;
    assert!((above / 10f64.powf(-1.5) - 1.0).abs() < 0.06, "{above}");
    let valued = log.iter().filter(|sale| sale.value > 0.0).count();
    assert!((9_700..10_300).contains(&valued), "{valued}");
}

#[test]
fn traffic_follows_the_day_grows_and_jumps_in_a_shock() {
    let mut landscape =
        plain(Prices::LogNormal { median: 50.0, sigma: 0.5 }, Values::Constant { value: 1.0 }, 0.0);
    landscape.per_s = 1.0;
    landscape.day = Some(Day { traffic: 0.8, price: 0.5, price_peak: 0.5, growth: 0.5 });
    let hour = 3_600_000_000;
    let shock = Shock { from_us: 26 * hour, to_us: 27 * hour, traffic: 1.0, price: 10.0 };
    landscape.shocks = vec![shock];
    let log: Vec<Sale> =
        landscape.sales(5).take_while(|sale| sale.at_us < Some(2 * shape::DAY_US)).collect();
    let between = |from: i64, to: i64| {
        let within = |sale: &&Sale| sale.at_us.is_some_and(|at| (from..to).contains(&at));
        let prices = log.iter().filter(within).map(|sale| sale.market_price.0);
        let (count, sum) = prices.fold((0.0, 0.0), |(n, sum), price| (n + 1.0, sum + price as f64));
        (count, sum / count)
    };
    let (first, second) = (between(0, 24 * hour).0, between(24 * hour, 48 * hour).0);
    assert!((1.4..1.6).contains(&(second / first)), "{first} {second}");
    assert!(between(17 * hour, 19 * hour).0 > 3.0 * between(5 * hour, 7 * hour).0);
    assert!(between(26 * hour, 27 * hour).1 > 7.0 * between(2 * hour, 3 * hour).1);
}

#[test]
fn no_parameter_makes_a_price_that_is_none() {
    for (median, sigma) in [(f64::NAN, 1.0), (1e300, 50.0), (-5.0, 1.0), (0.0, f64::INFINITY)] {
        let landscape = plain(
            Prices::LogNormal { median, sigma },
            Values::Constant { value: 1.0 },
            f64::NAN.clamp(-1.0, 1.0),
        );
        for sale in landscape.log(6, 100, true) {
            assert!((0..=PRICE_MAX).contains(&sale.market_price.0));
        }
    }
}
