//! What of a fit is told to MLflow.

use super::run::{ACCOUNT, Run};
use crate::models::value::forecast::terms::FitReport;
use crate::models::value::metrics::coverage::Coverage;
use crate::models::value::metrics::scores::Scores;

/// Whose run it is.
pub fn account(run: &mut Run, account: &str) {
    run.tag(ACCOUNT, account);
}

/// Fitted parameters as parameters; log-likelihoods (of the whole: the sum of its parts), factors and
/// counts as metrics.
pub fn fitted(run: &mut Run, report: &FitReport) {
    let mut all = 0.0;
    for part in &report.parts {
        let kind = part.kind.as_str();
        for of in &part.parameters {
            run.param(&format!("{kind}.{}", of.name), of.value);
        }
        run.metric(&format!("{kind}.log_likelihood"), part.log_likelihood);
        all += part.log_likelihood;
    }
    if !report.parts.is_empty() {
        run.metric("log_likelihood", all);
    }
    run.metric("customers", report.customers as f64);
    run.metric("repeaters", report.repeaters as f64);
    run.metric("calibrated_on", report.calibrated_on as f64);
    for (name, value) in [("weight", report.weight), ("ratio", report.ratio)] {
        run.metric(name, value.unwrap_or(f64::NAN));
    }
    if !report.notes.is_empty() {
        run.tag("kiki.notes", report.notes.join("; "));
    }
}

/// What forecasts were worth on a holdout.
pub fn scores(run: &mut Run, scores: &Scores) {
    let Scores {
        rows,
        actual_total,
        predicted_total,
        normalised_gini,
        decile_mape,
        total_bias,
        mae,
        rmse,
        spearman,
        activity_auc,
    } = *scores;
    for (name, value) in [
        ("holdout.customers", Some(rows as f64)),
        ("holdout.actual_total", Some(actual_total)),
        ("holdout.predicted_total", Some(predicted_total)),
        ("holdout.normalised_gini", normalised_gini),
        ("holdout.decile_mape", Some(decile_mape)),
        ("holdout.total_bias", total_bias),
        ("holdout.mae", Some(mae)),
        ("holdout.rmse", Some(rmse)),
        ("holdout.spearman", spearman),
        ("holdout.activity_auc", activity_auc),
    ] {
        run.metric(name, value.unwrap_or(f64::NAN));
    }
}

/// What intervals held there.
pub fn coverage(run: &mut Run, coverage: &Coverage) {
    run.metric("holdout.coverage", coverage.covered);
    run.metric("holdout.mean_width", coverage.mean_width);
}
