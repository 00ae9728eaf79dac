use super::Run;
use super::world::{Size, run};
use crate::check::stats;
use crate::history::{Line, Op, Outcome, Phase};

fn a_run() -> Run {
    run(4, Size { clients: 4, operations: 3_000, budgets: 2, trouble: 50, plenty: false })
}

#[test]
fn figures_add_up() {
    let history = a_run().history();
    let kinds = stats::latencies(&history);
    let done: u64 = kinds.values().map(|kind| kind.count).sum();
    let seconds = stats::seconds(&history);
    assert_eq!(seconds.iter().map(|second| second.done.count).sum::<u64>(), done);
    let all = |s: &stats::Second| s.done.count + s.refused + s.unavailable + s.unknown;
    assert_eq!(seconds.iter().map(all).sum::<u64>(), 3_000);
    let spend = kinds["spend"];
    assert!(spend.p50_us >= 100 && spend.p50_us <= spend.p99_us && spend.p99_us <= spend.max_us);
    let ratio = stats::unknown_ratio(&history);
    assert!((0.01..0.1).contains(&ratio), "{ratio}");
}

#[test]
fn changes_of_owners_and_faults_are_told() {
    let history = a_run().history();
    let faults = stats::faults(&history);
    assert!(matches!(faults[&0], (began, Some(ended)) if began < ended));
    let changes = stats::handovers(&history);
    assert!(!changes.is_empty());
    assert!(changes.iter().all(|change| change.from != change.to && change.shard == 7));
    assert!(changes.is_sorted_by_key(|change| change.at_us));
}

/// Ten calls a second; between 5 and 9 s nobody is answered, and half as many until 11.
#[test]
fn a_recovery_is_measured_by_keys_and_by_rate() {
    let mut run = a_run();
    run.lines.truncate(1);
    let mut id = 0;
    for at in 0..200u64 {
        let at_us = at * 100_000;
        let lost = (50..90).contains(&at);
        if (90..110).contains(&at) && at % 2 == 0 {
            continue;
        }
        id += 1;
        let op = Op::Read { account: "shop".into(), campaign: format!("camp{}", at % 2).into() };
        run.lines.push(Line::Invoke { id, at_us, client: 0, via: "n".into(), op });
        let outcome = match lost {
            true => Outcome::Unknown { why: "cut".into() },
            false => Outcome::Done { status: 200, answer: Default::default() },
        };
        run.lines.push(Line::Complete { id, at_us: at_us + 1_000, outcome });
    }
    for (at_us, phase) in [(5_000_000, Phase::Began), (8_000_000, Phase::Ended)] {
        let (kind, target) = ("network.cut".into(), "n1".into());
        run.lines.push(Line::Fault { at_us, fault: 1, kind, target, phase });
    }
    run.lines.push(Line::End { at_us: 20_000_000 });
    let history = run.history();
    let recovery = stats::recovery(&history, 5_000_000, 8_000_000);
    // The first of camp1 at 9.1 s, that of camp0 at 11 s.
    assert_eq!(recovery.keys_us, Some(3_001_000));
    assert!(recovery.never.is_empty());
    assert_eq!(recovery.rate_us, Some(3_000_000));
    // All were served again before the end of a fault as long; nobody fails after a late one.
    let long = stats::recovery(&history, 5_000_000, 19_900_000);
    assert_eq!((long.keys_us, long.rate_us), (Some(0), None));
    assert_eq!(stats::recovery(&history, 19_000_000, 19_900_000).keys_us, None);
}

/// What becomes of one call a second to a budget; a fault goes on from the 2nd to the 5th.
fn after(outcomes: &[Outcome]) -> stats::Recovery {
    let mut run = a_run();
    run.lines.truncate(1);
    for (at, outcome) in (0..).zip(outcomes) {
        let (id, at_us) = (at + 1, at * 1_000_000);
        let op = Op::Read { account: "shop".into(), campaign: "camp0".into() };
        run.lines.push(Line::Invoke { id, at_us, client: 0, via: "n".into(), op });
        run.lines.push(Line::Complete { id, at_us: at_us + 1_000, outcome: outcome.clone() });
    }
    for (at_us, phase) in [(2_000_000, Phase::Began), (5_000_000, Phase::Ended)] {
        let (kind, target) = ("network.cut".into(), "n1".into());
        run.lines.push(Line::Fault { at_us, fault: 1, kind, target, phase });
    }
    run.lines.push(Line::End { at_us: 60_000_000 });
    stats::recovery(&run.history(), 2_000_000, 5_000_000)
}

#[test]
fn a_budget_is_back_with_the_first_answer_after_its_last_failure() {
    let done = || Outcome::Done { status: 200, answer: Default::default() };
    let lost = || Outcome::Unknown { why: "cut".into() };
    let busy = || Outcome::Refused { status: 409, reason: "in_progress".into() };
    let all = |outcomes: Vec<Outcome>| {
        let recovery = after(&outcomes);
        (recovery.keys_us, recovery.never.len())
    };
    // Served at 5 s, lost once more at 6 and 7, back at 8.
    let well = vec![done(), done(), lost(), done(), lost(), done(), lost(), lost(), done(), done()];
    assert_eq!(all(well.clone()), (Some(3_001_000), 0));
    // Long after the fault it fails again: that is none of it.
    let long: Vec<_> = well.iter().cloned().chain((0..10).map(|_| done())).collect();
    assert_eq!(all([long, vec![lost(), lost()]].concat()), (Some(3_001_000), 0));
    // Who is told that the same is being worked on has neither failed nor been served.
    let waits = vec![done(), done(), lost(), lost(), lost(), lost(), busy(), busy(), done()];
    assert_eq!(all(waits), (Some(3_001_000), 0));
    assert_eq!(all(vec![done(), done(), busy(), busy(), busy(), done()]), (None, 0));
    let never = vec![done(), done(), done(), done(), done(), done(), lost(), lost()];
    assert_eq!(all(never), (None, 1));
    // Nobody asked again: nobody knows.
    assert_eq!(all(vec![done(), done(), lost(), lost()]), (None, 0));
}

#[test]
fn a_shard_is_owned_by_one_after_the_other_with_times_of_nobody() {
    let mut run = a_run();
    run.lines.truncate(1);
    let mut see = |at_us, by: &str, owner: &str, epoch| {
        let (seen_by, owner) = (by.into(), owner.into());
        run.lines.push(Line::Owner { at_us, seen_by, shard: 3, owner, epoch });
    };
    see(1, "n1", "n1", 1);
    see(2, "n2", "n1", 1);
    see(10, "n2", "", 1);
    see(12, "n2", "n2", 2);
    // Late, and of no meaning any more.
    see(13, "n3", "n1", 1);
    see(20, "n1", "n2", 2);
    see(30, "n1", "n3", 3);
    run.lines.push(Line::End { at_us: 40 });
    let one = |name: &str, from, to| (name.to_owned(), from, to);
    let want = [one("n1", 1, Some(10)), one("n2", 12, Some(30)), one("n3", 30, None)];
    assert_eq!(stats::owned(&run.history(), 3), want);
    assert!(stats::owned(&run.history(), 4).is_empty());
}
