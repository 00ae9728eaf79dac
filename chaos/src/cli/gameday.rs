//! `kiki-chaos gameday`

use std::time::{Duration, Instant};

use clap::Args;
use rand::RngExt;

use super::run::{Place, any_seed, in_words, listen, table};
use super::{CliResult, say, subjects};
use crate::report::RunReport;
use crate::run::{Host, run as run_one};
use crate::verdict::Verdict;

/// Run experiments with random seeds, one after another, for hours
///
/// Each time an experiment is drawn that was run least so far. What did not hold is told with the command that does it
/// again, and so is what could not run; a summary comes at the end, and at Ctrl-C.
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
        say(&in_words(&ran));
        told.push(ran.report);
    }
    say(&table(&told));
    again(&told).iter().for_each(|line| say(line));
    Ok(told.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Held).exit_code())
}

/// The commands that do once more what did not hold, or could not be run.
fn again(told: &[RunReport]) -> Vec<String> {
    let bad = told.iter().filter(|it| it.verdict != Verdict::Held);
    bad.map(|it| format!("again: {}", it.replay)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_run_is_told_with_its_command_too() {
        let report = |verdict: Verdict, seed: u64| -> RunReport {
            let text = serde_json::json!({
                "version": 1, "title": "t", "file": "x", "seed": seed, "started_at": "", "seconds": 1.0,
                "replay": format!("kiki-chaos run x --seed {seed}"), "verdict": verdict,
                "hypothesis": [], "faults": [], "load": crate::load::LoadSummary::default(),
                "checked": crate::verdict::Checked::default(), "series": [],
            });
            serde_json::from_value(text).expect("a report")
        };
        let told = [
            report(Verdict::Held, 1),
            report(Verdict::CouldNotRun, 2),
            report(Verdict::HypothesisFailed, 3),
        ];
        let all = ["again: kiki-chaos run x --seed 2", "again: kiki-chaos run x --seed 3"];
        assert_eq!(again(&told), all);
    }
}
