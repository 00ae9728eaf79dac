//! What becomes of campaigns here when their shard goes to another node.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::journal;
use super::owned::shard_of;
use super::shared::Shared;
use crate::actors::cluster::Tenant;
use crate::models::cluster::shard::Shard;

/// How long each kind of them may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// The campaigns, their bidders, and what is known of their bids.
pub struct Campaigns(pub Weak<Shared>);

impl Tenant for Campaigns {
    fn leave(&self, shard: Shard) -> BoxFuture<'static, ()> {
        let shared = self.0.clone();
        Box::pin(end(shared, shard, true))
    }

    fn evict(&self, shard: Shard) -> BoxFuture<'static, ()> {
        let shared = self.0.clone();
        Box::pin(end(shared, shard, false))
    }
}

/// Ends what is here of a shard. Nothing new begins meanwhile: it is not admitted any more. `orderly`: what is in
/// memory is stored before.
async fn end(shared: Weak<Shared>, shard: Shard, orderly: bool) {
    let Some(shared) = shared.upgrade() else { return };
    let default_account = &shared.terms.default_account;
    let whose = |key: &str| shard_of(key, default_account) == shard;
    shared.roster.leave_shard(shard, whose);
    if let Some(campaigns) = shared.campaigns.get() {
        campaigns.end_where(whose, orderly, PATIENCE).await;
        // What was told of them meanwhile.
        shared.roster.leave_shard(shard, whose);
    }
    let Some(office) = shared.parts.office.get().map(Arc::clone) else { return };
    // CO-1: of people whose account has its home in this shard, changes are heard of at another node from now on. What
    // is known of whom is not kept by account; all of it is asked for again.
    office.ltv.forget_all();
    if let Some(bidders) = office.bidders.get() {
        bidders.end_where(whose, orderly, PATIENCE).await;
    }
    office.open.forget(|seat| seat.shard == shard);
    if let Some(journal) = office.journal.get() {
        let left = journal.ask(PATIENCE, |reply| journal::Msg::Leave { shard, orderly, reply });
        if let Err(error) = left.await {
            tracing::warn!(%error, %shard, "decisions of shard {shard} are not all stored yet");
        }
    }
}
