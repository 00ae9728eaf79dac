//! The actor: a few times a second it takes in what its seat was told, and publishes anew.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::kept::Kept;
use super::live::{IDLE_EVERY, LOOK_EVERY, Live};
use crate::actors::flow::auction::Office;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::view::BudgetView;
use crate::actors::shield::{BudgetName, ShieldError, Writes, Written};
use crate::clock;
use crate::models::flow::pacing::{self, Pacer};
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::compile::key_of;
use crate::models::shield::money::Micros;
use crate::store::{FlowPacerRow, Put, StoreError};

/// How often what was learned is stored, at most.
const SAVE_EVERY_US: i64 = 60_000_000;
/// How soon it is read again where the store is away.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// How long a look at the budget may take: an orderly end waits for it, and it is looked at again.
const BUDGET_WITHIN: Duration = Duration::from_secs(3);

pub enum Msg {
    /// An auction has met it, or its campaign has changed.
    Wake,
    Look,
    Budget(Result<Box<BudgetView>, ShieldError>),
    /// What is stored of it; `Err`: nobody can say yet.
    Stored(Result<Option<Box<FlowPacerRow>>, StoreError>),
    /// To be read again.
    Read,
    /// What it has learned is stored, up to so many outcomes, in the row of this time; or it is not.
    Saved(Option<(u64, i64)>),
}

#[derive(Clone, Serialize)]
pub struct View {
    campaign: String,
    strategy: &'static str,
    pacer: Option<pacing::View>,
    /// Outcomes that the win curve was learned from.
    outcomes: u64,
    remaining: Option<Micros>,
    closed: Option<Reason>,
}

pub struct BidderActor {
    office: Arc<Office>,
    writes: Writes,
    key: String,
    live: Option<Live>,
}
impl BidderActor {
    pub fn new(office: Arc<Office>, writes: Writes, key: &str) -> BidderActor {
        BidderActor { office, writes, key: key.to_owned(), live: None }
    }

    fn begin(&mut self) -> Option<&mut Live> {
        let name = BudgetName::of_campaign_key(&self.key, &self.office.terms.account);
        let market = self.office.market();
        let seat = market.by_key(key_of(&name.account, &name.budget))?;
        // What another node has is learned there: the next index is without it.
        if !self.office.shield.placement().admits(seat.shard) {
            return None;
        }
        let live = self.live.get_or_insert_with(|| Live::new(seat));
        live.shows_anew();
        // A campaign that was away and is back has another seat.
        if !Arc::ptr_eq(&live.seat, seat) {
            live.seat = Arc::clone(seat);
        }
        live.seat.began();
        Some(live)
    }

    fn read_stored(&self, cx: &mut Cx<Self>) {
        let Some(live) = self.live.as_ref().filter(|live| !live.read) else { return };
        let (writes, name) = (self.writes.clone(), live.seat.name.clone());
        let read = async move {
            // A life before this one may have written a moment ago.
            writes.barrier().await;
            let row = writes.store().flow_pacer(&name.account, &name.budget).await?;
            Ok::<_, StoreError>(row.map(Box::new))
        };
        cx.pipe(read, Msg::Stored);
    }

    /// What is to be written now, with the outcomes that it knows of.
    fn to_save(&self, now_us: i64) -> Option<(FlowPacerRow, u64)> {
        let live = self.live.as_ref()?;
        if !live.read || live.saving || live.learned == live.saved {
            return None;
        }
        let strategy = &live.campaign.definition.strategy;
        let pacer = live.pacer.as_ref().or(live.stored.as_ref());
        let row = FlowPacerRow {
            account: live.seat.name.account.to_string(),
            campaign: live.seat.name.budget.to_string(),
            state: Kept::text(strategy, pacer, &live.learner, now_us)?,
            updated_at: now_us,
        };
        Some((row, live.learned))
    }

    fn save(&mut self, cx: &mut Cx<Self>, now_us: i64) {
        let mono_us = clock::mono_us();
        let due = |live: &Live| mono_us >= live.saved_us.saturating_add(SAVE_EVERY_US);
        if !self.live.as_ref().is_some_and(due) {
            return;
        }
        let Some((row, learned)) = self.to_save(now_us) else { return };
        if !self.office.saves.opens(mono_us) {
            return;
        }
        if let Some(live) = &mut self.live {
            (live.saving, live.saved_us) = (true, mono_us);
        }
        let (writes, stored_us) = (self.writes.clone(), row.updated_at);
        let write = async move { written(&writes, row).await.then_some((learned, stored_us)) };
        cx.pipe(write, Msg::Saved);
    }

    fn ask_budget(&mut self, cx: &mut Cx<Self>) {
        let Some(live) = &mut self.live else { return };
        let now = clock::mono_us();
        if !live.wants_budget(now) {
            return;
        }
        live.asks_budget(now);
        let (shield, name) = (self.office.shield.clone(), live.seat.name.clone());
        let look = async move {
            let looked = tokio::time::timeout(BUDGET_WITHIN, shield.budget(&name)).await;
            looked.unwrap_or(Err(ShieldError::Expired))
        };
        cx.pipe(look, Msg::Budget);
    }
}

/// Whether it is durable. Nobody waits for it, and what is lost of it is learned again.
async fn written(writes: &Writes, row: FlowPacerRow) -> bool {
    let (account, entity) = (row.account.clone(), format!("@flow/pacer/{}", row.campaign));
    writes.write(&account, &entity, vec![Put::from(row)]).await == Written::Done
}

impl Actor for BidderActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "bidder";
    /// It looks at its seat for as long as it is awake: what keeps it so is what it finds there.
    const OWN_LETTERS_KEEP_AWAKE: bool = false;

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        // A campaign that is in no auction has no bidder: the next message finds none either.
        self.begin();
        self.read_stored(cx);
        self.ask_budget(cx);
        cx.send_after(LOOK_EVERY, Msg::Look);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let now_us = clock::wall_us();
        match msg {
            Msg::Wake => {
                let new = self.live.is_none();
                if let Some(live) = self.begin() {
                    live.wake();
                }
                if new {
                    self.read_stored(cx);
                }
            }
            Msg::Stored(Ok(row)) => {
                if let Some(live) = &mut self.live {
                    live.restore(row.as_deref(), now_us);
                }
                self.ask_budget(cx);
            }
            Msg::Stored(Err(error)) => {
                tracing::debug!(%error, key = self.key, "what {} has learned is read again", self.key);
                cx.send_after(READ_AGAIN, Msg::Read);
            }
            Msg::Read => self.read_stored(cx),
            Msg::Saved(done) => {
                if let Some(live) = &mut self.live {
                    live.saving = false;
                    if let Some((learned, stored_us)) = done {
                        (live.saved, live.stored_us) = (learned, Some(stored_us));
                    }
                }
            }
            Msg::Budget(answer) => {
                if let Some(live) = &mut self.live {
                    live.asking = false;
                    let before = live.closed;
                    match answer {
                        Ok(view) => live.budget(&view, now_us)?,
                        // What is not known to be there is not bid.
                        Err(ShieldError::Absent) => live.closed = Some(Reason::Budget),
                        // The last answer stands; holds are refused by SyncShield itself.
                        Err(error) => {
                            tracing::debug!(%error, key = self.key, "no budget of {}", self.key)
                        }
                    }
                    live.publish(clock::mono_us());
                    if live.closed != before {
                        self.office.tell_journal(live.told(before, now_us));
                    }
                }
            }
            Msg::Look => {
                let mut wait = IDLE_EVERY;
                if let Some(live) = &mut self.live {
                    let mono_us = clock::mono_us();
                    let looked = live.look(now_us, mono_us);
                    if looked.auctions > 0 {
                        // Auctions send it nothing that the kernel could count.
                        cx.stay_awake();
                    }
                    wait = live.paced(&looked, mono_us);
                    live.publish(mono_us);
                }
                if self.live.as_ref().is_some_and(|live| !live.is_quiet()) {
                    self.ask_budget(cx);
                }
                self.save(cx, now_us);
                cx.send_after(wait, Msg::Look);
            }
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        let Some(live) = &mut self.live else { return };
        let now_us = clock::wall_us();
        live.seat.rests();
        if live.pacer.is_some() {
            // What met it since the last look is of the time before it sleeps.
            live.look(now_us, clock::mono_us());
        }
        let mut stored_us = live.all_stored();
        if let Some((row, _)) = self.to_save(now_us) {
            stored_us = written(&self.writes, row).await.then_some(now_us);
            if stored_us.is_none() {
                tracing::debug!(key = self.key, "what {} learned last is not stored", self.key);
            }
        }
        if let (Some(live), Some(stored_us)) = (&self.live, stored_us) {
            live.seat.slept(stored_us);
        }
    }

    fn view(&self) -> View {
        let live = self.live.as_ref();
        View {
            campaign: self.key.clone(),
            strategy: live.map_or("", |live| live.campaign.definition.strategy.name()),
            pacer: live.and_then(|live| live.pacer.as_ref()).map(Pacer::view),
            outcomes: live.map_or(0, |live| live.learner.seen()),
            remaining: live.and_then(|live| live.remaining),
            closed: live.and_then(|live| live.closed),
        }
    }

    fn idle(&self) -> bool {
        // With bids under way it would forget what they may cost.
        self.live.as_ref().is_none_or(|live| {
            let open = live.pacer.as_ref().map_or(0, |pacer| pacer.view().open_bids);
            live.is_quiet() && open == 0 && live.seat.is_seen()
        })
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Wake => "Wake",
            Msg::Look => "Look",
            Msg::Budget(_) => "Budget",
            Msg::Stored(_) => "Stored",
            Msg::Read => "Read",
            Msg::Saved(_) => "Saved",
        }
    }
}
