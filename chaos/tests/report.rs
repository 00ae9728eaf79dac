//! Reports of runs that are made up from a seed. The pages are left in cargo's folder for tests, to be looked at.

mod sample;

use kiki_chaos::report::{
    Mutant, NeverServed, Phase, RunReport, Undo, catalogue, junit, page, summary, write,
};
use kiki_chaos::verdict::{GivenUp, Invariant, Verdict};
use sample::{Sample, run};

fn samples() -> Vec<(&'static str, RunReport)> {
    let of = |seconds, faults, verdict| run(Sample { seed: 11, seconds, faults, verdict });
    vec![
        ("short", of(20, 0, Verdict::Held)),
        ("usual", of(90, 6, Verdict::Held)),
        ("long", of(600, 30, Verdict::HypothesisFailed)),
        ("violated", of(60, 12, Verdict::InvariantViolated)),
        ("not-run", of(0, 2, Verdict::CouldNotRun)),
    ]
}

#[test]
fn a_page_is_whole_and_needs_nothing_from_elsewhere() {
    for (name, run) in samples() {
        let page = page(&run);
        let file = format!("{}/{name}.html", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&file, &page).expect("it is written");
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{name}");
        for bad in ["<script", "http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(bad), "{name} has {bad}");
        }
        assert!(!page.contains("NaN") && !page.contains("=\"inf"), "{name}");
        assert!(page.len() < 600_000, "{name}: {} bytes", page.len());
    }
}

#[test]
fn text_from_outside_is_text() {
    let bad = "<script>alert(1)</script> & \"'| `x` \u{1b}[31m";
    let mut run =
        run(Sample { seed: 1, seconds: 10, faults: 2, verdict: Verdict::InvariantViolated });
    let text = bad.to_owned();
    run.phases.push(Phase { name: text.clone(), from_s: 0.0, to_s: None });
    run.owned[0].campaign.clone_from(&text);
    run.owned[0].by[0].owner = text;
    for text in [
        &mut run.title,
        &mut run.description,
        &mut run.file_sha256,
        &mut run.file,
        &mut run.replay,
        &mut run.platform,
        &mut run.started_at,
    ] {
        *text = bad.to_owned();
    }
    run.faults[0].kind = bad.to_owned();
    run.faults[1].undo = Undo::Failed { why: bad.to_owned() };
    run.hypothesis[0].name = bad.to_owned();
    run.notes.push(bad.to_owned());
    run.owners[0].owner = bad.to_owned();
    run.checked.violations[0].what = bad.to_owned();
    assert!(!page(&run).contains("<script"));
    let xml = junit(std::slice::from_ref(&run)).expect("XML");
    assert!(!xml.contains("<script") && !xml.contains('\u{1b}'));
    assert!(!summary(&run).contains('\u{1b}'));
    let text = catalogue(std::slice::from_ref(&run), &[]);
    assert!(!text.contains("<script") && !text.contains('\u{1b}') && text.contains("\\| \\`x\\`"));
}

#[test]
fn a_folder_has_every_form_of_the_report_and_the_json_reads_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = run(Sample { seed: 3, seconds: 30, faults: 3, verdict: Verdict::Held });
    write(&run, dir.path()).expect("it is written");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect(name);
    let back: RunReport = serde_json::from_str(&read("report.json")).expect("a report");
    assert_eq!(back, run);
    assert!(read("report.html").contains("Held") && read("junit.xml").contains("<testsuite "));
}

#[test]
fn junit_has_a_case_for_each_probe_invariant_and_undo() {
    let mut run =
        run(Sample { seed: 3, seconds: 30, faults: 4, verdict: Verdict::InvariantViolated });
    run.faults[0].undo = Undo::Failed { why: "the relay is gone".to_owned() };
    run.faults[1].undo = Undo::NotDone { why: "needs root".to_owned() };
    let xml = junit(std::slice::from_ref(&run)).expect("XML");
    let cases = 2 + 2 * run.hypothesis.len() + Invariant::ALL.len() + run.faults.len();
    assert_eq!(xml.matches("<testcase ").count(), cases, "{xml}");
    let broken: std::collections::BTreeSet<_> =
        run.checked.violations.iter().map(|v| v.invariant).collect();
    let unheld = run.hypothesis.iter().flat_map(|p| [&p.before, &p.after]);
    let unheld = unheld.flatten().filter(|reading| !reading.held).count();
    assert_eq!(xml.matches("<failure ").count(), broken.len() + unheld + 1, "{xml}");
    assert!(xml.contains("needs root") && xml.contains("the relay is gone"));
}

#[test]
fn a_run_in_a_few_lines_says_what_matters() {
    let text = summary(&run(Sample {
        seed: 3,
        seconds: 30,
        faults: 4,
        verdict: Verdict::InvariantViolated,
    }));
    assert!(text.starts_with("INVARIANT VIOLATED: "), "{text}");
    assert!(text.contains("BG-2 ") && text.lines().count() <= 20, "{text}");
    assert!(text.trim_end().ends_with("--seed 3"), "{text}");
}

#[test]
fn a_search_that_was_not_done_never_reads_as_one_that_found_nothing() {
    let mut run = run(Sample { seed: 3, seconds: 30, faults: 1, verdict: Verdict::Held });
    assert!(page(&run).contains("An order that explains the answers was found for 36 keys"));
    let why = "wins were booked as their holds ended, which no answer tells".to_owned();
    (run.checked.searched, run.checked.not_searched) = (0, 2);
    run.checked.given_up = vec![GivenUp { why: why.clone(), keys: 2 }];
    let (page, text) = (page(&run), summary(&run));
    assert!(page.contains("was not searched for</span>") && page.contains(&why), "{page}");
    assert!(!page.contains("was found"));
    assert!(text.contains("0 keys (2 not searched)") && text.contains(&why), "{text}");
}

#[test]
fn a_page_says_what_was_promised_when_it_broke_and_who_was_left_alone() {
    let mut run =
        run(Sample { seed: 3, seconds: 60, faults: 4, verdict: Verdict::InvariantViolated });
    run.never_served = NeverServed { budgets: 2, consents: 1 };
    run.faults.reverse();
    run.seconds = 300.0;
    let page = page(&run);
    for text in [
        "it is never booked twice",
        &run.file_sha256,
        &run.program_sha256,
        ">BG-2</text>",
        ">second hypothesis</text>",
        ">kc-a0-c1</text>",
        "2 budgets and 1 consent were never served again",
        "Every other budget",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let rows: Vec<usize> = (0..4)
        .map(|n| {
            page.find(&format!("<td class=\"n\">{n}</td><td class=\"whole\">")).expect("a row")
        })
        .collect();
    assert!(rows.is_sorted(), "{rows:?}");
    // The axis ends with the load, not with the checks after it.
    assert!(page.contains(">1:00</text>") && !page.contains(">1:30</text>"));
    let xml = junit(std::slice::from_ref(&run)).expect("XML");
    assert!(xml.contains("name=\"description\"") && xml.contains(&run.program_sha256), "{xml}");
}

#[test]
fn the_catalogue_adds_up_all_runs() {
    let runs: Vec<RunReport> = samples().into_iter().map(|(_, run)| run).collect();
    let mutant = |name: &str, caught_by| Mutant {
        name: name.to_owned(),
        what: "books | twice".to_owned(),
        caught_by,
        caught: 2,
        runs: 3,
    };
    let caught = Some(("kill the owner".to_owned(), "BG-2".to_owned()));
    let text = catalogue(&runs, &[mutant("twice", caught), mutant("quiet", None)]);
    let operations: u64 = runs.iter().map(|run| run.checked.operations).sum();
    let digits: String = text
        .lines()
        .find(|l| l.starts_with("| operations checked"))
        .expect("a row")
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    assert_eq!(digits, operations.to_string());
    assert!(text.contains("| runs | 5 |") && text.contains("1 of 2 were found."), "{text}");
    assert!(text.contains("| quiet | books \\| twice | **not found** |"), "{text}");
}

#[test]
fn a_page_tells_what_a_fault_struck_and_asks_of_no_before_where_there_is_none() {
    let mut run = run(Sample { seed: 3, seconds: 60, faults: 2, verdict: Verdict::Held });
    run.faults[0].id = "owner-killed".to_owned();
    (run.faults[0].struck, run.faults[1].struck) = (Some(4_711), None);
    let mut expected = run.hypothesis[0].clone();
    (expected.name, expected.before) = ("expected: something".to_owned(), None);
    run.hypothesis = vec![expected.clone()];
    let (shown, xml) = (page(&run), junit(std::slice::from_ref(&run)).expect("XML"));
    assert!(
        shown.contains("owner-killed") && shown.contains("<td class=\"n\">4,711</td>"),
        "{shown}"
    );
    assert!(shown.contains("<td class=\"n\">–</td>") && !shown.contains("not read"), "{shown}");
    assert!(xml.contains("something (after)") && !xml.contains("something (before)"), "{xml}");
    // What had to be asked afterwards and was not is told as such.
    (expected.before, expected.after) = (expected.after, None);
    run.hypothesis = vec![expected];
    let (shown, xml) = (page(&run), junit(std::slice::from_ref(&run)).expect("XML"));
    assert!(shown.contains("not read") && xml.contains("something (after)"), "{shown}");
    // Reports of earlier versions tell neither.
    let mut value = serde_json::to_value(&run).expect("JSON");
    for fault in value["faults"].as_array_mut().expect("faults") {
        let fault = fault.as_object_mut().expect("a map");
        assert!(fault.remove("id").is_some() && fault.remove("struck").is_some());
    }
    let earlier: RunReport = serde_json::from_value(value).expect("it is read");
    assert_eq!((earlier.faults[0].id.as_str(), earlier.faults[0].struck), ("", None));
}

#[test]
fn what_was_not_judged_is_no_success() {
    let mut run = run(Sample { seed: 3, seconds: 60, faults: 2, verdict: Verdict::CouldNotRun });
    run.checked.not_judged = vec![Invariant::Bg2];
    let xml = junit(std::slice::from_ref(&run)).expect("XML");
    assert!(xml.contains("it was not judged"), "{xml}");
    assert!(page(&run).contains("Not judged: BG-2."));
}
