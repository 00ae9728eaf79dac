//! The load: clients that begin things at their rate, whatever becomes of those begun before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::clients::{Admin, Budgets, Common, Customers, Exchanges, Play, Spends};
use super::desk::Desk;
use super::http::{Http, HttpError};
use super::journal::{Closed, Journal};
use super::kind::Kind;
use super::live::Live;
use super::random::Stream;
use super::spec::LoadSpec;
use super::summary::LoadSummary;
use super::urls::Urls;
use super::venue::Venue;

/// How long what was begun may take after the last arrival: a settle that is owed is tried again for this long.
const LAST: Duration = Duration::from_secs(45);

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the load cannot be: {}", .0.join("; "))]
    Faults(Vec<String>),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("a client ended by itself: {0}")]
    Client(#[from] JoinError),
    #[error("{what}: {why}")]
    Prepare { what: String, why: String },
}

/// Plays all clients until the duration is over, or `stop` is true, or nobody holds its sender any more.
///
/// # Errors
/// The spec cannot be, or the history cannot be written any more.
pub async fn run(
    spec: &LoadSpec,
    seed: u64,
    urls: &Urls,
    journal: &Journal,
    live: &Arc<Live>,
    venue: &Arc<Venue>,
    stop: watch::Receiver<bool>,
) -> Result<LoadSummary, LoadError> {
    let faults: Vec<String> = spec.faults().into_iter().chain(urls.faults()).collect();
    if !faults.is_empty() {
        return Err(LoadError::Faults(faults));
    }
    let http = Http::new(urls, spec.connect_timeout, spec.timeout)?;
    let (live, venue) = (Arc::clone(live), Arc::clone(venue));
    let desk = Desk {
        http,
        journal: journal.clone(),
        live: Arc::clone(&live),
        venue,
        spread: urls.spread,
    };
    let common = Arc::new(Common::new(spec.clone(), urls.clone(), desk));
    let paced =
        Paced { seed, until: Instant::now() + spec.duration, stop, live: Arc::clone(&live) };
    let from = live.seconds();
    let mut clients = JoinSet::new();
    paced.start(&mut clients, &common, Budgets(Arc::clone(&common)));
    paced.start(&mut clients, &common, Spends(Arc::clone(&common)));
    paced.start(&mut clients, &common, Exchanges(Arc::clone(&common)));
    paced.start(&mut clients, &common, Customers(Arc::clone(&common)));
    paced.start(&mut clients, &common, Admin(Arc::clone(&common)));
    let mut arriving = 0.0f64;
    while let Some(ended) = clients.join_next().await {
        arriving = arriving.max(ended?? - from);
    }
    let kinds = Kind::ALL.into_iter().map(|kind| (kind, live.total(kind))).collect();
    Ok(LoadSummary { seconds: arriving, kinds, wrong: live.wrong() })
}

struct Paced {
    seed: u64,
    until: Instant,
    stop: watch::Receiver<bool>,
    live: Arc<Live>,
}

impl Paced {
    fn start<P: Play>(
        &self,
        clients: &mut JoinSet<Result<f64, LoadError>>,
        common: &Common,
        play: P,
    ) {
        let arrivals = common.spec.arrivals(P::KIND);
        if arrivals.rate <= 0.0 {
            return;
        }
        let rate = arrivals.rate / f64::from(arrivals.clients);
        let (play, room) =
            (Arc::new(play), Arc::new(Semaphore::new(common.spec.outstanding as usize)));
        for client in 0..arrivals.clients {
            let stream = Stream::of(self.seed, P::KIND, client);
            let room = if P::ALONE { Arc::new(Semaphore::new(1)) } else { Arc::clone(&room) };
            let one = Client { client, rate, stream, room, play: Arc::clone(&play) };
            clients.spawn(one.run(self.until, self.stop.clone(), Arc::clone(&self.live)));
        }
    }
}

struct Client<P> {
    client: u32,
    rate: f64,
    stream: Stream,
    room: Arc<Semaphore>,
    play: Arc<P>,
}

impl<P: Play> Client<P> {
    /// Until when things arrived, in seconds of the figures' clock.
    async fn run(
        mut self,
        until: Instant,
        mut stop: watch::Receiver<bool>,
        live: Arc<Live>,
    ) -> Result<f64, LoadError> {
        let mut flows: JoinSet<Result<(), Closed>> = JoinSet::new();
        let mut next = Instant::now();
        for n in 0.. {
            next += self.stream.gap(self.rate);
            let stopped = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => true,
                () = tokio::time::sleep_until(next.min(until)) => next >= until,
            };
            if stopped {
                break;
            }
            // Drawn also where it is not sent: what comes next does not depend on how fast answers are.
            let plan = self.play.draw(self.client, n, &mut self.stream);
            live.arrived(P::KIND);
            let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
                live.not_sent(P::KIND);
                continue;
            };
            let played = Arc::clone(&self.play).play(self.client, plan);
            flows.spawn(async move {
                let ended = played.await;
                drop(room);
                ended
            });
            while let Some(ended) = flows.try_join_next() {
                ended??;
            }
        }
        let arrived = live.seconds();
        let all = async {
            while let Some(ended) = flows.join_next().await {
                ended??;
            }
            Ok::<_, LoadError>(())
        };
        match tokio::time::timeout(LAST, all).await {
            Ok(ended) => ended?,
            // What is cut off here has a beginning in the history and no end: nobody knows what became of it.
            Err(_) => live.cut(P::KIND, flows.len() as u64),
        }
        Ok(arrived)
    }
}
