//! The checker proves itself: it finds nothing in histories of a correct service, and each of many lies that are
//! put into them.

mod correct;
mod holes;
mod large;
mod lies;
mod malformed;
mod service;
mod small;
mod stats;
mod world;

use std::collections::BTreeSet;

use super::{CheckError, Options, Sources, history, read};
use crate::history::{AtEnd, AuditRow, LedgerRow, Line};
use crate::verdict::{Checked, Invariant};

/// A run as its files say it.
#[derive(Clone, Debug)]
pub struct Run {
    pub lines: Vec<Line>,
    pub ledger: Vec<LedgerRow>,
    pub audit: Vec<AuditRow>,
    pub end: AtEnd,
}

fn jsonl<T: serde::Serialize>(all: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for one in all {
        serde_json::to_writer(&mut bytes, one).unwrap();
        bytes.push(b'\n');
    }
    bytes
}

impl Run {
    pub fn history(&self) -> super::History {
        let files = [
            jsonl(&self.lines),
            jsonl(&self.ledger),
            jsonl(&self.audit),
            serde_json::to_vec(&self.end).unwrap(),
        ];
        let [history, ledger, audit, end] = &files;
        let sources = Sources {
            history: &history[..],
            ledger: Some(&ledger[..]),
            audit: Some(&audit[..]),
            end: Some(&end[..]),
        };
        read(sources, &Options::default()).unwrap()
    }

    pub fn check(&self) -> Checked {
        history(&self.history(), &Options::default())
    }
}

pub fn broken(checked: &Checked) -> BTreeSet<Invariant> {
    checked.violations.iter().map(|violation| violation.invariant).collect()
}

/// Reads a history alone, as it stands in a file.
pub fn alone(bytes: &[u8], options: &Options) -> Result<Checked, CheckError> {
    let sources = Sources { history: bytes, ledger: None, audit: None, end: None };
    Ok(history(&read(sources, options)?, options))
}
