//! `kiki ltv models challenge`, `promote` and `rollback`.

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::super::exit::CliResult;
use super::super::api::{encoded, print};
use super::super::shown::word;
use super::Models;

/// Make a version the challenger, or end the challenge
///
/// A challenger can be tried out on a share of the customers (PUT /api/v1/ltv/experiments), and promoted.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv models challenge blend-20261121-1a2b3c4d5e\n  kiki ltv models challenge --end"
)]
pub struct ChallengeArgs {
    /// The version, as list prints it
    #[arg(value_name = "MODEL", required_unless_present = "end")]
    model: Option<String>,

    /// Nobody challenges any more
    #[arg(long, conflicts_with = "model")]
    end: bool,
}

/// Make a version the champion: it answers from now on
///
/// Refused where it is worse than the champion on the same holdout, or where they cannot be compared, unless it is
/// forced with a reason. No request is dropped by it.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv models promote blend-20261121-1a2b3c4d5e\n  kiki ltv models promote bg-nbd-20261121-1a2b3c4d5e --force --reason 'the network learned from a broken import'"
)]
pub struct PromoteArgs {
    /// The version, as list prints it
    #[arg(value_name = "MODEL")]
    model: String,

    /// Promote it however it compares with the champion
    #[arg(long, requires = "reason")]
    force: bool,

    /// Why, for the history, 1 to 500 characters
    #[arg(long, value_name = "TEXT", requires = "force")]
    reason: Option<String>,
}

/// Make the champion before this one the champion again
///
/// It answers at once. The history keeps who did it and why.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki ltv models rollback --reason 'totals far too high'")]
pub struct RollbackArgs {
    /// Why, for the history, 1 to 500 characters
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Runs `challenge`.
pub async fn challenge(models: &Models, args: &ChallengeArgs) -> CliResult {
    match &args.model {
        Some(model) => {
            change(models, Method::POST, &format!("/models/{}/challenge", encoded(model)), None)
                .await
        }
        None => change(models, Method::DELETE, "/challenger", None).await,
    }
}

/// Runs `promote`.
pub async fn promote(models: &Models, args: &PromoteArgs) -> CliResult {
    let body = match &args.reason {
        Some(reason) => json!({ "force": args.force, "reason": reason }),
        None => json!({}),
    };
    let path = format!("/models/{}/promote", encoded(&args.model));
    change(models, Method::POST, &path, Some(&body)).await
}

/// Runs `rollback`.
pub async fn roll_back(models: &Models, args: &RollbackArgs) -> CliResult {
    change(models, Method::POST, "/rollback", Some(&json!({ "reason": args.reason }))).await
}

async fn change(models: &Models, method: Method, path: &str, body: Option<&Value>) -> CliResult {
    let answer = models.api.answer(models.api.call(method, path, body).await)?;
    print(models.json, &answer, |of| {
        let (champion, challenger) = (word(&of["champion"]), word(&of["challenger"]));
        format!("champion    {champion}\nchallenger  {challenger}\n")
    })
}
