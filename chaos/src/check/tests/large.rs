//! A million operations, in seconds.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::world::{Size, run};
use super::{Run, jsonl};
use crate::check::{Options, folder};

/// The processor's time: what others do on this machine meanwhile is not the checker's.
fn of_this_thread() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap(), u32::try_from(now.tv_nsec).unwrap())
}

#[test]
fn a_million_operations_are_checked_in_seconds() {
    let at = tempfile::tempdir().unwrap();
    let operations = 1_000_000;
    {
        // The simulated service looks through its rows: many budgets keep that short.
        let run = run(1, Size { clients: 64, operations, budgets: 200, trouble: 20, plenty: true });
        let Run { lines, ledger, audit, end } = &run;
        fs::write(at.path().join("history.jsonl"), jsonl(lines)).unwrap();
        fs::write(at.path().join("ledger.jsonl"), jsonl(ledger)).unwrap();
        fs::write(at.path().join("audit.jsonl"), jsonl(audit)).unwrap();
        fs::write(at.path().join("end.json"), serde_json::to_vec(end).unwrap()).unwrap();
    }
    let began = of_this_thread();
    let checked = folder(at.path(), &Options::default()).unwrap();
    let took = of_this_thread().saturating_sub(began);
    let rate = operations as f64 / took.as_secs_f64();
    println!(
        "{operations} operations in {took:?}: {rate:.0} a second; searched {}, given up {}",
        checked.searched, checked.not_searched
    );
    assert_eq!(checked.violations, []);
    assert_eq!(checked.operations, operations);
    assert!(checked.ledger_rows > 250_000, "{}", checked.ledger_rows);
    assert!(took < Duration::from_secs(20), "{took:?}");
}
