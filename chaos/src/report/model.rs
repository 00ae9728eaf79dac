//! Everything that a report shows of one run.

use serde::{Deserialize, Serialize};

use super::series::{OwnerChange, Second};
use crate::load::LoadSummary;
use crate::verdict::{Checked, Verdict};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Of this format: 1.
    pub version: u32,
    pub title: String,
    /// The experiment's file.
    pub file: String,
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub seconds: f64,
    /// The command that does the same once more.
    pub replay: String,
    /// What ran: such as the platform's version and how many nodes.
    #[serde(default)]
    pub platform: String,
    pub verdict: Verdict,
    /// The reason of the verdict, where it is not that everything held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub hypothesis: Vec<Probe>,
    pub faults: Vec<Fault>,
    pub load: LoadSummary,
    /// Where the load was below what the experiment asks for, a sentence each.
    #[serde(default)]
    pub too_little: Vec<String>,
    pub checked: Checked,
    pub series: Vec<Second>,
    #[serde(default)]
    pub owners: Vec<OwnerChange>,
    /// From the end of a fault until the steady state held again, each, in milliseconds.
    #[serde(default)]
    pub recovery_ms: Vec<f64>,
    /// What could not be run, and what else people have to know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// A probe of the steady state, before and after the method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub name: String,
    /// What is tolerated, in words.
    pub tolerance: String,
    pub before: Option<Reading>,
    pub after: Option<Reading>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub value: String,
    pub held: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Its number in the run, as in the history.
    pub number: u32,
    pub kind: String,
    pub target: String,
    /// How it was done here: relay, proxy, signal and their like.
    pub way: String,
    /// Seconds since the run began; nothing where it could not be done.
    pub began_s: Option<f64>,
    /// Nothing where it has no duration, or did not end.
    pub ended_s: Option<f64>,
    pub undo: Undo,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// There is nothing to undo.
    Nothing,
    Undone,
    /// It is still there: why.
    Failed {
        why: String,
    },
    /// It was not done: why.
    NotDone {
        why: String,
    },
}

impl RunReport {
    /// The part of all operations whose outcome nobody knows.
    pub fn unknown_part(&self) -> f64 {
        if self.checked.operations == 0 {
            return 0.0;
        }
        self.checked.unknown as f64 / self.checked.operations as f64
    }

    /// The worst verdict counts, with its reason; every other reason is a note.
    pub fn worsen(&mut self, verdict: Verdict, why: String) {
        let less = match self.verdict < verdict {
            true => {
                self.verdict = verdict;
                self.why.replace(why)
            }
            false => Some(why),
        };
        if let Some(why) = less
            && self.why.as_ref() != Some(&why)
            && !self.too_little.contains(&why)
            && !self.notes.contains(&why)
        {
            self.notes.push(why);
        }
    }

    pub fn not_undone(&self) -> usize {
        self.faults.iter().filter(|fault| matches!(fault.undo, Undo::Failed { .. })).count()
    }

    pub fn done(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| !matches!(fault.undo, Undo::NotDone { .. }))
    }
}
