//! Configuration: one struct per concern, every key explained in `config/default.toml`.
//!
//! Sources, a later one winning: the built-in defaults, the file of `--config`, the `.env` file,
//! the environment, the flags. A section is one file here; its `section!` lines are the structs,
//! the keys that files may name, their limits and their variables at once. To add a section: a
//! file, a line in `keys.rs`, and its keys with their comments in `config/default.toml`.

mod address;
mod choice;
mod environment;
mod file;
mod keys;
mod load;
mod problem;
mod raw;
mod rules;
mod secret;
mod section;
mod setting;
mod show;
mod suggest;
mod token_secret;
mod values;
mod variables;

mod audit;
mod auth;
mod chaos;
mod cluster;
mod flow;
mod kernel;
mod limits;
mod log;
mod mlflow;
mod peers;
mod redis;
mod server;
mod shield;
mod store;
mod telemetry;
mod value;
mod webhooks;

pub use address::{HostPort, HttpUrl};
pub use audit::Audit;
pub use auth::{Algorithms, Auth};
pub use chaos::Chaos;
pub use choice::{AuthMode, Leases, LogFormat};
pub use cluster::Cluster;
pub use environment::Environment;
pub use flow::Flow;
pub use kernel::Kernel;
pub use keys::{Config, find, keys};
pub use limits::Limits;
pub use load::{DEFAULT_TOML, Loaded, Loader};
pub use log::{Filter, Log};
pub use mlflow::Mlflow;
pub use peers::Peers;
pub use problem::{Problem, Problems, Source};
pub use redis::Redis;
pub use secret::{DatabaseUrl, Secret};
pub use section::Key;
pub use server::Server;
pub use setting::{Millis, Ratio, Seconds, Setting};
pub use shield::Shield;
pub use show::show;
pub use store::Store;
pub use telemetry::Telemetry;
pub use token_secret::{MASTER_KEY_FILE, TOKEN_SECRET_FILE, master_key, token_secret};
pub use value::Value;
pub use values::Values;
pub use webhooks::Webhooks;
