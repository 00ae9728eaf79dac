//! Small histories, written by hand: one call after the other, each begun a second after the last.

use super::Run;
use super::service::{BEGAN_WALL_US, audit_of, campaign};
use crate::history::{
    Answer, AtEnd, AuditAtEnd, AuditRow, Begin, Budget, BudgetAtEnd, LedgerRow, Line, Op, Outcome,
};
use crate::verdict::{Checked, Invariant};

pub const ACCOUNT: &str = "shop";
pub const CAP: i64 = 1_000_000_000;
const SECOND: u64 = 1_000_000;

pub struct Small {
    pub run: Run,
    now: u64,
}

pub fn done(answer: Answer) -> Outcome {
    Outcome::Done { status: 200, answer }
}

pub fn ok() -> Outcome {
    done(Answer::default())
}

pub fn refused(reason: &str) -> Outcome {
    Outcome::Refused { status: 409, reason: reason.into() }
}

pub fn unknown() -> Outcome {
    Outcome::Unknown { why: "cut".into() }
}

impl Small {
    /// Two budgets of one account; holds live for twenty seconds.
    pub fn new() -> Small {
        let budgets = (0..2).map(|at| Budget {
            account: ACCOUNT.into(),
            campaign: campaign(at),
            currency: "EUR".into(),
            cap: CAP,
        });
        let begin = Begin {
            version: 1,
            title: "a few calls".to_owned(),
            seed: 1,
            started_at: "2026-09-21T14:13:20Z".to_owned(),
            window_cap: 100 * CAP,
            window_us: 60 * SECOND,
            hold_us: 20 * SECOND,
            budgets: budgets.collect(),
        };
        let mut small = Small {
            run: Run {
                lines: vec![Line::Begin(begin)],
                ledger: Vec::new(),
                audit: Vec::new(),
                end: AtEnd::default(),
            },
            // What happened when the nodes started is long ago.
            now: 60 * SECOND,
        };
        let (seen_by, owner) = ("n1".into(), "n1".into());
        small.run.lines.push(Line::Owner { at_us: 0, seen_by, shard: 7, owner, epoch: 1 });
        for _ in 0..2 {
            small.audited("allocation.set", "/api/v1/allocate");
        }
        small
    }

    /// A node says who owns a shard.
    pub fn sees_owner(&mut self, epoch: i64) -> &mut Small {
        let owner = format!("n{epoch}").into();
        let line = Line::Owner { at_us: self.now, seen_by: "n1".into(), shard: 7, owner, epoch };
        self.run.lines.push(line);
        self
    }

    pub fn waits(&mut self, seconds: u64) -> &mut Small {
        self.now += seconds * SECOND;
        self
    }

    pub fn call(&mut self, op: Op, outcome: Outcome) -> &mut Small {
        let id = self.run.lines.len() as u64;
        self.now += SECOND;
        let at_us = self.now;
        self.run.lines.push(Line::Invoke { id, at_us, client: 1, via: "n1".into(), op });
        self.run.lines.push(Line::Complete { id, at_us: at_us + 1_000, outcome });
        self
    }

    pub fn spend(&mut self, amount: i64, outcome: Outcome) -> &mut Small {
        let key = format!("k{}", self.now).into();
        self.call(
            Op::Spend { account: ACCOUNT.into(), campaign: campaign(0), amount, key },
            outcome,
        )
    }

    /// A hold of this name (`h.camp0`) is given.
    pub fn grant(&mut self, name: &str, amount: i64) -> &mut Small {
        let hold = Some(format!("{name}.{}", campaign(0)).into());
        let (account, key) = (ACCOUNT.into(), name.into());
        let op = Op::Authorise { account, campaign: campaign(0), amount, key };
        self.call(op, done(Answer { hold, amount: Some(amount), ..Answer::default() }))
    }

    pub fn settle(&mut self, name: &str, amount: i64, outcome: Outcome) -> &mut Small {
        let hold = format!("{name}.{}", campaign(0)).into();
        self.call(
            Op::Settle { account: ACCOUNT.into(), campaign: campaign(0), hold, amount },
            outcome,
        )
    }

    /// A bid that is made, with a hold of its name.
    pub fn bid(&mut self, name: &str, most: i64) -> &mut Small {
        let answer = Answer {
            hold: Some(format!("{name}.{}", campaign(0)).into()),
            amount: Some(most),
            campaign: Some(campaign(0)),
            ..Answer::default()
        };
        let (account, request) = (ACCOUNT.into(), format!("r-{name}").into());
        self.call(Op::Bid { account, request, person: None }, done(answer))
    }

    pub fn wins(&mut self, name: &str) -> &mut Small {
        let path = format!("/openrtb2/win?h={name}").into();
        self.call(Op::Call { method: "GET".into(), path }, ok())
    }

    pub fn bills(&mut self, name: &str, amount: i64, outcome: Outcome) -> &mut Small {
        let (account, bid) = (ACCOUNT.into(), name.into());
        self.call(Op::Billing { account, campaign: campaign(0), bid, amount }, outcome)
    }

    pub fn audited(&mut self, event: &str, subject: &str) -> &mut Small {
        self.run.audit.push(AuditRow {
            account: ACCOUNT.into(),
            at: String::new(),
            event: event.into(),
            subject: subject.into(),
            outcome: "ok".into(),
            data: serde_json::json!({}),
        });
        self
    }

    /// A row of the first budget, and its record.
    pub fn row(&mut self, kind: &str, amount: i64, hold: Option<&str>) -> &mut Small {
        let seq = self.run.ledger.len() as i64 + 1;
        let op: Box<str> = format!("op-{seq}").into();
        let hold = hold.map(|name| format!("{name}.{}", campaign(0)));
        self.run.audit.push(audit_of(0, kind, amount, seq, &op, hold.as_deref()));
        self.run.ledger.push(LedgerRow {
            account: ACCOUNT.into(),
            campaign: campaign(0),
            seq,
            kind: kind.into(),
            amount,
            currency: "EUR".into(),
            at_us: BEGAN_WALL_US + self.now as i64,
            op,
            hold: hold.map(Into::into),
        });
        self
    }

    /// With its end, which is long after, and with sums that agree with its ledger.
    pub fn check(&mut self) -> Checked {
        self.waits(60);
        let path = "/openrtb2/loss?h=none".into();
        self.call(Op::Call { method: "GET".into(), path }, ok());
        let (mut run, at_us) = (self.run.clone(), self.now + SECOND);
        run.lines.push(Line::End { at_us });
        for at in 0..2 {
            let rows = || run.ledger.iter().filter(|row| row.campaign == campaign(at));
            let spent: i64 = rows().map(|row| row.amount).sum();
            run.end.budgets.push(BudgetAtEnd {
                account: ACCOUNT.into(),
                campaign: campaign(at),
                budget: CAP,
                spent,
                refunded: rows().map(|row| (-row.amount).max(0)).sum(),
                held: 0,
                escrow: 0,
                remaining: CAP - spent,
                ledger_seq: rows().count() as i64,
            });
        }
        let (account, findings) = (ACCOUNT.into(), Vec::new());
        run.end.audits.push(AuditAtEnd { account, verified: true, findings });
        run.check()
    }

    pub fn broken(&mut self) -> Vec<Invariant> {
        self.check().violations.iter().map(|it| it.invariant).collect()
    }
}
