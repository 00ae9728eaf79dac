//! `/flow/index`: makes what auctions see of the campaigns, and wakes those whose time has come.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use serde::Serialize;

use super::campaign::{self, Todo, wake_of};
use super::metrics;
use super::roster::Live;
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
/// A campaign that did not say when it wakes next is woken again after this.
const AGAIN_US: i64 = 5_000_000;

pub struct IndexActor {
    shared: Arc<Shared>,
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

impl IndexActor {
    pub fn new(shared: Arc<Shared>) -> IndexActor {
        metrics::describe();
        IndexActor { shared, making: false, view: View::default() }
    }

    /// Reads the campaigns that run and the times of those that wait.
    async fn load(&mut self) -> Result<(), Fault> {
        let Shared { terms, writes, roster, .. } = &*self.shared;
        writes.barrier().await;
        let now = clock::wall_us();
        let key = |account: &str, campaign: &str| {
            BudgetName::campaign(account, campaign).key(&terms.default_account).into_owned()
        };
        let mut after = (String::new(), String::new());
        loop {
            let rows = writes.store().flow_waking((&after.0, &after.1), PAGE_MAX).await?;
            for (account, campaign, at) in &rows {
                roster.wake(&key(account, campaign), Some(*at));
            }
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
                let key = key(&row.account, &row.campaign);
                let read = serde_json::from_str::<Campaign>(&row.state);
                let read =
                    read.and_then(|it| Ok((it, serde_json::from_str::<Vec<Todo>>(&row.todo)?)));
                match read {
                    Ok((campaign, todo)) => {
                        roster.wake(&key, wake_of(row, &campaign, &todo, now));
                        // Else its time has not come, or is over.
                        if campaign.runs(now) {
                            roster.publish(&key, Arc::new(campaign));
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
        self.view.unreadable = unreadable;
        Ok(())
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
        self.load().await?;
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
            Msg::Look => self.look(cx),
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
            Msg::Made(_) => "Made",
            Msg::Count => "Count",
            Msg::Counted(_) => "Counted",
        }
    }
}
