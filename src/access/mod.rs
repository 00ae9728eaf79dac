//! The front door's shells: bearer tokens and the keys that verify them, limits in memory and shared.
//! The rules are in [`crate::models::access`].

pub mod bearer;
pub mod claims;
pub mod fetch;
pub mod jwks;
pub mod jwt;
pub mod keyset;
pub mod limiter;
pub mod shared;
mod slots;
mod strict;

pub use bearer::{Bearer, KeySource};
pub use claims::ClaimNames;
pub use fetch::{Fetch, FetchError, Fetched, HttpFetch};
pub use jwks::{Jwks, JwksView};
pub use jwt::{JwtDenied, Verifier, VerifierTerms};
pub use keyset::{Alg, BadKeySet, KeySet};
pub use limiter::{Limiter, LimiterTerms};
pub use shared::{Shared, SharedLimit, SharedView, Unavailable};
