//! `kiki ltv models show` and `outcomes`.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::super::super::exit::CliResult;
use super::super::api::{encoded, print};
use super::super::shown::{aligned, figure, list, share, word};
use super::Models;

/// Show a version: how it was fitted, its scores, and what it answered
///
/// Parameters with their standard errors, log-likelihood, figures on the holdout and what its intervals held
/// there. Of a version that serves also what it has answered since it was loaded.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki ltv models show blend-20261121-1a2b3c4d5e")]
pub struct ShowArgs {
    /// The version, as list prints it
    #[arg(value_name = "MODEL")]
    model: String,
}

/// Compare a version's forecasts with what came true
///
/// One forecast a week is kept of each customer and version, and compared when its horizon is over.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki ltv models outcomes blend-20261121-1a2b3c4d5e")]
pub struct OutcomesArgs {
    /// The version, as list prints it
    #[arg(value_name = "MODEL")]
    model: String,
}

/// Runs `show`.
pub async fn run(models: &Models, args: &ShowArgs) -> CliResult {
    let answer = models.api.get(&format!("/models/{}", encoded(&args.model))).await?;
    print(models.json, &answer, version)
}

/// Runs `outcomes`.
pub async fn outcomes(models: &Models, args: &OutcomesArgs) -> CliResult {
    let path = format!("/models/{}/outcomes", encoded(&args.model));
    print(models.json, &models.api.get(&path).await?, compared)
}

/// Each on a line, names before values.
fn lines(out: &mut String, rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<width$}  {value}");
    }
}

fn scores(out: &mut String, of: &Value) {
    let heads =
        ["GINI", "DECILE MAPE", "BIAS", "MAE", "RMSE", "SPEARMAN", "AUC", "TOTAL", "ACTUAL"];
    let row = vec![
        figure(&of["normalised_gini"], 4),
        figure(&of["decile_mape"], 3),
        share(&of["total_bias"]),
        figure(&of["mae"], 3),
        figure(&of["rmse"], 3),
        figure(&of["spearman"], 4),
        figure(&of["activity_auc"], 4),
        figure(&of["predicted_total"], 0),
        figure(&of["actual_total"], 0),
    ];
    *out += &aligned(&heads, 0, &[row]);
}

/// A version, for people.
pub fn version(of: &Value) -> String {
    let (report, mut out) = (&of["report"], String::new());
    let rows = [
        ("model", word(&of["model"])),
        ("alias", word(&of["alias"])),
        ("kind", word(&of["kind"])),
        ("created", word(&of["created_at"])),
        ("horizon", format!("{} days", word(&of["horizon_days"]))),
        ("scored on", format!("{} to {}", word(&report["cut"]), word(&report["end"]))),
        ("fitted to", word(&report["fitted_to"])),
        ("customers", figure(&report["customers"], 0)),
        ("intervals", format!("{} held", share_of(&report["coverage"]["covered"]))),
        ("time", format!("{} s", figure(&report["seconds"], 1))),
        ("data", word(&of["data"])),
    ];
    lines(&mut out, &rows);
    out += "\nOn the holdout\n";
    scores(&mut out, &of["scores"]);
    let fit = &report["fit"];
    for part in list(fit, "parts") {
        let _ = write!(
            out,
            "\n{}: log-likelihood {}\n",
            word(&part["kind"]),
            figure(&part["log_likelihood"], 4)
        );
        let row = |of: &Value| {
            vec![word(&of["name"]), figure(&of["value"], 6), figure(&of["std_error"], 6)]
        };
        let rows: Vec<_> = list(part, "parameters").iter().map(row).collect();
        out += &aligned(&["PARAMETER", "VALUE", "STD ERROR"], 1, &rows);
    }
    for note in list(fit, "notes") {
        let _ = writeln!(out, "note: {}", word(note));
    }
    if let Some(online) = of["online"].as_object() {
        out += "\nSince it was loaded\n";
        let rows: Vec<(&str, String)> =
            online.iter().map(|(name, value)| (name.as_str(), word(value))).collect();
        lines(&mut out, &rows);
    }
    out
}

fn share_of(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |v| format!("{:.1}%", v * 100.0))
}

fn compared(of: &Value) -> String {
    let mut out = String::new();
    let rows = [
        ("model", word(&of["model"])),
        ("open", figure(&of["open"], 0)),
        ("closed", figure(&of["closed"], 0)),
        ("compared", figure(&of["compared"], 0)),
        ("intervals", format!("{} held", share_of(&of["coverage"]["covered"]))),
    ];
    lines(&mut out, &rows);
    if of["scores"].is_object() {
        out.push('\n');
        scores(&mut out, &of["scores"]);
    }
    let row = |class: &Value| {
        vec![
            figure(&class["forecasts"], 0),
            figure(&class["predicted"], 2),
            figure(&class["actual"], 2),
        ]
    };
    let rows: Vec<_> = list(of, "calibration").iter().map(row).collect();
    if !rows.is_empty() {
        out += "\nMeans of each tenth, by prediction\n";
        out += &aligned(&["FORECASTS", "PREDICTED", "ACTUAL"], 0, &rows);
    }
    out
}
