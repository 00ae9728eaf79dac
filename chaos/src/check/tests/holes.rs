//! What a checker may easily let pass, each in a history of a few calls, beside the same that is right.

use super::small::{Small, ok, refused, unknown};
use crate::history::Outcome;
use crate::verdict::Invariant::{Bg2, Bg3};

#[test]
fn a_request_whose_key_is_busy_may_be_booked_and_is_no_failure() {
    let unavailable = Outcome::Unavailable { status: 409, code: "in_progress".into() };
    for busy in [refused("in_progress"), unavailable] {
        let mut small = Small::new();
        small.spend(7, busy.clone()).row("spend", 7, None);
        small.grant("h", 9).settle("h", 9, busy).row("settle", 9, Some("h"));
        let checked = small.check();
        assert_eq!(checked.violations, []);
        assert_eq!((checked.refused, checked.unavailable, checked.unknown), (2, 0, 0));
    }
    let other = Outcome::Unavailable { status: 503, code: "not_reached".into() };
    assert_eq!(Small::new().spend(7, other).row("spend", 7, None).broken(), [Bg2]);
}

#[test]
fn a_row_of_a_hold_is_let_pass_only_for_a_win_of_that_hold() {
    let won = |name: &str| {
        let mut small = Small::new();
        small.bid("b1", 50).wins(name);
        small
    };
    let right = won("b1").row("settle", 40, Some("b1")).check();
    assert_eq!(right.violations, []);
    assert!(right.notes.iter().any(|note| note.starts_with("1 wins were booked")), "{right:?}");
    // A win of another, a hold that nobody was ever given, and one that a client has and did not settle.
    assert_eq!(won("b2").row("settle", 40, Some("b1")).broken(), [Bg2]);
    assert_eq!(won("b1").row("settle", 40, Some("h")).broken(), [Bg2]);
    assert_eq!(won("h").grant("h", 40).row("settle", 40, Some("h")).broken(), [Bg2]);
}

#[test]
fn a_billing_is_booked_once_at_its_own_price() {
    let billed = |outcome: Outcome| {
        let mut small = Small::new();
        small.bid("b1", 50).bid("b2", 50).wins("b2").bills("b1", 40, outcome);
        small
    };
    assert_eq!(billed(ok()).row("settle", 40, Some("b1")).check().violations, []);
    assert_eq!(billed(unknown()).row("settle", 40, Some("b1")).check().violations, []);
    assert_eq!(billed(unknown()).check().violations, []);
    assert_eq!(billed(ok()).broken(), [Bg2]);
    assert_eq!(billed(ok()).row("settle", 41, Some("b1")).broken(), [Bg2]);
    assert_eq!(billed(unknown()).row("settle", 41, Some("b1")).broken(), [Bg2]);
    let twice = |small: &mut Small| {
        small.row("settle", 40, Some("b1")).row("settle", 40, Some("b1")).broken()
    };
    assert_eq!(twice(&mut billed(ok())), [Bg3]);
    assert_eq!(twice(Small::new().bid("b1", 50).wins("b1")), [Bg3]);
}
