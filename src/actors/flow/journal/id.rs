//! Ids of decisions and of bids' holds.

/// An id that sorts by time: milliseconds in its upper 48 bits, chance in the others. What is written next to
/// each other then stands next to each other in an index, where ids of chance alone touch a page each.
pub fn in_time(at_us: i64, random: u128) -> u128 {
    let ms = u128::from(u64::try_from(at_us.div_euclid(1_000)).unwrap_or(0)) & ((1 << 48) - 1);
    (ms << 80) | (random & ((1 << 80) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_their_time_and_differ_within_it() {
        let at = |at_us, random| in_time(at_us, random);
        assert!(at(1_790_000_000_000_000, u128::MAX) < at(1_790_000_000_001_000, 0));
        assert_ne!(at(7_000, 1), at(7_000, 2));
        assert!(at(i64::MAX, 0) > at(1_790_000_000_000_000, 0));
        assert_eq!(at(-1, 5), 5);
    }
}
