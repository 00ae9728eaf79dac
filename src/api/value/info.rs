//! The service itself: what it is, how it is, what it counts.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use crate::actors::shield::view::rfc3339;
use crate::api::docs::Problems;
use crate::clock;

/// What the service is.
#[derive(Serialize, ToSchema)]
#[schema(as = ValueAbout)]
pub struct AboutBody {
    service: &'static str,
    version: &'static str,
    docs: &'static str,
    openapi: &'static str,
}

/// Service information
#[utoipa::path(get, path = "/", tag = "service",
    responses(Problems, (status = 200, description = "What this is", body = AboutBody)))]
pub async fn about() -> axum::Json<AboutBody> {
    axum::Json(AboutBody {
        service: "syncvalue",
        version: env!("CARGO_PKG_VERSION"),
        docs: "/docs",
        openapi: "/openapi.json",
    })
}

/// How the service is.
#[derive(Serialize, ToSchema)]
#[schema(as = ValueHealth)]
pub struct HealthBody {
    /// healthy, or degraded while something it needs is not there.
    status: &'static str,
    service: &'static str,
    version: &'static str,
    /// false without Redis too: everything works from local memory then.
    redis_connected: bool,
    store_available: bool,
    /// Some predictor takes questions; else the rule of thumb answers.
    predictors_healthy: bool,
    questions_waiting: u32,
    cached_customers: usize,
    /// RFC 3339.
    timestamp: String,
}

/// Whether the service is alive
///
/// Always 200 while the process answers; what it needs is described.
#[utoipa::path(get, path = "/health", tag = "service",
    responses(Problems, (status = 200, description = "Alive", body = HealthBody)))]
pub async fn health(State(app): Ctx) -> axum::Json<HealthBody> {
    let health = app.value.health();
    let store_available = app.value.shield().ready();
    let whole = health.ready && health.predictors && store_available;
    axum::Json(HealthBody {
        status: if whole { "healthy" } else { "degraded" },
        service: "syncvalue",
        version: env!("CARGO_PKG_VERSION"),
        redis_connected: app.redis.is_connected(),
        store_available,
        predictors_healthy: health.predictors,
        questions_waiting: health.waiting,
        cached_customers: health.cached,
        timestamp: rfc3339(clock::wall_us()),
    })
}

/// Whether the service can serve.
#[derive(Serialize, ToSchema)]
#[schema(as = ValueReady)]
pub struct ReadyBody {
    ready: bool,
}

/// Whether the service can serve
#[utoipa::path(get, path = "/ready", tag = "service",
    responses(Problems, (status = 200, description = "It can", body = ReadyBody),
        (status = 503, description = "It cannot now", body = ReadyBody)))]
pub async fn ready(State(app): Ctx) -> Response {
    let ready = app.value.ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(ReadyBody { ready })).into_response()
}

/// Metrics in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses(Problems, (status = 200, description = "Every metric", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): Ctx) -> Response {
    app.registry.publish_metrics();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render())
        .into_response()
}
