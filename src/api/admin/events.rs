//! Live events, as server-sent events that can be resumed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::{Stream, stream};
use tokio::sync::OwnedSemaphorePermit;

use super::Ctx;
use crate::access::Door;
use crate::actors::kernel::{Event, EventStream};
use crate::api::access::caller;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::models::access::Identity;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often a silent stream looks whether its reader still may.
const LOOK: Duration = Duration::from_secs(1);

/// Follow what happens: restarts, breaker changes, readiness, faults, orders
///
/// Server-sent events; each has its number as `id`. With `Last-Event-ID` what came after it is
/// sent first. An event `gap` tells that some of that is no longer kept. A reader that falls far
/// behind is cut off and resumes the same way.
#[utoipa::path(get, path = "/api/admin/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Resume after this event")),
    responses((status = 200, body = serde_json::Value, content_type = "text/event-stream"), Problems))]
pub async fn events(
    State(admin): Ctx,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Problem> {
    let after = last_seen(&headers)?;
    let permit = Arc::clone(&admin.streams).try_acquire_owned();
    let permit =
        permit.map_err(|_| Problem::new(Code::Busy, "as many event streams are open as may be"))?;
    let events = admin.registry.events(after);
    let feed = Feed { events, door: Arc::clone(&admin.door), who: caller(), _permit: permit };
    let stream = stream::unfold(feed, |mut feed| async { Some((Ok(feed.next().await?), feed)) });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number
        .map(Some)
        .ok_or_else(|| Problem::header("Last-Event-ID", "is not the number of an event"))
}

struct Feed {
    events: EventStream,
    door: Arc<Door>,
    who: Arc<Identity>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    async fn next(&mut self) -> Option<Sent> {
        if std::mem::take(&mut self.events.gap) {
            return Some(Sent::default().event("gap").data(r#"{"event":"gap"}"#));
        }
        loop {
            let event = tokio::time::timeout(LOOK, self.events.next_in_order()).await;
            // A key that was revoked meanwhile gets no more.
            if !self.door.still_knows(&self.who) {
                return None;
            }
            if let Ok(event) = event {
                return event.map(|event| sent(&event));
            }
        }
    }
}

fn sent(event: &Event) -> Sent {
    // Our own types always serialise; were it not so, the event still has its name and number.
    let data = serde_json::to_string(event).unwrap_or_default();
    Sent::default().id(event.seq.to_string()).event(event.kind.name()).data(data)
}
