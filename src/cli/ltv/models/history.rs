//! `kiki ltv models history`.

use clap::Args;
use serde_json::Value;

use super::super::super::exit::CliResult;
use super::super::super::format::table;
use super::super::api::print;
use super::super::shown::{list, word};
use super::Models;

/// Show what was done to the models, by whom and why, the newest first
///
/// Registered, challenged, promoted (some by force, with the reason that was given; --json has what spoke against
/// it, too) and rolled back.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki ltv models history --limit 20")]
pub struct HistoryArgs {
    /// Lines at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// Runs the command.
pub async fn run(models: &Models, args: &HistoryArgs) -> CliResult {
    let answer = models.api.get(&format!("/registry?limit={}", args.limit)).await?;
    print(models.json, &answer, lines)
}

fn lines(answer: &Value) -> String {
    let row = |entry: &Value| {
        let version = if entry["event"] == "registered" {
            &entry["version"]["id"]
        } else if entry["event"] == "rolled_back" {
            &entry["to"]
        } else {
            &entry["version"]
        };
        let at = entry["at_us"].as_i64().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        let at = at.map_or("-".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let reason = [&entry["reason"], &entry["forced"]["reason"]];
        let reason = reason.into_iter().find(|reason| reason.is_string());
        let event = match entry["forced"].is_object() {
            true => format!("{} by force", word(&entry["event"])),
            false => word(&entry["event"]),
        };
        vec![
            word(&entry["seq"]),
            at,
            word(&entry["by"]),
            event,
            word(version),
            reason.map_or_else(String::new, word),
        ]
    };
    let rows: Vec<_> = list(answer, "entries").iter().map(row).collect();
    table(&["SEQ", "AT", "BY", "EVENT", "MODEL", "REASON"], &rows)
}
