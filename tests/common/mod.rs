//! The real binary as a server: started on free ports, killed, started again on the same data.
#![allow(dead_code, reason = "each test binary uses the part that it needs")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::Value;

/// The ports that a server takes, before its offset.
const PORTS: [u16; 7] = [7940, 8080, 8081, 8082, 8087, 8090, 50_051];
/// Below the ports that systems give to clients.
const OFFSETS: std::ops::Range<u16> = 2_000..15_000;
/// A start, with the recovery of what a killed one left.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub data: PathBuf,
    pub offset: u16,
    settings: Vec<String>,
    said: Arc<Mutex<String>>,
}

/// Why a start did not become ready: its exit status and what it said.
#[derive(Debug)]
pub struct NotReady {
    pub status: Option<ExitStatus>,
    pub said: String,
}

impl Server {
    /// Starts on free ports and waits until it is ready.
    pub fn start(data: &Path, settings: &[&str]) -> Server {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut last = String::new();
        for _ in 0..20 {
            match Server::start_at(data, free_offset(), &settings) {
                Ok(server) => return server,
                // Somebody was faster.
                Err(why) if why.said.contains("in use") => last = why.said,
                Err(why) => panic!("no server: {why:?}"),
            }
        }
        panic!("no free ports: {last}");
    }

    /// Starts on given ports.
    pub fn start_at(data: &Path, offset: u16, settings: &[String]) -> Result<Server, NotReady> {
        let mut command = command();
        command.current_dir(data.parent().expect("a parent")).arg("up").arg("--data-dir").arg(data);
        command.arg("--port-offset").arg(offset.to_string());
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kiki starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (tell, ready) = mpsc::channel();
        let out = child.stdout.take().expect("piped");
        listen(out, Arc::clone(&said), Some(tell));
        let heard = listen(child.stderr.take().expect("piped"), Arc::clone(&said), None);
        let server =
            Server { child, data: data.to_owned(), offset, settings: settings.to_vec(), said };
        match ready.recv_timeout(READY_WITHIN) {
            Ok(()) => Ok(server),
            Err(error) => {
                let mut server = server;
                let status = match error {
                    mpsc::RecvTimeoutError::Disconnected => server.child.wait().ok(),
                    mpsc::RecvTimeoutError::Timeout => None,
                };
                server.kill();
                heard.join().expect("heard to the end");
                Err(NotReady { status, said: server.said() })
            }
        }
    }

    /// SIGKILL: nothing is finished, nothing is flushed.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts again on the same data and ports.
    pub fn restart(&mut self) {
        self.kill();
        let began = Instant::now();
        loop {
            match Server::start_at(&self.data, self.offset, &self.settings) {
                Ok(server) => {
                    *self = server;
                    return;
                }
                Err(why) if why.said.contains("in use") && began.elapsed() < READY_WITHIN => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(why) => panic!("no restart: {why:?}"),
            }
        }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("sent");
    }

    /// SIGTERM, and its exit status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended(STOPPED_WITHIN)
    }

    /// Waits for its end.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(began.elapsed() < within, "still runs: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", 8081 + self.offset)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", 8090 + self.offset)
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = client().post(self.url(path));
        let request = request.header("content-type", "application/json").body(body.to_string());
        read(request).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        read(client().get(self.url(path))).await
    }

    /// A campaign with this lifetime budget in USD.
    pub async fn allocate(&self, campaign: &str, budget: u64) {
        let body = serde_json::json!({"campaign_id": campaign, "budget": budget});
        let (status, answer) = self.post("/api/v1/allocate", &body).await;
        assert_eq!(status, 201, "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the server said\n{}---", self.said());
        }
    }
}

/// A client of plain HTTP that goes where it is sent.
pub fn client() -> reqwest::Client {
    let builder = kiki::connectors::http::builder("http:");
    builder.redirect(reqwest::redirect::Policy::default()).build().expect("a client")
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The binary, deaf to the environment of the tests.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.env_clear();
    command
}

fn free_offset() -> u16 {
    loop {
        let offset = rand::rng().random_range(OFFSETS);
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port + offset)).is_ok();
        if PORTS.into_iter().all(free) {
            return offset;
        }
    }
}

/// Collects what a stream says; tells when it says "ready".
fn listen(
    stream: impl Read + Send + 'static,
    said: Arc<Mutex<String>>,
    tell: Option<mpsc::Sender<()>>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let ready = line.starts_with("ready in");
            let mut said = said.lock().expect("not poisoned");
            writeln!(said, "{line}").expect("memory");
            if said.len() > 1 << 20 {
                said.clear();
            }
            drop(said);
            if let Some(tell) = tell.as_ref().filter(|_| ready) {
                // Nobody waits any more: the start took too long.
                let _ = tell.send(());
            }
        }
    })
}
