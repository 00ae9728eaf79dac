//! The short experiments, for real: a lab of three nodes each, with verdict Held. They need the program kiki (`KIKI_BIN`,
//! or the one of the target folder) and servers; where these are missing, the test says so and passes.

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

fn kiki() -> Option<PathBuf> {
    let named = std::env::var_os("KIKI_BIN").map(PathBuf::from);
    let beside = Path::new(SUITE).parent().map(|folder| folder.join("kiki"));
    named.or(beside).filter(|path| is_program(path))
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

#[test]
fn the_short_experiments_hold() {
    let Some(kiki) = kiki() else {
        eprintln!("passed over: no program kiki (KIKI_BIN names one)");
        return;
    };
    if let Err(missing) = Programs::find() {
        eprintln!("passed over: {missing}");
        return;
    }
    let reports = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(SUITE);
    command.args(["run", "--tag", "short", "--seed", SEED, "--quiet", "--report"]);
    let ran = command.arg(reports.path()).env("KIKI_BIN", &kiki).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let complained = String::from_utf8_lossy(&ran.stderr).into_owned();
    let mut runs = 0;
    for (name, text) in FILES {
        let experiment = validate(text, name).expect("it is good");
        if !experiment.tags.iter().any(|tag| tag == "short") {
            continue;
        }
        let folder = reports.path().join(format!("{name}-{SEED}"));
        let report = read(&folder);
        assert_eq!(report.verdict, Verdict::Held, "{said}{complained}");
        assert!(report.checked.operations > 500, "{name}: {}", report.checked.operations);
        assert!(report.checked.ledger_rows > 100 && report.checked.audit_rows > 100, "{name}");
        // The checker alone comes to the same.
        let again = check::folder(&folder, &Options::default()).expect("it is whole");
        assert_eq!(again.violations_total, 0, "{name}: {:?}", again.violations);
        assert_eq!(again.operations, report.checked.operations, "{name}");
        assert!(!folder.join("lab").exists(), "{name}: its data is left");
        runs += 1;
    }
    assert!(runs >= 3, "{runs}");
    assert_eq!(ran.status.code(), Some(0), "{said}{complained}");
}
