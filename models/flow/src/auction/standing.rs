//! For how long a bid stands.

/// Money is held this much longer than the exchange is told, so that a win at the very end is booked within its hold.
pub const GRACE_US: i64 = 5_000_000;
/// Seconds that are promised at most, whatever an exchange asks for.
pub const SECONDS_MAX: u32 = 3_600;

const SECOND_US: i64 = 1_000_000;

/// Seconds between auction and impression that a bid stands, and is said to (`exp`): what the exchange asks for, at
/// least `own_us`, and no more than a hold of `longest_us` and its grace hold for.
pub fn seconds(asked: Option<u32>, own_us: i64, longest_us: i64) -> u32 {
    let whole = |us: i64| u32::try_from(us.max(0) / SECOND_US).unwrap_or(SECONDS_MAX);
    let own = whole(own_us.saturating_add(SECOND_US - 1));
    let held = whole(longest_us.saturating_sub(GRACE_US)).min(SECONDS_MAX);
    asked.unwrap_or(0).max(own).min(held).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bid_stands_for_what_is_asked_and_no_longer_than_its_money_is_held() {
        const S: i64 = SECOND_US;
        for (asked, own_us, longest_us, stands) in [
            (None, 55 * S, 60 * S, 55),
            (Some(10), 55 * S, 60 * S, 55),
            (Some(300), 55 * S, 60 * S, 55),
            (Some(300), 55 * S, 905 * S, 300),
            (Some(300), 900 * S, 905 * S, 900),
            (Some(90_000), 55 * S, 86_400 * S, 3_600),
            (None, S / 2, 60 * S, 1),
            (None, 4 * S + 1, 60 * S, 5),
            (None, 60 * S, 1, 1),
            (Some(u32::MAX), i64::MAX, i64::MAX, 3_600),
            (None, i64::MIN, i64::MIN, 1),
        ] {
            assert_eq!(seconds(asked, own_us, longest_us), stands, "{asked:?} {own_us}");
            let held = i64::from(stands) * S + GRACE_US;
            assert!(held <= longest_us || longest_us < GRACE_US + S, "the money is there");
        }
    }
}
