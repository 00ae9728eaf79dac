//! `kiki admin breakers`.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::super::exit::CliResult;
use super::super::format::table;
use super::client::{Admin, url_path};
use super::print::{list, word};

/// List the circuit breakers, or close one
///
/// A breaker opens after failures in a row and lets a probe through after a while. A reset closes
/// it at once; use it when the other side is known to be well again.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki admin breakers\n  kiki admin breakers --reset /shield/store"
)]
pub struct BreakersArgs {
    /// Close the breaker of this actor
    #[arg(long, value_name = "PATH")]
    reset: Option<String>,
}

/// Runs the command.
pub async fn run(admin: &Admin, args: &BreakersArgs) -> CliResult {
    let Some(path) = &args.reset else {
        let answer = admin.get("/breakers", &[]).await?;
        return admin.print(&answer, breakers);
    };
    let target = format!("/breakers{}/reset", url_path(path));
    let answer = admin.call(admin.request(Method::POST, &target, &[])).await?;
    admin.print(&answer, |_| format!("{path}: breaker closed\n"))
}

fn breakers(answer: &Value) -> String {
    let row = |entry: &Value| {
        // The breaker's own fields may stand beside the path or below it.
        let breaker = if entry["breaker"].is_object() { &entry["breaker"] } else { entry };
        let cell = |name: &str| word(&breaker[name]);
        vec![
            word(&entry["path"]),
            cell("state"),
            cell("consecutive_failures"),
            cell("opened_total"),
            cell("refused_total"),
            cell("throttled_total"),
            cell("last_change"),
        ]
    };
    let rows: Vec<_> = list(answer, "breakers").iter().map(row).collect();
    let head = ["PATH", "STATE", "FAILURES", "OPENED", "REFUSED", "THROTTLED", "LAST CHANGE"];
    table(&head, &rows)
}
