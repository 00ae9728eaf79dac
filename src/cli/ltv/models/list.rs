//! `kiki ltv models list`.

use clap::Args;
use serde_json::Value;

use super::super::super::exit::CliResult;
use super::super::api::print;
use super::super::shown::{aligned, figure, list, share, word};
use super::Models;

/// List the versions with their figures on the holdout, the newest first
///
/// Figures can be compared where HOLDOUT is the same: it stands for the customers and days that a version was
/// scored on. The champion answers; the challenger is tried out or waits; the former one is where a roll back leads.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  kiki ltv models list\n  kiki ltv models list --json")]
pub struct ListArgs {
    /// Versions at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

/// Runs the command.
pub async fn run(models: &Models, args: &ListArgs) -> CliResult {
    let answer = models.api.get(&format!("/models?limit={}", args.limit)).await?;
    print(models.json, &answer, table)
}

const HEADS: [&str; 10] =
    ["MODEL", "ALIAS", "KIND", "CREATED", "HOLDOUT", "GINI", "DECILE MAPE", "BIAS", "RMSE", "AUC"];
/// Of the holdout's fingerprint: enough to tell two apart.
const HOLDOUT_CHARS: usize = 8;

fn table(answer: &Value) -> String {
    let row = |model: &Value| {
        let scores = &model["scores"];
        vec![
            word(&model["model"]),
            word(&model["alias"]),
            word(&model["kind"]),
            word(&model["created_at"]),
            word(&model["holdout"]).chars().take(HOLDOUT_CHARS).collect(),
            figure(&scores["normalised_gini"], 4),
            figure(&scores["decile_mape"], 3),
            share(&scores["total_bias"]),
            figure(&scores["rmse"], 3),
            figure(&scores["activity_auc"], 4),
        ]
    };
    let rows: Vec<_> = list(answer, "models").iter().map(row).collect();
    let mut out = aligned(&HEADS, 5, &rows);
    if rows.is_empty() {
        out += "no versions yet: kiki ltv models fit makes one\n";
    } else if answer["champion"].is_null() {
        out += "no champion yet: kiki ltv models promote MODEL makes one\n";
    }
    out
}
