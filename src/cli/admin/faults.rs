//! `kiki admin faults`.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::exit::{CliError, CliResult};
use super::super::format::table;
use super::client::Admin;
use super::print::{fields, list, out, word};

/// List, add and remove faults on purpose
///
/// Faults strike the messages of matching actors for a limited time, to see how the rest copes.
/// The node accepts them only with chaos.enabled = true.
#[derive(Debug, Args)]
pub struct FaultsCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the rules that are set
    ///
    /// Each with how often it struck and how long it has left.
    #[command(after_long_help = "Example:\n  kiki admin faults list")]
    List,
    Add(AddArgs),
    /// Remove a rule, or all of them
    ///
    /// What a removed rule held back goes on.
    #[command(
        after_long_help = "Examples:\n  kiki admin faults remove 3\n  kiki admin faults remove --all"
    )]
    Remove {
        /// The rule's number, as `list` prints it
        #[arg(value_name = "ID", required_unless_present = "all")]
        id: Option<u64>,

        /// Remove every rule
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

/// Add a rule
///
/// Strikes messages of actors whose path matches, with the given chance, until its time is over.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki admin faults add '/shield/budget/*' panic --probability 0.01 --ttl-ms 60000\n  kiki admin faults add '/shield/**' delay --delay-ms 250"
)]
struct AddArgs {
    /// Paths that it strikes: `*` within a segment, `**` across segments
    #[arg(value_name = "PATTERN")]
    pattern: String,

    /// What happens to a message
    #[arg(value_enum, value_name = "FAULT")]
    fault: Fault,

    /// The chance that it strikes a message, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    probability: f64,

    /// How long the rule lasts, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    ttl_ms: u64,

    /// How much later a delayed message is handled, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100)]
    delay_ms: u64,

    /// Messages a second that a flood adds to each mailbox, or that a throttle lets pass
    #[arg(long, value_name = "N", default_value_t = 1000)]
    per_second: u32,

    /// The same seed strikes the same messages
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Fault {
    /// The handler panics
    Panic,
    /// The handler fails
    Error,
    /// The handler begins later
    Delay,
    /// The handler does not begin while the rule lasts
    Hang,
    /// The message is lost, unless its actor sent it itself
    Drop,
    /// The message is handled twice
    Duplicate,
    /// The mailbox is filled with noise
    Flood,
    /// The mailboxes refuse what goes beyond a rate
    Throttle,
    /// What is answered makes no sense (predictors)
    Corrupt,
}

/// Runs the command.
pub async fn run(admin: &Admin, args: FaultsCommand) -> CliResult {
    match args.command {
        Action::List => admin.print(&admin.get("/faults", &[]).await?, faults),
        Action::Add(args) => {
            let body = rule(&args)?;
            let answer =
                admin.call(admin.request(Method::POST, "/faults", &[]).json(&body)).await?;
            admin.print(&answer, |answer| format!("fault {} is set\n", word(&answer["id"])))
        }
        Action::Remove { id: Some(id), .. } => remove(admin, &format!("/faults/{id}")).await,
        Action::Remove { id: None, .. } => remove(admin, "/faults").await,
    }
}

async fn remove(admin: &Admin, path: &str) -> CliResult {
    let answer = admin.call(admin.request(Method::DELETE, path, &[])).await?;
    match admin.json && !answer.is_null() {
        true => admin.print(&answer, |_| String::new()),
        false => out("removed\n"),
    }
}

fn rule(args: &AddArgs) -> Result<Value, CliError> {
    if !(0.0..=1.0).contains(&args.probability) {
        return Err(CliError::usage("--probability: expected 0 to 1"));
    }
    let name = args.fault.to_possible_value().map(|value| value.get_name().to_owned());
    let mut rule = json!({
        "pattern": args.pattern,
        "fault": name,
        "probability": args.probability,
        "ttl_ms": args.ttl_ms,
        "seed": args.seed,
    });
    match args.fault {
        Fault::Delay => rule["delay_ms"] = json!(args.delay_ms),
        Fault::Flood | Fault::Throttle => rule["per_second"] = json!(args.per_second),
        _ => {}
    }
    Ok(rule)
}

fn faults(answer: &Value) -> String {
    let row = |fault: &Value| {
        let cell = |name: &str| word(&fault[name]);
        let shown = ["id", "pattern", "fault", "probability", "hits", "left_ms", "ttl_ms", "seed"];
        vec![
            cell("id"),
            cell("pattern"),
            cell("fault"),
            cell("probability"),
            cell("hits"),
            cell("left_ms"),
            fields(fault, &shown),
        ]
    };
    let rows: Vec<_> = list(answer, "faults").iter().map(row).collect();
    table(&["ID", "PATTERN", "FAULT", "CHANCE", "HITS", "LEFT (MS)", "MORE"], &rows)
}
