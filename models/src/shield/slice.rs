//! A slice: part of a budget that one holder may authorise from, in memory, for a short time.

use super::entry::{Day, HolderId, SliceId};
use super::money::Micros;

/// The authority's side of a slice. It bounds what may be booked against it (rule 1), and its
/// capacity comes back only when the holder says so or provably cannot use it any more (rule 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub id: SliceId,
    pub holder: HolderId,
    /// The most that may be booked: what the holder was given, less what it returned.
    pub quota: Micros,
    /// Booked against the quota.
    pub settled: Micros,
    /// What was booked elsewhere from this slice of a window, as far as the authority was told of it
    /// ([`super::budget::Stage::note`]); a restart finds it in the ledger. It counts in the window,
    /// and so no more here.
    pub noted: Micros,
    /// The part of it that only the holder's return has told of: the news of each booking follows.
    pub missed: Micros,
    /// The ledger's newest row when the slice was taken: its bookings come after. A request that is
    /// repeated long after makes a slice of the same name anew.
    pub since_seq: i64,
    pub day: Day,
    /// This authority's monotonic time when it first saw the slice.
    pub seen_us: i64,
    pub ttl_us: i64,
    /// Its holder is gone: what is still booked for it is booked late, beside the slice.
    pub sealed: bool,
    /// Its holder authorises nothing more from it; only holds that are open remain.
    pub drained: bool,
}

impl Slice {
    /// Escrow: what the slice keeps from everybody else.
    pub fn reserved(&self) -> Micros {
        (self.quota - self.settled - self.noted).max(Micros::ZERO)
    }

    /// Whether the holder may still authorise from it, as far as the authority can tell.
    pub fn may_serve(&self, now_mono_us: i64) -> bool {
        !self.drained && !self.sealed && now_mono_us < self.seen_us + self.ttl_us
    }
}
