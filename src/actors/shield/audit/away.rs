//! Logs of accounts whose home is another node: what happens here is told there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::feed::{Denied, Turned};
use super::{AppendError, Appended, Msg};
use crate::actors::cluster::Placement;
use crate::actors::cluster::links::LinkError;
use crate::actors::kernel::AskError;
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::models::cluster::member::Route;

const APPEND: &str = "audit.append";
const FLUSH: &str = "audit.flush";
const FEED: &str = "audit.feed";

/// How long a log that is between two nodes is waited for.
const BETWEEN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines and budgets of one message.
const LINES_MAX: usize = 4_096;

#[derive(Serialize, Deserialize)]
struct Lines {
    account: String,
    lines: Vec<String>,
}

/// What a feed has for a log elsewhere. Bookings are in the ledger: their budgets suffice.
#[derive(Default, Serialize, Deserialize)]
struct Fed {
    account: String,
    budgets: BTreeSet<String>,
    denied: Vec<Denied>,
    turned: Vec<Turned>,
}

fn unanswered(error: LinkError) -> AppendError {
    match error {
        LinkError::NotUnderstood(why) => AppendError::NoRecord(why),
        LinkError::Full => AppendError::Unanswered(AskError::Overloaded { retry_after_ms: 1_000 }),
        LinkError::Away | LinkError::Silent | LinkError::Refused(_) => {
            AppendError::Unanswered(AskError::Expired)
        }
    }
}

/// Where an account's log is written.
async fn home(placement: &Placement, account: &str, patience: Duration) -> Route {
    placement.whereabouts(BudgetName::account(account).place(), BETWEEN.min(patience)).await
}

/// Appends lines to a log on another node. `None`: the log is here.
pub async fn append(
    placement: &Placement,
    account: &str,
    lines: &[String],
    patience: Duration,
) -> Option<Result<Appended, AppendError>> {
    let node = match home(placement, account, patience).await {
        Route::Here(_) => return None,
        Route::Nobody => return Some(Err(AppendError::Unanswered(AskError::Expired))),
        Route::There(node) => node,
    };
    let told = Lines { account: account.to_owned(), lines: lines.to_vec() };
    let asked = placement.links().ask_for(node, APPEND, &told, patience).await;
    Some(asked.map(|size| Appended { size }).map_err(unanswered))
}

/// Waits for a log on another node. `None`: the log is here.
pub async fn flush(
    placement: &Placement,
    account: &str,
    patience: Duration,
) -> Option<Result<Appended, AppendError>> {
    let node = match home(placement, account, patience).await {
        Route::Here(_) => return None,
        Route::Nobody => return Some(Err(AppendError::Unanswered(AskError::Expired))),
        Route::There(node) => node,
    };
    let asked = placement.links().ask_for(node, FLUSH, &account, patience).await;
    Some(asked.map(|size| Appended { size }).map_err(unanswered))
}

/// Sends what waits in an account's feed to the log's node; `all`: what only waits for its minute, too. What
/// cannot be sent waits on.
pub async fn send(shared: Arc<Shared>, account: Arc<str>, all: bool) {
    let Route::There(node) = home(&shared.placement, &account, Duration::ZERO).await else {
        return;
    };
    let feed = shared.audit.feeds.of(&account);
    let booked = feed.take_booked();
    let fed = Fed {
        account: account.to_string(),
        budgets: booked.iter().map(|booked| booked.budget.to_string()).collect(),
        denied: feed.take_denied(all),
        turned: feed.take_turned(all),
    };
    let sent: Result<(), LinkError> =
        shared.placement.links().ask_for(node, FEED, &fed, PATIENCE).await;
    // Where nobody knows whether it was counted, it is rather counted twice.
    if let Err(error) = sent {
        tracing::debug!(%error, %account, "what waits for the log of {account} waits on");
        feed.again(booked, fed.denied, fed.turned);
    }
}

/// Answers for the logs that are here.
pub fn serve(shared: &Arc<Shared>) {
    let links = shared.placement.links();
    let here = {
        let weak = Arc::downgrade(shared);
        move |account: &str| {
            let refused = |why: &str| LinkError::Refused(why.to_owned());
            let shared = weak.upgrade().ok_or_else(|| refused("the service has ended"))?;
            match shared.placement.admits(BudgetName::account(account).place()) {
                true => Ok(shared),
                false => Err(refused("the log is not here")),
            }
        }
    };
    let failed = |error: AppendError| LinkError::Refused(error.to_string());
    let own = here.clone();
    links.answer_with(APPEND, move |_, Lines { account, lines }: Lines| {
        let shared = own(&account);
        async move {
            if lines.len() > LINES_MAX {
                return Err(LinkError::NotUnderstood("too many lines".to_owned()));
            }
            let done = shared?.audit.append_lines(&account, lines, PATIENCE).await;
            done.map(|done| done.size).map_err(failed)
        }
    });
    let own = here.clone();
    links.answer_with(FLUSH, move |_, account: String| {
        let shared = own(&account);
        async move { shared?.audit.flush(&account, PATIENCE).await.map(|d| d.size).map_err(failed) }
    });
    links.answer_with(FEED, move |_, fed: Fed| {
        let shared = here(&fed.account);
        async move {
            let shared = shared?;
            let logs = shared.audit.logs().map_err(failed)?;
            let feed = shared.audit.feeds.of(&Arc::from(fed.account.as_str()));
            feed.again(Vec::new(), fed.denied, fed.turned);
            for budget in fed.budgets.into_iter().take(LINES_MAX) {
                let told = logs.tell(&fed.account, Msg::CatchUp(budget.into()));
                told.map_err(|refused| LinkError::Refused(format!("{refused:?}")))?;
            }
            Ok(())
        }
    });
}
