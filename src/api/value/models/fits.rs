//! Fits: ordered, watched, given up.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::actors::value::fit::{FitOrder, FitView};
use crate::actors::value::today;
use crate::api::body::{self, Call, InPath, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::value::{Ctx, common};
use crate::models::value::log::day::Day;
use crate::models::value::registry::version::Kind;

/// What is to be fitted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct FitBody {
    /// bg-nbd, mbg-nbd, pareto-nbd, gamma-gamma, ziln or blend; blend if not given.
    model: Option<String>,
    /// 1 to 3653; value.horizon_days if not given.
    horizon_days: Option<u32>,
    /// The last day of the holdout that it is scored on, and the champion beside it. If not given: the last
    /// day with a purchase.
    holdout_end: Option<String>,
    /// 0 if not given.
    seed: Option<u64>,
    /// Whether it becomes the challenger; true if not given.
    challenge: Option<bool>,
    account: Option<String>,
}

/// Fits since the start of the process.
#[derive(Serialize, ToSchema)]
pub struct FitList {
    /// The newest first.
    fits: Vec<FitView>,
}

fields!(FitFields { model, horizon_days, holdout_end, seed, challenge, account } only);

fn kind(raw: Raw<'_>) -> Result<Kind, Problem> {
    let Some(raw) = raw else { return Ok(Kind::Blend) };
    serde_json::from_str(raw.get()).map_err(|_| {
        let all = "bg-nbd, mbg-nbd, pareto-nbd, gamma-gamma, ziln and blend";
        Problem::field("model", format!("is none of {all}"))
    })
}

fn day(raw: &RawValue) -> Result<Day, Problem> {
    let text = body::text("holdout_end", raw, 64)?;
    let day = Day::any(&text).map_err(|_| Problem::field("holdout_end", "is no day"))?;
    if day > today() {
        return Err(Problem::field("holdout_end", "is in the future"));
    }
    Ok(day)
}

/// Fit a model on the account's purchases
///
/// It is fitted up to a cut, scored on what came after it, fitted once more on everything, and kept
/// as a version that challenges the champion. One fit runs at a time; more wait. Look at the fit for
/// how it is, and at the version for its scores.
#[utoipa::path(post, path = "/api/v1/ltv/fits", tag = "models", request_body = FitBody,
    responses((status = 202, description = "It runs or waits", body = FitView), Problems))]
pub async fn fit(
    State(app): Ctx,
    Call { headers, json }: Call,
) -> Result<(StatusCode, axum::Json<FitView>), Problem> {
    let f: FitFields = json.fields()?;
    let account = common::account(&app.value, &headers, f.account)?;
    let kind = kind(f.model)?;
    let horizon_days = match f.horizon_days {
        None => app.value.terms().horizon_days,
        Some(raw) => {
            let days = serde_json::from_str::<u64>(raw.get()).unwrap_or(0);
            common::check_horizon("horizon_days", days)?
        }
    };
    let holdout_end = f.holdout_end.map(day).transpose()?;
    let seed = match f.seed {
        None => 0,
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| Problem::field("seed", "is not a whole number from 0"))?,
    };
    let challenge = match f.challenge {
        None => true,
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| Problem::field("challenge", "is not true or false"))?,
    };
    // whether there is such an account
    app.value.serving(&account).await.map_err(common::failed)?;
    let order = FitOrder {
        account: account.as_ref().into(),
        kind,
        horizon_days,
        holdout_end,
        seed,
        challenge,
        by: common::by(),
    };
    let fit = app.value.fit(order).await.map_err(common::failed)?;
    Ok((StatusCode::ACCEPTED, axum::Json(fit)))
}

/// List fits
#[utoipa::path(get, path = "/api/v1/ltv/fits", tag = "models",
    responses((status = 200, description = "Those that wait, run, and ended last", body = FitList), Problems))]
pub async fn list_fits(
    State(app): Ctx,
    headers: HeaderMap,
) -> Result<axum::Json<FitList>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let fits = app.value.fits(&account).await.map_err(common::failed)?;
    Ok(axum::Json(FitList { fits }))
}

/// Look at a fit
#[utoipa::path(get, path = "/api/v1/ltv/fits/{id}", tag = "models", params(("id" = String, Path)),
    responses((status = 200, description = "How it is", body = FitView), Problems))]
pub async fn show_fit(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<axum::Json<FitView>, Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let fits = app.value.fits(&account).await.map_err(common::failed)?;
    let fit = fits.into_iter().find(|fit| fit.id == id);
    fit.map(axum::Json).ok_or_else(|| Problem::new(Code::NotFound, "there is no such fit"))
}

/// Give a fit up
///
/// One that runs ends at its next step.
#[utoipa::path(delete, path = "/api/v1/ltv/fits/{id}", tag = "models", params(("id" = String, Path)),
    responses((status = 202, description = "It ends", body = FitView), Problems))]
pub async fn cancel(
    State(app): Ctx,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<(StatusCode, axum::Json<FitView>), Problem> {
    let account = common::account(&app.value, &headers, None)?;
    let fit = app.value.cancel_fit(&account, &id).await.map_err(common::failed)?;
    Ok((StatusCode::ACCEPTED, axum::Json(fit)))
}
