//! `kiki keys`: API keys, in the store itself.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use serde_json::json;

use super::config_args::ConfigArgs;
use super::database;
use super::exit::{CliError, CliResult};
use super::format::table;
use crate::access::{KeyError, NewKey, keys};
use crate::actors::shield::view::rfc3339;
use crate::clock;
use crate::models::access::{KeyId, Role, Scopes, Stored};
use crate::store::{ServerLock, Store};

/// Make, list and revoke the API keys that callers prove themselves with
///
/// Works on the configured store, also while a server runs on it: the server knows within two
/// seconds, and tells of it in the audit log. A key has a role (viewer reads, operator also spends,
/// chaos also sets faults, admin does everything) and scopes (the services and accounts that it is
/// good for).
#[derive(Debug, Args)]
pub struct KeysCommand {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Make a key and print it, this once
///
/// The key alone goes to standard output, so it can be piped; what it is good for goes to standard
/// error. Only a hash is kept. Makes the store where there is none yet.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki keys create first --role admin\n  kiki keys create bidder --role operator --scope shield:acme --expires 90d --quiet > bidder.key"
)]
struct CreateArgs {
    /// What people call it, at most 128 characters
    #[arg(value_name = "NAME")]
    name: String,

    /// viewer, exchange, operator, chaos or admin
    #[arg(long, value_name = "ROLE")]
    role: Role,

    /// Services and accounts, as in shield, shield:acme or shield,admin:acme,globex (repeatable) [default: everything]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// When it ends: days from now (90d), a day (2027-01-31) or a time (RFC 3339) [default: never]
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,

    /// Print nothing but the key
    #[arg(long, short)]
    quiet: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// List the keys, without their secrets
///
/// Revoked and expired ones, too: they tell who could call when.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki keys list")]
struct ListArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Revoke a key, for good
///
/// Servers refuse it within two seconds. Revoking it again changes nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki keys revoke ab12cd34")]
struct RevokeArgs {
    /// The key's id: the eight characters after kiki_
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub async fn run(args: KeysCommand) -> CliResult {
    match args.command {
        Action::Create(args) => create(args).await,
        Action::List(args) => list(args).await,
        Action::Revoke(args) => revoke(args).await,
    }
}

/// As whom the command line acts: who sat at it is not known.
const CLI: &str = "cli";

/// The store, made or brought up to date unless a server has it, and the account whose audit log tells
/// of keys.
async fn open(args: &ConfigArgs) -> Result<(Store, String), CliError> {
    let config = args.load()?.config;
    let opening = config.store.opening();
    database::must_be_one(&opening)?;
    let store = match ServerLock::holder(&config.store.data_dir)? {
        Some(_) => Store::open_existing(opening).await?,
        None => Store::open(opening).await?,
    };
    Ok((store, config.shield.default_account))
}

async fn create(args: CreateArgs) -> CliResult {
    let now = clock::wall_us();
    let bad = |what: &str, why: &dyn std::fmt::Display| CliError::usage(format!("{what} {why}"));
    let CreateArgs { name, role, .. } = &args;
    let chars = name.chars().count();
    if name.trim().is_empty() || chars > keys::KEY_NAME_CHARS_MAX || name.contains(char::is_control)
    {
        return Err(CliError::usage("NAME: expected 1 to 128 characters, none of them a control"));
    }
    let mut scopes = Vec::new();
    for text in &args.scopes {
        // Each by itself first, to name the one that is wrong.
        Scopes::parse([text.as_str()])
            .and_then(Scopes::of_services)
            .map_err(|e| bad(&format!("--scope {text:?}"), &e))?;
        scopes.push(text.as_str());
    }
    let scopes = Scopes::parse(scopes).map_err(|e| bad("--scope", &e))?;
    let expires_at = args.expires.as_deref().map(|text| keys::expiry(text, now)).transpose();
    let expires_at = expires_at.map_err(|e| bad("--expires", &e))?;
    let (store, log) = open(&args.config).await?;
    let created_by = CLI.to_owned();
    let new = NewKey { name: name.clone(), role: *role, scopes, created_by, expires_at };
    let made = keys::create(&store, &log, new, now).await;
    store.close().await;
    let (key, stored) = made.map_err(failed)?;
    if !args.quiet {
        // Where the key cannot be printed, it is of no use to anybody either.
        writeln!(io::stderr(), "{}\nThe key, shown this once:", told(&stored))?;
    }
    let text = key.text();
    writeln!(io::stdout().lock(), "{}", *text)?;
    Ok(())
}

fn told(key: &Stored) -> String {
    let scopes: Vec<String> = key.scopes.grants().iter().map(ToString::to_string).collect();
    let ends = key.expires_at.map_or("never".to_owned(), rfc3339);
    format!(
        "id       {}\nname     {}\nrole     {}\nscopes   {}\nexpires  {ends}",
        key.id,
        key.name,
        key.role,
        scopes.join(" ")
    )
}

fn state(key: &Stored, now_us: i64) -> &'static str {
    match keys::is_live(key, now_us) {
        true => "live",
        false if key.revoked_at.is_some() => "revoked",
        false => "expired",
    }
}

async fn list(args: ListArgs) -> CliResult {
    let (store, _) = open(&args.config).await?;
    let found = keys::list(&store).await;
    store.close().await;
    let (found, now) = (found?, clock::wall_us());
    let mut out = io::stdout().lock();
    if args.json {
        let keys = found.iter().map(|key| json!({ "state": state(key, now), "key": key }));
        writeln!(out, "{:#}", json!({ "keys": keys.collect::<Vec<_>>() }))?;
        return Ok(());
    }
    let row = |key: &Stored| {
        let scopes: Vec<String> = key.scopes.grants().iter().map(ToString::to_string).collect();
        vec![
            key.id.to_string(),
            key.name.clone(),
            key.role.to_string(),
            scopes.join(" "),
            state(key, now).to_owned(),
            rfc3339(key.created_at),
            key.expires_at.map_or("never".to_owned(), rfc3339),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let head = ["ID", "NAME", "ROLE", "SCOPES", "STATE", "CREATED", "EXPIRES"];
    write!(out, "{}", table(&head, &rows))?;
    Ok(())
}

async fn revoke(args: RevokeArgs) -> CliResult {
    let expected = "expected the eight characters after kiki_, such as ab12cd34";
    let id: KeyId = args.id.parse().map_err(|_| CliError::usage(format!("ID: {expected}")))?;
    let (store, log) = open(&args.config).await?;
    let revoked = keys::revoke(&store, &log, id, (CLI, clock::wall_us())).await;
    store.close().await;
    let revoked = revoked.map_err(failed)?;
    let since = revoked.revoked_at.map(rfc3339).unwrap_or_default();
    writeln!(io::stdout().lock(), "{id} ({}) is revoked since {since}", revoked.name)?;
    Ok(())
}

fn failed(error: KeyError) -> CliError {
    match error {
        KeyError::Store(error) => error.into(),
        other => CliError::failed(other),
    }
}
