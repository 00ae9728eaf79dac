//! The page.

use std::fmt::Write;

use super::charts::{by_frequency, deciles, tracking};
use super::style::STYLE;
use super::text::{escaped, number, or_dash, percent};
use crate::value::evaluate::judged::Evaluation;
use crate::value::metrics::calibration;
use crate::value::metrics::scores::Scores;
use crate::value::metrics::tracking::mape;

/// What a page is told besides the figures.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The kind of model.
    pub model: &'a str,
    /// Where the purchases are from.
    pub source: &'a str,
    /// The currency's code; units of it are said where none is known.
    pub currency: Option<&'a str>,
}

const KEY: &str = "<div class=\"key\"><span><i class=\"p\"></i>predicted</span>\
                   <span><i class=\"a\"></i>actual</span></div>";

fn figure(out: &mut String, title: &str, note: &str, chart: &str) {
    let (title, note) = (escaped(title), escaped(note));
    let _ =
        write!(out, "<h2>{title}</h2><p class=\"soft\">{note}</p><figure>{KEY}{chart}</figure>");
}

fn figures(name: &str, class: &str, of: &Scores) -> String {
    let three = |value: Option<f64>| or_dash(value.map(|v| number(v, 4)));
    let cells = [
        escaped(name),
        three(of.normalised_gini),
        number(of.decile_mape, 3),
        or_dash(of.total_bias.map(|bias| percent(bias, true))),
        number(of.mae, 3),
        number(of.rmse, 3),
        three(of.spearman),
        three(of.activity_auc),
        number(of.predicted_total, 0),
    ];
    format!("<tr class=\"{class}\"><td>{}</td></tr>", cells.join("</td><td>"))
}

fn table(out: &mut String, title: &str, rows: &[String], actual: &str) {
    let heads = [
        "",
        "Gini (norm.)",
        "decile MAPE",
        "total bias",
        "MAE",
        "RMSE",
        "Spearman",
        "AUC active",
        "total",
    ];
    let title = escaped(title);
    let _ = write!(
        out,
        "<h2>{title}</h2><p class=\"soft\">{}</p><div class=\"scroll\"><table><thead><tr><th>{}</th></tr>\
         </thead><tbody>{}</tbody></table></div>",
        escaped(actual),
        heads.join("</th><th>"),
        rows.concat()
    );
}

/// The whole page, UTF-8, without a single reference to anything outside of it.
pub fn page(of: &Evaluation, about: About<'_>) -> String {
    let unit = about.currency.unwrap_or("currency units");
    let how = match of.folds {
        0 => "a model of everything up to the cut, judged by what came after it".to_owned(),
        n => format!(
            "{n} folds by customer: each judged by a model that has seen none of its customers"
        ),
    };
    let title = format!("Evaluation of {}", about.model);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>",
        escaped(&title)
    );
    let coverage = &of.coverage;
    let _ = write!(
        out,
        "<h1>{}</h1><p class=\"soft\">{}</p><dl>\
         <dt>Holdout</dt><dd>after {} up to {}, {} days</dd>\
         <dt>Customers</dt><dd>{}</dd>\
         <dt>How</dt><dd>{}</dd>\
         <dt>95% intervals</dt><dd>held {} ({} said), mean width {} {}</dd>\
         <dt>Bought at all</dt><dd>AUC {} by its probability</dd>\
         <dt>Calibration error</dt><dd>{} purchases per customer by frequency; {} of the cumulative spend</dd></dl>",
        escaped(&title),
        escaped(about.source),
        of.holdout.cut,
        of.holdout.end,
        of.holdout.days(),
        number(of.customers as f64, 0),
        escaped(&how),
        percent(coverage.covered, false),
        percent(of.mean_confidence, false),
        number(coverage.mean_width, 2),
        escaped(unit),
        or_dash(of.activity_auc.map(|auc| number(auc, 4))),
        number(calibration::error(&of.by_frequency), 3),
        or_dash(mape(&of.tracking).map(|error| percent(error, false))),
    );
    let mut rows = vec![figures(about.model, "model", &of.spend)];
    rows.extend(of.baselines.iter().map(|b| figures(&b.name.replace('_', " "), "", &b.scores)));
    let actual = format!(
        "Actual total: {} {unit}. MAE and RMSE per customer.",
        number(of.spend.actual_total, 0)
    );
    table(&mut out, &format!("Spend ({unit}), against forecasts without a model"), &rows, &actual);
    let counts = [figures(about.model, "model", &of.purchases)];
    let actual =
        format!("Actual total: {} days with a purchase.", number(of.purchases.actual_total, 0));
    table(&mut out, "Purchases (days with a purchase)", &counts, &actual);
    figure(
        &mut out,
        "Calibration by frequency: purchases",
        "Mean purchases per customer in the holdout, by how often the customer had bought again before it.",
        &by_frequency(
            &of.by_frequency,
            "Predicted and actual purchases by frequency",
            "purchases",
            "Purchases per customer",
        ),
    );
    figure(
        &mut out,
        "Calibration by frequency: spend",
        "Mean spend per customer in the holdout.",
        &by_frequency(
            &of.spend_by_frequency,
            "Predicted and actual spend by frequency",
            unit,
            &format!("Spend per customer ({unit})"),
        ),
    );
    figure(
        &mut out,
        "Deciles",
        "Customers in ten equal groups by prediction: the levels of each group, and how well they are told apart.",
        &deciles(&of.deciles, unit),
    );
    figure(
        &mut out,
        "Cumulative tracking",
        "Spend of all customers since the cut.",
        &tracking(&of.tracking, unit),
    );
    out.push_str("</main></body></html>\n");
    out
}
