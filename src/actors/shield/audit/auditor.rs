//! `/shield/auditor`: sees that logs are written, signed, copied, and dropped when their time is
//! over.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::copy::{Files, ToCopy};
use super::log::Msg as LogMsg;
use super::metrics;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::audit::month::Month;
use crate::store::StoreError;

const EVERY: Duration = Duration::from_millis(250);
/// Ticks between two copies, looks for pending records, heads, looks for gaps, and retentions.
const COPY_TICKS: u64 = 4;
const PENDING_TICKS: u64 = 8;
const SIGN_TICKS: u64 = 4 * 60;
const GAPS_TICKS: u64 = 4 * 300;
const RETAIN_TICKS: u64 = 4 * 3_600;
/// Pending records that are younger are on their way already.
const PENDING_AGE_US: i64 = 2_000_000;
const PAGE: u32 = 256;
/// Blocks of one account that are copied in one go.
const COPY_BLOCKS: u32 = 16;

pub struct AuditorActor {
    shared: Arc<Shared>,
    ticks: u64,
    files: Option<Files>,
    copying: bool,
    view: View,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    directory: PathBuf,
    records_copied: u64,
    heads_exported: u64,
    last_error: Option<String>,
}

pub enum Msg {
    Tick,
    Copied(Box<Copied>),
}

/// How a copy ended.
pub struct Copied {
    files: Result<Files, io::Error>,
    records: u64,
    heads: u64,
    /// Accounts that have more to copy.
    more: Vec<Arc<str>>,
}

impl AuditorActor {
    pub fn new(shared: Arc<Shared>) -> AuditorActor {
        let view = View { directory: shared.audit.dir.clone(), ..View::default() };
        AuditorActor { shared, ticks: 0, files: None, copying: false, view }
    }

    fn tell(&self, account: &str, msg: LogMsg) {
        // a log that is busy is told again in the next round
        if let Some(logs) = self.shared.audit.logs.get()
            && let Err(refused) = logs.tell(account, msg)
        {
            tracing::debug!(account, ?refused, "the log of {account} is busy");
        }
    }

    /// All accounts with a log, a page at a time.
    async fn every_log(&self, mut each: impl FnMut(&str)) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows = self.shared.store.audit_logs(&after, PAGE).await?;
            rows.iter().for_each(|row| each(&row.account));
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => after = last.account.clone(),
                _ => return Ok(()),
            }
        }
    }

    async fn look(&mut self, cx: &mut Cx<Self>) -> Result<(), StoreError> {
        for account in self.shared.audit.feeds.waiting() {
            self.tell(&account, LogMsg::Look);
        }
        let first = self.ticks == 0;
        let due = |every: u64| self.ticks.is_multiple_of(every);
        if first {
            let mut all = Vec::new();
            self.every_log(|account| all.push(Arc::from(account))).await?;
            self.shared.audit.dirty(all.iter().cloned());
            self.shared.audit.unsigned(all);
        }
        if due(PENDING_TICKS) {
            self.pending().await?;
        }
        if due(GAPS_TICKS) {
            self.gaps().await?;
        }
        if due(SIGN_TICKS) && !first {
            for account in self.shared.audit.take_unsigned() {
                self.tell(&account, LogMsg::Sign);
            }
        }
        if due(RETAIN_TICKS)
            && let Ok(month) = Month::of(clock::wall_us() - self.shared.audit.retention_us)
        {
            self.every_log(|account| self.tell(account, LogMsg::Retain(month))).await?;
        }
        if due(COPY_TICKS) && !self.copying {
            self.copy(cx);
        }
        Ok(())
    }

    /// Records that were written with what they tell of and have not reached their log.
    async fn pending(&self) -> Result<(), StoreError> {
        let rows = self.shared.store.audit_pending_any(PAGE).await?;
        let old = clock::wall_us() - PENDING_AGE_US;
        let mut by_account: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for row in rows.into_iter().filter(|row| row.at < old) {
            by_account.entry(row.account).or_default().push((row.id, row.record));
        }
        for (account, records) in by_account {
            self.tell(&account, LogMsg::Pending(records));
        }
        Ok(())
    }

    /// Ledgers that are ahead of their log, as after a crash.
    async fn gaps(&self) -> Result<(), StoreError> {
        let mut after = (String::new(), String::new());
        loop {
            let rows = self.shared.store.audit_behind((&after.0, &after.1), PAGE).await?;
            for row in &rows {
                self.tell(&row.account, LogMsg::CatchUp(row.budget.as_str().into()));
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => {
                    after = (last.account.clone(), last.budget.clone());
                }
                _ => return Ok(()),
            }
        }
    }

    fn copy(&mut self, cx: &mut Cx<Self>) {
        let accounts = self.shared.audit.take_dirty();
        if accounts.is_empty() && self.files.is_some() {
            return;
        }
        self.copying = true;
        let (shared, files) = (Arc::clone(&self.shared), self.files.take());
        let copy = async move { copy(&shared, files, accounts).await };
        cx.pipe(copy, |copied| Msg::Copied(Box::new(copied)));
    }

    fn copied(&mut self, copied: Copied) {
        self.copying = false;
        self.view.records_copied += copied.records;
        self.view.heads_exported += copied.heads;
        self.shared.audit.dirty(copied.more);
        match copied.files {
            Ok(files) => {
                self.files = Some(files);
                self.view.last_error = None;
            }
            Err(error) => {
                metrics::not_copied();
                let error = error.to_string();
                if self.view.last_error.as_ref() != Some(&error) {
                    tracing::error!(error, "the readable copy of the audit cannot be written");
                }
                self.view.last_error = Some(error);
            }
        }
    }
}

impl Actor for AuditorActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "auditor";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(EVERY, Msg::Tick);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Tick => {
                match self.look(cx).await {
                    Ok(()) => self.ticks += 1,
                    // the store is away: the same round is tried again
                    Err(error) => self.view.last_error = Some(error.to_string()),
                }
                cx.send_after(EVERY, Msg::Tick);
            }
            Msg::Copied(copied) => self.copied(*copied),
        }
        Ok(())
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }
}

/// Copies what these accounts' logs have beyond the files.
async fn copy(shared: &Arc<Shared>, files: Option<Files>, accounts: Vec<Arc<str>>) -> Copied {
    let mut copied =
        Copied { files: Err(io::Error::other("")), records: 0, heads: 0, more: vec![] };
    copied.files = copy_into(shared, files, &accounts, &mut copied).await;
    if copied.files.is_err() {
        copied.more = accounts;
    }
    copied
}

async fn copy_into(
    shared: &Arc<Shared>,
    files: Option<Files>,
    accounts: &[Arc<str>],
    copied: &mut Copied,
) -> io::Result<Files> {
    let mut files = match files {
        Some(files) => files,
        None => {
            let dir = shared.audit.dir.clone();
            blocking(move || Files::open(&dir)).await?
        }
    };
    for account in accounts {
        let (blocks, more) = to_copy(shared, &files, account).await?;
        let heads = to_export(shared, &files, account).await?;
        copied.records += blocks.iter().map(|block| block.lines.len() as u64).sum::<u64>();
        copied.heads += heads.len() as u64;
        if more || heads.len() == PAGE as usize {
            copied.more.push(Arc::clone(account));
        }
        files = blocking(move || {
            files.copy(&blocks)?;
            files.export(&heads)?;
            Ok(files)
        })
        .await?;
    }
    Ok(files)
}

async fn to_copy(shared: &Shared, files: &Files, account: &str) -> io::Result<(Vec<ToCopy>, bool)> {
    let next = files.next(account);
    let store = &shared.store;
    let from = match store.audit_block_of(account, next).await.map_err(io::Error::other)? {
        Some(row) => row.block,
        // retention may have dropped what was never copied: go on with what is there
        None => match store.audit_blocks(account, 0, 1).await.map_err(io::Error::other)?.pop() {
            Some(row) if row.first > next => row.block,
            _ => return Ok((Vec::new(), false)),
        },
    };
    let rows = store.audit_blocks(account, from, COPY_BLOCKS).await.map_err(io::Error::other)?;
    let more = rows.len() == COPY_BLOCKS as usize;
    let of = |row: crate::store::AuditBlockRow| {
        let skip = usize::try_from(next - row.first).unwrap_or(0);
        let lines = row.lines.split('\n').skip(skip).map(str::to_owned).collect();
        ToCopy { account: row.account, month: row.month, first: row.first.max(next), lines }
    };
    Ok((rows.into_iter().map(of).collect(), more))
}

async fn to_export(
    shared: &Shared,
    files: &Files,
    account: &str,
) -> io::Result<Vec<(String, i64, String)>> {
    let heads = shared.store.audit_heads(account, files.head(account), PAGE).await;
    let heads = heads.map_err(io::Error::other)?;
    Ok(heads.into_iter().map(|row| (row.account, row.size, row.head)).collect())
}

/// Files are written beside the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
