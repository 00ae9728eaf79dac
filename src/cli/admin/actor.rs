//! `kiki admin actor`.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::super::exit::CliResult;
use super::client::{Admin, url_path};
use super::print::{fields, latency, list, mailbox, time, word};

/// Show one actor, or restart, drain or stop it
///
/// Shows its published state, mailbox, waiting and handling times, restarts with their reasons,
/// last errors, children and breaker. A hung actor is shown, too: nothing is asked of it.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki admin actor /shield/budget/camp_001\n  kiki admin actor /shield/budget/camp_001 restart"
)]
pub struct ActorArgs {
    /// The actor's path, as `kiki admin actors` prints it
    #[arg(value_name = "PATH")]
    path: String,

    /// What to do with it, instead of showing it
    #[arg(value_enum, value_name = "ORDER")]
    order: Option<Order>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    /// End it and start it again under its supervisor
    Restart,
    /// Let it finish what waits, then stop it
    Drain,
    /// Stop it now
    Stop,
}

/// Runs the command.
pub async fn run(admin: &Admin, args: &ActorArgs) -> CliResult {
    let path = format!("/actors{}", url_path(&args.path));
    let Some(order) = args.order.and_then(|order| order.to_possible_value()) else {
        let answer = admin.get(&path, &[]).await?;
        return admin.print(&answer, actor);
    };
    let name = order.get_name();
    let request = admin.request(Method::POST, &format!("{path}/{name}"), &[]);
    let answer = admin.call(request).await?;
    admin.print(&answer, |_| format!("{}: {name} ordered\n", args.path))
}

fn actor(answer: &Value) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<10} {value}");
    };
    line("path", word(&answer["path"]));
    line("type", word(&answer["type"]));
    line("state", word(&answer["state"]));
    line("since", time(&answer["since_us"]));
    let most = word(&answer["depth_max"]);
    line("mailbox", format!("{} (most {most})", mailbox(answer)));
    if let Value::Object(handling) = &answer["handling"] {
        let message = handling.get("message").map_or("-".to_owned(), word);
        let for_ms = handling.get("for_ms").map_or("-".to_owned(), word);
        line("handling", format!("{message} for {for_ms} ms"));
    }
    let counts = ["handled", "failed", "expired", "refused"];
    let counts: Vec<_> =
        counts.iter().map(|name| format!("{name} {}", word(&answer[*name]))).collect();
    line("messages", counts.join(", "));
    line("wait", latency(&answer["wait"]));
    line("handle", latency(&answer["handle"]));
    line("restarts", word(&answer["restarts"]));
    for (name, title) in [("restart_reasons", "restarted"), ("last_errors", "error")] {
        for incident in list(&answer[name], "") {
            line(title, format!("{} {}", time(&incident["at_us"]), word(&incident["reason"])));
        }
    }
    if !answer["breaker"].is_null() {
        line("breaker", fields(&answer["breaker"], &[]));
    }
    if !answer["parent"].is_null() {
        line("parent", word(&answer["parent"]));
    }
    for child in list(&answer["children"], "") {
        line("child", word(child));
    }
    if !answer["view"].is_null() {
        line("view", time(&answer["view_at_us"]));
        let _ = writeln!(out, "{:#}", answer["view"]);
    }
    out
}
