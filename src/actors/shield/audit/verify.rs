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
    let log = match store.audit_log(account).await? {
        Some(log) => log,
        // heads from outside can tell that there was one
        None if !exported.is_empty() => empty(account),
        None => return Err(VerifyError::NoLog(account.to_owned())),
    };
    let root: Hash = log.root.parse().map_err(|e| unreadable("the root of the log", e))?;
    let mut heads = Heads { after: -1, page: Vec::new(), ended: false };
    let start = start(store, account).await?;
    if let Some(start) = &start {
        heads.after = i64::try_from(start.head.size).unwrap_or(i64::MAX) - 1;
    }
    let mut verifier = Verifier::new(account, start.as_ref(), exported, keys);
    let mut next = 0;
    loop {
        let rows = store.audit_blocks(account, next, BLOCKS).await?;
        let Some(last) = rows.last() else { break };
        let (end, full) = (last.first.saturating_add(last.count), rows.len() == BLOCKS as usize);
        next = last.block + 1;
        heads.feed(store, account, end.min(log.size), &mut verifier).await?;
        let numbers = rows.first().map_or((0, 0), |first| (first.block, next - 1));
        let mut persons: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        for row in store.audit_persons(account, numbers).await? {
            persons.entry(row.block).or_default().insert(row.person);
        }
        for row in rows.into_iter().filter(|row| row.first < log.size) {
            let persons = persons.remove(&row.block).unwrap_or_default();
            verifier.block(&Block { persons, ..block(row)? });
        }
        if !full || end >= log.size {
            break;
        }
        tokio::task::yield_now().await;
    }
    heads.feed(store, account, log.size, &mut verifier).await?;
    Ok(verifier.finish(u64::try_from(log.size).unwrap_or(0), root))
}

fn empty(account: &str) -> AuditLogRow {
    let root = Frontier::new().root().to_string();
    let frontier = String::new();
    AuditLogRow { account: account.to_owned(), size: 0, root, frontier, blocks: 0, version: 0 }
}

/// The kept head from which on the log is there, when months were dropped.
pub async fn start(store: &Store, account: &str) -> Result<Option<SignedHead>, VerifyError> {
    let Some(first) = store.audit_blocks(account, 0, 1).await?.pop() else { return Ok(None) };
    if first.first <= 0 {
        return Ok(None);
    }
    let head = store.audit_heads(account, first.first - 1, 1).await?.pop();
    head.filter(|head| head.size == first.first).map(parsed).transpose()
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
