//! `kiki admin actors`.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::super::exit::CliResult;
use super::super::format::table;
use super::client::Admin;
use super::print::{list, mailbox, out, word};

/// List actors, a page at a time
///
/// Prints each actor's state, mailbox, messages handled and restarts, and the cursor of the next
/// page.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki admin actors --prefix /shield/budget --sort depth\n  kiki admin actors --type budget --all"
)]
pub struct ActorsArgs {
    /// Only actors whose path begins so
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,

    /// Only actors of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,

    /// Order of the list
    #[arg(long, value_enum, default_value_t = Sort::Path)]
    sort: Sort,

    /// Where the page begins: the cursor that the page before printed
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,

    /// Actors a page
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,

    /// Print every page
    #[arg(long, conflicts_with = "cursor")]
    all: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// By path
    Path,
    /// Most waiting messages first
    Depth,
    /// Most restarts first
    Restarts,
}

/// Runs the command.
pub async fn run(admin: &Admin, args: &ActorsArgs) -> CliResult {
    let sort = args.sort.to_possible_value().map(|value| value.get_name().to_owned());
    let mut cursor = args.cursor.clone();
    loop {
        let limit = args.limit.to_string();
        let parameters = [
            ("prefix", args.prefix.clone()),
            ("type", args.kind.clone()),
            ("sort", sort.clone()),
            ("limit", Some(limit)),
            ("cursor", cursor.take()),
        ];
        let query: Vec<_> = parameters.into_iter().filter_map(|(n, v)| Some((n, v?))).collect();
        let answer = admin.get("/actors", &query).await?;
        admin.print(&answer, page)?;
        cursor = answer["next"].as_str().map(str::to_owned);
        match &cursor {
            Some(_) if args.all => {}
            Some(next) if !admin.json => return out(&format!("next page: --cursor {next}\n")),
            _ => return Ok(()),
        }
    }
}

fn page(answer: &Value) -> String {
    let row = |actor: &Value| {
        let cell = |name: &str| word(&actor[name]);
        vec![
            cell("path"),
            cell("type"),
            cell("state"),
            mailbox(actor),
            cell("handled"),
            cell("restarts"),
        ]
    };
    let rows: Vec<_> = list(answer, "actors").iter().map(row).collect();
    let head = ["PATH", "TYPE", "STATE", "MAILBOX", "HANDLED", "RESTARTS"];
    format!("{}{} of {} actors\n", table(&head, &rows), rows.len(), word(&answer["total"]))
}
