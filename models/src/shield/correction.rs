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
    #[error(
        "another person has to approve it: not who proposed it, not with a key that made his or comes \
         from his, and not with one that a maker of his has made since"
    )]
    SamePerson,
    #[error("the correction is {} already", .0.as_str())]
    Over(Status),
}

/// How a key came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Who made it, as in the audit: `key:<id>`, `user:<sub>`, or what is no person (`cli`, `open`).
    pub by: String,
    /// Wall-clock micros.
    pub at: i64,
}

/// How the two of a correction came to their keys: how the key was made, then the key that made it, and
/// so on. Empty for who calls without a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    pub approver: Vec<Made>,
    pub proposer: Vec<Made>,
}

/// Whether it is somebody who can be told from others.
fn is_somebody(name: &str) -> bool {
    name.starts_with("key:") || name.starts_with("user:")
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
    /// It takes another person than who proposed it. As keys can make keys, the same person is also who
    /// calls with a key that comes from the proposer's, with one that the proposer's comes from, and
    /// with one that somebody from whom the proposer's comes has made since the proposal: he could not
    /// approve himself. Two keys that a third person had made before, or that the command line made at
    /// any time, are two people, as far as anybody can tell: to whom keys are handed is not known here.
    /// Whether a key was revoked meanwhile makes no difference.
    ///
    /// # Errors
    /// Who may not, and why.
    pub fn approve(
        &self,
        who: &str,
        origins: &Origins,
        now: i64,
    ) -> Result<Option<Correction>, NotDecided> {
        if who == NOBODY_KNOWN {
            return Err(NotDecided::UnknownApprover);
        }
        if self.proposed_by == NOBODY_KNOWN {
            return Err(NotDecided::UnknownProposer);
        }
        if self.is_proposer(who, origins) {
            return Err(NotDecided::SamePerson);
        }
        match self.status {
            Status::Proposed => Ok(Some(self.decided(Status::Approved, who, now))),
            Status::Approved | Status::Booked => Ok(None),
            Status::Refused => Err(NotDecided::Over(self.status)),
        }
    }

    /// Whether who approves is who proposed, as far as their keys tell.
    fn is_proposer(&self, who: &str, Origins { approver, proposer }: &Origins) -> bool {
        let comes_from = |line: &[Made], name: &str| line.iter().any(|made| made.by == name);
        let mut since = approver.iter().filter(|made| made.at >= self.proposed_at);
        self.proposed_by == who
            || comes_from(approver, &self.proposed_by)
            || comes_from(proposer, who)
            || since.any(|made| is_somebody(&made.by) && comes_from(proposer, &made.by))
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

    /// Nothing is known of their keys.
    fn apart() -> Origins {
        Origins::default()
    }

    /// A line of makers, the latest first.
    fn line(makers: &[(&str, i64)]) -> Vec<Made> {
        makers.iter().map(|&(by, at)| Made { by: by.to_owned(), at }).collect()
    }

    #[test]
    fn who_holds_a_key_of_the_proposer_s_line_is_the_proposer() {
        let correction = Correction { proposed_at: 100, ..proposed("key:a") };
        let ruled = |who: &str, approver: &[(&str, i64)], proposer: &[(&str, i64)]| {
            let origins = Origins { approver: line(approver), proposer: line(proposer) };
            correction.approve(who, &origins, 200)
        };
        let same = Err(NotDecided::SamePerson);
        // A key that the proposer made, before or after, also through a further one.
        assert_eq!(ruled("key:b", &[("key:a", 1)], &[("cli", 0)]), same);
        assert_eq!(ruled("key:b", &[("key:a", 150), ("cli", 0)], &[("cli", 0)]), same);
        assert_eq!(ruled("key:c", &[("key:b", 9), ("key:a", 1), ("cli", 0)], &[("cli", 0)]), same);
        // Who made the proposer's key, or the key that made it.
        assert_eq!(ruled("user:ann", &[], &[("user:ann", 1)]), same);
        assert_eq!(ruled("key:r", &[("cli", 0)], &[("key:q", 2), ("key:r", 1), ("cli", 0)]), same);
        // A key that he makes when he sees that he may not.
        let maker = [("key:r", 1), ("cli", 0)];
        assert_eq!(ruled("key:b", &[("key:r", 100), ("cli", 0)], &maker), same);
        let further = [("key:s", 160), ("key:r", 150), ("cli", 0)];
        assert_eq!(ruled("key:b", &further, &maker), same);
        assert_eq!(ruled("key:b", &[("user:ann", 101)], &[("user:ann", 1)]), same);
    }

    #[test]
    fn keys_of_one_maker_from_before_the_proposal_and_of_the_command_line_are_two_people() {
        let correction = Correction { proposed_at: 100, ..proposed("key:a") };
        let approved = |approver: &[(&str, i64)], proposer: &[(&str, i64)]| {
            let origins = Origins { approver: line(approver), proposer: line(proposer) };
            correction.approve("key:b", &origins, 200).is_ok()
        };
        assert!(approved(&[("key:r", 99), ("cli", 0)], &[("key:r", 1), ("cli", 0)]));
        assert!(approved(&[("user:ann", 5)], &[("user:ann", 6)]));
        assert!(approved(&[("cli", 150)], &[("cli", 1)]), "nobody knows who sat there");
        assert!(approved(&[("open", 150)], &[("open", 1)]), "nor who called then");
        // Made since, by a person who may approve himself.
        assert!(approved(&[("key:s", 150), ("key:r", 99)], &[("key:r", 1)]));
        assert!(approved(&[("user:bob", 150)], &[("user:ann", 1)]));
    }

    #[test]
    fn only_another_person_who_is_known_approves() {
        let correction = proposed("key:a");
        assert_eq!(correction.approve("key:a", &apart(), 2), Err(NotDecided::SamePerson));
        assert_eq!(correction.approve("open", &apart(), 2), Err(NotDecided::UnknownApprover));
        assert_eq!(
            proposed("open").approve("key:a", &apart(), 2),
            Err(NotDecided::UnknownProposer)
        );
        assert_eq!(proposed("open").approve("open", &apart(), 2), Err(NotDecided::UnknownApprover));
        let approved = correction.approve("key:b", &apart(), 2).unwrap().unwrap();
        assert_eq!(approved.status, Status::Approved);
        assert_eq!(approved.decided_by.as_deref(), Some("key:b"));
        assert_eq!((approved.decided_at, approved.version), (Some(2), 2));
        assert_eq!(
            approved.approve("key:a", &apart(), 3),
            Err(NotDecided::SamePerson),
            "even later"
        );
    }

    #[test]
    fn an_approved_one_is_approved_again_without_a_change_and_booked_once() {
        let approved = proposed("key:a").approve("key:b", &apart(), 2).unwrap().unwrap();
        assert_eq!(approved.approve("key:c", &apart(), 3), Ok(None));
        let booked = approved.booked(7).unwrap();
        assert_eq!((booked.status, booked.seq, booked.version), (Status::Booked, Some(7), 3));
        assert_eq!(booked.booked(8), None);
        assert_eq!(booked.approve("key:b", &apart(), 4), Ok(None));
        assert_eq!(proposed("key:a").booked(1), None, "nobody has approved it");
        assert_eq!((booked.op(), booked.body()), (approved.op(), approved.body()));
    }

    #[test]
    fn what_is_decided_is_not_decided_again() {
        let refused = proposed("key:a").refuse("key:a", "a slip", 2).unwrap();
        assert_eq!(refused.refusal.as_deref(), Some("a slip"));
        assert_eq!(refused.approve("key:b", &apart(), 3), Err(NotDecided::Over(Status::Refused)));
        assert_eq!(refused.refuse("key:b", "again", 3), Err(NotDecided::Over(Status::Refused)));
        assert_eq!(refused.booked(1), None);
        let approved = proposed("key:a").approve("key:b", &apart(), 2).unwrap().unwrap();
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
