//! Serves the requests of one batch, and keeps what follows from them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Parked, Then, UNTIL_OVER};
use crate::shield::ask::{Answer, Ask, Order, Ticket};
use crate::shield::budget::Stage;
use crate::shield::effect::{Effect, Note};
use crate::shield::entry::{Kind, Now, Op, SliceId};
use crate::shield::event::Event;
use crate::shield::limits::Limits;
use crate::shield::money::Micros;
use crate::shield::refusal::{Reason, Refusal};
use crate::shield::terms::{Status, Terms};

/// Serves the requests of one batch and keeps what follows from them.
pub(super) struct Desk<'a> {
    pub(super) limits: &'a Limits,
    pub(super) retried: &'a mut HashMap<Ticket, ()>,
    pub(super) answers: Vec<(Ticket, Answer)>,
    pub(super) notes: Vec<Note>,
    pub(super) parked: Vec<Parked>,
    pub(super) recalls: Vec<Effect>,
    pub(super) operations: Vec<(Op, u64, Ticket)>,
    pub(super) check_ops: bool,
    pub(super) tell_account: bool,
}

impl Desk<'_> {
    pub(super) fn serve(&mut self, stage: &mut Stage<'_>, ticket: Ticket, ask: &Ask) {
        match ask {
            Ask::Take { slice, holder, needed, want } => {
                match stage.take(*slice, *holder, *needed, *want) {
                    Ok(grant) => self.answer(ticket, Answer::Granted(grant)),
                    Err(refusal) => self.refuse(stage, ticket, ask, *needed, refusal),
                }
            }
            Ask::Grow { slice, holder, needed, want } => {
                match stage.grow(*slice, *holder, *needed, *want) {
                    None => self.answer(ticket, Answer::SliceGone(*slice)),
                    Some(Ok(grant)) => self.answer(ticket, Answer::Granted(grant)),
                    Some(Err(refusal)) => self.refuse(stage, ticket, ask, *needed, refusal),
                }
            }
            Ask::Return { slice, keep, booked } => {
                stage.give_back(*slice, *keep, *booked);
                self.answer(ticket, Answer::Returned(*slice));
            }
            Ask::Settle(s) => {
                // The holder vouches for the hold: it cannot have been settled before.
                self.check_ops |= !s.confirmed || s.again;
                let entry = stage.settle(s);
                self.note(s.window_slice(), s.op, s.window_amount);
                let late = entry.kind == Kind::Late;
                let answer = Answer::Booked { entry: Box::new(entry), replayed: false };
                match late {
                    true => self.settle_down(stage, ticket, answer),
                    false => self.answer(ticket, answer),
                }
            }
            Ask::Spend(fact) => {
                self.check_ops = true;
                let entry = stage.spend(fact);
                self.note(None, fact.op, fact.window_amount);
                self.settle_down(
                    stage,
                    ticket,
                    Answer::Booked { entry: Box::new(entry), replayed: false },
                );
            }
            Ask::Note(notes) => {
                for note in notes {
                    stage.note(note.slice, note.op, note.amount);
                }
                self.settle_down(stage, ticket, Answer::Noted);
            }
            Ask::Order { op, body, order } => self.order(stage, ticket, (*op, *body), order),
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    fn note(&mut self, slice: Option<SliceId>, op: Op, amount: Micros) {
        if self.tell_account {
            self.notes.push(Note { slice, op, amount });
        }
    }

    /// Before money is refused, what lies unheld with other holders is called back, once.
    fn refuse(
        &mut self,
        stage: &mut Stage<'_>,
        ticket: Ticket,
        ask: &Ask,
        needed: Micros,
        refusal: Refusal,
    ) {
        let by_cap = matches!(
            refusal.reason,
            Reason::BudgetExceeded | Reason::WindowExceeded | Reason::DailyExceeded
        );
        let own = match ask {
            Ask::Grow { slice, .. } | Ask::Take { slice, .. } => Some(*slice),
            _ => None,
        };
        let waits = self.recall(stage, |id| Some(id) != own);
        let hopeful = by_cap && needed > Micros::ZERO && !waits.is_empty();
        if !hopeful || self.retried.insert(ticket, ()).is_some() {
            self.retried.remove(&ticket);
            self.answer(ticket, Answer::Refused(refusal));
            return;
        }
        let then = Then::Retry(ticket, ask.clone());
        self.park(stage.now, waits, then, self.limits.recall_wait_us);
    }

    /// A fact may have passed a cap: capacity that lies out there unheld must not be authorised from
    /// any more before the fact is answered.
    fn settle_down(&mut self, stage: &mut Stage<'_>, ticket: Ticket, answer: Answer) {
        if stage.room().room >= Micros::ZERO {
            self.answer(ticket, answer);
            return;
        }
        let waits = self.recall(stage, |_| true);
        self.park(stage.now, waits, Then::Answer(ticket, answer), UNTIL_OVER);
    }

    /// Rule 10: an order that takes money away is answered when every slice that it touches is
    /// returned or over.
    fn order(&mut self, stage: &mut Stage<'_>, ticket: Ticket, op: (Op, u64), order: &Order) {
        let created = stage.core.version == 0;
        // One of the same batch may be about to make it.
        let taken = !created || !self.operations.is_empty();
        if taken && matches!(order, Order::Open(_)) {
            self.answer(ticket, Answer::Refused(Refusal::new(Reason::Taken)));
            return;
        }
        let cut = carry_out(stage, order);
        stage.check_thresholds();
        stage.dirty = true;
        self.check_ops = true;
        self.operations.push((op.0, op.1, ticket));
        let mut core = stage.core.clone();
        core.version += 1;
        let answer = Answer::Ordered { core: Box::new(core), created };
        if !cut {
            self.answer(ticket, answer);
            return;
        }
        let waits = self.recall(stage, |_| true);
        self.park(stage.now, waits, Then::Answer(ticket, answer), UNTIL_OVER);
    }

    fn recall(&mut self, stage: &Stage<'_>, which: impl Fn(SliceId) -> bool) -> Vec<SliceId> {
        let mut waits = Vec::new();
        for slice in stage.core.slices.values() {
            if which(slice.id) && slice.may_serve(stage.now.mono_us) {
                waits.push(slice.id);
                self.recalls.push(Effect::Recall { holder: slice.holder, slice: slice.id });
            }
        }
        waits
    }

    fn park(&mut self, now: Now, waits: Vec<SliceId>, then: Then, wait_us: i64) {
        match then {
            Then::Answer(ticket, answer) if waits.is_empty() => self.answer(ticket, answer),
            then => self.parked.push(Parked {
                until_us: now.mono_us + wait_us,
                asked_us: now.mono_us,
                waits,
                then,
            }),
        }
    }
}

/// Applies an order; tells whether it takes away what may be out in slices.
fn carry_out(stage: &mut Stage<'_>, order: &Order) -> bool {
    let core = &mut stage.core;
    match order {
        Order::Allocate(terms) | Order::Open(terms) => {
            core.status = Status::Active;
            set_terms(stage, terms)
        }
        Order::Amend(terms) => set_terms(stage, terms),
        Order::TopUp(amount) => {
            core.funded += *amount;
            let mut terms = (*core.terms).clone();
            terms.lifetime = Some(core.funded);
            core.terms = Arc::new(terms);
            stage.events.push(Event::ToppedUp { amount: *amount, funded: core.funded });
            false
        }
        Order::Pause => {
            core.status = Status::Paused;
            stage.events.push(Event::Paused);
            true
        }
        Order::Resume => {
            core.status = Status::Active;
            stage.events.push(Event::Resumed);
            false
        }
        Order::End => {
            core.status = Status::Ended;
            stage.events.push(Event::Ended);
            true
        }
        Order::Stop(stopped) => {
            core.stopped = *stopped;
            stage.events.push(Event::Stopped { stopped: *stopped });
            *stopped
        }
    }
}

/// Sets what may be spent, of a budget that is open or is not; tells whether that takes anything away.
fn set_terms(stage: &mut Stage<'_>, terms: &Terms) -> bool {
    let core = &mut stage.core;
    let before = (core.version > 0).then_some(core.funded);
    let funded = terms.lifetime.unwrap_or(Micros::ZERO);
    let cut = funded < core.funded || *core.terms != *terms;
    core.funded = funded;
    core.terms = Arc::new(terms.clone());
    stage.events.push(Event::Allocated { funded, before });
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shield::authority::{Authority, CommitOutcome};
    use crate::shield::budget::Budget;
    use crate::shield::core::Core;
    use crate::shield::window::Window;

    fn terms(lifetime: i64) -> Terms {
        Terms::campaign("USD".parse().expect("a currency"), Micros(lifetime))
    }

    fn order(authority: &mut Authority, nth: u64, order: Order) -> Vec<Effect> {
        let (op, mut out) = (Op(u128::from(nth)), Vec::new());
        let at = Now { mono_us: 0, wall_us: 1_700_000_000_000_000 };
        let ask = Ask::Order { op, body: 0, order: Box::new(order) };
        authority.ask(at, Ticket(nth), ask, &mut out);
        if out.iter().any(|effect| matches!(effect, Effect::Commit(_))) {
            authority.committed(at, CommitOutcome::Done, &mut out);
        }
        out
    }

    #[test]
    fn a_budget_that_is_there_is_not_opened_again_and_stays_as_it_is() {
        for first in [Order::Allocate(terms(700)), Order::Open(terms(700))] {
            let budget = Budget { core: Core::new(terms(700)), window: Window::default() };
            let mut authority = Authority::new(budget, Limits::default());
            let made = order(&mut authority, 1, first);
            let made = made.iter().any(|effect| {
                matches!(effect, Effect::Reply(_, Answer::Ordered { created: true, .. }))
            });
            assert!(made);
            let out = order(&mut authority, 2, Order::Open(terms(5)));
            let refused = |effect: &Effect| matches!(effect, Effect::Reply(_, Answer::Refused(why)) if why.reason == Reason::Taken);
            assert!(out.len() == 1 && refused(&out[0]), "{out:?}");
            assert_eq!(authority.budget().core.funded, Micros(700));
            assert_eq!(order(&mut authority, 3, Order::Allocate(terms(5))).len(), 2, "set anew");
            assert_eq!(authority.budget().core.funded, Micros(5));
        }
    }

    #[test]
    fn other_terms_leave_a_budget_as_open_as_it_is() {
        let halts = [
            (Order::Resume, Status::Active),
            (Order::Pause, Status::Paused),
            (Order::End, Status::Ended),
        ];
        for (halt, status) in halts {
            let budget = Budget { core: Core::new(terms(700)), window: Window::default() };
            let mut authority = Authority::new(budget, Limits::default());
            order(&mut authority, 1, Order::Allocate(terms(700)));
            order(&mut authority, 2, halt);
            let other = Terms { daily: Some(Micros(3)), ..terms(5) };
            let out = order(&mut authority, 3, Order::Amend(other.clone()));
            let event = Event::Allocated { funded: Micros(5), before: Some(Micros(700)) };
            let told = |effect: &Effect| matches!(effect, Effect::Commit(batch) if batch.events.contains(&event));
            assert!(out.iter().any(told), "{out:?}");
            let core = &authority.budget().core;
            assert_eq!((core.status, core.funded, &*core.terms), (status, Micros(5), &other));
            order(&mut authority, 4, Order::Allocate(terms(7)));
            let core = &authority.budget().core;
            assert_eq!((core.status, core.funded), (Status::Active, Micros(7)));
        }
    }

    #[test]
    fn of_two_that_make_a_budget_at_the_same_time_one_does() {
        let budget = Budget { core: Core::new(terms(700)), window: Window::default() };
        let limits = Limits::default();
        let mut authority = Authority::new(budget, limits.clone());
        let mut retried = HashMap::new();
        let at = Now { mono_us: 0, wall_us: 1_700_000_000_000_000 };
        let mut desk = Desk {
            limits: &limits,
            retried: &mut retried,
            answers: Vec::new(),
            notes: Vec::new(),
            parked: Vec::new(),
            recalls: Vec::new(),
            operations: Vec::new(),
            check_ops: false,
            tell_account: true,
        };
        let mut stage = authority.budget_mut().stage(at, &limits);
        for (nth, order) in
            [Order::Allocate(terms(700)), Order::Open(terms(5))].into_iter().enumerate()
        {
            let op = Op(nth as u128);
            let ask = Ask::Order { op, body: 0, order: Box::new(order) };
            desk.serve(&mut stage, Ticket(nth as u64), &ask);
        }
        assert_eq!((stage.core.funded, desk.operations.len()), (Micros(700), 1));
        assert!(matches!(desk.answers[1].1, Answer::Refused(_)), "{:?}", desk.answers);
    }
}
