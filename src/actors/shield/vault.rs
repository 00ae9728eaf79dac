//! The secrets of the installation at work: the master key, and the keyring that it seals.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::clock;
use crate::models::shield::audit::head::{Keys, key_id};
use crate::models::shield::seal::{Binding, MasterKey, Nonce, PersonKey, SealError};
use crate::models::shield::token::SignerRing;
use crate::store::{KeyringRow, Store, StoreError};

/// Keys that sign the heads of audit logs.
pub const AUDIT: &str = "audit";
/// Keys that sign the tokens of holds.
pub const TOKEN: &str = "token";
/// How long beyond the longest hold a token key opens after the next one was made.
const TOKEN_KEPT_US: i64 = 86_400_000_000;

/// Why the keyring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(
        "the master key is not the one that sealed this store's keyring: give the right one \
         (shield.master_key, KIKI_MASTER_KEY, or master.key in the data directory)"
    )]
    WrongMaster,
    #[error("the keyring holds a key that cannot be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the keyring cannot be sealed: {0}")]
    Seal(#[from] SealError),
}

/// The keys that sign heads: the newest signs, all verify.
struct Signing {
    newest: SigningKey,
    all: Keys,
}

/// The master key and what it has opened.
pub struct Vault {
    master: MasterKey,
    signing: ArcSwap<Signing>,
}

impl Vault {
    /// Opens the keyring of a store, and makes its first keys where there are none.
    ///
    /// # Errors
    /// The master key is another one, or the store does not answer.
    pub async fn open(store: &Store, master: MasterKey) -> Result<Vault, VaultError> {
        let mut rows = store.keyring(AUDIT).await?;
        if rows.is_empty() {
            put_new(store, &master).await?;
            rows = store.keyring(AUDIT).await?;
        }
        let signing = ArcSwap::from_pointee(opened(&master, &rows)?);
        Ok(Vault { master, signing })
    }

    /// Makes a new key that signs heads from now on; what older ones signed stays verified.
    pub async fn rotate_signing(&self, store: &Store) -> Result<String, VaultError> {
        let id = put_new(store, &self.master).await?;
        self.refresh(store).await?;
        Ok(id)
    }

    /// Reads the keys again: another process may have made one.
    ///
    /// # Errors
    /// They cannot be read; those at hand stay.
    pub async fn refresh(&self, store: &Store) -> Result<(), VaultError> {
        let rows = store.keyring(AUDIT).await?;
        self.signing.store(Arc::new(opened(&self.master, &rows)?));
        Ok(())
    }

    /// The key that signs now.
    pub fn signing_key(&self) -> SigningKey {
        self.signing.load().newest.clone()
    }

    /// The public keys that have ever signed.
    pub fn public_keys(&self) -> Keys {
        self.signing.load().all.clone()
    }

    pub fn master(&self) -> &MasterKey {
        &self.master
    }

    /// A fresh key for a person, and how it is kept.
    pub fn new_person(
        &self,
        account: &str,
        person: &str,
    ) -> Result<(PersonKey, String), SealError> {
        let key = PersonKey::new(rand::random());
        let wrapped = self.master.wrap(&key, person_binding(account, person), nonce())?;
        Ok((key, wrapped))
    }

    /// The person's key.
    pub fn person(
        &self,
        account: &str,
        person: &str,
        wrapped: &str,
    ) -> Result<PersonKey, SealError> {
        self.master.unwrap(wrapped, person_binding(account, person))
    }
}

/// Whether a store has keys that a master key has sealed.
///
/// # Errors
/// The store does not answer.
pub async fn is_sealed(store: &Store) -> Result<bool, StoreError> {
    Ok(!store.keyring(AUDIT).await?.is_empty())
}

/// A nonce that was never used: 192 random bits do not meet again.
pub fn nonce() -> Nonce {
    rand::random()
}

fn person_binding<'a>(account: &'a str, person: &'a str) -> Binding<'a> {
    Binding { account, person, purpose: "person.key" }
}

/// The keys of tokens: `first` is the secret of the configuration, which stays the oldest.
///
/// # Errors
/// A key cannot be opened, or the store does not answer.
pub async fn token_ring(
    store: &Store,
    vault: &Vault,
    first: &[u8],
    hold_ttl_max_us: i64,
) -> Result<SignerRing, VaultError> {
    let rows = store.keyring(TOKEN).await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        let secret = vault.master.open_secret(&row.sealed, keyring_binding("keyring.token"));
        keys.push((secret.map_err(|_| VaultError::WrongMaster)?, row.created_at));
    }
    let made = keys.iter().map(|(key, at)| (key.as_slice(), *at));
    Ok(SignerRing::new(first, made, hold_ttl_max_us.saturating_add(TOKEN_KEPT_US)))
}

/// Makes a token key, which signs as soon as the ring is read again. Gives its name.
///
/// # Errors
/// The store does not answer.
pub async fn new_token_key(store: &Store, vault: &Vault) -> Result<String, VaultError> {
    let secret = Zeroizing::new(rand::random::<[u8; 32]>());
    let key = format!("{:016x}", rand::random::<u64>());
    let row = KeyringRow {
        account: "*".to_owned(),
        purpose: TOKEN.to_owned(),
        key: key.clone(),
        sealed: vault.master.seal_secret(&*secret, keyring_binding("keyring.token"), nonce())?,
        public: String::new(),
        created_at: clock::wall_us(),
    };
    store.put_keyring(row).await?;
    Ok(key)
}

fn keyring_binding(purpose: &'static str) -> Binding<'static> {
    Binding { account: "*", person: "", purpose }
}

async fn put_new(store: &Store, master: &MasterKey) -> Result<String, VaultError> {
    let secret: [u8; 32] = rand::random();
    let key = SigningKey::from_bytes(&secret);
    let public = key.verifying_key();
    let id = key_id(&public);
    let row = KeyringRow {
        account: "*".to_owned(),
        purpose: AUDIT.to_owned(),
        key: id.clone(),
        sealed: master.seal_secret(&secret, keyring_binding("keyring.audit"), nonce())?,
        public: hex(public.as_bytes()),
        created_at: clock::wall_us(),
    };
    store.put_keyring(row).await?;
    Ok(id)
}

fn opened(master: &MasterKey, rows: &[KeyringRow]) -> Result<Signing, VaultError> {
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let secret = master
            .open_secret(&row.sealed, keyring_binding("keyring.audit"))
            .map_err(|_| VaultError::WrongMaster)?;
        let secret: [u8; 32] =
            secret.as_slice().try_into().map_err(|_| VaultError::Unreadable(row.key.clone()))?;
        keys.push(SigningKey::from_bytes(&secret));
    }
    let all = keys.iter().map(SigningKey::verifying_key).collect();
    let newest = keys.into_iter().next();
    let newest = newest.ok_or_else(|| VaultError::Unreadable("it is empty".to_owned()))?;
    Ok(Signing { newest, all })
}

/// The public keys of a keyring, as they stand beside their secrets: to verify without those.
///
/// # Errors
/// A key cannot be read.
pub fn public_keys(rows: &[KeyringRow]) -> Result<Keys, VaultError> {
    let unreadable = |row: &KeyringRow| VaultError::Unreadable(row.key.clone());
    rows.iter()
        .map(|row| {
            let bytes = unhex(&row.public).ok_or_else(|| unreadable(row))?;
            VerifyingKey::from_bytes(&bytes).map_err(|_| unreadable(row))
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}
