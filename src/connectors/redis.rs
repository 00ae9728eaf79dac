//! Redis, optional and never in the path of correctness: absent or down, everything works from local
//! memory, and this says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fred::clients::{Client, Pool};
use fred::interfaces::{ClientLike, EventInterface, KeysInterface, LuaInterface, PubsubInterface};
use fred::types::config::{Config, ReconnectPolicy, ServerConfig};
use fred::types::{Builder, Expiration};

use crate::config;

/// Channel on which changes are hinted to other processes.
const HINTS: &str = "kiki:hints";
/// Pause after an error that the client itself does not try again for, as a wrong password.
const GIVEN_UP: Duration = Duration::from_secs(5);
/// Reconnects back off between these, for ever.
const RECONNECT_MIN_MS: u32 = 250;
const RECONNECT_MAX_MS: u32 = 5_000;

/// What changed in the store that processes keep a copy of. Hints may get lost, and nothing depends
/// on them: who does not hear one looks by itself a moment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// An API key was made or revoked.
    Keys,
    /// Keys that sign were rotated.
    Rotated,
}

impl Hint {
    const ALL: [Hint; 2] = [Hint::Keys, Hint::Rotated];

    fn text(self) -> &'static str {
        match self {
            Hint::Keys => "keys",
            Hint::Rotated => "rotated",
        }
    }
}

/// The connection, if one is configured.
#[derive(Clone, Default)]
pub struct Redis {
    pool: Option<Pool>,
    closed: Arc<AtomicBool>,
}

#[derive(Debug, thiserror::Error)]
#[error("redis: {0}")]
pub struct RedisError(String);

impl Redis {
    /// Begins to connect, and goes on trying in the background. `Ok` with nobody there, too.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn connect(settings: &config::Redis) -> Result<Redis, RedisError> {
        let Some((host, port)) = settings.addr.split() else { return Ok(Redis::default()) };
        let password = settings.password.expose();
        let config = Config {
            server: ServerConfig::new_centralized(host, port),
            password: (!password.is_empty()).then(|| password.to_owned()),
            database: Some(u8::try_from(settings.db).map_err(|e| RedisError(e.to_string()))?),
            // Redis may be started after this, or be down now: that is no reason to give it up.
            fail_fast: false,
            ..Config::default()
        };
        let mut builder = Builder::from_config(config);
        let (connect, command) =
            (settings.connect_timeout_ms.duration(), settings.command_timeout_ms.duration());
        builder
            .with_connection_config(|c| {
                c.connection_timeout = connect;
                c.internal_command_timeout = command;
            })
            .with_performance_config(|p| p.default_command_timeout = command)
            .set_policy(ReconnectPolicy::new_exponential(0, RECONNECT_MIN_MS, RECONNECT_MAX_MS, 2));
        let pool = builder.build_pool(settings.pool_size).map_err(|e| RedisError(e.to_string()))?;
        let redis = Redis { pool: Some(pool.clone()), closed: Arc::default() };
        for client in pool.clients() {
            tokio::spawn(keep(client.clone(), Arc::clone(&redis.closed)));
        }
        Ok(redis)
    }

    pub fn is_configured(&self) -> bool {
        self.pool.is_some()
    }

    pub fn is_connected(&self) -> bool {
        self.pool.as_ref().is_some_and(|p| p.clients().iter().any(ClientLike::is_connected))
    }

    /// Hints something to whoever listens; nobody may.
    pub async fn hint(&self, hint: Hint) {
        let Some(pool) = self.pool.as_ref().filter(|_| self.is_connected()) else { return };
        let sent: Result<(), _> = pool.next_connected().publish(HINTS, hint.text()).await;
        if let Err(error) = sent {
            tracing::debug!(%error, ?hint, "a hint was not sent");
        }
    }

    /// Hears hints, this process's own too, for as long as it is polled; for ever where no Redis is
    /// configured. After each interruption everything is hinted once: something may have been missed.
    pub async fn hear<F: Future<Output = ()>>(&self, heard: impl Fn(Hint) -> F) {
        let Some(pool) = &self.pool else { return std::future::pending().await };
        // A connection that listens takes no other commands.
        let ear = pool.next().clone_new();
        let (mut messages, mut connected) = (ear.message_rx(), ear.reconnect_rx());
        let keeping = keep(ear.clone(), Arc::clone(&self.closed));
        let listening = async {
            loop {
                tokio::select! {
                    message = messages.recv() => {
                        let text = message.ok().and_then(|m| m.value.as_string());
                        for hint in Hint::ALL {
                            if text.as_deref() == Some(hint.text()) {
                                heard(hint).await;
                            }
                        }
                    }
                    _ = connected.recv() => {
                        if let Err(error) = ear.subscribe(HINTS).await {
                            tracing::warn!(%error, "hints of other processes are not heard");
                        }
                        for hint in Hint::ALL {
                            heard(hint).await;
                        }
                    }
                }
            }
        };
        tokio::join!(keeping, listening);
    }

    /// Runs a script on one key.
    ///
    /// # Errors
    /// There is no Redis, or it did not run it.
    pub async fn eval(
        &self,
        script: &'static str,
        key: &str,
        arguments: &[i64],
    ) -> Result<Vec<i64>, RedisError> {
        let Some(pool) = &self.pool else {
            return Err(RedisError("is not configured".to_owned()));
        };
        // By its text, not by its hash: a Redis that was flushed or restarted knows no hash.
        let answer = pool.next_connected().eval(script, key.to_owned(), arguments.to_vec()).await;
        answer.map_err(|e| RedisError(e.to_string()))
    }

    /// The text at a key; `None` where there is none.
    ///
    /// # Errors
    /// There is no Redis, or it did not answer.
    pub async fn get(&self, key: &str) -> Result<Option<String>, RedisError> {
        let pool = self.pool.as_ref().filter(|_| self.is_connected());
        let pool = pool.ok_or_else(|| RedisError("is not connected".to_owned()))?;
        pool.next_connected().get(key).await.map_err(|e| RedisError(e.to_string()))
    }

    /// Puts a text at a key, for so long.
    ///
    /// # Errors
    /// There is no Redis, or it did not take it.
    pub async fn put(&self, key: &str, text: String, ttl: Duration) -> Result<(), RedisError> {
        let pool = self.pool.as_ref().filter(|_| self.is_connected());
        let pool = pool.ok_or_else(|| RedisError("is not connected".to_owned()))?;
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
        let done: Result<(), _> =
            pool.next_connected().set(key, text, Some(Expiration::PX(ttl)), None, false).await;
        done.map_err(|e| RedisError(e.to_string()))
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// There is no Redis, or it did not do it.
    pub async fn delete(&self, key: &str) -> Result<(), RedisError> {
        let pool = self.pool.as_ref().filter(|_| self.is_connected());
        let pool = pool.ok_or_else(|| RedisError("is not connected".to_owned()))?;
        let done: Result<i64, _> = pool.next_connected().del(key).await;
        done.map(|_| ()).map_err(|e| RedisError(e.to_string()))
    }

    pub async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(pool) = &self.pool
            && let Err(error) = pool.quit().await
        {
            tracing::debug!(%error, "redis connection ended early");
        }
    }
}

/// Keeps a client connected until it is closed: the client itself comes back after interruptions, but
/// not after answers that it takes to be final.
async fn keep(client: Client, closed: Arc<AtomicBool>) {
    loop {
        let ended = client.connect().await;
        if closed.load(Ordering::Relaxed) {
            return;
        }
        match ended {
            Ok(Ok(())) => tracing::warn!("the connection to redis ended"),
            Ok(Err(error)) => tracing::warn!(%error, "redis cannot be used"),
            Err(error) => tracing::error!(%error, "the connection to redis ended"),
        }
        tokio::time::sleep(GIVEN_UP).await;
    }
}
