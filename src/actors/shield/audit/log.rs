//! `/shield/audit/<account>`: the one writer of an account's log.

mod behind;
mod retain;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use self::retain::Checked;
use super::live::{Durable, Flight, Live};
use super::{AppendError, Appended, PENDING_AGE_US};
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::audit::head::SignedHead;
use crate::models::shield::audit::month::Month;
use crate::store::{Outcome, Write};

/// The budget under which the log's writes are ordered and fenced.
const LOG: &str = "@audit";
/// Pause before what could not be written is written again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a start reads the log while the store is away.
const LOAD_TRIES_MAX: u32 = 20;
/// Pending records read at once.
const PENDING_PAGE: u32 = 1_000;
/// Longest wait for the last flight in a stop.
const LAST_FLIGHT_MAX: Duration = Duration::from_secs(5);

pub struct LogActor {
    account: Arc<str>,
    name: BudgetName,
    shared: Arc<Shared>,
    live: Option<Live>,
    /// Ledgers that have more than was read: they go on when a flight has landed, or when the store is back.
    behind: BTreeSet<Arc<str>>,
    /// The store was away while ledgers were read; they are read again in a moment.
    put_off: bool,
    /// Ledgers after this name may have what nobody told here: what the life before had taken and not written, what
    /// was booked at another node and is on its way, what was lost on it. `None`: all were asked for.
    unseen: Option<String>,
    /// Who waits until nothing is behind.
    flushes: Vec<Reply<Result<Appended, AppendError>>>,
    /// Months before this one go once their end is signed.
    retaining: Option<Month>,
    /// What is to be dropped is being looked through.
    checking: bool,
    view: View,
}

/// A log as operators see it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct View {
    size: u64,
    root: String,
    blocks: u64,
    signed_size: u64,
    version: i64,
    /// Records that could not be read and were left out.
    unreadable: u64,
    last_error: Option<String>,
}

pub enum Msg {
    /// Look what waits in the feed, and write.
    Look,
    /// Records of those who want to know that they are durable.
    Append {
        lines: Vec<String>,
        reply: Reply<Result<Appended, AppendError>>,
    },
    /// Records that were written with what they tell of, by id.
    Pending(Vec<(String, String)>),
    /// There are such records in the store that should be in the log by now.
    LookPending,
    /// The ledger of this budget is ahead.
    CatchUp(Arc<str>),
    /// All that are ahead, as far as they are known; the store was away, or this life has just begun.
    Behind,
    /// Sign what there is; `all`: also what is only counted so far.
    Sign {
        all: bool,
    },
    /// Drop the months before this one.
    Retain(Month),
    /// They were looked through.
    Checked(Box<Checked>),
    /// Answer when all that was told before is durable.
    Flush(Reply<Result<Appended, AppendError>>),
    Landed {
        flight: Box<Flight>,
        outcome: Outcome,
    },
    Again(Box<Flight>),
}

impl LogActor {
    pub fn new(shared: Arc<Shared>, account: &str) -> LogActor {
        let account: Arc<str> = account.into();
        let name = BudgetName { account: Arc::clone(&account), budget: LOG.into() };
        LogActor {
            account,
            name,
            shared,
            live: None,
            behind: BTreeSet::new(),
            put_off: false,
            unseen: Some(String::new()),
            flushes: Vec::new(),
            retaining: None,
            checking: false,
            view: View::default(),
        }
    }

    async fn load(&self) -> Result<Durable, Fault> {
        // what a life before this one has on its way must have ended
        self.shared.committer.barrier().await;
        let store = &self.shared.store;
        let Some(row) = store.audit_log(&self.account).await? else { return Ok(Durable::new()) };
        let head = match store.audit_newest_head(&self.account).await? {
            Some(row) => Some(SignedHead::parse(&row.head)?),
            None => None,
        };
        let last = store.audit_blocks_back(&self.account, row.blocks, 1).await?.pop();
        let month = match last {
            Some(block) => Some(block.month.parse::<Month>()?),
            // retention has dropped all: the head that it kept tells when
            None => head.as_ref().map(|head| Month::of(head.head.at_us)).transpose()?,
        };
        Ok(Durable {
            frontier: serde_json::from_str(&row.frontier)?,
            blocks: u64::try_from(row.blocks)?,
            month,
            version: row.version,
            head,
        })
    }

    fn live(&mut self) -> Result<&mut Live, Fault> {
        self.live.as_mut().ok_or_else(|| Fault::new("the log is not loaded"))
    }

    fn write(&self, flight: &Flight) -> Write {
        let shard = self.name.shard();
        Write {
            account: self.account.to_string(),
            budget: LOG.to_owned(),
            shard,
            epoch: self.shared.epoch(shard),
            puts: flight.puts.clone(),
            gone: flight.gone.clone(),
            ..Write::default()
        }
    }

    /// Sends all that waits to the store, unless something is on its way.
    fn flush(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let (key, account) = (self.shared.vault.signing_key(), Arc::clone(&self.account));
        let now_us = clock::wall_us();
        if let Some(flight) = self.live()?.take(&account, (&key, now_us))? {
            self.fly(Box::new(flight), cx);
        }
        Ok(())
    }

    fn fly(&mut self, flight: Box<Flight>, cx: &mut Cx<Self>) {
        match self.shared.committer.submit(self.write(&flight)) {
            Ok(outcome) => cx.pipe(
                async move {
                    let outcome = outcome.await.unwrap_or_else(|_| super::unknown());
                    (flight, outcome)
                },
                |(flight, outcome)| Msg::Landed { flight, outcome },
            ),
            Err(full) => {
                self.view.last_error = Some(full.to_string());
                cx.send_after(AGAIN, Msg::Again(flight));
            }
        }
    }

    async fn landed(
        &mut self,
        flight: Box<Flight>,
        outcome: Outcome,
        cx: &mut Cx<Self>,
    ) -> Result<(), Fault> {
        match outcome {
            Outcome::Committed => {
                super::metrics::written(flight.records);
                self.shared.audit.dirty([Arc::clone(&self.account)]);
                self.live()?.landed(*flight);
                self.note_signed();
                if let Some(month) = self.retaining.take() {
                    self.retain(month, cx).await?;
                }
                if let Some(budget) = self.behind.first() {
                    cx.send_after(Duration::ZERO, Msg::CatchUp(Arc::clone(budget)));
                } else if self.unseen.is_some() {
                    cx.send_after(Duration::ZERO, Msg::Behind);
                }
                self.flush(cx)
            }
            Outcome::Failed(error) => {
                self.view.last_error = Some(error.to_string());
                cx.send_after(AGAIN, Msg::Again(flight));
                Ok(())
            }
            // the next life looks at what is there; bookings and pending records come again
            Outcome::Unknown(error) => Err(Fault::new(format!("an unknown outcome: {error}"))),
            other => Err(Fault::new(format!("the log has another writer: {other:?}"))),
        }
    }

    /// Tells the auditor whether there is something to sign.
    fn note_signed(&self) {
        let Some(live) = &self.live else { return };
        match live.durable.frontier.size() > live.durable.signed_size() {
            true => self.shared.audit.unsigned([Arc::clone(&self.account)]),
            false => self.shared.audit.signed(&self.account),
        }
    }

    fn push(&mut self, line: String) {
        let Some(live) = &mut self.live else { return };
        if let Err(error) = live.push(&line) {
            self.unreadable(&error.to_string());
        }
    }

    fn unreadable(&mut self, error: &str) {
        self.view.unreadable += 1;
        self.view.last_error = Some(error.to_owned());
        tracing::error!(account = %self.account, error, "a record is none and was left out");
    }

    /// Adds records that were written with what they tell of.
    fn push_pending(&mut self, records: Vec<(String, String)>) -> Result<(), Fault> {
        for (id, line) in records {
            if let Err(error) = self.live()?.push_pending(id, &line) {
                self.unreadable(&error.to_string());
            }
        }
        Ok(())
    }

    /// Reads such records. One that is in flight may be among them: it is known until it has landed,
    /// and for a while after.
    async fn look_pending(&mut self) -> Result<(), Fault> {
        let old = clock::wall_us() - PENDING_AGE_US;
        match self.shared.store.audit_pending(&self.account, PENDING_PAGE).await {
            Ok(rows) => {
                let rows = rows.into_iter().filter(|row| row.at < old);
                self.push_pending(rows.map(|row| (row.id, row.record)).collect())
            }
            // the auditor tells again
            Err(error) => {
                self.view.last_error = Some(error.to_string());
                Ok(())
            }
        }
    }
}

impl Actor for LogActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "audit";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let mut tries = 0;
        let durable = loop {
            match self.load().await {
                Ok(durable) => break durable,
                Err(fault) if tries >= LOAD_TRIES_MAX => return Err(fault),
                Err(fault) => {
                    self.view.last_error = Some(fault.to_string());
                    tries += 1;
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        self.live = Some(Live::new(durable));
        cx.send_after(Duration::ZERO, Msg::Behind);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            // what waits in the feed can wait there, or be read from the ledger
            Msg::Look if self.live()?.is_full() => {}
            Msg::Look => self.gather(false, cx).await?,
            Msg::Append { lines, reply } => {
                self.gather(false, cx).await?;
                for line in lines {
                    if let Err(error) = self.live()?.push(&line) {
                        self.unreadable(&error.to_string());
                        reply.send(Err(AppendError::NoRecord(error.to_string())));
                        return Ok(());
                    }
                }
                self.live()?.wait(reply);
            }
            // they are in the store until there is room for them
            Msg::Pending(_) | Msg::LookPending if self.live()?.is_full() => {}
            Msg::Pending(records) => self.push_pending(records)?,
            Msg::LookPending => self.look_pending().await?,
            Msg::CatchUp(budget) => {
                if !self.live()?.is_full() {
                    self.gather(false, cx).await?;
                }
                self.catch_up(&budget, cx).await?;
            }
            Msg::Behind => self.go_on(cx).await?,
            Msg::Sign { all } => {
                self.gather(all, cx).await?;
                self.live()?.sign = true;
                self.flush(cx)?;
                self.note_signed();
                return Ok(());
            }
            Msg::Retain(month) => self.retain(month, cx).await?,
            Msg::Checked(checked) => self.checked(*checked).await?,
            Msg::Flush(reply) => {
                self.gather(true, cx).await?;
                self.flushes.push(reply);
                // A feed has what was told here alone: the ledgers have all.
                self.unseen = Some(String::new());
                self.go_on(cx).await?;
            }
            Msg::Landed { flight, outcome } => return self.landed(flight, outcome, cx).await,
            Msg::Again(flight) => {
                self.fly(flight, cx);
                return Ok(());
            }
        }
        if self.behind.is_empty() && self.unseen.is_none() {
            for reply in std::mem::take(&mut self.flushes) {
                self.live()?.wait(reply);
            }
        }
        self.flush(cx)
    }

    async fn stopping(&mut self, cx: &mut Cx<Self>) {
        // what flies lands without us: its outcome is looked up by the next life
        if self.shared.committer.view().closed || self.live.as_ref().is_none_or(|l| l.flying) {
            return;
        }
        if let Err(fault) = self.gather(true, cx).await {
            tracing::warn!(account = %self.account, %fault, "the log could not be ended");
            return;
        }
        let (key, account) = (self.shared.vault.signing_key(), Arc::clone(&self.account));
        let draining = self.shared.draining.load(std::sync::atomic::Ordering::Relaxed);
        let mut first = true;
        loop {
            let Some(live) = &mut self.live else { return };
            live.sign |= std::mem::take(&mut first) && draining;
            let Ok(Some(flight)) = live.take(&account, (&key, clock::wall_us())) else { return };
            let Ok(outcome) = self.shared.committer.submit(self.write(&flight)) else { return };
            match tokio::time::timeout(LAST_FLIGHT_MAX, outcome).await {
                Ok(Ok(Outcome::Committed)) => {
                    if let Some(live) = &mut self.live {
                        live.landed(flight);
                    }
                }
                other => {
                    tracing::warn!(account = %self.account, ?other, "the log's last records may be missing until the next start");
                    return;
                }
            }
        }
    }

    fn view(&self) -> View {
        let Some(live) = &self.live else { return self.view.clone() };
        View {
            size: live.durable.frontier.size(),
            root: live.durable.frontier.root().to_string(),
            blocks: live.durable.blocks,
            signed_size: live.durable.signed_size(),
            version: live.durable.version,
            ..self.view.clone()
        }
    }

    fn idle(&self) -> bool {
        self.live.as_ref().is_none_or(Live::is_idle)
            && self.behind.is_empty()
            && self.unseen.is_none()
            && !self.checking
            && !self.shared.audit.feeds.of(&self.account).waits()
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look => "Look",
            Msg::Append { .. } => "Append",
            Msg::Pending(_) => "Pending",
            Msg::LookPending => "LookPending",
            Msg::CatchUp(_) => "CatchUp",
            Msg::Behind => "Behind",
            Msg::Sign { .. } => "Sign",
            Msg::Retain(_) => "Retain",
            Msg::Checked(_) => "Checked",
            Msg::Flush(_) => "Flush",
            Msg::Landed { .. } => "Landed",
            Msg::Again(_) => "Again",
        }
    }
}
