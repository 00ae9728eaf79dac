//! What pacing reaches where the market moves: value, slot error and utilisation at budgets of 1/32, 1/8 and 1/2 of
//! what an unlimited bidder would spend, by family of logs.
//!
//! ```sh
//! cargo run --release -p kiki-flow --example pacing -- [SEED] [AUCTIONS A DAY] [FAMILY]
//! ```

use std::process::ExitCode;

use kiki_flow::landscape::{DAY_US, Day, Landscape, Prices, Sale, Values};
use kiki_flow::simulate::{Report, Simulation, Terms};
use kiki_models::shield::money::Micros;

const PARTS: [i64; 3] = [32, 8, 2];

struct Family {
    name: String,
    /// The log in its episodes.
    episodes: Vec<Vec<Sale>>,
}

fn market(day: Option<Day>, per_day: usize) -> Landscape {
    Landscape {
        prices: Prices::LogNormal { median: 120.0, sigma: 0.8 },
        values: Values::LogNormal { median: 2.0, sigma: 0.9 },
        correlation: 0.4,
        day,
        shocks: Vec::new(),
        per_s: per_day as f64 / 86_400.0,
        click_rate: 0.01,
    }
}

/// A log without times whose prices and values are changed by where in it they are, 0 to 1.
fn untimed(seed: u64, count: usize, change: impl Fn(f64) -> (f64, f64)) -> Vec<Sale> {
    let log = market(None, count).log(seed, count, false);
    let changed = |(at, sale): (usize, Sale)| {
        let (price, value) = change(at as f64 / count as f64);
        let market_price = Micros((sale.market_price.0 as f64 * price) as i64);
        Sale { market_price, value: sale.value * value, ..sale }
    };
    log.into_iter().enumerate().map(changed).collect()
}

/// So many days from an hour of the first one on.
fn timed(seed: u64, per_day: usize, days: i64, from_hour: i64, price: f64) -> Vec<Vec<Sale>> {
    let day = Day { traffic: 0.7, price, price_peak: 0.9, growth: 0.0 };
    let (from_us, landscape) = (from_hour * DAY_US / 24, market(Some(day), per_day));
    let at = |sale: &Sale| sale.at_us.unwrap_or(0) - from_us;
    let log: Vec<Sale> = landscape
        .sales(seed)
        .skip_while(|sale| at(sale) < 0)
        .take_while(|sale| at(sale) < days * DAY_US)
        .collect();
    log.chunk_by(|a, b| at(a) / DAY_US == at(b) / DAY_US).map(<[Sale]>::to_vec).collect()
}

fn families(seed: u64, per_day: usize) -> Vec<Family> {
    let wave = |part: f64, times: f64| 1.0 + times * (std::f64::consts::TAU * part).sin();
    let within = |part: f64, from: f64, times: f64| {
        if (from..from + 0.05).contains(&part) { times } else { 1.0 }
    };
    let one = |name: &str, log| Family { name: name.to_owned(), episodes: vec![log] };
    let untimed =
        |name: &str, change: &dyn Fn(f64) -> (f64, f64)| one(name, untimed(seed, per_day, change));
    let mut families = vec![
        untimed("iid", &|_| (1.0, 1.0)),
        untimed("price x3 for 5% at .1", &|part| (within(part, 0.1, 3.0), 1.0)),
        untimed("price x3 for 5% at .4", &|part| (within(part, 0.4, 3.0), 1.0)),
        untimed("price x3 for 5% at .8", &|part| (within(part, 0.8, 3.0), 1.0)),
        untimed("price /3 for 5% at .4", &|part| (within(part, 0.4, 1.0 / 3.0), 1.0)),
        untimed("value x3 for 5% at .4", &|part| (1.0, within(part, 0.4, 3.0))),
        untimed("price wave 25%", &|part| (wave(part, 0.25), 1.0)),
        untimed("price wave -25%", &|part| (wave(part, -0.25), 1.0)),
        untimed("value wave 25%", &|part| (1.0, wave(part, 0.25))),
        untimed("4 price waves 25%", &|part| (wave(4.0 * part, 0.25), 1.0)),
        untimed("price +50% from .5", &|part| (if part < 0.5 { 1.0 } else { 1.5 }, 1.0)),
    ];
    for hour in [0, 6, 12, 18] {
        for (price, also) in [(0.0, ""), (0.25, " + wave")] {
            let episodes = timed(seed, per_day, 1, hour, price);
            families.push(Family { name: format!("day from {hour}{also}"), episodes });
        }
    }
    for (price, also) in [(0.0, ""), (0.25, " + wave")] {
        let episodes = timed(seed, per_day, 4, 0, price);
        families.push(Family { name: format!("4 days{also}"), episodes });
    }
    // As a log without times that is played as episodes of a day each.
    let days = (0..4).map(|day| untimed_day(seed + day, per_day)).collect();
    families.push(Family { name: "4 episodes, wave".to_owned(), episodes: days });
    families
}

fn untimed_day(seed: u64, per_day: usize) -> Vec<Sale> {
    untimed(seed, per_day, |part| (1.0 + 0.25 * (std::f64::consts::TAU * part).sin(), 1.0))
}

/// What the episodes say together, and those after the first.
fn play(episodes: &[Vec<Sale>], part: i64) -> Option<(Report, Option<[f64; 3]>)> {
    let market: i64 =
        episodes.iter().flatten().filter(|sale| sale.value > 0.0).map(|s| s.market_price.0).sum();
    let budget = Micros(market / part / episodes.len().max(1) as i64);
    // Those of a log with times differ in length, and each has the whole budget.
    let first = episodes.first()?;
    let untimed = first.first().is_some_and(|sale| sale.at_us.is_none());
    let episode = (untimed && episodes.len() > 1).then_some(first.len());
    let terms = Terms { budget, episode, ..Terms::default() };
    let all = |episodes: &[Vec<Sale>]| {
        let mut simulation = Simulation::new(terms.clone()).ok()?;
        episodes.iter().for_each(|episode| simulation.play(episode));
        Some(simulation.report())
    };
    let report = all(episodes)?;
    let later = match episodes {
        [_] | [] => None,
        [first, ..] => {
            let first = all(std::slice::from_ref(first))?;
            let days = episodes.len() as f64;
            Some([
                (report.value - first.value) / (report.hindsight_value - first.hindsight_value),
                (report.slot_error * days - first.slot_error) / (days - 1.0),
                (report.spend_micros - first.spend_micros) as f64
                    / (report.budget_micros - first.budget_micros) as f64,
            ])
        }
    };
    Some((report, later))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, or: usize| arguments.get(at).and_then(|a| a.parse().ok()).unwrap_or(or);
    let (seed, per_day) = (number(0, 81_001) as u64, number(1, 400_000));
    let wanted = arguments.get(2).map_or("", String::as_str);
    println!("value of the optimum, slot error in %, utilisation, at 1/32, 1/8, 1/2");
    for Family { name, episodes } in families(seed, per_day) {
        if !name.contains(wanted) {
            continue;
        }
        let mut lines = [String::new(), String::new()];
        for part in PARTS {
            let Some((report, later)) = play(&episodes, part) else { return ExitCode::FAILURE };
            if report.overspend_micros != 0 {
                println!("{name}: {} micros overspent", report.overspend_micros);
                return ExitCode::FAILURE;
            }
            let figures = |[value, slots, used]: [f64; 3]| {
                format!("  {value:.4} {:5.1} {used:.3}", slots * 100.0)
            };
            lines[0] += &figures([report.value_ratio, report.slot_error, report.utilisation]);
            lines[1] += &later.map(figures).unwrap_or_default();
        }
        println!("{name:24}{}", lines[0]);
        if !lines[1].is_empty() {
            println!("{:24}{}", "  from the second on", lines[1]);
        }
    }
    ExitCode::SUCCESS
}
