//! The operators' API on one page: actors, their orders, the tree, breakers, dead letters,
//! services, the cluster, faults, live events and API keys.

mod actors;
mod breakers;
mod cluster;
mod dead_letters;
mod elsewhere;
mod events;
mod faults;
mod keys;
mod orders;
mod rotate;
mod services;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use utoipa::OpenApi;

pub use elsewhere::reached_by_name;

use self::elsewhere::NamesNodes;
use super::access::{GuardLayer, Listener};
use super::docs::{self, Proofs};
use super::gate::{self, Gate};
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
            it; orders to it; faults on purpose. With `node=NAME` in the query any node answers for another one, except with \
            its event stream.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        actors::list,
        actors::show,
        orders::order,
        tree::tree,
        breakers::list,
        breakers::reset,
        cluster::show,
        cluster::find,
        cluster::drain,
        cluster::order,
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
    modifiers(&Proofs, &NamesNodes)
)]
pub struct AdminDoc;

/// Requests of operators that run at a time, and how long the answer of one may take: they are few,
/// and some of them wait for actors to end.
const RUNNING_MAX: usize = 256;
const TIME_MAX: Duration = Duration::from_secs(60);

/// Every admin route. Faults are refused unless `chaos_enabled`, whatever the kernel would allow.
pub fn router(registry: Registry, chaos_enabled: bool, door: Arc<Door>) -> Router {
    let docs = docs::pages::<AdminDoc, _>(Listener::Admin, door.everybody().is_some());
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
    with_fallbacks(router.merge(docs))
}

/// The whole admin listener: these routes, the keys, health and metrics, with the guard around them.
pub fn listener(registry: Registry, chaos_enabled: bool, app: &Arc<App>) -> Router {
    let door = Arc::clone(&app.door);
    let all = router(registry, chaos_enabled, Arc::clone(&door));
    let audit =
        Router::new().route("/api/admin/audit", get(search::list_any)).with_state(Arc::clone(app));
    let all = all.merge(audit);
    let all = all.merge(rotate::routes(Arc::clone(app)));
    let all = all.merge(cluster::routes(Arc::clone(app)));
    let all = all.merge(super::health::routes(Arc::clone(app)));
    let all = reached_by_name(with_fallbacks(all), app.shield.placement());
    around(all, "admin", TIME_MAX, GuardLayer::new(door, Listener::Admin))
}

/// The gate and the guard around the routes of a listener that operators and probes use.
pub fn around(
    routes: Router,
    service: &'static str,
    time_max: Duration,
    guard: GuardLayer,
) -> Router {
    let gate = Gate::new(service, RUNNING_MAX, time_max);
    let gate = axum::middleware::from_fn_with_state(gate, gate::pass);
    routes.layer(ServiceBuilder::new().layer(gate).layer(guard))
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
