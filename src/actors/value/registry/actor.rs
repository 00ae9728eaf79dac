//! `/value/registry/<account>`.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Declined, Msg, Seen, View, load};
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::actors::value::loaded::{Loaded, Source};
use crate::actors::value::shared::{Shared, home_of};
use crate::models::cluster::shard::Shard;
use crate::models::shield::money::Currency;
use crate::models::value::registry::state::Registry;
use crate::models::value::registry::version::VersionId;
use crate::store::LtvExperimentRow;

pub struct RegistryActor {
    pub(super) account: Arc<str>,
    pub(super) shared: Arc<Shared>,
    /// Where the account is at home, and the epoch in which what is in memory was read.
    pub(super) home: Shard,
    pub(super) epoch: i64,
    live: Option<Live>,
}

pub(super) struct Live {
    pub currency: Currency,
    pub registry: Arc<Registry>,
    /// Who serves, challenges, or served before.
    pub models: HashMap<VersionId, Arc<Loaded>>,
    pub experiment: Option<LtvExperimentRow>,
}

impl RegistryActor {
    pub fn new(shared: Arc<Shared>, account: &str) -> RegistryActor {
        let (home, epoch) = (home_of(account), i64::MIN);
        RegistryActor { account: account.into(), shared, home, epoch, live: None }
    }

    /// Makes sure that what is in memory is of this stay of the account on this node. Refused: there is no
    /// such account, or it is not at home here.
    async fn ready(&mut self) -> Result<Result<(), Declined>, Fault> {
        // What had begun before the shard was closed is worked on to its end.
        if self.live.is_some() && self.epoch == self.shared.placement().epoch(self.home) {
            return Ok(Ok(()));
        }
        self.live = None;
        let Some(epoch) = self.shared.epoch(self.home) else {
            return Ok(Err(Declined::Unavailable));
        };
        self.epoch = epoch;
        self.load().await?;
        Ok(if self.live.is_some() { Ok(()) } else { Err(Declined::UnknownAccount) })
    }

    /// Whether who answers is known from this registry as it is now.
    fn is_published(&self) -> bool {
        let standing = self.shared.roster.standing(&self.account);
        standing.is_some_and(|(_, of)| of.source == Source::Registry(self.epoch))
    }

    pub(super) fn live(&mut self) -> Result<&mut Live, Fault> {
        self.live.as_mut().ok_or_else(|| Fault::new("the registry is not loaded"))
    }

    /// Reads everything, and says who answers. Nothing where there is no such account.
    async fn load(&mut self) -> Result<(), Fault> {
        self.shared.writes.barrier().await;
        let store = self.shared.writes.store();
        let Some(account) = store.account(&self.account).await? else { return Ok(()) };
        let registry = Arc::new(load::registry(&self.shared, &self.account).await?);
        let experiment = store.ltv_experiment_open(&self.account).await?;
        let currency = account.currency.parse()?;
        self.live = Some(Live { currency, registry, models: HashMap::new(), experiment });
        self.publish().await
    }
}

impl Actor for RegistryActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "ltv_registry";

    async fn started(&mut self, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        // Whether it was refused is for whoever asks.
        self.ready().await.map(drop)
    }

    async fn handle(&mut self, msg: Msg, _cx: &mut Cx<Self>) -> Result<(), Fault> {
        // The account may have been made since.
        if let Err(declined) = self.ready().await? {
            match msg {
                Msg::Load { reply } => reply.send(Err(declined)),
                Msg::See { reply } => reply.send(Err(declined)),
                Msg::Register { reply, .. } => reply.send(Err(declined)),
                Msg::Order { reply, .. } => reply.send(Err(declined)),
                Msg::Experiment { reply, .. } | Msg::EndExperiment { reply } => {
                    reply.send(Err(declined));
                }
            }
            return Ok(());
        }
        match msg {
            Msg::Load { reply } => {
                // What was read while the account was elsewhere may have come later.
                if !self.is_published() {
                    self.publish().await?;
                }
                reply.send(Ok(()));
            }
            Msg::See { reply } => {
                let live = self.live()?;
                let experiment = live.experiment.clone();
                reply.send(Ok(Seen { registry: Arc::clone(&live.registry), experiment }));
            }
            Msg::Register { fitted, challenge, by, reply } => {
                reply.send(self.register(*fitted, challenge, by).await?);
            }
            Msg::Order { command, by, reply } => reply.send(self.order(*command, by).await?),
            Msg::Experiment { share, shadow, by, reply } => {
                reply.send(self.experiment(share, shadow, by).await?);
            }
            Msg::EndExperiment { reply } => reply.send(self.end_experiment().await?),
        }
        Ok(())
    }

    fn view(&self) -> View {
        let Some(live) = &self.live else { return View::default() };
        View {
            champion: live.registry.champion().map(|version| version.id.to_string()),
            challenger: live.registry.challenger().map(|version| version.id.to_string()),
            versions: live.registry.versions().count(),
            entries: live.registry.history().len(),
            experiment_share: live.experiment.as_ref().map(|row| row.share),
            shadow: live.experiment.as_ref().is_some_and(|row| row.shadow != 0),
        }
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Load { .. } => "Load",
            Msg::See { .. } => "See",
            Msg::Register { .. } => "Register",
            Msg::Order { .. } => "Order",
            Msg::Experiment { .. } => "Experiment",
            Msg::EndExperiment { .. } => "EndExperiment",
        }
    }
}
