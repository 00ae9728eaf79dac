//! What was booked before: found again after a doubt, told to the account, answered once more.

use std::collections::HashMap;

use super::{Authority, Flight, Found, Parked, Then, UNTIL_OVER};
use crate::shield::ask::{Answer, Ask, Ticket};
use crate::shield::effect::Effect;
use crate::shield::entry::{HolderId, Now, Op, SliceId};
use crate::shield::money::Micros;

impl Authority {
    /// An earlier life may have ended between a booking and telling the account of it.
    pub fn retell(&mut self, out: &mut Vec<Effect>) {
        let campaign = self.budget.core.terms.window.is_none();
        if !campaign {
            return;
        }
        if self.retelling {
            self.retell_again = true;
        } else {
            self.retelling = true;
            out.push(Effect::Retell);
        }
    }

    /// The account has counted everything that was booked by the time it was told.
    pub fn retold(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.retelling = false;
        if std::mem::take(&mut self.retell_again) {
            return self.retell(out);
        }
        for (ticket, ask, answer) in std::mem::take(&mut self.replays) {
            self.finish(&ask);
            self.answer_replay(now, ticket, &ask, answer, out);
        }
    }

    /// Answers what was booked before, and tries the rest again.
    pub(super) fn sort_out(
        &mut self,
        now: Now,
        flight: Flight,
        found: Vec<(Op, Found)>,
        out: &mut Vec<Effect>,
    ) {
        let mut found: HashMap<Op, Found> = found.into_iter().collect();
        let mut rest = Vec::new();
        for (ticket, ask) in flight.jobs {
            let known = ask.op().and_then(|(op, body)| Some((found.remove(&op)?, body)));
            let Some((found, body)) = known else {
                rest.push((ticket, ask));
                continue;
            };
            if let Some((op, _)) = ask.op() {
                self.doubted.remove(&op);
            }
            let answer = match found {
                Found::Row { entry } if entry.body == body => {
                    Answer::Booked { entry, replayed: true }
                }
                Found::Answer { body: stored, status, answer } if stored == body => {
                    Answer::OrderReplayed { status, answer }
                }
                Found::Row { .. } | Found::Answer { .. } => Answer::Mismatch,
            };
            if self.retelling {
                // It stays busy: whoever repeats it waits like this one.
                self.replays.push((ticket, ask, answer));
                continue;
            }
            self.finish(&ask);
            self.answer_replay(now, ticket, &ask, answer, out);
        }
        self.requeue(rest);
    }

    /// A repeated request is told the same, and as late: whoever asked first may have been cut off
    /// before the slices were recalled.
    fn answer_replay(
        &mut self,
        now: Now,
        ticket: Ticket,
        ask: &Ask,
        answer: Answer,
        out: &mut Vec<Effect>,
    ) {
        let limits = self.limits.clone();
        let recalls = match ask {
            Ask::Order { order, .. } => order.may_cut(),
            _ => self.budget.stage(now, &limits).room().room < Micros::ZERO,
        };
        let out_there: Vec<(HolderId, SliceId)> = self
            .budget
            .core
            .slices
            .values()
            .filter(|s| recalls && s.may_serve(now.mono_us))
            .map(|s| (s.holder, s.id))
            .collect();
        if out_there.is_empty() {
            out.push(Effect::Reply(ticket, answer));
            return;
        }
        out.extend(
            out_there
                .iter()
                .map(|(holder, slice)| Effect::Recall { holder: *holder, slice: *slice }),
        );
        self.parked.push(Parked {
            until_us: now.mono_us + UNTIL_OVER,
            asked_us: now.mono_us,
            waits: out_there.into_iter().map(|(_, slice)| slice).collect(),
            then: Then::Answer(ticket, answer),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shield::authority::CommitOutcome;
    use crate::shield::budget::{Budget, Fact};
    use crate::shield::core::Core;
    use crate::shield::limits::Limits;
    use crate::shield::terms::Terms;
    use crate::shield::window::Window;

    fn campaign() -> Authority {
        let terms = Terms::campaign("USD".parse().expect("a currency"), Micros(100));
        let budget = Budget { core: Core::new(terms), window: Window::default() };
        Authority::new(budget, Limits::default())
    }

    fn at(mono_us: i64) -> Now {
        Now { mono_us, wall_us: 1_700_000_000_000_000 + mono_us }
    }

    fn commits(out: &[Effect]) -> usize {
        out.iter().filter(|e| matches!(e, Effect::Commit(_))).count()
    }

    #[test]
    fn a_slice_that_is_over_is_not_asked_for_on_and_on_while_the_store_is_away() {
        let mut authority = campaign();
        let mut out = Vec::new();
        let (slice, holder) = (SliceId(1), HolderId(1));
        let take = Ask::Take { slice, holder, needed: Micros(10), want: Micros(10) };
        authority.ask(at(0), Ticket(1), take, &mut out);
        authority.committed(at(0), CommitOutcome::Done, &mut out);
        let over = Limits::default().slice_life_us();
        out.clear();
        authority.tick(at(over), &mut out);
        assert_eq!(commits(&out), 1);
        authority.committed(at(over), CommitOutcome::Failed, &mut out);
        assert_eq!(commits(&out), 1, "not at once again");
        authority.tick(at(over + Limits::default().resend_us), &mut out);
        assert_eq!(commits(&out), 2, "but after a while");
    }

    #[test]
    fn what_was_booked_in_doubt_is_answered_when_the_account_has_been_told_again() {
        let mut authority = campaign();
        let mut out = Vec::new();
        let amount = Micros(7);
        let fact = Fact { op: Op(1), amount, window_amount: amount, body: 3, memo: None };
        authority.ask(at(0), Ticket(1), Ask::Spend(Box::new(fact)), &mut out);
        let Some(Effect::Commit(batch)) = out.pop() else { panic!("{out:?}") };
        authority.committed(at(1), CommitOutcome::Unknown, &mut out);
        assert!(matches!(out.pop(), Some(Effect::Reload)));
        let durable = Budget { core: batch.core.clone(), window: Window::default() };
        authority.loaded(at(2), durable, &mut out);
        assert!(out.iter().any(|e| matches!(e, Effect::Retell)), "{out:?}");
        out.clear();
        let entry = Box::new(batch.entries[0].clone());
        let found = vec![(Op(1), Found::Row { entry })];
        authority.committed(at(3), CommitOutcome::Duplicate(found), &mut out);
        assert!(out.is_empty() && authority.is_telling(Op(1)), "{out:?}");
        authority.retold(at(4), &mut out);
        let answered = |e: &Effect| {
            matches!(e, Effect::Reply(Ticket(1), Answer::Booked { replayed: true, .. }))
        };
        assert!(out.iter().any(answered) && !authority.is_telling(Op(1)), "{out:?}");
    }
}
