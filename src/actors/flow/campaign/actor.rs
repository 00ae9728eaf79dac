//! `/flow/campaign/<account>:<campaign>`.

use std::sync::Arc;

use super::{Declined, Msg, Todo, View, wake_of};
use crate::actors::flow::shared::Shared;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::shield::BudgetName;
use crate::clock;
use crate::models::cluster::shard::Shard;
use crate::models::flow::campaign::state::{Campaign, Command};

/// Who changes a campaign when its time has come.
const SCHEDULE: &str = "schedule";

pub struct CampaignActor {
    pub(super) key: Arc<str>,
    pub(super) name: BudgetName,
    /// Where it is: only the node that owns this may change it.
    shard: Shard,
    pub(super) shared: Arc<Shared>,
    /// What is stored was read: which is only done where it is this node's.
    read: bool,
    pub(super) live: Option<Live>,
    /// Why its budget was last refused, as it was told.
    pub(super) refused: Option<&'static str>,
}

pub(super) struct Live {
    pub campaign: Arc<Campaign>,
    pub todo: Vec<Todo>,
    /// Of the stored row.
    pub row: i64,
}

impl CampaignActor {
    pub fn new(shared: Arc<Shared>, key: &str) -> CampaignActor {
        let name = BudgetName::of_campaign_key(key, &shared.terms.default_account);
        CampaignActor {
            key: key.into(),
            shard: name.place(),
            name,
            shared,
            read: false,
            live: None,
            refused: None,
        }
    }

    /// Whether it is this node's. One that was when its life began ends in order, though no more comes.
    async fn is_here(&mut self) -> Result<bool, Fault> {
        let placement = self.shared.shield.placement();
        if !self.read && placement.admits(self.shard) {
            self.load().await?;
            self.read = true;
        }
        let placement = self.shared.shield.placement();
        Ok(self.read && placement.epoch(self.shard) >= 0)
    }

    async fn load(&mut self) -> Result<(), Fault> {
        self.shared.writes.barrier().await;
        let store = self.shared.writes.store();
        let Some(row) = store.flow_campaign(&self.name.account, &self.name.budget).await? else {
            return Ok(());
        };
        let campaign = Arc::new(serde_json::from_str::<Campaign>(&row.state)?);
        let todo: Vec<Todo> = serde_json::from_str(&row.todo)?;
        // A life before this one may have ended between its write and what auctions see.
        let roster = &self.shared.roster;
        let now = clock::wall_us();
        match campaign.runs(now) {
            true => roster.publish(&self.key, Arc::clone(&campaign)),
            false => roster.withdraw(&self.key),
        }
        roster.wake(&self.key, wake_of(&row, &campaign, &todo, now));
        self.live = Some(Live { campaign, todo, row: row.version });
        Ok(())
    }
}

impl Actor for CampaignActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "flow_campaign";

    async fn started(&mut self, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        self.is_here().await.map(|_| ())
    }

    async fn handle(&mut self, msg: Msg, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        if !self.is_here().await? {
            msg.refuse();
            return Ok(());
        }
        match msg {
            Msg::Create { definition, by, reply } => {
                reply.send(self.create(*definition, &by).await?);
            }
            Msg::Order { command, expects, by, reply } => {
                reply.send(self.order(command, expects, &by).await?);
            }
            Msg::Patch { patch, expects, by, reply } => {
                reply.send(self.patch(&patch, expects, &by).await?);
            }
            Msg::See { reply } => {
                let campaign = self.live.as_ref().map(|live| Arc::clone(&live.campaign));
                reply.send(campaign.ok_or(Declined::Unknown));
            }
            Msg::Tick => match self.order(Command::Tick, None, SCHEDULE).await? {
                Ok(_) | Err(Declined::Unknown) => {}
                Err(declined) => {
                    tracing::warn!(%declined, campaign = &*self.key, "a campaign's schedule waits");
                    self.wake_soon();
                }
            },
        }
        Ok(())
    }

    fn view(&self) -> View {
        let Some(live) = &self.live else { return View::default() };
        View {
            status: Some(live.campaign.status.as_str()),
            revision: live.campaign.revision,
            version: live.campaign.version,
            todo: live.todo.clone(),
        }
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Create { .. } => "Create",
            Msg::Order { .. } => "Order",
            Msg::Patch { .. } => "Patch",
            Msg::See { .. } => "See",
            Msg::Tick => "Tick",
        }
    }
}
