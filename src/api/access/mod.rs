//! Who may do what, at every listener: the table of all routes, and the guard that keeps to it.

mod caller;
mod guard;
mod local;
pub mod routes;

pub use caller::{Arrived, Call, account_for, caller, may_use};
pub use guard::{Guard, GuardLayer};
pub use routes::{Listener, Needs, Rule};
