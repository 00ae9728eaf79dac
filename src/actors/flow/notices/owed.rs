//! Something that is to be booked: a line of the spool.

use serde::{Deserialize, Serialize};

use crate::actors::flow::auction::Office;
use crate::actors::shield::message::HoldFate;
use crate::actors::shield::{BudgetName, ShieldError};
use crate::clock;
use crate::models::shield::day::DaySpan;
use crate::models::shield::entry::{Op, SliceId};
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::money::Micros;
use crate::models::shield::purse::HoldAnswer;

/// Amounts are micros of the campaign's currency, times wall-clock micros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owed {
    /// 32 hexadecimal digits.
    pub hold: String,
    pub account: String,
    pub campaign: String,
    pub amount: i64,
    /// What was authorised.
    pub reserve: i64,
    /// When it is booked: a win at the end of its hold, what was billed at once.
    pub due_us: i64,
    pub expires_us: i64,
    /// When it was bid, in whose day; empty: looked up when it is booked.
    pub at_us: i64,
    pub zone: String,
    /// Of the decision, as the notice's address has it: its record can be made of it.
    pub digest: String,
    /// It was told as billed, not only as won.
    pub billed: bool,
    /// The hold was over when it was told.
    pub late: bool,
}

/// How a booking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// It is in the ledger; `again`: it was before.
    Booked { again: bool },
    /// It was booked before, with another amount: this one, which counts.
    Differs(Micros),
    /// It can never be booked: there is no such campaign, or it is more than was held.
    Never(&'static str),
    /// Not now.
    Later,
}

impl Owed {
    pub fn op(&self) -> Option<Op> {
        Op::from_hex(&self.hold)
    }

    /// What our own signature says of a hold whose memory is lost.
    fn proof(&self, id: Op, zone: &str) -> Hold {
        let unknown = SliceId(0);
        Hold {
            id,
            amount: Micros(self.reserve),
            window_amount: Micros(self.reserve),
            expires_us: 0,
            expires_wall_us: self.expires_us,
            slice: unknown,
            window_slice: unknown,
            day: DaySpan::at(zone, self.at_us).day,
            state: HoldState::Open,
            body: 0,
        }
    }

    /// Books it: once, however often it is tried.
    pub async fn book(&self, office: &Office) -> Paid {
        let Some(id) = self.op() else { return Paid::Never("its hold has no id") };
        let name = BudgetName::campaign(&self.account, &self.campaign);
        let zone = match self.zone.is_empty() {
            true => match office.zone_of(&self.account, &self.campaign).await {
                Ok(zone) => zone,
                Err(_) => return Paid::Later,
            },
            false => self.zone.as_str().into(),
        };
        let proof = Some(self.proof(id, &zone));
        match office.shield.settle(&name, id, Micros(self.amount), proof).await {
            Ok(HoldFate::Booked { replayed, .. }) => Paid::Booked { again: replayed },
            Ok(HoldFate::Answer(answer)) => match answer {
                HoldAnswer::Settled { replayed, .. } => Paid::Booked { again: replayed },
                HoldAnswer::Mismatch => self.known(office, id).await,
                HoldAnswer::TooMuch(_) => Paid::Never("more than was held"),
                _ => Paid::Later,
            },
            Ok(HoldFate::Over(hold)) => match hold.state {
                HoldState::Settled(known) if known.0 == self.amount => Paid::Booked { again: true },
                HoldState::Settled(known) => Paid::Differs(known),
                HoldState::Released => self.book_fact(office, &name).await,
                _ => Paid::Later,
            },
            Err(ShieldError::Absent) => Paid::Never("no such campaign"),
            Err(_) => Paid::Later,
        }
    }

    /// A hold that was given back and was bought all the same: booked beside it, under the name of its
    /// settle, so that it is booked once.
    async fn book_fact(&self, office: &Office, name: &BudgetName) -> Paid {
        use crate::actors::shield::message::{Booked, SpendAsk};
        use crate::models::shield::ask::Answer;
        use crate::models::shield::hold::settle_op;

        let Some(id) = self.op() else { return Paid::Never("its hold has no id") };
        let ask = SpendAsk {
            op: settle_op(id),
            amount: Micros(self.amount),
            currency: None,
            body: 0,
            memo: Some("won after its release".to_owned()),
        };
        match office.shield.spend(name, ask).await {
            Ok(Booked::Answer(Answer::Booked { replayed, .. })) => Paid::Booked { again: replayed },
            Ok(Booked::Refused(reason)) => Paid::Never(reason.code()),
            Ok(Booked::Answer(Answer::Mismatch)) => self.known(office, id).await,
            Ok(_) | Err(_) => Paid::Later,
        }
    }

    /// What the ledger has, where another amount is said to be booked. One that is only being booked may yet
    /// fail: then nothing is, and this one is tried again.
    async fn known(&self, office: &Office, id: Op) -> Paid {
        use crate::models::shield::hold::settle_op;

        let op = settle_op(id).to_string();
        match office.shield.store().entry(&self.account, &op).await {
            Ok(Some(row)) if row.amount == self.amount => Paid::Booked { again: true },
            Ok(Some(row)) => Paid::Differs(Micros(row.amount)),
            Ok(None) | Err(_) => Paid::Later,
        }
    }

    pub fn is_due(&self) -> bool {
        self.due_us <= clock::wall_us()
    }
}
