//! What an experiment is done to.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What the experiment is done to: a cluster that the suite makes and removes, or one that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// A cluster of its own on this machine.
    Lab(Lab),
    /// A cluster that runs already. Only faults that go through its admin API can be ordered there.
    Urls(Urls),
}

/// A cluster of its own on this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// How many nodes: `node-1`, `node-2` and so on.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 7))]
    pub nodes: u8,
    /// How long a node's lease lasts.
    #[serde(default)]
    pub leases: Leases,
    /// Keys of the platform's configuration, as in `shield.hold_ttl_s`, with their values. Which there are, and what they
    /// may be, the platform says at its start: `validate` does not know.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    pub settings: BTreeMap<String, Scalar>,
    /// What the machine has to have besides what the faults need by themselves.
    #[serde(default)]
    pub needs: BTreeSet<Need>,
}

fn three() -> u8 {
    3
}

/// `cluster.leases` of the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Leases {
    /// 2 s: a node that is gone is replaced within 3 s.
    #[default]
    Fast,
    /// 10 s: it is replaced within 12 s.
    Default,
}

/// A text, a number, or true or false.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Bool(it) => write!(f, "{it}"),
            Scalar::Whole(it) => write!(f, "{it}"),
            Scalar::Number(it) => write!(f, "{it}"),
            Scalar::Text(it) => f.write_str(it),
        }
    }
}

/// What a machine has to have. Where it is missing, nothing is run: the run says so, and ends as one that could not run
/// (exit code 3).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Each node in a network namespace of its own, with links that can be cut and shaped.
    Namespaces,
    /// A PostgreSQL server of its own.
    Postgres,
    /// A Redis server of its own.
    Redis,
    /// HAProxy before the nodes.
    Balancer,
    /// A clock of its own for each node (libfaketime).
    Faketime,
    /// System calls that can be made to fail or wait (strace).
    Strace,
    /// A file system of bounded size for one process.
    Mounts,
    /// Bounded memory for one process (control groups).
    Cgroups,
    /// Bounded descriptors for a process that runs (prlimit).
    Prlimit,
    /// A model of customer lifetime value, fitted before the load begins.
    Model,
    /// A simulated exchange that holds auctions and tells their outcome.
    Exchange,
    /// An object store of its own.
    ObjectStore,
    /// Actor faults through the admin API (`chaos.enabled`); a lab has them always.
    ActorFaults,
}

/// A cluster that runs already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Urls {
    /// SyncShield, as in `https://shield.test:8081`.
    pub shield: Url,
    /// SyncFlow; needed where the load bids.
    pub flow: Option<Url>,
    /// SyncValue; needed where the load asks for forecasts.
    pub value: Option<Url>,
    /// The admin API of each node.
    #[schemars(length(min = 1, max = 32))]
    pub admin: Vec<Url>,
    /// The environment variable that holds the token for the admin API; the token itself is never in a file.
    #[schemars(regex(pattern = "^[A-Z][A-Z0-9_]{0,63}$"))]
    pub token_env: Option<String>,
}

/// An address with its scheme, as in `https://shield.test:8081`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Url(pub String);

impl JsonSchema for Url {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "url", "minLength": 8, "maxLength": 256 })
    }
}
