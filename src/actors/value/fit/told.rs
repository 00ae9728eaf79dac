//! A fit as MLflow is told of it.

use super::{FitFailure, FitOrder, Fitted};
use crate::clock;
use crate::connectors::mlflow::{self, Run, State};
use crate::models::value::forecast::terms::FitReport;
use crate::models::value::metrics::coverage::Coverage;

/// A fit that has begun.
pub fn begun(order: &FitOrder) -> Run {
    let mut run = Run::begun(&format!("{} fit", order.kind.as_str()), clock::wall_us());
    mlflow::account(&mut run, &order.account);
    run.tag("kiki.source", "server");
    run.param("kind", order.kind.as_str());
    run.param("horizon_days", order.horizon_days);
    run.param("seed", order.seed);
    run
}

/// What was fitted, before anybody has stored it.
pub fn fitted(run: &mut Run, fitted: &Fitted) {
    let (version, report) = (&fitted.version, &fitted.report);
    run.name = version.id.to_string();
    run.tag(mlflow::MODEL, version.id.to_string());
    for (name, print) in [
        ("kiki.fingerprint", &version.data),
        ("kiki.holdout", &version.holdout),
        ("kiki.parameters", &version.parameters),
    ] {
        run.tag(name, String::from(print.clone()));
    }
    for name in ["cut", "end", "fitted_to"] {
        if let Some(day) = report[name].as_str() {
            run.param(name, day);
        }
    }
    if let Some(seconds) = report["seconds"].as_f64() {
        run.metric("seconds", seconds);
    }
    if let Ok(of) = serde_json::from_value::<FitReport>(report["fit"].clone()) {
        mlflow::fitted(run, &of);
    }
    if let Ok(of) = serde_json::from_value::<Coverage>(report["coverage"].clone()) {
        mlflow::coverage(run, &of);
    }
    mlflow::scores(run, &version.scores);
}

/// How it ended.
pub fn ended(run: &mut Run, outcome: &Result<String, FitFailure>) {
    run.ended_us = clock::wall_us().max(run.begun_us);
    run.state = match outcome {
        Ok(_) => State::Finished,
        Err(FitFailure::Cancelled) => State::Killed,
        Err(failure) => {
            run.tag("kiki.error", failure.to_string());
            State::Failed
        }
    };
}
