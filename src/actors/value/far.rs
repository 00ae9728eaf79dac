//! Answers shared between nodes through Redis, where there is one: never waited for long, and never
//! needed. What is kept there has no name of a person in it, and goes after a while.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cache::Question;
use crate::connectors::redis::Redis;
use crate::models::value::forecast::answer::{Contribution, Forecast, Status};
use crate::models::value::log::day::Day;

/// An answer from there is worth no longer a wait.
const PATIENCE: Duration = Duration::from_millis(20);
/// The answer of somebody who is erased must go.
const ERASE_PATIENCE: Duration = Duration::from_secs(2);
/// Names of inputs that are known.
const NAMES_MAX: usize = 256;

/// The shared cache.
pub struct Far {
    redis: Redis,
    ttl: Duration,
    /// Names of inputs come from the models themselves.
    names: Mutex<BTreeSet<&'static str>>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    model: String,
    horizon_days: u32,
    as_of: Day,
    value: f64,
    lower: f64,
    upper: f64,
    confidence: f64,
    purchases: f64,
    p_active: f64,
    status: Status,
    baseline: f64,
    contributions: Vec<(String, f64)>,
}

/// One answer of a customer: the newest.
fn key(lookup: &str) -> String {
    format!("kiki:ltv:{lookup}")
}

impl Far {
    pub fn new(redis: Redis, ttl: Duration) -> Far {
        Far { redis, ttl, names: Mutex::default() }
    }

    /// How long an answer is there.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    pub fn is_there(&self) -> bool {
        self.redis.is_connected()
    }

    /// An answer that another node gave to just this.
    pub async fn get(
        &self,
        lookup: &str,
        question: &Question,
        explained: bool,
    ) -> Option<Forecast> {
        if !self.is_there() {
            return None;
        }
        let key = key(lookup);
        let text = tokio::time::timeout(PATIENCE, self.redis.get(&key)).await.ok()?.ok()??;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        let fits = kept.model == *question.model
            && (kept.horizon_days, kept.as_of) == (question.horizon_days, question.as_of)
            && (!explained || !kept.contributions.is_empty());
        if !fits {
            return None;
        }
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let contribution = |(name, value): &(String, f64)| {
            let name = known.get(name.as_str())?;
            Some(Contribution { name, value: *value })
        };
        let forecast = Forecast {
            value: kept.value,
            lower: kept.lower,
            upper: kept.upper,
            confidence: kept.confidence,
            purchases: kept.purchases,
            p_active: kept.p_active,
            status: kept.status,
            baseline: kept.baseline,
            contributions: kept.contributions.iter().map(contribution).collect::<Option<_>>()?,
        };
        forecast.is_sound().then_some(forecast)
    }

    /// What inputs are called in a forecast that was made here: without that, none of others is understood.
    pub fn learn(&self, forecast: &Forecast) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < NAMES_MAX {
            names.extend(forecast.contributions.iter().map(|c| c.name));
        }
    }

    /// Tells others, without waiting for it, and takes it back where it is not `current` any more: a
    /// purchase may have come meanwhile, and have been told before this was.
    pub fn put_soon(
        &self,
        lookup: &str,
        question: &Question,
        forecast: &Forecast,
        current: impl Fn() -> bool + Send + 'static,
    ) {
        if !self.is_there() {
            return;
        }
        let of = |c: &Contribution| (c.name.to_owned(), c.value);
        let kept = Kept {
            model: question.model.to_string(),
            horizon_days: question.horizon_days,
            as_of: question.as_of,
            value: forecast.value,
            lower: forecast.lower,
            upper: forecast.upper,
            confidence: forecast.confidence,
            purchases: forecast.purchases,
            p_active: forecast.p_active,
            status: forecast.status,
            baseline: forecast.baseline,
            contributions: forecast.contributions.iter().map(of).collect(),
        };
        let Ok(text) = serde_json::to_string(&kept) else { return };
        let (redis, ttl) = (self.redis.clone(), self.ttl);
        let key = key(lookup);
        tokio::spawn(async move {
            if !current() {
                return;
            }
            let put = redis.put(&key, text, ttl).await;
            // also where it failed: nobody knows whether it is there
            let taken_back = if current() { Ok(()) } else { redis.delete(&key).await };
            if let Err(error) = put.and(taken_back) {
                tracing::debug!(%error, "an answer is not shared");
            }
        });
    }

    /// Something new is known of the customer. Where that does not get through, the answer of before
    /// is given until its time is over, by nodes that do not have the customer.
    pub async fn forget(&self, lookup: &str) {
        if let Err(why) = self.delete(lookup, PATIENCE).await {
            tracing::debug!(%why, "a shared answer could not be taken back");
        }
    }

    /// The customer is erased.
    ///
    /// # Errors
    /// Nobody knows whether the answer is gone.
    pub async fn erase(&self, lookup: &str) -> Result<(), String> {
        self.delete(lookup, ERASE_PATIENCE).await
    }

    async fn delete(&self, lookup: &str, patience: Duration) -> Result<(), String> {
        if !self.redis.is_configured() {
            return Ok(());
        }
        match tokio::time::timeout(patience, self.redis.delete(&key(lookup))).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err("redis did not answer in time".to_owned()),
        }
    }
}
