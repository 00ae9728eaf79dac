//! The front door of a server, as configured.

use std::sync::Arc;

use super::exit::CliError;
use crate::access::{
    Bearer, Door, DoorTerms, HttpFetch, Jwks, KeySource, Keys, RedisLimit, Verifier,
};
use crate::clock;
use crate::config::Config;
use crate::connectors::redis::Redis;
use crate::store::Store;

/// The door, with the keys of the store.
///
/// # Errors
/// Callers would have to say who they are, and nobody could: with exit code 2. The store is not there.
pub async fn door(config: &Config, store: &Store, redis: &Redis) -> Result<Door, CliError> {
    let keys = Keys::load(store.clone()).await?.with_log(&config.shield.default_account);
    let bind = config.server.bind;
    if !config.auth.required(bind) {
        let door = Door::open(keys);
        let told = config.auth.allow_open || !bind.is_loopback();
        return Ok(if told { door } else { door.for_this_machine() });
    }
    let verifier = config.auth.verifier();
    if verifier.is_none() && !keys.any_good(clock::wall_us()) {
        return Err(CliError::usage(format!(
            "callers on {bind} have to say who they are (auth.mode = \"{}\"), and there is no key \
             yet. Make one, with the --config and the environment of this command:\n  kiki keys create first --role admin --data-dir {}\nor configure an issuer of \
             tokens (auth.oidc_issuer). On a network that is closed by other means, say \
             auth.allow_open = true.",
            config.auth.mode.word(),
            config.store.data_dir.display()
        )));
    }
    let bearer = match verifier {
        None => None,
        Some(terms) => {
            let url = config.auth.oidc_jwks_url.as_str();
            let fetch = HttpFetch::new(url).map_err(CliError::failed)?;
            let jwks = Jwks::new(url, Box::new(fetch));
            Some(Bearer::new(Verifier::new(terms), KeySource::Fetched(Arc::new(jwks))))
        }
    };
    let limits = config.limits.terms();
    Ok(Door::guarded(keys, DoorTerms { bearer, limits, shared: RedisLimit::of(redis) }))
}
