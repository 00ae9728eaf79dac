//! The sets of a TC string: purposes and features in a word, vendors in as many as they need.

/// A set of small numbers, 1 to 64: purposes, special features, custom purposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Numbers(u64);

impl Numbers {
    /// Bit n − 1 is the number n.
    pub const fn from_bits(bits: u64) -> Numbers {
        Numbers(bits)
    }

    pub fn contains(self, number: u8) -> bool {
        (1..=64).contains(&number) && self.0 >> (number - 1) & 1 == 1
    }

    pub fn contains_all(self, numbers: &[u8]) -> bool {
        numbers.iter().all(|n| self.contains(*n))
    }

    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=64).filter(move |n| self.contains(*n))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A set of vendor ids, 1 to 65,535: a bit each, up to the highest of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vendors {
    /// Bit n of word w is the vendor 64 w + n + 1; the last word is not 0.
    words: Vec<u64>,
}

impl Vendors {
    pub(super) fn from_words(words: Vec<u64>) -> Vendors {
        let mut vendors = Vendors { words };
        vendors.trim();
        vendors
    }

    pub(super) fn insert_range(&mut self, start: u16, end: u16) {
        let (Some(first), Some(last)) = (start.checked_sub(1), end.checked_sub(1)) else { return };
        let (from, to) = (usize::from(first / 64), usize::from(last / 64));
        if self.words.len() <= to {
            self.words.resize(to + 1, 0);
        }
        for (nth, word) in self.words.iter_mut().enumerate().take(to + 1).skip(from) {
            let low = if nth == from { u64::MAX << (first % 64) } else { u64::MAX };
            let high = if nth == to { u64::MAX >> (63 - last % 64) } else { u64::MAX };
            *word |= low & high;
        }
        self.trim();
    }

    pub fn contains(&self, vendor: u16) -> bool {
        vendor.checked_sub(1).is_some_and(|bit| {
            self.words.get(usize::from(bit / 64)).is_some_and(|w| w >> (bit % 64) & 1 == 1)
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        let last = u16::try_from(self.words.len() * 64).unwrap_or(u16::MAX);
        (1..=last).filter(|v| self.contains(*v))
    }

    /// How many vendors it has.
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_ends_and_nothing_beside_them() {
        for (start, end) in
            [(1, 1), (64, 65), (1, 64), (65, 128), (63, 200), (5, 4), (0, 3), (65_535, 65_535)]
        {
            let mut vendors = Vendors::default();
            vendors.insert_range(start, end);
            let expected: Vec<u16> = if start == 0 { vec![] } else { (start..=end).collect() };
            assert_eq!(vendors.iter().collect::<Vec<u16>>(), expected, "{start} to {end}");
            assert_eq!(vendors.len(), expected.len());
            assert_eq!(vendors.is_empty(), expected.is_empty());
        }
        assert!(!Vendors::from_words(vec![u64::MAX; 2]).contains(0));
    }

    #[test]
    fn numbers_outside_1_to_64_are_in_no_set() {
        let all = Numbers::from_bits(u64::MAX);
        assert!(all.contains(1) && all.contains(64));
        assert!(!all.contains(0) && !all.contains(65) && !all.contains(255));
        assert!(Numbers::from_bits(0b101).iter().eq([1, 3]));
    }
}
