//! Why the store could not do what was asked. The cause is kept as text: errors cross mailboxes and
//! are told to several waiters.

/// One closed list; [`StoreError::is_transient`] says whether waiting helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it was lost.
    #[error("the store is unavailable: {what}: {cause}")]
    Unavailable { what: &'static str, cause: String },
    /// It did not answer within its limit.
    #[error("the store did not answer within {limit_ms} ms: {what}")]
    Timeout { what: &'static str, limit_ms: u64 },
    /// The write waited longer than its caller allowed and was not started.
    #[error("the write waited {waited_ms} ms for its turn and was not started")]
    Waited { waited_ms: u64 },
    /// The database refused a statement: full disk, missing rights, or a defect.
    #[error("the store refused {what}: {cause}")]
    Refused { what: &'static str, cause: String },
    /// Another server holds the data directory.
    #[error("the data directory is in use by another kiki (process {pid}, {address})")]
    Locked { pid: u32, address: String },
    #[error("migration failed: {0}")]
    Migration(String),
    /// A restore writes only into an empty store.
    #[error("the store is not empty: table {table} has rows")]
    NotEmpty { table: &'static str },
    /// A backup or export that must not be trusted.
    #[error("the file is damaged or not a backup: {0}")]
    Corrupt(String),
    #[error("bad store configuration: {0}")]
    Config(String),
    #[error("{what}: {cause}")]
    Io { what: String, cause: String },
}

impl StoreError {
    /// Whether the same call may succeed later without anything being repaired by hand.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Timeout { .. } | Self::Waited { .. })
    }

    pub(crate) fn sql(what: &'static str, error: &sqlx::Error) -> Self {
        let cause = error.to_string();
        match error {
            sqlx::Error::Database(db) if is_passing(db.code().as_deref()) => {
                Self::Unavailable { what, cause }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unavailable { what, cause },
            sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => Self::Config(cause),
            _ => Self::Refused { what, cause },
        }
    }

    pub(crate) fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        Self::Io { what: what.into(), cause: error.to_string() }
    }
}

/// PostgreSQL: connection (08), resources (53), shutdown and crash (57), serialisation and deadlock
/// (40), lock not available (55P03). SQLite: busy (5) and locked (6) with their extensions.
fn is_passing(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    // an SQLSTATE has five characters, no code of SQLite has
    if code.len() == 5 {
        return ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
            || code == "55P03";
    }
    code.parse::<u32>().is_ok_and(|n| matches!(n & 0xff, 5 | 6))
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;
