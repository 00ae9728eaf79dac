//! One budget, as it stands.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Ctx, common};
use crate::actors::shield::BudgetName;
use crate::actors::shield::view::BudgetView;
use crate::api::body;
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::models::shield::money::Micros;

/// The account's sliding window, which all its campaigns share.
#[derive(Serialize, ToSchema)]
pub struct WindowBody {
    /// Booked within the window.
    #[schema(value_type = f64)]
    pub spent: Micros,
    /// Set aside for open holds and for slices that are out.
    #[schema(value_type = f64)]
    pub reserved: Micros,
    #[schema(value_type = Option<f64>)]
    pub cap: Option<Micros>,
    /// In seconds.
    #[schema(value_type = f64)]
    pub length_s: Micros,
    pub currency: String,
}

/// A budget and the window that it shares.
#[derive(Serialize, ToSchema)]
pub struct BudgetBody {
    #[serde(flatten)]
    budget: BudgetView,
    window: WindowBody,
}

/// Look at a campaign's budget
#[utoipa::path(get, path = "/api/v1/budget/{campaign_id}", tag = "documented",
    params(("campaign_id" = String, Path, example = "camp_001")),
    responses((status = 200, description = "Allocation, spent, held, remaining, window, pacing, thresholds", body = BudgetBody),
        Problems))]
pub async fn budget(
    State(app): Ctx,
    body::InPath(campaign): body::InPath,
    headers: HeaderMap,
) -> Result<axum::Json<BudgetBody>, Problem> {
    let name = common::campaign(&app, &headers, &campaign)?;
    let budget = match app.shield.budget(&name).await {
        Ok(budget) => budget,
        Err(error) => return Err(common::failed_at(&app, error, &name).await),
    };
    let account = BudgetName::account(&name.account);
    let seen = app.shield.account(&name.account).await.map_err(|e| common::failed(e, &account))?;
    let window = WindowBody {
        spent: seen.window_spent,
        reserved: seen.window_escrow,
        cap: seen.window_cap,
        length_s: Micros(seen.window_length_us),
        currency: seen.currency.to_string(),
    };
    Ok(axum::Json(BudgetBody { budget: *budget, window }))
}
