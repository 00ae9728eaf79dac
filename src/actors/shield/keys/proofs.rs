//! What proves that a hold under a key is in the journal. One write of a budget proves many at once: what comes while
//! one is under way goes with the next, so that keys take little of the budget's turn at the store.

use std::collections::VecDeque;

use crate::actors::kernel::Cx;
use crate::actors::shield::budget::{BudgetActor, State};
use crate::actors::shield::message::Msg;
use crate::actors::shield::metrics as m;
use crate::actors::shield::rows;
use crate::models::shield::entry::Op;
use crate::models::shield::hold::Hold;
use crate::models::shield::purse::{ById, HoldAnswer};
use crate::store::{Outcome, Write};

/// Holds that one write proves.
const PROOFS_MAX: usize = 512;

/// How the write ended that was to prove holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Written,
    /// Another node owns the campaign.
    Fenced,
    Lost,
}

impl From<Outcome> for Proof {
    fn from(outcome: Outcome) -> Proof {
        match outcome {
            Outcome::Committed => Proof::Written,
            Outcome::Fenced => Proof::Fenced,
            _ => Proof::Lost,
        }
    }
}

/// Holds, and what is said of them once they are proven.
#[derive(Default)]
pub struct Proofs {
    waiting: VecDeque<(Op, HoldAnswer)>,
    under_way: Vec<(Hold, HoldAnswer)>,
    /// Of the holds that stand: those that were proven in this life, and when that grant of them expires.
    proven: ById<i64>,
}

impl Proofs {
    pub fn is_proven(&self, hold: &Hold) -> bool {
        self.proven.get(&hold.id) == Some(&hold.expires_wall_us)
    }

    pub fn wait(&mut self, hold: Op, answer: HoldAnswer) {
        self.waiting.push_back((hold, answer));
    }

    pub fn ended(&mut self, hold: Op) {
        self.proven.remove(&hold);
    }

    /// What goes with the next write; nothing while one is under way.
    fn next(&mut self) -> Vec<(Op, HoldAnswer)> {
        if !self.under_way.is_empty() {
            return Vec::new();
        }
        let many = self.waiting.len().min(PROOFS_MAX);
        self.waiting.drain(..many).collect()
    }
}

/// Whether an answer is of this grant of a hold.
fn is_of(answer: &HoldAnswer, own: &Hold) -> bool {
    matches!(answer, HoldAnswer::Held { hold, .. } if hold.expires_wall_us == own.expires_wall_us)
}

impl BudgetActor {
    /// Writes holds that are to be proven. Whether there was anything to do.
    pub(super) fn prove(&mut self, cx: &mut Cx<Self>) -> bool {
        let State::Live(live) = &mut self.state else { return false };
        let (shard, at) = (self.name.shard(), live.at);
        let mut write = Write {
            account: self.name.account.to_string(),
            budget: self.name.budget.to_string(),
            shard,
            epoch: self.shared.epoch(shard),
            ..Write::default()
        };
        let mut over = Vec::new();
        for (id, answer) in live.keys.proofs.next() {
            match live.purse.hold(id).filter(|own| is_of(&answer, own)) {
                Some(own) => {
                    write.holds.push(rows::hold_row(&self.name, own, at));
                    // From here on its end is written, too.
                    live.journaled.insert(id);
                    live.keys.proofs.under_way.push((own.clone(), answer));
                }
                // It ended before it was told of.
                None => over.push(id),
            }
        }
        let did = !over.is_empty() || !write.holds.is_empty();
        if !write.holds.is_empty() {
            match self.shared.committer.submit(write) {
                Ok(outcome) => {
                    let proven = async move { outcome.await.map_or(Proof::Lost, Proof::from) };
                    cx.pipe(proven, Msg::KeysProven);
                }
                Err(full) => {
                    live.last_error = Some(full.to_string());
                    self.keys_proven(Proof::Lost, cx);
                }
            }
        }
        over.into_iter().for_each(|id| self.work_on_key(id, cx));
        did
    }

    /// A hold that could not be journaled stays for whoever repeats the request, or expires.
    pub(in crate::actors::shield) fn keys_proven(&mut self, proof: Proof, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let holds = std::mem::take(&mut live.keys.proofs.under_way);
        if proof == Proof::Written {
            for (hold, _) in &holds {
                // One that has ended since has nothing to be remembered for.
                let stands = live.purse.hold(hold.id);
                if stands.is_some_and(|own| own.expires_wall_us == hold.expires_wall_us) {
                    live.keys.proofs.proven.insert(hold.id, hold.expires_wall_us);
                }
            }
        } else {
            m::journal_lost();
        }
        for (hold, answer) in holds {
            match proof {
                Proof::Written => self.finish_key(hold.id, answer, cx),
                Proof::Fenced => self.disown_key(hold.id),
                Proof::Lost => self.finish_key(hold.id, HoldAnswer::Unavailable, cx),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::shield::entry::{Day, SliceId};
    use crate::models::shield::hold::HoldState;
    use crate::models::shield::money::Micros;

    fn hold(id: u128, expires_wall_us: i64) -> Hold {
        Hold {
            id: Op(id),
            amount: Micros(5),
            window_amount: Micros(5),
            expires_us: 0,
            expires_wall_us,
            slice: SliceId(1),
            window_slice: SliceId(2),
            day: Day(20_260_101),
            state: HoldState::Open,
            body: 9,
        }
    }

    #[test]
    fn what_comes_while_a_write_is_under_way_goes_with_the_next_and_no_write_is_too_large() {
        let mut proofs = Proofs::default();
        let held = |id| HoldAnswer::Held { hold: hold(id, 1), replayed: false };
        let wait = |proofs: &mut Proofs, id| proofs.wait(Op(id), held(id));
        assert!(proofs.next().is_empty());
        wait(&mut proofs, 0);
        assert_eq!(proofs.next().len(), 1);
        proofs.under_way.push((hold(0, 1), held(0)));
        for id in 1..=PROOFS_MAX as u128 + 3 {
            wait(&mut proofs, id);
        }
        assert!(proofs.next().is_empty(), "one is under way");
        proofs.under_way.clear();
        let next: Vec<Op> = proofs.next().into_iter().map(|(id, _)| id).collect();
        assert_eq!((next.len(), next[0]), (PROOFS_MAX, Op(1)), "in their order");
        assert_eq!(proofs.next().len(), 3);
    }

    #[test]
    fn a_proof_is_of_one_grant_of_a_hold() {
        let mut proofs = Proofs::default();
        assert!(!proofs.is_proven(&hold(1, 10)));
        proofs.proven.insert(Op(1), 10);
        assert!(proofs.is_proven(&hold(1, 10)));
        assert!(!proofs.is_proven(&hold(1, 11)), "granted once more under its key");
        proofs.ended(Op(1));
        assert!(!proofs.is_proven(&hold(1, 10)));
        let answer = HoldAnswer::Held { hold: hold(1, 10), replayed: true };
        assert!(is_of(&answer, &hold(1, 10)) && !is_of(&answer, &hold(1, 11)));
        assert!(!is_of(&HoldAnswer::Unavailable, &hold(1, 10)));
    }

    #[test]
    fn only_what_is_committed_proves_and_a_fence_tells_of_another_owner() {
        assert_eq!(Proof::from(Outcome::Committed), Proof::Written);
        assert_eq!(Proof::from(Outcome::Fenced), Proof::Fenced);
        assert_eq!(Proof::from(Outcome::Stale), Proof::Lost);
    }
}
