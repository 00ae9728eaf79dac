//! What is done, and when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::fault::Fault;
use super::pick::{BudgetKey, Nodes};
use super::probe::Probe;
use super::units::Period;

/// A step of the method. Steps run beside each other, each at its start: a time from the beginning of the method,
/// or, where it names none, when the waits before it are over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Something goes wrong.
    Fault(FaultStep),
    /// Steps after this one that name no start begin so much later.
    Wait(#[schemars(extend("x-least" = "1ms", "x-most" = "10m"))] Period),
    /// A hypothesis in the middle, such as recovery within some seconds.
    Probe(ProbeStep),
    /// Something that an operator does.
    Order(OrderStep),
}

/// Something goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FaultStep {
    /// A name for expectations and the report; `fault-1` and so on, by its place in the method, if not given.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{0,47}$"))]
    pub id: Option<String>,
    /// When, from the beginning of the method; after the waits before it if not given.
    #[schemars(extend("x-most" = "10m"))]
    pub start: Option<Period>,
    /// It starts later than that by up to so much, drawn from the seed.
    #[serde(default)]
    #[schemars(extend("x-most" = "60s"))]
    pub jitter: Period,
    /// Its time to live: then it is undone, whatever happens.
    #[schemars(extend("x-least" = "10ms", "x-most" = "10m"))]
    pub duration: Period,
    /// The chance that it happens at all, drawn from the seed.
    #[serde(default = "always")]
    #[schemars(range(min = 0.001, max = 1))]
    pub probability: f64,
    #[serde(flatten)]
    pub fault: Fault,
}

fn always() -> f64 {
    1.0
}

/// A hypothesis in the middle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ProbeStep {
    /// A name for the report; `probe-1` and so on if not given.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{0,47}$"))]
    pub id: Option<String>,
    /// When, from the beginning of the method; after the waits before it if not given.
    #[schemars(extend("x-most" = "10m"))]
    pub start: Option<Period>,
    #[serde(flatten)]
    pub probe: Probe,
}

/// Something that an operator does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OrderStep {
    /// A name for the report; `order-1` and so on if not given.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{0,47}$"))]
    pub id: Option<String>,
    /// When, from the beginning of the method; after the waits before it if not given.
    #[schemars(extend("x-most" = "10m"))]
    pub start: Option<Period>,
    /// It has to be done within this time.
    #[serde(default = "a_minute")]
    #[schemars(extend("x-least" = "100ms", "x-most" = "10m"))]
    pub within: Period,
    #[serde(flatten)]
    pub order: Order,
}

fn a_minute() -> Period {
    Period::seconds(60)
}

/// What an operator does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// SIGTERM to each in turn, a start, and on to the next when it is ready and owns its part again.
    RollingRestart {
        #[serde(default = "Nodes::all")]
        node: Nodes,
        /// Between one that is ready and the next.
        #[serde(default)]
        #[schemars(extend("x-most" = "60s"))]
        pause: Period,
    },
    /// Through the admin API: it hands everything over and ends; it is started again.
    Drain {
        node: Nodes,
    },
    /// The shard of a budget goes to another node.
    MoveShard {
        budget: BudgetKey,
        to: Nodes,
    },
    PauseBudget {
        budget: BudgetKey,
    },
    ResumeBudget {
        budget: BudgetKey,
    },
    /// The budget of a campaign is this from then on.
    Allocate {
        budget: BudgetKey,
        /// The new budget.
        cap: Amount,
    },
    /// Breakers at paths of this pattern are closed by hand.
    ResetBreakers {
        /// A pattern of paths: `*` within a segment, `**` across segments.
        #[schemars(regex(pattern = "^/[A-Za-z0-9_.*/-]{1,255}$"))]
        actor: String,
    },
    /// Faults of actors that are set are ended.
    ClearFaults {
        #[serde(default = "Nodes::all")]
        node: Nodes,
    },
}
