//! Everything that a report shows of one run.

use serde::{Deserialize, Serialize};

use super::series::{OwnerChange, Second};
use crate::load::LoadSummary;
use crate::verdict::{Checked, Verdict};

/// The reason of a run that somebody ended.
pub const INTERRUPTED: &str = "it was interrupted";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Of this format: 1.
    pub version: u32,
    pub title: String,
    /// What the platform promises in this case, as the experiment says it.
    #[serde(default)]
    pub description: String,
    /// The experiment's file.
    pub file: String,
    /// SHA-256 of the experiment's file and of the program kiki; nothing where that is not known.
    #[serde(default)]
    pub file_sha256: String,
    #[serde(default)]
    pub program_sha256: String,
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
    /// Somebody ended it before its time.
    #[serde(default)]
    pub interrupted: bool,
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
    /// What the run went through, one after the other.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// Who owned the budgets that moved: the first of them, and how many more there were.
    #[serde(default)]
    pub owned: Vec<Owned>,
    #[serde(default)]
    pub owned_more: u64,
    /// From the end of a fault (of a kill: from its beginning) until every budget and consent that failed under it was
    /// served again, each, in milliseconds.
    #[serde(default)]
    pub recovery_ms: Vec<f64>,
    #[serde(default)]
    pub never_served: NeverServed,
    /// What could not be run, and what else people have to know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What failed under a fault, was asked for again and was never served again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeverServed {
    pub budgets: u64,
    pub consents: u64,
}

impl NeverServed {
    pub fn all(self) -> u64 {
        self.budgets + self.consents
    }

    pub fn words(self) -> String {
        let one = |n: u64, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let both = [one(self.budgets, "budget"), one(self.consents, "consent")];
        let both: Vec<String> = both.into_iter().flatten().collect();
        let were = if self.all() == 1 { "was" } else { "were" };
        format!("{} {were} never served again", both.join(" and "))
    }
}

/// A part of a run, in seconds since it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    pub from_s: f64,
    /// Nothing where it went on to the end.
    pub to_s: Option<f64>,
}

/// Who owned a budget, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owned {
    pub account: String,
    pub campaign: String,
    pub by: Vec<Ownership>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ownership {
    pub owner: String,
    pub from_s: f64,
    /// Nothing where it was so to the end.
    pub to_s: Option<f64>,
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
    /// Its name in the experiment, as expectations call it.
    #[serde(default)]
    pub id: String,
    pub kind: String,
    pub target: String,
    /// How it was done here: relay, proxy, signal and their like.
    pub way: String,
    /// Seconds since the run began; nothing where it could not be done.
    pub began_s: Option<f64>,
    /// Nothing where it has no duration, or did not end.
    pub ended_s: Option<f64>,
    /// How many processes, connections, packets, messages or calls it struck, by what it is; nothing where nobody knows.
    #[serde(default)]
    pub struck: Option<u64>,
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

impl Probe {
    /// A probe of the method, or an expectation: nobody asks before anything was done.
    pub fn only_after(&self) -> bool {
        self.before.is_none() && self.after.is_some()
    }
}

impl RunReport {
    /// The part of all operations whose outcome nobody knows.
    pub fn unknown_part(&self) -> f64 {
        if self.checked.operations == 0 {
            return 0.0;
        }
        self.checked.unknown as f64 / self.checked.operations as f64
    }

    /// What has to be known before anything else of a run that somebody ended, where its reason does not say it.
    pub fn cut_short(&self) -> Option<&'static str> {
        let said = self.why.as_deref() == Some(INTERRUPTED);
        (self.interrupted && !said).then_some(
            "It was interrupted: what follows is of the part that was done, and of a cluster that was not well again.",
        )
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
