//! Rate limits: a token bucket kept as one number (GCRA, ITU-T I.371 annex A), and what is told of it in
//! headers (draft-ietf-httpapi-ratelimit-headers-11; RFC 9110 10.2.3).
//!
//! The bucket is the time at which it would be full again. Asking costs one emission interval; a
//! request is let through while that keeps the time within one burst of now.

use serde::Serialize;

/// So many requests in so much time, and so many at once. Built in range by [`Quota::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// The name that the headers give it.
    pub name: &'static str,
    /// Microseconds in which one request comes back.
    interval_us: i64,
    /// Requests that a full bucket holds.
    burst: u32,
}

/// Requests that a bucket may hold.
const BURST_MAX: u32 = 1_000_000;
/// The slowest a request comes back: one a day.
const INTERVAL_US_MAX: i64 = 86_400_000_000;

impl Quota {
    /// `count` requests per `per_us` microseconds, `burst` of them at once. Out of range comes into
    /// range: at least one a day, at most a million a second; an interval that is no whole microsecond
    /// is rounded up, so that nobody gets more than was said.
    pub const fn new(name: &'static str, count: u32, per_us: i64, burst: u32) -> Quota {
        let count = if count == 0 { 1 } else { count as i64 };
        let per_us = if per_us < 1 { 1 } else { per_us };
        let interval = per_us / count + if per_us % count == 0 { 0 } else { 1 };
        let interval_us = if interval > INTERVAL_US_MAX { INTERVAL_US_MAX } else { interval };
        let burst = if burst > BURST_MAX { BURST_MAX } else { burst };
        Quota { name, interval_us, burst: if burst == 0 { 1 } else { burst } }
    }

    pub const fn interval_us(&self) -> i64 {
        self.interval_us
    }

    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Microseconds in which an empty bucket becomes full.
    pub const fn full_us(&self) -> i64 {
        self.interval_us * self.burst as i64
    }

    /// `RateLimit-Policy`, section 3: the quota is a full bucket, the window the time that filling it
    /// takes. `"default";q=100;w=1`
    pub fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.burst, seconds(self.full_us()).max(1))
    }
}

/// Whole seconds, rounded up: whoever waits that long has waited long enough.
fn seconds(us: i64) -> u64 {
    us.max(0).unsigned_abs().div_ceil(1_000_000)
}

/// The answer of a limit, and what the headers say. Times are microseconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub allowed: bool,
    pub quota: Quota,
    /// Requests that would be let through at once, after this one.
    pub remaining: u32,
    /// Until the bucket is full.
    pub reset_us: i64,
    /// Until a refused request would be let through; 0 for one that was.
    pub retry_us: i64,
}

impl Decision {
    /// `RateLimit`, section 4: `"default";r=99;t=1`. `t` is the time within which no more than `r`
    /// should be sent: until the bucket is full; of a refused request, until it may come back, so that
    /// `Retry-After` is never earlier (section 6).
    pub fn limit(&self) -> String {
        let t = seconds(if self.allowed { self.reset_us } else { self.retry_us });
        format!("\"{}\";r={};t={t}", self.quota.name, self.remaining)
    }

    /// `Retry-After` in whole seconds, at least 1; of a request that was let through, none.
    pub fn retry_after(&self) -> Option<u64> {
        (!self.allowed).then(|| seconds(self.retry_us).max(1))
    }
}

/// One caller's bucket. Times are microseconds of any one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// When it is full ("theoretical arrival time").
    pub full_at_us: i64,
}

impl Bucket {
    /// Asks for one request at `now_us` and takes it if it is there.
    pub fn take(&mut self, quota: &Quota, now_us: i64) -> Decision {
        let decision = self.decide(quota, now_us, quota.interval_us);
        if decision.allowed {
            self.full_at_us = now_us.saturating_add(decision.reset_us);
        }
        decision
    }

    /// What [`Bucket::take`] would answer; nothing is taken. `remaining` is what there is now.
    pub fn peek(&self, quota: &Quota, now_us: i64) -> Decision {
        let asked = self.decide(quota, now_us, quota.interval_us);
        match asked.allowed {
            true => self.decide(quota, now_us, 0),
            false => asked,
        }
    }

    fn decide(&self, quota: &Quota, now_us: i64, cost_us: i64) -> Decision {
        let full_us = quota.full_us();
        // A clock that was set back must not lock anybody out for longer than a burst.
        let debt_us = self.full_at_us.saturating_sub(now_us).clamp(0, full_us);
        let after_us = debt_us + cost_us;
        if after_us > full_us {
            let retry_us = after_us - full_us;
            return Decision {
                allowed: false,
                quota: *quota,
                remaining: 0,
                reset_us: debt_us,
                retry_us,
            };
        }
        let remaining =
            u32::try_from((full_us - after_us) / quota.interval_us).unwrap_or(quota.burst);
        Decision { allowed: true, quota: *quota, remaining, reset_us: after_us, retry_us: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;
    const Q: Quota = Quota::new("default", 100, S, 100);

    #[test]
    fn a_burst_passes_and_then_only_the_rate_does() {
        let mut b = Bucket::default();
        let passed = |b: &mut Bucket, at| (0..1_000).filter(|_| b.take(&Q, at).allowed).count();
        assert_eq!(passed(&mut b, 10 * S), 100);
        assert_eq!(passed(&mut b, 10 * S + 9_999), 0);
        assert_eq!(passed(&mut b, 10 * S + 10_000), 1);
        assert_eq!(passed(&mut b, 10 * S + 260_000), 25);
        assert_eq!(passed(&mut b, 60 * S), 100, "never more than a burst, however long it waited");
    }

    #[test]
    fn in_any_time_no_more_passes_than_the_burst_and_the_rate_allow() {
        let quota = Quota::new("q", 7, S, 3);
        for step in [1, 999, 50_000, 142_857, 200_000, 3_000_000] {
            let (mut b, mut passed, start) = (Bucket::default(), 0, 5 * S);
            for i in 0..2_000 {
                let now = start + i * step;
                passed += i64::from(b.take(&quota, now).allowed);
                assert!(passed <= 3 + (now - start) / quota.interval_us(), "step {step} i {i}");
            }
        }
    }

    #[test]
    fn whoever_waits_as_long_as_told_gets_through_and_not_a_microsecond_before() {
        let quota = Quota::new("q", 3, 10 * S, 2);
        let mut b = Bucket::default();
        while b.take(&quota, S).allowed {}
        let refused = b.peek(&quota, S);
        assert!(!refused.allowed && refused.remaining == 0);
        assert!(!b.clone().take(&quota, S + refused.retry_us - 1).allowed);
        assert!(b.take(&quota, S + refused.retry_us).allowed);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let mut b = Bucket { full_at_us: 1_000 * S };
        let refused = b.take(&Q, 0);
        assert!(!refused.allowed && refused.retry_us <= Q.full_us());
        b.full_at_us = i64::MAX;
        assert!(b.take(&Q, i64::MIN).retry_us <= Q.full_us());
    }

    #[test]
    fn the_headers_are_as_the_draft_writes_them() {
        let mut b = Bucket::default();
        assert_eq!(Q.policy(), r#""default";q=100;w=1"#);
        let first = b.take(&Q, S);
        assert_eq!((first.limit(), first.retry_after()), (r#""default";r=99;t=1"#.into(), None));
        while b.take(&Q, S).allowed {}
        let refused = b.take(&Q, S);
        assert_eq!(refused.limit(), r#""default";r=0;t=1"#);
        assert_eq!(refused.retry_after(), Some(1));
        let slow = Quota::new("failures", 10, 60 * S, 10);
        assert_eq!(slow.policy(), r#""failures";q=10;w=60"#);
        assert_eq!(Quota::new("key", 1_000, S, 2_000).policy(), r#""key";q=2000;w=2"#);
    }

    #[test]
    fn terms_out_of_range_come_into_range() {
        for quota in [
            Quota::new("q", 0, 0, 0),
            Quota::new("q", u32::MAX, i64::MIN, u32::MAX),
            Quota::new("q", 0, i64::MAX, u32::MAX),
        ] {
            assert!(
                quota.burst() >= 1 && quota.interval_us() >= 1 && quota.full_us() > 0,
                "{quota:?}"
            );
            assert!(Bucket::default().take(&quota, 0).allowed);
        }
        // 300 a second is no whole microsecond: slower, never faster.
        assert_eq!(Quota::new("q", 300, S, 1).interval_us(), 3_334);
    }
}
