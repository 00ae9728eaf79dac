//! Maps by numbers that are chance or a keyed hash already: hashing them once more buys nothing.

use std::hash::{BuildHasherDefault, Hasher};

/// For keys of `u128` that nobody outside can choose.
pub type Prehashed = BuildHasherDefault<Folded>;

#[derive(Default)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        // Whatever half the chance is in, it reaches the bits that tables look at.
        let spread = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        spread ^ (spread >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(23) ^ word;
    }

    fn write_u128(&mut self, key: u128) {
        self.write_u64(key as u64);
        self.write_u64((key >> 64) as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn keys_that_differ_in_one_half_or_another_are_spread() {
        let hash = |key: u128| Prehashed::default().hash_one(key);
        for shift in [0, 40, 64, 100] {
            let tops: HashSet<u64> = (0..4_096_u128).map(|n| hash(n << shift) >> 52).collect();
            assert!(tops.len() > 2_000, "{shift}: {}", tops.len());
            let lows: HashSet<u64> = (0..4_096_u128).map(|n| hash(n << shift) & 4_095).collect();
            assert!(lows.len() > 100, "{shift}: {}", lows.len());
        }
    }
}
