//! Rate limits in the memory of this process: by identity, by address for whoever said not who it is,
//! and of failed authentications by address. Decided by governor, remembered in [`Slots`].

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;

use super::slots::Slots;
use crate::models::access::{Bucket, Decision, Identity, LimitClass, Quota};

const S: i64 = 1_000_000;
/// How often [`Limiter::sweep`] wants to be called.
pub const SWEEP_US: i64 = 60 * S;

/// How much is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterTerms {
    /// For each key and each user.
    pub identity: Quota,
    /// For each address of whoever said not who it is.
    pub address: Quota,
    /// Failed authentications of each address.
    pub failures: Quota,
    /// Callers remembered of each kind; those beyond share a bucket.
    pub callers_max: usize,
}

impl Default for LimiterTerms {
    fn default() -> LimiterTerms {
        LimiterTerms {
            identity: Quota::new("identity", 1_000, S, 2_000),
            address: Quota::new("address", 100, S, 200),
            failures: Quota::new("failures", 10, 60 * S, 10),
            callers_max: 65_536,
        }
    }
}

type Keyed<K, C> = RateLimiter<K, Slots<K>, C, StateInformationMiddleware>;

/// The limits of this process.
pub struct Limiter<C: Clock = DefaultClock> {
    terms: LimiterTerms,
    identities: Keyed<Arc<str>, C>,
    addresses: Keyed<IpAddr, C>,
    /// Asked before and booked after an authentication, which governor cannot do: buckets of its own.
    failures: Slots<IpAddr>,
}

impl Limiter<DefaultClock> {
    pub fn new(terms: LimiterTerms) -> Limiter<DefaultClock> {
        Limiter::with_clock(terms, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limiter<C> {
    pub fn with_clock(terms: LimiterTerms, clock: C) -> Limiter<C> {
        let max = terms.callers_max;
        Limiter {
            terms,
            identities: keyed(&terms.identity, max, clock.clone()),
            addresses: keyed(&terms.address, max, clock),
            failures: Slots::new(max),
        }
    }

    /// Takes one request of a caller. `None`: it is not limited.
    pub fn take(&self, identity: &Identity, address: IpAddr) -> Option<Decision> {
        match identity.class {
            LimitClass::Unlimited => None,
            LimitClass::Identity => {
                Some(ask(&self.identities, &identity.name, self.terms.identity))
            }
            LimitClass::Address => Some(self.take_address(address)),
        }
    }

    /// Takes one request of whoever said not who it is.
    pub fn take_address(&self, address: IpAddr) -> Decision {
        ask(&self.addresses, &network(address), self.terms.address)
    }

    /// Has this address failed too often to be looked at? Asked before a proof is checked, so that
    /// guessing costs this process nothing. `now_us`: microseconds, monotonic.
    pub fn barred(&self, address: IpAddr, now_us: i64) -> Option<Decision> {
        let bucket = bucket(self.failures.get(&network(address))?);
        let decision = bucket.peek(&self.terms.failures, now_us);
        (!decision.allowed).then_some(decision)
    }

    /// Books a failed authentication. The answer tells whether there may be another.
    pub fn failed(&self, address: IpAddr, now_us: i64) -> Decision {
        let take = |old: Option<u64>| {
            let mut bucket = old.map(bucket).unwrap_or_default();
            let decision = bucket.take(&self.terms.failures, now_us);
            Ok::<_, std::convert::Infallible>((decision, bucket.full_at_us.max(0).unsigned_abs()))
        };
        let Ok(decision) = self.failures.update(&network(address), take);
        decision
    }

    /// Forgets callers whose buckets are full again. To be called about every [`SWEEP_US`].
    pub fn sweep(&self, now_us: i64) {
        self.identities.retain_recent();
        self.addresses.retain_recent();
        self.failures.retain(now_us.max(0).unsigned_abs());
    }

    /// Callers remembered: identities, addresses, addresses that failed.
    pub fn remembered(&self) -> [usize; 3] {
        [self.identities.len(), self.addresses.len(), self.failures.count()]
    }

    pub fn terms(&self) -> &LimiterTerms {
        &self.terms
    }
}

/// The name under which an address is limited: one of IPv4, or the /64 that one customer has.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

fn bucket(full_at_us: u64) -> Bucket {
    Bucket { full_at_us: i64::try_from(full_at_us).unwrap_or(i64::MAX) }
}

fn keyed<K, C>(quota: &Quota, callers_max: usize, clock: C) -> Keyed<K, C>
where
    K: std::hash::Hash + Eq + Clone,
    C: Clock,
{
    let interval = Duration::from_micros(quota.interval_us().unsigned_abs().max(1));
    let burst = std::num::NonZeroU32::new(quota.burst()).unwrap_or(std::num::NonZeroU32::MIN);
    // An interval of no time at all cannot be; it was brought above that.
    let period = governor::Quota::with_period(interval);
    let period = period.unwrap_or(governor::Quota::per_second(std::num::NonZeroU32::MIN));
    RateLimiter::new(period.allow_burst(burst), Slots::new(callers_max), clock)
}

fn ask<K, C>(limiter: &Keyed<K, C>, key: &K, quota: Quota) -> Decision
where
    K: std::hash::Hash + Eq + Clone,
    C: Clock,
{
    match limiter.check_key(key) {
        Ok(state) => {
            let remaining = state.remaining_burst_capacity().min(quota.burst());
            let taken = i64::from(quota.burst() - remaining);
            let reset_us = taken * quota.interval_us();
            Decision { allowed: true, quota, remaining, reset_us, retry_us: 0 }
        }
        Err(until) => {
            let wait = until.wait_time_from(limiter.clock().now());
            let retry_us = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX).max(1);
            Decision { allowed: false, quota, remaining: 0, reset_us: quota.full_us(), retry_us }
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::models::access::{Role, Scopes};

    fn limiter(terms: LimiterTerms) -> (Limiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limiter::with_clock(terms, clock.clone()), clock)
    }

    fn user(name: &str) -> Identity {
        Identity::of_user(name, Role::Viewer, Scopes::all())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn passed(limiter: &Limiter<FakeRelativeClock>, who: &Identity) -> usize {
        (0..5_000).filter(|_| limiter.take(who, ip("192.0.2.1")).unwrap().allowed).count()
    }

    #[test]
    fn each_identity_has_its_own_quota_and_nobody_pays_for_another() {
        let (limiter, clock) = limiter(LimiterTerms::default());
        assert_eq!(passed(&limiter, &user("ann")), 2_000);
        assert_eq!(passed(&limiter, &user("bob")), 2_000);
        clock.advance(Duration::from_millis(500));
        assert_eq!(passed(&limiter, &user("ann")), 500);
        assert_eq!(limiter.take(&Identity::open(), ip("127.0.0.1")), None);
        let anonymous = Identity { class: LimitClass::Address, ..user("x") };
        assert_eq!(passed(&limiter, &anonymous), 200);
    }

    #[test]
    fn it_decides_like_the_pure_bucket_and_says_the_same() {
        let quota = Quota::new("identity", 7, S, 5);
        let (limiter, clock) = limiter(LimiterTerms { identity: quota, ..LimiterTerms::default() });
        let (mut bucket, mut now, who) = (Bucket::default(), 0, user("ann"));
        for i in 0..2_000_u64 {
            let step = i64::from(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) as u32 % 250_000);
            clock.advance(Duration::from_micros(step.unsigned_abs()));
            now += step;
            let ours = limiter.take(&who, ip("192.0.2.1")).unwrap();
            let pure = bucket.take(&quota, now);
            assert_eq!((ours.allowed, ours.remaining), (pure.allowed, pure.remaining), "step {i}");
            assert_eq!(ours.retry_us, pure.retry_us, "step {i}");
            // Governor tells whole requests only.
            assert!((ours.reset_us - pure.reset_us).abs() <= quota.interval_us(), "step {i}");
        }
    }

    #[test]
    fn a_network_is_one_caller_however_it_is_written() {
        let (limiter, _) = limiter(LimiterTerms::default());
        let allowed = |at: &str| limiter.take_address(ip(at)).allowed;
        assert_eq!((0..300).filter(|i| allowed(&format!("2001:db8:0:1::{i:x}"))).count(), 200);
        assert!(allowed("2001:db8:0:2::1"));
        assert_eq!((0..200).filter(|_| allowed("::ffff:192.0.2.1")).count(), 200);
        assert!(!allowed("192.0.2.1"), "the same address, mapped");
        assert!(allowed("192.0.2.2"));
    }

    #[test]
    fn ten_failures_in_a_minute_bar_an_address_and_no_other_and_not_for_ever() {
        let (limiter, _) = limiter(LimiterTerms::default());
        let (guesser, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let now = 1_000 * S;
        for i in 0..10 {
            assert_eq!(limiter.barred(guesser, now), None, "{i}");
            assert!(limiter.failed(guesser, now).allowed);
        }
        let barred = limiter.barred(guesser, now).unwrap();
        assert_eq!(barred.retry_after(), Some(6));
        assert_eq!(barred.quota.policy(), r#""failures";q=10;w=60"#);
        assert_eq!(limiter.barred(other, now), None);
        assert!(limiter.barred(guesser, now + 6 * S - 1).is_some());
        assert_eq!(limiter.barred(guesser, now + 6 * S), None);
        assert!(!limiter.failed(guesser, now).allowed, "who goes on guessing is not let in sooner");
        assert_eq!(limiter.barred(guesser, now + 6 * S), None);
    }

    #[test]
    fn a_flood_of_invented_addresses_is_bounded_throttles_itself_and_is_forgotten() {
        let terms = LimiterTerms { callers_max: 1_600, ..LimiterTerms::default() };
        let (limiter, clock) = limiter(terms);
        let early = ip("192.0.2.1");
        assert!(limiter.take_address(early).allowed && limiter.failed(early, 0).allowed);
        let mut let_through = 0;
        for i in 0..100_000_u32 {
            let address = IpAddr::V4((0x0b00_0000 + i).into());
            let_through += usize::from(limiter.take_address(address).allowed);
            limiter.failed(address, 0);
        }
        // 1,600 of their own, and 16 shared buckets of 200.
        assert!(let_through <= 1_600 + 16 * 200, "{let_through}");
        let [_, addresses, failures] = limiter.remembered();
        assert!(addresses <= 1_600 && failures <= 1_600, "{addresses} {failures}");
        assert_eq!(
            limiter.take_address(early).remaining,
            198,
            "who was there before is not touched"
        );
        assert!(limiter.barred(ip("10.9.9.9"), 0).is_some(), "whoever comes now shares the bar");
        clock.advance(Duration::from_secs(120));
        limiter.sweep(120 * S);
        assert_eq!(limiter.remembered(), [0, 0, 0]);
        assert!(limiter.take_address(ip("10.9.9.9")).allowed);
        assert_eq!(limiter.barred(ip("10.9.9.9"), 120 * S), None);
    }

    #[test]
    fn a_sweep_forgets_nobody_who_still_owes() {
        let (limiter, clock) = limiter(LimiterTerms::default());
        let ann = user("ann");
        assert_eq!(passed(&limiter, &ann), 2_000);
        clock.advance(Duration::from_secs(1));
        limiter.sweep(S);
        assert_eq!(passed(&limiter, &ann), 1_000);
    }
}
