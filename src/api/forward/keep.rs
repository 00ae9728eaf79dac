//! Bodies that are kept, so that their requests can be sent on. What is kept of all of them together is bounded, and
//! of each one by what its handler would take.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::problem::{Code, Problem};

/// Bytes of a body that are kept so that the request can be sent on. What is larger is handled here or not at all.
pub(super) const KEPT_MAX: usize = 4 * 1024 * 1024;
/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of bodies that this process keeps at a time, all listeners together.
const ALL_MAX: usize = 256 * 1024 * 1024;
/// Bytes of copies that are on their way at a time.
const COPIES_MAX: usize = 64 * 1024 * 1024;
/// Room is counted in these.
const UNIT: usize = 1024;

/// Room for bodies: of this process, or of a test.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn of_process() -> Room {
        static ALL: LazyLock<Room> = LazyLock::new(|| Room::of(ALL_MAX));
        ALL.clone()
    }

    /// For what is copied to be sent.
    pub(super) fn of_copies() -> Room {
        static ALL: LazyLock<Room> = LazyLock::new(|| Room::of(COPIES_MAX));
        ALL.clone()
    }

    fn of(bytes: usize) -> Room {
        Room(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Room for so many bytes, until it is dropped.
    pub(super) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(units).ok()
    }
}

/// Bytes that are kept, with the room that they take.
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// A body, as far as it may be kept.
pub(super) enum Keeping {
    Whole(Whole),
    /// It goes on after what was read of it.
    Stream(Body, Why),
}

/// Why a body is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is larger than its handler takes, or than anything that is sent on.
    Large,
    /// As much is kept as may be.
    NoRoom,
}

/// Reads a body, up to so many bytes and while there is room: of one that is not kept, the rest is still to come.
/// Room is taken as bytes arrive, not as they are announced.
pub(super) async fn kept(body: Body, most: usize, room: &Room) -> Result<Keeping, Problem> {
    kept_within(body, most, room, ARRIVES_WITHIN).await
}

async fn kept_within(
    body: Body,
    most: usize,
    room: &Room,
    within: Duration,
) -> Result<Keeping, Problem> {
    if body.is_end_stream() {
        return Ok(Keeping::Whole(Whole { bytes: Bytes::new(), room: None }));
    }
    let announced = body.size_hint().lower();
    if announced > most as u64 {
        return Ok(Keeping::Stream(body, Why::Large));
    }
    let mut stream = body.into_data_stream();
    let (mut whole, mut taken, mut why) = (Vec::new(), None::<OwnedSemaphorePermit>, None);
    let read = async {
        while let Some(part) = stream.next().await {
            let part = part?;
            let units = |bytes: usize| bytes.div_ceil(UNIT) * UNIT;
            let more = units(whole.len() + part.len()) - units(whole.len());
            whole.extend_from_slice(&part);
            if whole.len() > most {
                why = Some(Why::Large);
                break;
            }
            match (room.take(more), &mut taken) {
                (None, _) => {
                    why = Some(Why::NoRoom);
                    break;
                }
                (Some(more), Some(taken)) => taken.merge(more),
                (Some(first), none) => *none = Some(first),
            }
        }
        Ok::<_, axum::Error>(())
    };
    match tokio::time::timeout(within, read).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => {
            return Err(Problem::new(Code::MalformedBody, "the body could not be read"));
        }
        Err(_) => return Err(Problem::new(Code::Timeout, "the body did not arrive in time")),
    }
    let Some(why) = why else {
        return Ok(Keeping::Whole(Whole { bytes: whole.into(), room: taken }));
    };
    let first = futures_util::stream::iter([Ok(Bytes::from(whole))]);
    Ok(Keeping::Stream(Body::from_stream(first.chain(stream)), why))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn parts(parts: Vec<Vec<u8>>) -> Body {
        Body::from_stream(stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
    }

    fn free(room: &Room) -> usize {
        room.0.available_permits()
    }

    async fn streamed(keeping: Result<Keeping, Problem>) -> (Vec<u8>, Why) {
        match keeping {
            Ok(Keeping::Stream(body, why)) => {
                let all = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
                (all.to_vec(), why)
            }
            _ => panic!("it was kept, or refused"),
        }
    }

    #[tokio::test]
    async fn what_is_kept_takes_its_room_and_gives_it_back() {
        let room = Room::of(8 * UNIT);
        let body = || parts(vec![vec![1; 1_500], vec![2; 10], vec![3; 1_000]]);
        let Ok(Keeping::Whole(whole)) = kept(body(), KEPT_MAX, &room).await else {
            panic!("there is room");
        };
        assert_eq!((whole.bytes.len(), free(&room)), (2_510, 5));
        drop(whole);
        assert_eq!(free(&room), 8);
        let Ok(Keeping::Whole(none)) = kept(Body::empty(), KEPT_MAX, &Room::of(0)).await else {
            panic!("nothing needs no room");
        };
        assert!(none.bytes.is_empty() && none.room.is_none());
    }

    #[tokio::test]
    async fn without_room_a_body_goes_on_as_it_came_and_keeps_none() {
        let room = Room::of(2 * UNIT);
        let sent: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; 100]).collect();
        let (all, why) = streamed(kept(parts(sent.clone()), KEPT_MAX, &room).await).await;
        assert_eq!((all, why), (sent.concat(), Why::NoRoom));
        assert_eq!(free(&room), 2);
        // Whoever announces much takes nothing before it comes.
        let announced = Body::new(http_body_util::Full::new(Bytes::from(vec![0; 4 * UNIT])));
        let (all, why) = streamed(kept(announced, KEPT_MAX, &room).await).await;
        assert_eq!((all.len(), why, free(&room)), (4 * UNIT, Why::NoRoom, 2));
    }

    #[tokio::test]
    async fn of_a_body_that_is_larger_than_its_handler_takes_nothing_is_kept() {
        let room = Room::of(64 * UNIT);
        let announced = Body::from(vec![7; 3_000]);
        let (all, why) = streamed(kept(announced, 2_999, &room).await).await;
        assert_eq!((all.len(), why), (3_000, Why::Large));
        let came = parts(vec![vec![7; 2_000], vec![7; 1_000]]);
        let (all, why) = streamed(kept(came, 2_999, &room).await).await;
        assert_eq!((all.len(), why, free(&room)), (3_000, Why::Large, 64));
        let fits = kept(Body::from(vec![7; 3_000]), 3_000, &room).await;
        assert!(matches!(fits, Ok(Keeping::Whole(_))));
    }

    #[tokio::test]
    async fn a_body_that_comes_drop_by_drop_is_given_up_in_time_and_its_room_is_free_again() {
        let room = Room::of(64 * UNIT);
        // For ever a byte in each hundredth of a second.
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, std::io::Error>(vec![0_u8; 1]), ()))
        });
        let refused =
            kept_within(Body::from_stream(drops), KEPT_MAX, &room, Duration::from_millis(200));
        let refused = tokio::time::timeout(Duration::from_secs(5), refused).await;
        let refused = refused.expect("it is given up");
        assert!(matches!(refused, Err(problem) if problem.code() == Code::Timeout));
        assert_eq!(free(&room), 64);
    }
}
