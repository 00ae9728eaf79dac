//! The attempts of a request that another node is to answer: where it goes next, and what is said where none comes to
//! an end.

use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Response};

use crate::actors::cluster::links::LinkError;
use crate::api::problem::{Code, Problem};
use crate::models::cluster::member::Route;
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::shard::Shard;

/// How long a request may be on its way, waits included. For a node that is not reached it waits no longer than until
/// the node, were it gone, is replaced.
const PATIENCE: Duration = Duration::from_secs(15);
/// The least that is left to the node that answers.
const WORTH_IT: Duration = Duration::from_millis(20);
/// Between two attempts where the nodes do not agree yet on who owns a shard.
const AGAIN: Duration = Duration::from_millis(20);
/// Before a question is asked again whose earlier attempt is being worked on.
const AT_WORK: Duration = Duration::from_millis(100);

/// Where a request can go.
pub(super) trait Ways: Send {
    /// Who owns a shard, once that can be said.
    fn whereabouts(&mut self, shard: Shard, wait: Duration) -> impl Future<Output = Route> + Send;

    /// Has it answered here: and the shard that was missing, where one was.
    fn here(&mut self) -> impl Future<Output = (Response, Option<Shard>)> + Send;

    /// Has it answered by that node; `None`: it is not the one that answers.
    fn there(
        &mut self,
        node: Incarnation,
        left: Duration,
    ) -> impl Future<Output = Result<Option<Response>, LinkError>> + Send;

    /// Whether it does no more when it is done twice.
    fn may_be_repeated(&self) -> bool;

    /// What is asked for, for whoever looks at the logs.
    fn path(&self) -> &str;
}

/// How long a request waits for an owner, where shards find theirs within `settles`.
pub(super) fn waits(settles: Option<Duration>) -> Duration {
    settles.unwrap_or(PATIENCE).min(PATIENCE)
}

/// Sends a request to the owner of a shard, until somebody answers or it has waited for `waits` since it `began`.
pub(super) async fn attempt(
    ways: &mut impl Ways,
    mut shard: Shard,
    (began, waits): (Instant, Duration),
) -> Response {
    // An attempt was sent, and nobody knows what became of it.
    let mut sent = false;
    loop {
        let left = PATIENCE.saturating_sub(began.elapsed());
        let wait = waits.saturating_sub(began.elapsed());
        if wait < WORTH_IT {
            return match sent {
                true => unanswered(),
                false => away("the node that owns it could not be reached in time"),
            };
        }
        match ways.whereabouts(shard, wait).await {
            Route::Here(_) => match ways.here().await {
                (answer, None) => return answer,
                (_, Some(other)) => shard = other,
            },
            Route::There(node) => match ways.there(node, left).await {
                // The attempt before is at work still: what comes of it is what was asked for.
                Ok(Some(answer)) if sent && is_in_progress(&answer) && wait > AT_WORK * 2 => {
                    tokio::time::sleep(AT_WORK).await;
                }
                Ok(Some(answer)) => return answer,
                // It has it no more, or not yet.
                Ok(None) => {}
                Err(error) if error.is_untouched() => {
                    tracing::debug!(%error, %node, %shard, "a request waits for its node");
                }
                // An order without a key may be done already.
                Err(_) if ways.may_be_repeated() => sent = true,
                Err(error) => {
                    tracing::warn!(%error, %node, path = ways.path(), "a request was sent to its node, which does not answer");
                    return unanswered();
                }
            },
            Route::Nobody if sent => return unanswered(),
            Route::Nobody => return away("nobody owns it at this moment"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn is_in_progress(answer: &Response) -> bool {
    matches!(answer.extensions().get::<Code>(), Some(Code::InProgress))
}

fn unanswered() -> Response {
    let why = "the node that owns it does not answer: it may be done";
    Problem::new(Code::Unanswered, why).into_response()
}

pub(super) fn away(why: &str) -> Response {
    Problem::new(Code::NotReached, why).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use axum::http::StatusCode;

    use super::*;

    const NODE: Incarnation = Incarnation(2);
    /// Long enough for some attempts, and for whoever waits.
    const SHORT: Duration = Duration::from_millis(250);

    /// What the node says at an attempt.
    #[derive(Clone)]
    enum Says {
        Done,
        AtWork,
        NotMine,
        Fails(LinkError),
    }

    use Says::{AtWork, Done, Fails, NotMine};

    const SILENT: Says = Fails(LinkError::Silent);
    const AWAY: Says = Fails(LinkError::Away);

    /// A node that says one thing after the other, and the last of them for ever.
    struct Fake {
        says: VecDeque<Says>,
        repeatable: bool,
        /// How often somebody owns the shard; ever after nobody does.
        owned: usize,
        /// Shards that are here.
        here: Vec<Shard>,
        /// What is missing where it is answered here.
        missing: VecDeque<Shard>,
        asked: Vec<Shard>,
        sent: usize,
    }

    impl Fake {
        fn new(says: &[Says]) -> Fake {
            Fake {
                says: says.iter().cloned().collect(),
                repeatable: true,
                owned: usize::MAX,
                here: Vec::new(),
                missing: VecDeque::new(),
                asked: Vec::new(),
                sent: 0,
            }
        }

        /// Of an order without a key.
        fn once(says: &[Says]) -> Fake {
            Fake { repeatable: false, ..Fake::new(says) }
        }

        /// Status of the answer or code of the problem, and how often the request was sent.
        async fn run(&mut self, waits: Duration) -> (String, usize) {
            let answer = attempt(self, Shard(7), (Instant::now(), waits)).await;
            let code = answer.extensions().get::<Code>().map(|code| code.as_str().to_owned());
            (code.unwrap_or_else(|| answer.status().as_u16().to_string()), self.sent)
        }

        async fn ends(mut self, waits: Duration) -> (String, usize) {
            self.run(waits).await
        }
    }

    impl Ways for Fake {
        async fn whereabouts(&mut self, shard: Shard, wait: Duration) -> Route {
            assert!(wait >= WORTH_IT, "{wait:?}");
            self.asked.push(shard);
            if self.here.contains(&shard) {
                return Route::Here(1);
            }
            match self.asked.len() <= self.owned {
                true => Route::There(NODE),
                false => Route::Nobody,
            }
        }

        async fn here(&mut self) -> (Response, Option<Shard>) {
            (StatusCode::ACCEPTED.into_response(), self.missing.pop_front())
        }

        async fn there(
            &mut self,
            node: Incarnation,
            left: Duration,
        ) -> Result<Option<Response>, LinkError> {
            assert!(node == NODE && left <= PATIENCE && left > PATIENCE / 2, "{node} {left:?}");
            self.sent += 1;
            let last = self.says.len() == 1;
            let says = if last { self.says.front().cloned() } else { self.says.pop_front() };
            match says.expect("something to say") {
                Done => Ok(Some(StatusCode::CREATED.into_response())),
                AtWork => Ok(Some(Problem::new(Code::InProgress, "at work").into_response())),
                NotMine => Ok(None),
                Fails(error) => Err(error),
            }
        }

        fn may_be_repeated(&self) -> bool {
            self.repeatable
        }

        fn path(&self) -> &str {
            "/a"
        }
    }

    fn ended(what: &str, sent: usize) -> (String, usize) {
        (what.to_owned(), sent)
    }

    #[test]
    fn nobody_waits_longer_for_a_node_than_until_it_would_be_replaced() {
        assert_eq!(waits(None), PATIENCE);
        assert_eq!(waits(Some(Duration::from_secs(4))), Duration::from_secs(4));
        assert_eq!(waits(Some(Duration::from_secs(60))), PATIENCE);
    }

    #[tokio::test]
    async fn what_was_sent_and_got_no_answer_is_sent_again() {
        assert_eq!(Fake::new(&[Done]).ends(SHORT).await, ended("201", 1));
        assert_eq!(Fake::new(&[SILENT, Done]).ends(SHORT).await, ended("201", 2));
        assert_eq!(Fake::new(&[SILENT, AWAY, SILENT, Done]).ends(SHORT).await, ended("201", 4));
        // Twice is twice: it is asked once, and not given up before it was sent.
        assert_eq!(Fake::once(&[SILENT, Done]).ends(SHORT).await, ended("unanswered", 1));
        assert_eq!(Fake::once(&[AWAY, NotMine, Done]).ends(SHORT).await, ended("201", 3));
        assert_eq!(Fake::once(&[AWAY, SILENT, Done]).ends(SHORT).await, ended("unanswered", 2));
    }

    #[tokio::test]
    async fn an_attempt_that_is_at_work_still_is_waited_for() {
        let began = Instant::now();
        let says = [SILENT, AtWork, AtWork, Done];
        assert_eq!(Fake::new(&says).ends(SHORT * 8).await, ended("201", 4));
        assert!(began.elapsed() >= AT_WORK * 2, "{:?}", began.elapsed());
        // For as long as there is time: then the caller may ask again.
        let (what, sent) = Fake::new(&[SILENT, AtWork]).ends(AT_WORK * 4).await;
        assert!(what == "in_progress" && sent > 2, "{what} {sent}");
        // It is somebody else's request that is at work.
        assert_eq!(Fake::new(&[AtWork, Done]).ends(SHORT).await, ended("in_progress", 1));
        assert_eq!(Fake::new(&[AWAY, AtWork, Done]).ends(SHORT).await, ended("in_progress", 2));
    }

    #[tokio::test]
    async fn once_it_was_sent_nobody_says_that_nothing_was_done() {
        let full = Fails(LinkError::Full);
        let refused = Fails(LinkError::Refused("no".to_owned()));
        for then in [SILENT, AWAY, full, refused, NotMine] {
            let (what, sent) = Fake::new(&[AWAY, SILENT, then]).ends(SHORT).await;
            assert!(what == "unanswered" && sent > 2, "{what} {sent}");
        }
        let ownerless = Fake { owned: 1, ..Fake::new(&[SILENT]) };
        assert_eq!(ownerless.ends(SHORT).await, ended("unanswered", 1));
    }

    #[tokio::test]
    async fn what_was_never_sent_was_not_reached_and_is_tried_until_its_time_is_over() {
        for says in [AWAY, Fails(LinkError::Full), NotMine] {
            let began = Instant::now();
            let (what, sent) = Fake::new(&[says]).ends(SHORT).await;
            assert!(what == "not_reached" && sent > 2, "{what} {sent}");
            let took = began.elapsed();
            assert!(took + WORTH_IT >= SHORT && took < SHORT * 8, "{took:?}");
        }
        let ownerless = Fake { owned: 2, ..Fake::new(&[AWAY]) };
        assert_eq!(ownerless.ends(SHORT).await, ended("not_reached", 2));
        assert_eq!(Fake::new(&[Done]).ends(WORTH_IT / 2).await, ended("not_reached", 0));
    }

    #[tokio::test]
    async fn a_shard_that_has_come_here_is_answered_here_and_another_that_is_missing_is_looked_for()
    {
        let mut came = Fake { here: vec![Shard(7)], ..Fake::new(&[Done]) };
        assert_eq!(came.run(SHORT).await, ended("202", 0));
        let missing = VecDeque::from([Shard(9)]);
        let mut other = Fake { here: vec![Shard(7)], missing, ..Fake::new(&[Done]) };
        assert_eq!(other.run(SHORT).await, ended("201", 1));
        assert_eq!(other.asked, [Shard(7), Shard(9)]);
    }
}
