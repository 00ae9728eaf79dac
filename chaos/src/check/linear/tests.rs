use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::flag::{Act, Flag};
use super::search::{COSTLY, CROWDED, Call, Model, Purse, Verdict, search};
use crate::check::operation::NEVER;

fn purse(states: u64) -> Purse {
    Purse { states, until: Instant::now() + Duration::from_secs(60) }
}

fn call(first: u64, acked: u64, action: Act) -> Call<Act> {
    Call { first, acked, action, id: first }
}

/// Tries every order, without any cleverness.
fn plain(state: Flag, left: &[Call<Act>]) -> bool {
    if left.iter().all(|call| call.acked == NEVER) {
        return true;
    }
    let deadline = left.iter().map(|call| call.acked).min().unwrap_or(NEVER);
    (0..left.len()).filter(|at| left[*at].first <= deadline).any(|at| {
        let mut rest = left.to_vec();
        let one = rest.remove(at);
        Flag::step(state, one.action).is_some_and(|next| plain(next, &rest))
    })
}

fn action() -> impl Strategy<Value = Act> {
    (any::<bool>(), any::<bool>())
        .prop_map(|(set, on)| if set { Act::Set(on) } else { Act::Saw(on) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn the_search_finds_what_trying_every_order_finds(
        calls in prop::collection::vec((0u64..40, 0u64..12, any::<u8>(), action()), 0..7),
    ) {
        let calls: Vec<Call<Act>> = calls
            .into_iter()
            .map(|(first, len, fate, action)| {
                let lost = fate < 60 && matches!(action, Act::Set(_));
                call(first, if lost { NEVER } else { first + len }, action)
            })
            .collect();
        let verdict = search::<Flag>(Flag::Off, &calls, &mut purse(1_000_000));
        prop_assert_eq!(verdict == Verdict::Explained, plain(Flag::Off, &calls));
    }
}

#[test]
fn an_answer_that_nothing_explains_is_named() {
    let calls =
        [call(0, 10, Act::Set(true)), call(20, 30, Act::Set(false)), call(40, 50, Act::Saw(true))];
    let verdict = search::<Flag>(Flag::Off, &calls, &mut purse(1_000));
    assert_eq!(verdict, Verdict::Unexplained { id: 40, at_us: 50 });
}

#[test]
fn what_costs_too_much_is_given_up_and_not_called_right() {
    let calls: Vec<Call<Act>> =
        (0..40).map(|at| call(at, 1_000 + at, Act::Set(at % 2 == 0))).collect();
    assert_eq!(search::<Flag>(Flag::Off, &calls, &mut purse(500)), Verdict::GivenUp(COSTLY));
    let many: Vec<Call<Act>> = (0..200).map(|at| call(at, NEVER, Act::Set(true))).collect();
    assert_eq!(search::<Flag>(Flag::Off, &many, &mut purse(500)), Verdict::GivenUp(CROWDED));
}

#[test]
fn many_unanswered_ones_do_not_blow_the_search_up() {
    let mut calls: Vec<Call<Act>> =
        (0..100).map(|at| call(at, NEVER, Act::Set(at % 2 == 0))).collect();
    for at in 0..1_000 {
        calls.push(call(200 + 10 * at, 205 + 10 * at, Act::Saw(at % 3 == 0)));
    }
    let verdict = search::<Flag>(Flag::Off, &calls, &mut purse(2_000_000));
    assert!(!matches!(verdict, Verdict::GivenUp(_)), "{verdict:?}");
}

/// The resumption changes nothing where it begins, and does after the pause.
#[test]
fn what_changes_nothing_now_may_be_needed_later() {
    let calls = [
        call(0, 20, Act::Set(false)),
        call(5, 40, Act::Set(true)),
        call(6, 10, Act::Saw(true)),
        call(30, 50, Act::Saw(true)),
    ];
    assert_eq!(search::<Flag>(Flag::On, &calls, &mut purse(1_000)), Verdict::Explained);
}
