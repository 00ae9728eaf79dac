//! `kiki replay`: books a purchase log as spends through the public HTTP API.

mod client;
mod log;
mod progress;
mod summary;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::{CliError, CliResult};
use super::server_args::ServerArgs;
use super::tls_args::TlsArgs;
use crate::actors::shield::is_name;
use client::{Outcome, Target};
use log::{Log, Purchase};
use progress::Progress;
use summary::Summary;

/// Book a purchase log as spends through the public HTTP API
///
/// Reads a log in the format of CDNOW's (columns: customer id, YYYYMMDD, CDs, dollars; packed with
/// gzip or not) and books each line as one spend of a campaign. The whole file is checked before
/// anything is sent. Each line carries a key made of the file's hash and its line number, so a run
/// that was cut off is resumed by running it again, and a second run books nothing.
///
/// Exits with 0 where every line of the log is in the ledger, else with 1.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  curl -X POST localhost:8081/api/v1/allocate -H 'content-type: application/json' \\\n    -d '{\"campaign_id\":\"camp_001\",\"budget\":3000000,\"currency\":\"USD\"}'\n  kiki replay --transactions cdnow_master.txt.gz --campaign camp_001"
)]
pub struct ReplayArgs {
    /// The purchase log
    #[arg(long, value_name = "FILE")]
    transactions: PathBuf,

    /// The campaign whose budget the purchases are booked on
    #[arg(long, value_name = "ID")]
    campaign: String,

    /// SyncShield's address [default: the configured one, http://127.0.0.1:8081]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The account that the campaign belongs to [default: the server's default account]
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// Spends on the way at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,

    /// How long a line is tried again while the server is busy or away, such as 60s or 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    give_up_after: Duration,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    tls: TlsArgs,
}

/// Runs the command.
pub async fn run(args: ReplayArgs) -> CliResult {
    for (flag, name) in [("--campaign", Some(&args.campaign)), ("--account", args.account.as_ref())]
    {
        if let Some(name) = name.filter(|name| !is_name(name)) {
            let rule = "1 to 128 of the characters A-Z a-z 0-9 _ - ., not dots alone";
            return Err(CliError::usage(format!("{flag} {name:?}: expected {rule}")));
        }
    }
    let base = args.server.url(args.url.as_deref(), |server| server.shield_addr())?;
    let log = Log::open(&args.transactions).map_err(CliError::usage)?;
    let concurrency = usize::from(args.concurrency);
    let client = args
        .tls
        .client(&base)?
        .pool_max_idle_per_host(concurrency)
        .tcp_nodelay(true)
        .default_headers(args.server.headers()?)
        .connect_timeout(Duration::from_secs(5))
        .build()
        .map_err(CliError::failed)?;
    let target = Target {
        client,
        url: format!("{base}/api/v1/spend"),
        campaign: args.campaign,
        account: args.account,
        give_up_after: args.give_up_after,
    };
    // listens from now on: one between two listeners would be lost
    let interrupts = signal(SignalKind::interrupt()).map_err(CliError::failed)?;
    let (summary, end) = replay(&log, &target, concurrency, interrupts).await;
    writeln!(std::io::stdout(), "{summary}")?;
    match end {
        End::Interrupted => {
            Err(CliError::interrupted("stopped; run the same command again to go on"))
        }
        End::Unknown { account, reason } => {
            Err(CliError::failed(missing(&base, &target, account, &reason)))
        }
        End::GivenUp(reason) => Err(CliError::failed(format!(
            "gave up after {} s without an answer from {base}: {reason}\nrun the same command again \
             to go on",
            target.give_up_after.as_secs()
        ))),
        End::Reached if summary.complete() => Ok(()),
        End::Reached => Err(CliError::failed(match summary.first_refusal() {
            Some((line, reason)) => format!("not every line was booked: line {line}: {reason}"),
            None => "not every line was booked".to_owned(),
        })),
    }
}

/// What to do about a campaign, or an account, that does not exist.
fn missing(base: &str, target: &Target, account: bool, reason: &str) -> String {
    let campaign = &target.campaign;
    let (what, path, body) = match (&target.account, account) {
        (Some(name), true) => (
            format!("account {name:?}"),
            "accounts",
            format!("{{\"account\":\"{name}\",\"currency\":\"USD\"}}"),
        ),
        (named, _) => {
            let of = named.as_ref().map(|name| format!(",\"account\":\"{name}\""));
            let terms = "\"budget\":3000000,\"currency\":\"USD\"";
            let of = of.unwrap_or_default();
            let body = format!("{{\"campaign_id\":\"{campaign}\",{terms}{of}}}");
            (format!("campaign {campaign:?}"), "allocate", body)
        }
    };
    format!(
        "the {what} does not exist ({reason}). Create it first:\n  curl -X POST {base}/api/v1/{path} \
         -H 'content-type: application/json' \\\n    -d '{body}'"
    )
}

/// Why a run ended.
enum End {
    Reached,
    Interrupted,
    Unknown { account: bool, reason: String },
    GivenUp(String),
}

async fn replay(
    log: &Log,
    target: &Target,
    concurrency: usize,
    mut interrupts: Signal,
) -> (Summary, End) {
    let begun = Instant::now();
    let mut summary = Summary::of(log.len());
    let mut progress = Progress::new(log.len());
    let mut end = End::Reached;
    let (stop, stopped) = watch::channel(false);
    let running = stopped.clone();
    let calls = log.purchases().take_while(move |_| !*running.borrow()).map(|purchase| {
        let stopped = stopped.clone();
        async move {
            let outcome = target.book(&purchase, &log.key(&purchase), stopped).await;
            (purchase, outcome)
        }
    });
    let mut calls = std::pin::pin!(futures_util::stream::iter(calls).buffer_unordered(concurrency));
    loop {
        let next: Option<(Purchase<'_>, Outcome)> = tokio::select! {
            next = calls.next() => next,
            Some(()) = interrupts.recv() => {
                // A second Ctrl-C does not wait for what is on the way.
                if stop.send_replace(true) {
                    break;
                }
                end = End::Interrupted;
                progress.say("stopping: waiting for the spends on the way");
                continue;
            }
        };
        let Some((purchase, outcome)) = next else {
            break;
        };
        summary.count(purchase.line, purchase.micros, &outcome);
        progress.advance();
        let over = match outcome {
            Outcome::Unknown { account, reason } => End::Unknown { account, reason },
            Outcome::GivenUp(reason) => End::GivenUp(reason),
            _ => continue,
        };
        if !stop.send_replace(true) {
            end = over;
        }
    }
    progress.finish();
    summary.elapsed = begun.elapsed();
    (summary, end)
}

/// `250ms`, `60s`, `5m` or plain seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "expected a time such as 250ms, 60s or 5m".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs).ok_or_else(bad),
        _ => Err(bad()),
    }
}
