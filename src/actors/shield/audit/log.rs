//! `/shield/audit/<account>`: the one writer of an account's log.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::lines;
use super::live::{Durable, Flight, Live};
use super::{AppendError, Appended};
use crate::actors::kernel::{Actor, Cx, Fault, Reply};
use crate::actors::shield::names::BudgetName;
use crate::actors::shield::rows;
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::models::shield::audit::head::SignedHead;
use crate::models::shield::audit::month::Month;
use crate::models::shield::entry::Entry;
use crate::store::{Gone, Outcome, Write};

/// The budget under which the log's writes are ordered and fenced.
const LOG: &str = "@audit";
/// Pause before what could not be written is written again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often a start reads the log while the store is away.
const LOAD_TRIES_MAX: u32 = 20;
/// Ledger rows read at once.
const LEDGER_PAGE: u32 = 1_000;
/// Pages read in one go: other messages have their turn in between.
const LEDGER_PAGES_MAX: u32 = 16;
/// Longest wait for the last flight in a stop.
const LAST_FLIGHT_MAX: Duration = Duration::from_secs(5);

pub struct LogActor {
    account: Arc<str>,
    name: BudgetName,
    shared: Arc<Shared>,
    live: Option<Live>,
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
    /// The ledger of this budget is ahead.
    CatchUp(Arc<str>),
    /// Sign what there is.
    Sign,
    /// Drop the months before this one.
    Retain(Month),
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
        LogActor { account, name, shared, live: None, view: View::default() }
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

    fn landed(
        &mut self,
        flight: Box<Flight>,
        outcome: Outcome,
        cx: &mut Cx<Self>,
    ) -> Result<(), Fault> {
        match outcome {
            Outcome::Committed => {
                super::metrics::written(flight.records);
                let grown = (flight.records > 0).then(|| Arc::clone(&self.account));
                self.shared.audit.unsigned(grown);
                self.shared.audit.dirty([Arc::clone(&self.account)]);
                self.live()?.landed(*flight);
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

    /// Takes what waits in the feed.
    async fn gather(&mut self) -> Result<(), Fault> {
        let (booked, denied) = self.shared.audit.feeds.of(&self.account).take();
        let mut behind: Vec<Arc<str>> = Vec::new();
        for booked in booked {
            let cursor = self.cursor(&booked.budget).await?;
            if booked.entry.seq <= cursor || behind.contains(&booked.budget) {
                continue;
            }
            if booked.entry.seq > cursor + 1 {
                behind.push(booked.budget);
                continue;
            }
            self.push_booked(&booked.budget, &booked.entry)?;
        }
        for budget in behind {
            self.catch_up(&budget).await?;
        }
        for denied in &denied {
            self.push(lines::denied(denied)?);
        }
        for turned in self.shared.audit.feeds.of(&self.account).take_turned() {
            // its texts are a stranger's: one that makes no record is counted, and stops nobody
            match lines::turned(turned) {
                Ok(line) => self.push(line),
                Err(error) => self.unreadable(&error.to_string()),
            }
        }
        Ok(())
    }

    /// Up to which row this ledger is in the log.
    async fn cursor(&mut self, budget: &Arc<str>) -> Result<i64, Fault> {
        if let Some(seq) = self.live()?.cursor(budget) {
            return Ok(seq);
        }
        let seq = self.shared.store.audit_cursor(&self.account, budget).await?;
        self.live()?.moved(budget, seq, false);
        Ok(seq)
    }

    fn push_booked(&mut self, budget: &Arc<str>, entry: &Entry) -> Result<(), Fault> {
        let line = lines::booked(budget, entry)?;
        self.push(line);
        self.live()?.moved(budget, entry.seq, true);
        Ok(())
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

    /// Reads what the ledger has beyond the log. Whether there is more.
    async fn catch_up(&mut self, budget: &Arc<str>) -> Result<bool, Fault> {
        for _ in 0..LEDGER_PAGES_MAX {
            let cursor = self.cursor(budget).await?;
            let store = &self.shared.store;
            let rows = store.ledger(&self.account, budget, cursor, LEDGER_PAGE).await?;
            let more = rows.len() == LEDGER_PAGE as usize;
            for row in &rows {
                let entry = rows::entry_of(row)?;
                self.push_booked(budget, &entry)?;
            }
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Drops whole months, once a kept head stands for them.
    async fn retain(&mut self, before: Month) -> Result<(), Fault> {
        let store = &self.shared.store;
        let month = before.to_string();
        let Some(last) = store.audit_block_before_month(&self.account, &month).await? else {
            return Ok(());
        };
        let first = last.first + last.count;
        let head = store.audit_heads(&self.account, first - 1, 1).await?.pop();
        if head.is_none_or(|head| head.size != first || head.kept == 0) {
            let live = self.live()?;
            if i64::try_from(live.durable.frontier.size())? == first {
                // nothing came after it: its end is signed now, and it goes with the next look
                live.close_month = true;
            }
            return Ok(());
        }
        let shard = self.name.shard();
        let write = Write {
            account: self.account.to_string(),
            budget: LOG.to_owned(),
            shard,
            epoch: self.shared.epoch(shard),
            gone: vec![Gone::AuditBlocksBefore { block: last.block + 1, first }],
            ..Write::default()
        };
        let outcome = self.shared.committer.submit(write);
        let outcome = outcome.map_err(|full| Fault::new(full.to_string()))?;
        match outcome.await {
            Ok(Outcome::Committed) => {
                tracing::info!(account = %self.account, first, "dropped audit records before {first}");
                Ok(())
            }
            other => {
                self.view.last_error = Some(format!("retention: {other:?}"));
                Ok(())
            }
        }
    }
}

impl Actor for LogActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "audit";

    async fn started(&mut self, _cx: &mut Cx<Self>) -> Result<(), Fault> {
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
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look => self.gather().await?,
            Msg::Append { lines, reply } => {
                self.gather().await?;
                for line in lines {
                    if let Err(error) = self.live()?.push(&line) {
                        self.unreadable(&error.to_string());
                        reply.send(Err(AppendError::NoRecord(error.to_string())));
                        return Ok(());
                    }
                }
                self.live()?.waiting.push(reply);
            }
            Msg::Pending(records) => {
                for (id, line) in records {
                    if let Err(error) = self.live()?.push_pending(id, &line) {
                        self.unreadable(&error.to_string());
                    }
                }
            }
            Msg::CatchUp(budget) => {
                self.gather().await?;
                if self.catch_up(&budget).await? {
                    cx.send_after(Duration::ZERO, Msg::CatchUp(budget));
                }
            }
            Msg::Sign => {
                self.gather().await?;
                self.live()?.sign = true;
            }
            Msg::Retain(month) => self.retain(month).await?,
            Msg::Flush(reply) => {
                self.gather().await?;
                self.live()?.waiting.push(reply);
            }
            Msg::Landed { flight, outcome } => return self.landed(flight, outcome, cx),
            Msg::Again(flight) => {
                self.fly(flight, cx);
                return Ok(());
            }
        }
        self.flush(cx)
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        // what flies lands without us: its outcome is looked up by the next life
        if self.shared.committer.view().closed || self.live.as_ref().is_none_or(|l| l.flying) {
            return;
        }
        if let Err(fault) = self.gather().await {
            tracing::warn!(account = %self.account, %fault, "the log could not be ended");
            return;
        }
        let (key, account) = (self.shared.vault.signing_key(), Arc::clone(&self.account));
        let Some(live) = &mut self.live else { return };
        live.sign = self.shared.draining.load(std::sync::atomic::Ordering::Relaxed);
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
            && !self.shared.audit.feeds.of(&self.account).waits()
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look => "Look",
            Msg::Append { .. } => "Append",
            Msg::Pending(_) => "Pending",
            Msg::CatchUp(_) => "CatchUp",
            Msg::Sign => "Sign",
            Msg::Retain(_) => "Retain",
            Msg::Flush(_) => "Flush",
            Msg::Landed { .. } => "Landed",
            Msg::Again(_) => "Again",
        }
    }
}
