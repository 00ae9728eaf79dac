//! Notices: each carries our signature, so that nobody else's is taken.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::actors::cluster::detour;
use crate::actors::flow::notices::Heard;
use crate::actors::kernel::Trace;
use crate::api::docs::Problems;
use crate::api::flow::Ctx;
use crate::api::problem::{Code, Problem};
use crate::models::flow::notice::Kind;

async fn take(State(app): Ctx, query: Option<String>, kind: Kind) -> Response {
    // On a task of its own: who told of it may hang up, as browsers do, and what was begun is done, with
    // its record.
    let hearing = async move {
        match app.flow.office() {
            Some(office) => office.notice(kind, query.as_deref().unwrap_or_default()).await,
            None => Heard::Later,
        }
    };
    let taking = match Trace::current() {
        Some(trace) => tokio::spawn(trace.scope(hearing)),
        None => tokio::spawn(hearing),
    };
    let heard = taking.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a notice was not heard to its end");
        Heard::Later
    });
    match heard {
        Heard::Taken => StatusCode::OK.into_response(),
        Heard::Bad => StatusCode::BAD_REQUEST.into_response(),
        Heard::Later | Heard::Elsewhere(_) => {
            // Whoever owns the campaign answers, where it can be asked: here nothing was done.
            if let Heard::Elsewhere(shard) = heard {
                detour::want(shard);
            }
            let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
    }
}

/// HEAD tells of nothing: who only looks at an address must not book what it says.
pub async fn look() -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, "a notice is told by GET or POST");
    ([(header::ALLOW, "GET,POST")], problem).into_response()
}

/// A bid has won
///
/// Durable before it is answered with 200; called again it changes nothing.
#[utoipa::path(get, path = "/openrtb2/win", tag = "exchanges",
    responses(Problems, (status = 200, description = "Taken"),
        (status = 400, description = "None of ours; the body is empty"),
        (status = 503, description = "To be told again; see Retry-After")))]
pub async fn win(app: Ctx, RawQuery(query): RawQuery) -> Response {
    take(app, query, Kind::Win).await
}

/// An impression is billable
///
/// Its price is booked, at most once, before this is answered with 200.
#[utoipa::path(get, path = "/openrtb2/billing", tag = "exchanges",
    responses(Problems, (status = 200, description = "Taken"),
        (status = 400, description = "None of ours; the body is empty"),
        (status = 503, description = "To be told again; see Retry-After")))]
pub async fn billing(app: Ctx, RawQuery(query): RawQuery) -> Response {
    take(app, query, Kind::Billing).await
}

/// A bid has lost
#[utoipa::path(get, path = "/openrtb2/loss", tag = "exchanges",
    responses(Problems, (status = 200, description = "Taken"),
        (status = 400, description = "None of ours; the body is empty"),
        (status = 503, description = "To be told again; see Retry-After")))]
pub async fn loss(app: Ctx, RawQuery(query): RawQuery) -> Response {
    take(app, query, Kind::Loss).await
}
