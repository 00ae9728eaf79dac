//! What somebody can decide about a request.

use super::due::{OutOfRange, extended_us, overdue};
use super::event::Event;
use super::kind::{Kind, Status};
use super::request::{Extension, Lift, Request, Trouble};
use super::words::{WORDS_CHARS_MAX, Words};

/// A decision. Reasons are for the person and the record: 1 to 1,000 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The person is who asks.
    Verify,
    /// Refuse it (GDPR Art. 12(5)), before it has acted.
    Reject { reason: Words },
    /// The person takes it back, before it has acted.
    Cancel { reason: Words },
    /// Two further months (Art. 12(3)): once, and before the first month is over.
    Extend { reason: Words },
    /// End a restriction that is in effect.
    Lift { reason: Words },
}

/// Why a decision cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("request is {} already", .0.as_str())]
    Status(Status),
    #[error("request has begun to act")]
    Acted,
    #[error("reason is not 1 to {WORDS_CHARS_MAX} characters")]
    Reason,
    #[error("time was extended already")]
    Extended,
    #[error("time is over already")]
    Overdue,
    #[error("request is not a restriction in effect")]
    NotRestricted,
    #[error(transparent)]
    Time(#[from] OutOfRange),
}

/// The state after the decision of `who`, to be saved before anything else is done; its outbox tells
/// of it.
pub fn command(r: &Request, command: Command, who: &str, now: i64) -> Result<Request, Refusal> {
    let by = Some(who);
    let mut next = r.following();
    match command {
        Command::Verify => {
            if r.status != Status::AwaitingVerification {
                return Err(Refusal::Status(r.status));
            }
            next.status = Status::InProgress;
            next.tell(Event::Verified, by, now);
        }
        Command::Reject { reason } => {
            may_end(r)?;
            next.close(Status::Rejected, Some(checked(reason)?), by, now);
        }
        Command::Cancel { reason } => {
            may_end(r)?;
            next.close(Status::Cancelled, Some(checked(reason)?), by, now);
        }
        Command::Extend { reason } => {
            open(r)?;
            if r.extension.is_some() {
                return Err(Refusal::Extended);
            }
            if overdue(r.due_at, now) {
                return Err(Refusal::Overdue);
            }
            let until = extended_us(r.received_at)?;
            next.extension = Some(Extension { at: now, reason: checked(reason)?, until });
            next.due_at = until;
            next.tell(Event::Extended, by, now);
        }
        Command::Lift { reason } => {
            let restricted = r.kind == Kind::Restriction && r.status == Status::Completed;
            if !restricted || r.lift.is_some() {
                return Err(Refusal::NotRestricted);
            }
            next.lift = Some(Lift { at: now, reason: checked(reason)?, done_at: None });
            next.trouble = Trouble::default();
            next.tell(Event::Lifting, by, now);
        }
    }
    Ok(next)
}

fn open(r: &Request) -> Result<(), Refusal> {
    if r.status.is_open() { Ok(()) } else { Err(Refusal::Status(r.status)) }
}

/// A step may have run since `started_at` was saved, even if none is booked.
fn may_end(r: &Request) -> Result<(), Refusal> {
    open(r)?;
    if r.started_at.is_some() { Err(Refusal::Acted) } else { Ok(()) }
}

fn checked(reason: Words) -> Result<Words, Refusal> {
    if reason.fits() { Ok(reason) } else { Err(Refusal::Reason) }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{RECEIVED, receipt};
    use super::super::request::{Receipt, Request};
    use super::*;

    fn waiting(kind: Kind) -> Request {
        Request::new(Receipt { verified: false, ..receipt(kind) }).expect("good")
    }

    fn why() -> Words {
        Words::plain("asked twice")
    }

    fn decide(r: &Request, decision: Command, now: i64) -> Result<Request, Refusal> {
        command(r, decision, "key:ops", now)
    }

    fn events(r: &Request) -> Vec<&'static str> {
        r.outbox.iter().map(|telling| telling.event.name()).collect()
    }

    #[test]
    fn a_request_is_verified_once() {
        let r = decide(&waiting(Kind::Access), Command::Verify, RECEIVED + 1).expect("verified");
        assert_eq!((r.status, r.version), (Status::InProgress, 2));
        assert_eq!(events(&r), ["dsr.received", "dsr.verified"]);
        let again = decide(&r, Command::Verify, RECEIVED + 2);
        assert_eq!(again, Err(Refusal::Status(Status::InProgress)));
    }

    #[test]
    fn each_event_names_who_decided_it() {
        let r = waiting(Kind::Restriction);
        assert_eq!(r.outbox[0].by.as_deref(), Some("key:asker"));
        for decision in [
            Command::Verify,
            Command::Reject { reason: why() },
            Command::Cancel { reason: why() },
            Command::Extend { reason: why() },
        ] {
            let decided = decide(&r, decision, RECEIVED).expect("decided");
            let by: Vec<_> = decided.outbox.iter().map(|told| told.by.as_deref()).collect();
            assert_eq!(by, [Some("key:asker"), Some("key:ops")]);
        }
        let done = Request { status: Status::Completed, ..r };
        let lifted = decide(&done, Command::Lift { reason: why() }, RECEIVED).expect("lifted");
        assert_eq!(lifted.outbox[1].by.as_deref(), Some("key:ops"));
    }

    #[test]
    fn a_request_is_rejected_or_cancelled_before_it_acts_and_not_after() {
        let decisions = [Command::Reject { reason: why() }, Command::Cancel { reason: why() }];
        for decision in decisions {
            let r = decide(&waiting(Kind::Deletion), decision.clone(), RECEIVED).expect("ended");
            assert!(!r.status.is_open() && r.reason == Some(why()) && r.completed_at.is_some());
            assert_eq!(decide(&r, decision.clone(), 0), Err(Refusal::Status(r.status)));
            let mut acted = Request::new(receipt(Kind::Deletion)).expect("good");
            acted.started_at = Some(RECEIVED);
            assert_eq!(decide(&acted, decision, RECEIVED), Err(Refusal::Acted));
        }
    }

    #[test]
    fn time_is_extended_once_before_it_is_over_and_with_a_reason() {
        let r = waiting(Kind::Access);
        let more = || Command::Extend { reason: why() };
        assert_eq!(decide(&r, more(), r.due_at + 1), Err(Refusal::Overdue));
        for bad in [String::new(), " \n".to_owned(), "x".repeat(WORDS_CHARS_MAX + 1)] {
            let asked = decide(&r, Command::Extend { reason: Words::plain(bad) }, RECEIVED);
            assert_eq!(asked, Err(Refusal::Reason));
        }
        let longer = decide(&r, more(), r.due_at).expect("extended on its last day");
        assert_eq!(longer.due_at, extended_us(RECEIVED).expect("in range"));
        assert!(!longer.is_overdue(r.due_at + 1));
        assert_eq!(decide(&longer, more(), r.due_at), Err(Refusal::Extended));
        assert_eq!(events(&longer), ["dsr.received", "dsr.extended"]);
    }

    #[test]
    fn only_a_restriction_in_effect_is_lifted_and_once() {
        let lift = || Command::Lift { reason: why() };
        for kind in Kind::ALL {
            let mut r = Request::new(receipt(kind)).expect("good");
            assert_eq!(decide(&r, lift(), RECEIVED), Err(Refusal::NotRestricted));
            r.status = Status::Completed;
            match decide(&r, lift(), RECEIVED) {
                Ok(lifted) => {
                    assert_eq!(kind, Kind::Restriction);
                    assert_eq!(decide(&lifted, lift(), 0), Err(Refusal::NotRestricted));
                }
                Err(refusal) => assert_eq!(refusal, Refusal::NotRestricted),
            }
        }
    }
}
