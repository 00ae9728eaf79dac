//! `kiki ltv import`: a file of purchases to a running server.

mod chunk;
mod send;
mod summary;
mod twins;

use std::cell::Cell;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::super::exit::{CliError, CliResult};
use super::api::ApiArgs;
use super::log::{self, LogArgs, Rejects, Row};
use super::progress::{Bar, Progress};
use chunk::Chunk;
use send::{Sender, Sent, Unsent};
use summary::Summary;
use twins::{Marks, Twins};

/// Chunks that are read before they are sent.
const AHEAD: usize = 2;

/// Bring a file of purchases into a running server
///
/// The whole file is read once before anything is sent: malformed lines are named and left out, or with
/// --strict nothing is done. Then it is read again and sent in parts. What is held is a few parts, however
/// long the file is.
///
/// Every purchase has an id made of what it says: customer, day, amount, currency, and how many lines before it
/// say the same. So the same file twice adds nothing, a run that was cut off is resumed by running it again, and
/// a file that has grown or was mended adds what is new in it.
///
/// Exits with 0 where every well-formed line is in the store, else with 1.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv import --transactions orders.csv.gz\n  kiki ltv import --transactions cdnow_master.txt.gz --format cdnow-master --strict"
)]
pub struct ImportArgs {
    #[command(flatten)]
    log: LogArgs,

    /// Parts on the way at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,

    /// How long a part is tried again while the server is busy or away, such as 60s or 5m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    give_up_after: Duration,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    api: ApiArgs,
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

/// Runs the command.
pub async fn run(args: ImportArgs) -> CliResult {
    let api = args.api.api()?;
    let log = args.log.clone();
    let checked = tokio::task::spawn_blocking(move || check(&log)).await;
    let (mut summary, twins) = checked.map_err(CliError::failed)??;
    let sender = Sender { api, strict: args.log.reading.strict, give_up_after: args.give_up_after };
    // Listens from now on: one between two listeners would be lost.
    let interrupts = signal(SignalKind::interrupt()).map_err(CliError::failed)?;
    let begun = Instant::now();
    let end = import(&args, &sender, twins, &mut summary, interrupts).await;
    summary.elapsed = begun.elapsed();
    let mut out = io::stdout().lock();
    match args.json {
        true => writeln!(out, "{:#}", summary.json())?,
        false => write!(out, "{}", summary.text())?,
    }
    drop(out);
    match end {
        End::Reached if summary.complete() => Ok(()),
        End::Reached => Err(CliError::failed("not every purchase was taken")),
        End::Interrupted => {
            Err(CliError::interrupted("stopped; run the same command again to go on"))
        }
        End::Refused(reason) => Err(CliError::failed(reason)),
        End::Unread(error) => Err(error),
        End::GivenUp(reason) => Err(CliError::failed(format!(
            "gave up after {} s without an answer from {}: {reason}\nis `kiki up` running? Run the same \
             command again to go on",
            sender.give_up_after.as_secs(),
            sender.api.base()
        ))),
    }
}

/// Why a run ended.
enum End {
    Reached,
    Interrupted,
    Refused(String),
    GivenUp(String),
    /// The file could be read once, and not again.
    Unread(CliError),
}

/// The first reading.
fn check(args: &LogArgs) -> Result<(Summary, Twins), CliError> {
    let progress = Progress::new();
    let (mut rows, mut malformed, mut marks) = (0, Rejects::default(), Marks::new());
    let bad = Cell::new(false);
    let row = |_, of: Row<'_>| match of {
        Ok(purchase) => {
            rows += 1;
            marks.see(&purchase);
        }
        Err(why) => {
            malformed.add(why);
            bad.set(true);
        }
    };
    let reader = log::each(args, row, |lines| {
        progress.reading(lines);
        !(args.reading.strict && bad.get())
    });
    progress.finish();
    let reader = reader?;
    malformed.judge(args, rows)?;
    let currency = reader.currency().map(|code| String::from_utf8_lossy(&code).into_owned());
    Ok((Summary { rows, malformed, currency, ..Summary::default() }, marks.twins()))
}

/// The second reading: full chunks go to `to`. Ends early where nobody takes them any more.
fn read(args: &LogArgs, mut twins: Twins, to: &mpsc::Sender<Chunk>) -> Result<(), CliError> {
    let mut chunk = Chunk::default();
    let taken = Cell::new(true);
    let send = |chunk: &mut Chunk| {
        if !chunk.is_empty() && taken.get() {
            taken.set(to.blocking_send(std::mem::take(chunk)).is_ok());
        }
    };
    let row = |line, of: Row<'_>| {
        let Ok(purchase) = of else { return };
        chunk.push(line, &purchase, &twins.id(&purchase));
        if chunk.is_full() {
            send(&mut chunk);
        }
    };
    log::each(args, row, |_| taken.get())?;
    send(&mut chunk);
    Ok(())
}

async fn import(
    args: &ImportArgs,
    sender: &Sender,
    twins: Twins,
    summary: &mut Summary,
    mut interrupts: Signal,
) -> End {
    let bar = Bar::new(summary.rows, "rows");
    let (stop, stopped) = watch::channel(false);
    let (to, chunks) = mpsc::channel::<Chunk>(AHEAD);
    let log = args.log.clone();
    let reading = tokio::task::spawn_blocking(move || read(&log, twins, &to));
    let running = stopped.clone();
    let chunks = futures_util::stream::unfold(chunks, async |mut chunks| {
        chunks.recv().await.map(|chunk| (chunk, chunks))
    });
    let chunks = chunks.take_while(move |_| std::future::ready(!*running.borrow()));
    let calls = chunks.map(|chunk| sender.send(chunk, stopped.clone()));
    let end = {
        let mut calls = std::pin::pin!(calls.buffer_unordered(usize::from(args.concurrency)));
        let mut end = End::Reached;
        loop {
            let next: Option<Result<(Sent, usize), Unsent>> = tokio::select! {
                next = calls.next() => next,
                Some(()) = interrupts.recv() => {
                    // A second Ctrl-C does not wait for what is on the way.
                    if stop.send_replace(true) {
                        break;
                    }
                    end = End::Interrupted;
                    bar.say("stopping: waiting for the rows on the way");
                    continue;
                }
            };
            let over = match next {
                None => break,
                Some(Ok((sent, rows))) => {
                    summary.add(sent);
                    bar.advance(rows);
                    continue;
                }
                Some(Err(Unsent::Stopped)) => continue,
                Some(Err(Unsent::Refused(reason))) => End::Refused(reason),
                Some(Err(Unsent::GivenUp(reason))) => End::GivenUp(reason),
            };
            if !stop.send_replace(true) {
                end = over;
            }
        }
        end
    };
    bar.finish();
    // The calls are gone, and with them who takes chunks: the reader ends.
    match (end, over(reading).await) {
        (End::Reached, Err(error)) => End::Unread(error),
        (end, _) => end,
    }
}

async fn over(reading: tokio::task::JoinHandle<Result<(), CliError>>) -> Result<(), CliError> {
    reading.await.map_err(CliError::failed)?
}
