//! A manual correction of a ledger: one person proposes it, another one decides.
//!
//! ```text
//! proposed ── approve ──▶ approved ── book ──▶ booked
//!     └────── refuse ───▶ refused ◀── the rules cannot book it ──┘ (from approved)
//! ```
//!
//! What is approved is saved before it is booked, and booked under an operation that follows from the
//! correction's id: after a crash it is booked once, however often that is tried.

use serde::Serialize;

use super::entry::Op;
use super::money::{Currency, Micros};

/// Characters of a reason: with the id before it, it is the ledger row's memo.
pub const REASON_CHARS_MAX: usize = 200;
/// Who calls where nobody is asked who he is.
pub const NOBODY_KNOWN: &str = "open";
/// Who decides where the rules themselves do.
pub const SYSTEM: &str = "system";

/// Where a correction is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Proposed,
    /// Decided, and about to be booked.
    Approved,
    Refused,
    Booked,
}

impl Status {
    pub const ALL: [Status; 4] =
        [Status::Proposed, Status::Approved, Status::Refused, Status::Booked];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Proposed => "proposed",
            Status::Approved => "approved",
            Status::Refused => "refused",
            Status::Booked => "booked",
        }
    }

    pub fn parse(text: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Why somebody may not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDecided {
    #[error(
        "nobody is asked who he is here, so two people cannot be told apart: turn authentication on"
    )]
    UnknownApprover,
    #[error("it was proposed where nobody was asked who he is: refuse it and propose it again")]
    UnknownProposer,
    #[error("who proposed a correction cannot approve it: another person has to")]
    SamePerson,
    #[error("the correction is {} already", .0.as_str())]
    Over(Status),
}

/// A correction. Times are wall-clock micros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// 32 hexadecimal digits, in the order of time.
    pub id: String,
    pub account: String,
    /// A campaign, or `@account`.
    pub budget: String,
    /// Negative for a refund.
    pub amount: Micros,
    /// Of the budget, when it was proposed.
    pub currency: Currency,
    pub reason: String,
    pub status: Status,
    pub proposed_by: String,
    pub proposed_at: i64,
    pub decided_by: Option<String>,
    pub decided_at: Option<i64>,
    /// Why it was refused.
    pub refusal: Option<String>,
    /// The ledger row's number, once it is booked.
    pub seq: Option<i64>,
    /// Of the saved state, from 1.
    pub version: i64,
}

impl Correction {
    /// Approved by `who`: to be saved, and then booked. `None`: it was approved before, so that nothing
    /// is left to do or only the booking.
    ///
    /// # Errors
    /// Who may not, and why.
    pub fn approve(&self, who: &str, now: i64) -> Result<Option<Correction>, NotDecided> {
        if who == NOBODY_KNOWN {
            return Err(NotDecided::UnknownApprover);
        }
        if self.proposed_by == NOBODY_KNOWN {
            return Err(NotDecided::UnknownProposer);
        }
        if self.proposed_by == who {
            return Err(NotDecided::SamePerson);
        }
        match self.status {
            Status::Proposed => Ok(Some(self.decided(Status::Approved, who, now))),
            Status::Approved | Status::Booked => Ok(None),
            Status::Refused => Err(NotDecided::Over(self.status)),
        }
    }

    /// Refused by anybody, who proposed it included.
    ///
    /// # Errors
    /// It is decided already.
    pub fn refuse(&self, who: &str, reason: &str, now: i64) -> Result<Correction, NotDecided> {
        if self.status != Status::Proposed {
            return Err(NotDecided::Over(self.status));
        }
        let refusal = Some(reason.to_owned());
        Ok(Correction { refusal, ..self.decided(Status::Refused, who, now) })
    }

    /// Booked as row `seq`. `None`: it is not to be booked, or is so already.
    pub fn booked(&self, seq: i64) -> Option<Correction> {
        (self.status == Status::Approved).then(|| Correction {
            status: Status::Booked,
            seq: Some(seq),
            version: self.version + 1,
            ..self.clone()
        })
    }

    /// The rules did not book it and never will. `None`: it is not to be booked.
    pub fn unbookable(&self, why: &str, now: i64) -> Option<Correction> {
        let refusal = Some(why.to_owned());
        (self.status == Status::Approved)
            .then(|| Correction { refusal, ..self.decided(Status::Refused, SYSTEM, now) })
    }

    fn decided(&self, status: Status, who: &str, now: i64) -> Correction {
        Correction {
            status,
            decided_by: Some(who.to_owned()),
            decided_at: Some(now),
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// The operation that books it: always the same.
    pub fn op(&self) -> Op {
        Op::of(&[&self.account, "correction", &self.id])
    }

    /// The fingerprint of what is booked.
    pub fn body(&self) -> u64 {
        let (amount, currency) = (self.amount.0.to_string(), self.currency.to_string());
        (Op::of(&[&self.budget, &amount, &currency, &self.reason]).0 >> 64) as u64
    }

    /// What the ledger row says.
    pub fn memo(&self) -> String {
        format!("correction {}: {}", self.id, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(by: &str) -> Correction {
        Correction {
            id: "0".repeat(32),
            account: "default".into(),
            budget: "camp_001".into(),
            amount: Micros(-5),
            currency: "USD".parse().unwrap(),
            reason: "booked twice".into(),
            status: Status::Proposed,
            proposed_by: by.into(),
            proposed_at: 1,
            decided_by: None,
            decided_at: None,
            refusal: None,
            seq: None,
            version: 1,
        }
    }

    #[test]
    fn only_another_person_who_is_known_approves() {
        let correction = proposed("key:a");
        assert_eq!(correction.approve("key:a", 2), Err(NotDecided::SamePerson));
        assert_eq!(correction.approve("open", 2), Err(NotDecided::UnknownApprover));
        assert_eq!(proposed("open").approve("key:a", 2), Err(NotDecided::UnknownProposer));
        assert_eq!(proposed("open").approve("open", 2), Err(NotDecided::UnknownApprover));
        let approved = correction.approve("key:b", 2).unwrap().unwrap();
        assert_eq!(approved.status, Status::Approved);
        assert_eq!(approved.decided_by.as_deref(), Some("key:b"));
        assert_eq!((approved.decided_at, approved.version), (Some(2), 2));
        assert_eq!(approved.approve("key:a", 3), Err(NotDecided::SamePerson), "even later");
    }

    #[test]
    fn an_approved_one_is_approved_again_without_a_change_and_booked_once() {
        let approved = proposed("key:a").approve("key:b", 2).unwrap().unwrap();
        assert_eq!(approved.approve("key:c", 3), Ok(None));
        let booked = approved.booked(7).unwrap();
        assert_eq!((booked.status, booked.seq, booked.version), (Status::Booked, Some(7), 3));
        assert_eq!(booked.booked(8), None);
        assert_eq!(booked.approve("key:b", 4), Ok(None));
        assert_eq!(proposed("key:a").booked(1), None, "nobody has approved it");
        assert_eq!((booked.op(), booked.body()), (approved.op(), approved.body()));
    }

    #[test]
    fn what_is_decided_is_not_decided_again() {
        let refused = proposed("key:a").refuse("key:a", "a slip", 2).unwrap();
        assert_eq!(refused.refusal.as_deref(), Some("a slip"));
        assert_eq!(refused.approve("key:b", 3), Err(NotDecided::Over(Status::Refused)));
        assert_eq!(refused.refuse("key:b", "again", 3), Err(NotDecided::Over(Status::Refused)));
        assert_eq!(refused.booked(1), None);
        let approved = proposed("key:a").approve("key:b", 2).unwrap().unwrap();
        assert_eq!(approved.refuse("key:a", "late", 3), Err(NotDecided::Over(Status::Approved)));
        let unbookable = approved.unbookable("the campaign is gone", 3).unwrap();
        assert_eq!(unbookable.status, Status::Refused);
        assert_eq!(unbookable.decided_by.as_deref(), Some(SYSTEM));
        assert_eq!(refused.unbookable("x", 3), None);
    }

    #[test]
    fn operations_differ_by_correction_and_names_of_states_are_read_back() {
        let (one, mut two) = (proposed("key:a"), proposed("key:a"));
        two.id = "1".repeat(32);
        assert_ne!(one.op(), two.op());
        two = Correction { account: "acme".into(), ..one.clone() };
        assert_ne!(one.op(), two.op());
        assert!(one.memo().ends_with(": booked twice"));
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("Booked"), None);
    }
}
