//! SyncFlow over HTTP: the API on one page.

mod campaigns;
pub mod common;
mod info;
mod openrtb;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use utoipa::OpenApi;

use super::access::{GuardLayer, Listener};
use super::docs::{self, Proofs};
use super::forward::ForwardLayer;
use super::gate::{self, Gate};
use super::problem::ProblemBody;
use super::shield::{HttpTerms, with_fallbacks};
use crate::actors::flow::Flow;
use crate::actors::kernel::Registry;

/// What handlers need.
pub struct App {
    pub flow: Flow,
    pub metrics: PrometheusHandle,
    pub redis: crate::connectors::redis::Redis,
    pub registry: Registry,
    pub door: Arc<crate::access::Door>,
    /// The largest body of a request, in bytes.
    pub body_max: usize,
}

impl App {
    /// What handlers need of a process.
    pub fn new(flow: Flow, shield: &super::shield::App) -> App {
        App {
            flow,
            metrics: shield.metrics.clone(),
            redis: shield.redis.clone(),
            registry: shield.registry.clone(),
            door: Arc::clone(&shield.door),
            body_max: shield.body_max,
        }
    }
}

impl super::body::Bounds for Arc<App> {
    fn body_max(&self) -> usize {
        self.body_max
    }
}

pub type Ctx = axum::extract::State<Arc<App>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "SyncFlow",
        description = "Campaigns that bid in real-time auctions within budgets that SyncShield holds, and why \
            they bid what they bid.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        // campaigns
        campaigns::list,
        campaigns::create,
        campaigns::show,
        campaigns::replace,
        campaigns::patch,
        campaigns::delete,
        campaigns::start,
        campaigns::resume,
        campaigns::pause,
        campaigns::end,
        campaigns::history,
        // exchanges
        openrtb::bid::bid,
        openrtb::notices::win,
        openrtb::notices::billing,
        openrtb::notices::loss,
        // decisions
        openrtb::decisions::list,
        openrtb::decisions::all,
        openrtb::decisions::of_auction,
        openrtb::counts::show,
        openrtb::breakers::list,
        // the service itself
        info::about,
        info::health,
        info::ready,
        info::metrics
    ),
    components(schemas(ProblemBody)),
    modifiers(&Proofs)
)]
struct Doc;

/// Every route of SyncFlow.
pub fn router(app: Arc<App>, terms: HttpTerms) -> Router {
    let open = app.door.everybody().is_some();
    let routes = Router::new()
        // campaigns
        .route("/api/v1/campaigns", get(campaigns::list).post(campaigns::create))
        .route(
            "/api/v1/campaigns/{id}",
            get(campaigns::show)
                .put(campaigns::replace)
                .patch(campaigns::patch)
                .delete(campaigns::delete),
        )
        .route("/api/v1/campaigns/{id}/start", post(campaigns::start))
        .route("/api/v1/campaigns/{id}/resume", post(campaigns::resume))
        .route("/api/v1/campaigns/{id}/pause", post(campaigns::pause))
        .route("/api/v1/campaigns/{id}/end", post(campaigns::end))
        .route("/api/v1/campaigns/{id}/history", get(campaigns::history))
        // the service itself
        .route("/", get(info::about))
        .route("/health", get(info::health))
        .route("/ready", get(info::ready))
        .route("/metrics", get(info::metrics));
    let routes = openrtb::routes(routes);
    let gate = Gate::new("syncflow", terms.running_max, terms.time_max);
    let gate = axum::middleware::from_fn_with_state(gate, gate::pass);
    let guard = GuardLayer::new(Arc::clone(&app.door), Listener::Flow);
    let docs = docs::pages::<Doc, _>(Listener::Flow, open);
    // The first is the outermost; as one layer they cost one box for a request.
    let around = ServiceBuilder::new().layer(gate).layer(guard);
    let placement = Arc::clone(app.flow.shield().placement());
    let body_max = app.body_max;
    let routes = with_fallbacks(routes.merge(docs)).with_state(app);
    let forward = ForwardLayer::new(&placement, Listener::Flow, &routes).bounded(body_max);
    routes.layer(around.layer(forward))
}
