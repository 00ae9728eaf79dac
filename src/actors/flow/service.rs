//! The way into SyncFlow for adapters.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::campaign::{self, CampaignActor, Declined, Seen};
use super::metrics;
use super::parts::Parts;
use super::roster::Roster;
use super::shared::Shared;
use super::terms::FlowTerms;
use super::tree;
use crate::actors::cluster::detour;
use crate::actors::kernel::{AskError, Entities, Registry, Reply, Service};
use crate::actors::shield::view::BudgetView;
use crate::actors::shield::{BudgetName, Shield};
use crate::actors::value::Value;
use crate::models::flow::campaign::definition::Definition;
use crate::models::flow::campaign::state::{Campaign, Command};
use crate::store::{FlowCampaignList, FlowCampaignRow, FlowChangeRow, StoreError};

/// Why a call got no answer from the rules.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FlowError {
    #[error(transparent)]
    Declined(#[from] Declined),
    #[error("the store is not available")]
    Unavailable,
    #[error("too many requests wait")]
    Overloaded { retry_after_ms: u64 },
    #[error("no answer in time")]
    Unanswered,
}

impl From<AskError> for FlowError {
    fn from(error: AskError) -> FlowError {
        match error {
            AskError::Overloaded { retry_after_ms } => FlowError::Overloaded { retry_after_ms },
            AskError::Expired | AskError::Gone | AskError::Faulted => FlowError::Unanswered,
        }
    }
}

impl From<StoreError> for FlowError {
    fn from(error: StoreError) -> FlowError {
        tracing::warn!(%error, "the store did not answer");
        FlowError::Unavailable
    }
}

/// Also for its parts.
pub type Result<T> = std::result::Result<T, FlowError>;

/// Bytes of stored definitions in a page, beyond its first row: a definition alone may have 2 MiB.
pub const PAGE_BYTES_MAX: i64 = 8 << 20;

/// How long somebody who looks at a campaign waits for what SyncShield says of its budget.
const BUDGET_PATIENCE: Duration = Duration::from_millis(250);

/// Rows of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// There may be others behind the last one.
    pub more: bool,
}

/// How many of the first rows, of so many bytes each, a page takes: at least one where there is any. And
/// whether there may be more. `limit`: of which these are the rows.
fn fitting(bytes: &[i64], limit: u32) -> (u32, bool) {
    let mut all = 0_i64;
    let fits = bytes.iter().take_while(|bytes| {
        all = all.saturating_add(**bytes);
        all <= PAGE_BYTES_MAX
    });
    let fits = fits.count().max(1).min(bytes.len());
    let more = fits < bytes.len() || bytes.len() >= limit as usize;
    (u32::try_from(fits).unwrap_or(limit), more)
}

/// SyncFlow, running.
#[derive(Clone)]
pub struct Flow {
    pub(super) shared: Arc<Shared>,
    service: Arc<Service>,
}

/// How the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowHealth {
    /// The tree stands.
    pub ready: bool,
    /// Campaigns that auctions see.
    pub running: usize,
    /// Campaigns that wait for a time of their schedule.
    pub waiting: usize,
}

impl Flow {
    /// Starts the service beside SyncShield, which owns the money, and SyncValue.
    ///
    /// # Errors
    /// An actor could not be started.
    pub async fn start(
        registry: &Registry,
        shield: Shield,
        value: Value,
        terms: FlowTerms,
    ) -> std::result::Result<Flow, Box<dyn std::error::Error + Send + Sync>> {
        let shared = Arc::new(Shared {
            writes: shield.writes(),
            roster: Roster::new(&terms.seat),
            campaigns: Default::default(),
            parts: Parts::new(&terms),
            draining: Default::default(),
            shield,
            value,
            terms,
        });
        let mut shown = shared.roster.follow();
        let service = Arc::new(tree::grow(registry, &shared)?);
        let flow = Flow { shared, service };
        // Requests are taken when auctions can see what runs; where the store is away, later.
        let patience = flow.shared.terms.call_patience;
        if tokio::time::timeout(patience, shown.changed()).await.is_err() {
            tracing::warn!("campaigns are not loaded yet: nothing is bid until they are");
        }
        Ok(flow)
    }

    pub fn terms(&self) -> &FlowTerms {
        &self.shared.terms
    }

    pub fn shield(&self) -> &Shield {
        &self.shared.shield
    }

    pub fn value(&self) -> &Value {
        &self.shared.value
    }

    pub fn roster(&self) -> &Roster {
        &self.shared.roster
    }

    /// Counts a bid request that came before there was an office.
    pub fn came_early(&self) {
        metrics::early();
    }

    /// What answers exchanges.
    pub fn office(&self) -> Option<&super::auction::Office> {
        self.shared.parts.office.get().map(|office| &**office)
    }

    fn campaigns(&self) -> Result<&Entities<CampaignActor>> {
        self.shared.campaigns.get().ok_or(FlowError::Unavailable)
    }

    async fn ask<T: Send + 'static>(
        &self,
        (account, campaign): (&str, &str),
        make: impl FnOnce(Reply<std::result::Result<T, Declined>>) -> campaign::Msg,
    ) -> Result<T> {
        let name = BudgetName::campaign(account, campaign);
        let (placement, shard) = (self.shared.shield.placement(), name.place());
        if !placement.admits(shard) {
            detour::want(shard);
            return Err(FlowError::Unavailable);
        }
        let key = name.key(&self.shared.terms.default_account);
        let answer = self.campaigns()?.ask(&key, self.shared.terms.call_patience, make).await?;
        // It may have left between the look and the answer; nothing was done then.
        if matches!(answer, Err(Declined::Unavailable)) && !placement.admits(shard) {
            detour::want(shard);
        }
        Ok(answer?)
    }

    /// Makes a draft.
    pub async fn create(&self, definition: Definition, by: &str) -> Result<Seen> {
        let (account, id) = (definition.account.clone(), definition.id.clone());
        let (definition, by) = (Box::new(definition), by.to_owned());
        let make = |reply| campaign::Msg::Create { definition, by, reply };
        self.ask((&account, &id), make).await
    }

    /// Gives an order to a campaign. `expects`: the revision that who gives it has seen.
    pub async fn order(
        &self,
        name: (&str, &str),
        command: Command,
        expects: Option<u64>,
        by: &str,
    ) -> Result<Seen> {
        let by = by.to_owned();
        let make = |reply| campaign::Msg::Order { command, expects, by, reply };
        self.ask(name, make).await
    }

    /// Changes fields of a definition, as RFC 7396 has it.
    pub async fn patch(
        &self,
        name: (&str, &str),
        patch: String,
        expects: Option<u64>,
        by: &str,
    ) -> Result<Seen> {
        let by = by.to_owned();
        let make = |reply| campaign::Msg::Patch { patch, expects, by, reply };
        self.ask(name, make).await
    }

    /// A campaign as it is.
    pub async fn campaign(&self, name: (&str, &str)) -> Result<Arc<Campaign>> {
        self.ask(name, |reply| campaign::Msg::See { reply }).await
    }

    /// What SyncShield says of a campaign's budget; `None` where it does not say so at once.
    pub async fn budget(&self, (account, campaign): (&str, &str)) -> Option<Box<BudgetView>> {
        let name = BudgetName::campaign(account, campaign);
        let asked = self.shared.shield.budget(&name);
        match tokio::time::timeout(BUDGET_PATIENCE, asked).await {
            Ok(Ok(budget)) => Some(budget),
            Ok(Err(error)) => {
                tracing::debug!(%error, %name, "the budget of {name} is not shown");
                None
            }
            Err(_) => None,
        }
    }

    /// A page of an account's campaigns, as they were last stored: as many as the list's limit says, or as
    /// fit into [`PAGE_BYTES_MAX`].
    pub async fn list(&self, list: &FlowCampaignList) -> Result<Page<FlowCampaignRow>> {
        let store = self.shared.writes.store();
        loop {
            let (limit, more) = fitting(&store.flow_campaigns_bytes(list).await?, list.limit);
            if limit == 0 {
                return Ok(Page { rows: Vec::new(), more });
            }
            let rows = store.flow_campaigns(&FlowCampaignList { limit, ..list.clone() }).await?;
            // Nothing is left of the page where all of it was deleted meanwhile: then the next one.
            if !rows.is_empty() || !more {
                return Ok(Page { rows, more });
            }
        }
    }

    /// A page of a campaign's history before this revision, the newest first, bounded as a list is.
    pub async fn history(
        &self,
        name: (&str, &str),
        before: i64,
        limit: u32,
    ) -> Result<Page<FlowChangeRow>> {
        let store = self.shared.writes.store();
        let bytes = store.flow_changes_bytes(name, before, limit).await?;
        let (limit, more) = fitting(&bytes, limit);
        let rows = match limit {
            0 => Vec::new(),
            limit => store.flow_changes(name, before, limit).await?,
        };
        Ok(Page { rows, more })
    }

    pub fn health(&self) -> FlowHealth {
        let (_, waiting) = self.shared.roster.counts();
        let running = self.shared.roster.live().index.len();
        FlowHealth { ready: self.service.ready(), running, waiting }
    }

    /// Whether requests can be answered.
    pub fn ready(&self) -> bool {
        self.service.ready()
    }

    /// Answers what is asked, and ends.
    pub async fn drain(&self, patience: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.service.drain(patience).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_it_is_too_large_and_always_comes_further() {
        const HALF: i64 = PAGE_BYTES_MAX / 2;
        for (bytes, limit, page) in [
            (&[1, 2, 3][..], 10, (3, false)),
            (&[], 10, (0, false)),
            (&[1, 2, 3], 3, (3, true)),
            (&[HALF, HALF], 10, (2, false)),
            (&[HALF, HALF, 1], 10, (2, true)),
            (&[PAGE_BYTES_MAX + 1, 1], 10, (1, true)),
            (&[PAGE_BYTES_MAX + 1], 10, (1, false)),
            (&[i64::MAX, i64::MAX], 10, (1, true)),
        ] {
            assert_eq!(fitting(bytes, limit), page, "{bytes:?} {limit}");
        }
    }
}
