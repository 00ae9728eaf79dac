//! The list of every key, and the struct that they fill.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::problem::Problem;
use super::section::Key;
use super::suggest::nearest;
use super::values::Values;
use super::{
    audit::Audit, auth::Auth, chaos::Chaos, cluster::Cluster, flow::Flow, kernel::Kernel,
    limits::Limits, log::Log, mlflow::Mlflow, peers::Peers, redis::Redis, server::Server,
    shield::Shield, store::Store, telemetry::Telemetry, value::Value, webhooks::Webhooks,
};

/// Declares the whole configuration: one line per section.
macro_rules! sections {
    ($($field:ident : $section:ident),* $(,)?) => {
        /// The whole configuration, checked.
        #[derive(Clone, Debug)]
        pub struct Config {
            $( pub $field: $section, )*
        }

        impl Config {
            pub(super) fn build(values: &Values) -> Result<Self, Problem> {
                Ok(Self { $( $field: $section::build(values)?, )* })
            }
        }

        /// Every key, section by section.
        pub fn keys() -> impl Iterator<Item = &'static Key> {
            [$($section::KEYS),*].into_iter().flatten()
        }

        /// The name of every section.
        pub fn sections() -> impl Iterator<Item = &'static str> {
            [$(stringify!($field)),*].into_iter()
        }
    };
}
sections! {
    server: Server,
    store: Store,
    redis: Redis,
    shield: Shield,
    audit: Audit,
    peers: Peers,
    kernel: Kernel,
    cluster: Cluster,
    chaos: Chaos,
    log: Log,
    telemetry: Telemetry,
    auth: Auth,
    limits: Limits,
    webhooks: Webhooks,
    value: Value,
    flow: Flow,
    mlflow: Mlflow,
}

/// The key at `path`.
pub fn find(path: &str) -> Option<&'static Key> {
    static BY_PATH: LazyLock<HashMap<&'static str, &'static Key>> =
        LazyLock::new(|| keys().map(|key| (key.path, key)).collect());
    BY_PATH.get(path).copied()
}

/// The key (or the section) that `typed` probably means: a slip in its name, or its right name in
/// the wrong section.
pub fn suggest(typed: &str, section: bool) -> Option<&'static str> {
    if section {
        return nearest(typed, sections());
    }
    let name = typed.rsplit_once('.').map_or(typed, |(_, name)| name);
    let same_section = || {
        let (section, _) = typed.split_once('.')?;
        let near = nearest(name, keys().filter(|k| k.section() == section).map(Key::name))?;
        keys().find(|k| k.section() == section && k.name() == near)
    };
    let any_section = || {
        let near = nearest(name, keys().map(Key::name))?;
        keys().find(|k| k.name() == near)
    };
    same_section().or_else(any_section).map(|key| key.path)
}
