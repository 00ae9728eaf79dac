//! Every limit of the money rules, with its unit at the end of its name.

/// What bounds holds, slices and queues. One set for an installation.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a slice may be authorised from.
    pub slice_ttl_us: i64,
    /// Subtracted by the holder from its own reading of the ttl, for what clocks may differ.
    pub slice_margin_us: i64,
    /// The longest life of a hold.
    pub hold_ttl_max_us: i64,
    /// How long after its expiry a settle of a hold is still counted against the hold.
    pub grace_us: i64,
    /// Open holds a budget may have on one node.
    pub holds_max: usize,
    /// Slices of one budget that may be served from at the same time.
    pub slices_max: usize,
    /// Requests of one commit.
    pub batch_max: usize,
    /// Requests that may wait for an authority.
    pub pending_max: usize,
    /// How long a request may wait for slices to be recalled.
    pub recall_wait_us: i64,
    /// How often a message without an answer is sent again.
    pub resend_us: i64,
    /// How far wall and monotonic time may drift apart between two readings.
    pub drift_max_us: i64,
    #[cfg(test)]
    pub bug: Option<Bug>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            slice_ttl_us: 10_000_000,
            slice_margin_us: 50_000,
            hold_ttl_max_us: 60_000_000,
            grace_us: 5_000_000,
            holds_max: 100_000,
            slices_max: 2_048,
            batch_max: 512,
            pending_max: 8_192,
            recall_wait_us: 1_000_000,
            resend_us: 1_000_000,
            drift_max_us: 1_000_000,
            #[cfg(test)]
            bug: None,
        }
    }
}

impl Limits {
    /// Whether a bug is planted. Always false in a build that is not a test.
    #[cfg(test)]
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) fn has(&self, _bug: Bug) -> bool {
        false
    }

    /// From an authority's first sight of a slice until nothing can be booked against it any more
    /// (ARCHITECTURE rule 2): its ttl, the longest hold taken at its end, and the grace of that hold.
    pub fn slice_life_us(&self) -> i64 {
        self.slice_ttl_us + self.hold_ttl_max_us + 2 * self.grace_us
    }
}

/// The mistakes that the simulation must find, each against one numbered rule of the money rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// Rule 1: a restarted holder goes on with the slice that it finds, its memory of holds lost.
    SliceSurvivesItsHolder,
    /// Rule 1: a settle does not look at what the slice has left.
    SettleBeyondSlice,
    /// Rule 2: capacity of a slice comes back when its ttl ends, while holds are still open.
    ReclaimAtTtl,
    /// Rule 2: the holder measures the life of its slice by the wall clock.
    ServeByWallClock,
    /// Rule 3: an unknown commit is taken for a failed one.
    UnknownMeansFailed,
    /// Rule 4: a write is not checked against the epoch of its shard.
    EpochIgnored,
    /// Rule 5: a node that does not own the budget books by itself.
    ForeignWriter,
    /// Rule 6: a hold with a win notice expires like any other.
    WonHoldExpires,
    /// Rule 6: a notice is acknowledged before it is durable.
    NoticeAckedInMemory,
    /// Rule 7: a refund is worth more than what is in the window.
    RefundBelowZero,
    /// Rule 8: a restart forgets what the window held.
    RestartClearsWindow,
    /// Rule 8: open holds do not count in the window.
    HoldsOutsideWindow,
    /// Rule 9: a hold settles on the day of the settle.
    SettleOnToday,
    /// Rule 9: a slice outlives its day.
    SliceCrossesMidnight,
    /// Leases: a node serves to the very end of its lease.
    NoMargin,
    /// Leases: a node counts its lease from the register's answer, not from its question.
    LeaseFromTheAnswer,
    /// Leases: a renewal that was refused extends a lease all the same.
    RenewalRevives,
    /// Ownership: a node that comes back goes on with the epochs of its last life, whose writes may be under way.
    OldIncarnationWrites,
}
