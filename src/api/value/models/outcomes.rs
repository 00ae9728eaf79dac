//! What became of a version's forecasts.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::version_id;
use crate::api::body::InPath;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::value::{Ctx, common};
use crate::models::shield::money::Micros;
use crate::models::value::metrics::coverage::coverage;
use crate::models::value::metrics::pairs::Pairs;
use crate::models::value::metrics::scores::Scores;
use crate::store::LtvForecastRow;

/// Forecasts that are compared: those that were closed last.
const COMPARED_MAX: u32 = 50_000;
/// Classes of the calibration table.
const CLASSES: usize = 10;

/// A tenth of the forecasts, from the smallest to the largest.
#[derive(Serialize, ToSchema)]
pub struct CalibrationClass {
    forecasts: usize,
    /// Means, in units of the currency.
    predicted: f64,
    actual: f64,
}

/// Predicted against actual.
#[derive(Serialize, ToSchema)]
pub struct OutcomesBody {
    model: String,
    /// Forecasts whose horizon is not over.
    open: i64,
    closed: i64,
    /// Those that are compared here: at most 50,000, the newest.
    compared: usize,
    /// By arm: champion, challenger, shadow.
    #[schema(value_type = Object)]
    arms: serde_json::Value,
    /// Absent while nothing was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    scores: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    coverage: Option<serde_json::Value>,
    calibration: Vec<CalibrationClass>,
}

/// Compare a version's forecasts with what came true
///
/// One forecast a week is kept of each customer and version, and compared with the customer's purchases
/// when its horizon is over.
#[utoipa::path(get, path = "/api/v1/ltv/models/{model}/outcomes", tag = "models",
    params(("model" = String, Path)),
    responses((status = 200, description = "Predicted against actual", body = OutcomesBody), Problems))]
pub async fn outcomes(
    State(app): Ctx,
    InPath(model): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<OutcomesBody>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let model = version_id(&model)?.to_string();
    app.value.model(&account, &model).await.map_err(common::failed)?;
    let (counts, rows) =
        app.value.outcomes(&account, &model, COMPARED_MAX).await.map_err(common::failed)?;
    let units = |micros: i64| Micros(micros).0 as f64 / 1e6;
    let of = |number: fn(&LtvForecastRow) -> i64| {
        rows.iter().map(|row| units(number(row))).collect::<Vec<f64>>()
    };
    let (predicted, actual) = (of(|row| row.value), of(|row| row.actual.unwrap_or(0)));
    let (lower, upper) = (of(|row| row.lower_value), of(|row| row.upper_value));
    let mut arms = std::collections::BTreeMap::<&str, u64>::new();
    rows.iter().for_each(|row| *arms.entry(&row.arm).or_default() += 1);
    let json = |value: Result<serde_json::Value, serde_json::Error>| {
        value.map_err(|error| Problem::new(Code::Internal, error.to_string()))
    };
    let scores = match Pairs::new(&actual, &predicted) {
        Ok(pairs) => Some(json(serde_json::to_value(Scores::of(pairs)))?),
        Err(_) => None,
    };
    let covered = match coverage(&actual, &lower, &upper) {
        Ok(covered) => Some(json(serde_json::to_value(covered))?),
        Err(_) => None,
    };
    Ok(axum::Json(OutcomesBody {
        model,
        open: counts.open,
        closed: counts.closed,
        compared: rows.len(),
        arms: json(serde_json::to_value(&arms))?,
        scores,
        coverage: covered,
        calibration: calibration(&predicted, &actual),
    }))
}

fn calibration(predicted: &[f64], actual: &[f64]) -> Vec<CalibrationClass> {
    let mut pairs: Vec<(f64, f64)> =
        predicted.iter().copied().zip(actual.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = pairs.len().div_ceil(CLASSES).max(1);
    let class = |class: &[(f64, f64)]| {
        let mean = |sum: f64| sum / class.len() as f64;
        CalibrationClass {
            forecasts: class.len(),
            predicted: mean(class.iter().map(|(p, _)| p).sum()),
            actual: mean(class.iter().map(|(_, a)| a).sum()),
        }
    };
    pairs.chunks(size).map(class).collect()
}
