//! Which campaigns take which value of one dimension.

use std::collections::HashMap;

use super::bits::{self, Posting};
use super::dictionary::Dictionary;
use super::live::Live;

/// Campaigns by text.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    numbers: Dictionary,
    postings: Box<[Posting]>,
}

impl Texts {
    pub fn is_empty(&self) -> bool {
        self.postings.is_empty()
    }

    pub fn number(&self, text: &str) -> Option<u32> {
        self.numbers.find(text)
    }

    pub fn get(&self, text: &str) -> Option<&Posting> {
        self.postings.get(self.numbers.find(text)? as usize)
    }

    pub fn by_number(&self, number: u32) -> Option<&Posting> {
        self.postings.get(number as usize)
    }

    pub fn len(&self) -> usize {
        self.postings.len()
    }

    pub fn add_to(&self, text: &str, live: &Live, to: &mut [u64]) {
        if let Some(posting) = self.get(text) {
            live.add(posting, to);
        }
    }

    pub fn drop_from(&self, text: &str, live: &Live, from: &mut [u64]) -> u32 {
        self.get(text).map_or(0, |posting| live.take(posting, from))
    }

    pub fn bytes(&self) -> usize {
        let each = std::mem::size_of::<Posting>();
        self.numbers.bytes() + self.postings.iter().map(|it| each + it.bytes()).sum::<usize>()
    }
}

/// [`Texts`] in the making.
#[derive(Debug, Default)]
pub struct TextLists {
    numbers: Dictionary,
    lists: Vec<Vec<u32>>,
}

impl TextLists {
    /// `at` never descends from call to call.
    pub fn add(&mut self, text: &str, at: u32) -> u32 {
        let number = self.numbers.add(text);
        if self.lists.len() <= number as usize {
            self.lists.resize_with(number as usize + 1, Vec::new);
        }
        if let Some(list) = self.lists.get_mut(number as usize)
            && list.last() != Some(&at)
        {
            list.push(at);
        }
        number
    }

    pub fn done(self, n: usize) -> Texts {
        let postings = self.lists.into_iter().map(|list| Posting::of(list, n)).collect();
        Texts { numbers: self.numbers, postings }
    }
}

/// Campaigns by a small number, such as a country's place.
#[derive(Clone, Debug, Default)]
pub struct Places(Box<[Posting]>);

impl Places {
    pub fn of(lists: Vec<Vec<u32>>, n: usize) -> Places {
        Places(lists.into_iter().map(|list| Posting::of(list, n)).collect())
    }

    pub fn get(&self, place: usize) -> Option<&Posting> {
        self.0.get(place)
    }

    pub fn add_to(&self, place: usize, live: &Live, to: &mut [u64]) {
        if let Some(posting) = self.0.get(place) {
            live.add(posting, to);
        }
    }

    pub fn drop_from(&self, place: usize, live: &Live, from: &mut [u64]) -> u32 {
        self.0.get(place).map_or(0, |posting| live.take(posting, from))
    }

    pub fn bytes(&self) -> usize {
        let each = std::mem::size_of::<Posting>();
        self.0.iter().map(|it| each + it.bytes()).sum()
    }
}

/// Campaigns by the size of banners that they have.
#[derive(Clone, Debug, Default)]
pub struct Sizes(HashMap<(u16, u16), Posting>);

impl Sizes {
    pub fn of(lists: HashMap<(u16, u16), Vec<u32>>, n: usize) -> Sizes {
        let postings = lists.into_iter().map(|(size, list)| (size, Posting::of(list, n)));
        Sizes(postings.collect())
    }

    pub fn add_to(&self, size: (u16, u16), live: &Live, to: &mut [u64]) {
        if let Some(posting) = self.0.get(&size) {
            live.add(posting, to);
        }
    }

    pub fn bytes(&self) -> usize {
        let each = std::mem::size_of::<((u16, u16), Posting)>() + 1;
        self.0.capacity() * each + self.0.values().map(Posting::bytes).sum::<usize>()
    }
}

/// A set of `n` campaigns in the making.
#[derive(Debug)]
pub struct Set(pub Box<[u64]>);

impl Set {
    pub fn of(n: usize) -> Set {
        Set(vec![0; bits::words(n)].into_boxed_slice())
    }

    pub fn add_if(&mut self, condition: bool, at: u32) {
        if condition {
            bits::set(&mut self.0, at);
        }
    }
}
