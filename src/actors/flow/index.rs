//! `/flow/index`: makes what auctions see of the campaigns, and wakes those whose time has come.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use serde::Serialize;

use super::campaign::{self, Todo, wake_of};
use super::metrics;
use super::owned::{Owned, shard_of};
use super::roster::{Live, Stored};
use super::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::BudgetName;
use crate::clock;
use crate::models::flow::campaign::definition::Platform;
use crate::models::flow::campaign::state::Campaign;
use crate::models::flow::targeting::Index;
use crate::store::{PAGE_MAX, StoreError};

/// Campaigns that are woken at a time; the others come with the next look.
const WAKES_MAX: usize = 256;
/// How often campaigns are counted by their status.
const COUNT_EVERY: Duration = Duration::from_secs(30);
/// How soon the store is read again where it did not answer.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// A campaign that did not say when it wakes next is woken again after this.
const AGAIN_US: i64 = 5_000_000;

pub struct IndexActor {
    shared: Arc<Shared>,
    /// The shards whose campaigns are in the roster.
    owned: Owned,
    reading: bool,
    making: bool,
    view: View,
}

/// As operators see it.
#[derive(Clone, Default, Serialize)]
pub struct View {
    pub campaigns: usize,
    /// Campaigns that wait for their start, their end, or for what their budget is told.
    pub waiting: usize,
    pub generation: u64,
    pub bytes: usize,
    pub made_in_us: i64,
    /// Stored campaigns that could not be read: they do not bid.
    pub unreadable: usize,
}

pub enum Msg {
    Look,
    /// The campaigns of shards that have come.
    Read(Owned, Result<Found, StoreError>),
    /// They could not be read, and may be again.
    ReadAgain,
    Made(Option<Box<Made>>),
    Count,
    Counted(Result<Vec<(String, i64)>, StoreError>),
}

pub struct Made {
    index: Index,
    took_us: i64,
}

fn make(campaigns: Vec<Arc<Campaign>>, before: &Live, seat: &str) -> Made {
    let began = clock::mono_us();
    // What runs on other platforms alone is in no auction.
    let bids = |it: &Arc<Campaign>| it.definition.platforms.contains(&Platform::Openrtb);
    let index = Index::after(Some(&before.index), campaigns.into_iter().filter(bids), seat);
    Made { index, took_us: clock::mono_us() - began }
}

/// What was read of campaigns.
pub struct Found {
    stored: Stored,
    unreadable: usize,
}

/// Reads the campaigns of these shards that run, and the times of those that wait.
async fn read(shared: &Shared, of: Owned) -> Result<Found, StoreError> {
    let Shared { terms, writes, .. } = shared;
    writes.barrier().await;
    let now = clock::wall_us();
    let key = |account: &str, campaign: &str| {
        let name = BudgetName::campaign(account, campaign);
        of.has(name.place()).then(|| name.key(&terms.default_account).into_owned())
    };
    let mut stored = Stored::default();
    let mut after = (String::new(), String::new());
    loop {
        let rows = writes.store().flow_waking((&after.0, &after.1), PAGE_MAX).await?;
        let own = rows.iter().filter_map(|(account, id, at)| Some((key(account, id)?, Some(*at))));
        stored.wakes.extend(own);
        match rows.last() {
            Some((account, campaign, _)) if rows.len() == PAGE_MAX as usize => {
                after = (account.clone(), campaign.clone());
            }
            _ => break,
        }
    }
    let mut after = (String::new(), String::new());
    let mut unreadable = 0;
    loop {
        let rows = writes.store().flow_active((&after.0, &after.1), PAGE_MAX).await?;
        for row in &rows {
            let Some(key) = key(&row.account, &row.campaign) else { continue };
            let read = serde_json::from_str::<Campaign>(&row.state);
            let read = read.and_then(|it| Ok((it, serde_json::from_str::<Vec<Todo>>(&row.todo)?)));
            match read {
                Ok((campaign, todo)) => {
                    stored.wakes.push((key.clone(), wake_of(row, &campaign, &todo, now)));
                    // Else its time has not come, or is over.
                    if campaign.runs(now) {
                        stored.running.push((key, Arc::new(campaign)));
                    }
                }
                Err(error) => {
                    unreadable += 1;
                    tracing::error!(%error, campaign = key, "a stored campaign cannot be read: it does not bid");
                }
            }
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE_MAX as usize => {
                after = (last.account.clone(), last.campaign.clone());
            }
            _ => break,
        }
    }
    Ok(Found { stored, unreadable })
}

impl IndexActor {
    pub fn new(shared: Arc<Shared>) -> IndexActor {
        metrics::describe();
        IndexActor {
            shared,
            owned: Owned::default(),
            reading: false,
            making: false,
            view: View::default(),
        }
    }

    /// What is another node's now leaves; what is this one's, and was not, is read.
    fn follow(&mut self, cx: &mut Cx<Self>) {
        // One that left and is back is read anew.
        let left = self.shared.roster.left();
        self.owned = self.owned.without(left);
        if !left.is_empty() {
            // Rows that were read before it left may have been taken in since.
            let default_account = &self.shared.terms.default_account;
            self.shared.roster.leave(|key| left.has(shard_of(key, default_account)));
        }
        let owned = Owned::now(self.shared.shield.placement());
        let lost = self.owned.without(owned);
        if !lost.is_empty() {
            self.owned = self.owned.and(owned);
            let default_account = &self.shared.terms.default_account;
            self.shared.roster.leave(|key| lost.has(shard_of(key, default_account)));
        }
        let come = owned.without(self.owned);
        if self.reading || come.is_empty() {
            return;
        }
        self.reading = true;
        self.shared.roster.reads();
        let shared = Arc::clone(&self.shared);
        cx.pipe(async move { read(&shared, come).await }, move |found| Msg::Read(come, found));
    }

    /// Those that left meanwhile do not come: they would be two nodes'.
    fn take(&mut self, come: Owned, found: Found) {
        let come = come.and(Owned::now(self.shared.shield.placement()));
        let default_account = &self.shared.terms.default_account;
        let Found { mut stored, unreadable } = found;
        stored.wakes.retain(|(key, _)| come.has(shard_of(key, default_account)));
        stored.running.retain(|(key, _)| come.has(shard_of(key, default_account)));
        self.owned = self.owned.with(come);
        self.view.unreadable += unreadable;
        self.shared.roster.read(stored);
    }

    fn show(&mut self, made: Made) {
        let roster = &self.shared.roster;
        self.view.made_in_us = made.took_us;
        self.view.bytes = made.index.bytes();
        self.view.campaigns = made.index.len();
        roster.show(made.index);
        self.view.generation = roster.live().generation;
        metrics::index(&self.view);
    }

    /// Counts campaigns by their status, beside everything else.
    fn count(&self, cx: &mut Cx<Self>) {
        let writes = self.shared.writes.clone();
        cx.pipe(async move { writes.store().flow_statuses().await }, Msg::Counted);
    }

    fn look(&mut self, cx: &mut Cx<Self>) {
        let now = clock::wall_us();
        let roster = &self.shared.roster;
        if let Some(campaigns) = self.shared.campaigns.get() {
            for key in roster.due(now, WAKES_MAX) {
                // Until the campaign says when next: one that fails, or takes no message, is woken again.
                roster.wake(&key, Some(now + AGAIN_US));
                if let Err(refused) = campaigns.tell(&key, campaign::Msg::Tick) {
                    tracing::debug!(?refused, campaign = &*key, "a campaign is woken again");
                }
            }
        }
        self.view.waiting = roster.counts().1;
        if !self.making
            && let Some(campaigns) = roster.changed()
        {
            self.making = true;
            let (seat, before) = (self.shared.terms.seat.clone(), Guard::into_inner(roster.live()));
            let work = tokio::task::spawn_blocking(move || make(campaigns, &before, &seat));
            cx.pipe(work, |made| Msg::Made(made.ok().map(Box::new)));
        }
        cx.send_after(self.shared.terms.index_every, Msg::Look);
    }
}

impl Actor for IndexActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "flow_index";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let owned = Owned::now(shared.shield.placement());
        let default_account = &shared.terms.default_account;
        shared.roster.leave(|key| !owned.has(shard_of(key, default_account)));
        shared.roster.reads();
        self.take(owned, read(&shared, owned).await?);
        // A life before this one may have taken what it did not show.
        self.shared.roster.again();
        if let Some(campaigns) = self.shared.roster.changed() {
            let seat = self.shared.terms.seat.clone();
            let before = Guard::into_inner(self.shared.roster.live());
            let made = tokio::task::spawn_blocking(move || make(campaigns, &before, &seat)).await?;
            self.show(made);
        }
        self.look(cx);
        self.count(cx);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Look => {
                self.follow(cx);
                self.look(cx);
            }
            Msg::Read(come, Ok(found)) => {
                self.reading = false;
                self.take(come, found);
            }
            Msg::Read(_, Err(error)) => {
                tracing::warn!(%error, "campaigns that are this node's now cannot be read yet");
                cx.send_after(READ_AGAIN, Msg::ReadAgain);
            }
            Msg::ReadAgain => self.reading = false,
            Msg::Count => self.count(cx),
            Msg::Counted(counted) => {
                match counted {
                    Ok(counted) => metrics::campaigns(&counted),
                    Err(error) => tracing::debug!(%error, "campaigns are not counted"),
                }
                metrics::index(&self.view);
                cx.send_after(COUNT_EVERY, Msg::Count);
            }
            Msg::Made(made) => {
                self.making = false;
                match made {
                    Some(made) => self.show(*made),
                    None => return Err(Fault::new("an index could not be made")),
                }
            }
        }
        Ok(())
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Look => "Look",
            Msg::Read(..) => "Read",
            Msg::ReadAgain => "ReadAgain",
            Msg::Made(_) => "Made",
            Msg::Count => "Count",
            Msg::Counted(_) => "Counted",
        }
    }
}
