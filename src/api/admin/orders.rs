//! Operators' orders to an actor and all below it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Ctx;
use crate::actors::kernel::OperatorOrder;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::{ActorPath, unknown};

/// How long an answer waits for the order to be carried out.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of an order.
#[derive(Serialize, ToSchema)]
pub struct Ordered {
    path: String,
    order: &'static str,
    /// False: it is being carried out.
    done: bool,
}

/// Restart, drain or stop an actor
///
/// `restart` begins a new life and keeps the queue; `drain` handles the queue, then stops; `stop`
/// finishes the message being handled and makes the queue dead letters. What stopped takes no
/// messages until it is restarted; entities come back with their next message.
#[utoipa::path(post, path = "/api/admin/actors/{path}/{order}", tag = "actors",
    params(
        ("path" = String, Path, description = "The actor's path, slashes as they are", example = "shield/budget/camp_001"),
        ("order" = String, Path, description = "restart, drain or stop", example = "restart")),
    responses(
        (status = 200, body = Ordered, description = "Done"),
        (status = 202, body = Ordered, description = "Being carried out"), Problems))]
pub async fn order(
    State(admin): Ctx,
    ActorPath(path): ActorPath,
) -> Result<(StatusCode, Json<Ordered>), Problem> {
    let (path, order) = split(&path)?;
    let done =
        admin.registry.order_within(path, order, PATIENCE).await.ok_or_else(|| unknown(path))?;
    let status = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Ordered { path: path.to_owned(), order: order.as_str(), done })))
}

fn split(path: &str) -> Result<(&str, OperatorOrder), Problem> {
    let unknown =
        || Problem::new(Code::NotFound, "the path does not end in /restart, /drain or /stop");
    let (path, order) =
        path.rsplit_once('/').filter(|(path, _)| !path.is_empty()).ok_or_else(unknown)?;
    let order = match order {
        "restart" => OperatorOrder::Restart,
        "drain" => OperatorOrder::Drain,
        "stop" => OperatorOrder::Stop,
        _ => return Err(unknown()),
    };
    Ok((path, order))
}
