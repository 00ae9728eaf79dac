//! `kiki-chaos mutants`: whether the suite would notice.

use std::collections::BTreeMap;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::run::{Place, listen};
use super::{CliResult, say, subjects};
use crate::experiment::Experiment;
use crate::experiment::amount::Amount;
use crate::report::{Mutant, summary};
use crate::run::{Host, run as run_one};
use crate::verdict::Verdict;

/// The table, in the folder of the reports.
pub const FILE: &str = "mutants.json";
/// Names a mistake for nodes of a build that can make it.
const VARIABLE: &str = "KIKI_PLANTED_BUG";

/// Run the platform with mistakes that it makes on purpose, and see whether each is noticed
///
/// Needs a program kiki that was built with the feature `planted-bugs`. For each mistake, the experiments that are most
/// likely to show it are run with one seed after another until an invariant is violated. The exit code is 0 where every
/// mistake was noticed, 1 where one was not.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki-chaos mutants --binary target/debug/kiki\n  kiki-chaos mutants --only epoch-ignored --seeds 10"
)]
pub struct MutantsArgs {
    /// Only this mistake
    #[arg(long, value_name = "NAME", value_parser = ALL.map(|it| it.name))]
    only: Option<String>,
    /// Seeds that each experiment is tried with
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seeds: u32,
    #[command(flatten)]
    place: Place,
}

/// A mistake, and where it is likely to show.
struct Likely {
    name: &'static str,
    what: &'static str,
    experiments: &'static [&'static str],
    /// What of an experiment has to be different for the mistake to matter at all.
    change: fn(&mut Experiment),
}

const ALL: [Likely; 6] = [
    Likely {
        name: "dedup-skipped",
        what: "a spend with a key that was used before is booked once more",
        experiments: &["redis-is-flushed", "the-owner-is-killed-in-the-middle-of-an-authorisation"],
        change: |_| {},
    },
    Likely {
        name: "epoch-ignored",
        what: "a node does not look at its lease, nor the store at the epoch of a row",
        experiments: &[
            "the-owner-is-paused-past-its-lease",
            "a-node-is-cut-off-from-the-database",
            "two-nodes-hear-each-other-one-way-only",
        ],
        change: |_| {},
    },
    Likely {
        name: "acknowledged-early",
        what: "what is booked is acknowledged before it is durable",
        experiments: &[
            "the-owner-is-killed-in-the-middle-of-an-authorisation",
            "a-node-restarts-in-a-loop",
        ],
        change: |_| {},
    },
    Likely {
        name: "window-returned-early",
        what: "what was booked leaves an account's window after a tenth of its length",
        experiments: &["redis-is-flushed", "redis-is-stopped"],
        // A window that nobody comes near returns nothing that matters.
        change: |experiment| experiment.load.budgets.window_cap = Amount::units(800),
    },
    Likely {
        name: "consent-for-ever",
        what: "what a customer allowed once is allowed for ever on the node that asked",
        experiments: &["consent-is-revoked-during-a-partition"],
        change: |_| {},
    },
    Likely {
        name: "audit-dropped",
        what: "every eighth booking is left out of the audit log",
        experiments: &["redis-is-flushed"],
        change: |_| {},
    },
];

/// What became of one mistake, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    name: String,
    what: String,
    experiment: Option<String>,
    invariant: Option<String>,
    seed: Option<u64>,
    runs: u32,
}

impl Row {
    pub fn mutant(self) -> Mutant {
        let caught_by = self.experiment.zip(self.invariant);
        let caught = u32::from(caught_by.is_some());
        Mutant { name: self.name, what: self.what, caught_by, caught, runs: self.runs }
    }
}

pub async fn run(args: MutantsArgs) -> CliResult {
    let (host, stop) = (Host::default(), listen()?);
    let mut rows = Vec::new();
    for likely in ALL.iter().filter(|it| args.only.as_deref().is_none_or(|only| only == it.name)) {
        if stop.is_asked() {
            break;
        }
        let mut options = args.place.options()?;
        options.reports = options.reports.join(likely.name);
        options.environment = BTreeMap::from([(VARIABLE.to_owned(), likely.name.to_owned())]);
        let names: Vec<String> = likely.experiments.iter().map(|it| (*it).to_owned()).collect();
        let subjects = subjects::read(&names, None)?;
        let mut row = Row {
            name: likely.name.to_owned(),
            what: likely.what.to_owned(),
            experiment: None,
            invariant: None,
            seed: None,
            runs: 0,
        };
        'tried: for seed in 1..=u64::from(args.seeds) {
            for subject in &subjects {
                if stop.is_asked() {
                    break 'tried;
                }
                let mut subject = subject.clone();
                (likely.change)(&mut subject.experiment);
                let ran = run_one(&subject, seed, &options, &host, &stop).await;
                say(&format!("{}: {}", likely.name, summary(&ran.report)));
                // What could not run has shown nothing.
                row.runs += u32::from(ran.report.verdict != Verdict::CouldNotRun);
                if let Some(found) = ran.report.checked.violations.first() {
                    row.experiment = Some(subject.name.clone());
                    row.invariant = Some(found.invariant.code().to_owned());
                    row.seed = Some(seed);
                    break 'tried;
                }
            }
        }
        rows.push(row);
    }
    let file = args.place.report.join(FILE);
    let text = serde_json::to_vec_pretty(&rows).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(&args.place.report)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    for row in &rows {
        let by = match (&row.invariant, &row.experiment) {
            (Some(invariant), Some(experiment)) => format!("{invariant} in {experiment}"),
            _ => "NOT FOUND".to_owned(),
        };
        say(&format!("{:<22} {by}, {} runs", row.name, row.runs));
    }
    let all = rows.iter().all(|row| row.invariant.is_some()) && !stop.is_asked();
    Ok(if all { Verdict::Held.exit_code() } else { Verdict::HypothesisFailed.exit_code() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_has_experiments_that_there_are_and_that_are_still_good() {
        for likely in &ALL {
            let names: Vec<String> = likely.experiments.iter().map(|it| (*it).to_owned()).collect();
            for mut subject in subjects::read(&names, None).expect("they are there") {
                (likely.change)(&mut subject.experiment);
                let experiment = &subject.experiment;
                let load = crate::run::load::spec(experiment, "kc");
                assert_eq!(load.faults(), Vec::<String>::new(), "{}", likely.name);
            }
        }
    }
}
