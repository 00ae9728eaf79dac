//! Redis, optional and never in the path of correctness: absent or down, everything works from local
//! memory, and this says so.

use std::sync::Arc;

use fred::clients::Client;
use fred::interfaces::{ClientLike, LuaInterface, PubsubInterface};
use fred::types::Builder;
use fred::types::config::{Config, ReconnectPolicy, ServerConfig};

use crate::config;

/// Channel on which changes are hinted to other nodes.
pub const HINTS: &str = "kiki:hints";
/// Reconnects back off between these, for ever.
const RECONNECT_MIN_MS: u32 = 250;
const RECONNECT_MAX_MS: u32 = 5_000;

/// The connection, if one is configured.
#[derive(Clone, Default)]
pub struct Redis {
    client: Option<Arc<Client>>,
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
        let client = builder.build().map_err(|e| RedisError(e.to_string()))?;
        // The task ends with the client; its own errors are told by `is_connected`.
        drop(client.connect());
        Ok(Redis { client: Some(Arc::new(client)) })
    }

    pub fn is_configured(&self) -> bool {
        self.client.is_some()
    }

    pub fn is_connected(&self) -> bool {
        self.client.as_ref().is_some_and(|c| c.is_connected())
    }

    /// Hints something to whoever listens; nobody may.
    ///
    /// # Errors
    /// Redis did not take it. What was hinted is true all the same.
    pub async fn hint(&self, text: &str) -> Result<(), RedisError> {
        let Some(client) = &self.client else { return Ok(()) };
        let sent: Result<(), _> = client.publish(HINTS, text).await;
        sent.map_err(|e| RedisError(e.to_string()))
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
        let Some(client) = &self.client else {
            return Err(RedisError("is not configured".to_owned()));
        };
        // By its text, not by its hash: a Redis that was flushed or restarted knows no hash.
        let answer = client.eval(script, key.to_owned(), arguments.to_vec()).await;
        answer.map_err(|e| RedisError(e.to_string()))
    }

    pub async fn close(&self) {
        if let Some(client) = &self.client
            && let Err(error) = client.quit().await
        {
            tracing::debug!(%error, "redis connection ended early");
        }
    }
}
