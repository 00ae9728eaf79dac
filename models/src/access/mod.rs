//! Who may do what, as rules: roles and scopes, API keys, signed webhooks, rate limits, and which
//! addresses may be fetched. No clock, no randomness, no network: those come in by argument.

pub mod address;
pub mod hook;
pub mod identity;
pub mod key;
pub mod limit;
pub mod live;
pub mod pattern;
pub mod retry;
pub mod role;
pub mod scope;

pub use address::is_public;
pub use identity::{Identity, LimitClass, NotAllowed};
pub use key::{ApiKey, BadKey, Denied, Hashed, KeyId, Stored};
pub use limit::{Bucket, Decision, Quota};
pub use role::{Right, Role};
pub use scope::{BadScope, Grant, Names, Scopes};
