//! A row for each answer that the platform, the balancer or the wire can give.

use super::answers::outcome;
use super::http::{Lost, Media, Reply};
use crate::history::{Answer, Op, Outcome};

fn told(op: &Op, status: u16, media: Media, body: &str) -> Outcome {
    outcome(op, &Ok(Reply { status, media, body: body.as_bytes().to_vec() }))
}

fn json(op: &Op, status: u16, body: &str) -> Outcome {
    told(op, status, Media::Json, body)
}

fn done(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Done { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn is_wrong(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Wrong { .. }), "{outcome:?}");
}

fn authorise() -> Op {
    Op::Authorise { account: "a".into(), campaign: "c".into(), amount: 1_500_000, key: "k".into() }
}

fn settle() -> Op {
    Op::Settle { account: "a".into(), campaign: "c".into(), hold: "h.c".into(), amount: 250_000 }
}

fn release() -> Op {
    Op::Release { account: "a".into(), campaign: "c".into(), hold: "h.c".into() }
}

fn spend(amount: i64) -> Op {
    Op::Spend { account: "a".into(), campaign: "c".into(), amount, key: "k".into() }
}

fn billing() -> Op {
    Op::Billing { account: "a".into(), campaign: "c".into(), bid: "b".into(), amount: 7 }
}

fn bid(person: Option<&str>) -> Op {
    Op::Bid { account: "a".into(), request: "r".into(), person: person.map(Into::into) }
}

fn call(path: &str) -> Op {
    Op::Call { method: "GET".into(), path: path.into() }
}

const HELD: &str = r#"{"approved":true,"campaign_id":"c","hold_id":"h.c","token":"t","amount":1.5,"currency":"USD","remaining":98.5}"#;

#[test]
fn an_approved_authorisation_is_done_with_its_hold() {
    let answer = done(json(&authorise(), 200, HELD));
    let want = Answer {
        hold: Some("h.c".into()),
        amount: Some(1_500_000),
        remaining: Some(98_500_000),
        ..Answer::default()
    };
    assert_eq!(answer, want);
}

#[test]
fn an_authorisation_of_something_else_is_wrong() {
    for (from, to) in [
        ("1.5", "1.6"),
        ("h.c", "h.d"),
        ("true", "false"),
        ("98.5", "1e3"),
        ("\"hold_id\":\"h.c\",", ""),
    ] {
        is_wrong(&json(&authorise(), 200, &HELD.replacen(from, to, 1)));
    }
    is_wrong(&json(&authorise(), 201, HELD));
    is_wrong(&json(&authorise(), 200, "{"));
}

#[test]
fn a_refused_authorisation_has_its_reason() {
    let body = r#"{"approved":false,"campaign_id":"c","amount":1.5,"reason":"budget_exceeded","message":"m"}"#;
    let want = Outcome::Refused { status: 403, reason: "budget_exceeded".into() };
    assert_eq!(json(&authorise(), 403, body), want);
    is_wrong(&json(&authorise(), 403, &body.replace("budget_exceeded", "because")));
    is_wrong(&json(&authorise(), 403, &body.replace("false", "true")));
    is_wrong(&json(&authorise(), 403, "{}"));
    is_wrong(&json(&settle(), 403, body));
}

#[test]
fn a_settle_is_done_with_its_row() {
    let body = r#"{"hold_id":"h.c","campaign_id":"c","state":"settled","amount":1.5,"replayed":true,"booked":{"seq":3,"kind":"settle","amount":0.25,"currency":"USD"}}"#;
    let want = Answer {
        hold: Some("h.c".into()),
        seq: Some(3),
        amount: Some(250_000),
        replayed: true,
        ..Answer::default()
    };
    assert_eq!(done(json(&settle(), 200, body)), want);
    for (from, to) in
        [("0.25", "0.250001"), ("settled", "released"), ("\"h.c\"", "\"g.c\""), ("\"seq\":3,", "")]
    {
        is_wrong(&json(&settle(), 200, &body.replacen(from, to, 1)));
    }
}

#[test]
fn a_release_is_done_where_the_hold_is_over() {
    for state in ["released", "expired"] {
        let body =
            format!(r#"{{"hold_id":"h.c","campaign_id":"c","state":"{state}","replayed":false}}"#);
        assert_eq!(done(json(&release(), 200, &body)).hold.as_deref(), Some("h.c"));
    }
    is_wrong(&json(&release(), 200, r#"{"hold_id":"h.c","state":"open","replayed":false}"#));
}

#[test]
fn a_spend_is_done_with_its_row_new_or_replayed() {
    let body = r#"{"status":"booked","replayed":false,"campaign_id":"c","seq":2,"kind":"spend","amount":7.25}"#;
    let answer = done(json(&spend(7_250_000), 201, body));
    assert_eq!((answer.seq, answer.amount, answer.replayed), (Some(2), Some(7_250_000), false));
    let again = done(json(&spend(7_250_000), 200, &body.replace("false", "true")));
    assert!(again.replayed);
    let back = done(json(&spend(-7_250_000), 201, &body.replace("7.25", "-7.25")));
    assert_eq!(back.amount, Some(-7_250_000));
    is_wrong(&json(&spend(-7_250_000), 201, body));
    is_wrong(&json(&spend(7_000_000), 201, body));
    is_wrong(&json(&spend(7_250_000), 202, body));
}

#[test]
fn orders_and_reads_are_done_where_they_say_what_was_asked_for() {
    let (account, campaign) = (Box::from("a"), Box::from("c"));
    let read = Op::Read { account, campaign };
    let body = r#"{"campaign_id":"c","status":"active","budget":10,"spent":1.25,"remaining":8,"ledger_seq":4}"#;
    let answer = done(json(&read, 200, body));
    assert_eq!(
        (answer.seq, answer.amount, answer.remaining),
        (Some(4), Some(1_250_000), Some(8_000_000))
    );
    is_wrong(&json(&read, 200, &body.replace("\"c\"", "\"d\"")));
    let cap = Op::SetCap { account: "a".into(), campaign: "c".into(), cap: 10_000_000 };
    assert_eq!(done(json(&cap, 200, body)).amount, Some(10_000_000));
    assert_eq!(done(json(&cap, 201, body)).amount, Some(10_000_000));
    is_wrong(&json(&cap, 200, &body.replace(":10,", ":11,")));
    let pause = Op::Pause { account: "a".into(), campaign: "c".into() };
    let resume = Op::Resume { account: "a".into(), campaign: "c".into() };
    is_wrong(&json(&pause, 200, body));
    done(json(&resume, 200, body));
    done(json(&pause, 200, &body.replace("active", "paused")));
}

#[test]
fn consents_are_done_where_they_say_what_was_asked_for() {
    let text = Box::<str>::from;
    let (account, person, consent) = (text("a"), text("p"), text("marketing"));
    let grant =
        Op::Grant { account: account.clone(), person: person.clone(), consent: consent.clone() };
    let revoke =
        Op::Revoke { account: account.clone(), person: person.clone(), consent: consent.clone() };
    let body =
        r#"{"status":"granted","message":"m","consent_type":"marketing","replayed":false,"seq":1}"#;
    assert_eq!(done(json(&grant, 200, body)).seq, Some(1));
    is_wrong(&json(&revoke, 200, body));
    done(json(&revoke, 200, &body.replace("granted", "revoked")));
    let may = Op::MayUse { account, person, consent };
    let body = r#"{"allowed":false,"consent_type":"marketing","reason":"no_consent"}"#;
    assert_eq!(done(json(&may, 200, body)).allowed, Some(false));
    is_wrong(&json(&may, 200, r#"{"consent_type":"marketing"}"#));
    is_wrong(&json(&may, 200, r#"{"allowed":true,"consent_type":"analytics"}"#));
}

#[test]
fn no_bid_is_a_decision_and_a_bid_of_something_else_is_wrong() {
    let want = Outcome::Refused { status: 204, reason: "no_bid".into() };
    assert_eq!(told(&bid(None), 204, Media::Other, ""), want);
    let url = |kind: &str| format!("http://x/openrtb2/{kind}?p=${{AUCTION_PRICE}}");
    let (win, billing, loss) = (url("win"), url("billing"), url("loss"));
    let body = format!(
        r#"{{"id":"r","seatbid":[{{"bid":[{{"id":"h","impid":"1","price":1.0005,"nurl":"{win}","burl":"{billing}","lurl":"{loss}","cid":"a:c"}}]}}]}}"#
    );
    let answer = done(json(&bid(None), 200, &body));
    assert_eq!(
        (answer.hold.as_deref(), answer.amount, answer.allowed),
        (Some("h.c"), Some(1_001), None)
    );
    assert_eq!(done(json(&bid(Some("p")), 200, &body)).allowed, Some(true));
    assert_eq!(done(json(&bid(Some("p")), 200, &body.replace("a:c", "b:c"))).allowed, None);
    is_wrong(&json(&bid(None), 200, &body.replace("\"r\"", "\"s\"")));
    is_wrong(&told(&bid(None), 400, Media::Other, ""));
}

#[test]
fn a_notice_is_done_or_to_be_told_again() {
    assert_eq!(done(told(&billing(), 200, Media::Other, "")).amount, Some(7));
    done(told(&call("/openrtb2/win?h=1"), 200, Media::Other, ""));
    for op in [billing(), call("/openrtb2/loss?h=1")] {
        let again = Outcome::Unknown { why: "to be told again".into() };
        assert_eq!(told(&op, 503, Media::Other, ""), again);
        is_wrong(&told(&op, 400, Media::Other, ""));
    }
    let busy = Outcome::Unavailable { status: 503, code: "busy".into() };
    assert_eq!(told(&bid(None), 503, Media::Other, ""), busy);
    let slow = Outcome::Unavailable { status: 408, code: "timeout".into() };
    assert_eq!(told(&bid(None), 408, Media::Other, ""), slow);
}

#[test]
fn what_the_balancer_says_is_done_or_not_or_unknown() {
    let page = "<html><body><h1>503</h1></body></html>";
    for op in [authorise(), settle(), spend(1), billing(), bid(None)] {
        let nobody = Outcome::Unavailable { status: 503, code: "no_node".into() };
        assert_eq!(told(&op, 503, Media::Html, page), nobody);
        let slow = Outcome::Unavailable { status: 408, code: "timeout".into() };
        assert_eq!(told(&op, 408, Media::Html, page), slow);
        for status in [502, 504] {
            let want = Outcome::Unknown { why: format!("balancer {status}").into() };
            assert_eq!(told(&op, status, Media::Html, page), want);
        }
    }
}

#[test]
fn what_has_no_documentation_is_wrong() {
    for op in [authorise(), settle(), spend(1), call("/api/admin/cluster")] {
        for status in [302, 400, 404, 418, 500, 501, 502, 503] {
            is_wrong(&told(&op, status, Media::Other, "oh"));
        }
        is_wrong(&told(&op, 500, Media::Html, "<html>"));
    }
    is_wrong(&told(&settle(), 204, Media::Other, ""));
    is_wrong(&told(&settle(), 200, Media::Other, "ok"));
}

#[test]
fn a_problem_is_read_by_its_code() {
    let problem = |code: &str, status: u16| {
        let body = format!(r#"{{"code":"{code}","status":{status},"detail":"d"}}"#);
        told(&settle(), status, Media::Problem, &body)
    };
    assert_eq!(
        problem("hold_over", 409),
        Outcome::Refused { status: 409, reason: "hold_over".into() }
    );
    let away = Outcome::Unavailable { status: 503, code: "not_reached".into() };
    assert_eq!(problem("not_reached", 503), away);
    assert_eq!(problem("unanswered", 503), Outcome::Unknown { why: "unanswered".into() });
    is_wrong(&problem("internal", 500));
}

#[test]
fn what_was_not_sent_is_not_done_and_what_was_not_answered_is_unknown() {
    let nobody = Outcome::Unavailable { status: 0, code: "no_connection".into() };
    assert_eq!(outcome(&authorise(), &Err(Lost::NotSent("refused".into()))), nobody);
    let unknown = Outcome::Unknown { why: "timeout".into() };
    assert_eq!(outcome(&authorise(), &Err(Lost::NoAnswer("timeout".into()))), unknown);
    is_wrong(&outcome(&authorise(), &Err(Lost::TooLong)));
}

#[test]
fn nonsense_has_to_be_refused_as_malformed() {
    for path in ["/openrtb2/bid?nonsense=cut", "/openrtb2/billing?nonsense=altered"] {
        let op = call(path);
        let outcome = told(&op, 400, Media::Other, "");
        assert!(matches!(outcome, Outcome::Refused { status: 400, .. }), "{outcome:?}");
        for status in [200, 204, 500] {
            is_wrong(&told(&op, status, Media::Other, ""));
        }
    }
    is_wrong(&told(&call("/openrtb2/win?h=b"), 400, Media::Other, ""));
}
