//! Who is struck: nodes, links between them, and what stands beside them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Nodes {
    Word(Word),
    /// One node by its name, as in `node-2`.
    Name(#[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{0,62}$"))] String),
    By(By),
}

/// Nodes by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// One, drawn from the seed.
    Any,
    /// Every node.
    All,
}

/// Nodes by what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum By {
    /// These, by name.
    Names(
        #[schemars(length(min = 1, max = 32), inner(regex(pattern = "^[a-z0-9][a-z0-9-]{0,62}$")))]
        Vec<String>,
    ),
    /// So many, drawn from the seed.
    Count(#[schemars(range(min = 1, max = 32))] u8),
    /// So many of a hundred, drawn from the seed: at least one.
    Percent(#[schemars(range(min = 1, max = 100))] f64),
    /// That which owns this budget at the moment of the step.
    OwnerOf(BudgetKey),
    /// One that does not own it at the moment of the step, drawn from the seed.
    NotOwnerOf(BudgetKey),
    /// Those that open the ports of a service.
    Role(Role),
}

/// A budget of the load. Its accounts are `account-1` and so on, the campaigns of each `campaign-1` and so on;
/// the lower the number, the more is asked of it. Where the target is `urls`, names of the platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetKey {
    /// As in `account-1`.
    #[schemars(regex(pattern = "^[A-Za-z0-9_.-]{1,64}$"))]
    pub account: String,
    /// As in `campaign-1`.
    #[schemars(regex(pattern = "^[A-Za-z0-9_.-]{1,128}$"))]
    pub campaign: String,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Shield,
    Flow,
    Value,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Shield => "shield",
            Role::Flow => "flow",
            Role::Value => "value",
        }
    }
}

impl Nodes {
    pub fn all() -> Nodes {
        Nodes::Word(Word::All)
    }

    /// Of which budget the owner has to be asked when the step comes.
    pub fn asks_owner(&self) -> Option<&BudgetKey> {
        match self {
            Nodes::By(By::OwnerOf(key) | By::NotOwnerOf(key)) => Some(key),
            _ => None,
        }
    }
}

/// Whose nodes are struck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfNodes {
    pub node: Nodes,
}

/// Which processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Process {
    Node(Nodes),
    /// HAProxy.
    Balancer,
}

/// Which way through the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Link {
    /// One way: what is sent by `from` to `to`.
    Link { from: End, to: End },
    /// Both ways.
    Between { one: End, other: End },
}

/// An end of a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum End {
    Node(Nodes),
    /// Every node that the other end does not name.
    OtherNodes,
    /// PostgreSQL.
    Database,
    Redis,
    Balancer,
    /// Those who make the load.
    Clients,
}

/// Whose disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Disk {
    /// The data directory of nodes.
    Node(Nodes),
    /// The data directory of PostgreSQL.
    Database,
}

/// Which actors, on which nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Actors {
    /// A pattern of paths: `*` within a segment, `**` across segments, as in `/shield/budget/*`.
    #[schemars(regex(pattern = "^/[A-Za-z0-9_.*/-]{1,255}$"))]
    pub actor: String,
    #[serde(default = "Nodes::all")]
    pub node: Nodes,
}
