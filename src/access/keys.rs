//! The API keys of the installation: in memory for every request, in the store for good.
//!
//! A key may be made or revoked by another process: the set is read again every [`REFRESH`], and at
//! once after a change made here. While the store is away the last set stays.
//!
//! Whoever makes or revokes one, over the API or beside the server: its record is written with it, and
//! a server takes it into the audit log within seconds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::Rng;
use serde_json::{Map, Value};

use crate::actors::shield::audit::{AppendError, pending};
use crate::actors::shield::view::rfc3339;
use crate::models::access::{
    ApiKey, Denied, Hashed, Identity, KeyId, Role, Scopes, Stored, key::KEY_ENTROPY_BYTES,
};
use crate::models::shield::audit::record::{Event, Outcome, Record};
use crate::store::{API_KEYS_MAX, ApiKeyRow, AuditPendingRow, Store, StoreError};

/// How often the set is read again.
pub const REFRESH: Duration = Duration::from_secs(2);
/// Characters of a key's name.
pub const KEY_NAME_CHARS_MAX: usize = 128;
/// Tries at a write that another process was in the way of.
const TRIES: usize = 8;
/// Whose audit log tells of keys, unless [`Keys::with_log`] names another: the default account as
/// the configuration comes.
const LOG: &str = "default";
/// Bytes of scopes in a record. A key's grants may be longer than the longest record.
const SCOPES_BYTES_MAX: usize = 8 * 1_024;

const CREATED: Event = Event::fixed("key.created");
const REVOKED: Event = Event::fixed("key.revoked");

/// Why a key was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("there is no key {0}")]
    Unknown(KeyId),
    #[error("there are 10,000 keys already")]
    Full,
    #[error("others change the same key")]
    Contended,
    #[error("the stored key {0} cannot be read")]
    Damaged(String),
    #[error("the audit takes no record of it: {0}")]
    NoRecord(#[from] AppendError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a new key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    pub role: Role,
    pub scopes: Scopes,
    /// Who makes it, as in the audit.
    pub created_by: String,
    /// Microseconds UTC.
    pub expires_at: Option<i64>,
}

struct Known {
    stored: Stored,
    /// Made once: a request takes a reference.
    identity: Arc<Identity>,
}

/// Keys by their ids.
#[derive(Default)]
struct Set(HashMap<KeyId, Known>);

impl Set {
    fn of(rows: &[ApiKeyRow]) -> Set {
        let known = |row: &ApiKeyRow| {
            let Some(stored) = read(row) else {
                tracing::error!(key = row.key, "a stored API key cannot be read and is no key");
                return None;
            };
            let identity = Arc::new(Identity::of_key(&stored));
            Some((stored.id, Known { stored, identity }))
        };
        Set(rows.iter().filter_map(known).collect())
    }

    fn check(&self, sent: &ApiKey, now_us: i64) -> Result<Arc<Identity>, Denied> {
        let known = self.0.get(&sent.id());
        crate::models::access::key::check(known.map(|known| &known.stored), sent, now_us)?;
        // It was found, or the check had failed.
        known.map(|known| Arc::clone(&known.identity)).ok_or(Denied::Unknown)
    }

    fn lineage(&self, name: &str) -> Vec<Stored> {
        let mut line = Vec::new();
        // Bounded by the keys that there are and by nothing less: a long line must not hide its
        // beginning. Rows that somebody tampered with could go in a circle.
        let mut seen = HashSet::new();
        let mut next = named(name);
        while let Some(known) = next.filter(|id| seen.insert(*id)).and_then(|id| self.0.get(&id)) {
            next = named(&known.stored.created_by);
            line.push(known.stored.clone());
        }
        line
    }
}

/// The key that goes by this name: `key:<id>`.
fn named(name: &str) -> Option<KeyId> {
    name.strip_prefix("key:")?.parse().ok()
}

/// The keys of one store.
pub struct Keys {
    store: Store,
    /// The account whose audit log tells of them.
    log: String,
    set: ArcSwap<Set>,
    /// Held while reading: an older reading never replaces a newer one.
    flight: tokio::sync::Mutex<()>,
    stale: AtomicBool,
    changed: tokio::sync::Notify,
}

impl Keys {
    /// Reads all keys.
    ///
    /// # Errors
    /// The store is not there.
    pub async fn load(store: Store) -> Result<Keys, StoreError> {
        let set = Set::of(&store.api_keys().await?);
        let set = ArcSwap::from_pointee(set);
        let (log, flight) = (LOG.to_owned(), tokio::sync::Mutex::default());
        Ok(Keys {
            store,
            log,
            set,
            flight,
            stale: false.into(),
            changed: tokio::sync::Notify::new(),
        })
    }

    /// What is done to keys is told in the audit log of this account: the default one, as of
    /// everything that concerns the whole installation.
    pub fn with_log(self, account: &str) -> Keys {
        Keys { log: account.to_owned(), ..self }
    }

    /// Whose key is this, at `now_us` (microseconds UTC)?
    ///
    /// # Errors
    /// Why it is nobody's. Callers are told the same for all reasons.
    pub fn check(&self, sent: &ApiKey, now_us: i64) -> Result<Arc<Identity>, Denied> {
        self.set.load().check(sent, now_us)
    }

    /// Whether there is this key and it is neither revoked nor expired.
    pub fn is_live(&self, id: KeyId, now_us: i64) -> bool {
        self.set.load().0.get(&id).is_some_and(|known| is_live(&known.stored, now_us))
    }

    /// When the key of this name (`key:<id>`) ends, in microseconds UTC. `None`: never, or it is no
    /// key's name.
    pub fn end(&self, name: &str) -> Option<i64> {
        let set = self.set.load();
        set.0.get(&named(name)?).and_then(|known| known.stored.expires_at)
    }

    /// The key of this name (`key:<id>`), the key that made it, and so on; empty for who calls without
    /// a key. Revoked and expired ones are among them: they were used.
    pub async fn lineage(&self, name: &str) -> Vec<Stored> {
        if named(name).is_some_and(|id| !self.set.load().0.contains_key(&id)) {
            // Another process has made it a moment ago.
            self.refresh().await;
        }
        self.set.load().lineage(name)
    }

    /// Whether any key is good at `now_us`.
    pub fn any_good(&self, now_us: i64) -> bool {
        self.set.load().0.values().any(|known| is_live(&known.stored, now_us))
    }

    /// Waits until a key is made or revoked here.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Reads all keys again. A store that does not answer leaves the set as it is; that is said once.
    pub async fn refresh(&self) {
        let _flight = self.flight.lock().await;
        match self.store.api_keys().await {
            Ok(rows) => {
                self.set.store(Arc::new(Set::of(&rows)));
                self.stale.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                if !self.stale.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "API keys are as they were last read");
                }
            }
        }
    }

    /// Keeps the set fresh, for ever.
    pub async fn tend(&self) {
        loop {
            tokio::time::sleep(REFRESH).await;
            self.refresh().await;
        }
    }

    /// Makes a key. It is good at once here, and within [`REFRESH`] elsewhere.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn create(&self, new: NewKey, now_us: i64) -> Result<(ApiKey, Stored), KeyError> {
        let made = create(&self.store, &self.log, new, now_us).await?;
        self.refresh().await;
        self.changed.notify_one();
        Ok(made)
    }

    /// Revokes a key: for good at once here, and within [`REFRESH`] elsewhere. `by` is who does it, as
    /// in the audit.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn revoke(&self, id: KeyId, by: &str, now_us: i64) -> Result<Stored, KeyError> {
        let revoked = revoke(&self.store, &self.log, id, (by, now_us)).await?;
        self.refresh().await;
        self.changed.notify_one();
        Ok(revoked)
    }

    /// All keys as they are stored, by id.
    ///
    /// # Errors
    /// The store is not there.
    pub async fn list(&self) -> Result<Vec<Stored>, StoreError> {
        list(&self.store).await
    }
}

/// Days that a key may live.
const DAYS_MAX: i64 = 36_500;

/// When a key ends, in microseconds UTC: a time (`2027-01-31T00:00:00Z`), a day (`2027-01-31`, when it
/// begins in UTC), or days from now (`90d`).
///
/// # Errors
/// What is wrong with the text, to follow the name of its field.
pub fn expiry(text: &str, now_us: i64) -> Result<i64, &'static str> {
    let bad = "is not a time as in 2027-01-31T00:00:00Z, a day as in 2027-01-31, or days as in 90d";
    let at = if let Some(days) = text.strip_suffix('d') {
        let days = days.parse::<u16>().map_err(|_| bad)?;
        now_us.saturating_add(i64::from(days) * 86_400_000_000)
    } else if let Ok(time) = text.parse::<jiff::Timestamp>() {
        time.as_microsecond()
    } else {
        let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10).ok_or(bad)?;
        let zoned = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| bad)?;
        zoned.timestamp().as_microsecond()
    };
    match at - now_us {
        ..=0 => Err("is not in the future"),
        wait if wait > DAYS_MAX * 86_400_000_000 => Err("is more than 36,500 days away"),
        _ => Ok(at),
    }
}

/// Neither revoked nor expired.
pub fn is_live(key: &Stored, now_us: i64) -> bool {
    key.revoked_at.is_none_or(|at| now_us < at) && key.expires_at.is_none_or(|at| now_us < at)
}

/// All keys of a store, by id.
///
/// # Errors
/// The store is not there.
pub async fn list(store: &Store) -> Result<Vec<Stored>, StoreError> {
    Ok(store.api_keys().await?.iter().filter_map(read).collect())
}

/// Makes a key in a store, with its record in the audit log of the account `log`. Only this answer
/// holds its secret.
///
/// # Errors
/// There are as many as may be, the audit takes no record of it, or the store is not there.
pub async fn create(
    store: &Store,
    log: &str,
    new: NewKey,
    now_us: i64,
) -> Result<(ApiKey, Stored), KeyError> {
    if store.api_keys().await?.len() >= API_KEYS_MAX as usize {
        return Err(KeyError::Full);
    }
    // An id of 32 bits may be taken.
    for _ in 0..TRIES {
        let mut entropy = zeroize::Zeroizing::new([0; KEY_ENTROPY_BYTES]);
        rand::rng().fill_bytes(&mut *entropy);
        let key = ApiKey::generate(&entropy);
        let NewKey { name, role, scopes, created_by, expires_at } = new.clone();
        let (id, hash) = (key.id(), key.hashed());
        let created_at = now_us;
        let revoked_at = None;
        let stored =
            Stored { id, name, role, scopes, created_at, created_by, expires_at, revoked_at, hash };
        let record = record(log, CREATED, (&stored.created_by, now_us), &stored)?;
        if store.put_api_key(&row(&stored, 1), &record).await? {
            return Ok((key, stored));
        }
    }
    Err(KeyError::Contended)
}

/// Revokes a key of a store, with its record in the audit log of the account `log`. One that is
/// revoked already stays so since then, and is not recorded again.
///
/// # Errors
/// There is no such key, the audit takes no record of it, or the store is not there.
pub async fn revoke(
    store: &Store,
    log: &str,
    id: KeyId,
    (by, now_us): (&str, i64),
) -> Result<Stored, KeyError> {
    for _ in 0..TRIES {
        let text = id.to_string();
        let found = store.api_key(&text).await?.ok_or(KeyError::Unknown(id))?;
        let mut stored = read(&found).ok_or(KeyError::Damaged(text))?;
        if stored.revoked_at.is_some() {
            return Ok(stored);
        }
        stored.revoked_at = Some(now_us);
        let record = record(log, REVOKED, (by, now_us), &stored)?;
        if store.put_api_key(&row(&stored, found.version + 1), &record).await? {
            return Ok(stored);
        }
    }
    Err(KeyError::Contended)
}

/// The record of what was done to a key, to be written with it: its secret and its hash are not in it.
fn record(
    log: &str,
    event: Event,
    (by, at_us): (&str, i64),
    key: &Stored,
) -> Result<AuditPendingRow, KeyError> {
    let grants = key.scopes.grants();
    let (mut scopes, mut room) = (Vec::new(), SCOPES_BYTES_MAX);
    for grant in grants.iter().map(ToString::to_string) {
        let Some(rest) = room.checked_sub(grant.len()) else { break };
        room = rest;
        scopes.push(Value::from(grant));
    }
    let left_out = grants.len() - scopes.len();
    let mut data = Map::new();
    data.insert("account".to_owned(), "*".into());
    data.insert("name".to_owned(), key.name.as_str().into());
    data.insert("role".to_owned(), key.role.as_str().into());
    data.insert("scopes".to_owned(), scopes.into());
    if left_out > 0 {
        // The key's row has them all.
        data.insert("scopes_left_out".to_owned(), left_out.into());
    }
    if let Some(at) = key.expires_at {
        data.insert("expires_at".to_owned(), rfc3339(at).into());
    }
    let record = Record {
        at_us,
        event,
        actor: by.to_owned(),
        subject: Some(key.id.to_string()),
        person: None,
        outcome: Outcome::Ok,
        count: 1,
        data: Some(data),
        sealed: None,
    };
    Ok(pending(log, &record)?)
}

fn read(row: &ApiKeyRow) -> Option<Stored> {
    Some(Stored {
        id: row.key.parse().ok()?,
        name: row.name.clone(),
        role: row.role.parse().ok()?,
        scopes: serde_json::from_str(&row.scopes).ok()?,
        created_at: row.created_at,
        created_by: row.created_by.clone(),
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        hash: Hashed::from_hex(&row.hash)?,
    })
}

fn row(stored: &Stored, version: i64) -> ApiKeyRow {
    // A list of texts always serialises; nothing at all would be read as no key.
    let scopes = serde_json::to_string(&stored.scopes).unwrap_or_default();
    ApiKeyRow {
        account: "*".to_owned(),
        key: stored.id.to_string(),
        name: stored.name.clone(),
        hash: stored.hash.to_hex(),
        role: stored.role.to_string(),
        scopes,
        created_by: stored.created_by.clone(),
        created_at: stored.created_at,
        expires_at: stored.expires_at,
        revoked_at: stored.revoked_at,
        version,
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
