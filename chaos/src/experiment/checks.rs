//! What is looked at when the run is over.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::pick::{BudgetKey, Nodes};
use super::probe::Combine;
use super::rates::Kind;
use super::units::Period;
use crate::verdict::Invariant;

/// What is looked at when the run is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Checks {
    /// Which invariants; all if not given.
    #[schemars(schema_with = "invariants")]
    pub invariants: Vec<Invariant>,
    pub linearizability: Linearizability,
    /// What has to have happened, so that a fault which struck nothing is noticed.
    #[schemars(length(max = 32))]
    pub expect: Vec<Expectation>,
}

impl Default for Checks {
    fn default() -> Checks {
        Checks {
            invariants: ALL.to_vec(),
            linearizability: Linearizability::default(),
            expect: Vec::new(),
        }
    }
}

/// In the order in which people read them. LIN is switched by `linearizability`.
pub const ALL: [Invariant; 9] = [
    Invariant::Bg1,
    Invariant::Bg2,
    Invariant::Bg3,
    Invariant::Bg4,
    Invariant::Ow1,
    Invariant::Au1,
    Invariant::Co1,
    Invariant::Sv1,
    Invariant::Api,
];

fn invariants(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<_> = ALL.iter().filter_map(|it| serde_json::to_value(it).ok()).collect();
    json_schema!({ "type": "array", "items": { "type": "string", "enum": names } })
}

/// Whether an order of the calls is searched that explains all answers, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Linearizability {
    /// Whether it is searched at all.
    pub search: bool,
    /// Keys with more operations are not searched, and counted as such.
    #[schemars(range(min = 10, max = 100_000))]
    pub operations_max: u32,
    /// The search gives up after so long, and says so.
    #[schemars(extend("x-least" = "1s", "x-most" = "10m"))]
    pub within: Period,
}

impl Default for Linearizability {
    fn default() -> Linearizability {
        Linearizability { search: true, operations_max: 5_000, within: Period::seconds(60) }
    }
}

/// Something that has to have happened during the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expectation {
    /// What a fault struck, as its injector counted it: packets, messages, connections, processes, calls.
    Struck {
        /// The id of its step, or `hostile-1` and so on for hostile clients.
        #[schemars(regex(pattern = "^[a-z][a-z0-9-]{0,47}$"))]
        fault: String,
        #[serde(default = "once")]
        tolerance: Bound,
    },
    /// Restarts of actors at paths of this pattern, of all nodes together.
    Restarts {
        /// A pattern of paths: `*` within a segment, `**` across segments.
        #[schemars(regex(pattern = "^/[A-Za-z0-9_.*/-]{1,255}$"))]
        actor: String,
        #[serde(default = "once")]
        tolerance: Bound,
    },
    /// How often a budget was seen with another owner than before.
    OwnerChanged {
        budget: BudgetKey,
        #[serde(default = "once")]
        tolerance: Bound,
    },
    /// Breakers at paths of this pattern opened so often.
    BreakerOpened {
        /// A pattern of paths: `*` within a segment, `**` across segments.
        #[schemars(regex(pattern = "^/[A-Za-z0-9_.*/-]{1,255}$"))]
        actor: String,
        #[serde(default = "once")]
        tolerance: Bound,
        /// And all of them are closed at the end.
        #[serde(default = "yes")]
        closed_at_the_end: bool,
    },
    /// Nodes that ended by themselves, because they were replaced or had no memory. The lab starts them again;
    /// without this expectation no process may end by itself.
    Ended {
        node: Nodes,
        #[serde(default = "once")]
        tolerance: Bound,
    },
    /// By how much a metric grew over the run, over all lives of a node.
    Increase {
        /// The name, as in `value_fallbacks_total`.
        #[schemars(regex(pattern = "^[a-z][a-z0-9_]{2,127}$"))]
        metric: String,
        /// Only series with these labels; of more than one, the sum.
        #[serde(default)]
        #[schemars(extend("maxProperties" = 16))]
        labels: BTreeMap<String, String>,
        #[serde(default = "Nodes::all")]
        node: Nodes,
        #[serde(default)]
        combine: Combine,
        #[serde(default = "once")]
        tolerance: Bound,
    },
    /// Operations that ended so since the method began.
    Outcomes {
        /// Of one kind of operation; of all if not given.
        of: Option<Kind>,
        outcome: Ending,
        #[serde(default = "once")]
        tolerance: Bound,
    },
}

fn once() -> Bound {
    Bound::AtLeast(1.0)
}

fn yes() -> bool {
    true
}

/// How an operation ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Done,
    /// Done before under the same key, and answered again.
    Replayed,
    Refused,
    Unavailable,
    Unknown,
    Wrong,
}
