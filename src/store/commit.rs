//! The commit path: many writes, one transaction, one outcome each.

use std::future::Future;
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::Connection;
use sqlx::{Any, AssertSqlSafe, Transaction};
use tokio::time::timeout;

use super::Store;
use super::batch::{self, Mismatch};
use super::error::StoreError;
use super::faults::Fault;
use super::write::{Outcome, Write};
use crate::planted::Planted;

const WHAT: &str = "the commit";

impl Store {
    /// Writes all of it in one transaction: an outcome each, in their order. A write that cannot be
    /// written (fenced, duplicate, stale) does not touch the others. Two writes of one budget belong
    /// into two calls: in one, both are undone and then written one after the other.
    ///
    /// Takes at most the limits of connecting, statements and commit together; once more for each
    /// write if a condition of any did not hold.
    pub async fn commit(&self, writes: Vec<Write>) -> Vec<Outcome> {
        let all: Vec<&Write> = writes.iter().collect();
        if all.is_empty() {
            return Vec::new();
        }
        if let Ok(outcomes) = self.attempt(&all).await {
            return outcomes;
        }
        if all.len() == 1 {
            return vec![Outcome::Stale];
        }
        let mut outcomes = Vec::with_capacity(all.len());
        let mut down: Option<StoreError> = None;
        for write in all {
            if let Some(error) = &down {
                outcomes.push(Outcome::Failed(error.clone()));
                continue;
            }
            match self.attempt(&[write]).await {
                Err(Mismatch) => outcomes.push(Outcome::Stale),
                Ok(alone) => {
                    if let [Outcome::Failed(error) | Outcome::Unknown(error)] = alone.as_slice() {
                        down = Some(error.clone());
                    }
                    outcomes.extend(alone);
                }
            }
        }
        outcomes
    }

    /// One transaction over these writes. `Err`: a condition did not hold, nothing was written.
    async fn attempt(&self, writes: &[&Write]) -> Result<Vec<Outcome>, Mismatch> {
        let fault = self.inner.faults.take();
        let mut conn = match self.writer().await {
            Ok(conn) => conn,
            Err(error) => return Ok(failed(writes, &error)),
        };
        let mut usable = true;
        let outcomes = self.transaction(&mut conn, writes, fault, &mut usable).await;
        if !usable {
            conn.discard();
        }
        outcomes
    }

    /// `usable` turns false when the connection's state is not known any more.
    async fn transaction(
        &self,
        conn: &mut AnyConnection,
        writes: &[&Write],
        fault: Option<Fault>,
        usable: &mut bool,
    ) -> Result<Vec<Outcome>, Mismatch> {
        let config = &self.inner.config;
        let statements = async {
            let mut tx = conn.begin_with(AssertSqlSafe(self.dialect().begin_write())).await?;
            if let Some(Fault::SlowStatements(delay)) = fault {
                tokio::time::sleep(delay).await;
            }
            let prepared = self.prepare(&mut tx, writes).await?;
            Ok((tx, prepared))
        };
        let (tx, prepared) = match limited(config.statements_limit, statements).await {
            Ok(done) => done,
            Err(error) => {
                *usable = false;
                return Ok(failed(writes, &error));
            }
        };
        let writes_something = prepared.as_ref().is_ok_and(|o| o.contains(&Outcome::Committed));
        if !writes_something || fault == Some(Fault::BeforeCommit) {
            *usable = limited(config.commit_limit, tx.rollback()).await.is_ok();
            if fault == Some(Fault::BeforeCommit) {
                return Ok(failed(writes, &injected()));
            }
            return prepared;
        }
        let mut outcomes = prepared?;
        if let Err(error) = finish(tx, fault, config.commit_limit).await {
            *usable = false;
            for outcome in outcomes.iter_mut().filter(|o| **o == Outcome::Committed) {
                *outcome = Outcome::Unknown(error.clone());
            }
        }
        Ok(outcomes)
    }

    /// The statements: an outcome each, `Committed` for those that the commit will make durable.
    async fn prepare(
        &self,
        conn: &mut AnyConnection,
        writes: &[&Write],
    ) -> sqlx::Result<Result<Vec<Outcome>, Mismatch>> {
        let dialect = self.dialect();
        let epochs = batch::fence(conn, dialect, writes).await?;
        let ignored = Planted::EpochIgnored.is_made();
        let owned = |w: &Write| epochs.get(&w.shard) == Some(&w.epoch) || ignored;
        let mut outcomes: Vec<Outcome> = writes
            .iter()
            .map(|w| if owned(w) { Outcome::Committed } else { Outcome::Fenced })
            .collect();
        let mut live: Vec<&Write> = writes.iter().copied().filter(|w| owned(w)).collect();

        if live.iter().any(|w| w.check_ops) {
            let mut found = batch::duplicates(conn, dialect, &live).await?.into_iter();
            let mut fresh = Vec::with_capacity(live.len());
            for (outcome, write) in outcomes.iter_mut().zip(writes) {
                if *outcome == Outcome::Fenced {
                    continue;
                }
                match found.next() {
                    Some(rows) if !rows.is_empty() => *outcome = Outcome::Duplicate(rows),
                    _ => fresh.push(*write),
                }
            }
            live = fresh;
        }
        if live.is_empty() {
            return Ok(Ok(outcomes));
        }
        Ok(batch::apply(conn, dialect, &live).await?.map(|()| outcomes))
    }
}

fn failed(writes: &[&Write], error: &StoreError) -> Vec<Outcome> {
    writes.iter().map(|_| Outcome::Failed(error.clone())).collect()
}

fn injected() -> StoreError {
    StoreError::Unavailable { what: WHAT, cause: "injected fault".to_owned() }
}

async fn finish(
    tx: Transaction<'_, Any>,
    fault: Option<Fault>,
    limit: Duration,
) -> Result<(), StoreError> {
    match fault {
        Some(Fault::UnknownDone) => {
            limited(limit, tx.commit()).await?;
            Err(injected())
        }
        Some(Fault::UnknownUndone) => {
            limited(limit, tx.rollback()).await?;
            Err(injected())
        }
        Some(Fault::SlowCommit(delay)) => {
            let slow = async {
                tokio::time::sleep(delay).await;
                tx.commit().await
            };
            limited(limit, slow).await
        }
        _ => limited(limit, tx.commit()).await,
    }
}

async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, StoreError> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(|error| StoreError::sql(WHAT, &error)),
        Err(_) => {
            let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            Err(StoreError::Timeout { what: WHAT, limit_ms })
        }
    }
}
