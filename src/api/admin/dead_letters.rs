//! Messages that nobody handled.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use crate::actors::kernel::DeadLetter;
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::query::Parameters;

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

#[derive(Serialize, ToSchema)]
pub struct DeadLetters {
    /// All since the start.
    total: u64,
    /// The newest first.
    dead_letters: Vec<DeadLetter>,
}

/// List the latest messages that nobody handled, with why
#[utoipa::path(get, path = "/api/admin/dead-letters", tag = "actors",
    params(("limit" = Option<u32>, Query, description = "Letters at most, 1 to 1,000 (100)")),
    responses((status = 200, body = DeadLetters), Problems))]
pub async fn list(State(admin): Ctx, parameters: Parameters) -> Result<Json<DeadLetters>, Problem> {
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let (total, dead_letters) = admin.registry.dead_letters(limit);
    Ok(Json(DeadLetters { total, dead_letters }))
}
