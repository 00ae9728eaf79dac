//! What a campaign's budget is told: through SyncShield's orders alone.

use std::time::Duration;

use super::actor::CampaignActor;
use super::{Declined, Todo};
use crate::actors::kernel::Fault;
use crate::actors::shield::message::Booked;
use crate::actors::shield::{BudgetName, ShieldError};
use crate::models::flow::campaign::state::{Allocation, Campaign, Effect};
use crate::models::shield::ask::{Answer, Order};
use crate::models::shield::entry::Op;
use crate::models::shield::money::Currency;
use crate::models::shield::refusal::Reason;
use crate::models::shield::terms::Terms;

/// How long a write whose end is not known is waited for.
const DOUBTED_MAX: Duration = Duration::from_secs(5);

/// What gives: it is done before the campaign's own change is recorded, so that a budget which is refused
/// leaves the campaign as it was. Money that nobody was promised harms nobody: the next order sets it. Terms of
/// an edit that is not recorded are another matter: auctions go on, see `restore_terms`.
pub fn giving(effect: &Effect) -> Option<Order> {
    match effect {
        Effect::OpenBudget(allocation) => Some(Order::Open(terms(allocation))),
        Effect::AmendBudget(allocation) => Some(Order::Amend(terms(allocation))),
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
        if let Order::Open(terms) | Order::Amend(terms) = &order {
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

    /// Terms were ordered for an edit that did not become durable: those of the campaign as it stands are ordered
    /// again, so that nothing is authorised that no definition says. `doubted`: nobody knows what was written.
    pub(super) async fn restore_terms(&self, doubted: bool) {
        let standing = match doubted {
            true => self.stored().await,
            false => Ok(self.live.as_ref().and_then(|live| live.campaign.allocation())),
        };
        let why = match standing {
            Ok(None) => return,
            Ok(Some(allocation)) => {
                match self.tell_budget(Order::Amend(terms(&allocation))).await {
                    Ok(()) => return,
                    Err(declined) => declined.to_string(),
                }
            }
            Err(fault) => fault.to_string(),
        };
        tracing::warn!(%why, campaign = %self.name, "a budget has terms of an edit that was not stored");
    }

    /// What the campaign's budget is to be as the store has it, when what was on its way there has arrived.
    async fn stored(&self) -> Result<Option<Allocation>, Fault> {
        let writes = &self.shared.writes;
        let arrived = tokio::time::timeout(DOUBTED_MAX, writes.barrier()).await;
        arrived.map_err(|_| Fault::new("the store does not say how the campaign stands"))?;
        let row = writes.store().flow_campaign(&self.name.account, &self.name.budget).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(serde_json::from_str::<Campaign>(&row.state)?.allocation())
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
        let sets = matches!(order, Order::Allocate(_) | Order::Open(_) | Order::Amend(_));
        let gives = sets || matches!(order, Order::Resume);
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
