//! Checks with a key, where several nodes answer. One key is one hold, whichever node is asked: the campaign's owner
//! says which. It grants nothing under a key before it has looked into the journal, and says of no hold under a key
//! before that is in the journal, under the epoch of its shard. So an owner that was replaced cannot have told of a
//! hold that the next one does not find, and one that has been replaced without knowing tells of none.

mod ask;
mod proofs;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::budget::{BudgetActor, HoldAsker, Live, State};
use super::load;
use super::message::{Authorised, Found, Msg, Told};
use super::metrics as m;
use crate::actors::kernel::{Cx, Fault, Reply};
use crate::models::shield::entry::Op;
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::money::Currency;
use crate::models::shield::purse::{Authorise, HoldAnswer};

pub use ask::{check, serve};
pub use proofs::Proof;
use proofs::Proofs;

/// Who may wait for one key.
const WAITING_MAX: usize = 64;

/// A check, and who waits for its answer.
pub struct Check {
    pub ask: Authorise,
    pub currency: Option<Currency>,
    pub reply: Reply<Checked>,
}

/// What a node says of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    Told(Told<Authorised>),
    /// Another one is to be asked: this one does not own the campaign, or does not any more.
    NotOwner,
}

/// Keys that are being worked on.
#[derive(Default)]
pub struct Keys {
    /// By the hold that a key names: who asks under it, the first of whom is worked for.
    waiting: HashMap<Op, VecDeque<Check>>,
    /// What the purse has said to the first.
    answered: VecDeque<(Op, HoldAnswer)>,
    proofs: Proofs,
}

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn answered(&mut self, hold: Op, answer: HoldAnswer) {
        self.answered.push_back((hold, answer));
    }

    /// A hold has ended: nothing is known of the next one under its key.
    pub fn ended(&mut self, hold: Op) {
        self.proofs.ended(hold);
    }

    fn first(&self, hold: Op) -> Option<(Authorise, Option<Currency>)> {
        self.waiting.get(&hold)?.front().map(|check| (check.ask, check.currency))
    }
}

/// What one who asks under a key is told, where that is known of the first who did. `None`: it is worked for by
/// itself.
fn answer_for(
    check: &Authorise,
    first: Option<&Authorise>,
    said: &HoldAnswer,
) -> Option<HoldAnswer> {
    match said {
        HoldAnswer::Held { hold, .. } if hold.body != check.body => Some(HoldAnswer::Mismatch),
        HoldAnswer::Held { hold, replayed } => {
            Some(HoldAnswer::Held { hold: hold.clone(), replayed: *replayed || first.is_some() })
        }
        HoldAnswer::Unavailable => Some(HoldAnswer::Unavailable),
        said => match first {
            None => Some(said.clone()),
            // A time that is over is of one request alone.
            Some(first) if first.body == check.body && *said != HoldAnswer::Expired => {
                Some(said.clone())
            }
            Some(_) => None,
        },
    }
}

/// The hold that a key stands for already, as ledger and journal have it. What was released, or expired to nothing,
/// stands for nothing: the key may be used anew. `over`: it came to nothing in this life, and the journal may not have
/// that yet.
fn standing(found: Found, over: bool, wall_us: i64) -> Option<Hold> {
    let settled = found.entry.map(|entry| entry.amount);
    let hold = found.journaled?;
    match (settled, hold.state) {
        (Some(amount), _) => Some(Hold { state: HoldState::Settled(amount), ..hold }),
        (None, HoldState::Settled(_)) => Some(hold),
        (None, HoldState::Released | HoldState::Expired) => None,
        (None, _) if over => None,
        (None, HoldState::Open) if hold.expires_wall_us <= wall_us => None,
        (None, _) => Some(hold),
    }
}

/// Whether a hold came to nothing. One that was settled stands, and ledger and journal say so.
pub(super) fn is_void(state: HoldState) -> bool {
    matches!(state, HoldState::Released | HoldState::Expired)
}

impl BudgetActor {
    pub(super) fn check(&mut self, check: Check, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        if live.guest {
            // Its owner alone says what a key stands for.
            return check.reply.send(Checked::NotOwner);
        }
        let hold = check.ask.id;
        let full = live.keys.waiting.len() >= self.shared.terms.limits.pending_max;
        match live.keys.waiting.get_mut(&hold) {
            Some(waiting) if waiting.len() < WAITING_MAX => waiting.push_back(check),
            None if !full => {
                live.keys.waiting.insert(hold, VecDeque::from([check]));
                self.work_on_key(hold, cx);
            }
            _ => live.answer_check(HoldAnswer::Overloaded, check.reply),
        }
    }

    fn work_on_key(&mut self, hold: Op, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let Some((_, currency)) = live.keys.first(hold) else { return };
        if let Some(refused) = live.refused(self.shared.paused.load(Relaxed), currency) {
            return live.keys.answered(hold, refused);
        }
        if live.purse.hold(hold).is_some() || live.purse.settled_hold(hold).is_some() {
            return live.grant_key(hold);
        }
        // As it is now: what is written while the store is asked, its answer may not have.
        let over = live.came_to_nothing(hold);
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.name.account));
        let look = load::find_hold(shared, account, hold);
        cx.pipe(look, move |found| Msg::KeyLooked { hold, over, found: found.map(Box::new) });
    }

    pub(super) fn key_looked(&mut self, hold: Op, over: bool, found: Result<Box<Found>, Fault>) {
        let State::Live(live) = &mut self.state else { return };
        match found {
            Ok(found) => match standing(*found, over, live.at.wall_us) {
                Some(known) => {
                    let answer = HoldAnswer::Held { hold: known, replayed: true };
                    live.keys.answered(hold, answer);
                }
                None => live.grant_key(hold),
            },
            Err(fault) => {
                live.last_error = Some(fault.to_string());
                live.keys.answered(hold, HoldAnswer::Unavailable);
            }
        }
    }

    /// Answers whoever asked under a key of what the purse has decided about, once that is durable. Whether there
    /// was anything to do.
    pub(super) fn answer_keys(&mut self, cx: &mut Cx<Self>) -> bool {
        let State::Live(live) = &mut self.state else { return false };
        let Some((hold, answer)) = live.keys.answered.pop_front() else { return self.prove(cx) };
        // A hold of this purse may not be in the journal; what the ledger has is durable, and so is what was read.
        let held = matches!(answer, HoldAnswer::Held { .. });
        let own = live.purse.hold(hold).filter(|_| held);
        match own.is_some_and(|own| !live.keys.proofs.is_proven(own)) {
            true => live.keys.proofs.wait(hold, answer),
            false => self.finish_key(hold, answer, cx),
        }
        true
    }

    fn finish_key(&mut self, hold: Op, said: HoldAnswer, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let mut first: Option<Authorise> = None;
        let mut others = Vec::new();
        for check in live.keys.waiting.remove(&hold).unwrap_or_default() {
            let ask = check.ask;
            match answer_for(&ask, first.as_ref(), &said) {
                Some(answer) => live.answer_check(answer, check.reply),
                // Nothing is granted to one who has gone, or does not wait any more.
                None if check.reply.is_closed() => {}
                None if ask.is_late(live.at) => {
                    live.answer_check(HoldAnswer::Expired, check.reply);
                }
                None => others.push(check),
            }
            first.get_or_insert(ask);
        }
        others.into_iter().for_each(|check| self.check(check, cx));
    }

    /// This node was the owner: the next one says what the key stands for.
    fn disown_key(&mut self, hold: Op) {
        let State::Live(live) = &mut self.state else { return };
        let waiting = live.keys.waiting.remove(&hold).unwrap_or_default();
        waiting.into_iter().for_each(|check| check.reply.send(Checked::NotOwner));
    }
}

impl Live {
    /// Whether this life knows that a hold came to nothing, though the journal may not yet.
    fn came_to_nothing(&self, hold: Op) -> bool {
        let ending = self.ending.iter().find(|(id, _)| *id == hold).map(|(_, state)| *state);
        let ended = self.ended.get(&hold).map(|hold| hold.state);
        ended.or(ending).is_some_and(is_void)
    }

    fn grant_key(&mut self, hold: Op) {
        let Some((ask, _)) = self.keys.first(hold) else { return };
        match self.purse.ask_now(self.at, &ask) {
            Some(answer) => self.keys.answered(hold, answer),
            None => self.wait_for_room(ask, HoldAsker::Key(hold)),
        }
    }

    fn answer_check(&mut self, answer: HoldAnswer, reply: Reply<Checked>) {
        m::hold_answered(&answer);
        if let HoldAnswer::Refused(refusal) = &answer {
            self.feed.denied(&self.budget, refusal.reason, self.at.wall_us);
        }
        reply.send(Checked::Told(self.authorised(answer)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::entry::{Day, SliceId};
    use crate::models::shield::money::Micros;
    use crate::models::shield::refusal::{Reason, Refusal};

    fn ask(body: u64) -> Authorise {
        Authorise { id: Op(7), amount: Micros(5), ttl_us: 1, body, deadline_us: 0 }
    }

    fn hold(body: u64, state: HoldState) -> Hold {
        Hold {
            id: Op(7),
            amount: Micros(5),
            window_amount: Micros(5),
            expires_us: 0,
            expires_wall_us: 100,
            slice: SliceId(1),
            window_slice: SliceId(2),
            day: Day(20_260_101),
            state,
            body,
        }
    }

    #[test]
    fn whoever_asks_under_a_key_is_told_of_its_one_hold_or_that_the_key_is_of_another_request() {
        let held = HoldAnswer::Held { hold: hold(9, HoldState::Open), replayed: false };
        let (own, other) = (ask(9), ask(8));
        assert_eq!(answer_for(&own, None, &held), Some(held.clone()));
        let again = HoldAnswer::Held { hold: hold(9, HoldState::Open), replayed: true };
        assert_eq!(answer_for(&own, Some(&own), &held), Some(again.clone()));
        assert_eq!(answer_for(&other, Some(&own), &held), Some(HoldAnswer::Mismatch));
        // Also where it stood before all of them.
        assert_eq!(answer_for(&other, None, &again), Some(HoldAnswer::Mismatch));
        assert_eq!(answer_for(&own, Some(&other), &again), Some(again));
        // What was refused to one may be granted to another, who asks for less.
        let refused = HoldAnswer::Refused(Refusal::new(Reason::Paused));
        assert_eq!(answer_for(&own, Some(&own), &refused), Some(refused.clone()));
        assert_eq!(answer_for(&other, Some(&own), &refused), None);
        assert_eq!(answer_for(&own, Some(&own), &HoldAnswer::Expired), None);
        assert_eq!(answer_for(&own, Some(&other), &HoldAnswer::Mismatch), None);
        let down = HoldAnswer::Unavailable;
        assert_eq!(answer_for(&other, Some(&own), &down), Some(down));
    }

    #[test]
    fn a_key_stands_for_what_is_open_or_settled_and_not_for_what_came_to_nothing() {
        let found = |state| Found { entry: None, journaled: Some(hold(9, state)) };
        let stands = |state, wall_us| standing(found(state), false, wall_us).map(|hold| hold.state);
        assert_eq!(stands(HoldState::Open, 99), Some(HoldState::Open));
        assert_eq!(stands(HoldState::Open, 100), None, "it has expired");
        let settled = HoldState::Settled(Micros(3));
        assert_eq!(stands(settled, 1_000), Some(settled));
        for over in [HoldState::Released, HoldState::Expired] {
            assert_eq!(stands(over, 0), None);
        }
        assert_eq!(standing(Found { entry: None, journaled: None }, false, 0), None);
    }

    #[test]
    fn what_came_to_nothing_does_so_before_the_journal_has_it_and_what_was_settled_stands() {
        let found = |state| Found { entry: None, journaled: Some(hold(9, state)) };
        assert_eq!(standing(found(HoldState::Open), true, 0), None);
        assert_eq!(standing(found(HoldState::Won(Micros(1))), true, 0), None);
        let settled = HoldState::Settled(Micros(3));
        assert_eq!(standing(found(settled), true, 0).map(|hold| hold.state), Some(settled));
        assert!(is_void(HoldState::Released) && is_void(HoldState::Expired));
        assert!(!is_void(settled), "its key is not free, whoever has forgotten the hold");
    }
}
