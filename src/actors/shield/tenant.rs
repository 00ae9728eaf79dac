//! What SyncShield keeps of a shard, when the shard goes to another node.

use std::sync::Weak;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::names::BudgetName;
use super::person::PersonName;
use super::shared::Shared;
use crate::actors::cluster::Tenant;
use crate::models::cluster::shard::Shard;

/// How long what is under way may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(4);

pub struct ShieldTenant(pub Weak<Shared>);

impl Tenant for ShieldTenant {
    fn leave(&self, shard: Shard) -> BoxFuture<'static, ()> {
        let shared = Weak::clone(&self.0);
        Box::pin(async move { end(&shared, shard, true).await })
    }

    fn evict(&self, shard: Shard) -> BoxFuture<'static, ()> {
        let shared = Weak::clone(&self.0);
        Box::pin(async move { end(&shared, shard, false).await })
    }
}

/// Ends who is in a shard: who asks others first, the log, which all of them tell, last.
async fn end(shared: &Weak<Shared>, shard: Shard, orderly: bool) {
    let Some(shared) = shared.upgrade() else { return };
    let default = &shared.terms.default_account;
    let of_account = |account: &str| BudgetName::account(account).place() == shard;
    let of_campaign = |key: &str| BudgetName::of_campaign_key(key, default).place() == shard;
    // A request's key is of the form of a person's: its account and its id.
    let of_person = |key: &str| of_account(&PersonName::of_key(key).account);
    if let Some(requests) = shared.dsrs.entities.get() {
        requests.end_where(of_person, orderly, PATIENCE).await;
    }
    if let Some(people) = shared.persons.entities.get() {
        people.end_where(of_person, orderly, PATIENCE).await;
    }
    if let Some(budgets) = shared.budgets.get() {
        budgets.end_where(of_campaign, orderly, PATIENCE).await;
    }
    if let Some(accounts) = shared.accounts.get() {
        accounts.end_where(of_account, orderly, PATIENCE).await;
    }
    if let Some(logs) = shared.audit.logs.get() {
        logs.end_where(of_account, orderly, PATIENCE).await;
    }
    if orderly {
        // What was handed over for writing is decided before the shard is let go.
        let _ = tokio::time::timeout(PATIENCE, shared.committer.barrier()).await;
    }
}
