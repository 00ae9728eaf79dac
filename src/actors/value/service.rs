//! The way into SyncValue for adapters.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cache::Cache;
use super::customer::{self, CustomerActor, Imported, NewPurchase, Seen as CustomerSeen};
use super::far::Far;
use super::fit::{self, FitOrder, FitView};
use super::loaded::Roster;
use super::memory::Forgetting;
use super::metrics;
use super::nodes::claims::{self, Claim, Claimed};
use super::nodes::import::{self, How, OfCustomer};
use super::nodes::{self, Leaving, reads};
use super::registry::{self, RegistryActor, Seen};
use super::shared::{Shared, ValueTerms, home_of};
use super::watch::{self, FeatureReport};
use super::{recorder, tree};
use crate::actors::cluster::detour;
use crate::actors::kernel::{AskError, Entities, Registry, Reply, Service};
use crate::actors::shield::Shield;
use crate::connectors::mlflow::Mlflow;
use crate::connectors::redis::Redis;
use crate::models::breaker::BreakerState;
use crate::models::cluster::shard::Shard;
use crate::models::value::registry::command::{Command, Entry, Reason};
use crate::models::value::split::Share;
use crate::store::{
    ForecastCounts, LtvExperimentRow, LtvForecastRow, LtvImportRow, LtvModelRow, StoreError,
};

/// Why a call got no answer from the rules.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    #[error("there is no such account")]
    UnknownAccount,
    #[error("the store is not available")]
    Unavailable,
    #[error("too many requests wait")]
    Overloaded { retry_after_ms: u64 },
    #[error("no answer in time")]
    Unanswered,
    #[error("the customer is being erased")]
    Erased,
    #[error("a request with this key is being worked on")]
    Claimed,
    #[error("the key was used with another request")]
    KeyUsed,
    #[error("there is no such version")]
    UnknownModel,
    #[error(transparent)]
    Registry(registry::Declined),
    #[error(transparent)]
    Fit(#[from] fit::NotTaken),
}

impl From<AskError> for ValueError {
    fn from(error: AskError) -> ValueError {
        match error {
            AskError::Overloaded { retry_after_ms } => ValueError::Overloaded { retry_after_ms },
            AskError::Expired | AskError::Gone | AskError::Faulted => ValueError::Unanswered,
        }
    }
}

impl From<StoreError> for ValueError {
    fn from(error: StoreError) -> ValueError {
        tracing::warn!(%error, "the store did not answer");
        ValueError::Unavailable
    }
}

impl From<customer::Declined> for ValueError {
    fn from(declined: customer::Declined) -> ValueError {
        match declined {
            customer::Declined::Unavailable => ValueError::Unavailable,
            customer::Declined::UnknownAccount => ValueError::UnknownAccount,
            customer::Declined::Erased => ValueError::Erased,
        }
    }
}

impl From<registry::Declined> for ValueError {
    fn from(declined: registry::Declined) -> ValueError {
        match declined {
            registry::Declined::UnknownAccount => ValueError::UnknownAccount,
            registry::Declined::Unavailable => ValueError::Unavailable,
            other => ValueError::Registry(other),
        }
    }
}

/// Also for its parts.
pub type Result<T> = std::result::Result<T, ValueError>;

/// SyncValue, running.
#[derive(Clone)]
pub struct Value {
    pub(super) shared: Arc<Shared>,
    service: Arc<Service>,
}

/// How the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHealth {
    /// The tree stands.
    pub ready: bool,
    /// Some predictor takes questions.
    pub predictors: bool,
    pub waiting: u32,
    pub cached: usize,
    pub hits: u64,
    pub misses: u64,
}

impl Value {
    /// Starts the service, beside SyncShield whose store and people it shares.
    ///
    /// # Errors
    /// An actor could not be started, or nothing can be sent to MLflow as it is configured.
    pub async fn start(
        registry: &Registry,
        shield: Shield,
        terms: ValueTerms,
        redis: Redis,
    ) -> std::result::Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        metrics::describe();
        let ttl_us = i64::try_from(terms.cache_ttl.as_micros()).unwrap_or(i64::MAX);
        let shared = Arc::new(Shared {
            writes: shield.writes(),
            roster: Roster::default(),
            cache: Cache::new(terms.cache_max, ttl_us),
            memory: Default::default(),
            far: Far::new(redis, terms.cache_ttl),
            pool: Default::default(),
            runs: Default::default(),
            elsewhere: Default::default(),
            customers: Default::default(),
            registries: Default::default(),
            fitter: Default::default(),
            recorder: Default::default(),
            watch: Default::default(),
            draining: Default::default(),
            shield,
            terms,
        });
        let mlflow =
            Mlflow::new(&shared.terms.mlflow).map_err(|error| format!("mlflow: {error}"))?;
        let service = tree::grow(registry, &shared, mlflow.map(Arc::new))?;
        shared.shield.remembers(Arc::new(Forgetting(Arc::downgrade(&shared))));
        shared.placement().tenants().add(Arc::new(Leaving(Arc::downgrade(&shared))));
        nodes::listen(&shared);
        let value = Value { shared, service: Arc::new(service) };
        // Who answers for the account of most calls is known before the first of them.
        let account = value.shared.terms.default_account.clone();
        if let Err(error) = value.serving(&account).await {
            tracing::warn!(%error, account, "the models of {account} are loaded when they are asked for");
        }
        Ok(value)
    }

    pub fn terms(&self) -> &ValueTerms {
        &self.shared.terms
    }

    pub fn shield(&self) -> &Shield {
        &self.shared.shield
    }

    pub(super) fn customers(&self) -> Result<&Entities<CustomerActor>> {
        self.shared.customers.get().ok_or(ValueError::Unavailable)
    }

    async fn ask_registry<T: Send + 'static>(
        &self,
        account: &str,
        make: impl FnOnce(Reply<std::result::Result<T, registry::Declined>>) -> registry::Msg,
    ) -> Result<T> {
        let home = self.at_home(account)?;
        let registries: &Entities<RegistryActor> =
            self.shared.registries.get().ok_or(ValueError::Unavailable)?;
        let asked = registries.ask(account, self.shared.terms.call_patience, make).await;
        let answer = asked.map_err(ValueError::from).and_then(|done| Ok(done?));
        self.still(home, answer)
    }

    /// Asks for what only the account's home may do: a request that needs it is answered there.
    fn at_home(&self, account: &str) -> Result<Shard> {
        let home = home_of(account);
        if self.shared.is_here(home) {
            return Ok(home);
        }
        detour::want(home);
        Err(ValueError::Unavailable)
    }

    /// What came of asking at home. Where the account went meanwhile, its new home is asked.
    fn still<T>(&self, home: Shard, answer: Result<T>) -> Result<T> {
        if matches!(answer, Err(ValueError::Unavailable)) && !self.shared.is_here(home) {
            detour::want(home);
        }
        answer
    }

    /// Takes purchases of a customer; those that are there already are counted.
    ///
    /// # Errors
    /// Some of them may have been taken: to send them again is safe.
    pub async fn import(
        &self,
        account: &str,
        customer: &str,
        rows: Vec<NewPurchase>,
    ) -> Result<Imported> {
        let of = vec![(customer.to_owned(), rows)];
        self.import_all(account, of, None).await.pop().unwrap_or(Err(ValueError::Unanswered))
    }

    /// The same of many customers: what became of each one's purchases, in their order. Under a key nothing is taken
    /// where another request has it.
    pub async fn import_all(
        &self,
        account: &str,
        of: Vec<OfCustomer>,
        claim: Option<&Claim>,
    ) -> Vec<Result<Imported>> {
        import::all(&self.shared, account, of, How::Take, claim).await
    }

    /// Claims the key of an import, on all nodes. `None`: another request with it is being worked on.
    pub async fn claim_import(&self, account: &str, import: &str) -> Result<Option<Claimed>> {
        claims::claim(&self.shared, account, import).await
    }

    /// What would become of an import of all these purchases of these customers; nothing is taken.
    pub async fn check_all(&self, account: &str, of: Vec<OfCustomer>) -> Vec<Result<Imported>> {
        import::all(&self.shared, account, of, How::Check, None).await
    }

    /// What is known of a customer.
    pub async fn customer(&self, account: &str, customer: &str) -> Result<CustomerSeen> {
        let name = self.shared.shield.people().name(account, customer);
        let patience = self.shared.terms.call_patience;
        let see = |reply| customer::Msg::See { reply };
        if let Some(seen) = self.ask_customer(&name, home_of(account), patience, see).await {
            return seen;
        }
        Ok(reads::known(&self.shared, &name, patience).await?.seen())
    }

    /// The answer that was given to an import with this key.
    pub async fn import_answer(&self, account: &str, key: &str) -> Result<Option<LtvImportRow>> {
        Ok(self.shared.writes.store().ltv_import(account, key).await?)
    }

    /// Keeps the answer to an import.
    pub async fn keep_import(&self, row: LtvImportRow) -> Result<()> {
        import::keep(&self.shared, row).await
    }

    /// The registry of an account.
    pub async fn registry(&self, account: &str) -> Result<Seen> {
        self.ask_registry(account, |reply| registry::Msg::See { reply }).await
    }

    /// Challenges, promotes, rolls back.
    pub async fn order(&self, account: &str, command: Command, by: Reason) -> Result<Entry> {
        let command = Box::new(command);
        self.ask_registry(account, |reply| registry::Msg::Order { command, by, reply }).await
    }

    /// Adds a version that was fitted elsewhere.
    pub async fn register(
        &self,
        account: &str,
        fitted: fit::Fitted,
        challenge: bool,
        by: Reason,
    ) -> Result<Vec<Entry>> {
        let fitted = Box::new(fitted);
        let make = |reply| registry::Msg::Register { fitted, challenge, by, reply };
        self.ask_registry(account, make).await
    }

    pub async fn set_experiment(
        &self,
        account: &str,
        share: Share,
        shadow: bool,
        by: Reason,
    ) -> Result<LtvExperimentRow> {
        let make = |reply| registry::Msg::Experiment { share, shadow, by, reply };
        self.ask_registry(account, make).await
    }

    pub async fn end_experiment(&self, account: &str) -> Result<LtvExperimentRow> {
        self.ask_registry(account, |reply| registry::Msg::EndExperiment { reply }).await
    }

    /// Experiments of an account, the newest first.
    pub async fn experiments(&self, account: &str, limit: u32) -> Result<Vec<LtvExperimentRow>> {
        Ok(self.shared.writes.store().ltv_experiments(account, limit).await?)
    }

    /// How a version was fitted.
    pub async fn model(&self, account: &str, model: &str) -> Result<LtvModelRow> {
        let row = self.shared.writes.store().ltv_model(account, model).await?;
        row.ok_or(ValueError::UnknownModel)
    }

    /// How many forecasts of a version wait for what comes true, and those that were closed last.
    pub async fn outcomes(
        &self,
        account: &str,
        model: &str,
        limit: u32,
    ) -> Result<(ForecastCounts, Vec<LtvForecastRow>)> {
        let store = self.shared.writes.store();
        let counts = store.ltv_forecast_counts(account, model).await?;
        Ok((counts, store.ltv_forecasts_closed((account, model), limit).await?))
    }

    /// Compares forecasts that are due with what came true, now, those of accounts that are at home here: how many.
    pub async fn close_forecasts(&self) -> Result<u64> {
        let recorder = self.shared.recorder.get().ok_or(ValueError::Unavailable)?;
        let patience = self.shared.terms.call_patience;
        Ok(recorder.ask(patience, |reply| recorder::Msg::Close { reply }).await?)
    }

    fn fitter(&self) -> Result<&crate::actors::kernel::Handle<fit::Msg>> {
        self.shared.fitter.get().ok_or(ValueError::Unavailable)
    }

    /// Orders a fit.
    pub async fn fit(&self, order: FitOrder) -> Result<FitView> {
        self.at_home(&order.account)?;
        let (order, patience) = (Box::new(order), self.shared.terms.call_patience);
        Ok(self.fitter()?.ask(patience, |reply| fit::Msg::Fit { order, reply }).await??)
    }

    pub async fn cancel_fit(&self, account: &str, id: &str) -> Result<FitView> {
        self.at_home(account)?;
        let (account, id) = (account.into(), id.to_owned());
        let make = |reply| fit::Msg::Cancel { account, id, reply };
        Ok(self.fitter()?.ask(self.shared.terms.call_patience, make).await??)
    }

    /// Fits of an account, the newest first.
    pub async fn fits(&self, account: &str) -> Result<Vec<FitView>> {
        self.at_home(account)?;
        let account = account.into();
        let make = |reply| fit::Msg::List { account, reply };
        Ok(self.fitter()?.ask(self.shared.terms.call_patience, make).await?)
    }

    /// Whether inputs and errors of a version are still what they were.
    pub async fn drift(&self, account: &str, model: &str) -> Result<Vec<FeatureReport>> {
        self.at_home(account)?;
        let watch = self.shared.watch.get().ok_or(ValueError::Unavailable)?;
        let (account, model) = (account.into(), model.into());
        let make = |reply| watch::Msg::Report { account, model, reply };
        let report = watch.ask(self.shared.terms.call_patience, make).await?;
        report.ok_or(ValueError::Unavailable)
    }

    pub fn health(&self) -> ServiceHealth {
        let (cached, hits, misses) = self.shared.cache.counts();
        ServiceHealth {
            ready: self.service.ready(),
            predictors: self.shared.pool.is_whole(),
            waiting: self.shared.pool.depth(),
            cached,
            hits,
            misses,
        }
    }

    /// Where the breakers of the predictors stand: the one that lets most pass.
    pub fn breaker(&self) -> BreakerState {
        self.shared.pool.breaker()
    }

    /// Whether questions can be answered. Without a store, or without a model, the rule of thumb is.
    pub fn ready(&self) -> bool {
        self.service.ready() && !self.shared.shield.placement().is_leaving()
    }

    /// Answers what is asked, gives fits up, and ends.
    pub async fn drain(&self, patience: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.runs.end();
        self.service.drain(patience).await;
    }
}
