//! Servers as processes of their own, and the load on them: keep-alive connections that each send
//! the next request when the last is answered.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const CONNECTIONS: usize = 64;
/// Set for this program to be `kiki`.
pub const SERVE: &str = "BENCH_SERVES_KIKI";
/// Set with it for bookings and refusals to reach no log.
pub const UNAUDITED: &str = "BENCH_UNAUDITED";
/// Enough that every bid is approved.
pub const SETTINGS: [&str; 6] = [
    "--set",
    "shield.window_cap=1000000000",
    "--set",
    "shield.grace_s=0.05",
    "--set",
    "shield.holds_max=1000000",
];
const BUDGET: u64 = 1_000_000;

/// A server, killed with its value.
pub struct Server {
    child: Child,
    pub port: u16,
    /// From the start of the process to its word that it serves.
    pub ready: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// This very program as a server that prints `ready PORT`.
    pub fn own(args: &[&str]) -> Server {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(args);
        Server::start(command, None)
    }

    /// The `kiki` that is measured.
    pub fn program() -> PathBuf {
        match option_env!("CARGO_BIN_EXE_kiki") {
            Some(kiki) => kiki.into(),
            None => std::env::current_exe().expect("this program"),
        }
    }

    /// `kiki up` with a data directory and further arguments, on free ports.
    pub fn kiki(dir: &Path, args: &[&str]) -> Server {
        Server::kiki_as(&Server::program(), dir, args, &[])
    }

    /// The same of another program, with more in its environment.
    pub fn kiki_as(kiki: &Path, dir: &Path, args: &[&str], envs: &[(&str, &str)]) -> Server {
        let offset = free_offset();
        let mut command = Command::new(kiki);
        command.env(SERVE, "1");
        command.arg("up").arg("--data-dir").arg(dir);
        command.args(["--port-offset", &offset.to_string()]).args(args);
        command.env_remove("DATABASE_URL").env("LOG_LEVEL", "error").envs(envs.iter().copied());
        Server::start(command, Some(8081 + offset))
    }

    fn start(mut command: Command, port: Option<u16>) -> Server {
        let began = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the server starts");
        let mut lines = std::io::BufReader::new(child.stdout.take().expect("its output")).lines();
        let ready = loop {
            let line = lines.next().expect("it says when it is ready").expect("text");
            if line.starts_with("ready ") {
                break line;
            }
        };
        let took = began.elapsed();
        let said = || ready.split(' ').nth(1).and_then(|p| p.parse().ok()).expect("a port");
        // Whatever else it prints must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, port: port.unwrap_or_else(said), ready: took }
    }

    /// CPU time that the process has used, micros.
    pub fn cpu_us(&self) -> f64 {
        let stat = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(stat).expect("the process's times");
        // The second field is a name in parentheses; user and system time are 14 and 15, in the
        // ticks that Linux fixes at 100 a second for all that it tells.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks = |at| fields.split_whitespace().nth(at).and_then(|t| t.parse::<f64>().ok());
        (ticks(11).expect("ticks") + ticks(12).expect("ticks")) * 10_000.0
    }

    /// Resident memory in MB.
    pub fn resident_mb(&self) -> f64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).expect("the process's status");
        let kb = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("its memory");
        kb.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).expect("kB") / 1024.0
    }
}

fn free_offset() -> u16 {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut offsets = std::iter::repeat_with(|| rand::random_range(1_000..15_000_u16));
    let ports = [7940, 8080, 8081, 8082, 8087, 8090, 50_051];
    offsets.find(|offset| ports.iter().all(|port| free(port + offset))).expect("free ports")
}

/// The bytes of a request with a JSON body.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One keep-alive connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        Client { stream, buffer: vec![0; 16 * 1024] }
    }

    /// Sends a request and reads its answer: status and body.
    pub async fn send(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.expect("it is sent");
        let (mut have, mut end) = (0, None);
        loop {
            let n = self.stream.read(&mut self.buffer[have..]).await.expect("an answer");
            assert!(n > 0, "the connection stands and the answer fits");
            have += n;
            if end.is_none() {
                end = whole(&self.buffer[..have]);
            }
            if let Some((head, whole)) = end
                && have >= whole
            {
                let digits = std::str::from_utf8(&self.buffer[9..12]).expect("a status");
                return (digits.parse().expect("a status"), &self.buffer[head..whole]);
            }
        }
    }

    pub async fn expect(&mut self, request: &[u8], status: u16) -> &[u8] {
        let (got, body) = self.send(request).await;
        assert_eq!(got, status, "{}", String::from_utf8_lossy(body));
        body
    }
}

/// Where the body begins and where the answer ends, once its head is there.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let name = b"content-length: ";
    let at = bytes[..head].windows(name.len()).position(|w| w.eq_ignore_ascii_case(name))?;
    let digits = bytes[at + name.len()..].iter().take_while(|b| b.is_ascii_digit());
    let length = digits.fold(0, |n, b| n * 10 + usize::from(b - b'0'));
    Some((head, head + length))
}

/// What a round of load saw.
pub struct Load {
    pub per_s: f64,
    pub p99_us: f64,
}

/// Sends the requests in turn over all connections for a while; all must be answered 200.
pub async fn load(port: u16, requests: &Arc<Vec<Vec<u8>>>, time: Duration) -> Load {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(port).await);
    }
    let began = Instant::now();
    let tasks = clients.into_iter().enumerate().map(|(n, mut client)| {
        let requests = Arc::clone(requests);
        tokio::spawn(async move {
            let mut took = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds");
            let mut next = n * requests.len() / CONNECTIONS;
            while began.elapsed() < time {
                let sent = Instant::now();
                client.expect(&requests[next % requests.len()], 200).await;
                next += 1;
                took.saturating_record(sent.elapsed().as_micros() as u64);
            }
            took
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut all = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).expect("bounds");
    for task in tasks {
        all.add(task.await.expect("a client")).expect("the same bounds");
    }
    let per_s = all.len() as f64 / began.elapsed().as_secs_f64();
    Load { per_s, p99_us: all.value_at_quantile(0.99) as f64 }
}

/// The name of a campaign.
pub fn campaign(n: usize) -> String {
    format!("camp_{n:06}")
}

/// Lets so many campaigns spend.
pub async fn allocate(port: u16, campaigns: usize) {
    let mut client = Client::connect(port).await;
    for n in 0..campaigns {
        let body = format!(r#"{{"campaign_id":"{}","budget":{BUDGET}}}"#, campaign(n));
        client.expect(&post("/api/v1/allocate", &body), 201).await;
    }
}

/// A bid whose hold is soon over: what is open stays bounded.
pub fn bid(n: usize, ttl_s: f64) -> Vec<u8> {
    post("/api/v1/check", &bid_body(n, ttl_s))
}

/// Several bids for one campaign in a request.
pub fn bids(n: usize, count: usize, ttl_s: f64) -> Vec<u8> {
    let bids = vec![bid_body(n, ttl_s); count].join(",");
    post("/api/v1/check/batch", &format!(r#"{{"bids":[{bids}]}}"#))
}

fn bid_body(n: usize, ttl_s: f64) -> String {
    format!(
        r#"{{"campaign_id":"{}","bid_amount":1.25,"platform":"google","currency":"USD","ttl_s":{ttl_s}}}"#,
        campaign(n)
    )
}
