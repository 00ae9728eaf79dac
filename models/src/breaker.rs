//! A circuit breaker as a pure state machine: closed → open after consecutive failures → half-open
//! after a while, one probe at a time → closed or open for twice as long. Throttling delays calls
//! and never trips: the other side works, it only wants less.

use serde::Serialize;

/// When a breaker opens and for how long. Times are microseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerTerms {
    /// Consecutive failures that open it (at least 1).
    pub failures_max: u32,
    /// A call that took longer than this counts as a failure.
    pub latency_max_us: Option<i64>,
    /// How long it stays open the first time.
    pub open_us: i64,
    /// Each failed probe doubles the time open, up to this.
    pub open_us_max: i64,
}

impl Default for BreakerTerms {
    /// Three failures, open for 30 s and never longer.
    fn default() -> Self {
        Self { failures_max: 3, latency_max_us: None, open_us: 30_000_000, open_us_max: 30_000_000 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are refused until its time is over.
    Open,
    /// One probe at a time decides.
    HalfOpen,
}

impl BreakerState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The answer to "may I call?". Whoever got `Pass` or `Probe` owes one [`Breaker::record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Pass,
    /// The one call that decides whether the breaker closes again.
    Probe,
    Refused {
        retry_after_us: i64,
    },
}

/// How an admitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    Success {
        took_us: i64,
    },
    Failure,
    /// The other side asked for less (HTTP 429 and its like).
    Throttled {
        retry_after_us: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeReason {
    Failures,
    Slow,
    /// The time open was over when a caller asked.
    Waited,
    ProbeSucceeded,
    ProbeFailed,
    Reset,
}

/// A change of state, for the view, the metrics and the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub from: BreakerState,
    pub to: BreakerState,
    pub reason: ChangeReason,
}

/// What operators see of a breaker. Times are microseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerView {
    pub state: BreakerState,
    pub consecutive_failures: u32,
    pub since_us: i64,
    /// When an open breaker lets a probe through.
    pub open_until_us: Option<i64>,
    /// Calls are delayed until then because the other side throttled.
    pub throttled_until_us: Option<i64>,
    pub probing: bool,
    pub opened_total: u64,
    pub refused_total: u64,
    pub throttled_total: u64,
    pub last_change: Option<ChangeReason>,
}

#[derive(Clone, Debug)]
pub struct Breaker {
    terms: BreakerTerms,
    view: BreakerView,
    open_us_next: i64,
    /// A probe whose outcome never comes is given up after this long, so that the breaker can't stick.
    probe_until_us: i64,
}

impl Breaker {
    /// Terms out of range are brought into range: at least one failure, at least 1 µs open.
    pub fn new(terms: BreakerTerms) -> Self {
        let open_us = terms.open_us.max(1);
        let terms = BreakerTerms {
            failures_max: terms.failures_max.max(1),
            open_us,
            open_us_max: terms.open_us_max.max(open_us),
            ..terms
        };
        let view = BreakerView {
            state: BreakerState::Closed,
            consecutive_failures: 0,
            since_us: 0,
            open_until_us: None,
            throttled_until_us: None,
            probing: false,
            opened_total: 0,
            refused_total: 0,
            throttled_total: 0,
            last_change: None,
        };
        Self { terms, view, open_us_next: terms.open_us, probe_until_us: 0 }
    }

    /// May a call be made at `now_us`? An open breaker whose time is over turns half-open here; the
    /// view shows it.
    pub fn admit(&mut self, now_us: i64) -> Admission {
        if let Some(until) = self.view.throttled_until_us {
            if now_us < until {
                return self.refuse(until - now_us);
            }
            self.view.throttled_until_us = None;
        }
        match self.view.state {
            BreakerState::Closed => Admission::Pass,
            BreakerState::Open => {
                let until = self.view.open_until_us.unwrap_or(now_us);
                if now_us < until {
                    return self.refuse(until - now_us);
                }
                self.turn(BreakerState::HalfOpen, ChangeReason::Waited, now_us);
                self.probe(now_us)
            }
            BreakerState::HalfOpen if self.view.probing && now_us < self.probe_until_us => {
                self.refuse(self.probe_until_us - now_us)
            }
            BreakerState::HalfOpen => self.probe(now_us),
        }
    }

    /// Books how an admitted call ended. Outcomes that arrive while the breaker is open belong to
    /// calls from before and change nothing.
    pub fn record(&mut self, outcome: CallOutcome, now_us: i64) -> Option<Change> {
        let slow = |took_us| self.terms.latency_max_us.is_some_and(|max| took_us > max);
        match outcome {
            CallOutcome::Throttled { retry_after_us } => {
                self.view.throttled_total += 1;
                self.view.probing = false;
                let until = now_us.saturating_add(retry_after_us.max(0));
                self.view.throttled_until_us = self.view.throttled_until_us.max(Some(until));
                None
            }
            CallOutcome::Success { took_us } if slow(took_us) => {
                self.failed(ChangeReason::Slow, now_us)
            }
            CallOutcome::Failure => self.failed(ChangeReason::Failures, now_us),
            CallOutcome::Success { .. } => self.succeeded(now_us),
        }
    }

    /// An operator closes it by hand: failures, throttling and the doubled time are forgotten.
    pub fn reset(&mut self, now_us: i64) -> Option<Change> {
        self.view.throttled_until_us = None;
        self.view.consecutive_failures = 0;
        self.open_us_next = self.terms.open_us;
        (self.view.state != BreakerState::Closed)
            .then(|| self.turn(BreakerState::Closed, ChangeReason::Reset, now_us))
    }

    pub fn view(&self) -> BreakerView {
        self.view
    }

    pub fn terms(&self) -> BreakerTerms {
        self.terms
    }

    fn succeeded(&mut self, now_us: i64) -> Option<Change> {
        if self.view.state == BreakerState::Open {
            return None;
        }
        self.view.consecutive_failures = 0;
        (self.view.state == BreakerState::HalfOpen).then(|| {
            self.open_us_next = self.terms.open_us;
            self.turn(BreakerState::Closed, ChangeReason::ProbeSucceeded, now_us)
        })
    }

    fn failed(&mut self, reason: ChangeReason, now_us: i64) -> Option<Change> {
        match self.view.state {
            BreakerState::Open => None,
            BreakerState::HalfOpen => {
                self.view.consecutive_failures = self.view.consecutive_failures.saturating_add(1);
                Some(self.open(ChangeReason::ProbeFailed, now_us))
            }
            BreakerState::Closed => {
                self.view.consecutive_failures = self.view.consecutive_failures.saturating_add(1);
                (self.view.consecutive_failures >= self.terms.failures_max)
                    .then(|| self.open(reason, now_us))
            }
        }
    }

    fn open(&mut self, reason: ChangeReason, now_us: i64) -> Change {
        let change = self.turn(BreakerState::Open, reason, now_us);
        self.view.opened_total += 1;
        self.view.open_until_us = Some(now_us.saturating_add(self.open_us_next));
        self.open_us_next = self.open_us_next.saturating_mul(2).min(self.terms.open_us_max);
        change
    }

    fn turn(&mut self, to: BreakerState, reason: ChangeReason, now_us: i64) -> Change {
        let change = Change { from: self.view.state, to, reason };
        self.view.state = to;
        self.view.since_us = now_us;
        self.view.open_until_us = None;
        self.view.probing = false;
        self.view.last_change = Some(reason);
        change
    }

    fn probe(&mut self, now_us: i64) -> Admission {
        self.view.probing = true;
        self.probe_until_us = now_us.saturating_add(self.terms.open_us);
        Admission::Probe
    }

    fn refuse(&mut self, retry_after_us: i64) -> Admission {
        self.view.refused_total += 1;
        Admission::Refused { retry_after_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BreakerState::{Closed, HalfOpen, Open};

    const OK: CallOutcome = CallOutcome::Success { took_us: 10 };

    fn breaker() -> Breaker {
        Breaker::new(BreakerTerms {
            failures_max: 3,
            latency_max_us: Some(1_000),
            open_us: 100,
            open_us_max: 350,
        })
    }

    fn opened() -> Breaker {
        let mut b = breaker();
        for t in 0..3 {
            assert_eq!(b.admit(t), Admission::Pass);
            b.record(CallOutcome::Failure, t);
        }
        assert_eq!(b.view().state, Open);
        b
    }

    #[test]
    fn three_consecutive_failures_open_it_and_calls_are_refused_with_the_time_left() {
        let mut b = opened();
        assert_eq!(b.view().open_until_us, Some(102));
        assert_eq!(b.admit(52), Admission::Refused { retry_after_us: 50 });
        assert_eq!(b.view().refused_total, 1);
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let mut b = breaker();
        for outcome in [
            CallOutcome::Failure,
            CallOutcome::Failure,
            OK,
            CallOutcome::Failure,
            CallOutcome::Failure,
        ] {
            assert_eq!(b.record(outcome, 0), None);
        }
        assert_eq!(b.view().state, Closed);
        assert_eq!(b.view().consecutive_failures, 2);
    }

    #[test]
    fn a_slow_success_counts_as_a_failure() {
        let mut b = breaker();
        b.record(CallOutcome::Success { took_us: 1_001 }, 0);
        b.record(CallOutcome::Success { took_us: 1_001 }, 0);
        let change = b.record(CallOutcome::Success { took_us: 1_001 }, 0);
        assert_eq!(change, Some(Change { from: Closed, to: Open, reason: ChangeReason::Slow }));
    }

    #[test]
    fn half_open_lets_one_probe_through_at_a_time() {
        let mut b = opened();
        assert_eq!(b.admit(102), Admission::Probe);
        assert!(matches!(b.admit(103), Admission::Refused { .. }));
        let change = b.record(OK, 104);
        assert_eq!(
            change,
            Some(Change { from: HalfOpen, to: Closed, reason: ChangeReason::ProbeSucceeded })
        );
        assert_eq!(b.admit(105), Admission::Pass);
    }

    #[test]
    fn each_failed_probe_doubles_the_time_open_up_to_the_most() {
        let mut b = opened();
        let mut now = 102;
        for open_us in [200, 350, 350] {
            assert_eq!(b.admit(now), Admission::Probe);
            let change = b.record(CallOutcome::Failure, now);
            assert_eq!(change.map(|c| c.reason), Some(ChangeReason::ProbeFailed));
            assert_eq!(b.view().open_until_us, Some(now + open_us));
            now += open_us;
        }
        assert_eq!(b.admit(now), Admission::Probe);
        b.record(OK, now);
        for _ in 0..3 {
            b.record(CallOutcome::Failure, now);
        }
        assert_eq!(b.view().open_until_us, Some(now + 100), "a success forgets the doubling");
    }

    #[test]
    fn a_probe_whose_outcome_never_comes_does_not_block_for_ever() {
        let mut b = opened();
        assert_eq!(b.admit(102), Admission::Probe);
        assert_eq!(b.admit(201), Admission::Refused { retry_after_us: 1 });
        assert_eq!(b.admit(202), Admission::Probe);
    }

    #[test]
    fn throttling_delays_and_never_trips() {
        let mut b = breaker();
        for t in 0..10 {
            assert_eq!(b.record(CallOutcome::Throttled { retry_after_us: 50 }, t), None);
        }
        assert_eq!(b.view().state, Closed);
        assert_eq!(b.admit(10), Admission::Refused { retry_after_us: 49 });
        assert_eq!(b.admit(59), Admission::Pass);
        assert_eq!(b.view().throttled_until_us, None);
    }

    #[test]
    fn a_throttled_probe_is_tried_again_later() {
        let mut b = opened();
        assert_eq!(b.admit(102), Admission::Probe);
        b.record(CallOutcome::Throttled { retry_after_us: 10 }, 103);
        assert_eq!(b.view().state, HalfOpen);
        assert_eq!(b.admit(113), Admission::Probe);
    }

    #[test]
    fn outcomes_of_calls_from_before_it_opened_change_nothing() {
        let mut b = opened();
        assert_eq!(b.record(OK, 5), None);
        assert_eq!(b.record(CallOutcome::Failure, 5), None);
        assert_eq!(b.view().open_until_us, Some(102));
    }

    #[test]
    fn a_reset_closes_it_and_forgets() {
        let mut b = opened();
        let change = b.reset(50);
        assert_eq!(change, Some(Change { from: Open, to: Closed, reason: ChangeReason::Reset }));
        assert_eq!(b.reset(51), None);
        assert_eq!(b.admit(51), Admission::Pass);
        assert_eq!(b.view().consecutive_failures, 0);
    }

    #[test]
    fn terms_out_of_range_are_brought_into_range() {
        let b = Breaker::new(BreakerTerms {
            failures_max: 0,
            latency_max_us: None,
            open_us: -5,
            open_us_max: -9,
        });
        let terms = b.terms();
        assert_eq!((terms.failures_max, terms.open_us, terms.open_us_max), (1, 1, 1));
    }
}
