//! Load: seeded clients that use the platform as its users do, the history of what they did and were told, and what is
//! read of the platform when all is over.
//!
//! The order of a run: [`prepare`] makes accounts, campaigns and budgets; [`Journal::begin`] begins the history with
//! them; [`run`] plays; [`watch_owners`] looks at who owns what meanwhile; [`collect`] reads ledgers, audit logs and the
//! state at the end. A client of the history is no process that does one thing at a time: its operations overlap, but for
//! those of customers.

mod answers;
#[cfg(test)]
mod answers_tests;
mod bids;
mod clients;
mod collect;
mod decimal;
mod desk;
mod hostile;
mod http;
mod journal;
mod kind;
mod live;
mod model;
mod names;
mod nonsense;
mod owners;
mod prepare;
mod problems;
mod random;
mod run;
mod spec;
mod summary;
mod urls;
mod venue;

pub use collect::{CollectError, Collected, Patience, VIOLATIONS, collect};
pub use hostile::{Storm, slow_loris, storm};
pub use http::{Http, HttpError, Lost, Media, Reply, Request};
pub use journal::{Clock, Closed, Journal, Writing};
pub use kind::Kind;
pub use live::{Figures, Live, Times};
pub use names::{Account, Bidding, Names};
pub use owners::watch_owners;
pub use prepare::prepare;
pub use run::{LoadError, run};
pub use spec::{Arrivals, LoadSpec};
pub use summary::{KindSummary, LoadSummary, Minimums};
pub use urls::Urls;
pub use venue::{Trouble, Venue};
