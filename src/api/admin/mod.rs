//! The operators' API on one page: actors, their orders, the tree, breakers, dead letters,
//! services, faults, live events and API keys.

mod actors;
mod breakers;
mod dead_letters;
mod events;
mod faults;
mod keys;
mod orders;
mod rotate;
mod services;
mod tree;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;
use utoipa::OpenApi;

use utoipa_swagger_ui::SwaggerUi;

use super::access::{GuardLayer, Listener};
use super::docs::Proofs;
use super::problem::ProblemBody;
use super::shield::audit::search;
use super::shield::{App, with_fallbacks};
use crate::access::Door;
use crate::actors::kernel::{Registry, Sort};

/// Event streams that may be open at a time.
const STREAMS_MAX: usize = 64;

pub(super) struct Admin {
    registry: Registry,
    chaos_enabled: bool,
    streams: Arc<Semaphore>,
    door: Arc<Door>,
}

/// The largest body of a request: a fault rule.
const BODY_MAX: usize = 64 * 1024;

impl super::body::Bounds for Arc<Admin> {
    fn body_max(&self) -> usize {
        BODY_MAX
    }
}

pub(super) type Ctx = axum::extract::State<Arc<Admin>>;

/// The OpenAPI document of these routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "KIKI admin",
        description = "Every actor of this process: its state, mailbox, times, restarts and errors, without asking \
            it; orders to it; faults on purpose.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        actors::list,
        actors::show,
        orders::order,
        tree::tree,
        breakers::list,
        breakers::reset,
        dead_letters::list,
        services::list,
        faults::list,
        faults::set,
        faults::clear,
        faults::clear_one,
        keys::list,
        keys::create,
        keys::revoke,
        search::list_any,
        rotate::rotate,
        events::events
    ),
    components(schemas(ProblemBody, Sort)),
    modifiers(&Proofs)
)]
pub struct AdminDoc;

/// Every admin route. Faults are refused unless `chaos_enabled`, whatever the kernel would allow.
pub fn router(registry: Registry, chaos_enabled: bool, door: Arc<Door>) -> Router {
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let router = Router::new()
        .route("/api/admin/actors", get(actors::list))
        // The path has slashes: an order is its last part.
        .route("/api/admin/actors/{*path}", get(actors::show).post(orders::order))
        .route("/api/admin/tree", get(tree::tree))
        .route("/api/admin/breakers", get(breakers::list))
        .route("/api/admin/breakers/{*path}", post(breakers::reset))
        .route("/api/admin/dead-letters", get(dead_letters::list))
        .route("/api/admin/services", get(services::list))
        .route("/api/admin/faults", get(faults::list).post(faults::set).delete(faults::clear))
        .route("/api/admin/faults/{id}", delete(faults::clear_one))
        .route("/api/admin/events", get(events::events))
        .route("/api/admin/keys", get(keys::list).post(keys::create))
        .route("/api/admin/keys/{id}", delete(keys::revoke))
        .route("/", get(about))
        .with_state(Arc::new(Admin { registry, chaos_enabled, streams, door }));
    let docs = SwaggerUi::new("/docs").url("/openapi.json", AdminDoc::openapi());
    with_fallbacks(router.merge(docs))
}

/// The whole admin listener: these routes, the keys, health and metrics, with the guard around them.
pub fn listener(registry: Registry, chaos_enabled: bool, app: &Arc<App>) -> Router {
    let all = router(registry, chaos_enabled, Arc::clone(&app.door));
    let audit =
        Router::new().route("/api/admin/audit", get(search::list_any)).with_state(Arc::clone(app));
    let all = all.merge(audit);
    let guard = GuardLayer::new(Arc::clone(&app.door), Listener::Admin);
    let all = all.merge(rotate::routes(Arc::clone(app)));
    with_fallbacks(all.merge(super::health::routes(Arc::clone(app)))).layer(guard)
}

/// What answers here.
async fn about() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({
        "service": "admin",
        "version": env!("CARGO_PKG_VERSION"),
        "docs": "/docs",
        "openapi": "/openapi.json",
    }))
}
