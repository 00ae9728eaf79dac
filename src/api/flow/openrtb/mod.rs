//! Exchanges: their requests, and what they tell of bids; why something was bid.

mod arrival;
pub(super) mod bid;
pub(super) mod breakers;
pub(super) mod counts;
pub(super) mod decisions;
mod export;
pub(super) mod notices;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::App;

/// The routes that exchanges call, and those that say what came of it.
pub fn routes(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router
        .route("/openrtb2/bid", post(bid::bid))
        .route("/openrtb2/win", get(notices::win).post(notices::win).head(notices::look))
        .route(
            "/openrtb2/billing",
            get(notices::billing).post(notices::billing).head(notices::look),
        )
        .route("/openrtb2/loss", get(notices::loss).post(notices::loss).head(notices::look))
        .route("/api/v1/campaigns/{id}/decisions", get(decisions::list))
        .route("/api/v1/campaigns/{id}/counts", get(counts::show))
        .route("/api/v1/decisions", get(decisions::all))
        .route("/api/v1/decisions/{auction}", get(decisions::of_auction))
        .route("/api/v1/breakers", get(breakers::list))
}
