//! `kiki-chaos list`

use clap::Args;

use super::{CliResult, say, subjects};
use crate::experiment::rows::rows;

/// List the experiments that come with the program
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  kiki-chaos list\n  kiki-chaos list --tag short --json")]
pub struct ListArgs {
    /// Only experiments with this tag
    #[arg(long)]
    tag: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ListArgs) -> CliResult {
    let subjects = subjects::read(&[], args.tag.as_deref())?;
    let rows = rows(subjects.iter().map(|it| (it.name.as_str(), &it.experiment)));
    if args.json {
        say(&serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?);
        return Ok(0);
    }
    for row in rows {
        let tags =
            if row.tags.is_empty() { String::new() } else { format!(" [{}]", row.tags.join(", ")) };
        say(&format!(
            "{}{tags}\n    {}: {} of load\n    {}",
            row.name,
            row.faults.join(", "),
            row.length,
            row.title
        ));
    }
    Ok(0)
}
