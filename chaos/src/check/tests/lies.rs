//! Lies that are put into a correct run, one at a time; each has to be found, as what it is.

use super::service::{ACCOUNT, CAP, audit_of, campaign};
use super::world::{Size, run};
use super::{Run, broken};
use crate::check::What;
use crate::history::{Answer, Death, LedgerRow, Line, Op, Outcome, Restarts};
use crate::verdict::Invariant::{self, *};

type Change = fn(&mut Run);
type Lie = (&'static str, Invariant, Change);

fn at() -> Box<str> {
    campaign(0)
}

fn account() -> Box<str> {
    ACCOUNT.into()
}

fn done(answer: Answer) -> Outcome {
    Outcome::Done { status: 200, answer }
}

fn allowed(yes: bool) -> Outcome {
    done(Answer { allowed: Some(yes), ..Answer::default() })
}

impl Run {
    /// One more call, ten seconds after all others, and answered a moment later.
    fn call(&mut self, op: Op, outcome: Outcome) {
        let Some(Line::End { at_us }) = self.lines.pop() else { panic!("a run has an end") };
        let (id, at_us) = (1_000_000 + self.lines.len() as u64, at_us + 10_000_000);
        self.lines.push(Line::Invoke { id, at_us, client: 99, via: "n1".into(), op });
        self.lines.push(Line::Complete { id, at_us: at_us + 1_000, outcome });
        self.lines.push(Line::End { at_us: at_us + 1_000 });
    }

    fn grant(&mut self, amount: i64, key: &str) {
        let hold = Some(format!("{key}.{}", at()).into());
        let op = Op::Authorise { account: account(), campaign: at(), amount, key: key.into() };
        self.call(op, done(Answer { hold, amount: Some(amount), ..Answer::default() }));
    }

    /// What was answered as done, with the place of its answer.
    fn done_ones(&self) -> Vec<(usize, Op, Answer)> {
        let mut ops = std::collections::HashMap::new();
        let mut all = Vec::new();
        for (place, line) in self.lines.iter().enumerate() {
            match line {
                Line::Invoke { id, op, .. } => {
                    ops.insert(*id, op.clone());
                }
                Line::Complete { id, outcome: Outcome::Done { answer, .. }, .. } => {
                    all.push((place, ops[id].clone(), answer.clone()));
                }
                _ => {}
            }
        }
        all
    }

    /// The first acknowledged settle or spend of the first budget with more than nothing.
    fn booked(&self, kind: &str) -> (Op, Answer) {
        let fits = |op: &Op| match op {
            Op::Settle { campaign, amount, .. } => {
                kind == "settle" && *campaign == at() && *amount > 0
            }
            Op::Spend { campaign, amount, .. } => {
                kind == "spend" && *campaign == at() && *amount > 0
            }
            _ => false,
        };
        let (_, op, answer) = self.done_ones().into_iter().find(|(_, op, _)| fits(op)).unwrap();
        (op, answer)
    }

    fn row_of(&mut self, kind: &str) -> &mut LedgerRow {
        let seq = self.booked(kind).1.seq.unwrap();
        self.ledger.iter_mut().find(|row| row.campaign == at() && row.seq == seq).unwrap()
    }

    fn drop_row(&mut self, kind: &str) {
        let row = self.row_of(kind).clone();
        self.ledger.retain(|other| *other != row);
    }

    fn append(&mut self, kind: &str, amount: i64, op: &str, hold: Option<&str>) {
        let last = self.ledger.iter().filter(|row| row.campaign == at()).max_by_key(|row| row.seq);
        let last = last.unwrap().clone();
        let seq = last.seq + 1;
        self.audit.push(audit_of(0, kind, amount, seq, op, hold));
        let (op, hold, kind) = (op.into(), hold.map(Into::into), kind.into());
        self.ledger.push(LedgerRow { seq, kind, amount, op, hold, ..last });
    }
}

const LIES: &[Lie] = &[
    ("an acknowledged settle is not in the ledger", Bg2, |run| run.drop_row("settle")),
    ("an acknowledged spend is not in the ledger", Bg2, |run| run.drop_row("spend")),
    ("a settle has another amount", Bg2, |run| run.row_of("settle").amount += 1),
    ("a spend has another amount", Bg2, |run| run.row_of("spend").amount -= 1),
    ("a spend is booked as a refund", Bg2, |run| run.row_of("spend").kind = "refund".into()),
    ("a settle was acknowledged with another number", Bg2, |run| {
        let (op, answer) = run.booked("settle");
        for (place, other, _) in run.done_ones() {
            if other == op
                && let Line::Complete { outcome: Outcome::Done { answer: told, .. }, .. } =
                    &mut run.lines[place]
            {
                told.seq = answer.seq.map(|seq| seq + 1);
            }
        }
    }),
    ("a refused settle is in the ledger", Bg2, |run| {
        let Op::Settle { hold, .. } = run.booked("settle").0 else { panic!("no settle") };
        let mut ids = Vec::new();
        for line in &mut run.lines {
            match line {
                Line::Invoke { id, op: Op::Settle { hold: of, .. }, .. } if *of == hold => {
                    ids.push(*id)
                }
                Line::Complete { id, outcome, .. } if ids.contains(id) => {
                    *outcome = Outcome::Refused { status: 409, reason: "hold_over".into() };
                    ids.retain(|other| other != id);
                }
                _ => {}
            }
        }
    }),
    ("a spend that nobody asked for", Bg2, |run| run.append("spend", 77_777, "op-x", None)),
    ("a settle that nobody asked for", Bg2, |run| {
        run.grant(1_000_000, "kx");
        run.append("settle", 1_000_000, "op-kx", Some(&format!("kx.{}", at())));
    }),
    ("a spend that was refused is in the ledger", Bg2, |run| {
        let (amount, key) = (88_888, "kr".into());
        let outcome = Outcome::Unavailable { status: 503, code: "store_unavailable".into() };
        run.call(Op::Spend { account: account(), campaign: at(), amount, key }, outcome);
        run.append("spend", 88_888, "op-kr", None);
    }),
    ("a spend was booked before it was asked for", Bg2, |run| {
        let (amount, key) = (66_666, "kb".into());
        let outcome = Outcome::Unknown { why: "cut".into() };
        run.call(Op::Spend { account: account(), campaign: at(), amount, key }, outcome);
        run.append("spend", 66_666, "op-kb", None);
    }),
    ("a row is there twice", Bg3, |run| {
        let row = run.row_of("settle").clone();
        run.append("settle", row.amount, "op-other", row.hold.as_deref());
    }),
    ("an operation is there twice", Bg3, |run| {
        let row = run.row_of("spend").clone();
        run.append("spend", row.amount, &row.op, None);
    }),
    ("a number is there twice", Bg3, |run| {
        let last = run.ledger.last().unwrap().clone();
        run.ledger.push(LedgerRow { op: "op-twice".into(), hold: None, ..last });
    }),
    ("a gap", Bg3, |run| run.ledger.last_mut().unwrap().seq += 1),
    ("the order of two that came one after the other", Bg3, |run| {
        let rows: Vec<i64> = run
            .done_ones()
            .iter()
            .filter_map(|(_, op, answer)| match op {
                Op::Spend { campaign, .. } if *campaign == at() && !answer.replayed => answer.seq,
                _ => None,
            })
            .collect();
        let (a, b) = (rows[0], rows[rows.len() - 1]);
        let swap = |seq: &mut i64| match *seq {
            seq_ if seq_ == a => *seq = b,
            seq_ if seq_ == b => *seq = a,
            _ => {}
        };
        run.ledger.iter_mut().filter(|row| row.campaign == at()).for_each(|row| swap(&mut row.seq));
        for (place, op, _) in run.done_ones() {
            let (Op::Spend { campaign, .. } | Op::Settle { campaign, .. }) = op else { continue };
            if campaign == at()
                && let Line::Complete { outcome: Outcome::Done { answer, .. }, .. } =
                    &mut run.lines[place]
                && let Some(seq) = &mut answer.seq
            {
                swap(seq);
            }
        }
    }),
    ("a repeated spend is answered with another row", Bg3, |run| {
        let (op, answer) = run.booked("spend");
        run.call(op, done(Answer { seq: answer.seq.map(|seq| seq + 1), replayed: true, ..answer }));
    }),
    ("a repeated settle is answered with another amount", Bg3, |run| {
        let (op, answer) = run.booked("settle");
        run.call(op, done(Answer { amount: answer.amount.map(|a| a + 1), ..answer }));
    }),
    ("a key is given a second hold", Bg3, |run| {
        run.grant(1_000_000, "kx");
        let op = Op::Authorise {
            account: account(),
            campaign: at(),
            amount: 1_000_000,
            key: "kx".into(),
        };
        run.call(op, done(Answer { hold: Some("other".into()), ..Answer::default() }));
    }),
    ("two keys are given one hold", Bg3, |run| {
        for key in ["ky", "kz"] {
            let (amount, key) = (1_000_000, key.into());
            let op = Op::Authorise { account: account(), campaign: at(), amount, key };
            run.call(op, done(Answer { hold: Some("same".into()), ..Answer::default() }));
        }
    }),
    ("the cap is overspent by one grant", Bg1, |run| {
        let op = Op::SetCap { account: account(), campaign: at(), cap: 5_000_000_000 };
        run.call(op, done(Answer::default()));
        let key = "kf".into();
        let op = Op::Spend { account: account(), campaign: at(), amount: 4_999_999_999, key };
        run.call(op, done(Answer::default()));
        run.grant(CAP, "kx");
    }),
    ("a cut of the cap is ignored", Bg1, |run| {
        let op = Op::SetCap { account: account(), campaign: at(), cap: 1_000_000 };
        run.call(op, done(Answer::default()));
        run.grant(1_000_001, "kx");
    }),
    ("the window is overspent by two holds", Bg1, |run| {
        for _ in 0..5 {
            let person = "p9".into();
            run.call(
                Op::MayUse { account: account(), person, consent: "x".into() },
                allowed(false),
            );
        }
        run.grant(600_000_000, "kx");
        run.grant(350_000_001, "ky");
    }),
    ("the window is overspent after a settle", Bg1, |run| {
        run.grant(600_000_000, "kx");
        let hold = format!("kx.{}", at()).into();
        let op = Op::Settle { account: account(), campaign: at(), hold, amount: 600_000_000 };
        run.call(op, done(Answer::default()));
        run.grant(350_000_001, "ky");
    }),
    ("the ledger's settles exceed the cap", Bg1, |run| run.row_of("settle").amount = 50 * CAP),
    ("the ledger's settles exceed the window", Bg1, |run| {
        run.ledger.retain(|row| row.amount >= 0);
        let last = run.ledger.last().unwrap().at_us;
        for row in run.ledger.iter_mut().filter(|row| &*row.kind == "settle") {
            (row.at_us, row.amount) = (last, 20_000_000);
        }
    }),
    ("a grant after a pause", Bg1, |run| {
        run.call(Op::Pause { account: account(), campaign: at() }, done(Answer::default()));
        run.grant(1, "kx");
    }),
    ("money that was held is gone", Bg4, |run| run.end.budgets[0].remaining -= 1),
    ("the sum is another", Bg4, |run| {
        run.end.budgets[0].spent += 1;
        run.end.budgets[0].remaining -= 1;
    }),
    ("refunds are others", Bg4, |run| run.end.budgets[0].refunded += 1),
    ("the count of rows is another", Bg4, |run| run.end.budgets[0].ledger_seq += 1),
    ("a budget that nobody set", Bg4, |run| {
        run.end.budgets[0].budget += 3;
        run.end.budgets[0].remaining += 3;
    }),
    ("an epoch goes back", Ow1, |run| {
        let end = run.lines.pop().unwrap();
        for epoch in [5, 4] {
            let (seen_by, owner) = ("n8".into(), "n1".into());
            run.lines.push(Line::Owner { at_us: 10, seen_by, shard: 9, owner, epoch });
        }
        run.lines.push(end);
    }),
    ("two owners in one epoch", Ow1, |run| {
        let end = run.lines.pop().unwrap();
        for name in ["n1", "n2"] {
            run.lines.push(Line::Owner {
                at_us: 5,
                seen_by: name.into(),
                shard: 9,
                owner: name.into(),
                epoch: 4,
            });
        }
        run.lines.push(end);
    }),
    ("a record is missing", Au1, |run| {
        let place = run.audit.iter().position(|row| row.event.starts_with("budget.")).unwrap();
        run.audit.remove(place);
    }),
    ("a record is there twice", Au1, |run| {
        let row = run.audit.iter().find(|row| row.event.starts_with("budget.")).unwrap().clone();
        run.audit.push(row);
    }),
    ("a record has another amount", Au1, |run| {
        let row = run.audit.iter_mut().find(|row| row.event.starts_with("budget.")).unwrap();
        row.data["amount"] = "123456.5".into();
    }),
    ("a record of nothing", Au1, |run| {
        run.audit.push(audit_of(0, "spend", 5, 999_999, "op-none", None));
    }),
    ("an act without a record", Au1, |run| {
        run.call(Op::Pause { account: account(), campaign: at() }, done(Answer::default()));
    }),
    ("a change of a budget without a record", Au1, |run| {
        let op = Op::SetCap { account: account(), campaign: at(), cap: CAP };
        run.call(op, done(Answer::default()));
    }),
    ("a log that does not verify", Au1, |run| run.end.audits[0].verified = false),
    ("a finding in a log", Au1, |run| run.end.audits[0].findings.push("a gap".to_owned())),
    ("a revocation is ignored", Co1, |run| {
        let person: Box<str> = "p1".into();
        let op =
            Op::Revoke { account: account(), person: person.clone(), consent: "marketing".into() };
        run.call(op, done(Answer::default()));
        run.call(
            Op::MayUse { account: account(), person, consent: "marketing".into() },
            allowed(true),
        );
    }),
    ("a bid uses what was revoked", Co1, |run| {
        let person: Box<str> = "p7".into();
        let op =
            Op::Revoke { account: account(), person: person.clone(), consent: "targeting".into() };
        run.call(op, done(Answer::default()));
        run.call(
            Op::Bid { account: account(), request: "r".into(), person: Some(person) },
            allowed(true),
        );
    }),
    ("a process died", Sv1, |run| {
        run.end.died.push(Death { name: "node-2".to_owned(), at_us: Some(7) })
    }),
    ("an actor restarted by itself", Sv1, |run| {
        let (node, path) = ("n1".into(), "/shield/budget/camp0".into());
        run.end.restarts.push(Restarts { node, path, restarts: 1, struck: false });
    }),
    ("the service counts a broken invariant", Bg4, |run| {
        let metric = "shield_invariant_violations_total{invariant=\"BG-4\"}".to_owned();
        run.end.violations_counted.push((metric, 1.0));
    }),
    ("an answer that nothing allows", Api, |run| {
        let outcome = Outcome::Wrong { status: 500, what: "internal".into() };
        run.call(Op::Read { account: account(), campaign: at() }, outcome);
    }),
    ("a read that knows nothing of what was booked", Linear, |run| {
        let answer = Answer { remaining: Some(50 * CAP), ..Answer::default() };
        run.call(Op::Read { account: account(), campaign: at() }, done(answer));
    }),
    ("a read that misses money", Linear, |run| {
        let answer = Answer { remaining: Some(-50 * CAP), ..Answer::default() };
        run.call(Op::Read { account: account(), campaign: at() }, done(answer));
    }),
    ("a consent that comes and goes by itself", Linear, |run| {
        for yes in [true, false, true] {
            let person = "p8".into();
            run.call(Op::MayUse { account: account(), person, consent: "x".into() }, allowed(yes));
        }
    }),
];

/// Where calls of the run were never answered, these may have an excuse: a resumption, another cap, a grant, or a
/// refund may still have had its effect. Without such calls there is none.
const EXCUSABLE: &[&str] = &[
    "the cap is overspent by one grant",
    "a cut of the cap is ignored",
    "a grant after a pause",
    "a revocation is ignored",
    "the window is overspent by two holds",
    "the window is overspent after a settle",
];

fn size(trouble: u32) -> Size {
    Size { clients: 6, operations: 4_000, budgets: 2, trouble, plenty: false }
}

#[test]
fn every_lie_is_found_as_what_it_is() {
    for (seed, trouble) in [(1, 60), (2, 0), (3, 60), (4, 0)] {
        let right = run(seed, size(trouble));
        assert_eq!(right.check().violations, []);
        for (name, invariant, lie) in LIES {
            if trouble > 0 && EXCUSABLE.contains(name) {
                continue;
            }
            let mut wrong = right.clone();
            lie(&mut wrong);
            let checked = wrong.check();
            assert!(broken(&checked).contains(invariant), "seed {seed}, {name}: {checked:?}");
        }
    }
}

/// A settle that was answered so is in the ledger.
fn booked_anyway(run: &mut Run, outcome: Outcome) {
    run.grant(2, "kx");
    let hold = format!("kx.{}", at());
    let (account, of) = (account(), hold.as_str().into());
    run.call(Op::Settle { account, campaign: at(), hold: of, amount: 2 }, outcome);
    run.append("settle", 2, "op-kx", Some(&hold));
    run.end.budgets[0].spent += 2;
    run.end.budgets[0].remaining -= 2;
    run.end.budgets[0].ledger_seq += 1;
}

/// What looks like a lie and is none.
#[test]
fn what_is_allowed_is_not_called_a_lie() {
    let allowed_ones: &[(&str, Change)] = &[
        ("a struck actor restarted", |run| {
            let (node, path) = ("n1".into(), "/shield/outbox".into());
            run.end.restarts.push(Restarts { node, path, restarts: 3, struck: true });
        }),
        ("facts go beyond the cap", |run| {
            let (amount, key) = (90 * CAP, "kf".into());
            let seq = run.ledger.iter().filter(|row| row.campaign == at()).count() as i64 + 1;
            run.append("spend", amount, "op-kf", None);
            let at_us = run.ledger.last().unwrap().at_us + 3_600_000_000;
            run.ledger.last_mut().unwrap().at_us = at_us;
            let answer = Answer { seq: Some(seq), amount: Some(amount), ..Answer::default() };
            run.call(Op::Spend { account: account(), campaign: at(), amount, key }, done(answer));
            run.end.budgets[0].spent += amount;
            run.end.budgets[0].remaining -= amount;
            run.end.budgets[0].ledger_seq += 1;
        }),
        ("an unanswered settle was booked", |run| {
            booked_anyway(run, Outcome::Unknown { why: "cut".into() });
        }),
        ("a settle was booked whose like was being worked on", |run| {
            booked_anyway(run, Outcome::Refused { status: 409, reason: "in_progress".into() });
        }),
        ("the same, as earlier histories have it", |run| {
            booked_anyway(run, Outcome::Unavailable { status: 409, code: "in_progress".into() });
        }),
        ("a grant may have come after the resumption that nobody answered", |run| {
            let unknown = || Outcome::Unknown { why: "cut".into() };
            run.call(Op::Pause { account: account(), campaign: at() }, unknown());
            run.grant(1, "kx");
        }),
    ];
    let mut right = run(5, size(60));
    // A paused budget would make the grants above wrong.
    right.call(
        Op::Resume { account: account(), campaign: at() },
        Outcome::Unknown { why: "cut".into() },
    );
    for (name, change) in allowed_ones {
        let mut run = right.clone();
        change(&mut run);
        assert_eq!(run.check().violations, [], "{name}");
    }
}

#[test]
fn a_kind_is_named_as_in_the_file() {
    let op = Op::MayUse { account: account(), person: "p".into(), consent: "c".into() };
    let said = serde_json::to_value(&op).unwrap();
    assert_eq!(said["op"], What::MayUse { flag: 0 }.kind());
}
