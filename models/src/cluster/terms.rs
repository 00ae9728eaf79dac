//! The times of a cluster, with their units at the end of their names.

use crate::shield::limits::Bug;

/// One set for all nodes of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTerms {
    /// How long a lease lasts, by the register's clock, from each renewal.
    pub lease_us: i64,
    /// How often it is renewed.
    pub renew_us: i64,
    /// How much earlier the node itself takes it to be over: what clocks may differ by over a lease, and what a
    /// database that takes over from another may be ahead.
    pub margin_us: i64,
    /// How often the register is looked at between renewals.
    pub look_us: i64,
    /// How long a lease has to be seen to be over before its node is taken to be gone: after the database was
    /// away all leases are, and all nodes are there.
    pub confirm_us: i64,
    /// How far wall and monotonic time may drift apart between two readings; beyond it the machine stood still.
    pub drift_max_us: i64,
    /// How long the nodes have to be the same before shards are moved to where they belong.
    pub settle_us: i64,
    /// Shards that a node hands over at a time.
    pub hand_max: usize,
    /// How long a shard may take to come to rest before it is handed over as it is.
    pub hand_patience_us: i64,
    /// Between two attempts of anything that failed.
    pub retry_us: i64,
    #[cfg(test)]
    pub bug: Option<Bug>,
}

const SECOND: i64 = 1_000_000;

impl Default for ClusterTerms {
    fn default() -> Self {
        ClusterTerms {
            lease_us: 10 * SECOND,
            renew_us: 3 * SECOND,
            margin_us: 2 * SECOND,
            look_us: SECOND,
            confirm_us: SECOND / 2,
            drift_max_us: SECOND,
            settle_us: 15 * SECOND,
            hand_max: 64,
            hand_patience_us: 5 * SECOND,
            retry_us: SECOND / 4,
            #[cfg(test)]
            bug: None,
        }
    }
}

impl ClusterTerms {
    /// For nodes and a database on one network that does not stall: a dead node is replaced within three seconds.
    pub fn fast() -> ClusterTerms {
        ClusterTerms {
            lease_us: 2 * SECOND,
            renew_us: SECOND / 2,
            margin_us: SECOND / 2,
            look_us: SECOND / 4,
            confirm_us: SECOND / 4,
            drift_max_us: 2 * SECOND / 5,
            settle_us: 3 * SECOND,
            ..ClusterTerms::default()
        }
    }

    /// How long a question about the lease may take: asked anew after it, there is time left.
    pub fn patience_us(&self) -> i64 {
        (self.lease_us - self.margin_us) / 2
    }

    /// How long the register has to have answered without a failure before a lease that is over says something of
    /// its node: after the database was away, all that live have renewed by then.
    pub fn calm_us(&self) -> i64 {
        self.patience_us() + self.retry_us + self.confirm_us
    }

    /// What is wrong with it, if anything: a lease has to be renewed at least twice before it is over for its node.
    pub fn mistake(&self) -> Option<&'static str> {
        if self.margin_us <= 0 || self.confirm_us <= 0 || self.renew_us <= 0 || self.look_us <= 0 {
            return Some("a cluster's margin, confirmation, renewal and look must be above 0");
        }
        if self.lease_us - self.margin_us < 2 * self.renew_us {
            return Some("a lease less its margin must be at least two renewals long");
        }
        if self.drift_max_us > self.margin_us {
            return Some("clocks may not drift apart by more than a lease's margin unnoticed");
        }
        None
    }

    #[cfg(test)]
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) fn has(&self, _bug: Bug) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_hold_together_and_what_does_not_is_refused() {
        assert_eq!(ClusterTerms::default().mistake(), None);
        assert_eq!(ClusterTerms::fast().mistake(), None);
        let fast = ClusterTerms::fast;
        for wrong in [
            ClusterTerms { margin_us: 0, ..fast() },
            ClusterTerms { renew_us: fast().lease_us, ..fast() },
            ClusterTerms { drift_max_us: SECOND, ..fast() },
        ] {
            assert!(wrong.mistake().is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn a_dead_node_is_replaced_in_time() {
        // At worst it renewed right before its end, and the look that finds it overdue comes late.
        for (terms, most) in [(ClusterTerms::default(), 12), (ClusterTerms::fast(), 3)] {
            let worst = terms.lease_us + terms.retry_us + terms.confirm_us;
            assert!(worst < most * SECOND - SECOND / 4, "{terms:?}");
        }
    }
}
