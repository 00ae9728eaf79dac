//! The value of every key with its source, before it becomes the structs.

use std::collections::BTreeMap;

use super::problem::{Problem, Source};
use super::raw::Raw;
use super::setting::{Limits, Setting, read};

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Placed {
    pub raw: Raw,
    pub source: Source,
}

/// One value per key; what is placed later replaces what was there.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<&'static str, Placed>);

impl Values {
    /// Sets a key.
    pub fn place(&mut self, path: &'static str, raw: Raw, source: Source) {
        self.0.insert(path, Placed { raw, source });
    }

    /// A key's value, if it has one.
    pub fn get(&self, path: &str) -> Option<&Placed> {
        self.0.get(path)
    }

    /// Where a key's value came from.
    pub fn source(&self, path: &str) -> Source {
        self.0.get(path).map_or(Source::Default, |placed| placed.source.clone())
    }

    /// A key's value as a `T`.
    ///
    /// # Errors
    /// The key has no value, or one that is not a `T` within its limits.
    pub fn read<T: Setting>(&self, path: &'static str, limits: Limits) -> Result<T, Problem> {
        let bad = |source: Source, message: String| Problem {
            source,
            key: Some(path.to_owned()),
            message,
        };
        match self.0.get(path) {
            Some(placed) => {
                read(&placed.raw, limits).map_err(|message| bad(placed.source.clone(), message))
            }
            None => Err(bad(Source::Default, "has no value".to_owned())),
        }
    }
}
