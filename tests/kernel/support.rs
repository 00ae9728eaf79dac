//! An actor for tests that does what it is told, and ways to wait for what it did.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kiki::actors::kernel::*;
use serde::Serialize;
use tokio::sync::oneshot;

pub const SOON: Duration = Duration::from_secs(10);

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub type Run = Box<dyn FnOnce(&mut Probe, &mut Cx<Probe>) + Send>;

pub enum Msg {
    /// Adds to the count.
    Add(u64),
    Count(Reply<u64>),
    Panic,
    Fail,
    /// Handled only when the gate opens; `entered` tells that its turn came.
    Wait {
        entered: oneshot::Sender<()>,
        gate: oneshot::Receiver<()>,
    },
    /// Runs any code inside the handler.
    Run(Run),
    Trace(Reply<Option<Trace>>),
    Log(String),
}

#[derive(Debug, Serialize, PartialEq)]
pub struct View {
    pub name: String,
    pub count: u64,
}

pub struct Probe {
    pub name: String,
    pub count: u64,
    pub log: Log,
    pub kept: Vec<Reply<u64>>,
    pub fail_start: bool,
    pub busy: bool,
    /// Keeps it from being passivated from outside.
    pub awake: Option<Arc<AtomicBool>>,
}

impl Probe {
    pub fn new(name: &str, log: &Log) -> Self {
        let name = name.to_owned();
        Self {
            name,
            count: 0,
            log: log.clone(),
            kept: Vec::new(),
            fail_start: false,
            busy: false,
            awake: None,
        }
    }

    pub fn maker(name: &'static str, log: &Log) -> impl FnMut() -> Self + Send + 'static {
        let log = log.clone();
        move || Self::new(name, &log)
    }
}

impl Actor for Probe {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "probe";

    async fn started(&mut self, _: &mut Cx<Self>) -> Result<(), Fault> {
        if self.fail_start {
            return Err(Fault::new("told not to start"));
        }
        self.log.add(format!("start {}", self.name));
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Add(n) => self.count += n,
            Msg::Count(reply) => reply.send(self.count),
            Msg::Panic => panic!("told to"),
            Msg::Fail => return Err(Fault::new("told to")),
            Msg::Wait { entered, gate } => {
                let _ = entered.send(());
                let _ = gate.await;
            }
            Msg::Run(run) => run(self, cx),
            Msg::Trace(reply) => reply.send(Trace::current()),
            Msg::Log(line) => self.log.add(line),
        }
        Ok(())
    }

    fn corrupt(msg: &mut Msg, draw: u64) {
        if let Msg::Add(n) = msg {
            *n = 1_000 + draw % 1_000;
        }
    }

    async fn stopping(&mut self, _: &mut Cx<Self>) {
        self.log.add(format!("stop {}", self.name));
    }

    fn view(&self) -> View {
        View { name: self.name.clone(), count: self.count }
    }

    fn idle(&self) -> bool {
        !self.busy && !self.awake.as_ref().is_some_and(|awake| awake.load(SeqCst))
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Add(_) => "Add",
            Msg::Count(_) => "Count",
            Msg::Panic => "Panic",
            Msg::Fail => "Fail",
            Msg::Wait { .. } => "Wait",
            Msg::Run(_) => "Run",
            Msg::Trace(_) => "Trace",
            Msg::Log(_) => "Log",
        }
    }

    fn duplicate(msg: &Msg) -> Option<Msg> {
        match msg {
            Msg::Add(n) => Some(Msg::Add(*n)),
            _ => None,
        }
    }
}

pub fn registry() -> Registry {
    Registry::new(KernelConfig { chaos_enabled: true })
}

pub fn fast(child: Child) -> Child {
    child
        .backoff(Duration::from_millis(1), Duration::from_millis(2))
        .grace(Duration::from_millis(50))
}

pub async fn count(handle: &Handle<Msg>) -> u64 {
    handle.ask(SOON, Msg::Count).await.expect("an answer")
}

/// Occupies an actor until the returned gate is opened or dropped.
pub async fn occupy(handle: &Handle<Msg>) -> oneshot::Sender<()> {
    let (open, gate) = oneshot::channel();
    let (entered, is_in) = oneshot::channel();
    handle.tell(Msg::Wait { entered, gate }).expect("room");
    is_in.await.expect("its turn");
    open
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("in time")
}

/// The next event that fits.
pub async fn event(stream: &mut EventStream, fits: impl Fn(&EventKind) -> bool) -> Arc<Event> {
    within(async {
        loop {
            let event = stream.next_in_order().await.expect("the kernel lives");
            if fits(&event.kind) {
                return event;
            }
        }
    })
    .await
}

/// For what no event tells: looks again every millisecond.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never happened: {what}");
}

pub fn detail(registry: &Registry, path: &str) -> ActorDetail {
    registry.actor(path).unwrap_or_else(|| panic!("no actor at {path}"))
}

/// Resident memory of this process in bytes.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: u64 = statm.split_whitespace().nth(1).expect("resident").parse().expect("a number");
    pages * 4_096
}

/// What this thread has computed so far: on a busy machine the time of a wall clock is others', too.
pub fn computed() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Whether this test has its process for itself. If not, runs it again in one of its own, where no
/// other test and no backtrace of one takes memory, and passes that run's outcome on.
pub fn alone(test: &str) -> bool {
    const MARK: &str = "KIKI_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
    let again =
        again.args([test, "--exact", "--nocapture"]).env(MARK, "1").output().expect("it runs");
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success(), "{said}\n{}", String::from_utf8_lossy(&again.stderr));
    assert!(said.contains("1 passed"), "there is no test {test}: {said}");
    println!("{said}");
    false
}

/// One at a time: tests that measure memory or fill the machine.
pub static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
