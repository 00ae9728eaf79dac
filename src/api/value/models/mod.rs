//! Versions of models: what there is, who of them answers, and who shall.

mod change;
mod fits;
mod outcomes;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Ctx, common};
use crate::actors::shield::view::rfc3339;
use crate::actors::value::OnlineCounts;
use crate::actors::value::registry::Seen;
use crate::api::body::InPath;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::json;
use crate::models::value::registry::version::{Version, VersionId};

pub use change::{
    __path_challenge, __path_end_challenge, __path_promote, __path_roll_back, challenge,
    end_challenge, promote, roll_back,
};
pub use fits::{
    __path_cancel, __path_fit, __path_list_fits, __path_show_fit, cancel, fit, list_fits, show_fit,
};
pub use outcomes::{__path_outcomes, outcomes};

/// A version.
#[derive(Serialize, ToSchema)]
pub struct ModelBody {
    pub model: String,
    pub kind: &'static str,
    /// champion, challenger, former (it was the champion before) or registered.
    pub alias: &'static str,
    /// RFC 3339.
    pub created_at: String,
    /// SHA-256 of the purchases that it was fitted on, of the holdout of its scores, and of its
    /// parameters.
    pub data: String,
    pub holdout: String,
    pub parameters: String,
    /// On the holdout.
    #[schema(value_type = Object)]
    pub scores: serde_json::Value,
}

/// A version with how it was fitted.
#[derive(Serialize, ToSchema)]
pub struct ModelDetail {
    #[serde(flatten)]
    model: ModelBody,
    horizon_days: i64,
    /// Cut, holdout, coverage of the intervals, parameters with standard errors, seconds.
    #[schema(value_type = Object)]
    report: serde_json::Value,
    /// While it serves: what it answered since it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<OnlineCounts>,
}

/// The versions of an account.
#[derive(Serialize, ToSchema)]
pub struct ModelList {
    /// Who answers; absent before the first promotion.
    #[serde(skip_serializing_if = "Option::is_none")]
    champion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenger: Option<String>,
    /// Where a roll back would lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    former: Option<String>,
    /// The newest first, up to `limit`.
    models: Vec<ModelBody>,
}

/// What was done to the registry.
#[derive(Serialize, ToSchema)]
pub struct HistoryBody {
    /// The newest first, up to `limit`.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<serde_json::Value>,
}

impl ModelBody {
    pub fn of(version: &Version, seen: &Seen) -> ModelBody {
        let registry = &seen.registry;
        let is = |other: Option<&Version>| other.is_some_and(|other| other.id == version.id);
        ModelBody {
            model: version.id.to_string(),
            kind: version.kind.as_str(),
            alias: match () {
                () if is(registry.champion()) => "champion",
                () if is(registry.challenger()) => "challenger",
                () if registry.former() == Some(&version.id) => "former",
                () => "registered",
            },
            created_at: rfc3339(version.created_us),
            data: String::from(version.data.clone()),
            holdout: String::from(version.holdout.clone()),
            parameters: String::from(version.parameters.clone()),
            scores: json::shown(&version.scores),
        }
    }
}

/// The version that a path names.
pub fn version_id(text: &str) -> Result<VersionId, Problem> {
    let unknown = |_| Problem::new(Code::UnknownModel, "there is no such version").at("model");
    VersionId::try_from(text.to_owned()).map_err(unknown)
}

fn limit(parameters: &Parameters) -> Result<usize, Problem> {
    Ok(parameters.number("limit", 1, 1_000)?.unwrap_or(100))
}

/// List the versions of an account
#[utoipa::path(get, path = "/api/v1/ltv/models", tag = "models",
    params(("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, description = "The newest first", body = ModelList), Problems))]
pub async fn list(
    State(app): Ctx,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<axum::Json<ModelList>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let limit = limit(&parameters)?;
    let seen = app.value.registry(&account).await.map_err(common::failed)?;
    let registry = &seen.registry;
    let mut versions: Vec<&Version> = registry.versions().collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.created_us));
    let name = |version: Option<&Version>| version.map(|version| version.id.to_string());
    Ok(axum::Json(ModelList {
        champion: name(registry.champion()),
        challenger: name(registry.challenger()),
        former: registry.former().map(ToString::to_string),
        models: versions.into_iter().take(limit).map(|v| ModelBody::of(v, &seen)).collect(),
    }))
}

/// Show a version, with how it was fitted
#[utoipa::path(get, path = "/api/v1/ltv/models/{model}", tag = "models",
    params(("model" = String, Path)),
    responses((status = 200, description = "The version", body = ModelDetail), Problems))]
pub async fn show(
    State(app): Ctx,
    InPath(model): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<ModelDetail>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let id = version_id(&model)?;
    let seen = app.value.registry(&account).await.map_err(common::failed)?;
    let row = app.value.model(&account, &id.to_string()).await.map_err(common::failed)?;
    let unknown = || Problem::new(Code::UnknownModel, "there is no such version").at("model");
    let version = seen.registry.version(&id).ok_or_else(unknown)?;
    let serving = app.value.serving(&account).await.map_err(common::failed)?;
    let loaded = [&serving.champion, &serving.challenger].into_iter().flatten();
    let online = loaded.filter(|loaded| *loaded.id == *model).map(|l| l.online.counts()).next();
    Ok(axum::Json(ModelDetail {
        model: ModelBody::of(version, &seen),
        horizon_days: row.horizon_days,
        report: json::stored(&row.report),
        online,
    }))
}

/// Show what was done to an account's models, by whom and why
#[utoipa::path(get, path = "/api/v1/ltv/registry", tag = "models",
    params(("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given")),
    responses((status = 200, description = "The newest first", body = HistoryBody), Problems))]
pub async fn history(
    State(app): Ctx,
    parameters: Parameters,
    headers: HeaderMap,
) -> Result<axum::Json<HistoryBody>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let limit = limit(&parameters)?;
    let seen = app.value.registry(&account).await.map_err(common::failed)?;
    let newest = seen.registry.history().iter().rev().take(limit);
    let entries = newest.map(json::shown).collect();
    Ok(axum::Json(HistoryBody { entries }))
}
