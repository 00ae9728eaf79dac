//! A budget in memory: what is asked of its authority and its purse, and what operators see of it.

use std::sync::Arc;

use serde::Serialize;

use super::budget::{Asker, HoldAsker, Live};
use super::message::{HoldFate, Seek, Told, Wish};
use super::names::BudgetName;
use crate::actors::kernel::Reply;
use crate::models::shield::ask::{Answer, Ask, Ticket};
use crate::models::shield::effect::{Effect, Lane};
use crate::models::shield::entry::{Now, Op, SliceId};
use crate::models::shield::hold::Hold;
use crate::models::shield::money::{Currency, Micros};
use crate::models::shield::purse::{HoldAnswer, Purse};
use crate::telemetry::spans;

/// Sampled requests of one commit that are shown it.
const TRACED_MAX: usize = 64;

#[derive(Serialize)]
pub struct LiveView {
    phase: String,
    status: &'static str,
    currency: Currency,
    funded: Micros,
    available: Micros,
    settled: Micros,
    facts: Micros,
    late: Micros,
    refunded: Micros,
    held: Micros,
    open_holds: usize,
    slices: usize,
    escrow: Micros,
    window_spent: Micros,
    requests_waiting: usize,
    ledger_seq: i64,
    version: i64,
    journal_waiting: usize,
}

impl Live {
    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub fn is_idle(&self) -> bool {
        // Of a guest's authority, what was read of it says nothing of now.
        (self.guest || self.authority.is_idle() && !self.authority.is_owing())
            && self.tells == 0
            && self.purse.is_idle()
            && self.ended.is_empty()
            && self.askers.is_empty()
            && self.hold_askers.is_empty()
            && self.looks.is_empty()
            && self.keys.is_empty()
    }

    /// The account is to be told everything once more.
    pub fn retell(&mut self) {
        let mut out = Vec::new();
        self.authority.retell(&mut out);
        self.effects.extend(out);
    }

    /// Asks this budget's authority.
    pub fn ask(&mut self, ask: Ask, asker: Asker) {
        let ticket = self.ticket();
        self.askers.insert(ticket.0, asker);
        if self.guest {
            let own = BudgetName {
                account: Arc::clone(&self.feed.account),
                budget: Arc::clone(&self.budget),
            };
            self.outward.push_back((ticket.0, own, ask));
            return;
        }
        if let Some(trace) = spans::parent()
            && self.traced.len() < TRACED_MAX
        {
            self.traced.push((ticket.0, trace));
        }
        let mut out = Vec::new();
        self.authority.ask(self.at, ticket, ask, &mut out);
        self.effects.extend(out);
    }

    pub fn with_purse(&mut self, act: impl FnOnce(&mut Purse, Now, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        act(&mut self.purse, self.at, &mut out);
        self.effects.extend(out);
    }

    pub fn seek(
        &mut self,
        hold: Op,
        wish: Wish,
        proof: Option<Box<Hold>>,
        reply: Reply<Told<HoldFate>>,
    ) {
        self.seek_for(Seek { hold, wish, proof, near: false, reply });
    }

    pub fn seek_for(&mut self, seek: Seek) {
        let (ticket, hold, wish) = (self.ticket(), seek.hold, seek.wish);
        let seek = Box::new(seek);
        match wish {
            Wish::Settle(amount) => {
                self.hold_askers.insert(ticket.0, HoldAsker::Seek(seek));
                self.with_purse(|p, at, out| p.settle(at, Some(ticket), hold, amount, out));
            }
            Wish::Release => {
                self.hold_askers.insert(ticket.0, HoldAsker::Seek(seek));
                self.with_purse(|p, at, out| p.release(at, ticket, hold, out));
            }
            Wish::Notice(price) => {
                self.hold_askers.insert(ticket.0, HoldAsker::Seek(seek));
                self.with_purse(|p, at, out| p.notice(at, ticket, hold, price, out));
            }
            Wish::Look => {
                let known = self.purse.hold(hold).cloned();
                self.hold_askers.insert(ticket.0, HoldAsker::Seek(seek));
                let answer = match known {
                    Some(hold) => HoldAnswer::Held { hold, replayed: true },
                    None => HoldAnswer::Unknown,
                };
                self.effects.push_back(Effect::Hold(ticket, answer));
            }
        }
    }

    pub fn remaining(&self) -> Micros {
        self.left.unwrap_or_else(|| self.left_here()) - self.purse.held()
    }

    /// What the authority here has left, holds aside.
    pub fn left_here(&self) -> Micros {
        let core = &self.authority.budget().core;
        core.funded + core.refunded - core.settled - core.facts
    }

    pub fn view(&self) -> LiveView {
        let core = &self.authority.budget().core;
        LiveView {
            phase: format!("{:?}", self.authority.phase()).to_lowercase(),
            status: core.status.as_str(),
            currency: core.terms.currency,
            funded: core.funded,
            available: core.available(),
            settled: core.settled,
            facts: core.facts,
            late: core.late,
            refunded: core.refunded,
            held: self.purse.held(),
            open_holds: self.purse.open_holds(),
            slices: core.slices.len(),
            escrow: core.reserved(),
            window_spent: self.authority.budget().window.sum(),
            requests_waiting: self.authority.waiting() + self.purse.waiting(),
            ledger_seq: core.seq,
            version: core.version,
            journal_waiting: self.journal_order.len(),
        }
    }

    /// The slice of a lane that a request is about.
    pub fn lane_slice(ask: &Ask) -> Option<SliceId> {
        match ask {
            Ask::Take { slice, .. } | Ask::Grow { slice, .. } | Ask::Return { slice, .. } => {
                Some(*slice)
            }
            _ => None,
        }
    }

    pub fn answered(&mut self, lane: Lane, slice: SliceId, answer: Answer) {
        self.with_purse(|p, at, out| p.answered(at, lane, slice, answer, out));
    }
}
