//! Something that is to be booked: a line of the spool.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::actors::flow::auction::Office;
use crate::actors::shield::message::HoldFate;
use crate::actors::shield::{BudgetName, ShieldError};
use crate::models::flow::decision::Digest;
use crate::models::flow::notice::debt::Debt;
use crate::models::shield::day::DaySpan;
use crate::models::shield::entry::{Op, SliceId};
use crate::models::shield::hold::{Hold, HoldState, settle_op};
use crate::models::shield::money::Micros;
use crate::models::shield::purse::HoldAnswer;
use crate::models::shield::refusal::Reason;

/// How long a booking may take that nobody waits for: one that takes longer is tried again, as it may be that
/// its budget does not answer at all.
const PATIENCE: Duration = Duration::from_secs(3);

/// Amounts are micros of the campaign's currency, times wall-clock micros.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owed {
    /// As 32 hexadecimal digits.
    #[serde(with = "hex")]
    pub hold: Op,
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
    /// No price was told: the amount is the most that it can be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
}

/// A hold as it is written.
pub mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Op;

    pub fn serialize<S: Serializer>(hold: &Op, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(hold)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Op, D::Error> {
        let text = String::deserialize(d)?;
        Op::from_hex(&text).ok_or_else(|| D::Error::custom("is no id of a hold"))
    }
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
    /// It was a win whose hold is not over: it is booked at the end of it.
    Early,
    /// Another node owes it from now on, and sees to its record.
    HandedOver,
}

/// Whether what is refused for this reason may be taken later: rates are entered, and what is paused is resumed.
fn passes(reason: Reason) -> bool {
    !matches!(reason, Reason::BeyondBounds | Reason::CurrencyMismatch | Reason::UnknownCampaign)
}

impl Owed {
    fn debt(&self) -> Debt {
        Debt { amount: Micros(self.amount), billed: self.billed, silent: self.silent }
    }

    /// What is owed when this is told of what was owed before.
    pub fn after(self, known: &Owed) -> Owed {
        let Debt { amount, billed, silent } = self.debt().after(known.debt());
        let due_us = if billed && !known.billed { self.due_us } else { known.due_us };
        let zone = if known.zone.is_empty() { self.zone } else { known.zone.clone() };
        Owed { amount: amount.0, billed, silent, due_us, zone, ..known.clone() }
    }

    /// Whether it says the same as another one of its bid, whenever either is tried: its zone is looked up, where it
    /// is not told.
    pub fn says_as(&self, other: &Owed) -> bool {
        let known = Owed { due_us: other.due_us, zone: other.zone.clone(), ..self.clone() };
        known == *other
    }

    /// The decision that it follows from.
    pub fn decision(&self) -> Option<Digest> {
        Digest::from_text(&self.digest).ok().filter(|digest| digest.hold == self.hold.0)
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

    /// Books it, in its own time.
    pub async fn book_in_time(&self, office: &Office) -> Paid {
        tokio::time::timeout(PATIENCE, self.book(office)).await.unwrap_or(Paid::Later)
    }

    /// Books it: once, however often it is tried.
    pub async fn book(&self, office: &Office) -> Paid {
        let id = self.hold;
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

        let id = self.hold;
        let ask = SpendAsk {
            op: settle_op(id),
            amount: Micros(self.amount),
            currency: None,
            body: 0,
            memo: Some("won after its release".to_owned()),
        };
        match office.shield.spend(name, ask).await {
            Ok(Booked::Answer(Answer::Booked { replayed, .. })) => Paid::Booked { again: replayed },
            Ok(Booked::Refused(reason)) if passes(reason) => Paid::Later,
            Ok(Booked::Refused(reason)) => Paid::Never(reason.code()),
            Ok(Booked::Answer(Answer::Mismatch)) => self.known(office, id).await,
            Ok(_) | Err(_) => Paid::Later,
        }
    }

    /// What the ledger has, where another amount is said to be booked. One that is only being booked may yet
    /// fail: then nothing is, and this one is tried again.
    async fn known(&self, office: &Office, id: Op) -> Paid {
        let op = settle_op(id).to_string();
        match office.shield.store().entry(&self.account, &op).await {
            Ok(Some(row)) if row.amount == self.amount => Paid::Booked { again: true },
            Ok(Some(row)) => Paid::Differs(Micros(row.amount)),
            Ok(None) | Err(_) => Paid::Later,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn owed(n: u128) -> Owed {
        Owed {
            hold: Op(n),
            account: "default".into(),
            campaign: "camp".into(),
            amount: 5,
            reserve: 9,
            due_us: 0,
            expires_us: 0,
            at_us: 0,
            zone: "UTC".into(),
            digest: "AQ".into(),
            billed: false,
            late: false,
            silent: false,
        }
    }

    #[test]
    fn what_was_won_before_a_restart_costs_what_it_was_told_to_cost() {
        let won = Owed { amount: 2, due_us: 60, zone: String::new(), ..owed(1) };
        // The same win once more, without its price, after the hold's end.
        let again = Owed { amount: 9, silent: true, due_us: 70, late: true, ..owed(1) };
        let known = again.after(&won);
        assert_eq!((known.amount, known.due_us, known.late, known.silent), (2, 60, false, false));
        assert_eq!(known.zone, "UTC", "which is known by now");
        let silent = Owed { amount: 9, silent: true, billed: true, due_us: 30, ..owed(1) };
        let owes = silent.after(&known);
        assert_eq!((owes.amount, owes.due_us, owes.billed), (2, 30, true), "it is due now");
        let billed = Owed { amount: 3, billed: true, due_us: 40, ..owed(1) };
        assert_eq!(billed.clone().after(&known).amount, 3);
        assert_eq!(billed.after(&owes), owes, "the first billing counts");
    }

    #[test]
    fn a_rate_that_is_missing_is_waited_for_and_what_nobody_can_count_is_not() {
        assert!(passes(Reason::NoExchangeRate) && passes(Reason::Stopped));
        assert!(!passes(Reason::BeyondBounds) && !passes(Reason::UnknownCampaign));
    }

    #[test]
    fn lines_of_before_are_read_and_a_hold_that_is_none_is_no_line() {
        let line = r#"{"hold":"0000000000000000000000000000000a","account":"a","campaign":"c","amount":5,
            "reserve":9,"due_us":1,"expires_us":2,"at_us":3,"zone":"","digest":"AQ","billed":true,"late":false}"#;
        let read: Owed = serde_json::from_str(line).expect("a line of before");
        assert_eq!((read.hold, read.silent), (Op(10), false));
        let written = serde_json::to_string(&read).expect("json");
        assert_eq!(serde_json::from_str::<Owed>(&written).expect("reads"), read);
        assert!(written.contains("\"hold\":\"0000000000000000000000000000000a\""), "{written}");
        assert!(serde_json::from_str::<Owed>(&line.replace("0000a", "x")).is_err());
    }
}
