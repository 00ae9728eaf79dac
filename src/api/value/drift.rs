//! Drift, and how the models of an account are.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::models::version_id;
use super::{Ctx, common};
use crate::actors::value::watch::FeatureReport;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;

/// Whether inputs and errors are still what they were.
#[derive(Serialize, ToSchema)]
pub struct DriftBody {
    model: String,
    /// Whether any of them has drifted.
    drifted: bool,
    /// Each input of the model; `error` is how wrong its forecasts were: the difference of the
    /// logarithms of actual and predicted spend, each plus one.
    features: Vec<FeatureReport>,
}

/// How the models of an account are.
#[derive(Serialize, ToSchema)]
pub struct ModelHealthBody {
    /// Whether a fitted model answers; else the rule of thumb does.
    model_loaded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    champion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenger: Option<String>,
    /// The share of the customers whom the challenger answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment_share: Option<f64>,
    shadow: bool,
    predictors_healthy: bool,
    questions_waiting: u32,
    cached_customers: usize,
    cache_hits: u64,
    cache_misses: u64,
    /// Inputs of the champion that have drifted.
    drifted_features: Vec<String>,
}

/// Report on drift
///
/// Of the champion, unless another version is named. Population stability index and
/// Kolmogorov-Smirnov of the newest values against those of the fit; ADWIN and Page-Hinkley over the
/// stream of them.
#[utoipa::path(get, path = "/api/v1/ltv/drift", tag = "models",
    params(("model" = Option<String>, Query, description = "A version; the champion if not given")),
    responses((status = 200, description = "The report", body = DriftBody), Problems))]
pub async fn report(
    State(app): Ctx,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<axum::Json<DriftBody>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let model = match parameters.text("model") {
        Some(text) => {
            let model = version_id(&text)?.to_string();
            app.value.model(&account, &model).await.map_err(common::failed)?;
            model
        }
        None => {
            let serving = app.value.serving(&account).await.map_err(common::failed)?;
            let champion = serving.champion.as_ref().map(|loaded| loaded.id.to_string());
            let none = || Problem::new(Code::UnknownModel, "there is no champion").at("model");
            champion.ok_or_else(none)?
        }
    };
    let features = app.value.drift(&account, &model).await.map_err(common::failed)?;
    let drifted = features.iter().any(|feature| feature.drifted);
    Ok(axum::Json(DriftBody { model, drifted, features }))
}

/// How the models of an account are
#[utoipa::path(get, path = "/api/v1/ltv/health", tag = "models",
    responses((status = 200, description = "Models, predictors, cache and drift", body = ModelHealthBody), Problems))]
pub async fn health(
    State(app): Ctx,
    headers: HeaderMap,
) -> Result<axum::Json<ModelHealthBody>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let serving = app.value.serving(&account).await.map_err(common::failed)?;
    let drifted_features = match &serving.champion {
        None => Vec::new(),
        Some(champion) => {
            let all = app.value.drift(&account, &champion.id).await.map_err(common::failed)?;
            all.into_iter().filter(|f| f.drifted).map(|f| f.feature).collect()
        }
    };
    let health = app.value.health();
    let running = serving.running.as_ref();
    Ok(axum::Json(ModelHealthBody {
        model_loaded: serving.champion.is_some(),
        champion: serving.champion.as_ref().map(|loaded| loaded.id.to_string()),
        kind: serving.champion.as_ref().map(|loaded| loaded.model.kind().as_str()),
        challenger: serving.challenger.as_ref().map(|loaded| loaded.id.to_string()),
        experiment_share: running.map(|r| f64::from(u32::from(r.split.challenger)) / 1e6),
        shadow: running.is_some_and(|running| running.shadow),
        predictors_healthy: health.predictors,
        questions_waiting: health.waiting,
        cached_customers: health.cached,
        cache_hits: health.hits,
        cache_misses: health.misses,
        drifted_features,
    }))
}
