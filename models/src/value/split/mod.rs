//! Who and what is on which side: arms of an experiment and folds by customer, and the past and the future
//! by time. Everything is a function of a hash or of a time, so that no row has to be remembered.

pub mod window;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A whole in [`Share`]s: a share is a number of millionths.
pub const MILLION: u32 = 1_000_000;

/// The place of a customer in 0..2^64, evenly spread: the first 8 bytes, big-endian, of SHA-256 over
/// the salt's length (8 bytes, big-endian), the salt and the customer. Other salts give places that have
/// nothing to do with each other.
pub fn place(salt: &str, customer: &str) -> u64 {
    let mut sha = Sha256::new();
    sha.update((salt.len() as u64).to_be_bytes());
    sha.update(salt);
    sha.update(customer);
    let hash: [u8; 32] = sha.finalize().into();
    hash.iter().take(8).fold(0, |place, byte| place << 8 | u64::from(*byte))
}

/// A part of the customers in millionths, 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Share(u32);

/// More than the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} millionths are more than the whole")]
pub struct BadShare(pub u32);

impl TryFrom<u32> for Share {
    type Error = BadShare;

    fn try_from(millionths: u32) -> Result<Share, BadShare> {
        if millionths > MILLION { Err(BadShare(millionths)) } else { Ok(Share(millionths)) }
    }
}

impl From<Share> for u32 {
    fn from(share: Share) -> u32 {
        share.0
    }
}

impl Share {
    pub const NONE: Share = Share(0);
    pub const ALL: Share = Share(MILLION);

    /// The first place that is not within: ⌊share · 2^64⌋, exact; 2^64 of the whole.
    fn bound(self) -> u128 {
        (u128::from(self.0) << 64) / u128::from(MILLION)
    }
}

/// Who answers a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    Champion,
    Challenger,
}

/// An experiment: a share of the customers is answered by the challenger, always the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names the experiment; a new one deals the customers anew.
    pub salt: String,
    pub challenger: Share,
}

impl Experiment {
    /// The arm of a customer. When the share grows from s to t, the t − s between them change from the
    /// champion to the challenger and nobody else moves; when it shrinks, they are the ones who go back.
    pub fn arm(&self, customer: &str) -> Arm {
        match u128::from(place(&self.salt, customer)) < self.challenger.bound() {
            true => Arm::Challenger,
            false => Arm::Champion,
        }
    }
}

/// The fold of a customer, from 0: `⌊place · folds / 2^64⌋`. All rows of a customer are in one fold, and
/// customers who come later move nobody. `folds` of 0 counts as 1.
pub fn fold(seed: u64, customer: &str, folds: u32) -> u32 {
    let place = place(&format!("fold {seed}"), customer);
    ((u128::from(place) * u128::from(folds.max(1))) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customers(n: usize) -> impl Iterator<Item = String> {
        (0..n).map(|i| format!("cust_{i}"))
    }

    fn experiment(salt: &str, millionths: u32) -> Experiment {
        Experiment { salt: salt.into(), challenger: millionths.try_into().unwrap() }
    }

    /// Expected: hashlib.sha256 of Python over the same bytes. A change here deals every customer anew.
    #[test]
    fn places_are_those_of_the_hash_for_ever() {
        assert_eq!(place("exp-1", "cust_123"), 4_384_952_173_490_001_773);
        assert_eq!(place("", ""), 12_634_128_529_936_681_850);
        assert_eq!(place("a", "bc"), 16_828_760_502_949_312_972);
        assert_ne!(place("ab", "c"), 16_828_760_502_949_312_972, "the salt ends somewhere");
        assert_eq!(fold(7, "cust_123", 5), 3);
    }

    #[test]
    fn the_share_of_the_challenger_is_the_one_asked_for() {
        for millionths in [10_000, 100_000, 500_000, 900_000] {
            let e = experiment("exp", millionths);
            let n = 40_000;
            let hit = customers(n).filter(|c| e.arm(c) == Arm::Challenger).count() as f64;
            let p = f64::from(millionths) / 1e6;
            let sigma = (p * (1.0 - p) * n as f64).sqrt();
            assert!((hit - p * n as f64).abs() < 4.0 * sigma, "{millionths}: {hit}");
        }
    }

    #[test]
    fn bounds_are_exact_at_both_ends_and_in_the_middle() {
        assert_eq!(Share::NONE.bound(), 0);
        assert_eq!(Share::ALL.bound(), 1 << 64);
        assert_eq!(Share(500_000).bound(), 1 << 63);
        assert_eq!(Share(1).bound(), 18_446_744_073_709);
        let (none, all) = (experiment("x", 0), experiment("x", MILLION));
        assert!(customers(1_000).all(|c| none.arm(&c) == Arm::Champion));
        assert!(customers(1_000).all(|c| all.arm(&c) == Arm::Challenger));
        assert_eq!(Share::try_from(1_000_001), Err(BadShare(1_000_001)));
        assert!(serde_json::from_str::<Share>("1000001").is_err());
    }

    #[test]
    fn a_larger_share_moves_only_those_it_must() {
        let (small, large) = (experiment("exp", 200_000), experiment("exp", 250_000));
        let mut moved = 0;
        for customer in customers(20_000) {
            match (small.arm(&customer), large.arm(&customer)) {
                (Arm::Champion, Arm::Challenger) => moved += 1,
                (before, after) => assert_eq!(before, after, "{customer}"),
            }
        }
        assert!((880..1_120).contains(&moved), "{moved}");
    }

    #[test]
    fn two_experiments_deal_independently() {
        let (one, two) = (experiment("one", 500_000), experiment("two", 500_000));
        let same = customers(20_000).filter(|c| one.arm(c) == two.arm(c)).count();
        assert!((9_700..10_300).contains(&same), "{same}");
    }

    #[test]
    fn folds_are_even_stable_and_change_with_the_seed() {
        let mut sizes = [0_u32; 5];
        customers(20_000).for_each(|c| sizes[fold(1, &c, 5) as usize] += 1);
        assert!(sizes.iter().all(|s| (3_750..4_250).contains(s)), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<u32>(), 20_000);
        let same = customers(20_000).filter(|c| fold(1, c, 5) == fold(2, c, 5)).count();
        assert!((3_700..4_300).contains(&same), "{same}");
        assert_eq!((fold(1, "a", 0), fold(1, "a", 1)), (0, 0));
    }
}
