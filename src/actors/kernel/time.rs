//! The kernel's clock: monotonic nanoseconds. Used for intervals only.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Stands for "no deadline".
pub(super) const NEVER: u64 = u64::MAX;

/// Monotonic nanoseconds, never 0. Read once or twice for each message, so without the checks of
/// `Instant`.
pub(super) fn now_ns() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    (t.tv_sec as u64) * 1_000_000_000 + t.tv_nsec as u64 + 1
}

pub(super) fn to_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// When an answer is no longer wanted. Made from a [`Duration`] (from now), or passed on from the
/// message being handled with [`Cx::deadline`](super::Cx::deadline).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Within(Duration),
    At(u64),
}

impl Deadline {
    /// A fixed point in time, `duration` from now.
    pub fn within(duration: Duration) -> Self {
        Self::at_ns(now_ns().saturating_add(to_ns(duration)))
    }

    /// What is left of it.
    pub fn remaining(self) -> Duration {
        match self.0 {
            Kind::Within(duration) => duration,
            Kind::At(at) => Duration::from_nanos(at.saturating_sub(now_ns())),
        }
    }

    /// The earlier of the two.
    pub fn or_sooner(self, duration: Duration) -> Self {
        let now = now_ns();
        Self::at_ns(self.resolve(now).min(now.saturating_add(to_ns(duration))))
    }

    pub(super) fn at_ns(at: u64) -> Self {
        Self(Kind::At(at))
    }

    pub(super) fn resolve(self, now: u64) -> u64 {
        match self.0 {
            Kind::Within(duration) => now.saturating_add(to_ns(duration)),
            Kind::At(at) => at,
        }
    }
}

impl From<Duration> for Deadline {
    fn from(duration: Duration) -> Self {
        Self(Kind::Within(duration))
    }
}
