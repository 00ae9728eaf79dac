//! SyncShield over HTTP: the API on one page.

mod accounts;
mod allocations;
pub mod audit;
mod budget;
mod check;
pub(super) mod common;
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
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use utoipa::OpenApi;

use super::access::{GuardLayer, Listener};
use super::docs::{self, Proofs};
use super::forward::ForwardLayer;
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
    paths(
        // the documented calls of old
        spend::spend_get,
        spend::spend_post,
        check::check_ltv,
        allocations::allocate,
        budget::budget,
        check::authorise,
        // holds
        check::authorise_batch,
        holds::hold,
        holds::settle,
        holds::release,
        // allocations
        allocations::list,
        allocations::pause,
        allocations::resume,
        allocations::top_up,
        allocations::end,
        // bookings
        spend::book,
        ledger::ledger,
        // corrections
        corrections::list,
        corrections::propose,
        corrections::show,
        corrections::approve,
        corrections::refuse,
        // webhooks
        webhooks::list,
        webhooks::create,
        webhooks::show,
        webhooks::delete,
        webhooks::rotate,
        webhooks::test,
        // accounts
        accounts::list,
        accounts::create,
        accounts::account,
        accounts::stop,
        accounts::start,
        accounts::rates,
        accounts::put_rates,
        accounts::resume_after_restore,
        // people
        consent::change::grant,
        consent::change::revoke,
        consent::status::status,
        consent::status::check,
        consent::status::history,
        consent::tcf::take,
        dsr::create::create,
        dsr::show::list,
        dsr::show::show,
        dsr::show::package,
        dsr::decide::verify,
        dsr::decide::complete,
        dsr::decide::reject,
        dsr::decide::cancel,
        dsr::decide::extend,
        dsr::decide::lift,
        compliance::report,
        // the audit log
        audit::search::list,
        audit::export::export,
        audit::heads::list,
        audit::heads::sign,
        audit::proof::inclusion,
        audit::proof::consistency,
        audit::verify::verify,
        audit::verify::verify_with,
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

/// Limits of the HTTP service.
#[derive(Clone, Copy, Debug)]
pub struct HttpTerms {
    pub running_max: usize,
    pub time_max: Duration,
}

/// Every route of SyncShield.
pub fn router(app: Arc<App>, terms: HttpTerms) -> Router {
    let open = app.door.everybody().is_some();
    let router = Router::new()
        // the documented calls of old
        .route("/spend", get(spend::spend_get).post(spend::spend_post))
        .route("/check", get(check::check_ltv))
        .route("/api/v1/allocate", post(allocations::allocate))
        .route("/api/v1/budget/{campaign_id}", get(budget::budget))
        .route("/api/v1/check", post(check::authorise))
        // holds
        .route("/api/v1/check/batch", post(check::authorise_batch))
        .route("/api/v1/holds/{id}", get(holds::hold))
        .route("/api/v1/holds/{id}/settle", post(holds::settle))
        .route("/api/v1/holds/{id}/release", post(holds::release))
        // allocations
        .route("/api/v1/allocations", get(allocations::list))
        .route("/api/v1/allocations/{campaign_id}/pause", post(allocations::pause))
        .route("/api/v1/allocations/{campaign_id}/resume", post(allocations::resume))
        .route("/api/v1/allocations/{campaign_id}/top-up", post(allocations::top_up))
        .route("/api/v1/allocations/{campaign_id}/end", post(allocations::end))
        // bookings
        .route("/api/v1/spend", post(spend::book))
        .route("/api/v1/budget/{campaign_id}/ledger", get(ledger::ledger))
        // corrections
        .route("/api/v1/corrections", get(corrections::list).post(corrections::propose))
        .route("/api/v1/corrections/{id}", get(corrections::show))
        .route("/api/v1/corrections/{id}/approve", post(corrections::approve))
        .route("/api/v1/corrections/{id}/refuse", post(corrections::refuse))
        // webhooks
        .route("/api/v1/webhooks", get(webhooks::list).post(webhooks::create))
        .route("/api/v1/webhooks/{id}", get(webhooks::show).delete(webhooks::delete))
        .route("/api/v1/webhooks/{id}/rotate", post(webhooks::rotate))
        .route("/api/v1/webhooks/{id}/test", post(webhooks::test))
        // accounts
        .route("/api/v1/accounts", get(accounts::list).post(accounts::create))
        .route("/api/v1/accounts/{account}", get(accounts::account))
        .route("/api/v1/accounts/{account}/stop", post(accounts::stop))
        .route("/api/v1/accounts/{account}/start", post(accounts::start))
        .route("/api/v1/rates", get(accounts::rates).put(accounts::put_rates))
        .route("/api/v1/restore/resume", post(accounts::resume_after_restore))
        // people
        .route("/consent/grant", post(consent::change::grant))
        .route("/consent/revoke", post(consent::change::revoke))
        .route("/consent/status", get(consent::status::status))
        .route("/api/v1/consent/check", get(consent::status::check))
        .route("/api/v1/consent/history", get(consent::status::history))
        .route("/api/v1/consent/tcf", post(consent::tcf::take))
        .route("/dsr/create", post(dsr::create::create))
        .route("/api/v1/dsr", get(dsr::show::list))
        .route("/api/v1/dsr/{id}", get(dsr::show::show))
        .route("/api/v1/dsr/{id}/package", get(dsr::show::package))
        .route("/api/v1/dsr/{id}/verify", post(dsr::decide::verify))
        .route("/api/v1/dsr/{id}/complete", post(dsr::decide::complete))
        .route("/api/v1/dsr/{id}/reject", post(dsr::decide::reject))
        .route("/api/v1/dsr/{id}/cancel", post(dsr::decide::cancel))
        .route("/api/v1/dsr/{id}/extend", post(dsr::decide::extend))
        .route("/api/v1/dsr/{id}/lift", post(dsr::decide::lift))
        .route("/compliance/report", get(compliance::report))
        // the audit log
        .route("/api/v1/audit", get(audit::search::list))
        .route("/api/v1/audit/export", get(audit::export::export))
        .route("/api/v1/audit/heads", get(audit::heads::list).post(audit::heads::sign))
        .route("/api/v1/audit/proof/{index}", get(audit::proof::inclusion))
        .route("/api/v1/audit/consistency", get(audit::proof::consistency))
        .route("/api/v1/audit/verify", get(audit::verify::verify).post(audit::verify::verify_with))
        // the service itself
        .route("/", get(info::about))
        .route("/health", get(info::health))
        .route("/ready", get(info::ready))
        .route("/metrics", get(info::metrics));
    let gate = Gate::new("syncshield", terms.running_max, terms.time_max);
    let gate = axum::middleware::from_fn_with_state(gate, gate::pass);
    let guard = GuardLayer::new(Arc::clone(&app.door), Listener::Shield);
    // The first is the outermost; as one layer they cost one box for a request.
    let around = ServiceBuilder::new().layer(gate).layer(guard);
    let routes = router.merge(docs::pages::<Doc, _>(Listener::Shield, open));
    let placement = Arc::clone(app.shield.placement());
    let body_max = app.body_max;
    let routes = with_fallbacks(routes).with_state(app);
    let forward = ForwardLayer::new(&placement, Listener::Shield, &routes).bounded(body_max);
    routes.layer(around.layer(forward))
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
