//! How breakers stand: decisions say so, and every change is one.

use super::{JournalActor, fresh};
use crate::clock;
use crate::models::breaker;
use crate::models::flow::decision::record::BreakerState;
use crate::models::flow::decision::{ChangeOf, Decision, Kind};

fn stands(breaker: breaker::BreakerState) -> BreakerState {
    match breaker {
        breaker::BreakerState::Closed => BreakerState::Closed,
        breaker::BreakerState::Open => BreakerState::Open,
        breaker::BreakerState::HalfOpen => BreakerState::HalfOpen,
    }
}

impl JournalActor {
    pub(super) fn stamp(&self, decision: &mut Decision) {
        (decision.breaker, decision.ltv_breaker) = (Some(self.breaker), Some(self.ltv_breaker));
    }

    /// Decisions say how breakers stood when they were made, and their changes are told.
    pub(super) fn look_at_breakers(&mut self) {
        let now = stands(self.writes.breaker());
        let before = std::mem::replace(&mut self.breaker, now);
        self.turned("breaker", before, now);
        let now = stands(self.office.value.breaker());
        let before = std::mem::replace(&mut self.ltv_breaker, now);
        self.turned("ltv_breaker", before, now);
    }

    fn turned(&mut self, what: &str, before: BreakerState, now: BreakerState) {
        if before != now {
            let change = ChangeOf::new(what, before.as_str(), now.as_str());
            let of = Decision::new(Kind::Change, &self.office.terms.account, clock::wall_us());
            self.other(fresh(), Decision { change: Some(change), ..of });
        }
    }
}
