//! The network of a lab on loopback: proxies of TCP between hosts. They see streams, no packets: nothing can be lost
//! or doubled, and a partition is a stream that stands still. Everything else is the same rule, applied to pieces of
//! a stream.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::path::{Fate, Path};
use super::rule::{Counts, Rule};
use super::{NotPossible, Pair, whose};
use crate::lab::error::{LabError, LabResult};
use crate::lab::host::HostName;

mod stream;

/// Time that the other end may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// Pause after the system gave no connection.
const PAUSE: Duration = Duration::from_millis(50);

/// All proxies of a lab, until they are dropped.
pub struct Proxies {
    lines: Arc<Lines>,
    open: Mutex<BTreeMap<Way, SocketAddrV4>>,
    tasks: Mutex<JoinSet<()>>,
    runtime: tokio::runtime::Handle,
}

/// From one host, or from whoever it may be, to a port of another.
type Way = (Option<HostName>, HostName, u16);

/// Who has which process, to tell who calls.
pub type WhoRuns = dyn Fn() -> Vec<(HostName, u32)> + Send + Sync;

/// The rules, and what they did.
pub(super) struct Lines {
    hosts: Vec<HostName>,
    seed: u64,
    began: Instant,
    paths: Mutex<BTreeMap<Pair, Path>>,
    /// Counts changes of rules: whoever stands still looks again.
    pub(super) changed: watch::Sender<u64>,
    trouble: Mutex<Vec<String>>,
    who: Box<WhoRuns>,
}

impl Proxies {
    /// Must be called within a runtime, which runs the proxies.
    pub fn new(seed: u64, hosts: Vec<HostName>, who: Box<WhoRuns>) -> Proxies {
        let lines = Lines {
            hosts,
            seed,
            began: Instant::now(),
            paths: Mutex::new(BTreeMap::new()),
            changed: watch::Sender::new(0),
            trouble: Mutex::new(Vec::new()),
            who,
        };
        Proxies {
            lines: Arc::new(lines),
            open: Mutex::new(BTreeMap::new()),
            tasks: Mutex::new(JoinSet::new()),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// # Errors
    /// There is no such host, or the rule is about packets.
    pub fn set(&self, from: HostName, to: HostName, rule: Rule) -> Result<(), NotPossible> {
        for host in [from, to] {
            if !self.lines.hosts.contains(&host) {
                return Err(NotPossible::Host(host));
            }
        }
        if rule.drop > 0.0 {
            return Err(NotPossible::Packets("loss"));
        }
        if rule.duplicate > 0.0 {
            return Err(NotPossible::Packets("duplication"));
        }
        self.lines.path((from, to), |path| path.set(rule));
        self.lines.changed.send_modify(|n| *n += 1);
        Ok(())
    }

    pub fn clear_all(&self) {
        for path in self.lines.paths().values_mut() {
            if *path.rule() != Rule::default() {
                path.set(Rule::default());
            }
        }
        self.lines.changed.send_modify(|n| *n += 1);
    }

    pub fn hosts(&self) -> &[HostName] {
        &self.lines.hosts
    }

    pub fn counts(&self) -> BTreeMap<Pair, Counts> {
        self.lines.paths().iter().map(|(pair, path)| (*pair, path.counts)).collect()
    }

    pub fn trouble(&self) -> Vec<String> {
        self.lines.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The address of the proxy for these; it is made where there is none.
    ///
    /// # Errors
    /// No port can be had.
    pub fn reach(
        &self,
        from: Option<HostName>,
        to: HostName,
        port: u16,
    ) -> LabResult<SocketAddrV4> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = open.get(&(from, to, port)) {
            return Ok(*there);
        }
        let failed = |error| LabError::io(format!("a proxy to {to}"), error);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, at.port());
        let inside = self.runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        drop(inside);
        let accepting = accept(self.lines.clone(), listener, from, to, port);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn_on(accepting, &self.runtime);
        open.insert((from, to, port), at);
        Ok(at)
    }
}

impl Lines {
    fn paths(&self) -> MutexGuard<'_, BTreeMap<Pair, Path>> {
        // Nothing is left half done under this lock.
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path<T>(&self, pair: Pair, act: impl FnOnce(&mut Path) -> T) -> T {
        act(self.paths().entry(pair).or_insert_with(|| Path::new(self.seed, pair.0, pair.1)))
    }

    pub(super) fn rule(&self, pair: Pair) -> Rule {
        self.path(pair, |path| *path.rule())
    }

    /// When a piece that was read now goes on.
    pub(super) fn fate(&self, pair: Pair, bytes: usize) -> (Fate, Instant) {
        let fate = self.path(pair, |path| path.fate(self.began.elapsed(), bytes));
        (fate, self.began)
    }

    /// Waits until neither direction stands still. False: they are to be reset.
    async fn passable(&self, pair: Pair) -> bool {
        let mut changed = self.changed.subscribe();
        loop {
            let rules = [self.rule(pair), self.rule((pair.1, pair.0))];
            if rules.iter().any(|rule| rule.reset) {
                return false;
            }
            if !rules.iter().any(|rule| rule.partition) {
                return true;
            }
            if changed.changed().await.is_err() {
                return false;
            }
        }
    }

    /// The host of whoever called from this address.
    fn caller(&self, caller: SocketAddr, here: SocketAddr) -> Option<HostName> {
        let (SocketAddr::V4(caller), SocketAddr::V4(here)) = (caller, here) else { return None };
        let socket = whose::socket_of(caller, here)?;
        (self.who)().into_iter().find(|(_, pid)| whose::holds(*pid, socket)).map(|(host, _)| host)
    }

    fn troubled(&self, what: String) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.len() < 32 && !trouble.contains(&what) {
            tracing::error!("{what}");
            trouble.push(what);
        }
    }
}

/// Takes connections for a port of a host.
async fn accept(
    lines: Arc<Lines>,
    listener: TcpListener,
    from: Option<HostName>,
    to: HostName,
    port: u16,
) {
    let mut streams = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = streams.join_next() => continue,
        };
        let (stream, caller) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                lines.troubled(format!("the proxy to {to} takes no connections: {error}"));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Whoever closes at once is nobody any more.
        let from = match (from, listener.local_addr()) {
            (Some(from), _) => Some(from),
            (None, Ok(here)) => lines.caller(caller, here),
            (None, Err(_)) => None,
        };
        if let Some(from) = from {
            streams.spawn(join(lines.clone(), stream, (from, to), port));
        }
    }
}

/// One connection, from its beginning to its end.
async fn join(lines: Arc<Lines>, stream: TcpStream, pair: Pair, port: u16) {
    if !lines.passable(pair).await {
        lines.path(pair, |path| path.counts.reset += 1);
        return stream::reset(&lines, [&stream]);
    }
    let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    match tokio::time::timeout(CONNECT, connecting).await {
        Ok(Ok(other)) => stream::run(&lines, stream, other, pair).await,
        // As a closed port answers.
        Ok(Err(_)) | Err(_) => stream::reset(&lines, [&stream]),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const A: HostName = HostName::Suite;
    const B: HostName = HostName::Node(1);
    const C: HostName = HostName::Node(2);

    /// A server that says everything again, and proxies to it.
    async fn echo() -> (Proxies, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    // Whoever is reset says no more.
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        let me = std::process::id();
        (Proxies::new(1, HostName::all(2), Box::new(move || vec![(C, me)])), port)
    }

    async fn says(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Duration> {
        let began = Instant::now();
        stream.write_all(text).await?;
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).await?;
        assert_eq!(heard, text);
        Ok(began.elapsed())
    }

    #[tokio::test]
    async fn latency_counts_in_its_direction_alone_and_nothing_of_a_stream_is_lost() {
        let (proxies, port) = echo().await;
        let at = proxies.reach(Some(A), B, port).unwrap();
        assert_eq!(proxies.reach(Some(A), B, port).unwrap(), at, "one proxy for each way");
        let mut stream = TcpStream::connect(at).await.unwrap();
        says(&mut stream, b"hello").await.unwrap();
        proxies.set(B, A, Rule::slow(Duration::from_millis(120), Duration::ZERO)).unwrap();
        let took = says(&mut stream, b"slow").await.unwrap();
        assert!((120..1_000).contains(&took.as_millis()), "{took:?}");
        proxies.clear_all();
        proxies.set(A, B, Rule::narrow(8_000_000, 20_000)).unwrap();
        let much: Vec<u8> = (0..400_000_u32).map(|n| n as u8).collect();
        let (mut read, mut write) = stream.into_split();
        let sent = much.clone();
        let began = Instant::now();
        tokio::spawn(async move { write.write_all(&sent).await.unwrap() });
        let mut heard = vec![0; much.len()];
        read.read_exact(&mut heard).await.unwrap();
        // 400 kB at 1 MB/s.
        assert!((300..5_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        assert!(heard == much);
        assert!(proxies.counts()[&(A, B)].forwarded > 10);
        assert_eq!(proxies.trouble(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_partition_stands_still_and_goes_on_and_new_connections_wait() {
        let (proxies, port) = echo().await;
        let at = proxies.reach(Some(A), B, port).unwrap();
        let mut old = TcpStream::connect(at).await.unwrap();
        says(&mut old, b"before").await.unwrap();
        // One way is enough.
        proxies.set(B, A, Rule::partition()).unwrap();
        let mut new = TcpStream::connect(at).await.unwrap();
        let short = Duration::from_millis(200);
        assert!(timeout(short, says(&mut old, b"during")).await.is_err());
        assert!(timeout(short, says(&mut new, b"new")).await.is_err());
        proxies.clear_all();
        let mut heard = [0; 6];
        timeout(Duration::from_secs(5), old.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"during");
        let mut heard = [0; 3];
        timeout(Duration::from_secs(5), new.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"new");
        assert!(proxies.counts()[&(B, A)].partitioned > 0);
    }

    #[tokio::test]
    async fn a_reset_is_heard_by_connections_that_are_there_and_by_new_ones() {
        let (proxies, port) = echo().await;
        let at = proxies.reach(Some(A), B, port).unwrap();
        let mut old = TcpStream::connect(at).await.unwrap();
        says(&mut old, b"before").await.unwrap();
        proxies.set(A, B, Rule::reset()).unwrap();
        let error =
            timeout(Duration::from_secs(5), old.read(&mut [0; 8])).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let mut new = TcpStream::connect(at).await.unwrap();
        assert!(timeout(Duration::from_secs(5), says(&mut new, b"x")).await.unwrap().is_err());
        proxies.clear_all();
        let mut again = TcpStream::connect(at).await.unwrap();
        says(&mut again, b"after").await.unwrap();
    }

    #[tokio::test]
    async fn whoever_calls_where_all_are_told_one_address_is_known_by_its_process() {
        let (proxies, port) = echo().await;
        let at = proxies.reach(None, B, port).unwrap();
        let mut stream = TcpStream::connect(at).await.unwrap();
        says(&mut stream, b"hello").await.unwrap();
        assert_eq!(proxies.counts().keys().copied().collect::<Vec<_>>(), [(B, C), (C, B)]);
    }

    #[tokio::test]
    async fn what_streams_do_not_have_is_refused() {
        let (proxies, _) = echo().await;
        let refused = proxies.set(A, B, Rule::lossy(0.1)).unwrap_err();
        assert_eq!(refused, NotPossible::Packets("loss"));
        let twice = Rule { duplicate: 0.1, ..Rule::default() };
        assert_eq!(proxies.set(A, B, twice), Err(NotPossible::Packets("duplication")));
        let nobody = HostName::Node(3);
        assert_eq!(proxies.set(A, nobody, Rule::partition()), Err(NotPossible::Host(nobody)));
    }
}
