//! Whoever keeps something of a shard in memory: told when it goes to another node.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, join_all};

use crate::models::cluster::shard::Shard;

pub trait Tenant: Send + Sync {
    /// The shard takes in nothing more: brings to an orderly end what is here of it. All of it is durable then.
    fn leave(&self, shard: Shard) -> BoxFuture<'static, ()>;

    /// The shard is somebody else's already: what is here of it is worth nothing any more.
    fn evict(&self, shard: Shard) -> BoxFuture<'static, ()>;
}

#[derive(Default)]
pub struct Tenants(Mutex<Vec<Arc<dyn Tenant>>>);

impl Tenants {
    /// One more; they leave in the reverse order of coming.
    pub fn add(&self, tenant: Arc<dyn Tenant>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(tenant);
    }

    fn all(&self) -> Vec<Arc<dyn Tenant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().map(Arc::clone).collect()
    }

    pub(super) fn leave(&self, shard: Shard) -> BoxFuture<'static, ()> {
        let all = self.all();
        Box::pin(async move {
            // Who stands on another one leaves before it.
            for tenant in all {
                tenant.leave(shard).await;
            }
        })
    }

    pub(super) fn evict(&self, shard: Shard) -> BoxFuture<'static, ()> {
        let all = self.all();
        Box::pin(async move {
            join_all(all.iter().map(|tenant| tenant.evict(shard))).await;
        })
    }
}
