//! Of which refusals the records are kept.

use crate::frequency::key::mix;

/// Whether something is in a sample of `millionths`: a function of its key alone, so that every node keeps
/// the same ones.
pub fn sampled(key: u64, millionths: u32) -> bool {
    let bound = u128::from(millionths.min(1_000_000)) << 64;
    u128::from(mix(key)) * 1_000_000 < bound
}
