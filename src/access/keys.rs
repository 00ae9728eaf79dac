//! The API keys of the installation: in memory for every request, in the store for good.
//!
//! A key may be made or revoked by another process: the set is read again every [`REFRESH`], and at
//! once after a change made here. While the store is away the last set stays.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rand::Rng;

use crate::models::access::{
    ApiKey, Denied, Hashed, Identity, KeyId, Role, Scopes, Stored, key::KEY_ENTROPY_BYTES,
};
use crate::store::{API_KEYS_MAX, ApiKeyRow, Store, StoreError};

/// How often the set is read again.
pub const REFRESH: Duration = Duration::from_secs(2);
/// Characters of a key's name.
pub const KEY_NAME_CHARS_MAX: usize = 128;
/// Tries at a write that another process was in the way of.
const TRIES: usize = 8;

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
}

/// The keys of one store.
pub struct Keys {
    store: Store,
    set: ArcSwap<Set>,
    /// Held while reading: an older reading never replaces a newer one.
    flight: tokio::sync::Mutex<()>,
    stale: AtomicBool,
}

impl Keys {
    /// Reads all keys.
    ///
    /// # Errors
    /// The store is not there.
    pub async fn load(store: Store) -> Result<Keys, StoreError> {
        let set = Set::of(&store.api_keys().await?);
        let set = ArcSwap::from_pointee(set);
        Ok(Keys { store, set, flight: tokio::sync::Mutex::default(), stale: false.into() })
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

    /// Whether any key is good at `now_us`.
    pub fn any_good(&self, now_us: i64) -> bool {
        self.set.load().0.values().any(|known| is_live(&known.stored, now_us))
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
        let made = create(&self.store, new, now_us).await?;
        self.refresh().await;
        Ok(made)
    }

    /// Revokes a key: for good at once here, and within [`REFRESH`] elsewhere.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn revoke(&self, id: KeyId, now_us: i64) -> Result<Stored, KeyError> {
        let revoked = revoke(&self.store, id, now_us).await?;
        self.refresh().await;
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

/// Makes a key in a store. Only this answer holds its secret.
///
/// # Errors
/// There are as many as may be, or the store is not there.
pub async fn create(store: &Store, new: NewKey, now_us: i64) -> Result<(ApiKey, Stored), KeyError> {
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
        if store.put_api_key(&row(&stored, 1)).await? {
            return Ok((key, stored));
        }
    }
    Err(KeyError::Contended)
}

/// Revokes a key of a store. One that is revoked already stays so since then.
///
/// # Errors
/// There is no such key, or the store is not there.
pub async fn revoke(store: &Store, id: KeyId, now_us: i64) -> Result<Stored, KeyError> {
    for _ in 0..TRIES {
        let text = id.to_string();
        let found = store.api_key(&text).await?.ok_or(KeyError::Unknown(id))?;
        let mut stored = read(&found).ok_or(KeyError::Damaged(text))?;
        if stored.revoked_at.is_some() {
            return Ok(stored);
        }
        stored.revoked_at = Some(now_us);
        if store.put_api_key(&row(&stored, found.version + 1)).await? {
            return Ok(stored);
        }
    }
    Err(KeyError::Contended)
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
mod tests {
    use super::*;
    use crate::store::StoreConfig;

    fn new(name: &str) -> NewKey {
        let scopes = Scopes::parse(["shield:acme"]).unwrap();
        let (name, created_by) = (name.to_owned(), "cli".to_owned());
        NewKey { name, role: Role::Operator, scopes, created_by, expires_at: Some(1_000) }
    }

    #[tokio::test]
    async fn a_key_is_good_from_its_making_to_its_end_and_what_another_process_does_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::sqlite(dir.path())).await.unwrap();
        let keys = Keys::load(store.clone()).await.unwrap();
        let (key, stored) = keys.create(new("a"), 0).await.unwrap();
        let who = keys.check(&key, 999).unwrap();
        assert_eq!(&*who.name, &format!("key:{}", stored.id));
        assert!(who.scopes.allows("shield", "acme") && !who.scopes.allows("shield", "b"));
        assert_eq!(keys.check(&key, 1_000).err(), Some(Denied::Expired));
        assert!(keys.any_good(999) && !keys.any_good(1_000));
        // Beside it, as the command line does.
        let (other, made) = create(&store, new("b"), 0).await.unwrap();
        assert_eq!(keys.check(&other, 0).err(), Some(Denied::Unknown));
        keys.refresh().await;
        assert!(keys.check(&other, 0).is_ok());
        revoke(&store, made.id, 5).await.unwrap();
        keys.refresh().await;
        assert_eq!(keys.check(&other, 5).err(), Some(Denied::Revoked));
        let again = revoke(&store, made.id, 9).await.unwrap();
        assert_eq!(again.revoked_at, Some(5), "it stays revoked since then");
        assert!(matches!(revoke(&store, KeyId(1), 0).await, Err(KeyError::Unknown(_))));
        assert_eq!(keys.list().await.unwrap().len(), 2);
    }

    #[test]
    fn an_end_is_a_time_a_day_or_days_and_lies_ahead() {
        let day = 86_400_000_000;
        assert_eq!(expiry("90d", 5), Ok(90 * day + 5));
        assert_eq!(expiry("1970-01-03", 0), Ok(2 * day));
        assert_eq!(expiry("1970-01-01T00:00:01Z", 0), Ok(1_000_000));
        for bad in ["", "d", "-1d", "0d", "1.5d", "soon", "1970-01-01", "99999d", "1970-1-3", "1h"]
        {
            assert!(expiry(bad, 0).is_err(), "{bad}");
        }
        assert!(expiry("9999-12-31", 0).is_err());
    }

    #[test]
    fn a_row_that_cannot_be_read_is_no_key() {
        let key = ApiKey::generate(&[7; KEY_ENTROPY_BYTES]);
        let NewKey { name, role, scopes, created_by, .. } = new("a");
        let (id, hash) = (key.id(), key.hashed());
        let (expires_at, revoked_at, created_at) = (None, None, 0);
        let stored =
            Stored { id, name, role, scopes, created_at, created_by, expires_at, revoked_at, hash };
        let good = row(&stored, 1);
        assert!(Set::of(std::slice::from_ref(&good)).check(&key, 0).is_ok());
        for bad in [
            ApiKeyRow { role: "root".into(), ..good.clone() },
            ApiKeyRow { scopes: String::new(), ..good.clone() },
            ApiKeyRow { hash: "00".into(), ..good },
        ] {
            assert_eq!(Set::of(&[bad]).check(&key, 0).err(), Some(Denied::Unknown));
        }
    }
}
