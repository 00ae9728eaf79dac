//! The load of an exchange over keep-alive connections: in a closed loop for what a server can, in an open
//! one for how long it takes, and notices of the bids that win.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub const CONNECTIONS: usize = 64;
/// Of so many answers with bids the first bid wins.
const WINS_ONE_IN: u64 = 20;
/// Connections that notices go over, and how many may wait for each.
const COURIERS: usize = 8;
const WAITING_MAX: usize = 1_024;

/// The bytes of a bid request.
pub fn request(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "POST /openrtb2/bid HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         x-openrtb-version: 2.6\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        Connection { stream, buffer: vec![0; 16 * 1024] }
    }

    /// Sends a request and reads its answer: status and body.
    pub async fn ask(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.expect("it is sent");
        let (mut have, mut ends) = (0, None);
        loop {
            if have == self.buffer.len() {
                self.buffer.resize(2 * have, 0);
            }
            let n = self.stream.read(&mut self.buffer[have..]).await.expect("an answer");
            assert!(n > 0, "the connection stands");
            have += n;
            ends = ends.or_else(|| Ends::of(&self.buffer[..have]));
            if let Some(Ends { status, head, whole }) = ends
                && have >= whole
            {
                return (status, &self.buffer[head..whole]);
            }
        }
    }

    pub async fn expect(&mut self, request: &[u8], status: u16) -> &[u8] {
        let (got, body) = self.ask(request).await;
        assert_eq!(got, status, "{}", String::from_utf8_lossy(body));
        body
    }
}

/// Where an answer's head and the answer itself end.
#[derive(Clone, Copy)]
struct Ends {
    status: u16,
    head: usize,
    whole: usize,
}

impl Ends {
    /// Once the head is there.
    fn of(bytes: &[u8]) -> Option<Ends> {
        let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let status = number(&bytes[9..12]) as u16;
        let name = b"content-length: ";
        let at = bytes[..head].windows(name.len()).position(|w| w.eq_ignore_ascii_case(name));
        // 204 has no body and says nothing of its length.
        let length = at.map_or(0, |at| number(&bytes[at + name.len()..]));
        Some(Ends { status, head, whole: head + length })
    }
}

fn number(digits: &[u8]) -> usize {
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0, |n, b| n * 10 + usize::from(b - b'0'))
}

/// What a round of load saw.
#[derive(Clone)]
pub struct Seen {
    pub took: Histogram<u64>,
    /// Requests that were answered with bids, and those with none.
    pub bids: u64,
    pub no_bids: u64,
    /// Of the answers with bids.
    pub bytes: u64,
    pub lasted: Duration,
    /// Notices that were taken, and those that found no room in the load's own queues.
    pub notices: u64,
    pub left_out: u64,
}

impl Seen {
    fn new() -> Seen {
        let took = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds");
        let lasted = Duration::ZERO;
        Seen { took, bids: 0, no_bids: 0, bytes: 0, lasted, notices: 0, left_out: 0 }
    }

    fn add(&mut self, other: &Seen) {
        self.took.add(&other.took).expect("the same bounds");
        self.bids += other.bids;
        self.no_bids += other.no_bids;
        self.bytes += other.bytes;
        self.left_out += other.left_out;
    }

    pub fn requests(&self) -> u64 {
        self.bids + self.no_bids
    }

    pub fn per_s(&self) -> f64 {
        self.requests() as f64 / self.lasted.as_secs_f64()
    }

    pub fn p99_us(&self) -> f64 {
        self.took.value_at_quantile(0.99) as f64
    }

    /// Percent of the requests that were answered with bids.
    pub fn share(&self) -> f64 {
        100.0 * self.bids as f64 / self.requests().max(1) as f64
    }

    fn answered(&mut self, (status, body): (u16, &[u8]), took: Duration, wins: &Wins) {
        self.took.saturating_record(took.as_micros() as u64);
        match status {
            // A test is told why nothing is bid.
            200 if !is_bid(body) => self.no_bids += 1,
            200 => {
                self.bids += 1;
                self.bytes += body.len() as u64;
                self.left_out += u64::from(!wins.heard(body));
            }
            204 => self.no_bids += 1,
            other => panic!("{other}: {}", String::from_utf8_lossy(body)),
        }
    }
}

/// Where the notices of bids that win are put.
#[derive(Clone)]
struct Wins {
    to: Arc<[mpsc::Sender<[Vec<u8>; 2]>]>,
    answers: Arc<AtomicU64>,
}

impl Wins {
    fn heard(&self, body: &[u8]) -> bool {
        let n = self.answers.fetch_add(1, Relaxed);
        if self.to.is_empty() || !n.is_multiple_of(WINS_ONE_IN) {
            return true;
        }
        let (notices, at) = (notices(body), (n / WINS_ONE_IN) as usize % self.to.len());
        // Of a test nothing is told.
        notices.is_none_or(|notices| self.to[at].try_send(notices).is_ok())
    }
}

fn is_bid(body: &[u8]) -> bool {
    let seats = b"\"seatbid\":";
    body.windows(seats.len()).any(|window| window == seats)
}

/// The requests of the first bid's win and billing, at the price that was bid.
fn notices(body: &[u8]) -> Option<[Vec<u8>; 2]> {
    let text = std::str::from_utf8(body).expect("text");
    let member = |name: &str, end: &[char]| {
        let (_, rest) = text.split_once(name)?;
        rest.split(end).next()
    };
    let price = member("\"price\":", &[',', '}']).expect("a price");
    let currency = member("\"cur\":\"", &['"']).expect("a currency");
    let request = |url: &str| {
        let (_, path) = url.split_once("://").expect("an address");
        let path = path.split_once('/').expect("a path").1;
        let path = path.replace("${AUCTION_PRICE}", price);
        let path =
            path.replace("${AUCTION_CURRENCY}", currency).replace("${AUCTION_MIN_TO_WIN}", "");
        format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
    };
    let win = member("\"nurl\":\"", &['"'])?;
    Some([request(win), request(member("\"burl\":\"", &['"'])?)])
}

/// Those who call notices.
struct Couriers {
    wins: Wins,
    tasks: Vec<JoinHandle<u64>>,
}

impl Couriers {
    /// `tells`: whether bids win at all.
    fn start(port: u16, tells: bool) -> Couriers {
        let (mut to, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..if tells { COURIERS } else { 0 } {
            let (sender, mut waiting) = mpsc::channel::<[Vec<u8>; 2]>(WAITING_MAX);
            to.push(sender);
            tasks.push(tokio::spawn(async move {
                let (mut connection, mut told) = (Connection::open(port).await, 0);
                while let Some(notices) = waiting.recv().await {
                    for notice in &notices {
                        // Until it is taken for good, as exchanges do.
                        while connection.ask(notice).await.0 == 503 {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                        told += 1;
                    }
                }
                told
            }));
        }
        Couriers { wins: Wins { to: to.into(), answers: Arc::default() }, tasks }
    }

    /// How many were taken, once all are.
    async fn end(self) -> u64 {
        let Couriers { wins, tasks } = self;
        drop(wins);
        let mut told = 0;
        for task in tasks {
            told += task.await.expect("a courier");
        }
        told
    }
}

/// Every connection sends the next request when the last is answered. `tells`: whether bids win.
pub async fn closed(port: u16, requests: &Arc<Vec<Vec<u8>>>, time: Duration, tells: bool) -> Seen {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(port).await);
    }
    let couriers = Couriers::start(port, tells);
    let began = Instant::now();
    let tasks = connections.into_iter().enumerate().map(|(n, mut connection)| {
        let (requests, wins) = (Arc::clone(requests), couriers.wins.clone());
        tokio::spawn(async move {
            let mut seen = Seen::new();
            let mut next = n * requests.len() / CONNECTIONS;
            while began.elapsed() < time {
                let sent = Instant::now();
                let answer = connection.ask(&requests[next % requests.len()]).await;
                seen.answered(answer, sent.elapsed(), &wins);
                next += 1;
            }
            seen
        })
    });
    let tasks: Vec<_> = tasks.collect();
    gather(tasks, began, couriers).await
}

/// Requests come at random times (exponential gaps) at a rate that does not depend on the answers; each takes
/// the first connection that is free. What is measured begins when a request was to be sent, so that what
/// waits behind a slow answer is counted (Tene, "How NOT to measure latency"). The timers of the load, which
/// are a millisecond apart, are in it.
pub async fn open(
    port: u16,
    requests: &Arc<Vec<Vec<u8>>>,
    time: Duration,
    per_s: f64,
    tells: bool,
) -> Seen {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut at = 0.0;
    let due = std::iter::from_fn(|| {
        at -= (1.0 - rng.random::<f64>()).ln() / per_s;
        (at < time.as_secs_f64()).then(|| Duration::from_secs_f64(at))
    });
    let due: Arc<Vec<Duration>> = Arc::new(due.collect());
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(port).await);
    }
    let couriers = Couriers::start(port, tells);
    let (began, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let tasks = connections.into_iter().map(|mut connection| {
        let (requests, wins) = (Arc::clone(requests), couriers.wins.clone());
        let (due, next) = (Arc::clone(&due), Arc::clone(&next));
        tokio::spawn(async move {
            let mut seen = Seen::new();
            loop {
                let nth = next.fetch_add(1, Relaxed);
                let Some(due) = due.get(nth).map(|due| began + *due) else { return seen };
                tokio::time::sleep_until(due.into()).await;
                let answer = connection.ask(&requests[nth % requests.len()]).await;
                seen.answered(answer, due.elapsed(), &wins);
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    gather(tasks, began, couriers).await
}

async fn gather(tasks: Vec<JoinHandle<Seen>>, began: Instant, couriers: Couriers) -> Seen {
    let mut all = Seen::new();
    for task in tasks {
        all.add(&task.await.expect("a connection"));
    }
    all.lasted = began.elapsed();
    all.notices = couriers.end().await;
    all
}
