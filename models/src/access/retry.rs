//! When a webhook that was not taken is tried again, and when it is given up.

/// The shortest pause, in microseconds.
pub const DELAY_MIN_US: i64 = 5_000_000;
/// The longest pause.
pub const DELAY_MAX_US: i64 = 3_600_000_000;
/// After that long since the first attempt a delivery is dead: three days, so that a receiver that
/// breaks on a Friday evening is heard on Monday.
pub const GIVE_UP_US: i64 = 3 * 24 * 3_600_000_000;

/// How long pauses are, and when it is over; all in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub delay_min_us: i64,
    pub delay_max_us: i64,
    pub give_up_us: i64,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { delay_min_us: DELAY_MIN_US, delay_max_us: DELAY_MAX_US, give_up_us: GIVE_UP_US }
    }
}

/// [`Schedule::next_attempt`] of the usual schedule.
pub fn next_attempt(failed: u32, waited_us: i64, entropy: u64) -> Option<i64> {
    Schedule::default().next_attempt(failed, waited_us, entropy)
}

impl Schedule {
    /// The pause before the next attempt, in microseconds, after `failed` attempts (1 or more) of
    /// which the first was `waited_us` ago. `None`: dead.
    ///
    /// Exponential with full jitter over a floor: uniform between the shortest pause and
    /// `min(longest, shortest · 2^failed)`, so that a thousand deliveries that failed together do not
    /// come back together (Brooker, "Exponential Backoff And Jitter", 2015). The last attempt is made
    /// at the very end. `entropy` is random.
    pub fn next_attempt(self, failed: u32, waited_us: i64, entropy: u64) -> Option<i64> {
        let left = self.give_up_us.saturating_sub(waited_us.max(0));
        if left <= 0 {
            return None;
        }
        let ceiling = match 1_i64.checked_shl(failed.clamp(1, 62)) {
            Some(factor) => self.delay_min_us.saturating_mul(factor).min(self.delay_max_us),
            None => self.delay_max_us,
        };
        let span = u128::from(ceiling.abs_diff(self.delay_min_us)) + 1;
        // A multiplication spreads the entropy evenly (Lemire 2019, without the rejection: the error is
        // below 2^-31).
        let jitter = (u128::from(entropy) * span) >> 64;
        let delay = self.delay_min_us.saturating_add(i64::try_from(jitter).unwrap_or(0));
        Some(delay.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn the_pause_grows_from_seconds_to_an_hour_and_stays_within_its_bounds() {
        for (failed, ceiling) in
            [(1, 10), (2, 20), (3, 40), (9, 2_560), (10, 3_600), (u32::MAX, 3_600)]
        {
            assert_eq!(next_attempt(failed, 0, 0), Some(5 * S), "{failed}");
            assert_eq!(next_attempt(failed, 0, u64::MAX), Some(ceiling * S), "{failed}");
        }
        assert_eq!(next_attempt(0, 0, u64::MAX), next_attempt(1, 0, u64::MAX));
    }

    #[test]
    fn the_jitter_is_spread_over_the_whole_span() {
        let mut quarters = [0; 4];
        for i in 0..4_000_u64 {
            let delay = next_attempt(10, 0, i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
            quarters[((delay - 5 * S) * 4 / (3_595 * S + 1)) as usize] += 1;
        }
        assert!(quarters.iter().all(|n| (950..=1_050).contains(n)), "{quarters:?}");
    }

    #[test]
    fn the_last_attempt_is_at_three_days_and_then_it_is_dead() {
        assert_eq!(next_attempt(90, GIVE_UP_US - S, 7), Some(S));
        assert_eq!(next_attempt(90, GIVE_UP_US, 7), None);
        assert_eq!(next_attempt(1, i64::MAX, 7), None);
        let (mut waited, mut attempts) = (0, 1);
        while let Some(delay) = next_attempt(attempts, waited, u64::MAX) {
            waited += delay;
            attempts += 1;
        }
        assert_eq!(waited, GIVE_UP_US);
        assert!((75..=90).contains(&attempts), "{attempts}");
    }
}
