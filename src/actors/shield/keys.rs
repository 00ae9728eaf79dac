//! Checks with a key, where several nodes answer. One key is one hold, whichever node is asked: the campaign's owner
//! says which. It grants nothing under a key before it has looked into the journal, and says of no hold under a key
//! before that is in the journal, under the epoch of its shard. So an owner that was replaced cannot have told of a
//! hold that the next one does not find, and one that has been replaced without knowing tells of none.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::budget::{BudgetActor, HoldAsker, Live, State};
use super::load;
use super::message::{Authorised, Found, Msg, Told};
use super::metrics as m;
use super::names::BudgetName;
use super::rows;
use super::service::ShieldError;
use super::shared::Shared;
use crate::actors::cluster::detour;
use crate::actors::cluster::links::LinkError;
use crate::actors::kernel::{Cx, Fault, Reply};
use crate::clock;
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::models::shield::entry::Op;
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::money::{Currency, Micros};
use crate::models::shield::purse::{Authorise, HoldAnswer};
use crate::store::{Outcome, Write};

const CHECK: &str = "shield.check";
/// Between two attempts to find an owner that changes.
const AGAIN: Duration = Duration::from_millis(20);
/// Who may wait for one key.
const WAITING_MAX: usize = 64;

/// A check, and who waits for its answer.
pub struct Check {
    pub ask: Authorise,
    pub currency: Option<Currency>,
    pub reply: Reply<Told<Authorised>>,
}

/// Keys that are being worked on.
#[derive(Default)]
pub struct Keys {
    /// By the hold that a key names: who asks under it, the first of whom is worked for.
    waiting: HashMap<Op, VecDeque<Check>>,
    /// What the purse has said to the first.
    answered: VecDeque<(Op, HoldAnswer)>,
}

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn answered(&mut self, hold: Op, answer: HoldAnswer) {
        self.answered.push_back((hold, answer));
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
/// stands for nothing: the key may be used anew.
fn standing(found: Found, wall_us: i64) -> Option<Hold> {
    let settled = found.entry.map(|entry| entry.amount);
    let hold = found.journaled?;
    match (settled, hold.state) {
        (Some(amount), _) => Some(Hold { state: HoldState::Settled(amount), ..hold }),
        (None, HoldState::Released | HoldState::Expired) => None,
        (None, HoldState::Open) if hold.expires_wall_us <= wall_us => None,
        (None, _) => Some(hold),
    }
}

impl BudgetActor {
    pub(super) fn check(&mut self, check: Check, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        if live.guest {
            // Its owner alone says what a key stands for.
            return check.reply.send(Told::Unavailable);
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
        if live.knows(hold) {
            return live.grant_key(hold);
        }
        let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.name.account));
        let look = load::find_hold(shared, account, hold);
        cx.pipe(look, move |found| Msg::KeyLooked { hold, found: found.map(Box::new) });
    }

    pub(super) fn key_looked(&mut self, hold: Op, found: Result<Box<Found>, Fault>) {
        let State::Live(live) = &mut self.state else { return };
        match found {
            Ok(found) => match standing(*found, live.at.wall_us) {
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
        let Some((hold, answer)) = live.keys.answered.pop_front() else { return false };
        // A hold of this purse may not be in the journal; what the ledger has is durable, and so is what was read.
        let own = live.purse.hold(hold).filter(|_| matches!(answer, HoldAnswer::Held { .. }));
        match own.cloned() {
            Some(own) => self.prove(own, answer, cx),
            None => self.finish_key(hold, answer, cx),
        }
        true
    }

    fn prove(&mut self, hold: Hold, answer: HoldAnswer, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let shard = self.name.shard();
        let write = Write {
            account: self.name.account.to_string(),
            budget: self.name.budget.to_string(),
            shard,
            epoch: self.shared.epoch(shard),
            holds: vec![rows::hold_row(&self.name, &hold, live.at)],
            ..Write::default()
        };
        let id = hold.id;
        match self.shared.committer.submit(write) {
            Ok(outcome) => {
                // From here on its end is written, too.
                live.journaled.insert(id);
                let answer = Box::new(answer);
                let proven = async move { matches!(outcome.await, Ok(Outcome::Committed)) };
                cx.pipe(proven, move |done| Msg::KeyProven { hold: id, answer, done });
            }
            Err(full) => {
                live.last_error = Some(full.to_string());
                self.key_proven(id, answer, false, cx);
            }
        }
    }

    /// A hold that could not be journaled stays for whoever repeats the request, or expires.
    pub(super) fn key_proven(
        &mut self,
        hold: Op,
        answer: HoldAnswer,
        done: bool,
        cx: &mut Cx<Self>,
    ) {
        if !done {
            m::journal_lost();
        }
        let answer = if done { answer } else { HoldAnswer::Unavailable };
        self.finish_key(hold, answer, cx);
    }

    fn finish_key(&mut self, hold: Op, said: HoldAnswer, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let mut first: Option<Authorise> = None;
        let mut others = Vec::new();
        for check in live.keys.waiting.remove(&hold).unwrap_or_default() {
            let ask = check.ask;
            match answer_for(&ask, first.as_ref(), &said) {
                Some(answer) => live.answer_check(answer, check.reply),
                None => others.push(check),
            }
            first.get_or_insert(ask);
        }
        others.into_iter().for_each(|check| self.check(check, cx));
    }
}

impl Live {
    /// Whether this life knows what became of a hold, though the journal may not yet.
    fn knows(&self, hold: Op) -> bool {
        let stands = self.purse.hold(hold).is_some() || self.purse.settled_hold(hold).is_some();
        stands || self.ended.contains_key(&hold) || self.ending.contains(&hold)
    }

    fn grant_key(&mut self, hold: Op) {
        let Some((ask, _)) = self.keys.first(hold) else { return };
        match self.purse.ask_now(self.at, &ask) {
            Some(answer) => self.keys.answered(hold, answer),
            None => self.wait_for_room(ask, HoldAsker::Key(hold)),
        }
    }

    fn answer_check(&mut self, answer: HoldAnswer, reply: Reply<Told<Authorised>>) {
        m::hold_answered(&answer);
        if let HoldAnswer::Refused(refusal) = &answer {
            self.feed.denied(&self.budget, refusal.reason, self.at.wall_us);
        }
        reply.send(self.authorised(answer));
    }
}

/// A check as one node asks another.
#[derive(Serialize, Deserialize)]
struct Question {
    account: String,
    budget: String,
    hold: Op,
    body: u64,
    amount: Micros,
    ttl_us: i64,
    currency: Option<Currency>,
    /// How long whoever asks waits from here on.
    patience_us: i64,
}

/// What the owner says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Decided(Box<Authorised>),
    NotOwner,
    Absent,
    Unavailable,
    Overloaded { retry_after_ms: u64 },
    Unanswered,
}

impl From<Said> for Option<Result<Authorised, ShieldError>> {
    fn from(said: Said) -> Self {
        Some(match said {
            Said::Decided(authorised) => Ok(*authorised),
            Said::NotOwner => return None,
            Said::Absent => Err(ShieldError::Absent),
            Said::Unavailable => Err(ShieldError::Unavailable),
            Said::Overloaded { retry_after_ms } => Err(ShieldError::Overloaded { retry_after_ms }),
            Said::Unanswered => Err(ShieldError::Expired),
        })
    }
}

/// Answers what other nodes ask.
pub fn serve(shared: &Arc<Shared>) {
    let weak = Arc::downgrade(shared);
    shared.placement.links().answer_with(CHECK, move |_: Incarnation, question: Question| {
        let shared = weak.upgrade();
        async move {
            let gone = || LinkError::Refused("the service has ended".to_owned());
            let shared = shared.ok_or_else(gone)?;
            let name = BudgetName::campaign(&question.account, &question.budget);
            Ok(check_here(&shared, &name, &question).await)
        }
    });
}

/// Has a campaign's owner, wherever it is, say what a key stands for. To ask it once more does no harm.
pub async fn check(
    shared: &Shared,
    name: &BudgetName,
    ask: Authorise,
    currency: Option<Currency>,
    patience: Duration,
) -> Result<Authorised, ShieldError> {
    let began = Instant::now();
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let left_us = i64::try_from(left.as_micros()).unwrap_or(i64::MAX);
        let question = Question {
            account: name.account.to_string(),
            budget: name.budget.to_string(),
            hold: ask.id,
            body: ask.body,
            amount: ask.amount,
            ttl_us: ask.ttl_us,
            currency,
            patience_us: left_us.min(ask.deadline_us.saturating_sub(clock::mono_us())),
        };
        let said = match shared.placement.whereabouts(name.place(), left).await {
            Route::Here(_) => check_here(shared, name, &question).await,
            Route::Nobody => return Err(ShieldError::Unavailable),
            Route::There(node) => {
                let links = shared.placement.links();
                match links.ask_for(node, CHECK, &question, left).await {
                    Ok(said) => said,
                    Err(LinkError::NotUnderstood(_)) => {
                        // It is of a release before this one: it answers the whole request, as its owner.
                        detour::want(name.place());
                        return Err(ShieldError::Unavailable);
                    }
                    Err(error) => {
                        tracing::debug!(%error, budget = %name, %node, "the owner of {name} was not reached");
                        Said::NotOwner
                    }
                }
            }
        };
        if let Some(decided) = Option::from(said) {
            return decided;
        }
        // Between two owners, and until a dead one is replaced, nobody is.
        if began.elapsed() + AGAIN >= patience {
            return Err(ShieldError::Unavailable);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn check_here(shared: &Shared, name: &BudgetName, question: &Question) -> Said {
    let owns = || shared.placement.serves() && shared.placement.admits(name.place());
    if !owns() {
        return Said::NotOwner;
    }
    let Some(budgets) = shared.budgets.get() else { return Said::Unavailable };
    let patience_us = question.patience_us.max(0);
    let ask = Authorise {
        id: question.hold,
        amount: question.amount,
        ttl_us: question.ttl_us.clamp(1, shared.terms.limits.hold_ttl_max_us),
        body: question.body,
        deadline_us: clock::mono_us().saturating_add(patience_us),
    };
    if !ask.is_keyed() || ask.amount <= Micros::ZERO {
        return Said::Unavailable;
    }
    let (currency, key) = (question.currency, name.key(&shared.terms.default_account));
    let patience = Duration::from_micros(patience_us.unsigned_abs());
    let make = |reply| Msg::Authorise { ask, currency, reply };
    match budgets.ask(&key, patience, make).await.map_err(ShieldError::from) {
        Ok(Told::Done(authorised)) => Said::Decided(Box::new(authorised)),
        Ok(Told::Absent) => Said::Absent,
        // It went to another node while it was asked.
        Ok(Told::Unavailable) | Err(ShieldError::Faulted) if !owns() => Said::NotOwner,
        Err(ShieldError::Overloaded { retry_after_ms }) => Said::Overloaded { retry_after_ms },
        Ok(Told::Unavailable) => Said::Unavailable,
        Err(_) => Said::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::entry::{Day, SliceId};
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
        let stands = |state, wall_us| standing(found(state), wall_us).map(|hold| hold.state);
        assert_eq!(stands(HoldState::Open, 99), Some(HoldState::Open));
        assert_eq!(stands(HoldState::Open, 100), None, "it has expired");
        let settled = HoldState::Settled(Micros(3));
        assert_eq!(stands(settled, 1_000), Some(settled));
        for over in [HoldState::Released, HoldState::Expired] {
            assert_eq!(stands(over, 0), None);
        }
        assert_eq!(standing(Found { entry: None, journaled: None }, 0), None);
    }
}
