//! `kiki-chaos run`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use rand::RngExt;

use super::{CliResult, program, say, subjects};
use crate::experiment::target::{Target, Urls};
use crate::report::summary;
use crate::run::{Against, Host, Options, Ran, Stop, Subject, run as run_one};
use crate::verdict::Verdict;

/// Run experiments
///
/// Each opens a cluster of its own, unless one that runs is named with --against or by the file itself; then only faults
/// of actors can be ordered, through its admin API. Ctrl-C ends a run in order: faults are undone, and the report is written as far as
/// it is.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki-chaos run --tag short\n  kiki-chaos run redis-is-stopped my.yaml --repeat 5\n  kiki-chaos run postgresql-is-restarted --seed 42 --keep\n  kiki-chaos run mailboxes-are-flooded --against http://10.0.0.5:8081 --admin http://10.0.0.5:8090"
)]
pub struct RunArgs {
    /// Files, or names of experiments that come with the program; all of these if none is given
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Only experiments with this tag
    #[arg(long)]
    tag: Option<String>,
    /// What everything by chance comes from; a new one for each run if not given
    #[arg(long)]
    seed: Option<u64>,
    /// How often, each time with the next seed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    #[command(flatten)]
    place: Place,
    /// SyncShield of a cluster that runs, as http://HOST:8081; of each node, or of its balancer
    #[arg(long, value_name = "URL", num_args = 1.., requires = "admin", value_parser = url)]
    against: Vec<String>,
    /// The admin API of each of its nodes
    #[arg(long, value_name = "URL", num_args = 1.., requires = "against", value_parser = url)]
    admin: Vec<String>,
    /// SyncFlow of it, where the load bids
    #[arg(long, value_name = "URL", num_args = 1.., requires = "against", value_parser = url)]
    flow: Vec<String>,
    /// The environment variable that holds a key for it
    #[arg(long, value_name = "NAME", requires = "against")]
    token_env: Option<String>,
}

/// Where runs are done, and where what is left of them goes.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The folder of the reports: each run has one of its own in it
    #[arg(long, value_name = "DIR", default_value = "chaos-report")]
    pub report: PathBuf,
    /// The program kiki; otherwise that beside this one, or in PATH
    #[arg(long, value_name = "FILE", env = "KIKI_BIN")]
    pub binary: Option<PathBuf>,
    /// Keep the data of the lab
    #[arg(long)]
    pub keep: bool,
    /// No progress, only what came of it
    #[arg(long, short)]
    pub quiet: bool,
}

impl Place {
    /// # Errors
    /// There is no program kiki.
    pub fn options(&self) -> Result<Options, String> {
        Ok(Options {
            binary: Some(program::find(self.binary.as_ref())?),
            against: None,
            reports: self.report.clone(),
            keep: self.keep,
            quiet: self.quiet,
            environment: BTreeMap::new(),
        })
    }
}

impl RunArgs {
    /// Whether it opens labs. It is asked before anything else is done: only a lab wants namespaces and a program.
    ///
    /// # Errors
    /// What is to be run is wrong, or not all of it is of one kind.
    pub fn wants_lab(&self) -> Result<bool, String> {
        self.wants_lab_for(&subjects::read(&self.files, self.tag.as_deref())?)
    }

    fn wants_lab_for(&self, subjects: &[Subject]) -> Result<bool, String> {
        if !self.against.is_empty() {
            return Ok(false);
        }
        let (labs, others): (Vec<_>, Vec<_>) =
            subjects.iter().partition(|it| matches!(it.experiment.target, Target::Lab(_)));
        match (labs.first(), others.first()) {
            (Some(lab), Some(other)) => Err(format!(
                "{} wants a lab and {} is for a cluster that runs: a lab is a network of its own, from which nothing else can be reached, so they cannot be run by one call",
                lab.file, other.file
            )),
            (lab, _) => Ok(lab.is_some()),
        }
    }

    fn against(&self) -> Result<Option<Against>, String> {
        if self.against.is_empty() {
            return Ok(None);
        }
        let (shield, flow, admin) = (self.against.clone(), self.flow.clone(), self.admin.clone());
        let token = token(self.token_env.as_deref())?;
        let token_env = self.token_env.clone();
        Ok(Some(Against { shield, flow, value: Vec::new(), admin, token, token_env }))
    }
}

/// The key that a variable of the environment holds.
///
/// # Errors
/// The variable is not set.
pub fn token(name: Option<&str>) -> Result<Option<String>, String> {
    let read = |name| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    name.map(read).transpose()
}

/// Where a file itself says that its cluster is.
///
/// # Errors
/// The variable with the key is not set.
pub fn of_file(subject: &Subject) -> Result<Option<Against>, String> {
    let Target::Urls(Urls { shield, flow, value, admin, token_env }) = &subject.experiment.target
    else {
        return Ok(None);
    };
    let one = |url: &Option<crate::experiment::target::Url>| {
        url.iter().map(|it| it.0.clone()).collect::<Vec<_>>()
    };
    Ok(Some(Against {
        shield: vec![shield.0.clone()],
        flow: one(flow),
        value: one(value),
        admin: admin.iter().map(|it| it.0.clone()).collect(),
        token: token(token_env.as_deref())?,
        token_env: token_env.clone(),
    }))
}

/// Where an API is: paths are put behind it.
fn url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok().filter(|it| {
        let bare = it.query().is_none() && it.fragment().is_none();
        matches!(it.scheme(), "http" | "https") && it.has_host() && bare
    });
    match url {
        Some(_) => Ok(text.to_owned()),
        None => Err("it is no address of an API, which is as http://10.0.0.5:8081".to_owned()),
    }
}

/// A seed that nobody chose. Short, because people type it.
pub fn any_seed() -> u64 {
    u64::from(rand::rng().random::<u32>() >> 1)
}

pub async fn run(args: RunArgs) -> CliResult {
    let subjects = subjects::read(&args.files, args.tag.as_deref())?;
    let against = args.against()?;
    let mut options = match args.wants_lab_for(&subjects)? {
        true => args.place.options()?,
        false => bare(&args.place),
    };
    let (host, stop) = (Host::default(), listen()?);
    let mut worst = Verdict::Held;
    let mut told = Vec::new();
    'all: for subject in &subjects {
        for n in 0..u64::from(args.repeat) {
            if stop.is_asked() {
                break 'all;
            }
            let seed = args.seed.map_or_else(any_seed, |seed| seed.wrapping_add(n));
            options.against = against.clone().or(of_file(subject)?);
            let ran = run_one(subject, seed, &options, &host, &stop).await;
            say(&in_words(&ran));
            worst = worst.max(ran.report.verdict);
            told.push(ran.report);
        }
    }
    if told.len() > 1 {
        say(&table(&told));
    }
    Ok(worst.exit_code())
}

fn bare(place: &Place) -> Options {
    Options {
        binary: None,
        against: None,
        reports: place.report.clone(),
        keep: place.keep,
        quiet: place.quiet,
        environment: BTreeMap::new(),
    }
}

/// What a run came to, and where its report is.
pub fn in_words(ran: &Ran) -> String {
    let page = ran.page.as_ref().map(|page| format!("  report: {}\n", page.display()));
    summary(&ran.report) + &page.unwrap_or_default()
}

/// # Errors
/// The system does not tell of signals.
pub fn listen() -> Result<Stop, String> {
    Stop::listen().map_err(|error| format!("signals: {error}"))
}

/// Runs as lines, and how many came to which verdict.
pub fn table(runs: &[crate::report::RunReport]) -> String {
    let mut out = String::new();
    for run in runs {
        out += &format!(
            "{:<18} {:>6.1} s  seed {:<10}  {}\n",
            word(run.verdict),
            run.seconds,
            run.seed,
            run.file
        );
    }
    for verdict in
        [Verdict::Held, Verdict::HypothesisFailed, Verdict::CouldNotRun, Verdict::InvariantViolated]
    {
        let count = runs.iter().filter(|run| run.verdict == verdict).count();
        if count > 0 {
            out += &format!("{count} {}  ", word(verdict));
        }
    }
    out.trim_end().to_owned()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::HypothesisFailed => "hypothesis failed",
        Verdict::InvariantViolated => "VIOLATED",
        Verdict::CouldNotRun => "could not run",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }

    /// A file whose cluster runs, at an address where nobody is.
    fn of_urls(folder: &std::path::Path) -> String {
        let mut known = crate::cli::catalogue::FILES.iter();
        let (_, text) = known.find(|it| it.0 == "mailboxes-are-flooded").expect("known");
        let (head, rest) = text.split_once("target:").expect("a target");
        let (_, load) = rest.split_once("\nload:").expect("a load");
        let target = r#"{urls: {shield: "http://127.0.0.1:9", admin: ["http://127.0.0.1:9"]}}"#;
        let file = folder.join("of-urls.yaml");
        std::fs::write(&file, format!("{head}target: {target}\nload:{load}"))
            .expect("it is written");
        file.display().to_string()
    }

    #[tokio::test]
    async fn a_file_for_a_cluster_that_runs_wants_neither_a_lab_nor_a_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let urls = of_urls(folder.path());
        let reports = folder.path().join("reports").display().to_string();
        let parse = |files: &[&str]| {
            let fixed = ["run", "--quiet", "--binary", "/no/such/program", "--report", &reports];
            Line::try_parse_from(fixed.iter().chain(files)).expect("good arguments").args
        };
        assert_eq!(parse(&[&urls]).wants_lab(), Ok(false));
        assert_eq!(parse(&["redis-is-stopped"]).wants_lab(), Ok(true));
        let against = ["redis-is-stopped", "--against", "http://h:1", "--admin", "http://h:2"];
        assert_eq!(parse(&against).wants_lab(), Ok(false));
        let refused = parse(&["redis-is-stopped", &urls]).wants_lab().expect_err("both");
        assert!(refused.contains("redis-is-stopped wants a lab"), "{refused}");
        // It is tried, and nobody answers.
        assert_eq!(run(parse(&[&urls])).await, Ok(Verdict::CouldNotRun.exit_code()));
        let text = std::fs::read_dir(&reports).expect("reports").flatten().next().expect("one");
        let text = std::fs::read_to_string(text.path().join("report.json")).expect("a report");
        assert!(text.contains("127.0.0.1:9") && !text.contains("no program"), "{text}");
        assert!(run(parse(&["redis-is-stopped"])).await.is_err(), "a lab needs a program");
    }

    #[tokio::test]
    async fn a_report_that_cannot_be_written_is_not_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let subjects = subjects::read(&["redis-is-stopped".to_owned()], None).expect("it is good");
        let options = Options {
            binary: None,
            against: None,
            reports: file.path().to_owned(),
            keep: false,
            quiet: true,
            environment: BTreeMap::new(),
        };
        let (host, stop) = (Host::default(), listen().expect("signals"));
        let ran = run_one(&subjects[0], 7, &options, &host, &stop).await;
        assert_eq!(ran.report.verdict, Verdict::CouldNotRun);
        let told = in_words(&ran);
        assert!(!told.contains("report:"), "{told}");
        assert!(told.contains(&file.path().display().to_string()), "{told}");
        // Where it can be, it is.
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { reports: folder.path().to_owned(), ..options };
        let ran = run_one(&subjects[0], 7, &options, &host, &stop).await;
        assert_eq!(ran.page, Some(folder.path().join("redis-is-stopped-7/report.html")));
        assert!(in_words(&ran).contains("report: "));
    }

    #[test]
    fn only_addresses_of_apis_are_taken() {
        for good in ["http://10.0.0.5:8081", "https://shield.test/kiki/", "http://[::1]:1"] {
            assert_eq!(url(good), Ok(good.to_owned()));
        }
        for bad in ["notaurl", "10.0.0.5:8081", "ftp://h:1", "http://", "http://h:1/?a=b", ""] {
            assert!(url(bad).expect_err(bad).contains("as http://10.0.0.5:8081"), "{bad}");
        }
    }
}
