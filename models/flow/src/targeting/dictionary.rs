//! Numbers for texts, so that a request's texts are looked up once and compared never.

use std::collections::HashMap;

/// Bytes of a text from outside beyond which it is nothing that anybody listed.
pub const TEXT_MAX: usize = 256;

#[derive(Clone, Debug, Default)]
pub struct Dictionary(HashMap<Box<str>, u32>);

impl Dictionary {
    /// The number of a text, which is new if need be.
    pub fn add(&mut self, text: &str) -> u32 {
        if let Some(known) = self.0.get(text) {
            return *known;
        }
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(text.into(), next);
        next
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        if self.0.is_empty() || text.len() > TEXT_MAX { None } else { self.0.get(text).copied() }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.0.capacity() * 21 + self.0.keys().map(|key| key.len()).sum::<usize>()
    }
}

/// Appends a text in lower case, character by character.
pub fn lower(text: &str, to: &mut String) {
    if text.is_ascii() {
        let from = to.len();
        to.push_str(text);
        if let Some(end) = to.get_mut(from..) {
            end.make_ascii_lowercase();
        }
    } else {
        to.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// The region alone of `CA`, `US-CA` or `USA-CA`.
pub fn region_of(text: &str) -> &str {
    text.rsplit_once('-').map_or(text, |(_, region)| region)
}

/// The language alone of `de`, `de-AT` or `de_AT`.
pub fn language_of(text: &str) -> &str {
    text.split(['-', '_']).next().unwrap_or(text)
}
