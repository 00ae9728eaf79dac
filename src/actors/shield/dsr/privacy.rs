//! `/shield/privacy`: wakes requests that are open, at the start and each minute, so that none is
//! forgotten and overdue ones are told of; and deletes packages whose time is over. Beside that, at
//! the start, it erases again whom a restored backup has brought back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::erasures::{ERASURES_FILE, Erasure, Journal, read};
use super::{Msg as DsrMsg, PACKAGE_DAYS};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::person::{Doing, People};
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::dsr::request::Request;
use crate::models::shield::dsr::step::{REDO, Step};
use crate::store::{Gone, StoreError, Write};

const EVERY: Duration = Duration::from_secs(60);
/// Pause before those are tried again who could not be erased again.
const REDO_AGAIN: Duration = Duration::from_secs(5);
const PAGE: u32 = 256;
const DAY_US: i64 = 86_400_000_000;

pub struct PrivacyActor {
    shared: Arc<Shared>,
    people: People,
    view: View,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    open: u64,
    overdue: u64,
    packages_deleted: u64,
    /// Erased once more, because a restore from backup had brought them back.
    erased_again: u64,
    /// Erasures of the journal that are still to be looked at.
    erasures_left: u64,
    /// Lines of the journal that are damaged: whom they name is not erased again.
    erasures_unreadable: u64,
    last_error: Option<String>,
    last_erasure_error: Option<String>,
}

pub enum Msg {
    Look,
    /// Look at these erasures of the journal; at all of it without any.
    Redo(Option<Vec<Erasure>>),
    Redone(Box<Redone>),
}

/// How a look at the journal ended.
#[derive(Default)]
pub struct Redone {
    erased_again: u64,
    /// Where the journal was read.
    unreadable: Option<u64>,
    /// Those that did not work; `None`: the journal cannot be read.
    left: Option<Vec<Erasure>>,
    error: Option<String>,
}

/// Erases again whom the journal names and the store still knows. One that fails keeps no other
/// back.
async fn redo(shared: &Shared, people: &People, erasures: Option<Vec<Erasure>>) -> Redone {
    let mut redone = Redone::default();
    let erasures = match erasures {
        Some(erasures) => erasures,
        None => match journal(shared).await {
            Ok(journal) => {
                for bad in &journal.bad {
                    tracing::error!(
                        line = bad.number,
                        "{ERASURES_FILE} is damaged, {bad}: whom it named there is not erased again"
                    );
                }
                redone.unreadable = Some(journal.bad_total);
                journal.erasures
            }
            Err(fault) => {
                tracing::error!(%fault, "{ERASURES_FILE} cannot be read: whom a backup brought back is still there");
                redone.error = Some(fault.to_string());
                return redone;
            }
        },
    };
    let mut left = Vec::new();
    for erasure in erasures {
        match erase_again(shared, people, &erasure).await {
            Ok(again) => redone.erased_again += u64::from(again),
            Err(fault) => {
                tracing::error!(%fault, request = %erasure.request, "the erasure of request {} could not be made again after a restore yet", erasure.request);
                redone.error = Some(fault.to_string());
                left.push(erasure);
            }
        }
    }
    redone.left = Some(left);
    redone
}

async fn journal(shared: &Shared) -> Result<Journal, Fault> {
    let path = shared.audit.dir.join(ERASURES_FILE);
    if !path.try_exists()? {
        return Ok(Journal::default());
    }
    Ok(tokio::task::spawn_blocking(move || read(&path)).await??)
}

/// Erases a person whom a backup has brought back. False: there is nobody to erase.
async fn erase_again(shared: &Shared, people: &People, erasure: &Erasure) -> Result<bool, Fault> {
    let Erasure { account, person, request, .. } = erasure;
    let row = shared.store.person(account, person).await?;
    let Some(row) = row.filter(|row| row.erased_at.is_none()) else { return Ok(false) };
    // a crash between the journal and the key leaves the same, and its request goes on by itself
    let saved = shared.store.dsr(account, request).await?;
    let saved: Option<Request> = saved.and_then(|row| serde_json::from_str(&row.state).ok());
    if saved.is_some_and(|saved| saved.erases() && saved.person == *person) {
        return Ok(false);
    }
    // before the first of it: a round that is cut off is not begun again where the key is gone
    shared.dsrs.unscrubbed.store(true, Ordering::Relaxed);
    for step in REDO {
        let doing = match step {
            Step::StopProcessing => Doing::StopProcessing { dsr: request.clone() },
            Step::EraseTables => Doing::EraseTables,
            _ => Doing::DestroyKey { again: Some(request.clone()) },
        };
        let erases = !matches!(doing, Doing::StopProcessing { .. });
        let forget = || shared.memories.forget(account, person, Some(&row.lookup));
        if erases {
            // all nodes have let go before the key is: from then on nobody comes back to this one
            forget().await.map_err(Fault::new)?;
        }
        people.perform(account, person, doing).await?;
        if erases {
            forget().await.map_err(Fault::new)?;
        }
    }
    Ok(true)
}

impl PrivacyActor {
    pub fn new(shared: Arc<Shared>, people: People) -> PrivacyActor {
        // what a life before this one left is not known
        shared.dsrs.unscrubbed.store(true, Ordering::Relaxed);
        PrivacyActor { shared, people, view: View::default() }
    }

    /// A look at the journal has ended; what did not work is tried again.
    fn redone(&mut self, redone: Redone, cx: &mut Cx<Self>) {
        let Redone { erased_again, unreadable, left, error } = redone;
        self.view.erased_again += erased_again;
        self.view.erasures_unreadable = unreadable.unwrap_or(self.view.erasures_unreadable);
        self.view.erasures_left = left.as_ref().map_or(0, |left| left.len() as u64);
        self.view.last_erasure_error = error;
        if left.as_ref().is_none_or(|left| !left.is_empty()) {
            cx.send_after(REDO_AGAIN, Msg::Redo(left));
        }
    }

    async fn wake(&mut self) -> Result<(), StoreError> {
        let Some(entities) = self.shared.dsrs.entities.get() else { return Ok(()) };
        let (mut after, mut open, mut overdue) = ((String::new(), String::new()), 0, 0);
        let now = clock::wall_us();
        loop {
            let rows = self.shared.store.dsrs_open((&after.0, &after.1), PAGE).await?;
            let here =
                |account: &str| self.shared.placement.admits(BudgetName::account(account).place());
            for row in rows.iter().filter(|row| here(&row.account)) {
                open += 1;
                overdue += u64::from(row.due_at < now);
                let key = format!("{}:{}", row.account, row.dsr);
                if let Err(refused) = entities.tell(&key, DsrMsg::Wake) {
                    tracing::debug!(request = %row.dsr, ?refused, "request {} is busy", row.dsr);
                }
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => {
                    after = (last.account.clone(), last.dsr.clone());
                }
                _ => break,
            }
        }
        (self.view.open, self.view.overdue) = (open, overdue);
        Ok(())
    }

    /// Has the store's files forget what was erased since the last time.
    async fn scrub(&self) -> Result<(), StoreError> {
        let unscrubbed = &self.shared.dsrs.unscrubbed;
        if !unscrubbed.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let scrubbed = self.shared.store.scrub().await;
        if scrubbed != Ok(true) {
            unscrubbed.store(true, Ordering::Relaxed);
        }
        scrubbed.map(drop)
    }

    async fn prune(&mut self) -> Result<(), StoreError> {
        let old = clock::wall_us() - PACKAGE_DAYS * DAY_US;
        for row in self.shared.store.dsr_packages_before(old, PAGE).await? {
            if !self.shared.placement.admits(BudgetName::account(&row.account).place()) {
                continue;
            }
            let budget = format!("@dsr/{}", row.dsr);
            let name =
                BudgetName { account: row.account.as_str().into(), budget: budget.as_str().into() };
            let shard = name.shard();
            let write = Write {
                account: row.account,
                budget,
                shard,
                epoch: self.shared.epoch(shard),
                gone: vec![Gone::DsrPackage { dsr: row.dsr }],
                ..Write::default()
            };
            // one that is not deleted now is found again
            if let Ok(outcome) = self.shared.committer.submit(write)
                && matches!(outcome.await, Ok(crate::store::Outcome::Committed))
            {
                self.view.packages_deleted += 1;
            }
        }
        Ok(())
    }
}

impl Actor for PrivacyActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "privacy";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        cx.send_after(Duration::ZERO, Msg::Redo(None));
        cx.send_after(Duration::ZERO, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Redo(erasures) => {
                let (shared, people) = (Arc::clone(&self.shared), self.people.clone());
                let work = async move { Box::new(redo(&shared, &people, erasures).await) };
                cx.pipe(work, Msg::Redone);
            }
            Msg::Redone(redone) => self.redone(*redone, cx),
            Msg::Look => {
                let (woken, pruned) = (self.wake().await, self.prune().await);
                let looked = woken.and(pruned).and(self.scrub().await);
                self.view.last_error = looked.err().map(|error| error.to_string());
                let again = match self.view.last_error {
                    None => EVERY,
                    Some(_) => Duration::from_secs(1),
                };
                cx.send_after(again, Msg::Look);
            }
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
