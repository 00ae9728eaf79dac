//! A map by hold id.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::shield::entry::Op;

/// Hold ids are hashes already; hashing them again would be waste.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
    fn write_u128(&mut self, id: u128) {
        self.0 = id as u64 ^ (id >> 64) as u64;
    }
}

pub type ById<T> = HashMap<Op, T, BuildHasherDefault<IdHasher>>;
