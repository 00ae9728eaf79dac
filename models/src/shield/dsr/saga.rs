//! A request as a saga: what to do next, and the state after it was done.
//!
//! The loop around it: perform the [`Effect`], book how it went, save the state that this gives,
//! and only then ask again. After a crash it starts from what was saved: a step whose booking was
//! lost runs again, which the contract of [`Step`] allows.

use super::event::{Event, Telling};
use super::kind::{Kind, Status};
use super::request::{ERROR_CHARS_MAX, Request, Trouble};
use super::step::{Evidence, Failure, Step, plan};
use super::words::Words;

/// First wait after a failure, in microseconds. Each further one doubles it.
pub const BACKOFF_US: i64 = 1_000_000;
/// Longest wait after a failure. There is no last try.
pub const BACKOFF_US_MAX: i64 = 60_000_000;
/// Failures in a row after which somebody is told, once for each step: about five minutes.
pub const STUCK_FAILURES: u32 = 10;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Save this state, then go on from it.
    Save(Box<Request>),
    /// Perform the step, then book it by [`Saga::stepped`].
    Do(Step),
    /// Hand this to the audit and the webhooks, then book it by [`Saga::emitted`].
    Emit(Telling),
    /// Nothing before this time (wall micros), or at all without one, unless a command comes.
    Wait(Option<i64>),
    /// Nothing is left. A completed restriction can still be lifted by a command.
    Done,
}

/// The rules of all requests.
#[derive(Clone, Copy, Debug)]
pub struct Saga {
    plan: fn(Kind) -> &'static [Step],
}

impl Default for Saga {
    fn default() -> Self {
        Self::new()
    }
}

impl Saga {
    pub const fn new() -> Saga {
        Saga { plan }
    }

    /// A saga with other steps, to show that its tests find what is wrong with them.
    #[cfg(test)]
    pub(super) const fn planted(plan: fn(Kind) -> &'static [Step]) -> Saga {
        Saga { plan }
    }

    /// What to do at `now` with a request that is saved as it is here.
    pub fn next(&self, r: &Request, now: i64) -> Effect {
        if r.is_overdue(now) && !r.overdue_told {
            let mut late = r.following();
            late.overdue_told = true;
            late.tell(Event::Overdue, None, now);
            return Effect::Save(Box::new(late));
        }
        let tell_at = (r.status.is_open() && !r.overdue_told).then(|| r.due_at.saturating_add(1));
        let wait = |until: i64| Effect::Wait(Some(tell_at.map_or(until, |at| at.min(until))));
        // What has happened is told before more happens: the audit has everything in order, and a
        // person hears of the end of a restriction before it ends.
        if let Some(telling) = r.outbox.first() {
            return match ahead(&r.untold, now) {
                Some(retry_at) => wait(retry_at),
                None => Effect::Emit(telling.clone()),
            };
        }
        let Some(step) = self.step(r) else {
            return if r.status.is_open() { Effect::Wait(tell_at) } else { Effect::Done };
        };
        match ahead(&r.trouble, now) {
            Some(retry_at) => wait(retry_at),
            None if r.started_at.is_some() => Effect::Do(step),
            None => {
                let mut started = r.following();
                started.started_at = Some(now);
                Effect::Save(Box::new(started))
            }
        }
    }

    /// The state after a step was tried, to be saved; `None` where the report is not about the step
    /// that is next (a late one, or one that came twice) and changes nothing.
    pub fn stepped(
        &self,
        r: &Request,
        step: Step,
        result: Result<Evidence, Failure>,
        now: i64,
    ) -> Option<Request> {
        if self.step(r) != Some(step) || r.started_at.is_none() {
            return None;
        }
        let mut next = r.following();
        match result {
            Ok(evidence) => {
                next.prove(evidence);
                passed(&mut next, step, now);
            }
            // Nobody is left whose processing could be frozen.
            Err(Failure::Erased) if step == Step::Unfreeze => passed(&mut next, step, now),
            Err(failure @ Failure::Erased) if r.kind != Kind::Deletion => {
                let reason = Some(Words::plain(failure.to_string()));
                next.close(Status::Cancelled, reason, None, now);
            }
            Err(failure) => {
                failed(&mut next.trouble, &failure, now);
                if next.trouble.failures == STUCK_FAILURES {
                    next.tell(Event::Stuck(step), None, now);
                }
            }
        }
        Some(next)
    }

    /// The state after an event was handed on, or was not; `None` where it is not the next one.
    pub fn emitted(
        &self,
        r: &Request,
        number: u32,
        result: Result<(), Failure>,
        now: i64,
    ) -> Option<Request> {
        if r.outbox.first().map(|telling| telling.number) != Some(number) {
            return None;
        }
        let mut next = r.following();
        match result {
            Ok(()) => {
                next.outbox.remove(0);
                next.untold = Trouble::default();
            }
            Err(failure) => failed(&mut next.untold, &failure, now),
        }
        Some(next)
    }

    /// The step that is next.
    fn step(&self, r: &Request) -> Option<Step> {
        match r.status {
            Status::InProgress => {
                (self.plan)(r.kind).iter().find(|step| !r.done.contains(step)).copied()
            }
            Status::Completed => {
                r.lift.as_ref().filter(|lift| lift.done_at.is_none()).map(|_| Step::Unfreeze)
            }
            Status::AwaitingVerification | Status::Rejected | Status::Cancelled => None,
        }
    }
}

fn passed(next: &mut Request, step: Step, now: i64) {
    next.done.push(step);
    next.trouble = Trouble::default();
    if step == Step::Finish {
        next.close(Status::Completed, None, None, now);
    }
    if let Some(lift) = next.lift.as_mut().filter(|_| step == Step::Unfreeze) {
        lift.done_at = Some(now);
        next.tell(Event::Lifted, None, now);
    }
}

fn failed(trouble: &mut Trouble, failure: &Failure, now: i64) {
    let doubled = BACKOFF_US.saturating_mul(1_i64 << trouble.failures.min(16));
    trouble.failures = trouble.failures.saturating_add(1);
    trouble.retry_at = Some(now.saturating_add(doubled.min(BACKOFF_US_MAX)));
    let text = failure.to_string();
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    trouble.last_error = Some(one_line.take(ERROR_CHARS_MAX).collect());
}

/// When it may be tried again, if that is still to come. A time further away than any wait is long
/// was set by a clock that has been put back since: it does not count.
fn ahead(trouble: &Trouble, now: i64) -> Option<i64> {
    let near = |at: &i64| *at > now && at.saturating_sub(now) <= BACKOFF_US_MAX;
    trouble.retry_at.filter(near)
}

#[cfg(test)]
mod tests {
    use super::super::command::{Command, command};
    use super::super::request::Receipt;
    use super::super::request::tests::{RECEIVED, receipt};
    use super::*;

    const SAGA: Saga = Saga::new();

    fn request(kind: Kind) -> Request {
        Request::new(receipt(kind)).expect("good")
    }

    /// Performs whatever comes, all of it well, until there is nothing to do; what was done.
    fn run(r: &mut Request, now: i64) -> Vec<String> {
        let mut acts = Vec::new();
        loop {
            let next = match SAGA.next(r, now) {
                Effect::Save(next) => *next,
                Effect::Do(step) => {
                    acts.push(step.as_str().to_owned());
                    SAGA.stepped(r, step, Ok(Evidence::default()), now).expect("booked")
                }
                Effect::Emit(telling) => {
                    acts.push(telling.event.name().to_owned());
                    SAGA.emitted(r, telling.number, Ok(()), now).expect("booked")
                }
                Effect::Wait(_) | Effect::Done => return acts,
            };
            assert_eq!(next.version, r.version + 1);
            *r = next;
        }
    }

    /// A request whose events are told and whose first step is next.
    fn started(kind: Kind) -> Request {
        let mut r = request(kind);
        while let Effect::Save(_) | Effect::Emit(_) = SAGA.next(&r, RECEIVED) {
            r = match SAGA.next(&r, RECEIVED) {
                Effect::Save(next) => *next,
                _ => SAGA.emitted(&r, 0, Ok(()), RECEIVED).expect("booked"),
            };
        }
        r
    }

    #[test]
    fn each_kind_takes_its_steps_in_order_and_completes() {
        for (kind, steps) in [
            (Kind::Access, "collect package finish"),
            (Kind::Deletion, "stop_processing survey erase_tables journal destroy_key finish"),
            (Kind::Restriction, "freeze finish"),
            (Kind::Rectification, "correct finish"),
            (Kind::Portability, "collect package finish"),
            (Kind::Objection, "object finish"),
            (Kind::OptOut, "opt_out finish"),
        ] {
            let mut r = request(kind);
            let acts = run(&mut r, RECEIVED + 5).join(" ");
            assert_eq!(acts, format!("dsr.received {steps} dsr.completed"));
            assert_eq!((r.status, r.completed_at), (Status::Completed, Some(RECEIVED + 5)));
            assert_eq!(SAGA.next(&r, i64::MAX), Effect::Done);
        }
    }

    #[test]
    fn an_unverified_request_does_nothing_until_it_is_verified() {
        let made = Request::new(Receipt { verified: false, ..receipt(Kind::Deletion) });
        let mut r = made.expect("good");
        assert_eq!(run(&mut r, RECEIVED), ["dsr.received"]);
        assert_eq!(SAGA.next(&r, RECEIVED), Effect::Wait(Some(r.due_at + 1)));
        r = command(&r, Command::Verify, "key:ops", RECEIVED).expect("verified");
        assert_eq!(run(&mut r, RECEIVED).len(), 8);
    }

    #[test]
    fn an_overdue_request_says_so_once_and_goes_on() {
        let mut r = request(Kind::Access);
        let late = r.due_at + 1;
        assert_eq!(
            run(&mut r, late),
            ["dsr.received", "dsr.overdue", "collect", "package", "finish", "dsr.completed"]
        );
        let made = Request::new(Receipt { verified: false, ..receipt(Kind::Access) });
        let mut r = made.expect("good");
        assert_eq!(run(&mut r, late), ["dsr.received", "dsr.overdue"]);
        assert_eq!(SAGA.next(&r, late + 1), Effect::Wait(None), "told once");
    }

    #[test]
    fn failures_wait_twice_as_long_each_up_to_a_minute_and_never_end() {
        let mut r = started(Kind::Access);
        let mut now = RECEIVED;
        for n in 1..=40_u32 {
            assert_eq!(SAGA.next(&r, now), Effect::Do(Step::Collect));
            let error = Failure::Retry(format!("store is\naway {}", "x".repeat(500)));
            r = SAGA.stepped(&r, Step::Collect, Err(error), now).expect("booked");
            let wait = (1_000_000_i64 << (n - 1).min(6)).min(60_000_000);
            if n == STUCK_FAILURES {
                let number = r.outbox[0].number;
                assert_eq!(r.outbox[0].event, Event::Stuck(Step::Collect));
                r = SAGA.emitted(&r, number, Ok(()), now).expect("booked");
            }
            assert!(r.outbox.is_empty(), "told once");
            assert_eq!(SAGA.next(&r, now), Effect::Wait(Some(now + wait)), "failure {n}");
            let kept = r.trouble.last_error.as_deref().expect("kept");
            assert!(kept.starts_with("store is away") && kept.len() == ERROR_CHARS_MAX);
            now += wait;
        }
        assert_eq!(run(&mut r, now).last().map(String::as_str), Some("dsr.completed"));
        assert_eq!(r.trouble, Trouble::default());
    }

    #[test]
    fn a_wait_ends_early_for_the_due_date_and_for_a_clock_put_back() {
        let mut r = started(Kind::Access);
        let now = r.due_at - 10;
        r = SAGA.stepped(&r, Step::Collect, Err(Failure::Retry(String::new())), now).expect("in");
        assert_eq!(SAGA.next(&r, now), Effect::Wait(Some(r.due_at + 1)));
        assert_eq!(SAGA.next(&r, now - 2 * BACKOFF_US_MAX), Effect::Do(Step::Collect));
    }

    #[test]
    fn what_cannot_be_told_holds_the_steps_up_and_is_tried_again() {
        let mut r = request(Kind::Access);
        r = SAGA.emitted(&r, 0, Err(Failure::Retry("full".to_owned())), RECEIVED).expect("in");
        assert_eq!(SAGA.next(&r, RECEIVED), Effect::Wait(Some(RECEIVED + BACKOFF_US)));
        assert_eq!(run(&mut r, RECEIVED + BACKOFF_US)[..2], ["dsr.received", "collect"]);
    }

    #[test]
    fn a_report_of_another_step_or_event_changes_nothing() {
        let r = started(Kind::Deletion);
        let ok = || Ok(Evidence::default());
        for step in [Step::DestroyKey, Step::Finish, Step::Unfreeze, Step::Collect] {
            assert_eq!(SAGA.stepped(&r, step, ok(), RECEIVED), None, "{step:?}");
        }
        assert_eq!(SAGA.emitted(&r, 0, Ok(()), RECEIVED), None, "told already");
        let fresh = request(Kind::Deletion);
        assert_eq!(SAGA.stepped(&fresh, Step::StopProcessing, ok(), RECEIVED), None);
    }

    #[test]
    fn an_erased_person_ends_every_request_but_a_deletion() {
        for kind in Kind::ALL {
            let r = started(kind);
            let step = plan(kind)[0];
            let r = SAGA.stepped(&r, step, Err(Failure::Erased), RECEIVED).expect("booked");
            let want = match kind {
                Kind::Deletion => Status::InProgress,
                _ => Status::Cancelled,
            };
            assert_eq!(r.status, want, "{kind:?}");
        }
    }

    #[test]
    fn a_lifted_restriction_is_told_of_before_it_ends() {
        let mut r = request(Kind::Restriction);
        run(&mut r, RECEIVED);
        let lift = Command::Lift { reason: Words::plain("accuracy was checked") };
        r = command(&r, lift, "key:ops", RECEIVED + 1).expect("lifted");
        assert_eq!(run(&mut r, RECEIVED + 2), ["dsr.lifting", "unfreeze", "dsr.lifted"]);
        assert_eq!(r.lift.and_then(|lift| lift.done_at), Some(RECEIVED + 2));
        assert_eq!(r.status, Status::Completed);
    }
}
