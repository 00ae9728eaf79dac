//! What a checker may easily let pass, each in a history of a few calls, beside the same that is right.

use super::service::campaign;
use super::small::{ACCOUNT, CAP, Small, done, ok, refused, unknown};
use crate::history::{Answer, Op, Outcome};
use crate::verdict::Invariant::{Au1, Bg2, Bg3, Co1, Linear};

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

impl Small {
    /// The first budget is looked at, and this is what is told of it.
    fn reads(&mut self, remaining: i64, spent: i64, seq: i64) -> &mut Small {
        let (remaining, amount, seq) = (Some(remaining), Some(spent), Some(seq));
        let answer = Answer { remaining, amount, seq, ..Answer::default() };
        let op = Op::Read { account: ACCOUNT.into(), campaign: campaign(0) };
        self.call(op, done(answer))
    }

    fn no_bid(&mut self) -> &mut Small {
        let op = Op::Bid { account: ACCOUNT.into(), request: "r".into(), person: None };
        self.call(op, Outcome::Refused { status: 204, reason: "no_bid".into() })
    }

    fn granted_with(&mut self, remaining: i64) -> &mut Small {
        let hold = Some("h.camp0".into());
        let (account, key) = (ACCOUNT.into(), "h".into());
        let op = Op::Authorise { account, campaign: campaign(0), amount: 9, key };
        let (amount, remaining) = (Some(9), Some(remaining));
        self.call(op, done(Answer { hold, amount, remaining, ..Answer::default() }))
    }

    fn person(&mut self, kind: &str, outcome: Outcome) -> &mut Small {
        let (account, person, consent) = (ACCOUNT.into(), "p1".into(), "targeting".into());
        let op = match kind {
            "grant" => Op::Grant { account, person, consent },
            "revoke" => Op::Revoke { account, person, consent },
            "bid" => Op::Bid { account, request: "r".into(), person: Some(person) },
            _ => Op::MayUse { account, person, consent },
        };
        self.call(op, outcome)
    }
}

#[test]
fn a_bid_explains_what_is_missing_only_in_budgets_that_bid() {
    let looked = |remaining| {
        let mut small = Small::new();
        small.no_bid().reads(remaining, 0, 0);
        small
    };
    assert_eq!(looked(CAP).check().violations, []);
    assert!(looked(-CAP).broken().contains(&Linear));
    // It may bid: nobody knows what is held. It bids, and all is told: no more than that is.
    let mut bidding = looked(-CAP);
    assert_eq!(bidding.audited("campaign.created", &campaign(0)).check().violations, []);
    let bid = |remaining| Small::new().bid("b", 50).reads(remaining, 0, 0).broken();
    assert_eq!((bid(CAP - 50), bid(CAP)), (vec![], vec![]));
    assert!(bid(CAP - 51).contains(&Linear));
}

#[test]
fn a_look_agrees_with_the_ledger_at_its_row() {
    let booked = |remaining, spent, seq| {
        let told = done(Answer { seq: Some(1), amount: Some(7), ..Answer::default() });
        Small::new().spend(7, told).row("spend", 7, None).reads(remaining, spent, seq).broken()
    };
    assert_eq!(booked(CAP - 7, 7, 1), []);
    // Another sum, a row that is not there, and one from before what was acknowledged.
    assert_eq!(booked(CAP - 7, 8, 1), [Linear]);
    assert_eq!(booked(CAP - 7, 7, 2), [Linear]);
    assert_eq!(booked(CAP - 7, 0, 0), [Linear]);
}

#[test]
fn who_is_granted_something_is_told_what_may_remain() {
    let told = |remaining| Small::new().granted_with(remaining).broken();
    assert_eq!((told(CAP), told(CAP - 9)), (vec![], vec![]));
    assert_eq!((told(CAP + 1), told(CAP - 10)), (vec![Linear], vec![Linear]));
}

#[test]
fn a_consent_that_was_never_given_allows_nothing() {
    let yes = || done(Answer { allowed: Some(true), ..Answer::default() });
    for kind in ["may_use", "bid"] {
        let mut given = Small::new();
        given.person("grant", ok()).audited("consent.granted", "targeting");
        assert_eq!(given.person(kind, yes()).check().violations, [], "{kind}");
        assert_eq!(Small::new().person("grant", unknown()).person(kind, yes()).broken(), []);
        assert_eq!(Small::new().person(kind, yes()).broken(), [Co1, Linear], "{kind}");
        assert_eq!(
            Small::new().person(kind, yes()).person("grant", unknown()).broken(),
            [Co1, Linear],
            "{kind}"
        );
    }
}

#[test]
fn a_booking_has_the_currency_and_the_kind_of_what_was_asked() {
    let settled = |kind: &str| {
        let mut small = Small::new();
        small.grant("h", 9).settle("h", 9, ok()).row(kind, 9, Some("h"));
        small
    };
    assert_eq!(settled("settle").check().violations, []);
    assert_eq!(settled("spend").broken(), [Bg2]);
    assert_eq!(Small::new().spend(7, ok()).row("refund", 7, None).broken(), [Bg2]);
    let mut other = settled("settle");
    other.run.ledger[0].currency = "JPY".into();
    other.run.audit.last_mut().unwrap().data["currency"] = "JPY".into();
    assert_eq!(other.broken(), [Bg2]);
}

#[test]
fn a_booking_is_late_only_where_something_ended_its_hold() {
    let late = |between: fn(&mut Small), outcome: Outcome| {
        let mut small = Small::new();
        small.grant("h", 9);
        between(&mut small);
        small.settle("h", 9, outcome).row("late", 9, Some("h")).broken()
    };
    assert_eq!(late(|_| (), ok()), [Bg2]);
    assert_eq!(late(|_| (), unknown()), []);
    assert_eq!(late(|small| _ = small.waits(20), ok()), []);
    let moved = |small: &mut Small| {
        small.waits(1).sees_owner(2);
    };
    assert_eq!(late(moved, ok()), []);
    // One that moved long before is none of this hold's.
    let mut before = Small::new();
    before.sees_owner(2).waits(3).grant("h", 9).settle("h", 9, ok());
    assert_eq!(before.row("late", 9, Some("h")).broken(), [Bg2]);
}

#[test]
fn every_act_has_a_record_of_its_own() {
    let cap = || {
        let mut small = Small::new();
        let op = Op::SetCap { account: ACCOUNT.into(), campaign: campaign(1), cap: CAP };
        small.call(op, ok());
        small
    };
    // Those of the beginning are none of it, and a campaign that bids has none.
    assert_eq!(cap().broken(), [Au1]);
    assert_eq!(cap().audited("allocation.set", "/api/v1/allocate").check().violations, []);
    assert_eq!(cap().audited("campaign.created", &campaign(0)).check().violations, []);
    let consents = |records: &[&str]| {
        let mut small = Small::new();
        for kind in ["grant", "grant", "revoke", "grant"] {
            small.person(kind, ok());
        }
        records.iter().for_each(|event| _ = small.audited(event, "targeting"));
        small.broken()
    };
    let (granted, revoked) = ("consent.granted", "consent.revoked");
    // The second one changed nothing, so it needs no record.
    assert_eq!(consents(&[granted, revoked, granted]), []);
    assert_eq!(consents(&[granted, granted]), [Au1]);
    assert_eq!(consents(&[granted, revoked]), [Au1]);
}
