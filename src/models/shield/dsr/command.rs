//! What somebody can decide about a request.

use super::due::{OutOfRange, extended_us, overdue};
use super::event::Event;
use super::kind::{Kind, Status};
use super::request::{Extension, Lift, REASON_CHARS_MAX, Request, Trouble};

/// A decision. Reasons are for the person and the record: 1 to 1,000 characters, nothing personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The person is who asks.
    Verify,
    /// Refuse it (GDPR Art. 12(5)), before it has acted.
    Reject { reason: String },
    /// The person takes it back, before it has acted.
    Cancel { reason: String },
    /// Two further months (Art. 12(3)): once, and before the first month is over.
    Extend { reason: String },
    /// End a restriction that is in effect.
    Lift { reason: String },
}

/// Why a decision cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("request is {} already", .0.as_str())]
    Status(Status),
    #[error("request has begun to act")]
    Acted,
    #[error("reason is not 1 to {REASON_CHARS_MAX} characters")]
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

/// The state after the decision, to be saved before anything else is done; its outbox tells of it.
pub fn command(r: &Request, command: Command, now: i64) -> Result<Request, Refusal> {
    let mut next = r.following();
    match command {
        Command::Verify => {
            if r.status != Status::AwaitingVerification {
                return Err(Refusal::Status(r.status));
            }
            next.status = Status::InProgress;
            next.tell(Event::Verified, now);
        }
        Command::Reject { reason } => {
            may_end(r)?;
            next.close(Status::Rejected, Some(checked(reason)?), now);
        }
        Command::Cancel { reason } => {
            may_end(r)?;
            next.close(Status::Cancelled, Some(checked(reason)?), now);
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
            next.tell(Event::Extended, now);
        }
        Command::Lift { reason } => {
            let restricted = r.kind == Kind::Restriction && r.status == Status::Completed;
            if !restricted || r.lift.is_some() {
                return Err(Refusal::NotRestricted);
            }
            next.lift = Some(Lift { at: now, reason: checked(reason)?, done_at: None });
            next.trouble = Trouble::default();
            next.tell(Event::Lifting, now);
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

fn checked(reason: String) -> Result<String, Refusal> {
    let fits = !reason.trim().is_empty() && reason.chars().count() <= REASON_CHARS_MAX;
    if fits { Ok(reason) } else { Err(Refusal::Reason) }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{RECEIVED, receipt};
    use super::super::request::{Receipt, Request};
    use super::*;

    fn waiting(kind: Kind) -> Request {
        Request::new(Receipt { verified: false, ..receipt(kind) }).expect("good")
    }

    fn why() -> String {
        "asked twice".to_owned()
    }

    fn events(r: &Request) -> Vec<&'static str> {
        r.outbox.iter().map(|telling| telling.event.name()).collect()
    }

    #[test]
    fn a_request_is_verified_once() {
        let r = command(&waiting(Kind::Access), Command::Verify, RECEIVED + 1).expect("verified");
        assert_eq!((r.status, r.version), (Status::InProgress, 2));
        assert_eq!(events(&r), ["dsr.received", "dsr.verified"]);
        let again = command(&r, Command::Verify, RECEIVED + 2);
        assert_eq!(again, Err(Refusal::Status(Status::InProgress)));
    }

    #[test]
    fn a_request_is_rejected_or_cancelled_before_it_acts_and_not_after() {
        let decisions = [Command::Reject { reason: why() }, Command::Cancel { reason: why() }];
        for decision in decisions {
            let r = command(&waiting(Kind::Deletion), decision.clone(), RECEIVED).expect("ended");
            assert!(!r.status.is_open() && r.reason == Some(why()) && r.completed_at.is_some());
            assert_eq!(command(&r, decision.clone(), 0), Err(Refusal::Status(r.status)));
            let mut acted = Request::new(receipt(Kind::Deletion)).expect("good");
            acted.started_at = Some(RECEIVED);
            assert_eq!(command(&acted, decision, RECEIVED), Err(Refusal::Acted));
        }
    }

    #[test]
    fn time_is_extended_once_before_it_is_over_and_with_a_reason() {
        let r = waiting(Kind::Access);
        let more = || Command::Extend { reason: why() };
        assert_eq!(command(&r, more(), r.due_at + 1), Err(Refusal::Overdue));
        for bad in [String::new(), " \n".to_owned(), "x".repeat(REASON_CHARS_MAX + 1)] {
            let asked = command(&r, Command::Extend { reason: bad }, RECEIVED);
            assert_eq!(asked, Err(Refusal::Reason));
        }
        let longer = command(&r, more(), r.due_at).expect("extended on its last day");
        assert_eq!(longer.due_at, extended_us(RECEIVED).expect("in range"));
        assert!(!longer.is_overdue(r.due_at + 1));
        assert_eq!(command(&longer, more(), r.due_at), Err(Refusal::Extended));
        assert_eq!(events(&longer), ["dsr.received", "dsr.extended"]);
    }

    #[test]
    fn only_a_restriction_in_effect_is_lifted_and_once() {
        let lift = || Command::Lift { reason: why() };
        for kind in Kind::ALL {
            let mut r = Request::new(receipt(kind)).expect("good");
            assert_eq!(command(&r, lift(), RECEIVED), Err(Refusal::NotRestricted));
            r.status = Status::Completed;
            match command(&r, lift(), RECEIVED) {
                Ok(lifted) => {
                    assert_eq!(kind, Kind::Restriction);
                    assert_eq!(command(&lifted, lift(), 0), Err(Refusal::NotRestricted));
                }
                Err(refusal) => assert_eq!(refusal, Refusal::NotRestricted),
            }
        }
    }
}
