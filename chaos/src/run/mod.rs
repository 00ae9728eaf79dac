//! Runs one experiment: a cluster, load on it, the order of hypothesis and method, and a verdict with its report.
//!
//! Whatever happens in between (a condition that ends it, Ctrl-C, a panic of the suite), faults are undone, the lab is
//! closed and the report is written as far as it is.

mod aftermath;
mod ask;
mod cluster;
mod crew;
mod digest;
mod expect;
mod field;
mod finish;
mod folder;
mod guard;
mod hostile;
mod keeper;
mod ledgers;
pub mod load;
mod meters;
mod method;
mod needs;
mod orders;
mod progress;
mod stage;
mod stop;
mod tail;
mod tally;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use self::cluster::Against;
use self::cluster::Cluster;
use self::crew::Crew;
pub use self::digest::sha256;
use self::field::Field;
pub use self::folder::is_open;
use self::meters::Meters;
pub use self::needs::Host;
use self::progress::Progress;
pub use self::stop::Stop;
use crate::experiment::checks::Expectation;
use crate::experiment::probe::Question;
use crate::experiment::{Experiment, plan};
use crate::fault::Faults;
use crate::history::Begin;
use crate::load::{Clock, Journal, LoadSpec, Names};
use crate::report::RunReport;
use crate::verdict::Verdict;

const POLL: Duration = Duration::from_millis(100);
/// Of the load of a lab; against a cluster that runs, names are of the run alone.
const TAG: &str = "kc";

/// An experiment, and where it is from.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The file's name without its ending.
    pub name: String,
    pub file: String,
    /// Of the file.
    pub sha256: String,
    pub experiment: Experiment,
}

/// What does not depend on the experiment.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program `kiki`, for labs.
    pub binary: Option<PathBuf>,
    pub against: Option<Against>,
    /// Each run has a folder of its own in it.
    pub reports: PathBuf,
    /// Data of the lab stays in the folder of the run.
    pub keep: bool,
    pub quiet: bool,
    /// Of the nodes of labs.
    pub environment: BTreeMap<String, String>,
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Ran {
    pub report: RunReport,
    /// The page of the report, where it could be written.
    pub page: Option<PathBuf>,
}

/// Runs an experiment once. What keeps it from running is in its report, with the verdict that says so.
pub async fn run(subject: &Subject, seed: u64, options: &Options, host: &Host, stop: &Stop) -> Ran {
    let mut report = finish::empty(subject, seed, options);
    let folder = match folder::make(&options.reports, &subject.name, seed) {
        Ok(folder::Made { folder, open }) => {
            report.notes.extend(open.iter().map(|it| not_closed(it)));
            folder
        }
        Err(why) => {
            report.worsen(Verdict::CouldNotRun, why);
            return Ran { report, page: None };
        }
    };
    let progress = Arc::new(Progress::new(options.quiet));
    let began = Instant::now();
    stop.begins(&folder, heal(&folder, options));
    let program = options.binary.clone().filter(|_| options.against.is_none());
    // Beside the rest: it takes a second where the program is large.
    let hashed = tokio::task::spawn_blocking(move || program.as_deref().map(digest::file));
    let done = whole(subject, seed, options, host, stop, &folder, &progress, &mut report).await;
    if let Err(why) = done {
        report.worsen(Verdict::CouldNotRun, why);
    }
    match hashed.await {
        Ok(Some(Ok(sha256))) => report.program_sha256 = sha256,
        Ok(Some(Err(why))) => report.notes.push(why),
        Ok(None) => {}
        Err(error) => report.notes.push(format!("the program was not hashed: {error}")),
    }
    report.seconds = began.elapsed().as_secs_f64();
    let written = crate::report::write(&report, &folder);
    stop.ends();
    progress.end();
    let page = match written {
        Ok(()) => Some(folder.join("report.html")),
        Err(error) => {
            report.worsen(Verdict::CouldNotRun, error.to_string());
            None
        }
    };
    Ran { report, page }
}

fn not_closed(earlier: &Path) -> String {
    let earlier = earlier.display();
    format!(
        "{earlier} tells of a lab that was not closed: unless its run goes on, `kiki-chaos heal {earlier}` undoes what is left of it"
    )
}

/// The command that undoes what a run has left.
fn heal(folder: &Path, options: &Options) -> String {
    let token = options.against.as_ref().map(Against::token_argument).unwrap_or_default();
    format!("kiki-chaos heal {}{token}", folder.display())
}

#[allow(clippy::too_many_arguments)]
async fn whole(
    subject: &Subject,
    seed: u64,
    options: &Options,
    host: &Host,
    stop: &Stop,
    folder: &Path,
    progress: &Arc<Progress>,
    report: &mut RunReport,
) -> Result<(), String> {
    let experiment = &subject.experiment;
    let against = options.against.as_ref();
    {
        let in_lab = against.is_none();
        let missing = host.missing(experiment, in_lab, options.binary.as_deref()).await;
        let missing = missing.map_err(|error| format!("this host cannot be looked at: {error}"))?;
        if !missing.is_empty() {
            return Err(format!("missing here: {}", missing.join("; ")));
        }
    }
    let tag = match against {
        None => TAG.to_owned(),
        Some(_) => format!("{TAG}-{seed}-{}", jiff::Timestamp::now().as_second()),
    };
    let spec = load::spec(experiment, &tag);
    progress.phase(&format!("{} (seed {seed}): opening", subject.name), None);
    let opening = open(experiment, seed, options, folder);
    let cluster = tokio::select! {
        cluster = opening => Some(cluster?),
        () = stop.asked() => None,
    };
    let Some(cluster) = cluster else {
        // What was begun of the lab has gone with its owners; names and mounts are left.
        if folder.join(crate::lab::record::FILE).exists() {
            crate::lab::heal(folder).await.map_err(|error| error.to_string())?;
        }
        return Err(crate::report::INTERRUPTED.to_owned());
    };
    report.platform.clone_from(&cluster.platform);
    let cluster = Arc::new(cluster);
    let played = on_cluster(subject, seed, stop, folder, progress, &spec, &cluster, report).await;
    progress.phase("closing", None);
    let closed = match Arc::try_unwrap(cluster) {
        Ok(cluster) => cluster.close(folder).await,
        Err(still) => match still.lab.is_some() {
            true => crate::lab::heal(folder).await.map(drop).map_err(|error| error.to_string()),
            false => Ok(()),
        },
    };
    if let Err(why) = closed {
        let heal = heal(folder, options);
        report.notes.push(format!("the lab was not closed: {why}; `{heal}` undoes what is left"));
    }
    if !options.keep {
        folder::remove(&folder.join(crate::lab::record::FILES))?;
    }
    played
}

async fn open(
    experiment: &Experiment,
    seed: u64,
    options: &Options,
    folder: &Path,
) -> Result<Cluster, String> {
    match (&options.against, &options.binary) {
        (Some(against), _) => Cluster::against(against, experiment.load.through).await,
        (None, Some(binary)) => {
            Cluster::lab(experiment, seed, binary, folder, &options.environment).await
        }
        (None, None) => Err("no program kiki was found: name it with --binary".to_owned()),
    }
}

/// From the budgets to the verdict.
#[allow(clippy::too_many_arguments)]
async fn on_cluster(
    subject: &Subject,
    seed: u64,
    stop: &Stop,
    folder: &Path,
    progress: &Arc<Progress>,
    spec: &LoadSpec,
    cluster: &Arc<Cluster>,
    report: &mut RunReport,
) -> Result<(), String> {
    let experiment = &subject.experiment;
    let planned = plan(experiment, seed, &cluster.inventory).map_err(|error| error.to_string())?;
    if !planned.left_out.is_empty() {
        report.notes.push(format!("this seed leaves out {}", planned.left_out.join(", ")));
    }
    let budgets = crate::load::prepare(spec, &cluster.urls).await.map_err(|e| e.to_string())?;
    let begin = Begin {
        version: 1,
        title: experiment.title.clone(),
        seed,
        started_at: report.started_at.clone(),
        window_cap: spec.window_cap,
        window_us: micros(spec.window),
        hold_us: micros(spec.hold),
        budgets,
    };
    let clock = Clock::start();
    let history = folder.join("history.jsonl");
    let (journal, writing) = Journal::begin(&history, begin, clock)
        .await
        .map_err(|error| format!("{}: {error}", history.display()))?;
    let faults =
        Faults::new(cluster.ground(folder.to_owned())).map_err(|error| error.to_string())?;
    let field = Arc::new(Field {
        experiment: experiment.clone(),
        cluster: cluster.clone(),
        names: Names::of(spec),
        tally: Arc::new(Mutex::default()),
        meters: Arc::new(Meters::new(metrics(experiment))),
        faults,
        journal: Some(journal.clone()),
        clock,
        progress: progress.clone(),
        told: Mutex::default(),
    });
    let crew = Crew::start(&field, &journal, spec, seed, history);
    drop(journal);
    let (played, broke) = crew.play(&field, planned, stop).await;
    let (summary, ended) = crew.end(field, writing, broke).await;
    finish::finish(subject, spec, folder, cluster, stop, played, summary, ended, report).await
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Metrics that the experiment asks about, and those that must read 0 in every life of a node.
fn metrics(experiment: &Experiment) -> BTreeSet<String> {
    let probes = experiment.probes().filter_map(|probe| match &probe.question {
        Question::Metric { name, .. } => Some(name.clone()),
        _ => None,
    });
    let expected = experiment.checks.expect.iter().filter_map(|it| match it {
        Expectation::Increase { metric, .. } => Some(metric.clone()),
        _ => None,
    });
    let broken = crate::load::VIOLATIONS.map(str::to_owned);
    probes.chain(expected).chain(broken).collect()
}
