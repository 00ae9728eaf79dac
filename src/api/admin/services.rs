//! Services and whether they can serve.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use crate::actors::kernel::ServiceView;
use crate::api::docs::Problems;

#[derive(Serialize, ToSchema)]
pub struct Services {
    services: Vec<ServiceView>,
}

/// List the services of this process with whether they can serve
#[utoipa::path(get, path = "/api/admin/services", tag = "services",
    responses((status = 200, body = Services), Problems))]
pub async fn list(State(admin): Ctx) -> Json<Services> {
    Json(Services { services: admin.registry.services() })
}
