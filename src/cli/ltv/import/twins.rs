//! What tells purchases of one file apart that say the same: two of one customer, on one day, of one amount.
//!
//! A purchase's id is made of what it says and of how many before it say just that. So a file that has grown,
//! that was mended, or whose lines are in another order tells of the same purchases again, and a file in which
//! somebody bought the same thing twice on one day tells of two.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::models::value::log::purchase::Purchase;

/// Marks, by the first bits of what a purchase says: 32 MiB of them.
const MARK_BITS: u32 = 28;

/// What a purchase says, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Said(u128);

impl Said {
    fn of(purchase: &Purchase<'_>) -> Said {
        let mut sha = Sha256::new();
        sha.update((purchase.customer.len() as u64).to_be_bytes());
        sha.update(purchase.customer.as_bytes());
        sha.update(purchase.day.number().to_be_bytes());
        sha.update(purchase.amount.to_be_bytes());
        sha.update(purchase.currency.unwrap_or_default());
        let digest: [u8; 32] = sha.finalize().into();
        Said(digest.iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte)))
    }

    fn mark(self) -> u32 {
        (self.0 >> (128 - MARK_BITS)) as u32
    }
}

/// The first reading: marks what may be there twice.
#[derive(Debug)]
pub struct Marks {
    marks: Box<[u64]>,
    twice: HashSet<u32>,
}

impl Marks {
    pub fn new() -> Marks {
        Marks { marks: vec![0; 1 << (MARK_BITS - 6)].into_boxed_slice(), twice: HashSet::new() }
    }

    pub fn see(&mut self, purchase: &Purchase<'_>) {
        let mark = Said::of(purchase).mark();
        let bit = 1_u64 << (mark % 64);
        let Some(word) = self.marks.get_mut((mark / 64) as usize) else { return };
        if *word & bit != 0 {
            self.twice.insert(mark);
        }
        *word |= bit;
    }

    /// For the second reading. Holds what shares its mark with something else, and nothing of the others.
    pub fn twins(self) -> Twins {
        Twins { twice: self.twice, seen: HashMap::new() }
    }
}

/// The second reading: numbers what says the same.
#[derive(Debug)]
pub struct Twins {
    twice: HashSet<u32>,
    seen: HashMap<Said, u32>,
}

impl Twins {
    /// The id of the next purchase: 36 letters and digits.
    pub fn id(&mut self, purchase: &Purchase<'_>) -> String {
        let said = Said::of(purchase);
        let nth = match self.twice.contains(&said.mark()) {
            false => 0,
            true => {
                let seen = self.seen.entry(said).or_default();
                std::mem::replace(seen, seen.saturating_add(1))
            }
        };
        let mut id = String::with_capacity(48);
        // Nothing can go wrong in writing to a string.
        let _ = write!(id, "f-{:032x}", said.0);
        if nth > 0 {
            let _ = write!(id, "-{nth}");
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::value::log::day::Day;

    fn bought(customer: &str, day: i32, amount: i64) -> Purchase<'_> {
        let day = Day::new(day).expect("a day");
        Purchase { customer, day, amount, currency: None }
    }

    fn ids(all: &[Purchase<'_>]) -> Vec<String> {
        let mut marks = Marks::new();
        all.iter().for_each(|of| marks.see(of));
        let mut twins = marks.twins();
        all.iter().map(|of| twins.id(of)).collect()
    }

    #[test]
    fn what_says_the_same_is_told_apart_by_its_number_wherever_it_stands() {
        let (a, b) = (bought("a", 10_000, 5), bought("b", 10_000, 5));
        let first = ids(&[a, b, a]);
        assert_ne!(first[0], first[2]);
        assert_eq!(first[2], format!("{}-1", first[0]));
        assert_eq!(ids(&[b, a, a]), [&first[1], &first[0], &first[2]].map(Clone::clone));
        let grown = ids(&[a, b, a, bought("c", 10_000, 5)]);
        assert_eq!(grown[..3], first[..]);
    }

    #[test]
    fn each_part_of_a_purchase_counts() {
        let usd = Purchase { currency: Some(*b"USD"), ..bought("a", 10_000, 5) };
        let all = [bought("a", 10_000, 5), bought("a", 10_001, 5), bought("a", 10_000, 6), usd];
        let mut ids = ids(&all);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 4);
        assert!(ids.iter().all(|id| id.len() <= 128));
    }
}
