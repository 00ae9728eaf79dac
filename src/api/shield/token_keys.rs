//! The keys of tokens at work, and their rotation.

use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use crate::actors::shield::Shield;
use crate::actors::shield::vault::{self, VaultError};
use crate::clock;
use crate::models::shield::token::{RING_MAX, SignerRing};

/// The ring in use, and the secret that is its oldest key.
pub struct TokenKeys {
    first: Zeroizing<Vec<u8>>,
    ring: ArcSwap<SignerRing>,
    /// One rotation at a time.
    turn: tokio::sync::Mutex<()>,
}

/// Why nothing was rotated.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    #[error("tokens of {RING_MAX} keys may be open already: wait until the oldest is over")]
    TooOften,
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl TokenKeys {
    /// The configured secret and the keys that were made since.
    ///
    /// # Errors
    /// The keyring cannot be read.
    pub async fn open(shield: &Shield, first: Vec<u8>) -> Result<TokenKeys, VaultError> {
        let first = Zeroizing::new(first);
        let ring = ArcSwap::from_pointee(read(shield, &first).await?);
        Ok(TokenKeys { first, ring, turn: tokio::sync::Mutex::default() })
    }

    /// The ring in use.
    pub fn ring(&self) -> arc_swap::Guard<Arc<SignerRing>> {
        self.ring.load()
    }

    /// Reads the keys again: another process may have made one.
    ///
    /// # Errors
    /// The keyring cannot be read; the keys stay as they are.
    pub async fn refresh(&self, shield: &Shield) -> Result<(), VaultError> {
        let _turn = self.turn.lock().await;
        self.ring.store(Arc::new(read(shield, &self.first).await?));
        Ok(())
    }

    /// Signs with a new key from now on. What older ones signed stays good for its time.
    ///
    /// # Errors
    /// Too many keys are live, or the store does not answer.
    pub async fn rotate(&self, shield: &Shield) -> Result<String, NotRotated> {
        let _turn = self.turn.lock().await;
        if self.ring.load().live(clock::wall_us()) >= RING_MAX {
            return Err(NotRotated::TooOften);
        }
        let key = vault::new_token_key(shield.store(), shield.vault()).await?;
        self.ring.store(Arc::new(read(shield, &self.first).await?));
        Ok(key)
    }
}

async fn read(shield: &Shield, first: &[u8]) -> Result<SignerRing, VaultError> {
    let ttl = shield.terms().limits.hold_ttl_max_us;
    vault::token_ring(shield.store(), shield.vault(), first, ttl).await
}
