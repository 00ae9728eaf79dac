//! `kiki admin services`.

use clap::Args;
use serde_json::Value;

use super::super::exit::CliResult;
use super::super::format::table;
use super::client::Admin;
use super::print::{list, word};

/// List the services with whether they can serve
///
/// A service that cannot serve says why, and its children are shown with their states.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki admin services")]
pub struct ServicesArgs {}

/// Runs the command.
pub async fn run(admin: &Admin) -> CliResult {
    admin.print(&admin.get("/services", &[]).await?, services)
}

fn services(answer: &Value) -> String {
    let row = |service: &Value| {
        let ready = if service["ready"].as_bool() == Some(true) { "ready" } else { "not ready" };
        let children = service["children"].as_object().into_iter().flatten();
        let children: Vec<_> =
            children.map(|(name, state)| format!("{name} {}", word(state))).collect();
        vec![
            word(&service["name"]),
            word(&service["path"]),
            ready.to_owned(),
            word(&service["reason"]),
            children.join(", "),
        ]
    };
    let rows: Vec<_> = list(answer, "services").iter().map(row).collect();
    table(&["SERVICE", "PATH", "STATE", "REASON", "CHILDREN"], &rows)
}
