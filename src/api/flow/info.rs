//! The service itself: what it is, how it is, what it counts.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use crate::actors::shield::view::rfc3339;
use crate::api::docs::Problems;
use crate::clock;

/// What the service is.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowAbout)]
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
        service: "syncflow",
        version: env!("CARGO_PKG_VERSION"),
        docs: "/docs",
        openapi: "/openapi.json",
    })
}

/// What the service needs.
#[derive(Serialize, ToSchema)]
pub struct Dependencies {
    /// up or down: without it people's values come from a rule of thumb.
    syncvalue: &'static str,
    /// up or down: without it nothing is bid.
    shield: &'static str,
    /// The connectors of ad platforms by their names; none are configured in this version.
    #[schema(value_type = Object)]
    platforms: serde_json::Map<String, serde_json::Value>,
}

/// How the service is.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowHealth)]
pub struct HealthBody {
    /// healthy, or degraded while something it needs is not there.
    status: &'static str,
    service: &'static str,
    version: &'static str,
    dependencies: Dependencies,
    /// Campaigns that auctions see.
    campaigns_running: usize,
    /// Campaigns that wait for a time of their schedule.
    campaigns_waiting: usize,
    /// RFC 3339.
    timestamp: String,
}

fn wants_more(query: Option<&str>, headers: &HeaderMap) -> bool {
    let asked = |query: &str| {
        query.split('&').any(|part| part.split('=').next().is_some_and(|name| name == "verbose"))
    };
    let json = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    query.is_some_and(asked) || json.into_iter().any(|value| value.contains("application/json"))
}

/// Whether the service is alive
///
/// Always 200 while the process answers, with the text `OK`. With `?verbose`, or where JSON is accepted, what
/// it needs is described.
#[utoipa::path(get, path = "/health", tag = "service",
    params(("verbose" = Option<bool>, Query, description = "Describes what it needs")),
    responses(Problems, (status = 200, description = "Alive", content(
        (HealthBody = "application/json"), (String = "text/plain")))))]
pub async fn health(State(app): Ctx, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    if !wants_more(query.as_deref(), &headers) {
        return "OK".into_response();
    }
    let health = app.flow.health();
    let shield = app.flow.shield().ready();
    let value = app.flow.value().ready();
    let up = |up: bool| if up { "up" } else { "down" };
    axum::Json(HealthBody {
        status: if health.ready && shield && value { "healthy" } else { "degraded" },
        service: "syncflow",
        version: env!("CARGO_PKG_VERSION"),
        dependencies: Dependencies {
            syncvalue: up(value),
            shield: up(shield),
            platforms: serde_json::Map::new(),
        },
        campaigns_running: health.running,
        campaigns_waiting: health.waiting,
        timestamp: rfc3339(clock::wall_us()),
    })
    .into_response()
}

/// Whether the service can serve.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowReady)]
pub struct ReadyBody {
    ready: bool,
}

/// Whether the service can serve
#[utoipa::path(get, path = "/ready", tag = "service",
    responses(Problems, (status = 200, description = "It can", body = ReadyBody),
        (status = 503, description = "It cannot now", body = ReadyBody)))]
pub async fn ready(State(app): Ctx) -> Response {
    let ready = app.flow.ready() && app.flow.shield().ready();
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
