//! Questions whose answers show whether the platform is well.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::{Bound, Compare};
use super::pick::{Nodes, Process, Role};
use super::rates::Kind;
use super::units::Period;

/// A question with the answer that is good, and for how long or within which time it has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Probe {
    /// Asked again until it is good, for at most so long.
    #[schemars(extend("x-least" = "50ms", "x-most" = "5m"))]
    pub within: Option<Period>,
    /// It has to stay good for so long.
    #[schemars(extend("x-least" = "50ms", "x-most" = "10m"))]
    pub holds_for: Option<Period>,
    #[serde(flatten)]
    pub question: Question,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// A GET.
    Http {
        /// Whom to ask.
        #[serde(default)]
        at: At,
        #[serde(default)]
        service: Listener,
        /// With its query, as in `/ready`.
        #[schemars(regex(pattern = "^/[!-~]{0,1023}$"))]
        path: String,
        /// The status of the answer.
        #[serde(default = "ok")]
        #[schemars(range(min = 100, max = 599))]
        status: u16,
        /// What the body has to say.
        body: Option<Body>,
        /// The answer is there within this time.
        #[schemars(extend("x-least" = "1ms", "x-most" = "60s"))]
        latency: Option<Period>,
    },
    /// A metric of Prometheus.
    Metric {
        /// The name, as in `cluster_shards_owned`.
        #[schemars(regex(pattern = "^[a-z][a-z0-9_]{2,127}$"))]
        name: String,
        /// Only series with these labels; of more than one, the sum.
        #[serde(default)]
        #[schemars(extend("maxProperties" = 16))]
        labels: BTreeMap<String, String>,
        /// From which nodes.
        #[serde(default = "Nodes::all")]
        node: Nodes,
        /// What becomes of the values of several nodes.
        #[serde(default)]
        combine: Combine,
        /// The value itself, or by how much it grew.
        #[serde(default)]
        reading: Reading,
        tolerance: Bound,
    },
    /// Budgets as the platform tells of them: how many are not as they have to be.
    Ledger {
        query: LedgerQuery,
        #[serde(default = "none")]
        tolerance: Bound,
    },
    /// What the clients found in the last time.
    Load {
        measure: Measure,
        /// Of one kind of operation; of all if not given.
        of: Option<Kind>,
        /// How far back from now.
        #[serde(default = "lately")]
        #[schemars(extend("x-least" = "1s", "x-most" = "60s"))]
        over: Period,
        tolerance: Bound,
    },
    /// How many of these processes are in a state.
    Process {
        target: Process,
        state: State,
        /// How many of them are; all if not given.
        tolerance: Option<Bound>,
    },
}

fn ok() -> u16 {
    200
}

fn none() -> Bound {
    Bound::AtMost(0.0)
}

fn lately() -> Period {
    Period::seconds(5)
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum At {
    /// Whom the balancer chooses.
    Balancer,
    /// Each of these.
    Node(Nodes),
}

impl Default for At {
    fn default() -> At {
        At::Node(Nodes::all())
    }
}

/// A port of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listener {
    #[default]
    Shield,
    Flow,
    Value,
    Health,
    Admin,
}

impl Listener {
    pub fn role(self) -> Option<Role> {
        match self {
            Listener::Shield => Some(Role::Shield),
            Listener::Flow => Some(Role::Flow),
            Listener::Value => Some(Role::Value),
            Listener::Health | Listener::Admin => None,
        }
    }
}

/// What a body in JSON has to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// Where in it (RFC 6901), as in `/services/syncshield/state`.
    #[schemars(regex(pattern = "^(/[ -~]{0,255})?$"))]
    pub pointer: String,
    pub tolerance: Compare,
}

/// What becomes of the values of several nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    #[default]
    Sum,
    /// Each has to be good.
    Each,
    Max,
    Min,
}

/// The value itself, or by how much it grew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    #[default]
    Value,
    /// Since the load began, over all lives of a node.
    Increase,
}

/// What is asked of every budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerQuery {
    /// Budgets where spent less refunded, held and remaining are not together the budget.
    Sums,
    /// Budgets whose rows are not numbered 1, 2, 3 … to the number that the budget tells.
    Dense,
    /// Budgets of which more was granted than there is.
    Overspent,
}

/// What the clients found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Of what was asked, the part that was not served: unavailable, unknown or wrong, 0 to 1.
    ErrorRatio,
    /// The part that was put off with 429, 503 and their like.
    UnavailableRatio,
    /// The part whose outcome nobody knows.
    UnknownRatio,
    /// Milliseconds within which half was answered.
    P50Ms,
    /// Milliseconds within which 99 of 100 were answered.
    P99Ms,
    /// Operations done a second.
    DonePerSecond,
}

impl Measure {
    /// Whether it is a part of all operations.
    pub fn is_part(self) -> bool {
        matches!(self, Measure::ErrorRatio | Measure::UnavailableRatio | Measure::UnknownRatio)
    }
}

/// A state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs.
    Alive,
    /// It says that it can serve.
    Ready,
    /// It does not run.
    Dead,
}
