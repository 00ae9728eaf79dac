//! `kiki ltv models fit`, `fits` and `cancel`.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::super::exit::{CliError, CliResult};
use super::super::api::{Called, encoded, print};
use super::super::log::day;
use super::super::model_kind::ModelKind;
use super::super::progress::Progress;
use super::super::shown::{aligned, list as items, share_plain, word};
use super::{Models, show};
use crate::models::value::log::day::Day;
use crate::models::value::registry::version::Kind;

/// How often a fit is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Looks without an answer, one after the other, after which nobody waits any more.
const LOOKS_MAX: u32 = 100;

/// Fit a model on the purchases of the server, and wait for it
///
/// It is fitted up to a cut, scored on what came after it, fitted once more on everything, and kept as a version
/// that challenges the champion, who is scored beside it. Promoting it is another step. Where waiting is interrupted
/// the fit goes on: kiki ltv models fits shows it.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki ltv models fit\n  kiki ltv models fit --model bg-nbd --horizon-days 180 --no-challenge"
)]
pub struct FitArgs {
    /// What is fitted
    #[arg(long, value_enum, default_value = "blend")]
    model: ModelKind,

    /// The horizon that will mostly be asked for, in days [default: the server's value.horizon_days]
    #[arg(long, visible_alias = "horizon", value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_653))]
    horizon_days: Option<u32>,

    /// The last day of the holdout that it is scored on [default: the last day with a purchase]
    #[arg(long, value_name = "DATE", value_parser = day)]
    holdout_end: Option<Day>,

    /// The seed of everything that is dealt or drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Keep it as a version, and do not make it the challenger
    #[arg(long)]
    no_challenge: bool,

    /// Order the fit and do not wait for it
    #[arg(long)]
    no_wait: bool,
}

/// List fits since the start of the server
///
/// Those that wait, that run, and that ended last.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki ltv models fits")]
pub struct FitsArgs {}

/// Give a fit up
///
/// One that runs ends at its next step.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki ltv models cancel 5f0c…")]
pub struct CancelArgs {
    /// The fit, as fits prints it
    #[arg(value_name = "FIT")]
    fit: String,
}

/// Runs `fits`.
pub async fn list(models: &Models) -> CliResult {
    print(models.json, &models.api.get("/fits").await?, |answer| fits(items(answer, "fits")))
}

/// Runs `cancel`.
pub async fn cancel(models: &Models, args: &CancelArgs) -> CliResult {
    let path = format!("/fits/{}", encoded(&args.fit));
    let answer = models.api.answer(models.api.call(Method::DELETE, &path, None).await)?;
    print(models.json, &answer, |fit| fits(std::slice::from_ref(fit)))
}

fn fits(of: &[Value]) -> String {
    let row = |fit: &Value| {
        let outcome = if fit["error"].is_null() { &fit["model"] } else { &fit["error"] };
        vec![
            word(&fit["id"]),
            word(&fit["kind"]),
            word(&fit["state"]),
            share_plain(&fit["progress"]),
            word(&fit["asked_at"]),
            word(&fit["asked_by"]),
            word(outcome),
        ]
    };
    let rows: Vec<_> = of.iter().map(row).collect();
    aligned(&["FIT", "KIND", "STATE", "DONE", "ASKED", "BY", "OUTCOME"], 7, &rows)
}

/// Runs `fit`.
pub async fn fit(models: &Models, args: &FitArgs) -> CliResult {
    let mut body = json!({
        "model": Kind::from(args.model), "seed": args.seed, "challenge": !args.no_challenge,
    });
    if let Some(days) = args.horizon_days {
        body["horizon_days"] = json!(days);
    }
    if let Some(day) = args.holdout_end {
        body["holdout_end"] = json!(day);
    }
    let api = &models.api;
    let ordered = api.answer(api.call(Method::POST, "/fits", Some(&body)).await)?;
    if args.no_wait {
        return print(models.json, &ordered, |fit| fits(std::slice::from_ref(fit)));
    }
    let id = ordered["id"].as_str().unwrap_or_default().to_owned();
    let ended = tokio::select! {
        ended = wait(models, &id) => ended?,
        _ = tokio::signal::ctrl_c() => {
            let id = word(&ordered["id"]);
            return Err(CliError::interrupted(format!(
                "the fit {id} goes on; kiki ltv models fits shows it, kiki ltv models cancel {id} ends it"
            )));
        }
    };
    if ended["state"] != "done" {
        if models.json {
            print(true, &ended, |_| String::new())?;
        }
        let why = ended["error"].as_str().map_or(word(&ended["state"]), |_| word(&ended["error"]));
        return Err(CliError::failed(format!("the fit {}: {why}", word(&ended["state"]))));
    }
    let model = encoded(ended["model"].as_str().unwrap_or_default());
    let made = api.get(&format!("/models/{model}")).await?;
    print(models.json, &made, show::version)
}

/// Looks at a fit until it has ended.
async fn wait(models: &Models, id: &str) -> Result<Value, CliError> {
    let progress = Progress::new();
    let path = format!("/fits/{}", encoded(id));
    let mut unanswered = 0;
    let ended = loop {
        match models.api.call(Method::GET, &path, None).await {
            Called::Answer(fit) => {
                unanswered = 0;
                progress.at(word(&fit["step"]), fit["progress"].as_f64().unwrap_or(0.0));
                if !matches!(fit["state"].as_str(), Some("queued" | "running")) {
                    break Ok(fit);
                }
            }
            Called::Refused(refusal) if refusal.status == 404 => {
                break Err(CliError::failed(format!("{refusal}: was the server started anew?")));
            }
            Called::Refused(refusal)
                if refusal.status.is_client_error() && refusal.status != 429 =>
            {
                break Err(CliError::failed(refusal));
            }
            // A server that is busy or starts anew does not end the waiting at once.
            Called::Refused(refusal) if unanswered >= LOOKS_MAX => {
                break Err(CliError::failed(refusal));
            }
            Called::Nothing(why) if unanswered >= LOOKS_MAX => {
                break Err(models.api.unanswered(&why));
            }
            Called::Refused(_) | Called::Nothing(_) => unanswered += 1,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    progress.finish();
    ended
}
