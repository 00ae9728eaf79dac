//! `kiki admin dead-letters`.

use clap::Args;
use serde_json::Value;

use super::super::exit::CliResult;
use super::super::format::table;
use super::client::Admin;
use super::print::{list, time, word};

/// List messages that nobody handled
///
/// The latest ones, with why: their time was over, their actor was gone, or a fault dropped them.
/// What was in a message is not kept.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki admin dead-letters --limit 20")]
pub struct DeadLettersArgs {
    /// Most letters to list
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// Runs the command.
pub async fn run(admin: &Admin, args: &DeadLettersArgs) -> CliResult {
    let answer = admin.get("/dead-letters", &[("limit", args.limit.to_string())]).await?;
    admin.print(&answer, letters)
}

fn letters(answer: &Value) -> String {
    let row = |letter: &Value| {
        let cell = |name: &str| word(&letter[name]);
        vec![time(&letter["at_us"]), cell("path"), cell("message"), cell("why"), cell("trace")]
    };
    let rows: Vec<_> = list(answer, "dead_letters").iter().map(row).collect();
    table(&["TIME", "PATH", "MESSAGE", "WHY", "TRACE"], &rows)
}
