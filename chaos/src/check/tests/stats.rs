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
    assert_eq!(recovery.never, 0);
    assert_eq!(recovery.rate_us, Some(3_000_000));
    let none = stats::recovery(&history, 5_000_000, 19_900_000);
    assert_eq!((none.keys_us, none.rate_us), (None, None));
}
