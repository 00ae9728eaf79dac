//! Why we bid that: every bid, sampled refusals, changes of state and what became of all that, written in
//! batches beside the bid path. A bid whose record was lost is rebuilt from the digest in its notice.
//!
//! What has no room in memory while the store is away waits in a file. Whoever books a bid is answered when
//! its record is durable: nothing is booked, and its notice done with, without one.

mod actor;
mod batch;
mod counts;
mod id;
mod job;
mod message;
mod metrics;
mod old;
mod overflow;
mod shelf;
mod told;
mod turn;
mod unknown;

pub use actor::JournalActor;
pub use batch::{Sealed, seal, storable};
pub use id::in_time;
pub use message::{Made, Msg};
pub use metrics::{heard, left_out, never, owed, unbooked};
pub use overflow::{BAD as BAD_FILE, FILE as OVERFLOW_FILE};
pub use told::Told;
