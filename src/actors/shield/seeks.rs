//! Holds that this node's purse does not know: other nodes' purses may, then the ledger and the journal. A hold is
//! looked for once at a time: whoever wants the same of it meanwhile waits for the same look, so that what is sent
//! again and again while a node is away costs no more than its place in the list.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::budget::{BudgetActor, State};
use super::far;
use super::load;
use super::message::{Found, HoldFate, Msg, Seek, Told, Wish};
use super::names::BudgetName;
use super::rows;
use super::shared::Shared;
use crate::actors::kernel::{Cx, Fault};
use crate::models::shield::entry::Op;
use crate::models::shield::hold::{Hold, HoldState};
use crate::models::shield::purse::HoldAnswer;
use crate::store::HoldRow;

/// For how long a node is asked again that does not say: one that joins has no link for a moment, and one that leaves
/// has none before it is out of the register.
const BETWEEN: Duration = Duration::from_secs(2);
/// The least and the most between two such questions.
const AGAIN: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(250)];
/// Who may wait for one look.
const WAITING_MAX: usize = 64;
/// Different things that may be wanted of one hold at a time.
const WISHES_MAX: usize = 8;

/// Holds that are being looked for.
#[derive(Default)]
pub struct Looks(HashMap<Op, Vec<Look>>);

struct Look {
    wish: Wish,
    seeks: Vec<Seek>,
}

/// What became of one that looks for a hold.
enum Joined {
    /// It is the first: the look begins.
    First,
    /// It waits with others.
    Waits,
    /// As many wait as may.
    Full(Box<Seek>),
}

impl Looks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn join(&mut self, seek: Box<Seek>) -> Joined {
        let looks = self.0.entry(seek.hold).or_default();
        if let Some(look) = looks.iter_mut().find(|look| look.wish == seek.wish) {
            // Those that gave up wait no more; the look goes on for whoever comes.
            look.seeks.retain(|waiting| !waiting.reply.is_closed());
            if look.seeks.len() >= WAITING_MAX {
                return Joined::Full(seek);
            }
            look.seeks.push(*seek);
            return Joined::Waits;
        }
        if looks.len() >= WISHES_MAX {
            return Joined::Full(seek);
        }
        looks.push(Look { wish: seek.wish, seeks: vec![*seek] });
        Joined::First
    }

    /// The look has come to its end: who waited for it.
    fn end(&mut self, hold: Op, wish: Wish) -> Vec<Seek> {
        let Some(looks) = self.0.get_mut(&hold) else { return Vec::new() };
        let at = looks.iter().position(|look| look.wish == wish);
        let ended = at.map(|at| looks.swap_remove(at).seeks).unwrap_or_default();
        if looks.is_empty() {
            self.0.remove(&hold);
        }
        ended
    }
}

/// Asks other nodes for a hold, and those that do not say once more, for a moment.
async fn look(
    shared: &Shared,
    name: &BudgetName,
    hold: Op,
    wish: Wish,
) -> Result<Option<HoldFate>, Fault> {
    let began = Instant::now();
    let [mut pause, most] = AGAIN;
    loop {
        let found = far::look(shared, name, hold, wish).await;
        if found.is_ok() || began.elapsed() + pause >= BETWEEN {
            return found;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(most);
    }
}

/// Has a row of the journal written by whoever owns the budget, and tries again for a moment: budgets move. Twice is as
/// good as once.
async fn journaled(shared: &Shared, name: &BudgetName, row: HoldRow) -> bool {
    let began = Instant::now();
    let [mut pause, most] = AGAIN;
    loop {
        let rows = vec![row.clone()];
        let done = match shared.placement.admits(name.place()) {
            true => far::journal_own(shared, name, rows).await,
            false => far::journal(shared, name, rows).await,
        };
        if done || began.elapsed() + pause >= BETWEEN {
            return done;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(most);
    }
}

impl BudgetActor {
    /// A hold that this node's purse does not know: another node's may, then the ledger and the journal.
    pub(super) fn seek_outward(&mut self, seek: Box<Seek>, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let (hold, wish) = (seek.hold, seek.wish);
        match live.looks.join(seek) {
            Joined::First => {}
            Joined::Waits => return,
            Joined::Full(seek) => {
                let full = HoldFate::Answer(HoldAnswer::Overloaded);
                return seek.reply.send(Told::Done(full));
            }
        }
        if self.shared.placement.is_alone() {
            return self.sought(hold, wish, Ok(None), cx);
        }
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let looking = async move { look(&shared, &name, hold, wish).await };
        cx.pipe(looking, move |found| {
            let found = found.map(|fate| fate.map(Box::new));
            Msg::Sought { hold, wish, found }
        });
    }

    /// Another purse has it, or none, or nobody can say.
    pub(super) fn sought(
        &mut self,
        hold: Op,
        wish: Wish,
        found: Result<Option<Box<HoldFate>>, Fault>,
        cx: &mut Cx<Self>,
    ) {
        let State::Live(live) = &mut self.state else { return };
        let fate = match found {
            Ok(Some(fate)) => Told::Done(*fate),
            // Of what is not in memory there is nothing to keep: whoever tells it books it late (rule 1).
            Ok(None) if matches!(wish, Wish::Notice(_)) => {
                Told::Done(HoldFate::Answer(HoldAnswer::Unknown))
            }
            Ok(None) => {
                let (shared, account) = (Arc::clone(&self.shared), Arc::clone(&self.name.account));
                let look = load::find_hold(shared, account, hold);
                cx.pipe(look, move |found| Msg::Resolved {
                    hold,
                    wish,
                    found: found.map(Box::new),
                });
                return;
            }
            Err(fault) => {
                live.last_error = Some(fault.to_string());
                Told::Unavailable
            }
        };
        for seek in live.looks.end(hold, wish) {
            seek.reply.send(fate.clone());
        }
    }

    /// What ledger and journal know of it.
    pub(super) fn found(
        &mut self,
        hold: Op,
        wish: Wish,
        found: Result<Box<Found>, Fault>,
        cx: &mut Cx<Self>,
    ) {
        let State::Live(live) = &mut self.state else { return };
        if let Ok(found) = &found
            && wish == Wish::Release
            && self.shared.has_neighbours()
            && let Some(left) = live.left_behind(found)
        {
            return self.let_go_of(left, cx);
        }
        let seeks = live.looks.end(hold, wish);
        match found {
            Ok(found) => seeks.into_iter().for_each(|seek| live.resolved(seek, (*found).clone())),
            Err(fault) => {
                live.last_error = Some(fault.to_string());
                seeks.into_iter().for_each(|seek| seek.reply.send(Told::Unavailable));
            }
        }
    }

    /// Writes that a hold whose purse is gone was released, before anybody is told so: its key stands for it until
    /// then, at whichever node is asked.
    fn let_go_of(&mut self, left: Hold, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let released = Hold { state: HoldState::Released, ..left };
        let row = rows::hold_row(&self.name, &released, live.at);
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let written = async move { journaled(&shared, &name, row).await };
        let hold = released.id;
        cx.pipe(written, move |written| {
            let found = Found { entry: None, journaled: Some(released) };
            let unwritten = || Fault::new("the release of a hold could not be written");
            let found = written.then(|| Box::new(found)).ok_or_else(unwritten);
            Msg::Resolved { hold, wish: Wish::Release, found }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::kernel::Reply;
    use crate::models::shield::money::Micros;

    const HOLD: Op = Op(7);

    fn seek(wish: Wish) -> Box<Seek> {
        let reply = Reply::detached();
        Box::new(Seek { hold: HOLD, wish, proof: None, near: false, reply })
    }

    #[test]
    fn who_wants_the_same_of_a_hold_waits_for_one_look_and_others_for_their_own() {
        let mut looks = Looks::default();
        let settle = |amount| Wish::Settle(Micros(amount));
        assert!(matches!(looks.join(seek(settle(1))), Joined::First));
        assert!(matches!(looks.join(seek(settle(1))), Joined::Waits));
        assert!(matches!(looks.join(seek(settle(2))), Joined::First), "another amount");
        assert!(matches!(looks.join(seek(Wish::Release)), Joined::First));
        let ended = looks.end(HOLD, settle(2));
        assert_eq!((ended.len(), ended[0].wish), (1, settle(2)));
        // The one that nobody waits for any more is left to the one that came last.
        assert_eq!(looks.end(HOLD, settle(1)).len(), 1);
        assert_eq!(looks.end(HOLD, settle(1)).len(), 0, "it has ended");
        assert_eq!(looks.end(HOLD, Wish::Release).len(), 1);
        assert!(looks.is_empty());
    }

    #[test]
    fn no_more_is_wanted_of_a_hold_at_a_time_than_may_be() {
        let mut looks = Looks::default();
        for amount in 0..WISHES_MAX as i64 {
            assert!(matches!(looks.join(seek(Wish::Settle(Micros(amount)))), Joined::First));
        }
        let more = Wish::Settle(Micros(i64::MAX));
        assert!(matches!(looks.join(seek(more)), Joined::Full(seek) if seek.wish == more));
    }
}
