//! The short experiments, for real: a lab of three nodes each, with verdict Held. They need the program kiki (`KIKI_BIN`,
//! or the one of the target folder), PostgreSQL, Redis and HAProxy, and fail where one of these is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use kiki_chaos::check::{self, Options};
use kiki_chaos::cli::catalogue::FILES;
use kiki_chaos::experiment::validate;
use kiki_chaos::lab::programs::{Programs, is_program};
use kiki_chaos::report::RunReport;
use kiki_chaos::verdict::Verdict;

/// The suite itself, as it was built for this test.
const SUITE: &str = env!("CARGO_BIN_EXE_kiki-chaos");
const SEED: &str = "20261122";

fn kiki() -> PathBuf {
    let named = std::env::var_os("KIKI_BIN").map(PathBuf::from);
    let beside = Path::new(SUITE).parent().map(|folder| folder.join("kiki"));
    let found = named.or(beside).filter(|path| is_program(path));
    found.expect("the program kiki: `cargo build --bin kiki` makes it, KIKI_BIN names it")
}

fn read(folder: &Path) -> RunReport {
    let text = std::fs::read(folder.join("report.json")).expect("a report");
    serde_json::from_slice(&text).expect("it is one")
}

#[test]
fn every_experiment_of_the_program_is_good() {
    for (name, text) in FILES {
        let problems = validate(text, name).err().unwrap_or_default();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, Vec::<String>::new());
    }
    let files: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let validated = Command::new(SUITE).arg("validate").args(files).output().expect("it runs");
    assert_eq!(validated.status.code(), Some(0));
    let unknown = Command::new(SUITE).args(["validate", "nothing.yaml"]).output().expect("it runs");
    assert_eq!(unknown.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("neither a file nor"));
}

/// Runs it, and sees that there is something behind its verdict.
fn holds(name: &str) {
    if let Err(missing) = Programs::find() {
        panic!("{missing}");
    }
    let reports = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(SUITE);
    command.args(["run", name, "--seed", SEED, "--quiet", "--report"]).arg(reports.path());
    let ran = command.env("KIKI_BIN", kiki()).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let complained = String::from_utf8_lossy(&ran.stderr).into_owned();
    let folder = reports.path().join(format!("{name}-{SEED}"));
    let report = read(&folder);
    if report.verdict != Verdict::Held {
        for file in std::fs::read_dir(folder.join("logs")).into_iter().flatten().flatten() {
            let log = std::fs::read_to_string(file.path()).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            println!("{}:", file.path().display());
            last.iter().rev().for_each(|line| println!("  {line}"));
        }
    }
    assert_eq!(report.verdict, Verdict::Held, "{said}{complained}");
    assert!(report.checked.operations > 500, "{}", report.checked.operations);
    assert!(report.checked.ledger_rows > 100 && report.checked.audit_rows > 100, "{said}");
    assert_eq!(report.not_undone(), 0, "{said}");
    // The checker alone comes to the same.
    let again = check::folder(&folder, &Options::default()).expect("it is whole");
    assert_eq!(again.violations_total, 0, "{:?}", again.violations);
    assert_eq!(again.operations, report.checked.operations);
    assert!(!folder.join("lab").exists(), "its data is left");
    assert_eq!(ran.status.code(), Some(0), "{said}{complained}");
}

macro_rules! short {
    ($($test:ident = $name:literal),* $(,)?) => {
        const NAMES: &[&str] = &[$($name),*];

        $(#[test]
        fn $test() {
            holds($name);
        })*
    };
}

short! {
    a_bidder_panics_in_a_loop = "a-bidder-panics-in-a-loop",
    a_shard_moves_while_its_budget_is_spent = "a-shard-moves-while-its-budget-is-spent",
    connections_to_postgresql_are_killed = "connections-to-postgresql-are-killed",
    postgresql_is_restarted = "postgresql-is-restarted",
    redis_is_flushed = "redis-is-flushed",
    the_owner_is_killed_in_the_middle_of_an_authorisation =
        "the-owner-is-killed-in-the-middle-of-an-authorisation",
}

#[test]
fn every_short_experiment_is_run() {
    let short = FILES.iter().filter(|(name, text)| {
        let experiment = validate(text, name).expect("it is good");
        experiment.tags.iter().any(|tag| tag == "short")
    });
    assert_eq!(short.map(|(name, _)| *name).collect::<Vec<_>>(), NAMES);
}
