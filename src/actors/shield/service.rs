//! The way into SyncShield for adapters: each call is one ask of one actor.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::audit::{Audit, Turning};
use super::compliance::FactsError;
use super::corrections::Corrections;
use super::dsr::Requests;
use super::far;
use super::forget::Forgets;
use super::keys;
use super::load::{self, AccountTerms};
use super::message::{AccountSeen, Authorised, Booked, HoldFate, Msg, SpendAsk, Told};
use super::names::BudgetName;
use super::person::{Handler, Hears, People};
use super::shared::{Shared, ShieldTerms};
use super::tenant::ShieldTenant;
use super::tree;
use super::vault::Vault;
use super::view::BudgetView;
use super::webhooks::Hooks;
use super::writes::Writes;
use crate::actors::cluster::Placement;
use crate::actors::kernel::{AskError, Entities, Registry, Reply, Service};
use crate::clock;
use crate::connectors::hook::HookClient;
use crate::models::cluster::node::Incarnation;
use crate::models::shield::ask::Order;
use crate::models::shield::compliance::facts::{Facts, Settings};
use crate::models::shield::compliance::period::Period;
use crate::models::shield::consent::kind::Kind;
use crate::models::shield::entry::Op;
use crate::models::shield::hold::Hold;
use crate::models::shield::money::{Currency, Micros, Rate};
use crate::models::shield::purse::Authorise;
use crate::models::shield::seal::MasterKey;
use crate::models::shield::terms::Terms;
use crate::store::{
    AccountRow, Committer, CommitterTerms, Outcome, RateRow, SHARDS, Store, StoreError, Write,
};

/// Why a call got no answer from the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShieldError {
    #[error("there is no such campaign or account")]
    Absent,
    #[error("the store is not available")]
    Unavailable,
    #[error("too many requests wait")]
    Overloaded { retry_after_ms: u64 },
    #[error("no answer in time")]
    Expired,
    #[error("the actor failed")]
    Faulted,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AskError> for ShieldError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded { retry_after_ms } => ShieldError::Overloaded { retry_after_ms },
            AskError::Expired => ShieldError::Expired,
            AskError::Gone | AskError::Faulted => ShieldError::Faulted,
        }
    }
}

/// SyncShield, running.
#[derive(Clone)]
pub struct Shield {
    shared: Arc<Shared>,
    service: Arc<Service>,
    /// How long any call may take.
    patience: Duration,
}

/// How long a first start may wait for the node that makes the default account.
const FIRST_ACCOUNT: Duration = Duration::from_secs(20);

type Result<T> = std::result::Result<T, ShieldError>;

impl Shield {
    /// Starts the service in a process that is alone with its store: every shard is taken for good, whoever had it.
    pub async fn start(
        registry: &Registry,
        store: Store,
        terms: ShieldTerms,
        master: MasterKey,
        committer: CommitterTerms,
        patience: Duration,
    ) -> std::result::Result<Shield, Box<dyn std::error::Error + Send + Sync>> {
        let incarnation = Incarnation(rand::random());
        let shards: Vec<i64> = (0..SHARDS).collect();
        let epochs = store.acquire(&shards, &incarnation.to_string()).await?;
        let placement = Placement::fixed(incarnation, &epochs);
        Self::start_on(registry, store, terms, master, committer, patience, placement).await
    }

    /// Starts the service on a node: makes sure of the default account, grows the tree.
    pub async fn start_on(
        registry: &Registry,
        store: Store,
        terms: ShieldTerms,
        master: MasterKey,
        committer: CommitterTerms,
        patience: Duration,
        placement: Arc<Placement>,
    ) -> std::result::Result<Shield, Box<dyn std::error::Error + Send + Sync>> {
        super::metrics::describe();
        super::audit::describe();
        super::webhooks::describe();
        let vault = Vault::open(&store, master).await?;
        let paused = store.paused_by_restore().await?.is_some();
        let (committer, driver) = Committer::new(store.clone(), committer);
        let shared = Shared::new(terms, store, committer, placement, paused, vault);
        let account = shared.terms.default_account.clone();
        make_sure(&shared, &account).await?;
        let hooks = shared.terms.webhooks;
        let client = HookClient::new(hooks.allow_private, hooks.patience)?;
        let service = tree::grow(registry, &shared, driver, client)?;
        far::serve(&shared);
        keys::serve(&shared);
        People::serve(&shared, patience);
        super::audit::serve(&shared);
        super::corrections::serve(&shared);
        shared.placement.tenants().add(Arc::new(ShieldTenant(Arc::downgrade(&shared))));
        Ok(Shield { shared, service: Arc::new(service), patience })
    }

    /// What this node may write and answer for.
    pub fn placement(&self) -> &Arc<Placement> {
        &self.shared.placement
    }

    pub fn terms(&self) -> &ShieldTerms {
        &self.shared.terms
    }

    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    pub fn audit(&self) -> &Audit {
        &self.shared.audit
    }

    /// What customers allow.
    pub fn people(&self) -> People {
        People::new(Arc::clone(&self.shared), self.patience)
    }

    /// Somebody asked whether a customer allows something, and was told yes, or why not: counted in
    /// the audit log.
    pub fn consent_asked(
        &self,
        account: &str,
        actor: &Arc<str>,
        kind: Kind,
        refusal: Option<&'static str>,
    ) {
        let feed = self.shared.audit.feeds.of(&account.into());
        let (turning, reason) = match refusal {
            None => (Turning::ConsentAllowed, ""),
            Some(reason) => (Turning::ConsentDenied, reason),
        };
        let (subject, reason) = (kind.as_str().to_owned(), reason.to_owned());
        feed.turned(turning, actor, subject, reason, clock::wall_us());
    }

    /// Data-subject requests.
    pub fn requests(&self) -> Requests {
        Requests::new(Arc::clone(&self.shared), self.people(), self.patience)
    }

    /// Manual corrections.
    pub fn corrections(&self) -> Corrections {
        Corrections::new(Arc::clone(&self.shared), self.patience)
    }

    /// Where events are sent.
    pub fn webhooks(&self) -> Hooks {
        Hooks::new(Arc::clone(&self.shared), self.patience)
    }

    /// The way to the group commit, for services beside this one.
    pub fn writes(&self) -> Writes {
        Writes::new(Arc::clone(&self.shared))
    }

    /// Tells `who` of everybody who is erased from now on.
    pub fn remembers(&self, who: Arc<dyn Forgets>) {
        self.shared.memories.add(who);
    }

    /// Tells `who` of every change of what people allow, before it is answered.
    pub fn tells(&self, who: Arc<dyn Hears>) {
        self.shared.persons.add(who);
    }

    /// What services hold about people.
    pub fn handlers(&self) -> &[Box<dyn Handler>] {
        &self.shared.handlers
    }

    /// What a compliance report needs to know of an account.
    pub async fn facts(
        &self,
        account: &str,
        period: &Period,
        settings: Settings,
    ) -> std::result::Result<Facts, FactsError> {
        super::compliance::gather(&self.shared, account, period, settings).await
    }

    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    /// How long any call may take.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Whether requests can be answered: the tree stands, the store takes writes, and there is a way to what others own.
    pub fn ready(&self) -> bool {
        let shared = &self.shared;
        let placement = &shared.placement;
        let stays = placement.serves() && !placement.is_leaving() && !placement.is_astray();
        self.service.ready() && super::committer::accepts(shared) && stays
    }

    pub fn service_ready(&self) -> bool {
        self.service.ready()
    }

    pub fn paused_by_restore(&self) -> bool {
        self.shared.paused.load(Ordering::Relaxed)
    }

    /// An operator lets spending go on after a restore.
    pub async fn resume_after_restore(&self) -> Result<()> {
        self.shared.store.resume_after_restore().await?;
        self.shared.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn budgets(&self) -> Result<&Entities<super::budget::BudgetActor>> {
        self.shared.budgets.get().ok_or(ShieldError::Unavailable)
    }

    fn of(&self, name: &BudgetName) -> Result<&Entities<super::budget::BudgetActor>> {
        match name.is_account() {
            true => self.shared.accounts.get().ok_or(ShieldError::Unavailable),
            false => self.budgets(),
        }
    }

    /// Asks a budget's actor for what only its owner may answer. A node whose lease is over is none, whatever
    /// is in its memory.
    async fn ask_owner<T: Send + 'static>(
        &self,
        name: &BudgetName,
        make: impl FnOnce(Reply<Told<T>>) -> Msg,
    ) -> Result<T> {
        if !self.serves() || !self.shared.admits(name.place()) {
            return Err(ShieldError::Unavailable);
        }
        self.ask(name, make).await
    }

    /// The same of what is answered from the node's own slices and holds, for as long as those last.
    async fn ask<T: Send + 'static>(
        &self,
        name: &BudgetName,
        make: impl FnOnce(Reply<Told<T>>) -> Msg,
    ) -> Result<T> {
        let key = name.key(&self.shared.terms.default_account);
        match self.of(name)?.ask(&key, self.patience, make).await? {
            Told::Done(answer) => Ok(answer),
            Told::Absent => Err(ShieldError::Absent),
            Told::Unavailable => Err(ShieldError::Unavailable),
        }
    }

    /// Asks a campaign for a hold. `ttl_us` is bounded by the configuration. `until_us`: monotonic time after
    /// which the asker waits no more; nothing is granted from then on.
    pub async fn authorise(
        &self,
        name: &BudgetName,
        (id, body): (Op, u64),
        amount: Micros,
        currency: Option<Currency>,
        ttl_us: Option<i64>,
        until_us: Option<i64>,
    ) -> Result<Authorised> {
        let terms = &self.shared.terms;
        let ttl_us = ttl_us.unwrap_or(terms.hold_ttl_us).clamp(1, terms.limits.hold_ttl_max_us);
        let deadline_us = clock::mono_us() + self.patience.as_micros() as i64;
        let deadline_us = until_us.map_or(deadline_us, |until_us| until_us.min(deadline_us));
        let ask = Authorise { id, amount, ttl_us, body, deadline_us };
        if ask.is_keyed() && self.shared.has_neighbours() {
            return keys::check(&self.shared, name, ask, currency, self.patience).await;
        }
        self.ask(name, |reply| Msg::Authorise { ask, currency, reply }).await
    }

    pub async fn settle(
        &self,
        name: &BudgetName,
        hold: Op,
        amount: Micros,
        proof: Option<Hold>,
    ) -> Result<HoldFate> {
        let proof = proof.map(Box::new);
        self.ask(name, |reply| Msg::Settle { hold, amount, proof, reply }).await
    }

    pub async fn release(&self, name: &BudgetName, hold: Op) -> Result<HoldFate> {
        self.ask(name, |reply| Msg::Release { hold, reply }).await
    }

    /// Takes back what was asked for, answered or not: it is given back where it stands in memory, and not
    /// granted where it waits. Should this not arrive, its time ends it.
    pub fn withdraw(&self, name: &BudgetName, hold: Op) {
        let key = name.key(&self.shared.terms.default_account);
        let told = self.of(name).map(|of| of.tell_if_active(&key, Msg::Withdraw { hold }));
        if !matches!(told, Ok(true)) {
            tracing::debug!(%name, "a hold of {name} is left to its time");
        }
    }

    /// It was won at this price, and whoever tells so has it on disk: from here on the hold does not expire
    /// to nothing, but books the price at its end (rule 6). Told again, nothing changes.
    pub async fn notice(&self, name: &BudgetName, hold: Op, price: Micros) -> Result<HoldFate> {
        self.ask(name, |reply| Msg::Notice { hold, price, reply }).await
    }

    pub async fn hold(&self, name: &BudgetName, hold: Op) -> Result<HoldFate> {
        self.ask(name, |reply| Msg::FindHold { hold, reply }).await
    }

    pub async fn spend(&self, name: &BudgetName, ask: SpendAsk) -> Result<Booked> {
        self.ask_owner(name, |reply| Msg::Spend { ask: Box::new(ask), reply }).await
    }

    pub async fn order(
        &self,
        name: &BudgetName,
        op: Op,
        body: u64,
        order: Order,
    ) -> Result<Booked> {
        self.ask_owner(name, |reply| Msg::Order { op, body, order: Box::new(order), reply }).await
    }

    pub async fn budget(&self, name: &BudgetName) -> Result<Box<BudgetView>> {
        let seen = self.ask_owner(name, |reply| Msg::See { reply }).await?;
        self.still(seen)
    }

    /// An account, wherever it is: who looks at a campaign looks at its account as well.
    pub async fn account(&self, account: &str) -> Result<AccountSeen> {
        far::account(&self.shared, account, self.patience).await
    }

    /// The currency of a campaign's budget, as it is stored.
    pub async fn currency(&self, name: &BudgetName) -> Result<Currency> {
        let row = self.shared.store.budget(&name.account, &name.budget).await?;
        let terms = row.ok_or(ShieldError::Absent)?.terms;
        let terms: Terms = serde_json::from_str(&terms).map_err(|_| ShieldError::Faulted)?;
        Ok(terms.currency)
    }

    /// What was seen in memory, where this node is still the one to say so: the look may have waited for long.
    fn still<T>(&self, seen: T) -> Result<T> {
        if self.serves() { Ok(seen) } else { Err(ShieldError::Unavailable) }
    }

    /// Whether this node may answer what only an owner may.
    pub fn serves(&self) -> bool {
        self.shared.placement.serves()
    }

    /// What one unit of a currency is in the account's own, by the newest rate that is not of a day to come;
    /// `None`: nobody has entered one.
    pub async fn rate(&self, account: &str, currency: Currency) -> Result<Option<Rate>> {
        let row = self.shared.store.account(account).await?.ok_or(ShieldError::Absent)?;
        let own = row.currency.parse().map_err(|_| ShieldError::Faulted)?;
        load::rate(&self.shared, account, currency, own).await.map_err(|fault| {
            tracing::warn!(%fault, account, "the exchange rates cannot be read");
            ShieldError::Unavailable
        })
    }

    /// Makes an account. `false`: there is one of this name.
    pub async fn create_account(
        &self,
        account: &str,
        currency: Currency,
        window_cap: Option<Micros>,
    ) -> Result<bool> {
        if self.shared.store.account(account).await?.is_some() {
            return Ok(false);
        }
        if !self.shared.admits_account(account) {
            return Err(ShieldError::Unavailable);
        }
        put_account(&self.shared, account, currency, window_cap).await
    }

    /// Enters exchange rates, and lets the account's campaigns know.
    pub async fn put_rates(&self, account: &str, rates: &[RateRow]) -> Result<()> {
        self.shared.store.put_rates(rates).await?;
        far::read_rates(&self.shared, account).await?;
        far::rates_changed(&self.shared, account).await
    }

    /// Serves what is asked, hands slices back, journals holds, and ends.
    pub async fn drain(&self, patience: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.service.drain(patience).await;
        self.shared.committer.close();
    }
}

/// Sees that there is the default account: the node that owns its shard makes it, others wait for that.
async fn make_sure(shared: &Shared, account: &str) -> Result<()> {
    let (began, home) = (Instant::now(), BudgetName::account(account).place());
    while shared.store.account(account).await?.is_none() {
        if shared.placement.admits(home) {
            // Another server may have made it in this moment: then it is there as well.
            put_account(shared, account, shared.terms.default_currency, None).await?;
        } else if began.elapsed() > FIRST_ACCOUNT {
            return Err(ShieldError::Unavailable);
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// Makes an account. `false`: there is one of this name, as the store alone can tell for certain.
async fn put_account(
    shared: &Shared,
    account: &str,
    currency: Currency,
    window_cap: Option<Micros>,
) -> Result<bool> {
    let now = clock::wall_us();
    let terms = AccountTerms { window_cap };
    let name = BudgetName::account(account);
    let row = AccountRow {
        account: account.to_owned(),
        currency: currency.to_string(),
        stopped: 0,
        terms: serde_json::to_string(&terms).map_err(|_| ShieldError::Faulted)?,
        created_at: now,
        updated_at: now,
    };
    let write = Write {
        account: account.to_owned(),
        budget: name.budget.to_string(),
        shard: name.shard(),
        epoch: shared.epoch(name.shard()),
        account_row: Some(row),
        ..Write::default()
    };
    match shared.store.commit(vec![write]).await.pop() {
        Some(Outcome::Committed) => Ok(true),
        Some(Outcome::Stale) => Ok(false),
        Some(Outcome::Failed(error) | Outcome::Unknown(error)) => Err(error.into()),
        _ => Err(ShieldError::Unavailable),
    }
}
