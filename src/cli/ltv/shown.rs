//! What the commands print for people.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::format::{grouped, table};
use super::log::Told;
use crate::models::value::evaluate::judged::Evaluation;
use crate::models::value::forecast::answer::{Forecast, Status};
use crate::models::value::forecast::model::ValueModel;
use crate::models::value::forecast::terms::FitReport;
use crate::models::value::metrics::scores::Scores;
use crate::models::value::registry::version::Kind;

/// The fitted parts, parameters by their names.
pub fn parts(report: &FitReport) -> Vec<Value> {
    let part = |part: &crate::models::value::forecast::terms::Part| {
        let parameters: serde_json::Map<String, Value> = part
            .parameters
            .iter()
            .map(|of| {
                let told = json!({
                    "value": of.value, "std_error": of.std_error, "at_bound": of.at_bound,
                });
                (of.name.clone(), told)
            })
            .collect();
        json!({
            "kind": part.kind,
            "parameters": parameters,
            "log_likelihood": part.log_likelihood,
            "customers": part.customers,
            "iterations": part.iterations,
        })
    };
    report.parts.iter().map(part).collect()
}

/// Text whose control characters cannot write over the terminal.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// A field of an answer in words: text as it is, nothing as `-`.
pub fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// The list in an answer's field.
pub fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

/// A number of an answer with so many decimals.
pub fn figure(value: &Value, decimals: usize) -> String {
    or_dash(value.as_f64(), decimals)
}

/// A share of an answer with its sign: `+5.0%`.
pub fn share(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |share| format!("{:+.1}%", share * 100.0))
}

/// The same without its sign and in whole percents.
pub fn share_plain(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |share| format!("{:.0}%", share * 100.0))
}

/// A table whose columns from `numbers` on are flush right.
pub fn aligned(heads: &[&str], numbers: usize, rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(heads.get(at).map(|head| head.len())).max().unwrap_or(0)
    };
    let padded = |(at, cell): (usize, &str)| match at >= numbers {
        true => format!("{cell:>width$}", width = width(at)),
        false => cell.to_owned(),
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| cells.enumerate().map(padded).collect();
    let heads: Vec<String> = line(&mut heads.iter().copied());
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| line(&mut row.iter().map(String::as_str))).collect();
    table(&heads.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

pub fn fixed(value: f64, decimals: usize) -> String {
    grouped(&format!("{value:.decimals$}"))
}

fn or_dash(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| fixed(value, decimals))
}

/// A fit.
pub fn fit(model: &ValueModel, report: &FitReport, read: &Told, seconds: f64) -> String {
    let mut out = format!(
        "{} on {} customers ({} bought again) up to {}, {} rows read, {seconds:.2} s\n",
        model.kind().as_str(),
        fixed(report.customers as f64, 0),
        fixed(report.repeaters as f64, 0),
        model.cut(),
        fixed(read.rows as f64, 0),
    );
    for part in &report.parts {
        let _ = write!(
            out,
            "\n{}: log-likelihood {:.4} over {} customers\n",
            part.kind.as_str(),
            part.log_likelihood,
            fixed(part.customers as f64, 0)
        );
        let rows: Vec<Vec<String>> = part
            .parameters
            .iter()
            .map(|of| {
                let error = of.std_error.map_or("-".to_owned(), |error| format!("{error:.6}"));
                let bound = if of.at_bound { "at its bound" } else { "" };
                vec![of.name.clone(), format!("{:.6}", of.value), error, bound.to_owned()]
            })
            .collect();
        out += &aligned(&["PARAMETER", "VALUE", "STD ERROR", ""], 1, &rows);
    }
    if let Some(weight) = report.weight {
        let _ = write!(out, "\nweight of bg-nbd in the order of customers: {weight:.2}\n");
    }
    if let Some(ratio) = report.ratio {
        let _ = writeln!(out, "factor of the total: {ratio:.4}");
    }
    if report.calibrated_on > 0 {
        let _ = writeln!(
            out,
            "intervals calibrated on {} customers of an inner holdout",
            fixed(report.calibrated_on as f64, 0)
        );
    }
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

fn scores(name: &str, of: &Scores) -> Vec<String> {
    let bias = of.total_bias.map_or("-".to_owned(), |bias| format!("{:+.1}%", bias * 100.0));
    vec![
        name.to_owned(),
        or_dash(of.normalised_gini, 4),
        fixed(of.decile_mape, 3),
        bias,
        fixed(of.mae, 4),
        fixed(of.rmse, 4),
        or_dash(of.spearman, 4),
        or_dash(of.activity_auc, 4),
        fixed(of.predicted_total, 0),
        fixed(of.actual_total, 0),
    ]
}

const SCORES: [&str; 10] =
    ["", "GINI", "DECILE MAPE", "BIAS", "MAE", "RMSE", "SPEARMAN", "AUC", "TOTAL", "ACTUAL"];

/// An evaluation.
pub fn evaluation(kind: Kind, of: &Evaluation, read: &Told, seconds: f64) -> String {
    let how = match of.folds {
        0 => "fitted up to the cut".to_owned(),
        n => format!("{n} folds by customer"),
    };
    let unit = read.currency.as_deref().unwrap_or("units of the currency");
    let mut rows = vec![scores(kind.as_str(), &of.spend)];
    rows.extend(of.baselines.iter().map(|b| scores(&b.name, &b.scores)));
    let coverage = &of.coverage;
    format!(
        "{} on {} customers, holdout after {} up to {} ({how}), {seconds:.1} s\n\nSpend in {unit}\n{}\n\
         Purchases\n{}\nAUC of activity by its probability: {}\n95% intervals held {:.1}% ({:.1}% said), \
         mean width {}\n",
        kind.as_str(),
        fixed(of.customers as f64, 0),
        of.holdout.cut,
        of.holdout.end,
        aligned(&SCORES, 1, &rows),
        aligned(&SCORES, 1, &[scores(kind.as_str(), &of.purchases)]),
        or_dash(of.activity_auc, 4),
        coverage.covered * 100.0,
        of.mean_confidence * 100.0,
        fixed(coverage.mean_width, 2),
    )
}

fn status(of: Status) -> &'static str {
    match of {
        Status::Success => "success",
        Status::InsufficientData => "insufficient_data",
        Status::Fallback => "fallback",
    }
}

/// Forecasts, and the reasons of those that have some.
pub fn forecasts<'a>(
    of: impl Iterator<Item = (Option<&'a str>, &'a Forecast, Option<f64>)>,
    days: u32,
    all: usize,
) -> String {
    let (mut rows, mut reasons) = (Vec::new(), String::new());
    for (id, forecast, discounted) in of {
        rows.push(vec![
            id.map_or("-".to_owned(), printable),
            status(forecast.status).to_owned(),
            fixed(forecast.value, 2),
            fixed(forecast.lower, 2),
            fixed(forecast.upper, 2),
            format!("{:.3}", forecast.confidence),
            format!("{:.3}", forecast.purchases),
            format!("{:.3}", forecast.p_active),
            or_dash(discounted, 2),
        ]);
        if forecast.contributions.is_empty() {
            continue;
        }
        let _ = write!(
            reasons,
            "\n{}: a typical customer {}",
            id.map_or("a customer without a history".to_owned(), printable),
            fixed(forecast.baseline, 2)
        );
        for part in &forecast.contributions {
            let _ = write!(reasons, ", {} {:+.2}", part.name, part.value);
        }
        let _ = writeln!(reasons, " = {}", fixed(forecast.value, 2));
    }
    let heads = [
        "CUSTOMER",
        "STATUS",
        "VALUE",
        "LOWER",
        "UPPER",
        "CONFIDENCE",
        "PURCHASES",
        "P ACTIVE",
        "NOW",
    ];
    let mut out = format!("Expected spend within {days} days\n{}", aligned(&heads, 2, &rows));
    if all > rows.len() {
        let _ = writeln!(out, "… and {} more", all - rows.len());
    }
    out + &reasons
}
