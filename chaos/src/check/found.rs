//! What was found, in bounded memory.

use std::collections::BTreeMap;

use crate::history::AtUs;
use crate::verdict::{GivenUp, Invariant, Violation};

/// Violations of one invariant that are kept in full; all are counted.
const KEPT: u64 = 100;

#[derive(Debug, Default)]
pub struct Found {
    kept: Vec<Violation>,
    counts: [u64; Invariant::ALL.len()],
    pub notes: Vec<String>,
    pub searched: u64,
    given_up: BTreeMap<&'static str, u64>,
}

impl Found {
    /// The sentence is made only where it is kept: a broken run may have a million of them.
    pub fn add(
        &mut self,
        invariant: Invariant,
        at_us: Option<AtUs>,
        operations: &[u64],
        what: impl FnOnce() -> String,
    ) {
        let count = &mut self.counts[invariant as usize];
        *count += 1;
        if *count <= KEPT {
            let operations = operations.to_vec();
            self.kept.push(Violation { invariant, what: what(), at_us, operations });
        }
    }

    /// What could not be checked is said once.
    pub fn note(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.notes.contains(&what) {
            self.notes.push(what);
        }
    }

    /// A key was not searched: why.
    pub fn given_up(&mut self, why: &'static str) {
        *self.given_up.entry(why).or_default() += 1;
    }

    pub fn not_searched(&self) -> Vec<GivenUp> {
        let one = |(why, keys): (&&str, &u64)| GivenUp { why: (*why).to_owned(), keys: *keys };
        self.given_up.iter().map(one).collect()
    }

    /// How many of each invariant there are that is broken.
    pub fn counts(&self) -> BTreeMap<Invariant, u64> {
        let all = Invariant::ALL.into_iter().zip(self.counts);
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// By invariant, and in the order of time within each.
    pub fn into_violations(mut self) -> Vec<Violation> {
        self.kept.sort_by_key(|v| (v.invariant, v.at_us));
        self.kept
    }
}
