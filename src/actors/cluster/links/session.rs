//! One link of another node: who it is, what it asks, and what it is answered.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::{Request, Response, Status, Streaming};

use super::wire::v1::link_service_server::LinkService;
use super::wire::v1::{Ask, Echo, Frame, Hello, Tell};
use super::wire::{
    ASKS_MAX, Ear, HELLO_WITHIN, Kind, Me, answered, frame, is_understood, lanes, late,
};
use super::{Answers, LinkError, Links};
use crate::actors::cluster::placement::Placement;
use crate::actors::kernel::Trace;
use crate::clock;
use crate::models::cluster::node::Incarnation;
use crate::telemetry::spans::{self, Kind as SpanKind};

/// How often it is looked whether a node is one still.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row that hear nothing. Whoever asks gives a link up after 2 s without an echo, and dials anew.
const QUIET_MAX: u32 = 5;
/// Answers that wait to be sent.
const ANSWERS_MAX: usize = 64;
/// Echoes and the like.
const FIRST_MAX: usize = 64;
/// What was told has so long to be done.
const TOLD_MAX: Duration = Duration::from_secs(30);
/// Probes over which the least delay is kept; see [`Delay`].
const PROBES_KEPT: u32 = 16;

/// What links of other nodes are let in by.
pub struct Reception {
    pub me: Me,
    pub links: Links,
    pub placement: Arc<Placement>,
    /// The link of each life: a newer one takes the place of one that has not noticed its end.
    pub guests: Mutex<BTreeMap<Incarnation, oneshot::Sender<()>>>,
}

/// One connection.
pub struct Session {
    reception: Arc<Reception>,
    /// Of the certificate that was shown.
    names: Vec<String>,
    /// Each goes with the first stream that is let in.
    first: Mutex<(Option<Ear>, Option<oneshot::Sender<()>>)>,
}

type Sent = Result<Frame, Status>;

impl Session {
    pub fn new(reception: Arc<Reception>, names: Vec<String>, ear: Ear) -> Session {
        Session { reception, names, first: Mutex::new((Some(ear), None)) }
    }

    /// Resolves when somebody was let in.
    pub fn admitted(&self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.first.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(tell);
        told
    }

    /// Who says hello, if that is who was shown, and a node.
    fn admit(&self, hello: &Hello) -> Result<Incarnation, Status> {
        let (node, from) = (&hello.node, Incarnation(hello.incarnation));
        if !is_understood(hello.protocol) {
            let message = format!("protocol {} is not known here", hello.protocol);
            return Err(Status::failed_precondition(message));
        }
        if !self.names.contains(node) {
            let names = self.names.join(", ");
            tracing::warn!(%node, %names, "a node says that it is {node}, with a certificate of {names}");
            let message = format!("the certificate names {names}, and not {node}");
            return Err(Status::unauthenticated(message));
        }
        let roster = self.reception.placement.roster();
        match roster.node(from) {
            Some(row) if row.name == *node => Ok(from),
            // It may have joined a moment ago, and comes again.
            _ => Err(Status::permission_denied(format!("{node} {from} is no node that is known"))),
        }
    }
}

#[tonic::async_trait]
impl LinkService for Session {
    type JoinStream = BoxStream<'static, Sent>;

    async fn join(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let mut frames = request.into_inner();
        let said = timeout(HELLO_WITHIN, frames.message()).await;
        let said = said.map_err(|_| Status::deadline_exceeded("no hello was said in time"))??;
        let Some(Kind::Hello(hello)) = said.and_then(|said| said.kind) else {
            return Err(Status::invalid_argument("the first frame has to be a hello"));
        };
        let from = self.admit(&hello)?;
        let taken = {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            (first.0.take(), first.1.take())
        };
        let (Some(ear), Some(admitted)) = taken else {
            return Err(Status::already_exists("there is one link to a connection"));
        };
        let (first, firsts) = mpsc::channel(FIRST_MAX);
        let (rest, rests) = mpsc::channel(ANSWERS_MAX);
        let replaced = self.reception.seat(from);
        let guest = Guest {
            reception: Arc::clone(&self.reception),
            from,
            first,
            rest,
            running: Arc::new(Semaphore::new(ASKS_MAX)),
            tells: Arc::new(Semaphore::new(ASKS_MAX)),
            delay: Delay::default(),
        };
        // The other side is the connection's own: where it is gone, so is the task.
        let _ = guest.first.try_send(Ok(self.reception.me.hello()));
        tokio::spawn(guest.converse(frames, ear, replaced));
        // Where nobody waits any more, the connection has ended.
        let _ = admitted.send(());
        Ok(Response::new(lanes(firsts, rests).boxed()))
    }
}

impl Reception {
    /// Takes the place of this life's link before; it is told.
    fn seat(&self, from: Incarnation) -> oneshot::Receiver<()> {
        let (seat, replaced) = oneshot::channel();
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|_, seat| !seat.is_closed());
        guests.insert(from, seat);
        replaced
    }
}

struct Guest {
    reception: Arc<Reception>,
    from: Incarnation,
    /// What must not wait behind answers.
    first: mpsc::Sender<Sent>,
    rest: mpsc::Sender<Sent>,
    running: Arc<Semaphore>,
    /// What is told has places of its own: it matters most when there are many questions.
    tells: Arc<Semaphore>,
    delay: Delay,
}

impl Guest {
    /// Ends with the link, or with the reason that it is told.
    async fn converse(
        mut self,
        mut frames: Streaming<Frame>,
        mut ear: Ear,
        mut replaced: oneshot::Receiver<()>,
    ) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = tokio::select! {
                heard = frames.message() => heard,
                () = self.rest.closed() => return,
                _ = &mut replaced => Err(Status::aborted("a newer link has taken this one's place")),
                _ = look.tick() => match ear.listen() < QUIET_MAX {
                    true if self.is_known() => continue,
                    true => Err(Status::permission_denied("it is no node any more")),
                    false => Err(Status::deadline_exceeded("nothing is heard of it")),
                },
            };
            let done = match heard {
                Ok(Some(frame)) => self.take(frame),
                Ok(None) => return,
                Err(status) => Err(status),
            };
            if let Err(status) = done {
                tracing::debug!(from = %self.from, %status, "a link of {} has ended", self.from);
                // Where it cannot be sent, the other side has gone already.
                let _ = self.first.try_send(Err(status));
                return;
            }
        }
    }

    fn is_known(&self) -> bool {
        self.reception.placement.roster().node(self.from).is_some()
    }

    fn take(&mut self, frame: Frame) -> Result<(), Status> {
        match frame.kind {
            Some(Kind::Ask(ask)) => self.asked(ask),
            Some(Kind::Tell(tell)) => {
                self.told(tell);
                Ok(())
            }
            Some(Kind::Probe(probe)) => {
                self.delay.probed(clock::mono_us(), probe.sent_us);
                self.send(Kind::Echo(Echo { sent_us: probe.sent_us }))
            }
            // Of a newer release, or not for whoever answers.
            Some(Kind::Hello(_) | Kind::Answer(_) | Kind::Echo(_)) | None => Ok(()),
        }
    }

    fn send(&self, kind: Kind) -> Result<(), Status> {
        self.say(frame(kind))
    }

    /// Somebody who asks and does not read is not waited for.
    fn say(&self, frame: Frame) -> Result<(), Status> {
        let full = |_| Status::resource_exhausted("answers are not taken");
        self.first.try_send(Ok(frame)).map_err(full)
    }

    /// Many are declined together where a node stood still: what finds no place then is not said, and whoever asked
    /// hears nothing in time. The link stays.
    fn decline(&self, frame: Frame) -> Result<(), Status> {
        if self.first.try_send(Ok(frame)).is_err() {
            tracing::debug!(from = %self.from, "a question is declined without a word");
        }
        Ok(())
    }

    fn asked(&mut self, ask: Ask) -> Result<(), Status> {
        let id = ask.id;
        if !self.is_known() {
            // The next look ends the link; whoever asks is told that nothing was done.
            let reason = "it is no node any more".to_owned();
            return self.decline(answered(id, Err(LinkError::Refused(reason))));
        }
        let late_us = self.delay.of(clock::mono_us(), ask.sent_us).unsigned_abs();
        let left = Duration::from_millis(ask.left_ms.into());
        let left = left.saturating_sub(Duration::from_micros(late_us));
        if left.is_zero() {
            return self.decline(late(id));
        }
        let Ok(place) = Arc::clone(&self.running).try_acquire_owned() else {
            return self.decline(answered(id, Err(LinkError::Full)));
        };
        let Some((kind, answers)) = self.reception.links.answers_of(&ask.kind) else {
            let reason = "there is no such question".to_owned();
            return self.decline(answered(id, Err(LinkError::NotUnderstood(reason))));
        };
        let (from, rest) = (self.from, self.rest.clone());
        let work = work(from, kind, answers, (ask.body, ask.traceparent));
        tokio::spawn(async move {
            let _place: OwnedSemaphorePermit = place;
            let done = async {
                // Later, nobody waits for it.
                if let Ok(answer) = timeout(left, work).await {
                    // Where it cannot be sent, whoever asked is gone.
                    let _ = rest.send(Ok(answered(id, answer))).await;
                }
            };
            tokio::select! {
                () = done => {}
                () = rest.closed() => {}
            }
        });
        Ok(())
    }

    /// What cannot be done now is not done: nobody waits for it.
    fn told(&self, tell: Tell) {
        let place = Arc::clone(&self.tells).try_acquire_owned();
        let answers = self.reception.links.answers_of(&tell.kind);
        if let (Ok(place), Some((kind, answers)), true) = (place, answers, self.is_known()) {
            let work = work(self.from, kind, answers, (tell.body, tell.traceparent));
            tokio::spawn(async move {
                let _place: OwnedSemaphorePermit = place;
                match timeout(TOLD_MAX, work).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "what was told ({kind}) is not done"),
                    Err(_) => tracing::debug!("what was told ({kind}) takes too long"),
                }
            });
        }
    }
}

/// One question's work: within its trace, and whatever becomes of it, there is an answer.
fn work(
    from: Incarnation,
    kind: &'static str,
    answers: Arc<dyn Answers>,
    (body, traceparent): (Vec<u8>, String),
) -> BoxFuture<'static, Result<Vec<u8>, LinkError>> {
    Box::pin(async move {
        let (trace, open) = spans::enter(Trace::parse(&traceparent));
        let work = async move { answers.answer(from, body).await };
        let work = AssertUnwindSafe(work).catch_unwind();
        let done = match trace {
            Some(trace) => trace.scope(work).await,
            None => work.await,
        };
        let answer = done.unwrap_or_else(|_| {
            tracing::error!(kind, %from, "a question ({kind}) of {from} was not answered: a panic");
            // How far it came is not known.
            Err(LinkError::Silent)
        });
        if let Some(open) = open {
            let attributes = vec![spans::text("kiki.service", "cluster")];
            open.close(SpanKind::Server, format!("link {kind}"), attributes, answer.is_err());
        }
        answer
    })
}

/// How much longer than others a frame was under way. Clocks of two machines tell no delay, but how it differs: what
/// has waited in the buffers of a machine that stood still is late, and its asker has gone.
#[derive(Default)]
struct Delay {
    /// The least that clocks and ways were apart: among the last probes, and among those before them.
    least_us: [Option<i64>; 2],
    probes: u32,
}

impl Delay {
    /// Clocks go at different speeds: what was the least is forgotten after a while. By probes and not by time: a
    /// machine that stood still must not have forgotten.
    fn probed(&mut self, now_us: i64, sent_us: i64) {
        self.of(now_us, sent_us);
        self.probes += 1;
        if self.probes >= PROBES_KEPT {
            self.probes = 0;
            self.least_us = [None, self.least_us[0]];
        }
    }

    /// By how much a frame is late; 0 where it does not tell.
    fn of(&mut self, now_us: i64, sent_us: i64) -> i64 {
        if sent_us == 0 {
            return 0;
        }
        let apart_us = now_us.saturating_sub(sent_us);
        let newest = self.least_us[0].map_or(apart_us, |least| least.min(apart_us));
        self.least_us[0] = Some(newest);
        let least_us = self.least_us[1].map_or(newest, |least| least.min(newest));
        apart_us.saturating_sub(least_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_late_by_what_it_took_longer_than_the_fastest() {
        // The other side's clock is 5 s behind, and the way takes 200 us.
        let mut delay = Delay::default();
        let sent = |at: i64| at - 5_000_000;
        assert_eq!(delay.of(1_000_200, sent(1_000_000)), 0);
        assert_eq!(delay.of(2_000_900, sent(2_000_000)), 700);
        // This side stood still for ten seconds.
        assert_eq!(delay.of(13_000_200, sent(3_000_000)), 10_000_000);
        delay.probed(13_000_300, sent(3_500_000));
        assert_eq!(delay.of(13_000_400, sent(4_000_000)), 9_000_200);
        assert_eq!(delay.of(14_000_200, sent(14_000_000)), 0);
        // A release that does not tell is never late.
        assert_eq!(delay.of(99_000_000, 0), 0);
    }

    #[test]
    fn clocks_that_go_at_different_speeds_make_nothing_late_for_long() {
        let mut delay = Delay::default();
        // 1 ms a probe apart.
        for n in 1..100 {
            let late = delay.of(n * 501_000, n * 500_000);
            assert!(late <= 33_000, "{late}");
            delay.probed(n * 501_000, n * 500_000);
        }
    }
}
