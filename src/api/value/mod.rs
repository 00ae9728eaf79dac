//! SyncValue over HTTP: the API on one page.

pub mod common;
mod drift;
mod experiments;
mod info;
mod models;
pub mod predict;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use utoipa::OpenApi;

use super::access::{GuardLayer, Listener};
use super::docs::{self, Proofs};
use super::forward::ForwardLayer;
use super::gate::{self, Gate};
use super::problem::{Code, Problem, ProblemBody};
use super::shield::{HttpTerms, with_fallbacks};
use crate::actors::kernel::Registry;
use crate::actors::value::Value;

pub use transactions::{ImportBody, Reject};

/// What handlers need.
pub struct App {
    pub value: Value,
    pub metrics: PrometheusHandle,
    pub redis: crate::connectors::redis::Redis,
    pub registry: Registry,
    pub door: Arc<crate::access::Door>,
    /// The largest body of a request, in bytes.
    pub body_max: usize,
    /// The same of an import in CSV.
    pub import_max: usize,
}

impl App {
    /// What handlers need of a process.
    pub fn new(
        value: Value,
        shield: &super::shield::App,
        (body_max, import_max): (usize, usize),
    ) -> App {
        App {
            value,
            metrics: shield.metrics.clone(),
            redis: shield.redis.clone(),
            registry: shield.registry.clone(),
            door: Arc::clone(&shield.door),
            body_max,
            import_max,
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
        title = "SyncValue",
        description = "What customers are worth, with intervals and reasons, from models of your own purchases \
            that are fitted, compared, promoted and watched.\n\nThe same forecasts are served by gRPC on port 50051.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        // forecasts
        predict::predict,
        predict::predict_batch,
        // purchases
        transactions::import,
        transactions::customer,
        // models
        models::list,
        models::show,
        models::outcomes,
        models::history,
        models::challenge,
        models::end_challenge,
        models::promote,
        models::roll_back,
        models::fit,
        models::list_fits,
        models::show_fit,
        models::cancel,
        drift::report,
        drift::health,
        // experiments
        experiments::list,
        experiments::set,
        experiments::end,
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

/// Every route of SyncValue. Imports may take longer than other requests.
pub fn router(app: Arc<App>, terms: HttpTerms, import_time_max: Duration) -> Router {
    let open = app.door.everybody().is_some();
    let routes = Router::new()
        // forecasts
        .route("/api/v1/ltv/predict", post(predict::predict))
        .route("/api/v1/ltv/predict/batch", post(predict::predict_batch))
        // purchases
        .route("/api/v1/ltv/customers/{customer_id}", get(transactions::customer))
        // models
        .route("/api/v1/ltv/models", get(models::list))
        .route("/api/v1/ltv/models/{model}", get(models::show))
        .route("/api/v1/ltv/models/{model}/outcomes", get(models::outcomes))
        .route("/api/v1/ltv/models/{model}/challenge", post(models::challenge))
        .route("/api/v1/ltv/models/{model}/promote", post(models::promote))
        .route("/api/v1/ltv/challenger", delete(models::end_challenge))
        .route("/api/v1/ltv/rollback", post(models::roll_back))
        .route("/api/v1/ltv/registry", get(models::history))
        .route("/api/v1/ltv/fits", get(models::list_fits).post(models::fit))
        .route("/api/v1/ltv/fits/{id}", get(models::show_fit).delete(models::cancel))
        .route("/api/v1/ltv/drift", get(drift::report))
        .route("/api/v1/ltv/health", get(drift::health))
        // experiments
        .route(
            "/api/v1/ltv/experiments",
            get(experiments::list).put(experiments::set).delete(experiments::end),
        )
        // the service itself
        .route("/", get(info::about))
        .route("/health", get(info::health))
        .route("/ready", get(info::ready))
        .route("/metrics", get(info::metrics));
    let imports = Router::new().route("/api/v1/ltv/transactions", post(transactions::import));
    let docs = docs::pages::<Doc, _>(Listener::Value, open);
    let routes = with_fallbacks(routes.merge(docs));
    let placement = Arc::clone(app.value.shield().placement());
    let inner = routes.clone().merge(imports.clone()).with_state(Arc::clone(&app));
    let forward = ForwardLayer::new(&placement, Listener::Value, &inner);
    // An import goes to its home in parts: nothing of it is kept.
    let body_max = app.body_max;
    let around = |time_max: Duration, body_max: usize| {
        let gate = Gate::new("syncvalue", terms.running_max, time_max);
        let gate = axum::middleware::from_fn_with_state(gate, gate::pass);
        let guard = GuardLayer::new(Arc::clone(&app.door), Listener::Value);
        // The first is the outermost; as one layer they cost one box for a request.
        ServiceBuilder::new().layer(gate).layer(guard).layer(forward.clone().bounded(body_max))
    };
    let other_method =
        || async { Problem::new(Code::MethodNotAllowed, "this path does not take this method") };
    let imports =
        imports.method_not_allowed_fallback(other_method).layer(around(import_time_max, 0));
    routes.layer(around(terms.time_max, body_max)).merge(imports).with_state(app)
}
