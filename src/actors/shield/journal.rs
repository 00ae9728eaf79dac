//! The journal of holds: those that stand for a while are written down, and how they ended.

use super::budget::{BudgetActor, Live, State};
use super::message::Msg;
use super::metrics as m;
use super::rows;
use crate::actors::kernel::Cx;
use crate::models::shield::entry::Op;
use crate::models::shield::hold::{Hold, HoldState};
use crate::store::{Outcome, Write};

/// Holds journaled in one go.
const JOURNAL_BATCH_MAX: usize = 512;
/// Releases remembered for who repeats them.
const RELEASED_KEPT: usize = 1_024;
/// How long a hold may stand before it is journaled: many are over by then.
const JOURNAL_AFTER_US: i64 = 500_000;
/// How often those that have stood so long are written.
const JOURNAL_EVERY_US: i64 = 250_000;

/// Holds that were given to the journal; those that have ended as they ended.
pub(super) type Sent = Vec<(Op, Option<Hold>)>;

impl BudgetActor {
    /// Writes holds that have stood for a while; what cannot be written now is written later.
    pub(super) fn journal(&mut self, cx: &mut Cx<Self>) {
        let State::Live(live) = &mut self.state else { return };
        let at = live.at;
        if live.journal_order.is_empty() || live.journaling || at.mono_us < live.journal_due_us {
            return;
        }
        live.journal_due_us = at.mono_us + JOURNAL_EVERY_US;
        let Some((write, sent)) = self.journal_write(at.mono_us) else { return };
        let State::Live(live) = &mut self.state else { return };
        let ends = sent.iter().filter_map(|(id, end)| Some((*id, end.as_ref()?.state)));
        live.ending = ends.collect();
        if self.is_guest() {
            return self.journal_outward(write.holds, sent, cx);
        }
        let State::Live(live) = &mut self.state else { return };
        match self.shared.committer.submit(write) {
            Ok(outcome) => {
                live.journaling = true;
                cx.pipe(
                    async move {
                        if matches!(outcome.await, Ok(Outcome::Committed)) {
                            return Vec::new();
                        }
                        m::journal_lost();
                        sent
                    },
                    Msg::Journaled,
                );
            }
            Err(_) => {
                m::journal_lost();
                live.ending.clear();
                live.journal_again(sent);
            }
        }
    }

    /// The holds whose turn has come by then.
    pub(super) fn journal_write(&mut self, until_us: i64) -> Option<(Write, Sent)> {
        let State::Live(live) = &mut self.state else { return None };
        let shard = self.name.shard();
        let mut write = Write {
            account: self.name.account.to_string(),
            budget: self.name.budget.to_string(),
            shard,
            epoch: self.shared.epoch(shard),
            ..Write::default()
        };
        let mut sent = Sent::new();
        while write.holds.len() < JOURNAL_BATCH_MAX {
            let Some((_, id)) = live.journal_order.pop_front_if(|(due, _)| *due <= until_us) else {
                break;
            };
            let at = live.at;
            let mut put = |hold: &Hold| write.holds.push(rows::hold_row(&self.name, hold, at));
            if let Some(hold) = live.purse.hold(id) {
                live.journaled.insert(id);
                put(hold);
                sent.push((id, None));
            } else if let Some(hold) = live.ended.remove(&id) {
                live.journaled.remove(&id);
                put(&hold);
                sent.push((id, Some(hold)));
            }
            // else it came and went before its turn
        }
        (!sent.is_empty()).then_some((write, sent))
    }
}

impl Live {
    /// A hold has changed: what stands, and what the journal has as standing, is written in its turn.
    pub(super) fn journal_turn(&mut self, hold: Hold) {
        let stands =
            matches!(hold.state, HoldState::Open | HoldState::Settling(_) | HoldState::Won(_));
        if !stands {
            self.keys.ended(hold.id);
        }
        if stands && hold.is_proven_elsewhere() {
            // Its notice proves it, and the ledger books it without a row of its own.
        } else if stands {
            self.queue_for_journal(hold.id);
        } else if self.journaled.contains(&hold.id) {
            let id = hold.id;
            self.ended.insert(id, hold);
            self.queue_for_journal(id);
        } else if hold.state == HoldState::Released {
            // It came and went before it was written: nobody will ask the journal for it.
            self.released.push_back(hold);
            if self.released.len() > RELEASED_KEPT {
                self.released.pop_front();
            }
        }
    }

    /// What could not be journaled has its turn once more.
    pub(super) fn journal_again(&mut self, lost: Sent) {
        for (id, ended) in lost {
            if let Some(hold) = ended {
                self.journaled.insert(id);
                self.ended.insert(id, hold);
            }
            self.queue_for_journal(id);
        }
    }

    /// Its turn comes after a while; the journal then takes it as it stands by then.
    pub(super) fn queue_for_journal(&mut self, id: Op) {
        // Holds that came and went leave their entry behind: swept before they outnumber the rest.
        if self.journal_order.len() > 4_096 + 4 * (self.ended.len() + self.purse.open_holds()) {
            let (ended, purse) = (&self.ended, &self.purse);
            self.journal_order
                .retain(|(_, id)| ended.contains_key(id) || purse.hold(*id).is_some());
        }
        self.journal_order.push_back((self.at.mono_us + JOURNAL_AFTER_US, id));
    }
}
