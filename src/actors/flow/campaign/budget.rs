//! What a campaign's budget is told: through SyncShield's orders alone.

use super::actor::CampaignActor;
use super::{Declined, Todo};
use crate::actors::shield::message::Booked;
use crate::actors::shield::{BudgetName, ShieldError};
use crate::models::flow::campaign::state::{Allocation, Effect};
use crate::models::shield::ask::{Answer, Order};
use crate::models::shield::entry::Op;
use crate::models::shield::money::Currency;
use crate::models::shield::refusal::Reason;
use crate::models::shield::terms::Terms;

/// What gives: it is done before the campaign's own change is recorded, so that a budget which is refused
/// leaves the campaign as it was. Money that nobody was promised harms nobody: the next order sets it.
pub fn giving(effect: &Effect) -> Option<Order> {
    match effect {
        Effect::OpenBudget(allocation) => Some(Order::Open(terms(allocation))),
        Effect::Allocate(allocation) => Some(Order::Allocate(terms(allocation))),
        Effect::ResumeBudget => Some(Order::Resume),
        _ => None,
    }
}

/// What takes away: it is recorded with the campaign's own change, and done behind it.
pub fn taking(effect: &Effect) -> Option<Todo> {
    match effect {
        Effect::PauseBudget => Some(Todo::PauseBudget),
        Effect::EndBudget => Some(Todo::EndBudget),
        _ => None,
    }
}

impl Todo {
    pub fn order(self) -> Order {
        match self {
            Todo::PauseBudget => Order::Pause,
            Todo::EndBudget => Order::End,
        }
    }
}

fn terms(of: &Allocation) -> Terms {
    Terms {
        daily: of.daily,
        time_zone: of.time_zone.clone(),
        starts_us: of.starts_us,
        ends_us: of.ends_us,
        ..Terms::campaign(of.currency, of.amount)
    }
}

impl CampaignActor {
    /// Orders it of the budget. All of these set something: done twice, they are as done once.
    pub(super) async fn tell_budget(&self, order: Order) -> Result<(), Declined> {
        if let Order::Allocate(terms) | Order::Open(terms) = &order {
            self.has_rate(terms.currency).await?;
        }
        let Order::Open(terms) = order else {
            return self.order_budget(Op(rand::random()), order).await;
        };
        let opening = self.opening();
        match self.order_budget(opening, Order::Open(terms.clone())).await {
            // A start that went no further has made it. What it allows may have been edited since.
            Err(Declined::Budget(Reason::Taken)) if self.is_done(opening).await? => {
                self.order_budget(Op(rand::random()), Order::Allocate(terms)).await
            }
            told => told,
        }
    }

    /// Names the one order that makes this campaign's budget: of another draft of the same name it is another
    /// one, and nobody else has it. So the budget is this campaign's where this is done.
    fn opening(&self) -> Op {
        let created_us = self.live.as_ref().map_or(0, |live| live.campaign.created_us).to_string();
        Op::of(&["flow opens", &self.name.account, &self.name.budget, &created_us])
    }

    async fn is_done(&self, op: Op) -> Result<bool, Declined> {
        let store = self.shared.writes.store();
        let found = store.operation(&self.name.account, &op.to_string()).await;
        found.map(|row| row.is_some()).map_err(|error| {
            tracing::warn!(%error, campaign = %self.name, "nobody can say whose the budget is");
            Declined::Unavailable
        })
    }

    async fn order_budget(&self, op: Op, order: Order) -> Result<(), Declined> {
        let name = BudgetName::campaign(&self.name.account, &self.name.budget);
        let gives = matches!(order, Order::Allocate(_) | Order::Open(_) | Order::Resume);
        let told = self.shared.shield.order(&name, op, 0, order).await;
        match told {
            Ok(Booked::Ordered { .. } | Booked::Answer(Answer::OrderReplayed { .. })) => Ok(()),
            Ok(Booked::Refused(reason)) => Err(Declined::Budget(reason)),
            // There is nothing to take away.
            Err(ShieldError::Absent) if !gives => Ok(()),
            Err(ShieldError::Absent) => Err(Declined::UnknownAccount),
            Ok(Booked::Answer(answer)) => {
                tracing::warn!(?answer, campaign = %name, "the budget did not take an order");
                Err(Declined::Unavailable)
            }
            Err(error) => {
                tracing::warn!(%error, campaign = %name, "the budget did not take an order");
                Err(Declined::Unavailable)
            }
        }
    }

    /// Money in a currency that nothing says the worth of is never granted: a campaign that asks for it is told
    /// so before it starts, not by bids that never come.
    async fn has_rate(&self, currency: Currency) -> Result<(), Declined> {
        match self.shared.shield.rate(&self.name.account, currency).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(self.no_rate(currency).await),
            Err(ShieldError::Absent) => Err(Declined::UnknownAccount),
            Err(error) => {
                tracing::warn!(%error, campaign = %self.name, "no rate could be looked up");
                Err(Declined::Unavailable)
            }
        }
    }

    async fn no_rate(&self, from: Currency) -> Declined {
        match self.shared.writes.store().account(&self.name.account).await {
            Ok(Some(account)) => Declined::NoRate { from, to: account.currency },
            Ok(None) => Declined::UnknownAccount,
            Err(error) => {
                tracing::warn!(%error, campaign = %self.name, "the account cannot be read");
                Declined::Unavailable
            }
        }
    }
}
