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
        if let Order::Allocate(terms) = &order {
            self.has_rate(terms.currency).await?;
        }
        let name = BudgetName::campaign(&self.name.account, &self.name.budget);
        let gives = matches!(order, Order::Allocate(_) | Order::Resume);
        let told = self.shared.shield.order(&name, Op(rand::random()), 0, order).await;
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
            Ok(None) => Err(Declined::Budget(Reason::NoExchangeRate)),
            Err(ShieldError::Absent) => Err(Declined::UnknownAccount),
            Err(error) => {
                tracing::warn!(%error, campaign = %self.name, "no rate could be looked up");
                Err(Declined::Unavailable)
            }
        }
    }
}
