//! Sets of campaigns: one bit for each.

/// Words of a set of `n`.
pub fn words(n: usize) -> usize {
    n.div_ceil(64)
}

pub fn set(set: &mut [u64], at: u32) {
    if let Some(word) = set.get_mut(at as usize / 64) {
        *word |= 1 << (at % 64);
    }
}

pub fn clear(set: &mut [u64], at: u32) {
    if let Some(word) = set.get_mut(at as usize / 64) {
        *word &= !(1 << (at % 64));
    }
}

pub fn holds(set: &[u64], at: u32) -> bool {
    set.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

pub fn count(set: &[u64]) -> u32 {
    set.iter().map(|word| word.count_ones()).sum()
}

/// Keeps what is in both, and says how many went.
pub fn keep(set: &mut [u64], of: &[u64]) -> u32 {
    let mut gone = 0;
    for (word, of) in set.iter_mut().zip(of) {
        gone += (*word & !of).count_ones();
        *word &= of;
    }
    gone
}

/// Takes out what is in the other, and says how many went.
pub fn drop(set: &mut [u64], of: &[u64]) -> u32 {
    let mut gone = 0;
    for (word, of) in set.iter_mut().zip(of) {
        gone += (*word & of).count_ones();
        *word &= !of;
    }
    gone
}

pub fn each(set: &[u64]) -> impl Iterator<Item = u32> {
    set.iter().enumerate().flat_map(|(i, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros())?;
            rest &= rest - 1;
            Some(i as u32 * 64 + bit)
        })
    })
}

/// The campaigns of one value: a list where they are few, else bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posting {
    List(Box<[u32]>),
    Bits(Box<[u64]>),
}

impl Posting {
    /// Of `n` campaigns; `list` ascends.
    pub fn of(list: Vec<u32>, n: usize) -> Posting {
        // A word is as quick to lay over as an element, and takes twice the memory.
        if list.len() <= words(n) {
            return Posting::List(list.into_boxed_slice());
        }
        let mut bits = vec![0; words(n)];
        list.iter().for_each(|at| set(&mut bits, *at));
        Posting::Bits(bits.into_boxed_slice())
    }

    /// Adds them to a set.
    pub fn add_to(&self, to: &mut [u64]) {
        match self {
            Posting::List(list) => list.iter().for_each(|at| set(to, *at)),
            Posting::Bits(bits) => to.iter_mut().zip(bits).for_each(|(word, of)| *word |= of),
        }
    }

    /// Takes them out of a set, and says how many went.
    pub fn drop_from(&self, from: &mut [u64]) -> u32 {
        match self {
            Posting::Bits(bits) => drop(from, bits),
            Posting::List(list) => list.iter().fold(0, |gone, at| {
                let was = holds(from, *at);
                clear(from, *at);
                gone + u32::from(was)
            }),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Posting::List(list) => list.is_empty(),
            Posting::Bits(bits) => bits.iter().all(|word| *word == 0),
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Posting::List(list) => 4 * list.len(),
            Posting::Bits(bits) => 8 * bits.len(),
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
        fn postings_and_sets_do_what_sets_do(
            a in proptest::collection::btree_set(0_u32..300, 0..200),
            b in proptest::collection::btree_set(0_u32..300, 0..20),
        ) {
            let posting = |of: &BTreeSet<u32>| Posting::of(of.iter().copied().collect(), 300);
            let bits = |of: &BTreeSet<u32>| {
                let mut all = vec![0; words(300)];
                posting(of).add_to(&mut all);
                all
            };
            let list = |set: &[u64]| each(set).collect::<Vec<_>>();
            prop_assert_eq!(list(&bits(&a)), a.iter().copied().collect::<Vec<_>>());
            let mut kept = bits(&a);
            let gone = keep(&mut kept, &bits(&b));
            prop_assert_eq!(list(&kept), a.intersection(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(gone + count(&kept), a.len() as u32);
            let mut left = bits(&a);
            prop_assert_eq!(posting(&b).drop_from(&mut left), a.intersection(&b).count() as u32);
            prop_assert_eq!(list(&left), a.difference(&b).copied().collect::<Vec<_>>());
        }
    }
}
