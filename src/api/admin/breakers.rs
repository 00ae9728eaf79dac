//! Circuit breakers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use crate::access::SharedView;
use crate::actors::kernel::BreakerEntry;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::{ActorPath, unknown};
use crate::clock;
use crate::models::breaker::{Breaker, BreakerState, BreakerTerms, BreakerView};

/// Where the breaker of the shared rate limits is shown. It belongs to no actor.
const SHARED_LIMITS: &str = "/redis/limits";

#[derive(Serialize, ToSchema)]
pub struct Breakers {
    breakers: Vec<BreakerEntry>,
}

/// List the circuit breakers
#[utoipa::path(get, path = "/api/admin/breakers", tag = "breakers",
    responses((status = 200, body = Breakers), Problems))]
pub async fn list(State(admin): Ctx) -> Json<Breakers> {
    let mut breakers = admin.registry.breakers();
    breakers.extend(admin.door.shared_view().map(|view| of_limits(&view)));
    Json(Breakers { breakers })
}

/// The shared rate limits rest after a failure like a breaker; they come back by themselves.
fn of_limits(view: &SharedView) -> BreakerEntry {
    let now = clock::mono_us();
    let open_until_us = view.resting_until_us.filter(|until| *until > now);
    let state = match (view.failures, open_until_us) {
        (0, _) => BreakerState::Closed,
        (_, Some(_)) => BreakerState::Open,
        (_, None) => BreakerState::HalfOpen,
    };
    let breaker = BreakerView {
        state,
        consecutive_failures: view.failures,
        open_until_us,
        refused_total: view.local_total,
        ..Breaker::new(BreakerTerms::default()).view()
    };
    BreakerEntry { path: SHARED_LIMITS.into(), breaker }
}

/// Close a breaker by hand
#[utoipa::path(post, path = "/api/admin/breakers/{path}/reset", tag = "breakers",
    params(("path" = String, Path, description = "The path of its actor, slashes as they are", example = "shield/ledger")),
    responses((status = 200, body = BreakerEntry), Problems))]
pub async fn reset(
    State(admin): Ctx,
    ActorPath(path): ActorPath,
) -> Result<Json<BreakerEntry>, Problem> {
    let path = path
        .strip_suffix("/reset")
        .ok_or_else(|| Problem::new(Code::NotFound, "the path does not end in /reset"))?;
    if !admin.registry.reset_breaker(path) {
        return Err(unknown_breaker(&admin.registry, path));
    }
    let entry = admin.registry.breakers().into_iter().find(|entry| &*entry.path == path);
    entry.map(Json).ok_or_else(|| unknown(path))
}

fn unknown_breaker(registry: &crate::actors::kernel::Registry, path: &str) -> Problem {
    match registry.actor(path) {
        Some(_) => Problem::new(Code::NotFound, format!("{path} has no breaker")),
        None => unknown(path),
    }
}
