//! A log as the store has it, verified from its first record to its last.

use std::collections::{BTreeMap, BTreeSet};

use crate::models::shield::audit::block::Block;
use crate::models::shield::audit::head::{BadHead, Keys, SignedHead};
use crate::models::shield::audit::merkle::{Frontier, Hash};
use crate::models::shield::audit::report::Report;
use crate::models::shield::audit::verify::Verifier;
use crate::store::{AuditBlockRow, AuditHeadRow, AuditLogRow, Store, StoreError};

/// Blocks and heads read at once.
const BLOCKS: u32 = 16;
const HEADS: u32 = 1_000;

/// Why a verification has no result.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("account {0} has no audit log")]
    NoLog(String),
    #[error("a stored row cannot be read, so somebody changed it: {what}: {why}")]
    Unreadable { what: String, why: String },
    #[error("months whose time is over were dropped meanwhile: verify again")]
    Dropped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn unreadable(what: impl Into<String>, why: impl ToString) -> VerifyError {
    VerifyError::Unreadable { what: what.into(), why: why.to_string() }
}

/// Verifies an account's log as it is now: what is appended meanwhile is left for the next time.
/// `exported` are heads from outside; only they can tell that a whole log was written anew.
pub async fn verify(
    store: &Store,
    account: &str,
    exported: Vec<SignedHead>,
    keys: Keys,
) -> Result<Report, VerifyError> {
    verify_kept(store, account, exported, keys, None).await
}

/// As [`verify`]; and records of `since_us` (micros since the epoch) and later had to be kept.
pub async fn verify_kept(
    store: &Store,
    account: &str,
    exported: Vec<SignedHead>,
    keys: Keys,
    since_us: Option<i64>,
) -> Result<Report, VerifyError> {
    let log = match store.audit_log(account).await? {
        // a log's row is written with its first block and head: asked again, it is there or was
        // taken away
        None if left_over(store, account).await? => store.audit_log(account).await?,
        log => log,
    };
    let (log, until) = match log {
        Some(log) => {
            let until = log.size;
            (log, until)
        }
        None if left_over(store, account).await? => (empty(account), i64::MAX),
        // heads from outside can tell that there was one
        None if !exported.is_empty() => (empty(account), 0),
        None => return Err(VerifyError::NoLog(account.to_owned())),
    };
    let root: Hash = log.root.parse().map_err(|e| unreadable("the root of the log", e))?;
    let begin = start(store, account).await?;
    let mut heads = Heads::after(begin.as_ref());
    let mut verifier = Verifier::new(account, begin.as_ref(), exported, keys);
    if let Some(since_us) = since_us {
        verifier.kept_since(since_us);
    }
    fold(store, account, until, &mut heads, &mut verifier).await?;
    // heads are written with the log's row or after it: none can reach further than a row that is
    // read later
    let newest = store.audit_newest_head(account).await?.map_or(0, |head| head.size);
    if newest > store.audit_log(account).await?.map_or(0, |log| log.size) {
        heads.feed(store, account, i64::MAX, &mut verifier).await?;
    }
    let report = verifier.finish(u64::try_from(log.size).unwrap_or(0), root);
    if !report.verified && start(store, account).await? != begin {
        return Err(VerifyError::Dropped);
    }
    Ok(report)
}

/// Verifies the records before a head, which are about to be dropped.
pub async fn verify_until(
    store: &Store,
    account: &str,
    head: &SignedHead,
    keys: Keys,
) -> Result<Report, VerifyError> {
    let begin = start(store, account).await?;
    let mut heads = Heads::after(begin.as_ref());
    let mut verifier = Verifier::new(account, begin.as_ref(), Vec::new(), keys);
    let until = i64::try_from(head.head.size).unwrap_or(i64::MAX);
    fold(store, account, until, &mut heads, &mut verifier).await?;
    Ok(verifier.finish(head.head.size, head.head.root))
}

/// Whether there is something of a log.
async fn left_over(store: &Store, account: &str) -> Result<bool, VerifyError> {
    Ok(!store.audit_blocks(account, 0, 1).await?.is_empty()
        || store.audit_newest_head(account).await?.is_some())
}

/// Feeds the blocks that begin before record `until`, and the heads that they reach.
async fn fold(
    store: &Store,
    account: &str,
    until: i64,
    heads: &mut Heads,
    verifier: &mut Verifier,
) -> Result<(), VerifyError> {
    let mut next = 0;
    loop {
        let rows = store.audit_blocks(account, next, BLOCKS).await?;
        let Some(last) = rows.last() else { break };
        let (end, full) = (last.first.saturating_add(last.count), rows.len() == BLOCKS as usize);
        next = last.block + 1;
        heads.feed(store, account, end.min(until), verifier).await?;
        let numbers = rows.first().map_or((0, 0), |first| (first.block, next - 1));
        let mut persons: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        for row in store.audit_persons(account, numbers).await? {
            persons.entry(row.block).or_default().insert(row.person);
        }
        for row in rows.into_iter().filter(|row| row.first < until) {
            let persons = persons.remove(&row.block).unwrap_or_default();
            verifier.block(&Block { persons, ..block(row)? });
        }
        if !full || end >= until {
            break;
        }
        tokio::task::yield_now().await;
    }
    heads.feed(store, account, until, verifier).await
}

fn empty(account: &str) -> AuditLogRow {
    let root = Frontier::new().root().to_string();
    let frontier = String::new();
    AuditLogRow { account: account.to_owned(), size: 0, root, frontier, blocks: 0, version: 0 }
}

/// The kept head from which on the log is there, when months were dropped.
pub async fn start(store: &Store, account: &str) -> Result<Option<SignedHead>, VerifyError> {
    let first = match store.audit_blocks(account, 0, 1).await?.pop() {
        Some(block) => block.first,
        // the time of all of it may be over
        None => store.audit_log(account).await?.map_or(0, |log| log.size),
    };
    if first <= 0 {
        return Ok(None);
    }
    let head = store.audit_heads(account, first - 1, 1).await?.pop();
    head.filter(|head| head.size == first).map(parsed).transpose()
}

/// The edge of the tree before the first record that is there.
pub async fn start_frontier(store: &Store, account: &str) -> Result<Option<Frontier>, VerifyError> {
    Ok(start(store, account).await?.and_then(|head| head.frontier))
}

fn parsed(row: AuditHeadRow) -> Result<SignedHead, VerifyError> {
    let size = row.size;
    let bad = |e: BadHead| unreadable(format!("the head of {size} records"), e);
    SignedHead::parse(&row.head).map_err(bad)
}

/// A block without its persons, who stand in rows of their own.
pub fn block(row: AuditBlockRow) -> Result<Block, VerifyError> {
    let number = row.block;
    let bad = |why: String| unreadable(format!("block {number}"), why);
    let count = |n: i64| u64::try_from(n).map_err(|e| bad(e.to_string()));
    Ok(Block {
        number: count(row.block)?,
        first: count(row.first)?,
        count: u32::try_from(row.count).map_err(|e| bad(e.to_string()))?,
        month: row.month.parse().map_err(|_| bad("its month is none".to_owned()))?,
        at_from: row.at_from,
        at_to: row.at_to,
        lines: row.lines,
        summary: serde_json::from_str(&row.summary).map_err(|e| bad(e.to_string()))?,
        persons: Default::default(),
    })
}

/// Stored heads, read ahead of the blocks that reach them.
struct Heads {
    after: i64,
    page: Vec<SignedHead>,
    ended: bool,
}

impl Heads {
    /// Those of a log from the kept head of its start on.
    fn after(start: Option<&SignedHead>) -> Heads {
        let size = |start: &SignedHead| i64::try_from(start.head.size).unwrap_or(i64::MAX);
        Heads { after: start.map_or(0, size) - 1, page: Vec::new(), ended: false }
    }

    async fn feed(
        &mut self,
        store: &Store,
        account: &str,
        until: i64,
        verifier: &mut Verifier,
    ) -> Result<(), VerifyError> {
        let until = u64::try_from(until).unwrap_or(0);
        loop {
            let reached = self.page.partition_point(|head| head.head.size <= until);
            let now: Vec<SignedHead> = self.page.drain(..reached).collect();
            verifier.heads(&now);
            if !self.page.is_empty() || self.ended {
                return Ok(());
            }
            let rows = store.audit_heads(account, self.after, HEADS).await?;
            self.ended = rows.len() < HEADS as usize;
            self.after = rows.last().map_or(self.after, |row| row.size);
            self.page = rows.into_iter().map(parsed).collect::<Result<_, _>>()?;
            if self.page.is_empty() {
                return Ok(());
            }
        }
    }
}
