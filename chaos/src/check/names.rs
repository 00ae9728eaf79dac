//! Texts that occur over and over, each kept once and known by a number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Numbers things in the order in which they are first seen.
#[derive(Debug)]
pub struct Numbered<K> {
    ids: HashMap<K, u32>,
    list: Vec<K>,
}

impl<K> Default for Numbered<K> {
    fn default() -> Numbered<K> {
        Numbered { ids: HashMap::new(), list: Vec::new() }
    }
}

impl<K: Clone + Eq + Hash> Numbered<K> {
    pub fn id(&mut self, key: K) -> u32 {
        let next = self.list.len() as u32;
        *self.ids.entry(key).or_insert_with_key(|key| {
            self.list.push(key.clone());
            next
        })
    }

    pub fn find(&self, key: &K) -> Option<u32> {
        self.ids.get(key).copied()
    }

    pub fn get(&self, id: u32) -> Option<&K> {
        self.list.get(id as usize)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }
}

#[derive(Debug, Default)]
pub struct Names(Numbered<Arc<str>>);

impl Names {
    pub fn id(&mut self, text: &str) -> u32 {
        match self.0.ids.get(text) {
            Some(id) => *id,
            None => self.0.id(Arc::from(text)),
        }
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.0.ids.get(text).copied()
    }

    pub fn text(&self, id: u32) -> &str {
        self.0.get(id).map_or("?", |text| text)
    }
}
