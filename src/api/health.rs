//! The health summary: every service by its name, with its state and what it depends on.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::access::{GuardLayer, Listener};
use super::shield::{App, observed, with_fallbacks};
use crate::actors::shield::view::rfc3339;
use crate::clock;

/// The documented names of all services.
const SERVICES: [&str; 7] =
    ["syncshield", "syncengage", "syncvalue", "syncflow", "synccreate", "billing", "synapse"];

/// How long an answer may take: whoever probes has long given up.
const TIME_MAX: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Summary {
    /// healthy while every service that runs here is.
    status: &'static str,
    services: Map<String, Value>,
    timestamp: String,
}

/// `GET /health` on the summary's own port, with `/ready` and `/metrics`. A service that this version does not have, or that this
/// node does not play, says `not_running`: it is no fault.
pub fn router(app: Arc<App>) -> Router {
    let about = || async {
        Json(
            json!({ "service": "health", "version": env!("CARGO_PKG_VERSION"), "health": "/health" }),
        )
    };
    let guard = GuardLayer::new(Arc::clone(&app.door), Listener::Health);
    let all = with_fallbacks(routes(app).route("/", get(about)));
    super::admin::around(all, "health", TIME_MAX, guard)
}

/// The same without an answer to what is not there, to be merged into another listener.
pub fn routes(app: Arc<App>) -> Router {
    let summary = Router::new().route("/health", get(summary)).with_state(Arc::clone(&app));
    summary.merge(observed(app))
}

async fn summary(State(app): State<Arc<App>>) -> Json<Summary> {
    let ready = app.shield.ready();
    let mut services = Map::new();
    for name in SERVICES {
        services.insert(name.to_owned(), json!({ "state": "not_running", "dependencies": {} }));
    }
    let redis = match (app.redis.is_configured(), app.redis.is_connected()) {
        (false, _) => "not_configured",
        (true, true) => "up",
        (true, false) => "down",
    };
    // Rate limits of all nodes together, or of each while Redis does not answer.
    let limits =
        app.door.shared_view().map(|view| if view.failures == 0 { "shared" } else { "local" });
    let redis = match limits {
        Some(limits) => json!({ "state": redis, "rate_limits": limits }),
        None => json!({ "state": redis }),
    };
    let store = app.shield.store().dialect().name();
    let shield = json!({
        "state": if ready { "healthy" } else { "degraded" },
        "dependencies": {
            "store": { "kind": store, "state": if ready { "up" } else { "down" } },
            "redis": redis,
        },
    });
    services.insert("syncshield".to_owned(), shield);
    let value = app.registry.ready("value");
    if let Some(value) = value {
        let dependencies = json!({ "store": { "state": if ready { "up" } else { "down" } } });
        let state = if value && ready { "healthy" } else { "degraded" };
        let shown = json!({ "state": state, "dependencies": dependencies });
        services.insert("syncvalue".to_owned(), shown);
    }
    let flow = app.registry.ready("flow");
    if let Some(flow) = flow {
        let up = |up: bool| if up { "up" } else { "down" };
        let dependencies = json!({
            "shield": { "state": up(ready) },
            "syncvalue": { "state": up(value == Some(true)) },
        });
        let state = if flow && ready && value == Some(true) { "healthy" } else { "degraded" };
        services
            .insert("syncflow".to_owned(), json!({ "state": state, "dependencies": dependencies }));
    }
    let ready = ready && value != Some(false) && flow != Some(false);
    let status = if ready { "healthy" } else { "degraded" };
    Json(Summary { status, services, timestamp: rfc3339(clock::wall_us()) })
}
