//! JUnit, for those who collect results of tests: a suite an experiment, a case for each probe, invariant and undo.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::model::{Probe, Reading, RunReport, Undo};
use crate::verdict::{Invariant, Verdict};

/// # Errors
/// It cannot be written as XML.
pub fn junit(runs: &[RunReport]) -> Result<String, SerializeError> {
    let mut report = Report::new("kiki-chaos");
    report.add_test_suites(runs.iter().map(suite));
    report.to_string()
}

fn suite(run: &RunReport) -> TestSuite {
    let mut suite = TestSuite::new(run.title.as_str());
    suite.set_time(Duration::try_from_secs_f64(run.seconds).unwrap_or_default());
    suite.add_property(("seed", run.seed.to_string().as_str()));
    for (name, value) in [
        ("description", &run.description),
        ("file_sha256", &run.file_sha256),
        ("program_sha256", &run.program_sha256),
    ] {
        if !value.is_empty() {
            suite.add_property((name, value.as_str()));
        }
    }
    suite.add_property(("replay", run.replay.as_str()));
    suite.add_test_case(ran(run));
    for probe in &run.hypothesis {
        // What nobody asks before is no test that was left out.
        if !probe.only_after() {
            suite.add_test_case(read(probe, "before", &probe.before));
        }
        suite.add_test_case(read(probe, "after", &probe.after));
    }
    suite.add_test_case(case("load: enough of it", many(&run.too_little)));
    suite.add_test_cases(Invariant::ALL.into_iter().map(|invariant| held(run, invariant)));
    for fault in &run.faults {
        let status = match &fault.undo {
            Undo::Nothing | Undo::Undone => TestCaseStatus::success(),
            Undo::Failed { why } => failed(why),
            Undo::NotDone { why } => skipped(why),
        };
        suite.add_test_case(case(
            &format!("undo: {} of {} (fault {})", fault.kind, fault.target, fault.number),
            status,
        ));
    }
    suite
}

fn ran(run: &RunReport) -> TestCase {
    let status = match (run.verdict, &run.why) {
        (Verdict::CouldNotRun, why) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(why.as_deref().unwrap_or("nothing says why"));
            status
        }
        _ => TestCaseStatus::success(),
    };
    case("run: it could be run", status)
}

fn read(probe: &Probe, when: &str, reading: &Option<Reading>) -> TestCase {
    let status = match reading {
        Some(Reading { held: true, .. }) => TestCaseStatus::success(),
        Some(Reading { value, .. }) => {
            failed(&format!("{value} where {} is tolerated", probe.tolerance))
        }
        None => skipped("it was not read"),
    };
    case(&format!("hypothesis: {} ({when})", probe.name), status)
}

fn held(run: &RunReport, invariant: Invariant) -> TestCase {
    let broken = run.checked.violations.iter().filter(|v| v.invariant == invariant);
    let broken: Vec<String> = broken.map(|violation| violation.what.clone()).collect();
    let status = match broken.is_empty() {
        true if run.checked.operations == 0 => skipped("no operation was checked"),
        true if run.checked.not_judged.contains(&invariant) => skipped("it was not judged"),
        _ => many(&broken),
    };
    case(&format!("invariant: {}", invariant.code()), status)
}

fn case(name: &str, status: TestCaseStatus) -> TestCase {
    TestCase::new(name, status)
}

/// Nothing is good; anything else is told, all of it.
fn many(what: &[String]) -> TestCaseStatus {
    let Some(first) = what.first() else { return TestCaseStatus::success() };
    let mut status = failed(first);
    status.set_description(what.join("\n"));
    status
}

fn failed(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(why);
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}
