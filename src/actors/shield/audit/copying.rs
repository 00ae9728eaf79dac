//! What the auditor does with the files beside the store: they follow the logs, and begin anew where
//! the logs were put back.

use std::io;
use std::sync::Arc;

use super::blocking;
use super::copy::{Files, ToCopy, ToExport};
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::audit::head::SignedHead;
use crate::models::shield::audit::month::Month;
use crate::store::{AuditBlockRow, AuditHeadRow};

/// Heads of one account that are exported in one go.
const HEADS: u32 = 256;
/// Blocks of one account that are copied in one go.
const BLOCKS: u32 = 16;

/// How a copy ended.
pub struct Copied {
    pub files: io::Result<Files>,
    pub records: u64,
    pub heads: u64,
    /// Copies of dropped months that were removed.
    pub removed: u64,
    /// Accounts that have more to copy.
    pub more: Vec<Arc<str>>,
    /// The store was found to be older than the files.
    pub warning: Option<String>,
}

/// Copies what these accounts' logs have beyond the files; `dropped`: copies of months of which no log
/// has records any more go.
pub async fn copy(
    shared: &Arc<Shared>,
    files: Option<Files>,
    accounts: Vec<Arc<str>>,
    dropped: bool,
) -> Copied {
    let mut copied = Copied {
        files: Err(io::Error::other("not copied")),
        records: 0,
        heads: 0,
        removed: 0,
        more: Vec::new(),
        warning: None,
    };
    let files = copy_into(shared, files, &accounts, dropped, &mut copied).await;
    if files.is_err() {
        copied.more.extend(accounts);
        if dropped {
            shared.audit.dropped();
        }
    }
    copied.files = files;
    copied
}

async fn copy_into(
    shared: &Arc<Shared>,
    files: Option<Files>,
    accounts: &[Arc<str>],
    dropped: bool,
    copied: &mut Copied,
) -> io::Result<Files> {
    let mut files = match files {
        Some(files) => files,
        None => open(shared, copied).await?,
    };
    for account in accounts {
        let (blocks, more) = to_copy(shared, &files, account).await?;
        let heads = to_export(shared, &files, account).await?;
        copied.records += blocks.iter().map(|block| block.lines().count() as u64).sum::<u64>();
        copied.heads += heads.iter().filter(|head| !head.cut).count() as u64;
        if more || heads.len() >= HEADS as usize {
            copied.more.push(Arc::clone(account));
        }
        files = blocking(move || {
            files.copy(&blocks)?;
            files.export(&heads)?;
            Ok(files)
        })
        .await?;
    }
    if dropped && let Some(before) = all_dropped_before(shared).await? {
        let (pruned, removed) = blocking(move || {
            let removed = files.prune(before)?;
            Ok((files, removed))
        })
        .await?;
        files = pruned;
        copied.removed += removed;
    }
    Ok(files)
}

/// Opens the files. A store that was put back to a backup has less than they have, or other heads.
async fn open(shared: &Arc<Shared>, copied: &mut Copied) -> io::Result<Files> {
    let dir = shared.audit.dir.clone();
    let mut files = blocking(move || Files::open(&dir)).await?;
    let mut ahead = Vec::new();
    for account in files.accounts() {
        if is_ahead(shared, &files, &account).await? {
            ahead.push(account);
        }
    }
    if ahead.is_empty() {
        return Ok(files);
    }
    copied.more.extend(ahead.iter().map(|account| Arc::from(account.as_str())));
    let (files, accounts, nth) = blocking(move || {
        let nth = files.begin_anew(&ahead)?;
        Ok((files, ahead, nth))
    })
    .await?;
    let warning = format!(
        "the store has less than was copied of {} account(s), {} first, as after a restore: their \
         copies begin anew, and what was there is in files named before-restore-{nth}",
        accounts.len(),
        accounts.first().map_or("", String::as_str),
    );
    tracing::warn!("{warning}");
    copied.warning = Some(warning);
    Ok(files)
}

/// Whether the files have of a log what the store has not.
async fn is_ahead(shared: &Shared, files: &Files, account: &str) -> io::Result<bool> {
    let store = &shared.store;
    let log = store.audit_log(account).await.map_err(io::Error::other)?;
    let size = log.map_or(0, |log| log.size);
    let head = files.head(account);
    if files.next(account) > size || head > size {
        return Ok(true);
    }
    let Some(hash) = files.hash(account) else { return Ok(false) };
    let row = store.audit_heads(account, head - 1, 1).await.map_err(io::Error::other)?.pop();
    match row.filter(|row| row.size == head) {
        // one that cannot be read was tampered with: verification says so
        Some(row) => Ok(SignedHead::parse(&row.head).is_ok_and(|h| h.hash().to_string() != hash)),
        // retention takes heads, but none after the records that are left begin
        None => {
            let first = store.audit_blocks(account, 0, 1).await.map_err(io::Error::other)?.pop();
            Ok(first.is_some_and(|block| block.first <= head))
        }
    }
}

/// The month before which no log has records, and none has to have any.
async fn all_dropped_before(shared: &Shared) -> io::Result<Option<Month>> {
    let Ok(before) = Month::of(clock::wall_us() - shared.audit.retention_us) else {
        return Ok(None);
    };
    let oldest = shared.store.audit_oldest_month().await.map_err(io::Error::other)?;
    Ok(match oldest.map(|month| month.parse::<Month>()) {
        None => Some(before),
        Some(Ok(oldest)) => Some(before.min(oldest)),
        // tampered with
        Some(Err(_)) => None,
    })
}

/// The lines of an account that are not in the copy yet, and whether there are more.
async fn to_copy(shared: &Shared, files: &Files, account: &str) -> io::Result<(Vec<ToCopy>, bool)> {
    let (store, next) = (&shared.store, files.next(account));
    let from = match store.audit_block_of(account, next).await.map_err(io::Error::other)? {
        Some(row) => row.block,
        // retention may have dropped what was never copied: go on with what is there
        None => match store.audit_blocks(account, 0, 1).await.map_err(io::Error::other)?.pop() {
            Some(row) if row.first > next => row.block,
            _ => return Ok((Vec::new(), false)),
        },
    };
    let rows = store.audit_blocks(account, from, BLOCKS).await.map_err(io::Error::other)?;
    let more = rows.len() == BLOCKS as usize;
    let of = |row: AuditBlockRow| {
        let skip = usize::try_from(next - row.first).unwrap_or(0);
        let (account, month, first) = (row.account, row.month, row.first.max(next));
        ToCopy { account, month, first, text: row.lines, skip }
    };
    Ok((rows.into_iter().map(of).collect(), more))
}

/// The heads and cuts of an account that are not in their file yet.
async fn to_export(shared: &Shared, files: &Files, account: &str) -> io::Result<Vec<ToExport>> {
    let store = &shared.store;
    let heads = store.audit_heads(account, files.head(account), HEADS).await;
    let cuts = store.audit_cuts(account, files.cut(account), HEADS).await;
    let of = |cut: bool| {
        move |row: AuditHeadRow| ToExport {
            account: row.account,
            size: row.size,
            line: row.head,
            cut,
        }
    };
    let heads = heads.map_err(io::Error::other)?.into_iter().map(of(false));
    Ok(heads.chain(cuts.map_err(io::Error::other)?.into_iter().map(of(true))).collect())
}
