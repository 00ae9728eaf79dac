//! The circuit breakers of the process.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::kernel::BreakerEntry;
use crate::api::docs::Problems;
use crate::api::flow::Ctx;
use crate::api::problem::Problem;
use crate::api::query::Parameters;

#[derive(Serialize, ToSchema)]
#[schema(as = FlowBreakers)]
pub struct BreakersBody {
    breakers: Vec<BreakerEntry>,
}

/// List circuit breakers
///
/// Those of what campaigns need: connectors and models.
#[utoipa::path(get, path = "/api/v1/breakers", tag = "service",
    responses((status = 200, body = BreakersBody), Problems))]
pub async fn list(State(app): Ctx, parameters: Parameters) -> Result<Json<BreakersBody>, Problem> {
    parameters.only(&[])?;
    Ok(Json(BreakersBody { breakers: app.registry.breakers() }))
}
