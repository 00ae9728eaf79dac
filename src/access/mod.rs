//! The front door's shells: bearer tokens and the keys that verify them, limits in memory and shared.
//! The rules are in [`crate::models::access`].

pub mod bearer;
pub mod claims;
pub mod door;
pub mod fetch;
pub mod jwks;
pub mod jwt;
pub mod keys;
pub mod keyset;
pub mod limiter;
pub mod redis_limit;
pub mod shared;
mod slots;
mod strict;
pub mod witness;

pub use bearer::{Bearer, KeySource};
pub use claims::ClaimNames;
pub use door::{Door, DoorTerms, LimitTerms, Proof, Refusal};
pub use fetch::{Fetch, FetchError, Fetched, HttpFetch};
pub use jwks::{Jwks, JwksView};
pub use jwt::{JwtDenied, Verifier, VerifierTerms};
pub use keys::{KeyError, Keys, NewKey};
pub use keyset::{Alg, BadKeySet, KeySet};
pub use limiter::{Limiter, LimiterTerms};
pub use redis_limit::RedisLimit;
pub use shared::{Shared, SharedLimit, SharedView, Unavailable};
pub use witness::{Act, ActOutcome, LogWitness, Witness};
