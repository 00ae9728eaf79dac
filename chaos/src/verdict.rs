//! What a run found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::AtUs;

/// The invariants of the platform (`docs/ARCHITECTURE.md`), and what the suite itself holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Invariant {
    #[serde(rename = "BG-1")]
    Bg1,
    #[serde(rename = "BG-2")]
    Bg2,
    #[serde(rename = "BG-3")]
    Bg3,
    #[serde(rename = "BG-4")]
    Bg4,
    #[serde(rename = "OW-1")]
    Ow1,
    #[serde(rename = "AU-1")]
    Au1,
    #[serde(rename = "CO-1")]
    Co1,
    #[serde(rename = "SV-1")]
    Sv1,
    /// No order of the calls explains the answers.
    #[serde(rename = "LIN")]
    Linear,
    /// An answer that no documentation allows.
    #[serde(rename = "API")]
    Api,
}

impl Invariant {
    pub const ALL: [Invariant; 10] = [
        Invariant::Bg1,
        Invariant::Bg2,
        Invariant::Bg3,
        Invariant::Bg4,
        Invariant::Ow1,
        Invariant::Au1,
        Invariant::Co1,
        Invariant::Sv1,
        Invariant::Linear,
        Invariant::Api,
    ];

    /// As it stands in reports and in the platform's metrics.
    pub fn code(self) -> &'static str {
        match self {
            Invariant::Bg1 => "BG-1",
            Invariant::Bg2 => "BG-2",
            Invariant::Bg3 => "BG-3",
            Invariant::Bg4 => "BG-4",
            Invariant::Ow1 => "OW-1",
            Invariant::Au1 => "AU-1",
            Invariant::Co1 => "CO-1",
            Invariant::Sv1 => "SV-1",
            Invariant::Linear => "LIN",
            Invariant::Api => "API",
        }
    }
}

/// One broken invariant, with what proves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    pub invariant: Invariant,
    /// One sentence for people.
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<AtUs>,
    /// Operations of the history, by id.
    #[serde(default)]
    pub operations: Vec<u64>,
}

/// Keys that were not searched for an order, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    pub why: String,
    pub keys: u64,
}

/// What a checker says of a history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub operations: u64,
    pub done: u64,
    pub refused: u64,
    pub unavailable: u64,
    pub unknown: u64,
    /// Rows of ledgers and records of audit logs that were compared.
    pub ledger_rows: u64,
    pub audit_rows: u64,
    /// Keys whose answers were searched for an order that explains them, and those that were not.
    pub searched: u64,
    pub not_searched: u64,
    #[serde(default)]
    pub given_up: Vec<GivenUp>,
    /// The first hundred of each invariant; `violations_total` counts all.
    pub violations: Vec<Violation>,
    pub violations_total: u64,
    /// How many of each invariant.
    #[serde(default)]
    pub counts: BTreeMap<Invariant, u64>,
    pub took_ms: u64,
    /// Invariants that could not be judged, and so are not counted as right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<Invariant>,
    /// The history has no end: the run was cut off, and only what is in it was checked.
    #[serde(default)]
    pub cut_off: bool,
    /// What could not be compared, and why. It is never counted as right.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Checked {
    /// Leaves out what nobody can judge.
    pub fn leave_unjudged(&mut self, unjudged: &[Invariant]) {
        self.keep(|it| !unjudged.contains(&it));
        self.not_judged = unjudged.to_vec();
    }

    /// Leaves out what was not asked for.
    pub fn keep(&mut self, asked: impl Fn(Invariant) -> bool) {
        self.violations.retain(|it| asked(it.invariant));
        self.counts.retain(|it, _| asked(*it));
        self.violations_total = self.counts.values().sum();
    }
}

/// What a run came to, from the best to the worst: of many runs the worst is the exit code of the command. What is
/// proven weighs more than what could not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Held,
    HypothesisFailed,
    CouldNotRun,
    InvariantViolated,
}

impl Verdict {
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Held => 0,
            Verdict::HypothesisFailed => 1,
            Verdict::InvariantViolated => 2,
            Verdict::CouldNotRun => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_the_worst_of_many_runs_and_what_could_not_run_comes_before_a_failed_hypothesis()
     {
        let worst = |all: &[Verdict]| all.iter().max().map(|it| it.exit_code());
        assert_eq!(worst(&[Verdict::Held, Verdict::HypothesisFailed]), Some(1));
        assert_eq!(worst(&[Verdict::CouldNotRun, Verdict::HypothesisFailed]), Some(3));
        assert_eq!(worst(&[Verdict::CouldNotRun, Verdict::InvariantViolated]), Some(2));
    }

    #[test]
    fn what_is_not_asked_for_is_not_counted_however_much_there_is_of_it() {
        let one = |invariant| Violation {
            invariant,
            what: "wrong".to_owned(),
            at_us: None,
            operations: Vec::new(),
        };
        let many = Checked {
            violations: vec![one(Invariant::Bg1); 3]
                .into_iter()
                .chain(vec![one(Invariant::Api); 100])
                .collect(),
            violations_total: 153,
            counts: BTreeMap::from([(Invariant::Bg1, 3), (Invariant::Api, 150)]),
            ..Checked::default()
        };
        for (asked, count) in [(Invariant::Bg1, 3), (Invariant::Api, 150), (Invariant::Co1, 0)] {
            let mut checked = many.clone();
            checked.keep(|it| it == asked);
            assert_eq!(checked.violations_total, count);
            assert_eq!(checked.violations.is_empty(), count == 0);
        }
        let mut checked = many.clone();
        checked.leave_unjudged(&[Invariant::Bg1]);
        assert_eq!((checked.violations_total, checked.not_judged), (150, vec![Invariant::Bg1]));
    }
}
