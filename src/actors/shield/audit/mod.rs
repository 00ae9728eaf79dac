//! The audit: one Merkle log per account, written by one actor each.
//!
//! Three ways lead into a log. Bookings come from the ledger: in memory while all goes well, read
//! from the ledger where that has a gap, up to a cursor that is written with the log. What changes a
//! person's rights or a request is a row in `audit_pending`, written together with the change and
//! deleted together with the record's block. Everything else is appended, and answered when durable;
//! what a log does not take in time can be put aside in a file (`spool`), from where it is appended.

mod auditor;
mod away;
mod copy;
mod copying;
mod exported;
mod feed;
mod gathering;
mod lines;
mod live;
mod log;
mod metrics;
mod patrol;
mod readable;
mod search;
mod spool;
mod tail;
mod verify;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

pub use auditor::AuditorActor;
pub use away::serve;
pub use copy::{COPY_FILE, HEADS_FILE};
pub use exported::{Exported, heads_of, look_through};
pub use feed::{Feed, Feeds, Turning, leave_out};
pub use log::{LogActor, Msg};
pub use metrics::{describe, unwritten};
pub use readable::csv_lines;
pub use search::{Found, Hit, Query, RESULTS_MAX, prove_consistency, prove_inclusion, search};
pub use spool::UNWRITTEN_FILE;
pub use tail::{add_lines, sync_dir};
pub use verify::{VerifyError, verify, verify_kept};
pub use witness::AuditWitness;

use crate::actors::cluster::{Placement, detour};
use crate::actors::kernel::{AskError, Entities};
use crate::actors::shield::names::BudgetName;
use crate::models::shield::audit::record::Record;
use crate::store::{AuditPendingRow, Outcome, StoreError};

/// Pending records that are younger, in micros, are on their way already.
const PENDING_AGE_US: i64 = 2_000_000;

/// Settings of the audit.
#[derive(Clone, Debug)]
pub struct AuditTerms {
    /// Folder of the readable copy and of the signed heads.
    pub dir: PathBuf,
    /// How long records are kept, micros.
    pub retention_us: i64,
    /// How often every log is verified without anybody asking for it.
    pub verify_every: Duration,
}

/// What was appended is durable: the log has `size` records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub size: u64,
}

/// Why a record is not durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("it is no record: {0}")]
    NoRecord(String),
    #[error("the log did not answer: {0:?}")]
    Unanswered(AskError),
    #[error("the log is not there yet")]
    NotStarted,
}

/// What the actors of the audit share.
pub struct Audit {
    pub feeds: Feeds,
    pub logs: OnceLock<Entities<LogActor>>,
    pub dir: PathBuf,
    pub retention_us: i64,
    pub verify_every: Duration,
    placement: Arc<Placement>,
    /// Logs with something to copy, and with something to sign.
    dirty: Mutex<BTreeSet<Arc<str>>>,
    unsigned: Mutex<BTreeSet<Arc<str>>>,
    /// By account, the size of the last head that is in the file outside.
    exported: Mutex<BTreeMap<String, i64>>,
    /// Months may have been dropped whose copies are still there.
    dropped: AtomicBool,
    spool: Arc<spool::Spool>,
}

impl Audit {
    pub fn new(terms: AuditTerms, placement: Arc<Placement>) -> Audit {
        Audit {
            feeds: Feeds::default(),
            logs: OnceLock::new(),
            spool: Arc::new(spool::Spool::new(&terms.dir)),
            dir: terms.dir,
            retention_us: terms.retention_us,
            verify_every: terms.verify_every,
            placement,
            dirty: Mutex::default(),
            unsigned: Mutex::default(),
            exported: Mutex::default(),
            dropped: AtomicBool::new(true),
        }
    }

    fn logs(&self) -> Result<&Entities<LogActor>, AppendError> {
        self.logs.get().ok_or(AppendError::NotStarted)
    }

    /// Appends records to an account's log; answered when they are durable.
    pub async fn append(
        &self,
        account: &str,
        records: &[Record],
        patience: Duration,
    ) -> Result<Appended, AppendError> {
        let lines: Result<Vec<String>, _> = records.iter().map(Record::line).collect();
        let lines = lines.map_err(|e| AppendError::NoRecord(e.to_string()))?;
        self.append_lines(account, lines, patience).await
    }

    async fn append_lines(
        &self,
        account: &str,
        lines: Vec<String>,
        patience: Duration,
    ) -> Result<Appended, AppendError> {
        if let Some(done) = away::append(&self.placement, account, &lines, patience).await {
            return done;
        }
        let asked = self.logs()?.ask(account, patience, |reply| Msg::Append { lines, reply });
        asked.await.map_err(AppendError::Unanswered)?
    }

    /// Puts records aside that a log did not take in time. They are on disk when this returns, and are
    /// appended within seconds after the log takes them, at least once.
    ///
    /// # Errors
    /// They are no records, the file cannot be written, or has too many already.
    pub async fn spool(&self, account: &str, records: &[Record]) -> io::Result<()> {
        let lines: Result<Vec<String>, _> = records.iter().map(Record::line).collect();
        let lines = lines.map_err(io::Error::other)?;
        let (spool, account) = (Arc::clone(&self.spool), account.to_owned());
        blocking(move || spool.put(&account, &lines)).await
    }

    /// Answered when all that was booked, refused or appended before is durable in the log.
    pub async fn flush(&self, account: &str, patience: Duration) -> Result<Appended, AppendError> {
        if let Some(done) = away::flush(&self.placement, account, patience).await {
            return done;
        }
        let asked = self.logs()?.ask(account, patience, Msg::Flush).await;
        asked.map_err(AppendError::Unanswered)?
    }

    /// Signs all that a log has, soon.
    pub fn sign(&self, account: &str) -> Result<(), AppendError> {
        let home = BudgetName::account(account).place();
        if !self.placement.admits(home) {
            detour::want(home);
            return Err(AppendError::NotStarted);
        }
        let told = self.logs()?.tell(account, Msg::Sign { all: true });
        told.map_err(|_| AppendError::Unanswered(AskError::Overloaded { retry_after_ms: 1_000 }))
    }

    /// Records that are in the store as pending are on their way into the log. A log that is busy
    /// is told again by the auditor.
    pub fn kick(&self, account: &str, rows: Vec<(String, String)>) {
        // Elsewhere the log finds them by itself.
        if self.placement.admits(BudgetName::account(account).place())
            && let Ok(logs) = self.logs()
            && let Err(refused) = logs.tell(account, Msg::Pending(rows))
        {
            tracing::debug!(account, ?refused, "the log of {account} is busy");
        }
    }

    /// These logs have more than the copies.
    pub fn dirty(&self, accounts: impl IntoIterator<Item = Arc<str>>) {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner).extend(accounts);
    }

    fn take_dirty(&self) -> Vec<Arc<str>> {
        let dirty = std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        dirty.into_iter().collect()
    }

    /// These logs have grown since they were signed.
    pub fn unsigned(&self, accounts: impl IntoIterator<Item = Arc<str>>) {
        self.unsigned.lock().unwrap_or_else(PoisonError::into_inner).extend(accounts);
    }

    /// The logs that have grown since they were signed, as far as is known. They stay so until a head
    /// of all that they have is durable.
    fn to_sign(&self) -> Vec<Arc<str>> {
        let unsigned = self.unsigned.lock().unwrap_or_else(PoisonError::into_inner);
        unsigned.iter().cloned().collect()
    }

    fn signed(&self, account: &str) {
        self.unsigned.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    /// Months of a log were dropped.
    fn dropped(&self) {
        self.dropped.store(true, Ordering::Relaxed);
    }

    fn take_dropped(&self) -> bool {
        self.dropped.swap(false, Ordering::Relaxed)
    }

    /// The size of the last head of an account that is in the file outside; 0 for none, or where the
    /// files were not looked at yet.
    pub fn exported_size(&self, account: &str) -> i64 {
        let exported = self.exported.lock().unwrap_or_else(PoisonError::into_inner);
        exported.get(account).copied().unwrap_or(0)
    }

    fn heads_exported(&self, sizes: &BTreeMap<String, i64>) {
        self.exported.lock().unwrap_or_else(PoisonError::into_inner).clone_from(sizes);
    }
}

/// The row of a record that is written together with what it tells of.
pub fn pending(account: &str, record: &Record) -> Result<AuditPendingRow, AppendError> {
    let line = record.line().map_err(|e| AppendError::NoRecord(e.to_string()))?;
    Ok(AuditPendingRow {
        account: account.to_owned(),
        id: uuid::Uuid::now_v7().simple().to_string(),
        at: record.at_us,
        record: line,
    })
}

/// Files are read and written beside the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The committer's driver died with the write in its hands.
fn unknown() -> Outcome {
    Outcome::Unknown(StoreError::Unavailable {
        what: "the committer",
        cause: "it ended before it could say".to_owned(),
    })
}
