//! `kiki flow simulate`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::super::exit::{CliError, CliResult};
use super::super::files;
use super::super::format::{grouped, table};
use crate::models::flow::opportunity::PriceType;
use crate::models::flow::pacing::Strategy;
use crate::models::flow::simulate::{Limits, Log, Report, Terms, page, simulate_log};
use crate::models::shield::money::{AMOUNT_MAX, Micros};

/// Replay a log of auctions with a budget
///
/// The log is CSV with a header, market_price_micros,value,click, one auction a line (packed with gzip or
/// not): the price that had to be beaten, in whole micros for one impression, what the impression was
/// worth, in any unit, and whether it was clicked. A column at_us (microseconds since 1970) gives the time
/// of each; without it there is an auction a second, or, with --episode, a day to each episode.
///
/// Auctions pass one by one through the pacer and the pricer, and each outcome is told --notice-delay
/// auctions later; what may still have to be paid is reserved until then. With --strategy dual nothing that
/// comes later is looked at, but how long the log is. The other strategies never change their bids, and
/// somebody has to set them: they bid what a unit of value costs in the first 1000 auctions of the log, which
/// are read ahead for it, twice. The result is compared with the optimum in hindsight, which knows every price and value: the
/// fractional knapsack.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki flow simulate --auctions log.csv --budget-micros 50000000\n  kiki flow simulate --auctions log.csv.gz --budget-micros 50000000 --price-type first --report spend.html --json"
)]
pub struct SimulateArgs {
    /// The log of auctions, packed with gzip or not
    #[arg(long, value_name = "FILE")]
    auctions: PathBuf,

    /// The budget of each episode, in micros
    #[arg(long, value_name = "MICROS", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..=AMOUNT_MAX))]
    budget_micros: i64,

    /// How spending is held to the budget
    #[arg(long, value_enum, default_value_t = StrategyArg::Dual)]
    strategy: StrategyArg,

    /// What a win costs: the market's price, or what was bid
    #[arg(long, value_enum, default_value_t = PriceArg::Second)]
    price_type: PriceArg,

    /// Parts of an episode by which spending is compared with the optimum's, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 96)]
    slots: usize,

    /// Play the log as episodes of this many auctions, each with the budget (a shorter one at the end with
    /// its share of it); what was learned is kept from one to the next
    #[arg(long, value_name = "AUCTIONS")]
    episode: Option<usize>,

    /// How many auctions pass before the outcome of one is known, below 1000000
    #[arg(long, value_name = "AUCTIONS", default_value_t = 0)]
    notice_delay: usize,

    /// Value, as the log counts it, that each micro spent has to bring over all wins
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true, value_parser = ratio)]
    roas_floor: Option<f64>,

    /// Seed of the chances that throttling takes
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write a page with the curve of spending
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio: Option<f64> = text.parse().ok();
    ratio
        .filter(|ratio| *ratio > 0.0 && *ratio <= 1e12)
        .ok_or_else(|| "expected a number above 0 and up to 1e12, such as 1.5".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StrategyArg {
    /// Bids are scaled by the dual multiplier of the budget
    Dual,
    /// Bids stay, and auctions are left out by chance
    Throttle,
    /// Bids stay, and auctions are left out while spending is ahead of traffic
    Linear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PriceArg {
    Second,
    First,
}

impl SimulateArgs {
    fn terms(&self) -> Terms {
        Terms {
            budget: Micros(self.budget_micros),
            strategy: match self.strategy {
                StrategyArg::Dual => Strategy::Dual,
                StrategyArg::Throttle => Strategy::Throttle,
                StrategyArg::Linear => Strategy::Linear,
            },
            price: match self.price_type {
                PriceArg::Second => PriceType::Second,
                PriceArg::First => PriceType::First,
            },
            slots: self.slots,
            episode: self.episode,
            notice_delay: self.notice_delay,
            roas_min: self.roas_floor,
            seed: self.seed,
            ..Terms::default()
        }
    }
}

pub fn run(args: SimulateArgs) -> CliResult {
    let (began, limits) = (Instant::now(), Limits::default());
    let failed = |error| files::named(&args.auctions, error);
    let log = Log::open(files::open(&args.auctions)?, limits).map_err(failed)?;
    let report = simulate_log(log, &args.terms(), limits).map_err(failed)?;
    let report = report.map_err(CliError::usage)?;
    if report.auctions == 0 {
        return Err(files::named(&args.auctions, "there are no auctions in it"));
    }
    if let Some(path) = &args.report {
        let title = args.auctions.file_name().unwrap_or_default().to_string_lossy();
        files::write(
            path,
            page(&report, &args.terms(), &format!("Spending on {title}")).as_bytes(),
        )?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut shown = serde_json::to_value(&report).map_err(CliError::failed)?;
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("seconds".to_owned(), json!(seconds));
        }
        writeln!(out, "{shown}")?;
    } else {
        write!(out, "{}", shown(&report, seconds))?;
    }
    Ok(())
}

/// The report for people.
fn shown(report: &Report, seconds: f64) -> String {
    let count = |n: u64| grouped(&n.to_string());
    let micros = |n: i64| grouped(&n.to_string());
    let percent = |share: f64| format!("{:.2}%", share * 100.0);
    let value = |value: f64| grouped(&format!("{value:.3}"));
    let mut rows = vec![
        ("auctions", count(report.auctions)),
        ("episodes", count(report.episodes)),
        ("budget", micros(report.budget_micros) + " micros"),
        ("bids", count(report.bids)),
        ("wins", count(report.wins)),
        ("clicks", count(report.clicks)),
        ("spend", micros(report.spend_micros) + " micros"),
        ("utilisation", percent(report.utilisation)),
        ("value", value(report.value)),
        ("optimum in hindsight", value(report.hindsight_value)),
        ("value ratio", format!("{:.4}", report.value_ratio)),
    ];
    rows.extend(report.uniform_value.map(|best| ("best single multiplier", value(best))));
    rows.extend([
        ("slot error", percent(report.slot_error)),
        ("wins in a slot", value(report.slot_wins)),
        ("reserved at most", micros(report.held_max_micros) + " micros"),
        ("overspend", micros(report.overspend_micros) + " micros"),
        ("time", format!("{seconds:.1} s")),
    ]);
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, of)| vec![name.to_owned(), of]).collect();
    table(&["what", "how much"], &rows)
}
