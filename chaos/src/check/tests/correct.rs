use proptest::prelude::*;

use super::world::{Size, run};

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
