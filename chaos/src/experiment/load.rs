//! What clients do while faults strike.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::rates::{Kind, Rates};
use super::units::Period;

/// What clients do, and how much of it has to be done for a run to mean something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// How long operations are sent, from the beginning of the method on. After it they go on until the hypothesis
    /// has been asked once more.
    #[schemars(extend("x-least" = "5s", "x-most" = "10m"))]
    pub duration: Period,
    /// Sent before that, while nothing is broken yet; the hypothesis is asked at its end.
    #[serde(default = "warm_up")]
    #[schemars(extend("x-least" = "0s", "x-most" = "2m"))]
    pub warm_up: Period,
    /// Whom the clients talk to.
    #[serde(default)]
    pub through: Through,
    /// Clients, each with one operation at a time. What they do not keep up with is not sent later.
    #[serde(default = "clients")]
    #[schemars(range(min = 1, max = 512))]
    pub clients: u16,
    /// `account-1`, `account-2` and so on.
    #[serde(default = "accounts")]
    #[schemars(range(min = 1, max = 64))]
    pub accounts: u16,
    /// Campaigns of each account: `campaign-1`, `campaign-2` and so on.
    #[serde(default = "campaigns")]
    #[schemars(range(min = 1, max = 256))]
    pub campaigns: u16,
    /// How unevenly campaigns are asked: the exponent of Zipf's law; 0 is evenly.
    #[serde(default = "skew")]
    #[schemars(range(min = 0, max = 3))]
    pub skew: f64,
    #[serde(default)]
    pub amounts: Amounts,
    #[serde(default)]
    pub budgets: Budgets,
    /// Operations a second.
    pub rates: Rates,
    /// What has to be done for the run to mean something; below it the run has failed.
    #[serde(default)]
    pub minimum: Minimum,
    /// Clients that mean ill, or do not know better; expectations name them `hostile-1` and so on.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub hostile: Vec<Hostile>,
}

fn warm_up() -> Period {
    Period::seconds(2)
}

fn clients() -> u16 {
    32
}

fn accounts() -> u16 {
    2
}

fn campaigns() -> u16 {
    6
}

fn skew() -> f64 {
    0.9
}

/// Whom the clients talk to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// Each client a node of its own, and the next one where that is not reached: most requests travel to an owner.
    #[default]
    Nodes,
    /// HAProxy, which takes them to nodes that are ready.
    Balancer,
}

/// Between which amounts one operation moves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// Of one operation, at least.
    pub least: Amount,
    /// Of one operation, at most.
    pub most: Amount,
}

impl Default for Amounts {
    fn default() -> Amounts {
        Amounts { least: Amount::units(1), most: Amount::units(5) }
    }
}

/// What campaigns have to spend.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Of campaigns of which nobody comes to the end.
    pub wide: Amount,
    /// Of those that run out within seconds, so that the last of it is fought for.
    pub tight: Amount,
    /// Which part of the campaigns is tight.
    #[schemars(range(min = 0, max = 1))]
    pub tight_share: f64,
    /// The most that an account may spend in a window of the platform's length.
    pub window_cap: Amount,
}

impl Default for Budgets {
    fn default() -> Budgets {
        Budgets {
            wide: Amount::units(1_000_000),
            tight: Amount::units(500),
            tight_share: 0.25,
            window_cap: Amount::units(10_000_000),
        }
    }
}

/// Operations done a second, on average over the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Minimum {
    /// Of all kinds together; above 0.
    #[schemars(range(min = 0, max = 100_000))]
    pub per_second: f64,
    /// Of one kind.
    pub of: BTreeMap<Kind, f64>,
}

/// Clients that mean ill, or do not know better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Hostile {
    /// Connections that send the head of their request a byte at a time.
    SlowLoris {
        /// From the beginning of the method.
        #[schemars(extend("x-most" = "10m"))]
        start: Period,
        /// For how long.
        #[schemars(extend("x-least" = "100ms", "x-most" = "10m"))]
        duration: Period,
        /// Open at a time.
        #[schemars(range(min = 1, max = 2_000))]
        connections: u32,
        /// Time between two bytes.
        #[serde(default = "byte_every")]
        #[schemars(extend("x-least" = "10ms", "x-most" = "60s"))]
        byte_every: Period,
    },
    /// Connections that are opened and say nothing.
    ConnectionStorm {
        /// From the beginning of the method.
        #[schemars(extend("x-most" = "10m"))]
        start: Period,
        /// For how long.
        #[schemars(extend("x-least" = "100ms", "x-most" = "10m"))]
        duration: Period,
        /// Opened a second.
        #[schemars(range(min = 1, max = 2_000))]
        per_second: u32,
        /// Open at a time.
        #[schemars(range(min = 1, max = 2_000))]
        open_max: u32,
    },
}

fn byte_every() -> Period {
    Period::seconds(1)
}
