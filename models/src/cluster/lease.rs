//! A node's own view of its lease: when it has to stop serving, by clocks of its own.

use super::terms::ClusterTerms;
use crate::shield::entry::Now;
use crate::shield::limits::Bug;

/// The readings that a renewal was sent at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub at: Now,
    doubts: u64,
}

/// Counted from before a renewal was sent, on the monotonic clock, less a margin: so it is over here before the
/// register, which counts from when the renewal came, lets anybody take what is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    until_us: i64,
    last: Option<Now>,
    /// How often the clocks have drifted apart: what was sent before counts for nothing.
    doubts: u64,
}

impl Default for Lease {
    fn default() -> Self {
        Lease { until_us: i64::MIN, last: None, doubts: 0 }
    }
}

impl Lease {
    /// A renewal is sent now.
    pub fn send(&mut self, now: Now, terms: &ClusterTerms) -> Sent {
        self.mind_the_clocks(now, terms);
        Sent { at: now, doubts: self.doubts }
    }

    /// A renewal was granted.
    pub fn granted(&mut self, sent: Sent, now: Now, terms: &ClusterTerms) {
        self.mind_the_clocks(now, terms);
        if sent.doubts != self.doubts {
            return;
        }
        let from = match terms.has(Bug::LeaseFromTheAnswer) {
            true => now.mono_us,
            false => sent.at.mono_us,
        };
        let margin = if terms.has(Bug::NoMargin) { 0 } else { terms.margin_us };
        self.until_us = self.until_us.max(from + terms.lease_us - margin);
    }

    /// Whether the node may serve. The clocks are read by the caller right before.
    pub fn holds(&mut self, now: Now, terms: &ClusterTerms) -> bool {
        self.mind_the_clocks(now, terms);
        now.mono_us < self.until_us
    }

    /// How often the clocks have told of a machine that stood still.
    pub fn doubts(&self) -> u64 {
        self.doubts
    }

    /// Until when it holds, on the monotonic clock, if nothing else happens.
    pub fn until_us(&self) -> i64 {
        self.until_us
    }

    pub fn end(&mut self) {
        self.until_us = i64::MIN;
    }

    /// A monotonic clock may stand still while a machine does, and its lease runs on: then the wall clock has gone
    /// further. Nothing is served until a renewal that was sent after that is granted.
    fn mind_the_clocks(&mut self, now: Now, terms: &ClusterTerms) {
        if let Some(last) = self.last.replace(now) {
            let (mono, wall) = (now.mono_us - last.mono_us, now.wall_us - last.wall_us);
            if (mono - wall).abs() > terms.drift_max_us {
                self.doubts += 1;
                self.until_us = i64::MIN;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(seconds: f64) -> Now {
        let us = (seconds * SECOND as f64) as i64;
        Now { mono_us: us, wall_us: 1_000 * SECOND + us }
    }

    fn terms() -> ClusterTerms {
        ClusterTerms::default()
    }

    #[test]
    fn a_lease_counts_from_when_it_was_asked_for() {
        let mut lease = Lease::default();
        assert!(!lease.holds(at(0.0), &terms()));
        let sent = lease.send(at(1.0), &terms());
        lease.granted(sent, at(4.0), &terms());
        assert!(lease.holds(at(8.999), &terms()));
        assert!(!lease.holds(at(9.0), &terms()), "1 + 10 - 2");
        // An older answer shortens nothing.
        let mut lease = Lease::default();
        let (first, second) = (lease.send(at(1.0), &terms()), lease.send(at(3.0), &terms()));
        lease.granted(second, at(3.1), &terms());
        lease.granted(first, at(3.2), &terms());
        assert!(lease.holds(at(10.9), &terms()));
        lease.end();
        assert!(!lease.holds(at(10.9), &terms()));
    }

    #[test]
    fn a_machine_that_stood_still_has_no_lease_until_one_is_granted_anew() {
        let mut lease = Lease::default();
        let before = lease.send(at(1.0), &terms());
        lease.granted(before, at(1.1), &terms());
        let under_way = lease.send(at(2.0), &terms());
        // The monotonic clock says that nothing has happened; the other one that a minute has gone.
        let stood = |seconds| Now { wall_us: at(seconds).wall_us + 60 * SECOND, ..at(seconds) };
        assert!(!lease.holds(stood(2.1), &terms()));
        lease.granted(under_way, stood(2.2), &terms());
        assert!(!lease.holds(stood(2.3), &terms()), "it was sent before");
        let after = lease.send(stood(2.4), &terms());
        lease.granted(after, stood(2.5), &terms());
        assert!(lease.holds(stood(2.6), &terms()));
    }
}
