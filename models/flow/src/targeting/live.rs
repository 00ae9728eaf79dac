//! The words of sets that are looked at.
//!
//! Of a hundred thousand campaigns a request is for a thousand, and those stand together: see
//! [`super::index::Index::after`]. What its country leaves is some words of the sets; only those are laid over
//! each other from then on, side by side and without gaps.

use super::bits::{self, Posting};

/// See the module's page. Sets that are laid over each other have a word for each of these, in their order.
#[derive(Debug, Default)]
pub struct Live {
    /// Ascending.
    words: Vec<u32>,
    /// They are the first ones, without a gap.
    dense: bool,
}

impl Live {
    /// All of `n` words.
    pub fn all(&mut self, n: usize) {
        self.words.clear();
        self.words.extend(0..u32::try_from(n).unwrap_or(u32::MAX));
        self.dense = true;
    }

    /// These ones; they ascend.
    pub fn only(&mut self, words: &[u32]) {
        self.words.clear();
        self.words.extend_from_slice(words);
        self.is_dense();
    }

    fn is_dense(&mut self) {
        self.dense = self.words.last().is_none_or(|last| *last as usize + 1 == self.words.len());
    }

    pub fn len(&self) -> usize {
        self.words.len()
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub fn word(&self, at: usize) -> Option<u32> {
        self.words.get(at).copied()
    }

    /// Leaves out words in which there is nothing any more, if they are many.
    pub fn shrink(&mut self, set: &mut Vec<u64>) {
        let left = set.iter().filter(|word| **word != 0).count();
        if left * 2 > set.len() {
            return;
        }
        let mut at = 0;
        self.words.retain(|_| {
            let some = set.get(at).is_some_and(|word| *word != 0);
            at += 1;
            some
        });
        set.retain(|word| *word != 0);
        self.is_dense();
    }

    /// Each word of `of`, whose words are all there.
    fn of<'a>(&'a self, of: &'a [u64]) -> impl Iterator<Item = u64> + 'a {
        self.words.iter().map(|word| of.get(*word as usize).copied().unwrap_or(0))
    }

    /// Makes a set what another one has of these words.
    pub fn copy(&self, of: &[u64], to: &mut Vec<u64>) {
        to.clear();
        match of.get(..self.words.len()).filter(|_| self.dense) {
            Some(of) => to.extend_from_slice(of),
            None => to.extend(self.of(of)),
        }
    }

    /// Makes it a set of nothing.
    pub fn clear(&self, set: &mut Vec<u64>) {
        set.clear();
        set.resize(self.words.len(), 0);
    }

    pub fn add_all(&self, of: &[u64], to: &mut [u64]) {
        to.iter_mut().zip(self.of(of)).for_each(|(word, of)| *word |= of);
    }

    /// Keeps what is in both, and says how many went.
    pub fn keep(&self, of: &[u64], set: &mut [u64]) -> u32 {
        match of.get(..self.words.len()).filter(|_| self.dense) {
            Some(of) => bits::keep(set, of),
            None => set.iter_mut().zip(self.of(of)).fold(0, |gone, (word, of)| {
                let out = *word & !of;
                *word &= of;
                gone + out.count_ones()
            }),
        }
    }

    /// Takes out what is in the other, and says how many went.
    pub fn drop(&self, of: &[u64], set: &mut [u64]) -> u32 {
        match of.get(..self.words.len()).filter(|_| self.dense) {
            Some(of) => bits::drop(set, of),
            None => set.iter_mut().zip(self.of(of)).fold(0, |gone, (word, of)| {
                let out = *word & of;
                *word &= !of;
                gone + out.count_ones()
            }),
        }
    }

    /// Adds the campaigns of a value.
    pub fn add(&self, posting: &Posting, to: &mut [u64]) {
        match posting {
            Posting::Bits(of) => self.add_all(of, to),
            Posting::List(list) => self.each(list, |at, bit| {
                if let Some(word) = to.get_mut(at) {
                    *word |= bit;
                }
            }),
        }
    }

    /// Takes out the campaigns of a value, and says how many went.
    pub fn take(&self, posting: &Posting, from: &mut [u64]) -> u32 {
        match posting {
            Posting::Bits(of) => self.drop(of, from),
            Posting::List(list) => {
                let mut gone = 0;
                self.each(list, |at, bit| {
                    if let Some(word) = from.get_mut(at) {
                        gone += u32::from(*word & bit != 0);
                        *word &= !bit;
                    }
                });
                gone
            }
        }
    }

    /// The campaigns of a list that are in these words: the word's place and the campaign's bit.
    fn each(&self, list: &[u32], mut each: impl FnMut(usize, u64)) {
        let bit = |at: u32| 1 << (at % 64);
        if self.dense {
            return list.iter().for_each(|at| each(*at as usize / 64, bit(*at)));
        }
        if list.len() <= self.words.len() {
            for at in list {
                if let Ok(place) = self.words.binary_search(&(at / 64)) {
                    each(place, bit(*at));
                }
            }
            return;
        }
        let mut rest = list;
        for (place, word) in self.words.iter().enumerate() {
            let from = rest.partition_point(|at| at / 64 < *word);
            rest = rest.get(from..).unwrap_or_default();
            let ours = rest.iter().take_while(|at| **at / 64 == *word);
            ours.for_each(|at| each(place, bit(*at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_laid_over_some_words_is_what_is_there_in_all_of_them(
            a in proptest::collection::btree_set(0_u32..600, 0..300),
            b in proptest::collection::btree_set(0_u32..600, 0..300),
            few in proptest::collection::btree_set(0_u32..600, 0..9),
            words in proptest::collection::btree_set(0_u32..10, 0..=10),
        ) {
            let words: Vec<u32> = words.into_iter().collect();
            let posting = |of: &BTreeSet<u32>| Posting::of(of.iter().copied().collect(), 600);
            let full = |of: &BTreeSet<u32>| {
                let mut all = vec![0; bits::words(600)];
                posting(of).add_to(&mut all);
                all
            };
            let mut live = Live::default();
            live.only(&words);
            let list = |live: &Live, set: &[u64]| -> Vec<u32> {
                let one = |(at, word): (usize, &u64)| {
                    let first = live.word(at).expect("a word") * 64;
                    bits::each(&[*word]).map(|bit| first + bit).collect::<Vec<_>>()
                };
                set.iter().enumerate().flat_map(one).collect()
            };
            let meant = |of: &BTreeSet<u32>| -> BTreeSet<u32> {
                of.iter().copied().filter(|at| words.contains(&(at / 64))).collect()
            };
            let expected = |of: &mut dyn Iterator<Item = u32>| of.collect::<Vec<_>>();
            let (ours, theirs) = (meant(&a), meant(&b));
            let mut set = Vec::new();
            live.copy(&full(&a), &mut set);
            prop_assert_eq!(list(&live, &set), expected(&mut ours.iter().copied()));
            let start = set.clone();
            let gone = live.keep(&full(&b), &mut set);
            prop_assert_eq!(list(&live, &set), expected(&mut ours.intersection(&theirs).copied()));
            prop_assert_eq!(gone, ours.difference(&theirs).count() as u32);
            for other in [&b, &few] {
                let theirs = meant(other);
                let mut set = start.clone();
                let gone = live.take(&posting(other), &mut set);
                prop_assert_eq!(list(&live, &set), expected(&mut ours.difference(&theirs).copied()));
                prop_assert_eq!(gone, ours.intersection(&theirs).count() as u32);
                let mut set = start.clone();
                prop_assert_eq!(live.drop(&full(other), &mut set), gone);
                let mut set = start.clone();
                live.add(&posting(other), &mut set);
                prop_assert_eq!(list(&live, &set), expected(&mut ours.union(&theirs).copied()));
            }
            let mut set = start.clone();
            live.shrink(&mut set);
            prop_assert_eq!(set.len(), live.len());
            prop_assert_eq!(list(&live, &set), expected(&mut ours.iter().copied()));
        }
    }
}
