//! Which webhooks rest. A receiver that does not answer holds a slot for as long as an attempt may
//! take. After some such attempts in a row its webhook is left alone for a while that grows, and is
//! asked with one delivery at a time until it answers. Only the sending waits: when a delivery is due
//! and when it is dead is its own schedule's.

use std::collections::BTreeMap;

use crate::models::access::retry::Schedule;
use crate::models::breaker::{Breaker, BreakerState, BreakerTerms, CallOutcome};

/// A webhook: its account, and its id.
pub type Hook = (String, String);

/// Attempts in a row without an answer after which a webhook rests.
pub const SILENT_MAX: u32 = 3;
/// Silent webhooks that are remembered at most; beyond that the one whose last silence is the longest
/// ago is forgotten.
const REMEMBERED_MAX: usize = 4_096;
/// One that was not asked for so long after its rest has nothing waiting, and is forgotten.
const FORGOTTEN_US: i64 = 2 * 3_600_000_000;

/// What may be sent to a webhook now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its last attempt was answered, or it had none.
    Good,
    /// Its last attempt was not answered.
    Doubtful,
    /// Its rest is over: one attempt decides.
    Due,
    /// Nothing.
    Resting,
}

struct Silent {
    breaker: Breaker,
    /// When it last did not answer.
    at_us: i64,
}

/// The webhooks that did not answer last time. Times are microseconds of the monotonic clock.
pub struct Rests {
    terms: BreakerTerms,
    silent: BTreeMap<Hook, Silent>,
}

/// One that rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest<'a> {
    pub hook: &'a Hook,
    /// Attempts in a row without an answer.
    pub silences: u32,
    /// When it is asked again; `None`: it is due, or being asked.
    pub until_us: Option<i64>,
}

impl Rests {
    /// The first rest is three of the schedule's shortest pauses, each further one twice as long, up to
    /// a twelfth of its longest: 15 seconds to 5 minutes by default.
    pub fn new(schedule: Schedule) -> Rests {
        let terms = BreakerTerms {
            failures_max: SILENT_MAX,
            latency_max_us: None,
            open_us: schedule.delay_min_us.saturating_mul(3),
            open_us_max: schedule.delay_max_us / 12,
        };
        Rests { terms, silent: BTreeMap::new() }
    }

    pub fn standing(&self, hook: &Hook, now_us: i64) -> Standing {
        let Some(silent) = self.silent.get(hook) else { return Standing::Good };
        let view = silent.breaker.view();
        match view.state {
            BreakerState::Closed => Standing::Doubtful,
            BreakerState::Open if view.open_until_us.is_some_and(|until| now_us < until) => {
                Standing::Resting
            }
            BreakerState::Open | BreakerState::HalfOpen => Standing::Due,
        }
    }

    /// An attempt begins. Of a webhook whose rest is over, it is the one that decides.
    pub fn begins(&mut self, hook: &Hook, now_us: i64) {
        if let Some(silent) = self.silent.get_mut(hook) {
            silent.breaker.admit(now_us);
        }
    }

    /// An attempt was not answered. Tells whether the webhook begins to rest with it.
    pub fn silent(&mut self, hook: &Hook, now_us: i64) -> bool {
        if self.silent.len() >= REMEMBERED_MAX && !self.silent.contains_key(hook) {
            self.forget_one();
        }
        let new = Silent { breaker: Breaker::new(self.terms), at_us: now_us };
        let silent = self.silent.entry(hook.clone()).or_insert(new);
        silent.at_us = now_us;
        let change = silent.breaker.record(CallOutcome::Failure, now_us);
        change.is_some_and(|change| {
            change.from == BreakerState::Closed && change.to == BreakerState::Open
        })
    }

    /// An attempt was answered, or the webhook is gone. Tells whether it rested.
    pub fn answered(&mut self, hook: &Hook) -> bool {
        let silent = self.silent.remove(hook);
        silent.is_some_and(|silent| silent.breaker.view().state != BreakerState::Closed)
    }

    /// Forgets those that nothing was sent to for a long time.
    pub fn forget(&mut self, now_us: i64) {
        self.silent.retain(|_, silent| {
            let until = silent.breaker.view().open_until_us.unwrap_or(silent.at_us);
            now_us < until.max(silent.at_us).saturating_add(FORGOTTEN_US)
        });
    }

    /// Those that rest, by account and id.
    pub fn resting(&self) -> impl Iterator<Item = Rest<'_>> {
        self.silent.iter().filter_map(|(hook, silent)| {
            let view = silent.breaker.view();
            (view.state != BreakerState::Closed).then_some(Rest {
                hook,
                silences: view.consecutive_failures,
                until_us: view.open_until_us,
            })
        })
    }

    fn forget_one(&mut self) {
        let oldest = self.silent.iter().min_by_key(|(_, silent)| silent.at_us);
        if let Some(hook) = oldest.map(|(hook, _)| hook.clone()) {
            self.silent.remove(&hook);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn hook(id: usize) -> Hook {
        ("acme".to_owned(), format!("{id:04}"))
    }

    fn rests() -> Rests {
        Rests::new(Schedule::default())
    }

    /// One that began to rest at 0.
    fn resting() -> Rests {
        let mut rests = rests();
        assert!(!rests.silent(&hook(1), 0) && !rests.silent(&hook(1), 0));
        assert_eq!(rests.standing(&hook(1), 0), Standing::Doubtful);
        assert!(rests.silent(&hook(1), 0), "the third in a row");
        rests
    }

    #[test]
    fn a_webhook_rests_after_three_attempts_in_a_row_without_an_answer() {
        let rests = resting();
        assert_eq!(rests.standing(&hook(1), 15 * S - 1), Standing::Resting);
        assert_eq!(rests.standing(&hook(1), 15 * S), Standing::Due);
        assert_eq!(rests.standing(&hook(2), 0), Standing::Good, "no other one does");
        let shown: Vec<Rest<'_>> = rests.resting().collect();
        let hook = hook(1);
        assert_eq!(shown, [Rest { hook: &hook, silences: 3, until_us: Some(15 * S) }]);
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let mut rests = rests();
        for _ in 0..2 {
            assert!(!rests.silent(&hook(1), 0) && !rests.silent(&hook(1), 0));
            assert!(!rests.answered(&hook(1)), "it did not rest");
            assert_eq!(rests.standing(&hook(1), 0), Standing::Good);
        }
    }

    #[test]
    fn each_attempt_that_decides_and_is_not_answered_doubles_the_rest_up_to_five_minutes() {
        let mut rests = resting();
        let mut now = 15 * S;
        for rest_s in [30, 60, 120, 240, 300, 300] {
            assert_eq!(rests.standing(&hook(1), now), Standing::Due);
            rests.begins(&hook(1), now);
            assert_eq!(rests.standing(&hook(1), now + 5 * S), Standing::Due, "it decides");
            now += 5 * S;
            assert!(!rests.silent(&hook(1), now), "it rested before");
            assert_eq!(rests.standing(&hook(1), now + rest_s * S - 1), Standing::Resting);
            now += rest_s * S;
        }
        rests.begins(&hook(1), now);
        assert!(rests.answered(&hook(1)));
        assert_eq!(rests.standing(&hook(1), now), Standing::Good);
    }

    #[test]
    fn what_ends_while_a_webhook_rests_began_before_it() {
        let mut rests = resting();
        assert!(!rests.silent(&hook(1), 4 * S));
        assert_eq!(rests.standing(&hook(1), 15 * S), Standing::Due, "that does not make it longer");
        assert!(rests.answered(&hook(1)), "an answer ends the rest");
        assert_eq!(rests.standing(&hook(1), 5 * S), Standing::Good);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut rests = rests();
        for id in 0..=REMEMBERED_MAX {
            rests.silent(&hook(id), id as i64);
        }
        assert_eq!(rests.silent.len(), REMEMBERED_MAX);
        assert_eq!(rests.standing(&hook(0), 0), Standing::Good, "the oldest one made room");
        rests.forget(FORGOTTEN_US + 1);
        assert_eq!(rests.silent.len(), REMEMBERED_MAX - 1, "1 was at 1 us");
        rests.forget(2 * FORGOTTEN_US);
        assert!(rests.silent.is_empty());
    }
}
