//! The way to a campaign's owner, for checks with a key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Checked;
use crate::actors::cluster::detour;
use crate::actors::cluster::links::LinkError;
use crate::actors::shield::message::{Authorised, Msg, Told};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::service::ShieldError;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::models::shield::entry::Op;
use crate::models::shield::money::{Currency, Micros};
use crate::models::shield::purse::Authorise;

const CHECK: &str = "shield.check";
/// Between two attempts to find an owner that changes.
const AGAIN: Duration = Duration::from_millis(20);
const AGAIN_MAX: Duration = Duration::from_millis(250);
/// Checks that other nodes may be waiting for here at a time: a link has room for other questions beside them.
const ASKED_MAX: usize = 256;
/// When one beyond those may come again.
const RETRY_AFTER_MS: u64 = 100;
/// An answer's way back: the owner's time is over before that of whoever asks.
const WAY: Duration = Duration::from_millis(50);

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
    let room = Arc::new(Semaphore::new(ASKED_MAX));
    shared.placement.links().answer_with(CHECK, move |_: Incarnation, question: Question| {
        let (shared, room) = (weak.upgrade(), Arc::clone(&room));
        async move {
            let gone = || LinkError::Refused("the service has ended".to_owned());
            let shared = shared.ok_or_else(gone)?;
            let Ok(_room) = room.try_acquire() else {
                return Ok(Said::Overloaded { retry_after_ms: RETRY_AFTER_MS });
            };
            let name = BudgetName::campaign(&question.account, &question.budget);
            Ok(check_here(&shared, &name, &question).await)
        }
    });
}

/// Has a campaign's owner, wherever it is, say what a key stands for. To ask it once more does no harm. In a box:
/// bids, which have no key, do not carry its future.
pub fn check<'a>(
    shared: &'a Shared,
    name: &'a BudgetName,
    ask: Authorise,
    currency: Option<Currency>,
    patience: Duration,
) -> BoxFuture<'a, Result<Authorised, ShieldError>> {
    Box::pin(find_and_ask(shared, name, ask, currency, patience))
}

async fn find_and_ask(
    shared: &Shared,
    name: &BudgetName,
    ask: Authorise,
    currency: Option<Currency>,
    patience: Duration,
) -> Result<Authorised, ShieldError> {
    let (began, mut again) = (Instant::now(), AGAIN);
    let until_deadline_us = ask.deadline_us.saturating_sub(clock::mono_us()).max(0);
    let patience = patience.min(Duration::from_micros(until_deadline_us.unsigned_abs()));
    loop {
        let route = shared.placement.whereabouts(name.place(), left(began, patience)).await;
        let left = left(began, patience);
        let mut question = Question {
            account: name.account.to_string(),
            budget: name.budget.to_string(),
            hold: ask.id,
            body: ask.body,
            amount: ask.amount,
            ttl_us: ask.ttl_us,
            currency,
            patience_us: micros(left),
        };
        let mut silent = false;
        let said = match route {
            Route::Here(_) => check_here(shared, name, &question).await,
            Route::Nobody => return Err(ShieldError::Unavailable),
            Route::There(node) => {
                question.patience_us = micros(owners_part(left));
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
                        silent = error == LinkError::Silent;
                        Said::NotOwner
                    }
                }
            }
        };
        if let Some(decided) = Option::from(said) {
            return decided;
        }
        // Between two owners, and until a dead one is replaced, nobody is.
        if began.elapsed() + again >= patience {
            // Of one that was asked, and did not say, nobody knows what it has done.
            return Err(if silent { ShieldError::Expired } else { ShieldError::Unavailable });
        }
        tokio::time::sleep(again).await;
        again = (again * 2).min(AGAIN_MAX);
    }
}

fn left(began: Instant, patience: Duration) -> Duration {
    patience.saturating_sub(began.elapsed())
}

/// How long the owner may take of the time that is left.
fn owners_part(left: Duration) -> Duration {
    left.saturating_sub(WAY.min(left / 2))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
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
    let make = |reply| Msg::Check { ask, currency, reply };
    match budgets.ask(&key, patience, make).await.map_err(ShieldError::from) {
        Ok(Checked::NotOwner) => Said::NotOwner,
        // It went to another node while it was asked, or the lease is over: that one finds what was granted here.
        Ok(_) | Err(ShieldError::Faulted) if !owns() => Said::NotOwner,
        Ok(Checked::Told(Told::Done(authorised))) => Said::Decided(Box::new(authorised)),
        Ok(Checked::Told(Told::Absent)) => Said::Absent,
        Ok(Checked::Told(Told::Unavailable)) => Said::Unavailable,
        Err(ShieldError::Overloaded { retry_after_ms }) => Said::Overloaded { retry_after_ms },
        Err(_) => Said::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_has_less_time_than_who_asks_and_never_none() {
        let ms = Duration::from_millis;
        assert_eq!(owners_part(ms(5_000)), ms(4_950));
        assert_eq!(owners_part(ms(60)), ms(30));
        assert_eq!(owners_part(Duration::ZERO), Duration::ZERO);
    }
}
