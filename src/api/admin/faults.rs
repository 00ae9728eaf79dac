//! Faults on purpose.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{Admin, Ctx};
use crate::actors::kernel::{FaultKind, FaultRefused, FaultRule, FaultView};
use crate::api::body::{Json, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
pub struct Faults {
    faults: Vec<FaultView>,
}

#[derive(Serialize, ToSchema)]
pub struct FaultId {
    /// Ends the fault: `DELETE /api/admin/faults/{id}`.
    id: u64,
}

#[derive(Serialize, ToSchema)]
pub struct Removed {
    removed: usize,
}

fields!(RuleFields { pattern, fault, probability, ttl_ms, seed, delay_ms, per_second });

fn allowed(admin: &Admin) -> Result<(), Problem> {
    match admin.chaos_enabled {
        true => Ok(()),
        false => Err(refused(FaultRefused::Disabled)),
    }
}

fn refused(why: FaultRefused) -> Problem {
    match why {
        FaultRefused::Disabled => {
            Problem::new(Code::ChaosDisabled, "faults are off in the configuration")
        }
        FaultRefused::Invalid { field, problem } => Problem::field(field, problem),
    }
}

/// List the faults that are set
#[utoipa::path(get, path = "/api/admin/faults", tag = "faults",
    responses((status = 200, body = Faults), Problems))]
pub async fn list(State(admin): Ctx) -> Result<axum::Json<Faults>, Problem> {
    allowed(&admin)?;
    Ok(axum::Json(Faults { faults: admin.registry.faults() }))
}

/// Set a fault
///
/// It strikes messages to actors whose path fits the pattern (`*` within a segment, `**` across),
/// with its probability, until its time to live is over.
#[utoipa::path(post, path = "/api/admin/faults", tag = "faults", request_body = FaultRule,
    responses((status = 201, body = FaultId), Problems))]
pub async fn set(
    State(admin): Ctx,
    body: Json,
) -> Result<(StatusCode, axum::Json<FaultId>), Problem> {
    allowed(&admin)?;
    let id = admin.registry.set_fault(rule(&body)?).map_err(refused)?;
    Ok((StatusCode::CREATED, axum::Json(FaultId { id })))
}

/// End all faults
#[utoipa::path(delete, path = "/api/admin/faults", tag = "faults",
    responses((status = 200, body = Removed), Problems))]
pub async fn clear(State(admin): Ctx) -> Result<axum::Json<Removed>, Problem> {
    allowed(&admin)?;
    Ok(axum::Json(Removed { removed: admin.registry.clear_faults(None) }))
}

/// End one fault
#[utoipa::path(delete, path = "/api/admin/faults/{id}", tag = "faults",
    params(("id" = u64, Path, description = "As the call that set it answered")),
    responses((status = 200, body = Removed), Problems))]
pub async fn clear_one(
    State(admin): Ctx,
    Path(id): Path<String>,
) -> Result<axum::Json<Removed>, Problem> {
    allowed(&admin)?;
    let id: u64 = id.parse().map_err(|_| Problem::field("id", "is not a whole number"))?;
    match admin.registry.clear_faults(Some(id)) {
        0 => Err(Problem::new(Code::NotFound, format!("there is no fault {id}"))),
        removed => Ok(axum::Json(Removed { removed })),
    }
}

fn rule(body: &Json) -> Result<FaultRule, Problem> {
    let fields: RuleFields = body.fields()?;
    let kind = match need::<String>("fault", fields.fault)?.as_str() {
        "panic" => FaultKind::Panic,
        "error" => FaultKind::Error,
        "delay" => FaultKind::Delay { delay_ms: need("delay_ms", fields.delay_ms)? },
        "hang" => FaultKind::Hang,
        "drop" => FaultKind::Drop,
        "duplicate" => FaultKind::Duplicate,
        "flood" => FaultKind::Flood { per_second: need("per_second", fields.per_second)? },
        "throttle" => FaultKind::Throttle { per_second: need("per_second", fields.per_second)? },
        "corrupt" => FaultKind::Corrupt,
        _ => {
            return Err(Problem::field(
                "fault",
                "is not panic, error, delay, hang, drop, duplicate, flood, throttle or corrupt",
            ));
        }
    };
    Ok(FaultRule {
        pattern: need("pattern", fields.pattern)?,
        kind,
        probability: read("probability", fields.probability)?.unwrap_or(1.0),
        ttl_ms: need("ttl_ms", fields.ttl_ms)?,
        seed: read("seed", fields.seed)?.unwrap_or(0),
    })
}

fn need<T: DeserializeOwned>(field: &str, raw: Raw<'_>) -> Result<T, Problem> {
    read(field, raw)?.ok_or_else(|| Problem::missing(field))
}

fn read<T: DeserializeOwned>(field: &str, raw: Raw<'_>) -> Result<Option<T>, Problem> {
    let wrong = |_| Problem::field(field, "is of the wrong type or out of range");
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(wrong)).transpose()
}
