//! Lists of actors, and one in full.

use axum::Json;
use axum::extract::State;

use super::Ctx;
use crate::actors::kernel::{ActorDetail, ActorPage, ActorQuery, PAGE_LIMIT_MAX, Sort};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::query::{ActorPath, Parameters, unknown};

/// List actors, a page at a time
#[utoipa::path(get, path = "/api/admin/actors", tag = "actors",
    params(
        ("prefix" = Option<String>, Query, description = "Only paths that begin so", example = "/shield/budget/"),
        ("type" = Option<String>, Query, description = "Only actors of this type"),
        ("sort" = Option<Sort>, Query, description = "By path, by waiting messages, or by restarts"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Actors a page, 1 to 1,000 (100)")),
    responses((status = 200, body = ActorPage), Problems))]
pub async fn list(State(admin): Ctx, parameters: Parameters) -> Result<Json<ActorPage>, Problem> {
    let query = ActorQuery {
        prefix: parameters.text("prefix"),
        kind: parameters.text("type"),
        sort: sort(&parameters)?,
        cursor: parameters.text("cursor"),
        limit: parameters.number("limit", 1, PAGE_LIMIT_MAX)?,
    };
    if !query.cursor_fits() {
        return Err(Problem::field("cursor", "was not given out by a page of this order"));
    }
    Ok(Json(admin.registry.actors(&query)))
}

fn sort(parameters: &Parameters) -> Result<Sort, Problem> {
    match parameters.text("sort").as_deref() {
        None | Some("path") => Ok(Sort::Path),
        Some("depth") => Ok(Sort::Depth),
        Some("restarts") => Ok(Sort::Restarts),
        Some(_) => Err(Problem::field("sort", "is not path, depth or restarts")),
    }
}

/// Show one actor in full, without asking it
#[utoipa::path(get, path = "/api/admin/actors/{path}", tag = "actors",
    params(("path" = String, Path, description = "The actor's path, slashes as they are", example = "shield/budget/camp_001")),
    responses((status = 200, body = ActorDetail), Problems))]
pub async fn show(
    State(admin): Ctx,
    ActorPath(path): ActorPath,
) -> Result<Json<ActorDetail>, Problem> {
    admin.registry.actor(&path).map(Json).ok_or_else(|| unknown(&path))
}
