//! Streams of questions: ended when nobody asks or reads any more, after an hour, and with the server.
//!
//! Answers are worked out beside the connection: what is not read holds a place for a minute, and not
//! for as long as somebody stays connected.

use std::time::{Duration, Instant};

use futures_util::future::{Either, ready};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, oneshot, watch};
use tonic::Status;

use super::front::Deadline;
use super::status::status;
use crate::api::problem::Code;

/// A stream ends after so long without a question, or without somebody who reads an answer.
const IDLE: Duration = Duration::from_secs(60);
/// A stream ends after so long, whatever comes: who calls for longer opens another one.
const OPEN_MAX: Duration = Duration::from_secs(3_600);
/// Answers that wait to be read.
const WAITING_MAX: usize = 16;

/// How long a stream may go on.
pub struct Limits {
    idle: Duration,
    end: Instant,
    /// What is said at the end.
    over: Status,
    in_flight: usize,
}

impl Limits {
    /// With so many questions worked on at a time, at the longest until the caller's deadline.
    pub fn new(in_flight: usize, deadline: Option<Deadline>) -> Limits {
        let longest = Instant::now() + OPEN_MAX;
        let (end, over) = match deadline {
            Some(deadline) if deadline.0 < longest => {
                (deadline.0, status(Code::Unanswered, "the deadline is over", None))
            }
            _ => (longest, status(Code::Timeout, "a stream is open for an hour at most", None)),
        };
        Limits { idle: IDLE, end, over, in_flight }
    }
}

/// Answers questions in their order, a bounded number at a time. An error ends the stream; so does `stop`
/// when it turns true, with the answers to what came before. `held` is dropped at the end.
pub fn answers<Q, A, F>(
    questions: BoxStream<'static, Result<Q, Status>>,
    answer: impl Fn(u64, Q) -> F + Send + 'static,
    limits: Limits,
    stop: watch::Receiver<bool>,
    held: impl Send + 'static,
) -> BoxStream<'static, Result<A, Status>>
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    let Limits { idle, end, over, in_flight } = limits;
    let (tell, told) = mpsc::channel::<A>(WAITING_MAX);
    let (ended, how) = oneshot::channel::<Option<Status>>();
    let working = until_idle(questions, idle, stop)
        .enumerate()
        .map(move |(place, question)| match question {
            Ok(question) => Either::Left(answer(place as u64, question)),
            Err(why) => Either::Right(ready(Err(why))),
        })
        .buffered(in_flight)
        .boxed();
    tokio::spawn(async move {
        let why = tokio::select! {
            why = hand_over(working, &tell, idle) => why,
            () = tokio::time::sleep_until(end.into()) => Some(over),
            () = tell.closed() => None,
        };
        drop(held);
        // where the caller is gone, nobody hears it
        let _ = ended.send(why);
        drop(tell);
    });
    let state = Some((told, how));
    let told = stream::unfold(state, |state| async move {
        let (mut told, how) = state?;
        if let Some(answer) = told.recv().await {
            return Some((Ok(answer), Some((told, how))));
        }
        match how.await {
            Ok(None) => None,
            Ok(Some(why)) => Some((Err(why), None)),
            Err(_) => Some((Err(status(Code::Internal, "the stream broke off", None)), None)),
        }
    });
    told.boxed()
}

/// The questions, up to the order to stop or until none comes for too long: an error says which.
fn until_idle<Q: Send + 'static>(
    questions: BoxStream<'static, Result<Q, Status>>,
    idle: Duration,
    stop: watch::Receiver<bool>,
) -> impl Stream<Item = Result<Q, Status>> + Send + 'static {
    stream::unfold(Some((questions, stop)), move |state| async move {
        let (mut questions, mut stop) = state?;
        let next = tokio::select! {
            biased;
            () = stopped(&mut stop) => {
                Some(Err(status(Code::Busy, "the server stops: ask again", Some(1_000))))
            }
            next = tokio::time::timeout(idle, questions.next()) => next.unwrap_or_else(|_| {
                Some(Err(status(Code::Timeout, "no question came for too long", None)))
            }),
        };
        match next? {
            Ok(question) => Some((Ok(question), Some((questions, stop)))),
            Err(why) => Some((Err(why), None)),
        }
    })
}

/// Hands answers to who reads them; at the end, what there is to be said of it.
async fn hand_over<A: Send>(
    mut answers: BoxStream<'static, Result<A, Status>>,
    tell: &mpsc::Sender<A>,
    idle: Duration,
) -> Option<Status> {
    while let Some(answer) = answers.next().await {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return Some(why),
        };
        match tokio::time::timeout(idle, tell.send(answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(status(Code::Timeout, "no answer was read for too long", None)),
        }
    }
    None
}

/// Waits for the order to stop. A sender that is gone means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::Code as Grpc;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(30);

    fn limits(idle: Duration, open: Duration) -> Limits {
        let over = status(Code::Timeout, "over", None);
        Limits { idle, end: Instant::now() + open, over, in_flight: 4 }
    }

    /// Questions that come and then no more, without an end.
    fn open(questions: u64) -> BoxStream<'static, Result<u64, Status>> {
        stream::iter((0..questions).map(Ok)).chain(stream::pending()).boxed()
    }

    async fn double(place: u64, question: u64) -> Result<u64, Status> {
        Ok(place + question)
    }

    type Told = Vec<Result<u64, Grpc>>;

    async fn all(answers: BoxStream<'static, Result<u64, Status>>) -> Told {
        let answers = answers.map(|answer| answer.map_err(|why| why.code()));
        tokio::time::timeout(LONG, answers.collect()).await.expect("it ends")
    }

    #[tokio::test]
    async fn a_stream_that_its_caller_ends_is_answered_whole_and_in_order() {
        let (_stop, stopping) = watch::channel(false);
        let questions = stream::iter((0..100).map(Ok)).boxed();
        let told = all(answers(questions, double, limits(LONG, LONG), stopping, ())).await;
        assert_eq!(told, (0..100).map(|n| Ok(2 * n)).collect::<Told>());
    }

    #[tokio::test]
    async fn a_stream_without_questions_ends_and_gives_its_place_back() {
        let (_stop, stopping) = watch::channel(false);
        let place = Arc::new(());
        let held = Arc::clone(&place);
        let told = all(answers(open(2), double, limits(SHORT, LONG), stopping, held)).await;
        assert_eq!(told, [Ok(0), Ok(2), Err(Grpc::DeadlineExceeded)]);
        assert_eq!(Arc::strong_count(&place), 1);
    }

    #[tokio::test]
    async fn a_stream_ends_after_its_time_whatever_comes() {
        let (_stop, stopping) = watch::channel(false);
        let questions = stream::unfold(0_u64, |n| async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok(n), n + 1))
        });
        let told = all(answers(questions.boxed(), double, limits(LONG, SHORT), stopping, ())).await;
        assert_eq!(told.last(), Some(&Err(Grpc::DeadlineExceeded)));
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_server_and_what_was_asked_is_answered() {
        let (stop, stopping) = watch::channel(false);
        let mut told = answers(open(1), double, limits(LONG, LONG), stopping, ());
        assert!(matches!(told.next().await, Some(Ok(0))));
        stop.send_replace(true);
        assert_eq!(all(told).await, [Err(Grpc::Unavailable)]);
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_gives_its_place_back() {
        let (_stop, stopping) = watch::channel(false);
        let place = Arc::new(());
        let held = Arc::clone(&place);
        let unread = answers(open(1_000), double, limits(SHORT, LONG), stopping, held);
        for _ in 0..600 {
            if Arc::strong_count(&place) == 1 {
                assert_eq!(all(unread).await.last(), Some(&Err(Grpc::DeadlineExceeded)));
                return;
            }
            tokio::time::sleep(SHORT).await;
        }
        panic!("the place is still held");
    }
}
