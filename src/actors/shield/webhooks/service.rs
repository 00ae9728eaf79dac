//! The way to webhooks for adapters.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::hook::{sealed, secrets};
use super::message::{Kept, Msg, Pinged};
use crate::actors::kernel::{AskError, Handle, Reply};
use crate::actors::shield::shared::Shared;
use crate::clock;
use crate::connectors::hook::{BadUrl, check};
use crate::models::access::hook::HookSecret;
use crate::models::access::live::LiveSecrets;
use crate::models::access::pattern::Pattern;
use crate::models::shield::seal::SealError;
use crate::store::{DeliveryRow, StoreError, WebhookRow};

/// Webhooks of an account at most.
pub const WEBHOOKS_MAX: usize = 16;
/// Deliveries that are shown with a webhook.
const SHOWN_MAX: u32 = 20;

/// Why a webhook was not taken, found or changed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("there is no such webhook")]
    Absent,
    #[error(transparent)]
    Url(#[from] BadUrl),
    #[error("the account has {WEBHOOKS_MAX} webhooks, which is all that it may have")]
    Full,
    #[error("a ping to this webhook still waits: look at the webhook for how it goes")]
    PingWaits,
    #[error("the store is not available, or another change came first")]
    Unavailable,
    #[error("too many requests wait")]
    Overloaded { retry_after_ms: u64 },
    #[error("no answer in time")]
    Unanswered,
    #[error("the secrets cannot be sealed or opened: {0}")]
    Seal(#[from] SealError),
}

impl From<AskError> for HookError {
    fn from(error: AskError) -> HookError {
        match error {
            AskError::Overloaded { retry_after_ms } => HookError::Overloaded { retry_after_ms },
            AskError::Expired | AskError::Gone | AskError::Faulted => HookError::Unanswered,
        }
    }
}

impl From<StoreError> for HookError {
    fn from(error: StoreError) -> HookError {
        tracing::warn!(%error, "the store did not answer");
        HookError::Unavailable
    }
}

type Result<T> = std::result::Result<T, HookError>;

/// A webhook as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    pub row: WebhookRow,
    /// When the older of two secrets ends.
    pub older_ends_at: Option<i64>,
    pub deliveries: Vec<DeliveryRow>,
}

/// The webhooks of an installation.
#[derive(Clone)]
pub struct Hooks {
    shared: Arc<Shared>,
    patience: Duration,
}

impl Hooks {
    pub(in crate::actors::shield) fn new(shared: Arc<Shared>, patience: Duration) -> Hooks {
        Hooks { shared, patience }
    }

    fn actor(&self, account: &str) -> Result<&Handle<Msg>> {
        if !self.shared.admits_account(account) {
            return Err(HookError::Unavailable);
        }
        self.shared.webhooks.actor.get().ok_or(HookError::Unavailable)
    }

    async fn tell(&self, account: &str, make: impl FnOnce(Reply<Kept>) -> Msg) -> Result<()> {
        match self.actor(account)?.ask(self.patience, make).await? {
            Kept::Saved => Ok(()),
            Kept::Full => Err(HookError::Full),
            Kept::Unavailable => Err(HookError::Unavailable),
        }
    }

    /// Takes a webhook. Its secret is given this once.
    pub async fn create(
        &self,
        account: &str,
        url: &str,
        events: &[Pattern],
    ) -> Result<(WebhookRow, Zeroizing<String>)> {
        check(url, self.shared.terms.webhooks.allow_private)?;
        let (secret, now) = (HookSecret::generate(rand::random()), clock::wall_us());
        let shown = secret.text();
        let webhook = uuid::Uuid::now_v7().simple().to_string();
        let live = LiveSecrets::new(secret);
        let events: Vec<String> = events.iter().map(ToString::to_string).collect();
        let row = WebhookRow {
            account: account.to_owned(),
            url: url.to_owned(),
            events: serde_json::Value::from(events).to_string(),
            sealed: sealed(self.shared.vault.master(), (account, &webhook), &live)?,
            webhook,
            created_at: now,
            updated_at: now,
            disabled: 0,
            version: 1,
        };
        let put = Box::new(row.clone());
        self.tell(account, |reply| Msg::Put { row: put, reply }).await?;
        Ok((row, shown))
    }

    /// The webhooks of an account, oldest first.
    pub async fn list(&self, account: &str) -> Result<Vec<WebhookRow>> {
        Ok(self.shared.store.webhooks_of(account).await?)
    }

    async fn row(&self, account: &str, webhook: &str) -> Result<WebhookRow> {
        let row = self.shared.store.webhook(account, webhook).await?;
        row.ok_or(HookError::Absent)
    }

    /// A webhook with its last deliveries.
    pub async fn show(&self, account: &str, webhook: &str) -> Result<Shown> {
        let row = self.row(account, webhook).await?;
        let live = secrets(self.shared.vault.master(), &row)?;
        let deliveries = self.shared.store.deliveries(account, webhook, SHOWN_MAX).await?;
        Ok(Shown { older_ends_at: live.older_ends_at(clock::wall_us()), row, deliveries })
    }

    /// Deletes it, with what is on its way to it.
    pub async fn delete(&self, account: &str, webhook: &str) -> Result<()> {
        self.row(account, webhook).await?;
        let (of, webhook) = (account.to_owned(), webhook.to_owned());
        self.tell(account, |reply| Msg::Delete { account: of, webhook, reply }).await
    }

    /// A new secret, given this once; the one before it lives for a day more.
    pub async fn rotate(
        &self,
        account: &str,
        webhook: &str,
    ) -> Result<(WebhookRow, Zeroizing<String>)> {
        let row = self.row(account, webhook).await?;
        let (secret, now) = (HookSecret::generate(rand::random()), clock::wall_us());
        let (shown, master) = (secret.text(), self.shared.vault.master());
        let live = secrets(master, &row)?.rotated(secret, now);
        let sealed = sealed(master, (account, webhook), &live)?;
        let row = WebhookRow { sealed, updated_at: now, version: row.version + 1, ..row };
        let put = Box::new(row.clone());
        self.tell(account, |reply| Msg::Put { row: put, reply }).await?;
        Ok((row, shown))
    }

    /// Sends a ping, whatever events it wants. Gives the event's id.
    pub async fn test(&self, account: &str, webhook: &str) -> Result<String> {
        self.row(account, webhook).await?;
        let (actor, account, webhook) =
            (self.actor(account)?, account.to_owned(), webhook.to_owned());
        let make = |reply| Msg::Ping { account, webhook, reply };
        match actor.ask(self.patience, make).await? {
            Pinged::Sent(event) => Ok(event),
            Pinged::Waits => Err(HookError::PingWaits),
            Pinged::Unavailable => Err(HookError::Unavailable),
        }
    }
}
