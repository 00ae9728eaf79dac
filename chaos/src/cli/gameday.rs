//! `kiki-chaos gameday`

use std::time::{Duration, Instant};

use clap::Args;
use rand::RngExt;

use super::run::{Place, any_seed, listen, table};
use super::{CliResult, say, subjects};
use crate::report::summary;
use crate::run::{Host, run as run_one};
use crate::verdict::Verdict;

/// Run experiments with random seeds, one after another, for hours
///
/// Each time an experiment is drawn that was run least so far. What did not hold is told with the command that does it
/// again; a summary comes at the end, and at Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki-chaos gameday --hours 2\n  kiki-chaos gameday --hours 0.5 redis-is-stopped postgresql-is-restarted"
)]
pub struct GamedayArgs {
    /// Files, or names of experiments that come with the program; all of these if none is given
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Only experiments with this tag
    #[arg(long)]
    tag: Option<String>,
    /// For how long; a run that has begun is ended in order
    #[arg(long)]
    hours: f64,
    #[command(flatten)]
    place: Place,
}

pub async fn run(args: GamedayArgs) -> CliResult {
    if !(0.001..=1_000.0).contains(&args.hours) {
        return Err(format!("--hours {}: allowed are 0.001 to 1000", args.hours));
    }
    let subjects = subjects::read(&args.files, args.tag.as_deref())?;
    let options = args.place.options()?;
    let (host, stop) = (Host::default(), listen()?);
    let until = Instant::now() + Duration::from_secs_f64(args.hours * 3_600.0);
    let (mut told, mut left) = (Vec::new(), Vec::new());
    while Instant::now() < until && !stop.is_asked() {
        if left.is_empty() {
            left = subjects.iter().collect();
        }
        let subject = left.swap_remove(rand::rng().random_range(0..left.len()));
        let ran = run_one(subject, any_seed(), &options, &host, &stop).await;
        say(&summary(&ran.report));
        told.push(ran.report);
    }
    say(&table(&told));
    let bad =
        told.iter().filter(|it| it.verdict != Verdict::Held && it.verdict != Verdict::CouldNotRun);
    bad.for_each(|it| say(&format!("again: {}", it.replay)));
    Ok(told.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Held).exit_code())
}
