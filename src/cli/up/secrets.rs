//! Nodes of one cluster sign the tokens of holds with one secret: one that has another would refuse what was granted
//! beside it, and what was bought could not be booked there.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::exit::CliError;
use crate::models::cluster::node::Incarnation;
use crate::store::Store;

/// The named fact that holds the secret's print.
const NAME: &str = "token_secret_print";
const OTHER: &str = "the token secret is not the one that the other nodes of this cluster have: give all of them the same \
     KIKI_TOKEN_SECRET, or the same token.secret in their data directories";

/// What can be shown of a secret without giving it away.
fn print_of(secret: &[u8]) -> Result<String, CliError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(CliError::failed)?;
    mac.update(b"kiki: which secret signs tokens");
    let bytes = mac.finalize().into_bytes();
    Ok(bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Refuses a secret that is not that of the nodes that run already. A node that is alone may have a new one: what was
/// granted under the former is proven by the store alone.
///
/// # Errors
/// It is another one, or the store does not answer.
pub async fn look(store: &Store, me: Incarnation, secret: &[u8]) -> Result<(), CliError> {
    let own = print_of(secret)?;
    let kept = store.meta("*", NAME).await.map_err(CliError::failed)?;
    if kept.as_ref() == Some(&own) {
        return Ok(());
    }
    if kept.is_some() {
        let roster = store.roster().await.map_err(CliError::failed)?;
        if roster.nodes.iter().any(|node| node.incarnation != me && !node.dead) {
            return Err(CliError::failed(OTHER));
        }
        tracing::warn!(
            "the token secret is new: tokens of holds from before prove nothing any more"
        );
    }
    store.put_meta("*", NAME, Some(&own)).await.map_err(CliError::failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_tells_secrets_apart_and_not_what_they_are() {
        let [one, other] =
            [b"a".repeat(32), b"b".repeat(32)].map(|it| print_of(&it).expect("a print"));
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!(!one.contains("6161"), "{one}");
    }
}
