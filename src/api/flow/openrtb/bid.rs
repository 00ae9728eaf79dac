//! Bid requests.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::arrival;
use crate::actors::flow::auction::Answer;
use crate::api::access::{Arrived, caller};
use crate::api::docs::Problems;
use crate::api::flow::Ctx;
use crate::clock;
use crate::models::flow::openrtb::VERSION;

const X_VERSION: HeaderName = HeaderName::from_static("x-openrtb-version");

fn answer(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(X_VERSION, HeaderValue::from_static(VERSION));
    response
}

/// What does not become a bid request: without a body, as exchanges expect it.
fn refused(status: StatusCode) -> Response {
    let mut response = answer(status, Body::empty());
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        // RFC 9110, section 12.5.3
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::ACCEPT_ENCODING, gzip);
    }
    response
}

/// Bid on impressions
///
/// OpenRTB 2.6: 200 with bids, 204 without, 400 with an empty body for what is no bid request. The request
/// may come as `content-encoding: gzip`. It is answered for the campaigns of all accounts. A request with more
/// impressions, or longer lists, than are looked at has no bid. A request with `test` 1 that gets no bid is answered
/// 200 with `nbr`, and in `ext.reasons` with how many pairs of an impression and a campaign were refused for what.
#[utoipa::path(post, path = "/openrtb2/bid", tag = "exchanges",
    request_body(content = Object, content_type = "application/json", description = "A bid request"),
    responses(Problems,
        (status = 200, description = "Bids; of a test also why there is none", body = Object, content_type = "application/json"),
        (status = 204, description = "No bid"),
        (status = 400, description = "Malformed, or larger than 1 MiB; the body is empty"),
        (status = 408, description = "The request did not arrive within 2 s; the body is empty"),
        (status = 415, description = "A content-encoding other than gzip; the body is empty")))]
pub async fn bid(State(app): Ctx, request: Request) -> Response {
    // By the exchange's `tmax` from when it came, not from when it was let in.
    let arrived = request.extensions().get::<Arrived>();
    let began_us = arrived.map_or_else(clock::mono_us, |arrived| arrived.0);
    let Some(office) = app.flow.office() else {
        app.flow.came_early();
        return answer(StatusCode::NO_CONTENT, Body::empty());
    };
    let body = match arrival::body(request, office.terms.limits.body_bytes).await {
        Ok(body) => body,
        Err(unread) => {
            office.counts.request();
            office.malformed(unread.fault(), &unread, &caller().name);
            return refused(unread.status());
        }
    };
    match office.bid(&body, &caller().name, began_us, None).await {
        Answer::NoBid(_) => answer(StatusCode::NO_CONTENT, Body::empty()),
        Answer::Malformed(_) => answer(StatusCode::BAD_REQUEST, Body::empty()),
        Answer::Bids(bytes) | Answer::Explained(_, bytes) => {
            let mut response = answer(StatusCode::OK, bytes.into());
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
    }
}
