//! A small service that is right: it decides one thing after the other, in virtual time.

use std::collections::{BTreeMap, VecDeque};

use crate::history::{AtEnd, AuditAtEnd, AuditRow, BudgetAtEnd, LedgerRow};

pub const ACCOUNT: &str = "shop";
pub const BEGAN_WALL_US: i64 = 1_790_000_000_000_000;
pub const HOLD_US: u64 = 20_000_000;
pub const WINDOW_US: u64 = 30_000_000;
pub const WINDOW_CAP: i64 = 900_000_000;
pub const CAP: i64 = 2_000_000_000;
/// How long a node answers for a person from memory.
const LEASE_US: u64 = 1_900_000;

#[derive(Clone, Debug)]
struct Hold {
    amount: i64,
    until: u64,
    here: bool,
}

#[derive(Debug)]
pub struct Budget {
    pub cap: i64,
    pub paused: bool,
    booked: i64,
    holds: BTreeMap<String, Hold>,
    rows: Vec<LedgerRow>,
}

/// What it answers, beside that it was refused.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub refused: Option<&'static str>,
    pub hold: Option<String>,
    pub seq: Option<i64>,
    pub amount: Option<i64>,
    pub remaining: Option<i64>,
    pub replayed: bool,
    pub allowed: Option<bool>,
    /// The answer leaves no sooner.
    pub not_before: u64,
}

fn refused(why: &'static str) -> Said {
    Said { refused: Some(why), ..Said::default() }
}

#[derive(Debug)]
pub struct Service {
    pub budgets: Vec<Budget>,
    window: VecDeque<(u64, i64)>,
    window_sum: i64,
    window_cap: i64,
    consents: BTreeMap<u32, bool>,
    /// By node and person: what it remembers, and until when.
    memory: BTreeMap<(u32, u32), (bool, u64)>,
    audit: Vec<AuditRow>,
}

pub fn campaign(budget: usize) -> Box<str> {
    format!("camp{budget}").into()
}

impl Service {
    pub fn new(budgets: usize, more: i64) -> Service {
        let budget = || Budget {
            cap: CAP * more,
            booked: 0,
            paused: false,
            holds: BTreeMap::new(),
            rows: Vec::new(),
        };
        let mut service = Service {
            budgets: std::iter::repeat_with(budget).take(budgets).collect(),
            window: VecDeque::new(),
            window_sum: 0,
            window_cap: WINDOW_CAP * more,
            consents: BTreeMap::new(),
            memory: BTreeMap::new(),
            audit: Vec::new(),
        };
        (0..budgets).for_each(|_| service.act("allocation.set", "/api/v1/allocate".to_owned()));
        service
    }

    fn expire(&mut self, now: u64, at: usize) {
        self.budgets[at].holds.retain(|_, hold| hold.until > now);
        while let Some((_, amount)) = self.window.pop_front_if(|(at, _)| *at + WINDOW_US <= now) {
            self.window_sum -= amount;
        }
    }

    pub fn authorise(&mut self, now: u64, at: usize, amount: i64, key: &str, here: bool) -> Said {
        self.expire(now, at);
        let id = format!("{key}.{}", campaign(at));
        let held = |b: &Budget| {
            let open = b.holds.values().filter(|hold| hold.until > now);
            open.map(|hold| hold.amount).sum::<i64>()
        };
        if self.budgets[at].holds.contains_key(&id) {
            return Said {
                hold: Some(id),
                amount: Some(amount),
                replayed: true,
                ..Said::default()
            };
        }
        let all: i64 = self.budgets.iter().map(held).sum();
        let budget = &mut self.budgets[at];
        if budget.paused {
            return refused("paused");
        }
        if budget.booked + held(budget) + amount > budget.cap {
            return refused("budget_exceeded");
        }
        if self.window_sum + all + amount > self.window_cap {
            return refused("window_exceeded");
        }
        budget.holds.insert(id.clone(), Hold { amount, until: now + HOLD_US, here });
        let remaining = Some(budget.cap - budget.booked - held(budget));
        Said { hold: Some(id), amount: Some(amount), remaining, ..Said::default() }
    }

    pub fn settle(&mut self, now: u64, at: usize, hold: &str, amount: i64) -> Said {
        self.expire(now, at);
        let rows = &self.budgets[at].rows;
        if let Some(row) = rows.iter().find(|row| row.hold.as_deref() == Some(hold)) {
            if row.amount != amount {
                return refused("idempotency_mismatch");
            }
            return Said {
                seq: Some(row.seq),
                amount: Some(amount),
                replayed: true,
                ..Said::default()
            };
        }
        // One that has run out is proven by its token, and booked late.
        let kind = if self.budgets[at].holds.remove(hold).is_some() { "settle" } else { "late" };
        self.book(now, at, kind, amount, hold, Some(hold))
    }

    pub fn release(&mut self, now: u64, at: usize, hold: &str) -> Said {
        self.expire(now, at);
        if self.budgets[at].rows.iter().any(|row| row.hold.as_deref() == Some(hold)) {
            return refused("hold_over");
        }
        self.budgets[at].holds.remove(hold);
        Said::default()
    }

    pub fn spend(&mut self, now: u64, at: usize, amount: i64, key: &str) -> Said {
        self.expire(now, at);
        let op = format!("op-{key}");
        if let Some(row) = self.budgets[at].rows.iter().find(|row| *row.op == *op) {
            return Said {
                seq: Some(row.seq),
                amount: Some(amount),
                replayed: true,
                ..Said::default()
            };
        }
        self.book(now, at, if amount < 0 { "refund" } else { "spend" }, amount, key, None)
    }

    fn book(
        &mut self,
        now: u64,
        at: usize,
        kind: &str,
        amount: i64,
        op: &str,
        hold: Option<&str>,
    ) -> Said {
        let op: Box<str> = format!("op-{op}").into();
        let seq = self.budgets[at].rows.len() as i64 + 1;
        let hold: Option<Box<str>> = hold.map(Into::into);
        self.audit.push(audit_of(at, kind, amount, seq, &op, hold.as_deref()));
        self.budgets[at].rows.push(LedgerRow {
            account: ACCOUNT.into(),
            campaign: campaign(at),
            seq,
            kind: kind.into(),
            amount,
            currency: "EUR".into(),
            at_us: BEGAN_WALL_US + now as i64,
            op,
            hold,
        });
        if amount >= 0 {
            self.window.push_back((now, amount));
            self.window_sum += amount;
        }
        self.budgets[at].booked += amount;
        let mut left = (-amount).max(0);
        for (_, entry) in &mut self.window {
            let cancelled = left.min(*entry);
            *entry -= cancelled;
            left -= cancelled;
            self.window_sum -= cancelled;
            if left == 0 {
                break;
            }
        }
        Said { seq: Some(seq), amount: Some(amount), ..Said::default() }
    }

    pub fn read(&mut self, now: u64, at: usize) -> Said {
        self.expire(now, at);
        let budget = &self.budgets[at];
        let held: i64 = budget.holds.values().filter(|h| h.here).map(|h| h.amount).sum();
        Said {
            remaining: Some(budget.cap - budget.booked - held),
            seq: Some(budget.rows.len() as i64),
            amount: Some(budget.booked),
            ..Said::default()
        }
    }

    pub fn set_cap(&mut self, at: usize, cap: i64) -> Said {
        (self.budgets[at].cap, self.budgets[at].paused) = (cap, false);
        self.act("allocation.set", "/api/v1/allocate".to_owned());
        Said::default()
    }

    pub fn pause(&mut self, at: usize, paused: bool) -> Said {
        self.budgets[at].paused = paused;
        let act = if paused { "pause" } else { "resume" };
        self.act(
            &format!("allocation.{act}d"),
            format!("/api/v1/allocations/{}/{act}", campaign(at)),
        );
        Said::default()
    }

    fn act(&mut self, event: &str, subject: String) {
        self.audit.push(AuditRow {
            account: ACCOUNT.into(),
            at: String::new(),
            event: event.into(),
            subject: subject.into(),
            outcome: "ok".into(),
            data: serde_json::json!({ "status": 200 }),
        });
    }

    pub fn consent(&mut self, now: u64, person: u32, granted: bool) -> Said {
        if self.consents.insert(person, granted).unwrap_or(false) != granted {
            let event = if granted { "consent.granted" } else { "consent.revoked" };
            self.act(event, "marketing".to_owned());
        }
        // Memories of nodes are waited for.
        let not_before = if granted { 0 } else { now + LEASE_US };
        Said { not_before, ..Said::default() }
    }

    pub fn may_use(&mut self, now: u64, person: u32, node: u32) -> Said {
        let truth = self.consents.get(&person).copied().unwrap_or(false);
        let memory = self.memory.entry((node, person)).or_insert((truth, now + LEASE_US));
        if memory.1 <= now {
            *memory = (truth, now + LEASE_US);
        }
        Said { allowed: Some(memory.0), ..Said::default() }
    }

    pub fn end(self) -> (Vec<LedgerRow>, Vec<AuditRow>, AtEnd) {
        let mut end = AtEnd::default();
        end.audits.push(AuditAtEnd {
            account: ACCOUNT.into(),
            verified: true,
            findings: Vec::new(),
        });
        for (at, budget) in self.budgets.iter().enumerate() {
            let refunded = budget.rows.iter().map(|row| (-row.amount).max(0)).sum();
            end.budgets.push(BudgetAtEnd {
                account: ACCOUNT.into(),
                campaign: campaign(at),
                budget: budget.cap,
                spent: budget.booked,
                refunded,
                held: 0,
                escrow: 0,
                remaining: budget.cap - budget.booked,
                ledger_seq: budget.rows.len() as i64,
            });
        }
        (self.budgets.into_iter().flat_map(|budget| budget.rows).collect(), self.audit, end)
    }
}

pub fn audit_of(
    at: usize,
    kind: &str,
    amount: i64,
    seq: i64,
    op: &str,
    hold: Option<&str>,
) -> AuditRow {
    let event = match kind {
        "settle" => "budget.settled",
        "late" => "budget.settled_late",
        "spend" => "budget.spent",
        _ => "budget.refunded",
    };
    let mut data = serde_json::json!({
        "amount": crate::check::booked::money(amount), "currency": "EUR", "op": op, "seq": seq,
    });
    if let Some(hold) = hold {
        data["hold"] = hold.into();
    }
    AuditRow {
        account: ACCOUNT.into(),
        at: String::new(),
        event: event.into(),
        subject: campaign(at),
        outcome: "ok".into(),
        data,
    }
}
