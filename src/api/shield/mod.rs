//! SyncShield over HTTP: the API on one page.

mod accounts;
mod allocations;
pub mod audit;
mod budget;
mod check;
mod common;
mod compliance;
mod consent;
mod corrections;
mod dsr;
mod holds;
mod info;
mod ledger;
mod spend;
mod token_keys;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use super::access::{GuardLayer, Listener};
use super::docs::{Proofs, say_proofs};
use super::gate::{self, Gate};
use super::problem::{Code, Problem, ProblemBody};
use crate::actors::shield::Shield;

pub use token_keys::{NotRotated, TokenKeys};

/// What handlers need.
pub struct App {
    pub shield: Shield,
    pub tokens: TokenKeys,
    pub metrics: PrometheusHandle,
    pub redis: crate::connectors::redis::Redis,
    pub registry: crate::actors::kernel::Registry,
    pub door: Arc<crate::access::Door>,
    /// The largest body of a request, in bytes.
    pub body_max: usize,
    /// Held by the one verification of an audit log that runs.
    pub verifying: tokio::sync::Mutex<()>,
    /// How the process is reached, as reports tell it.
    pub front: Front,
}

/// How the process is reached.
#[derive(Clone, Copy, Debug)]
pub struct Front {
    pub tls: bool,
    /// Every listener is on a loopback address.
    pub loopback_only: bool,
}

impl crate::api::body::Bounds for Arc<App> {
    fn body_max(&self) -> usize {
        self.body_max
    }
}

pub type Ctx = axum::extract::State<Arc<App>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "SyncShield",
        description = "Budgets that are never overspent, consents and requests about personal data that take effect, and an audit log that shows tampering.\n\n\
            Amounts are exact decimals with at most 6 decimals. Mutating calls take an `Idempotency-Key`: \
            the same key with the same request books once and answers the same.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    modifiers(&Proofs)
)]
struct Doc;

/// Limits of the HTTP service.
#[derive(Clone, Copy, Debug)]
pub struct HttpTerms {
    pub running_max: usize,
    pub time_max: Duration,
}

/// Every route of SyncShield.
pub fn router(app: Arc<App>, terms: HttpTerms) -> Router {
    let (router, mut api) = OpenApiRouter::with_openapi(Doc::openapi())
        // the documented calls of old
        .routes(routes!(spend::spend_get, spend::spend_post))
        .routes(routes!(check::check_ltv))
        .routes(routes!(allocations::allocate))
        .routes(routes!(budget::budget))
        .routes(routes!(check::authorise))
        // holds
        .routes(routes!(check::authorise_batch))
        .routes(routes!(holds::hold))
        .routes(routes!(holds::settle))
        .routes(routes!(holds::release))
        // allocations
        .routes(routes!(allocations::list))
        .routes(routes!(allocations::pause))
        .routes(routes!(allocations::resume))
        .routes(routes!(allocations::top_up))
        .routes(routes!(allocations::end))
        // bookings
        .routes(routes!(spend::book))
        .routes(routes!(ledger::ledger))
        // corrections
        .routes(routes!(corrections::list, corrections::propose))
        .routes(routes!(corrections::show))
        .routes(routes!(corrections::approve))
        .routes(routes!(corrections::refuse))
        // webhooks
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::show, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        // accounts
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::account))
        .routes(routes!(accounts::stop))
        .routes(routes!(accounts::start))
        .routes(routes!(accounts::rates, accounts::put_rates))
        .routes(routes!(accounts::resume_after_restore))
        // people
        .routes(routes!(consent::change::grant))
        .routes(routes!(consent::change::revoke))
        .routes(routes!(consent::status::status))
        .routes(routes!(consent::status::check))
        .routes(routes!(consent::status::history))
        .routes(routes!(consent::tcf::take))
        .routes(routes!(dsr::create::create))
        .routes(routes!(dsr::show::list))
        .routes(routes!(dsr::show::show))
        .routes(routes!(dsr::show::package))
        .routes(routes!(dsr::decide::verify))
        .routes(routes!(dsr::decide::complete))
        .routes(routes!(dsr::decide::reject))
        .routes(routes!(dsr::decide::cancel))
        .routes(routes!(dsr::decide::extend))
        .routes(routes!(dsr::decide::lift))
        .routes(routes!(compliance::report))
        // the audit log
        .routes(routes!(audit::search::list))
        .routes(routes!(audit::export::export))
        .routes(routes!(audit::heads::list, audit::heads::sign))
        .routes(routes!(audit::proof::inclusion))
        .routes(routes!(audit::proof::consistency))
        .routes(routes!(audit::verify::verify, audit::verify::verify_with))
        // the service itself
        .routes(routes!(info::about))
        .routes(routes!(info::health))
        .routes(routes!(info::ready))
        .routes(routes!(info::metrics))
        .split_for_parts();
    say_proofs(&mut api, Listener::Shield, app.door.everybody().is_some());
    let gate = Gate::new("syncshield", terms.running_max, terms.time_max);
    let gate = axum::middleware::from_fn_with_state(gate, gate::pass);
    let guard = GuardLayer::new(Arc::clone(&app.door), Listener::Shield);
    // The first is the outermost; as one layer they cost one box for a request.
    let around = ServiceBuilder::new().layer(gate).layer(guard);
    with_fallbacks(router.merge(SwaggerUi::new("/docs").url("/openapi.json", api)))
        .layer(around)
        .with_state(app)
}

/// What every listener of the process tells: whether it can serve, and its metrics.
pub fn observed(app: Arc<App>) -> Router {
    let routes =
        Router::new().route("/ready", get(info::ready)).route("/metrics", get(info::metrics));
    routes.with_state(app)
}

/// What is not there is answered like any other mistake.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(|| async { Problem::new(Code::NotFound, "there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed, "this path does not take this method")
        })
}
