use proptest::prelude::*;

use super::Run;
use super::world::{Size, run};
use crate::check::{Options, history};
use crate::history::{Line, Outcome};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]
    #[test]
    fn nothing_is_found_in_a_correct_history(
        seed in any::<u64>(),
        clients in 1u32..9,
        operations in 50u64..2_500,
        budgets in 1usize..4,
        trouble in 0u32..300,
    ) {
        let run = run(seed, Size { clients, operations, budgets, trouble, plenty: false });
        let checked = run.check();
        prop_assert_eq!(&checked.violations, &[]);
        prop_assert_eq!(checked.operations, operations);
        prop_assert!(!checked.cut_off);
    }
}

#[test]
fn a_correct_history_is_searched_and_not_only_read() {
    let checked =
        run(11, Size { clients: 8, operations: 8_000, budgets: 2, trouble: 60, plenty: false })
            .check();
    assert_eq!(checked.violations, []);
    assert!(checked.searched >= 6, "{checked:?}");
    assert_eq!(checked.not_searched, 0, "{checked:?}");
    assert!(checked.ledger_rows > 800 && checked.audit_rows > 1_000, "{checked:?}");
    assert!(
        checked.unknown > 50 && checked.unavailable > 20 && checked.refused > 20,
        "{checked:?}"
    );
}

fn a_run() -> Run {
    run(11, Size { clients: 4, operations: 2_000, budgets: 2, trouble: 60, plenty: false })
}

#[test]
fn what_was_not_searched_is_told_with_its_reason() {
    let why = |checked: crate::verdict::Checked| -> Vec<String> {
        assert_eq!(checked.not_searched, checked.given_up.iter().map(|it| it.keys).sum::<u64>());
        checked.given_up.into_iter().map(|it| it.why).collect()
    };
    let mut run = a_run();
    let none = Options { search_states_total: 0, ..Options::default() };
    assert_eq!(why(history(&run.history(), &none)), ["the experiment asks for no search"]);
    let few = Options { search_states: 1, ..Options::default() };
    let few = why(history(&run.history(), &few));
    assert_eq!(few, ["there are too many orders to try them in the time given"]);
    // A win that was booked when its hold ended: nobody was told of it.
    let mut row = run.ledger[0].clone();
    (row.seq, row.hold, row.op) = (1_000_000, Some("of-a-bid".into()), "of-a-bid".into());
    run.ledger.push(row);
    let wins = "wins were booked as their holds ended, which no answer tells";
    assert_eq!(why(run.check()), [wins]);
}

#[test]
fn who_is_told_that_the_same_is_being_worked_on_was_refused_in_every_history() {
    let usual = a_run().check();
    for outcome in [
        Outcome::Refused { status: 409, reason: "in_progress".into() },
        Outcome::Unavailable { status: 409, code: "in_progress".into() },
    ] {
        let mut run = a_run();
        for line in &mut run.lines {
            if let Line::Complete { outcome: told @ Outcome::Unavailable { .. }, .. } = line {
                *told = outcome.clone();
            }
        }
        let checked = run.check();
        assert_eq!(checked.violations, []);
        let both = usual.refused + usual.unavailable;
        assert_eq!((checked.refused, checked.unavailable), (both, 0));
    }
}
