//! What exchanges tell of bids: checked, booked at SyncShield or put aside on disk, and only then answered.

mod actor;
mod debts;
mod handover;
mod heard;
mod owed;
mod review;
mod spool;
mod whose;
mod zones;

pub use actor::{Msg, NoticesActor};
pub use heard::Heard;
pub use owed::Owed;
pub use review::Reviewed;
pub use spool::Kept;
pub use zones::Zones;
