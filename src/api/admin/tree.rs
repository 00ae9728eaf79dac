//! The supervision tree.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use crate::actors::kernel::TreeNode;
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::query::Parameters;

const DEPTH: usize = 3;
const DEPTH_MAX: usize = 16;

#[derive(Serialize, ToSchema)]
pub struct Tree {
    /// One entry for each service, in the order of their start.
    tree: Vec<TreeNode>,
}

/// Show the supervision tree
///
/// At most 1,000 children of each are shown; `below` counts them all.
#[utoipa::path(get, path = "/api/admin/tree", tag = "actors",
    params(("depth" = Option<u32>, Query, description = "Levels, 1 to 16 (3)")),
    responses((status = 200, body = Tree), Problems))]
pub async fn tree(State(admin): Ctx, parameters: Parameters) -> Result<Json<Tree>, Problem> {
    let depth = parameters.number("depth", 1, DEPTH_MAX)?.unwrap_or(DEPTH);
    Ok(Json(Tree { tree: admin.registry.tree(depth) }))
}
