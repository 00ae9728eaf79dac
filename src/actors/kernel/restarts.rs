//! How often and how soon a child may be restarted. Pure: time and entropy come in by argument.

use std::collections::VecDeque;
use std::time::Duration;

use super::time::to_ns;

/// At most `max` restarts in any `window`; one more escalates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    pub max: u32,
    pub window: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self { max: 5, window: Duration::from_secs(60) }
    }
}

/// The wait before a restart: `base`, doubled with each restart in the window, at most `max`; of
/// that a random half to the whole, so that what failed together does not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub base: Duration,
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(20), max: Duration::from_secs(5) }
    }
}

impl Backoff {
    /// The wait before restart number `nth` (from 1); `entropy` in 0..1.
    pub(super) fn delay(&self, nth: u32, entropy: f64) -> Duration {
        let doublings = nth.saturating_sub(1).min(30);
        let full = self.base.saturating_mul(1 << doublings).min(self.max);
        full.mul_f64(0.5 + entropy.clamp(0.0, 1.0) / 2.0)
    }
}

/// The restarts of one child inside the window.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    recent: VecDeque<u64>,
}

impl Restarts {
    /// Books a restart. `Some(nth)` in the window, or `None` if it is one too many.
    pub fn book(&mut self, now_ns: u64, terms: Intensity) -> Option<u32> {
        let window = to_ns(terms.window);
        self.recent.retain(|at| now_ns.saturating_sub(*at) < window);
        let used = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if used >= terms.max {
            return None;
        }
        self.recent.push_back(now_ns);
        Some(used + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_restart_more_than_the_window_allows_is_refused_until_time_passes() {
        let terms = Intensity { max: 2, window: Duration::from_nanos(100) };
        let mut restarts = Restarts::default();
        assert_eq!(restarts.book(10, terms), Some(1));
        assert_eq!(restarts.book(20, terms), Some(2));
        assert_eq!(restarts.book(109, terms), None);
        assert_eq!(restarts.book(110, terms), Some(2));
    }

    #[test]
    fn no_restart_is_allowed_where_none_are_granted() {
        let terms = Intensity { max: 0, window: Duration::from_secs(1) };
        assert_eq!(Restarts::default().book(0, terms), None);
    }

    #[test]
    fn waits_double_up_to_the_most_and_are_spread_over_their_upper_half() {
        let backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_millis(350) };
        let waits: Vec<u128> = (1..=4).map(|nth| backoff.delay(nth, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 350, 350]);
        assert_eq!(backoff.delay(1, 0.0).as_millis(), 50);
        assert_eq!(backoff.delay(u32::MAX, 0.0).as_millis(), 175);
    }
}
