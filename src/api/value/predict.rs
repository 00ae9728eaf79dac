//! Questions about customers.

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::common::{self, ForecastBody, check_customer, check_horizon, hint};
use super::{App, Ctx};
use crate::actors::value::{Answer, Ask, ValueError};
use crate::api::body::{self, Call, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;

/// Questions of one request.
pub const BATCH_MAX: usize = 1_024;

/// A question about a customer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct PredictBody {
    #[schema(example = "cust_123", min_length = 1, max_length = 256)]
    customer_id: String,
    /// Spend so far in units of the currency, at least 0. Counts where no purchases are known.
    #[schema(example = 500)]
    spend: Option<f64>,
    /// 0 to 1. Counts where no purchases are known.
    #[schema(example = 0.85)]
    engagement_score: Option<f64>,
    /// 1 to 3653; value.horizon_days if not given.
    horizon_days: Option<u32>,
    /// Whether contributions are wanted; true if not given.
    explain: Option<bool>,
    account: Option<String>,
}

/// Questions about up to 1,024 customers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct PredictBatchBody {
    #[schema(min_items = 1, max_items = 1024)]
    requests: Vec<PredictBody>,
    /// Of all of them.
    account: Option<String>,
}

/// Forecasts in the order of the questions.
#[derive(Serialize, ToSchema)]
pub struct ForecastList {
    forecasts: Vec<ForecastBody>,
}

fields!(PredictFields { customer_id, spend, engagement_score, horizon_days, explain, account } only);
fields!(BatchFields { requests, account } only);

fn number(field: &str, raw: Raw<'_>) -> Result<Option<f64>, Problem> {
    let read = |raw: &RawValue| serde_json::from_str::<f64>(raw.get());
    raw.map(read).transpose().map_err(|_| Problem::field(field, "is not a number"))
}

fn ask(f: &PredictFields<'_>) -> Result<Ask, Problem> {
    let raw = f.customer_id.ok_or_else(|| Problem::missing("customer_id"))?;
    let customer = body::text("customer_id", raw, usize::MAX)?.into_owned();
    check_customer("customer_id", &customer)?;
    let spend = number("spend", f.spend)?;
    let engagement = number("engagement_score", f.engagement_score)?;
    let horizon_days = match f.horizon_days {
        None => None,
        Some(raw) => {
            let days = serde_json::from_str::<u64>(raw.get()).unwrap_or(0);
            Some(check_horizon("horizon_days", days)?)
        }
    };
    let explain = match f.explain {
        None => true,
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| Problem::field("explain", "is not true or false"))?,
    };
    let hint = hint(spend, engagement)?;
    Ok(Ask { hint, horizon_days, explain, ..Ask::of(customer) })
}

async fn answered(app: &App, account: &str, ask: &Ask) -> Result<ForecastBody, Problem> {
    let answer = app.value.predict(account, ask).await.map_err(common::failed)?;
    let serving = app.value.serving(account).await.map_err(common::failed)?;
    Ok(ForecastBody::of(&ask.customer, &answer, &serving))
}

/// What is this customer worth?
///
/// From the customer's purchases where any are known; else from `spend` and `engagement_score`, with
/// the spread that new customers have and the status `insufficient_data`. Where no model can be asked,
/// a rule of thumb answers with the status `fallback`: `spend × engagement_score × days / 365.25`.
#[utoipa::path(post, path = "/api/v1/ltv/predict", tag = "forecasts", request_body = PredictBody,
    responses((status = 200, description = "The forecast", body = ForecastBody), Problems))]
pub async fn predict(
    State(app): Ctx,
    Call { headers, json }: Call,
) -> Result<axum::Json<ForecastBody>, Problem> {
    let f: PredictFields = json.fields()?;
    let account = common::account(&app.value, &headers, f.account)?;
    let ask = ask(&f)?;
    answered(&app, &account, &ask).await.map(axum::Json)
}

/// What are these customers worth?
///
/// One wrong question refuses all of them, by its place.
#[utoipa::path(post, path = "/api/v1/ltv/predict/batch", tag = "forecasts", request_body = PredictBatchBody,
    responses((status = 200, description = "The forecasts, in the order of the questions", body = ForecastList), Problems))]
pub async fn predict_batch(
    State(app): Ctx,
    Call { headers, json }: Call,
) -> Result<axum::Json<ForecastList>, Problem> {
    let f: BatchFields = json.fields()?;
    let account = common::account(&app.value, &headers, f.account)?;
    let raw = f.requests.ok_or_else(|| Problem::missing("requests"))?;
    let raws: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| Problem::field("requests", "is not a list"))?;
    if raws.is_empty() || raws.len() > BATCH_MAX {
        return Err(Problem::field("requests", format!("is not 1 to {BATCH_MAX} questions")));
    }
    let mut asks = Vec::with_capacity(raws.len());
    for (at, raw) in raws.into_iter().enumerate() {
        let part = format!("requests[{at}]");
        let f: PredictFields = serde_json::from_str(raw.get())
            .map_err(|e| body::unreadable(raw.get(), &e).within(&part))?;
        if f.account.is_some() {
            let why = "is no field of a question in a batch: name it beside requests";
            return Err(Problem::field("account", why).within(&part));
        }
        asks.push(ask(&f).map_err(|problem| problem.within(&part))?);
    }
    let answers = app.value.predict_many(&account, asks).await;
    let serving = app.value.serving(&account).await.map_err(common::failed)?;
    let body = |(ask, answer): (Ask, Result<Answer, ValueError>)| {
        let answer = answer.map_err(common::failed)?;
        Ok(ForecastBody::of(&ask.customer, &answer, &serving))
    };
    let forecasts = answers.into_iter().map(body).collect::<Result<_, Problem>>()?;
    Ok(axum::Json(ForecastList { forecasts }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Code;

    #[test]
    fn a_question_is_refused_by_its_field() {
        for (body, field) in [
            (r#"{"spend":1}"#, "customer_id"),
            (r#"{"customer_id":""}"#, "customer_id"),
            (r#"{"customer_id":"c","spend":-1}"#, "spend"),
            (r#"{"customer_id":"c","spend":"x"}"#, "spend"),
            (r#"{"customer_id":"c","engagement_score":1.5}"#, "engagement_score"),
            (r#"{"customer_id":"c","horizon_days":0}"#, "horizon_days"),
            (r#"{"customer_id":"c","horizon_days":4000}"#, "horizon_days"),
            (r#"{"customer_id":"c","explain":1}"#, "explain"),
        ] {
            let fields: PredictFields = serde_json::from_str(body).expect("json");
            let problem = ask(&fields).expect_err(body);
            assert!(matches!(problem.code(), Code::InvalidField | Code::MissingField), "{field}");
        }
    }
}
