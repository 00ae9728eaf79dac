//! `kiki flow exchange`: a simulated exchange.

mod addresses;
mod answer;
mod bidder;
mod billing;
mod clear;
mod courier;
mod fate;
mod market;
mod run;
mod screen;
mod spread;
mod summary;
mod tally;

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::super::exit::{CliError, CliResult};
use super::super::server_args::ServerArgs;
use super::super::tls_args::TlsArgs;
use super::report::{Began, VERSION};
use super::{duration, share};
use crate::models::flow::openrtb::sample::Mix;
use bidder::Bidder;
use billing::Billing;
use courier::Courier;
use fate::Faults;
use market::{Market, Terms, landscape};
use run::{End, Run};
use screen::Screen;
use summary::Summary;
use tally::Tally;

pub use fate::Fate;

/// Where bids are asked for when the address has no path.
const BID_PATH: &str = "/openrtb2/bid";
/// The longest run: a week.
const SECONDS_MAX: u64 = 7 * 86_400;

/// Play an exchange against a bidder
///
/// Sends OpenRTB 2.6 requests made up from a seed, at a rate that does not wait for answers, runs the
/// auctions against a landscape of prices of all other bidders, and calls the notices of bids: on time,
/// late, twice, or never. A notice is called until it is answered. The bidder may be any.
///
/// Each impression that was sold is billed, whatever became of its notices; --report writes the bill as JSON
/// lines, which kiki flow reconcile compares with the ledger.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki flow exchange --seconds 60 --rate 200 --report bill.jsonl\n  kiki flow exchange --url http://bidder.example:8000/bid --seed 7 --late 0 --duplicated 0 --lost 0 --json"
)]
pub struct ExchangeArgs {
    /// The bidder's address; without a path, /openrtb2/bid [default: the configured one,
    /// http://127.0.0.1:8082]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Requests a second, on average over a day of the traffic
    #[arg(long, value_name = "N", default_value_t = 100.0, value_parser = rate)]
    rate: f64,

    /// How long requests are sent
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,

    /// Seed of requests, prices and what happens to notices
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How long a day of the traffic takes, such as 10m or 24h: it starts at midnight; there is least around
    /// six in the morning, and most in the evening [default: the whole run]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    day: Option<Duration>,

    /// Part of the auctions that are first-price ones
    #[arg(long, value_name = "SHARE", default_value_t = 0.7, value_parser = share)]
    first_price: f64,

    /// Part of the notices that come late
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    late: f64,

    /// How late they come on average
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    late_by: Duration,

    /// Part of the notices that come twice
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    duplicated: f64,

    /// Part of the notices that never come
    #[arg(long, value_name = "SHARE", default_value_t = 0.02, value_parser = share)]
    lost: f64,

    /// People that requests are about; those whom the bidder knows are cust_0 and so on
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    people: u32,

    /// The bidder's number in the Global Vendor List, which consent is given to or refused
    #[arg(long, value_name = "N", default_value_t = 755, value_parser = clap::value_parser!(u16).range(1..))]
    vendor: u16,

    /// Requests on the way at once; what is due while there are as many is skipped and counted
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,

    /// How long answers are waited for, in place of what each request says (80 to 500 ms)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    answers_within: Option<Duration>,

    /// How long notices are still called after the last request
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    give_up_after: Duration,

    /// Write the bill here; the file must not exist
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    tls: TlsArgs,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.01..=100_000.0).contains(rate))
        .ok_or_else(|| "expected a number from 0.01 to 100000".to_owned())
}

/// The address that bids are asked for at.
fn bid_url(given: &str) -> Result<String, CliError> {
    let bad = || CliError::usage(format!("{given}: expected a URL such as http://localhost:8082"));
    let mut url = reqwest::Url::parse(given).map_err(|_| bad())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad());
    }
    if url.path() == "/" {
        url.set_path(BID_PATH);
    }
    Ok(url.to_string())
}

/// Runs the command.
pub async fn run(args: ExchangeArgs) -> CliResult {
    let ExchangeArgs { late, duplicated, lost, late_by, .. } = args;
    if late + duplicated + lost > 1.0 {
        return Err(CliError::usage("--late, --duplicated and --lost are more than all notices"));
    }
    let url = bid_url(&args.server.url(args.url.as_deref(), |server| server.flow_addr())?)?;
    let lasts = Duration::from_secs(args.seconds);
    let terms = Terms {
        seed: args.seed,
        rate: args.rate,
        day: args.day.unwrap_or(lasts).max(Duration::from_secs(1)),
        mix: Mix { first_price: args.first_price, ..Mix::default() },
        people: args.people,
        vendor: args.vendor,
    };
    let concurrency = usize::from(args.concurrency);
    let connect = Duration::from_secs(2);
    let client = |idle| {
        let client = args.tls.client(&url)?.pool_max_idle_per_host(idle).tcp_nodelay(true);
        client.connect_timeout(connect).build().map_err(CliError::failed)
    };
    let bidder =
        Bidder { client: client(concurrency)?, url: url.clone(), headers: args.server.headers()? };
    let (over, until) = watch::channel(false);
    let courier = Courier::new(client(concurrency)?, concurrency, until);
    // listens from now on: one between two listeners would be lost
    let interrupts = signal(SignalKind::interrupt()).map_err(CliError::failed)?;
    let at_us = crate::clock::wall_us();
    let began = Began { version: VERSION, seed: args.seed, url, at_us };
    let billing = Billing::begin(args.report.as_deref(), began)?;
    let run = Arc::new(Run {
        seed: args.seed,
        lasts,
        answers_within: args.answers_within,
        faults: Faults { late, duplicated, lost, late_by },
        bidder,
        courier,
        asking: Arc::new(Semaphore::new(concurrency)),
        tally: Mutex::new(Tally::default()),
        billing: Mutex::new(billing),
        began: Instant::now(),
    });
    let landscape = landscape(&terms);
    let market = Market::new(&terms, &landscape);
    let mut screen = Screen::new(lasts);
    let end = run.play(market, args.give_up_after, over, interrupts, &mut screen).await;
    screen.finish();
    let tally = run.tally.lock().unwrap_or_else(PoisonError::into_inner);
    let summary = Summary::of(&tally, args.seed, lasts.min(run.began.elapsed()));
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&summary).map_err(CliError::failed)?)?;
    } else {
        write!(out, "{}", summary.table(&tally))?;
    }
    if let Some(words) = summary::hint(&tally, &run.bidder.url) {
        screen.say(&words);
    }
    match end? {
        End::Interrupted => Err(CliError::interrupted("stopped before the end")),
        End::Reached if tally.answered() == 0 => {
            Err(CliError::failed(format!("no auction was answered by {}", run.bidder.url)))
        }
        End::Reached => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_is_asked_where_bidders_answer() {
        for (given, asked) in [
            ("http://h:1", "http://h:1/openrtb2/bid"),
            ("http://h:1/", "http://h:1/openrtb2/bid"),
            ("https://h/x?y=1", "https://h/x?y=1"),
        ] {
            assert_eq!(bid_url(given).expect("a URL"), asked);
        }
        for bad in ["", "h:1", "ftp://h"] {
            assert_eq!(bid_url(bad).expect_err("refused").code, 2);
        }
    }
}
