//! A whole run in memory: names by number, one compact entry for each operation.

use std::collections::HashMap;

use super::names::{Names, Numbered};
use super::operation::{End, NEVER, Operation, Told, What};
use super::record::{Audit, Row, RowKind, Told as Record, micros};
use crate::history::{
    Answer, AtEnd, AtUs, AuditRow, Begin, IN_PROGRESS, LedgerRow, Line, Micros, Op, Outcome, Phase,
};

/// The version of the format that is understood.
const VERSION: u32 = 1;
/// Larger amounts are none that the platform takes in (`docs/ARCHITECTURE.md`, limits).
const AMOUNT_MAX: Micros = 600_000_000_000_000_000;
/// Longer runs are none: 285 years.
const AT_MAX: AtUs = 1 << 53;
/// The consent without which a bid may not use what is known of a person.
pub const BID_CONSENT: &str = "targeting";

#[derive(Debug)]
pub struct History {
    pub begin: Begin,
    pub names: Names,
    /// Account and campaign of each budget.
    pub budgets: Numbered<(u32, u32)>,
    /// Account, person and consent of each flag.
    pub flags: Numbered<(u32, u32, u32)>,
    pub operations: Vec<Operation>,
    pub owners: Vec<Owner>,
    pub faults: Vec<Fault>,
    /// The history has its last line.
    pub whole: bool,
    pub ledger: Option<Vec<Row>>,
    pub audit: Option<Audit>,
    pub end: Option<AtEnd>,
}

/// What one node said of a shard.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub at_us: AtUs,
    pub seen_by: u32,
    pub shard: u16,
    /// Nothing: nobody owns it.
    pub owner: Option<u32>,
    pub epoch: i64,
}

#[derive(Clone, Debug)]
pub struct Fault {
    pub at_us: AtUs,
    pub fault: u32,
    pub kind: Box<str>,
    pub target: Box<str>,
    pub phase: Phase,
}

impl History {
    pub fn new(begin: Begin) -> Result<History, String> {
        if begin.version != VERSION {
            return Err(format!(
                "version {} of the format is not known; {VERSION} is",
                begin.version
            ));
        }
        bounded("window_cap", begin.window_cap)?;
        bounded_time("window_us", begin.window_us)?;
        bounded_time("hold_us", begin.hold_us)?;
        let mut history = History {
            begin,
            names: Names::default(),
            budgets: Numbered::default(),
            flags: Numbered::default(),
            operations: Vec::new(),
            owners: Vec::new(),
            faults: Vec::new(),
            whole: false,
            ledger: None,
            audit: None,
            end: None,
        };
        for budget in std::mem::take(&mut history.begin.budgets) {
            bounded("cap", budget.cap)?;
            let known = history.budgets.len() as u32;
            if history.budget(&budget.account, &budget.campaign) != known {
                return Err(format!("{} of {} is there twice", budget.campaign, budget.account));
            }
            history.begin.budgets.push(budget);
        }
        Ok(history)
    }

    /// The budget of these names; the first of them are those of the beginning, in their order.
    pub fn budget(&mut self, account: &str, campaign: &str) -> u32 {
        let key = (self.names.id(account), self.names.id(campaign));
        self.budgets.id(key)
    }

    pub fn find_budget(&self, account: &str, campaign: &str) -> Option<u32> {
        let key = (self.names.find(account)?, self.names.find(campaign)?);
        self.budgets.find(&key)
    }

    /// For people: campaign and account.
    pub fn budget_name(&self, budget: u32) -> String {
        let (account, campaign) = self.budgets.get(budget).copied().unwrap_or_default();
        format!("{} of {}", self.names.text(campaign), self.names.text(account))
    }

    pub fn account_of(&self, budget: u32) -> u32 {
        self.budgets.get(budget).map_or(0, |(account, _)| *account)
    }

    pub fn flag_name(&self, flag: u32) -> String {
        let (account, person, consent) = self.flags.get(flag).copied().unwrap_or_default();
        let [account, person, consent] = [account, person, consent].map(|id| self.names.text(id));
        format!("{consent} of {person} at {account}")
    }

    fn flag(&mut self, account: &str, person: &str, consent: &str) -> u32 {
        let key = (self.names.id(account), self.names.id(person), self.names.id(consent));
        self.flags.id(key)
    }

    /// Where times of services cannot be compared with those of the suite.
    pub fn clocks_were_struck(&self) -> bool {
        self.faults.iter().any(|fault| fault.kind.contains("clock"))
    }

    fn what(&mut self, op: &Op) -> Result<What, String> {
        Ok(match op {
            Op::Authorise { account, campaign, amount, key } => What::Authorise {
                budget: self.budget(account, campaign),
                key: self.names.id(key),
                amount: positive(*amount, 1)?,
            },
            Op::Settle { account, campaign, hold, amount } => What::Settle {
                budget: self.budget(account, campaign),
                hold: self.names.id(hold),
                amount: positive(*amount, 0)?,
            },
            Op::Release { account, campaign, hold } => {
                What::Release { budget: self.budget(account, campaign), hold: self.names.id(hold) }
            }
            Op::Spend { account, campaign, amount, key } => What::Spend {
                budget: self.budget(account, campaign),
                key: self.names.id(key),
                amount: bounded("amount", *amount)?,
            },
            Op::Read { account, campaign } => What::Read { budget: self.budget(account, campaign) },
            Op::SetCap { account, campaign, cap } => {
                What::SetCap { budget: self.budget(account, campaign), cap: bounded("cap", *cap)? }
            }
            Op::Pause { account, campaign } => {
                What::Pause { budget: self.budget(account, campaign) }
            }
            Op::Resume { account, campaign } => {
                What::Resume { budget: self.budget(account, campaign) }
            }
            Op::Grant { account, person, consent } => {
                What::Grant { flag: self.flag(account, person, consent) }
            }
            Op::Revoke { account, person, consent } => {
                What::Revoke { flag: self.flag(account, person, consent) }
            }
            Op::MayUse { account, person, consent } => {
                What::MayUse { flag: self.flag(account, person, consent) }
            }
            Op::Bid { account, person, .. } => What::Bid {
                account: self.names.id(account),
                flag: person.as_ref().map(|person| self.flag(account, person, BID_CONSENT)),
            },
            Op::Billing { account, campaign, bid, amount } => What::Billing {
                budget: self.budget(account, campaign),
                // The ledger names a hold with its campaign.
                hold: self.names.id(&format!("{bid}.{campaign}")),
                amount: positive(*amount, 0)?,
            },
            Op::Call { path, .. } => What::Call { win: won(path).map(|bid| self.names.id(bid)) },
        })
    }

    fn told(&mut self, op: &Operation, answer: &Answer) -> Result<Told, String> {
        let account = match op.what {
            What::Bid { account, .. } => Some(account),
            _ => None,
        };
        for (name, amount) in [("amount", answer.amount), ("remaining", answer.remaining)] {
            amount.map_or(Ok(0), |amount| bounded(name, amount))?;
        }
        let campaign = answer.campaign.as_ref().map(|campaign| self.names.id(campaign));
        Ok(Told {
            hold: answer.hold.as_ref().map(|hold| self.names.id(hold)),
            seq: answer.seq,
            amount: answer.amount,
            remaining: answer.remaining,
            allowed: answer.allowed,
            budget: account.zip(campaign).map(|key| self.budgets.id(key)),
        })
    }

    fn end_of(&mut self, op: &Operation, outcome: &Outcome) -> Result<End, String> {
        Ok(match outcome {
            Outcome::Done { answer, .. } => End::Done(self.told(op, answer)?),
            Outcome::Refused { reason, .. } => End::Refused { busy: &**reason == IN_PROGRESS },
            // So it stands in histories of earlier versions.
            Outcome::Unavailable { code, .. } if &**code == IN_PROGRESS => {
                End::Refused { busy: true }
            }
            Outcome::Unavailable { .. } => End::Unavailable,
            Outcome::Unknown { .. } => End::Unknown,
            Outcome::Wrong { status, what } => {
                End::Wrong { status: *status, what: self.names.id(what) }
            }
        })
    }

    pub fn row(&mut self, row: &LedgerRow) -> Result<Row, String> {
        let kind = RowKind::parse(&row.kind)
            .ok_or_else(|| format!("kind is {:?}: not settle, late, spend or refund", row.kind))?;
        Ok(Row {
            budget: self.budget(&row.account, &row.campaign),
            seq: row.seq,
            kind,
            amount: bounded("amount", row.amount)?,
            currency: self.names.id(&row.currency),
            at_us: row.at_us,
            op: self.names.id(&row.op),
            hold: row.hold.as_ref().map(|hold| self.names.id(hold)),
        })
    }

    /// Takes in a record of the audit log: bookings and acts are compared, the rest is counted.
    pub fn audited(&mut self, audit: &mut Audit, row: &AuditRow) -> Result<(), String> {
        audit.records += 1;
        let Some(kind) = RowKind::of_event(&row.event) else {
            let kept = ["allocation.", "consent.granted", "consent.revoked"];
            if &*row.outcome != "ok" {
                return Ok(());
            }
            if kept.iter().any(|kept| row.event.starts_with(kept)) {
                let of = [&row.account, &row.event, &row.subject].map(|text| self.names.id(text));
                audit.acts.push(of.into());
            } else if &*row.event == "campaign.created" {
                audit.bidding.push(self.budget(&row.account, &row.subject));
            }
            return Ok(());
        };
        let text = |name: &str| {
            let value = row.data.get(name).and_then(|value| value.as_str());
            value.ok_or_else(|| format!("data.{name} of {} has to be a text", row.event))
        };
        let amount = text("amount")?;
        let amount = micros(amount)
            .ok_or_else(|| format!("data.amount is {amount:?}: not a decimal of six places"))?;
        let seq = row.data.get("seq").and_then(|seq| seq.as_i64());
        audit.bookings.push(Record {
            budget: self.budget(&row.account, &row.subject),
            kind,
            seq: seq.ok_or_else(|| format!("data.seq of {} has to be a number", row.event))?,
            amount: bounded("data.amount", amount)?,
            currency: self.names.id(text("currency")?),
            op: self.names.id(text("op")?),
            hold: text("hold").ok().map(|hold| self.names.id(hold)),
        });
        Ok(())
    }
}

/// Takes in a history line by line.
#[derive(Debug, Default)]
pub struct Recorder {
    history: Option<History>,
    /// Those that have begun, by id, and their place.
    places: HashMap<u64, u32>,
}

impl Recorder {
    pub fn line(&mut self, line: Line) -> Result<(), String> {
        let Some(history) = &mut self.history else {
            let Line::Begin(begin) = line else {
                return Err("the first line has to be a `begin`".to_owned());
            };
            self.history = Some(History::new(begin)?);
            return Ok(());
        };
        if history.whole {
            return Err("the history has ended before this line".to_owned());
        }
        match line {
            Line::Begin(_) => return Err("a second `begin`".to_owned()),
            Line::Invoke { id, at_us, client, via: _, op } => {
                let place = u32::try_from(history.operations.len())
                    .map_err(|_| "more operations than can be checked".to_owned())?;
                if self.places.insert(id, place).is_some() {
                    return Err(format!("operation {id} begins twice"));
                }
                let (invoke, what) = (bounded_time("at_us", at_us)?, history.what(&op)?);
                let end = End::Unknown;
                let operation = Operation { id, client, invoke, complete: NEVER, what, end };
                history.operations.push(operation);
            }
            Line::Complete { id, at_us, outcome } => {
                let place = self.places.get(&id).map(|place| *place as usize);
                let op = place.and_then(|place| history.operations.get(place)).copied();
                let (Some(place), Some(op)) = (place, op) else {
                    return Err(format!("operation {id} ends and never began"));
                };
                if op.complete != NEVER {
                    return Err(format!("operation {id} ends twice"));
                }
                if bounded_time("at_us", at_us)? < op.invoke {
                    return Err(format!("operation {id} ends before it began"));
                }
                let end = history.end_of(&op, &outcome)?;
                history.operations[place] = Operation { complete: at_us, end, ..op };
            }
            Line::Fault { at_us, fault, kind, target, phase } => {
                history.faults.push(Fault { at_us, fault, kind, target, phase });
            }
            Line::Owner { at_us, seen_by, shard, owner, epoch } => {
                let seen_by = history.names.id(&seen_by);
                let owner = (!owner.is_empty()).then(|| history.names.id(&owner));
                history.owners.push(Owner { at_us, seen_by, shard, owner, epoch });
            }
            Line::End { .. } => history.whole = true,
        }
        Ok(())
    }

    pub fn done(self) -> Result<History, String> {
        self.history.ok_or_else(|| "it is empty: not even the `begin` is there".to_owned())
    }
}

/// The bid whose win this path tells.
fn won(path: &str) -> Option<&str> {
    let query = path.strip_prefix("/openrtb2/win?")?;
    query.split('&').find_map(|pair| pair.strip_prefix("h="))
}

fn bounded(name: &str, amount: Micros) -> Result<Micros, String> {
    match (-AMOUNT_MAX..=AMOUNT_MAX).contains(&amount) {
        true => Ok(amount),
        false => Err(format!("{name} is {amount}: beyond {AMOUNT_MAX}")),
    }
}

fn positive(amount: Micros, least: Micros) -> Result<Micros, String> {
    match amount >= least {
        true => bounded("amount", amount),
        false => Err(format!("amount is {amount}: has to be at least {least}")),
    }
}

fn bounded_time(name: &str, at_us: AtUs) -> Result<AtUs, String> {
    match at_us <= AT_MAX {
        true => Ok(at_us),
        false => Err(format!("{name} is {at_us}: beyond {AT_MAX}")),
    }
}
