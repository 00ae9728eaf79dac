//! Rotation of the keys that sign, without a pause.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::body::{self, Json, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::shield::{App, NotRotated};
use crate::connectors::redis::Hint;

fields!(RotateFields { purpose } only);

/// Which keys to rotate.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct RotateBody {
    /// audit (the heads of audit logs) or token (the tokens of holds).
    #[schema(example = "token")]
    purpose: String,
}

/// A key that signs from now on.
#[derive(Serialize, ToSchema)]
pub struct RotatedBody {
    /// audit or token.
    purpose: &'static str,
    /// Its name; it is no secret.
    key: String,
}

/// Rotate the keys that sign
///
/// A new key signs from now on. Heads of audit logs that older ones signed stay verified for ever;
/// tokens of holds stay good for the longest time of a hold and a day.
#[utoipa::path(post, path = "/api/admin/keys/rotate", tag = "keys", request_body = RotateBody,
    responses((status = 200, body = RotatedBody), Problems))]
pub async fn rotate(
    State(app): State<Arc<App>>,
    json: Json,
) -> Result<axum::Json<RotatedBody>, Problem> {
    let f: RotateFields = json.fields()?;
    let raw = f.purpose.ok_or_else(|| Problem::missing("purpose"))?;
    let (purpose, key) = match &*body::text("purpose", raw, 64)? {
        "audit" => {
            let rotated = app.shield.vault().rotate_signing(app.shield.store()).await;
            ("audit", rotated.map_err(NotRotated::from))
        }
        "token" => ("token", app.tokens.rotate(&app.shield).await),
        _ => return Err(Problem::field("purpose", "is neither audit nor token")),
    };
    let key = key.map_err(failed)?;
    app.redis.hint(Hint::Rotated).await;
    Ok(axum::Json(RotatedBody { purpose, key }))
}

/// These routes, for the listener: they need more than the actors.
pub fn routes(app: Arc<App>) -> Router {
    Router::new().route("/api/admin/keys/rotate", post(rotate)).with_state(app)
}

fn failed(error: NotRotated) -> Problem {
    match error {
        NotRotated::TooOften => Problem::new(Code::Conflict, error.to_string()),
        NotRotated::Vault(error) => {
            tracing::warn!(%error, "keys were not rotated");
            Problem::new(Code::StoreUnavailable, "the keyring cannot be written")
        }
    }
}
