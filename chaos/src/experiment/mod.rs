//! What an experiment is: the types, how a file becomes one, what is wrong with it, and what it plans.
//! Nothing here touches a machine.

pub mod amount;
pub mod bound;
pub mod checks;
mod compare;
pub mod fault;
pub mod load;
pub mod needs;
pub mod page;
mod pattern;
pub mod pick;
pub mod plan;
pub mod probe;
pub mod problem;
pub mod rates;
pub mod rows;
mod rules;
pub mod schema;
mod shape;
pub mod step;
pub mod strikes;
pub mod target;
pub mod text;
pub mod timeline;
mod tree;
pub mod units;

#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod text_tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::plan::{Inventory, Plan, plan};
pub use self::problem::Problem;
pub use self::text::validate;
use self::{checks::Checks, load::Load, probe::Probe, step::OrderStep, step::Step, target::Target};

/// What is done to a cluster, and what has to be true of it before, meanwhile and afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// One sentence that says what happens.
    #[schemars(length(min = 10, max = 120))]
    pub title: String,
    /// What the platform promises in this case, and why.
    #[schemars(length(min = 20, max = 4000))]
    pub description: String,
    /// Words to choose experiments by; `short` ones run in `make test`.
    #[serde(default)]
    #[schemars(length(max = 8), inner(regex(pattern = "^[a-z][a-z0-9-]{0,31}$")))]
    pub tags: Vec<String>,
    pub target: Target,
    pub load: Load,
    /// The steady state: asked when the load is warm, and once more when all is over.
    #[schemars(length(min = 1, max = 32))]
    pub hypothesis: Vec<Probe>,
    /// What is done.
    #[schemars(length(min = 1, max = 64))]
    pub method: Vec<Step>,
    /// The experiment ends at once when one of these is good; asked all the time.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub abort: Vec<Probe>,
    /// What an operator does afterwards, in this order, whatever happened. Faults are undone by themselves.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub rollbacks: Vec<OrderStep>,
    #[serde(default)]
    pub checks: Checks,
}
