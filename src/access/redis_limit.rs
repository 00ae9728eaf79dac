//! The limit that all nodes share in Redis.

use super::shared::{SharedLimit, TAKE, Unavailable, arguments, bucket_key, interpret};
use crate::connectors::redis::Redis;
use crate::models::access::{Decision, Quota};

/// Buckets in Redis.
#[derive(Clone)]
pub struct RedisLimit(Redis);

impl RedisLimit {
    /// `None` where no Redis is configured.
    pub fn of(redis: &Redis) -> Option<RedisLimit> {
        redis.is_configured().then(|| RedisLimit(redis.clone()))
    }
}

impl SharedLimit for RedisLimit {
    async fn take(&self, caller: &str, quota: &Quota) -> Result<Decision, Unavailable> {
        // Not asked where it cannot answer: commands would queue up until it is back.
        if !self.0.is_connected() {
            return Err(Unavailable("not connected".to_owned()));
        }
        let reply = self.0.eval(TAKE, &bucket_key(quota, caller), &arguments(quota)).await;
        interpret(&reply.map_err(|error| Unavailable(error.to_string()))?, quota)
    }
}
