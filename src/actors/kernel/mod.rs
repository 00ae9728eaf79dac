//! The actor kernel, on ractor: supervision tables, bounded mailboxes, paths, views, deadlines,
//! traces, dead letters, faults, passivation, breakers. Nothing else in this crate spawns an actor
//! or holds one's raw reference.
//!
//! A service is a page like this:
//!
//! ```no_run
//! use std::time::Duration;
//! use kiki::actors::kernel::*;
//! # struct Ledger; struct Budget { key: String }
//! # enum Msg { Sum(Reply<u64>) }
//! # impl Actor for Ledger { type Msg = Msg; type View = u64; const TYPE: &'static str = "ledger";
//! #   async fn handle(&mut self, Msg::Sum(reply): Msg, _: &mut Cx<Self>) -> Result<(), Fault> { reply.send(1); Ok(()) }
//! #   fn view(&self) -> u64 { 1 } }
//! # impl Actor for Budget { type Msg = Msg; type View = String; const TYPE: &'static str = "budget";
//! #   async fn handle(&mut self, Msg::Sum(reply): Msg, _: &mut Cx<Self>) -> Result<(), Fault> { reply.send(1); Ok(()) }
//! #   fn view(&self) -> String { self.key.clone() } }
//! # async fn page() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new(KernelConfig::default());
//! let shield = registry.service("shield").strategy(Strategy::RestForOne).start()?;
//! let root = shield.supervisor();
//! let ledger = root.child("ledger").intensity(5, per_minute()).mailbox(4_096).start(|| Ledger)?;
//! let budgets = root.entities("budget").start(|key| Budget { key: key.to_owned() })?;
//! let sum: u64 = budgets.ask("camp_001", Duration::from_millis(100), Msg::Sum).await?;
//! let _ = (ledger, sum);
//! registry.shutdown(Duration::from_secs(10)).await;
//! # Ok(()) }
//! ```

mod actor;
mod ask;
mod body;
mod breaker;
mod cell;
mod control;
mod cx;
mod dead;
mod detail;
mod end;
mod entities;
mod events;
mod expiry;
mod family;
mod faults;
mod glob;
mod guard;
mod handle;
mod hist;
mod housekeeper;
#[expect(clippy::module_inception, reason = "what all actors share is the kernel")]
mod kernel;
mod late;
mod letter;
mod life;
mod meter;
mod page;
mod policy;
mod registry;
mod restarts;
mod service;
mod shell;
mod strike;
mod supervisor;
mod sync;
mod time;
mod trace;

/// Log directives for what the kernel stands on: starts and ends of actors are in the events.
pub const LOG_DIRECTIVES: &str = "ractor=warn";

pub use actor::{Actor, Fault};
pub use ask::{AskError, Refused, Reply, run_within};
pub use breaker::{Breaker, ShownBreaker};
pub use cell::{Incident, State};
pub use cx::Cx;
pub use dead::{DeadLetter, Why};
pub use detail::{ActorDetail, Handling, TreeNode, TypeStats};
pub use entities::{Entities, EntitiesBuilder};
pub use events::{Event, EventKind, EventStream};
pub use faults::{FaultKind, FaultRefused, FaultRule, FaultView};
pub use handle::Handle;
pub use hist::Latency;
pub use kernel::SpawnError;
pub use page::{ActorPage, ActorQuery, ActorSummary, PAGE_LIMIT_MAX, Sort};
pub use policy::{Restart, Strategy, per_minute};
pub use registry::{BreakerEntry, KernelConfig, OperatorOrder, Registry};
pub use service::{Service, ServiceBuilder, ServiceView};
pub use supervisor::{Child, Group, Supervisor};
pub use time::Deadline;
pub use trace::Trace;
