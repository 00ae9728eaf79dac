//! The way of other services to the group commit.

use std::sync::Arc;
use std::time::Duration;

use super::names::BudgetName;
use super::shared::Shared;
use crate::clock;
use crate::models::breaker::BreakerState;
use crate::store::{Gone, OutboxRow, Outcome, Put, Store, Write};

/// A write waits this long for its commit.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes durable together.
#[derive(Default)]
pub struct Rows {
    pub puts: Vec<Put>,
    pub gone: Vec<Gone>,
    /// Told to the event stream and to webhooks: kind, subject, payload.
    pub events: Vec<(&'static str, String, serde_json::Value)>,
}

impl From<Vec<Put>> for Rows {
    fn from(puts: Vec<Put>) -> Rows {
        Rows { puts, ..Rows::default() }
    }
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// Durable.
    Done,
    /// A condition of a row did not hold: read again. Nothing was written.
    Stale,
    /// The store does not take it now. Nothing was written.
    Unavailable,
    /// It may be durable or not: read again.
    Unknown,
}

/// Writes rows in the installation's one stream of commits, under the epochs that this process has.
#[derive(Clone)]
pub struct Writes {
    shared: Arc<Shared>,
}

impl Writes {
    pub(super) fn new(shared: Arc<Shared>) -> Writes {
        Writes { shared }
    }

    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Where the store's breaker stands.
    pub fn breaker(&self) -> BreakerState {
        self.shared.committer.view().breaker.state
    }

    /// Waits until what was handed over before this is decided: a new life reads behind it.
    pub async fn barrier(&self) {
        self.shared.committer.barrier().await;
    }

    /// Writes all of it or nothing. `entity` names the one writer of these rows; where it does not begin with `@`,
    /// every node has one of its own.
    pub async fn write(&self, account: &str, entity: &str, rows: impl Into<Rows>) -> Written {
        let Rows { puts, gone, events } = rows.into();
        let now = clock::wall_us();
        let outbox = events.into_iter().map(|(kind, subject, payload)| OutboxRow {
            account: account.to_owned(),
            id: uuid::Uuid::now_v7().simple().to_string(),
            kind: kind.to_owned(),
            subject,
            payload: payload.to_string(),
            created_at: now,
            delivered_at: None,
        });
        let outbox = outbox.collect();
        let name = BudgetName { account: account.into(), budget: entity.into() };
        let shard = match entity.starts_with('@') {
            true => name.shard(),
            // A node's own notes: rows that no other node writes.
            false => {
                let own = self.shared.placement.some_of_mine(name.place());
                own.map_or(-1, |own| i64::from(own.0))
            }
        };
        let (account, budget) = (account.to_owned(), entity.to_owned());
        let epoch = self.shared.epoch(shard);
        let write = Write { account, budget, shard, epoch, puts, gone, outbox, ..Write::default() };
        let Ok(outcome) = self.shared.committer.submit(write) else { return Written::Unavailable };
        match tokio::time::timeout(PATIENCE, outcome).await {
            Ok(Ok(Outcome::Committed)) => Written::Done,
            Ok(Ok(Outcome::Stale | Outcome::Duplicate(_))) => Written::Stale,
            Ok(Ok(Outcome::Failed(error))) => {
                tracing::warn!(%error, "rows of {entity} could not be written");
                Written::Unavailable
            }
            Ok(Ok(Outcome::Fenced)) => Written::Unavailable,
            Ok(Ok(Outcome::Unknown(_)) | Err(_)) | Err(_) => Written::Unknown,
        }
    }
}
