//! What was sent and how it ended, and whether it was enough to mean something.

use serde::{Deserialize, Serialize};

use super::kind::Kind;

/// Of one kind of clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KindSummary {
    /// Arrivals by the plan; those for which there was no room among the operations under way.
    pub arrived: u64,
    pub not_sent: u64,
    /// Arrivals whose operations were still under way when the run was over.
    pub cut: u64,
    pub operations: u64,
    pub done: u64,
    pub refused: u64,
    pub unavailable: u64,
    pub unknown: u64,
    pub wrong: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl KindSummary {
    /// Answers of a platform that works: done, or decided against.
    pub fn served(&self) -> u64 {
        self.done + self.refused
    }

    pub fn unknown_part(&self) -> f64 {
        part(self.unknown, self.operations)
    }

    /// Neither done nor decided against.
    pub fn error_part(&self) -> f64 {
        part(self.operations - self.served().min(self.operations), self.operations)
    }
}

fn part(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadSummary {
    pub seconds: f64,
    pub kinds: Vec<(Kind, KindSummary)>,
    /// What answers no documentation allows, the first few of them.
    pub wrong: Vec<String>,
}

/// Below this a run has shown nothing. 0 asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Minimums {
    /// Operations a second that were served (done, or decided against), of all kinds together.
    pub served_per_s: f64,
    /// The same by kind.
    pub kinds: Vec<(Kind, f64)>,
    /// The largest part of arrivals that may not have been sent.
    pub not_sent_part: Option<f64>,
    /// The largest part of operations whose outcome is unknown.
    pub unknown_part: Option<f64>,
}

impl LoadSummary {
    pub fn total(&self) -> KindSummary {
        let mut all = KindSummary::default();
        for (_, kind) in &self.kinds {
            all.arrived += kind.arrived;
            all.not_sent += kind.not_sent;
            all.cut += kind.cut;
            all.operations += kind.operations;
            all.done += kind.done;
            all.refused += kind.refused;
            all.unavailable += kind.unavailable;
            all.unknown += kind.unknown;
            all.wrong += kind.wrong;
            all.p50_ms = all.p50_ms.max(kind.p50_ms);
            all.p99_ms = all.p99_ms.max(kind.p99_ms);
        }
        all
    }

    pub fn kind(&self, kind: Kind) -> Option<&KindSummary> {
        self.kinds.iter().find(|(k, _)| *k == kind).map(|(_, summary)| summary)
    }

    /// What was too little, a sentence each.
    pub fn below(&self, minimums: &Minimums) -> Vec<String> {
        let mut below = Vec::new();
        let mut rate = |name: &str, served: u64, least: f64| {
            let was = if self.seconds > 0.0 { served as f64 / self.seconds } else { 0.0 };
            if was < least {
                below.push(format!(
                    "{name}: {was:.1} operations a second were served, at least {least} are needed"
                ));
            }
        };
        let total = self.total();
        rate("all", total.served(), minimums.served_per_s);
        for (kind, least) in &minimums.kinds {
            let served = self.kind(*kind).map_or(0, KindSummary::served);
            rate(kind.as_str(), served, *least);
        }
        let mut most = |what: &str, was: f64, most: Option<f64>| {
            if let Some(most) = most.filter(|most| was > *most) {
                below.push(format!("{:.2}% {what}, at most {:.2}% may", was * 100.0, most * 100.0));
            }
        };
        most(
            "of arrivals were not sent",
            part(total.not_sent, total.arrived),
            minimums.not_sent_part,
        );
        most("of operations have no known outcome", total.unknown_part(), minimums.unknown_part);
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_load_is_said_with_its_figures() {
        let budget = KindSummary {
            arrived: 100,
            not_sent: 10,
            operations: 90,
            done: 40,
            refused: 5,
            unknown: 45,
            ..KindSummary::default()
        };
        let summary =
            LoadSummary { seconds: 10.0, kinds: vec![(Kind::Budget, budget)], wrong: Vec::new() };
        assert_eq!(summary.below(&Minimums::default()), Vec::<String>::new());
        let enough = Minimums {
            served_per_s: 4.5,
            kinds: vec![(Kind::Budget, 4.5)],
            not_sent_part: Some(0.1),
            unknown_part: Some(0.5),
        };
        assert_eq!(summary.below(&enough), Vec::<String>::new());
        let more = Minimums {
            served_per_s: 4.6,
            kinds: vec![(Kind::Budget, 5.0), (Kind::Admin, 0.1)],
            not_sent_part: Some(0.09),
            unknown_part: Some(0.49),
        };
        assert_eq!(
            summary.below(&more),
            [
                "all: 4.5 operations a second were served, at least 4.6 are needed",
                "budget: 4.5 operations a second were served, at least 5 are needed",
                "admin: 0.0 operations a second were served, at least 0.1 are needed",
                "10.00% of arrivals were not sent, at most 9.00% may",
                "50.00% of operations have no known outcome, at most 49.00% may",
            ]
        );
    }
}
