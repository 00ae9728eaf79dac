//! What accounts know of people, for auctions: an answer of SyncValue is kept for five minutes and fetched
//! beside the bid path. Until it is there, the rule of thumb answers, and says that it is one. What SyncShield
//! says of consents and erasures is heard at once.

mod actor;
mod cache;
mod forget;

pub use actor::{LookupActor, Msg, Question};
pub use cache::{Cache, Known, Wanted};
pub use forget::Forgetting;
