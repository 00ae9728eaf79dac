//! Each family in a lab, where KIKI_BIN (or target/debug) has the platform's program and the machine allows a lab.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::experiment::fault::Service;
use crate::experiment::pick::{Disk, End, Link, OfNodes};
use crate::lab::{self, HostName, Lab, LabSpec, Wanted, namespace};

const INSIDE: &str = "CHAOS_LAB_INSIDE";
/// Where the lab of a test that runs itself again is.
const FOLDER: &str = "CHAOS_LAB_TEST_FOLDER";

fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

fn binary() -> Option<PathBuf> {
    let given = std::env::var_os("KIKI_BIN").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/kiki");
    given.or(Some(built)).filter(|it| it.is_file())
}

/// Runs a test of this file again in namespaces of its own. `None`: it is there, or cannot be.
fn inside(test: &str, folder: &Path) -> Option<std::process::Output> {
    let outside = fs::metadata("/proc/self/ns/net").unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("fault::tests::labs::{test}"), "--nocapture"])
        .env(INSIDE, outside.ino().to_string())
        .env(FOLDER, folder)
        .output()
        .unwrap();
    Some(output)
}

/// The program, where labs can be had.
fn possible() -> Option<PathBuf> {
    let missing = namespace::missing();
    if !missing.is_empty() {
        skipped(&missing.join(", "));
        return None;
    }
    let binary = binary();
    if binary.is_none() {
        skipped("neither KIKI_BIN nor target/debug has kiki");
    }
    binary
}

fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn open(binary: PathBuf, folder: &Path) -> (Arc<Lab>, Faults) {
    let mut spec = LabSpec::new(2, binary, folder.to_owned());
    spec.network = Wanted::Namespaces;
    spec.leases = "fast".to_owned();
    spec.clocks = true;
    spec.disks = [(HostName::Database, 300 << 20), (HostName::Node(1), 16 << 20)].into();
    let lab = Arc::new(Lab::open(spec).await.unwrap());
    let admins = lab.nodes().iter().map(|it| (it.name.clone(), it.urls.admin.clone())).collect();
    let ground = Ground {
        lab: Some(lab.clone()),
        admins,
        token: None,
        folder: folder.to_owned(),
        venue: Arc::default(),
    };
    (lab, Faults::new(ground).unwrap())
}

fn name(n: u8) -> Nodes {
    Nodes::Name(format!("node-{n}"))
}

fn node(n: u8) -> Process {
    Process::Node(name(n))
}

async fn begin(faults: &Faults, number: u32, fault: Fault) -> FaultResult<Injected> {
    let all = ["node-1".to_owned(), "node-2".to_owned()];
    let chosen = Chosen::at_the_moment(&fault, &BTreeMap::new(), &all, 7)?;
    faults.inject(number, &fault, &chosen, LONG).await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[test]
fn every_family_strikes_a_lab_and_leaves_nothing() {
    let Some(binary) = possible() else { return };
    if let Some(folder) = std::env::var_os(FOLDER) {
        return runtime().block_on(strike_all(binary, Path::new(&folder)));
    }
    let folder = open_folder();
    let output = inside("every_family_strikes_a_lab_and_leaves_nothing", folder.path()).unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let _ = write!(std::io::stderr(), "{errors}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}

async fn strike_all(binary: PathBuf, folder: &Path) {
    let (lab, faults) = open(binary, folder).await;
    let began = std::time::Instant::now();
    let tell = |what: &str| {
        let _ = writeln!(std::io::stderr(), "{:6.1} s  {what}", began.elapsed().as_secs_f64());
    };
    actors(&faults).await;
    tell("actors");
    processes(&lab, &faults).await;
    tell("processes");
    limits(&lab, &faults).await;
    tell("limits");
    network(&lab, &faults).await;
    tell("network");
    clocks(&lab, &faults).await;
    tell("clocks");
    redis(&lab, &faults).await;
    tell("redis");
    postgres(&lab, &faults).await;
    tell("postgres");
    disks(&lab, &faults).await;
    tell("disks");
    assert_eq!(faults.trouble(), Vec::<String>::new());
    assert!(faults.open().is_empty() && record::all(folder).unwrap().is_empty());
    // A node whose lease another one took meanwhile ends by itself.
    assert!(lab.died().iter().all(|it| it.name.starts_with("node-")), "{:?}", lab.died());
    drop(faults);
    Arc::try_unwrap(lab).ok().expect("nobody else has the lab").close().await.unwrap();
}

async fn actors(faults: &Faults) {
    let outage = Fault::ServiceOutage { service: Service::Ltv };
    let injected = begin(faults, 1, outage).await.unwrap();
    assert_eq!((injected.way.as_str(), injected.struck.len()), ("admin api", 1));
    let target = || Actors { actor: "/shield/**".to_owned(), node: name(1) };
    let late = Fault::ActorDelay { target: target(), delay: "5ms".parse().unwrap(), share: 1.0 };
    begin(faults, 2, late).await.unwrap();
    let listed = async || -> usize {
        let url = format!("{}/api/admin/faults", faults.ground.admin("node-1").unwrap());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let listed: serde_json::Value = serde_json::from_str(&text).unwrap();
        listed["faults"].as_array().unwrap().len()
    };
    assert_eq!(listed().await, 2);
    // The node's own beat is struck.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    faults.undo(2).await.unwrap();
    assert_eq!(listed().await, 1, "the other one stays");
    assert!(faults.struck(2).unwrap() > 0);
    faults.undo(1).await.unwrap();
    assert_eq!(listed().await, 0);
    // A pattern that no node takes.
    let target = Actors { actor: "shield".to_owned(), node: name(1) };
    let refused = begin(faults, 3, Fault::ActorError { target, share: 1.0 }).await;
    assert!(refused.unwrap_err().to_string().contains("answers 4"));
    assert!(faults.open().is_empty());
}

async fn processes(lab: &Lab, faults: &Faults) {
    let pid = |name: &str| lab.process(name).unwrap().id;
    let (first, second) = (pid("node-1"), pid("node-2"));
    begin(faults, 10, Fault::Kill { target: node(1) }).await.unwrap();
    begin(faults, 11, Fault::Pause { target: node(2) }).await.unwrap();
    begin(faults, 12, Fault::Kill { target: Process::Balancer }).await.unwrap();
    assert!(!first.is_alive() && system::is_stopped(second) && !lab.processes().is_alive("lb"));
    assert!(begin(faults, 13, Fault::Pause { target: node(1) }).await.is_err(), "it does not run");
    for (number, done) in faults.undo_all().await {
        done.unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    assert!(pid("node-1") != first && !system::is_stopped(second));
    assert_eq!([10, 11, 12].map(|n| faults.struck(n)), [Some(1); 3]);

    let every = "500ms".parse().unwrap();
    begin(faults, 14, Fault::RestartLoop { target: node(1), every }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    faults.undo(14).await.unwrap();
    assert!(faults.struck(14).unwrap() >= 2 && lab.processes().is_alive("node-1"));
}

async fn limits(lab: &Lab, faults: &Faults) {
    let id = lab.process("node-1").unwrap().id;
    let files = || {
        let limits = fs::read_to_string(format!("/proc/{}/limits", id.pid)).unwrap();
        limits.lines().find(|it| it.starts_with("Max open files")).unwrap().to_owned()
    };
    let before = files();
    begin(faults, 20, Fault::DescriptorLimit { target: node(1), limit: 200 }).await.unwrap();
    assert_eq!(files().split_whitespace().nth(3), Some("200"));
    let again = begin(faults, 21, Fault::DescriptorLimit { target: node(1), limit: 100 }).await;
    assert!(matches!(again, Err(FaultError::Taken { by: 20, .. })), "{again:?}");
    faults.undo(20).await.unwrap();
    assert_eq!(files(), before);

    // More than it has: it lives on, in a group.
    let has = system::memory(id).unwrap();
    let roomy = format!("{}MiB", (has >> 20) + 512).parse().unwrap();
    let injected = begin(faults, 22, Fault::MemoryLimit { target: node(1), limit: roomy }).await;
    assert!(id.is_alive(), "{injected:?}");
    let _ = writeln!(std::io::stderr(), "memory is bounded by a {}", injected.unwrap().way);
    faults.undo(22).await.unwrap();
    assert!(id.is_alive(), "it is let go as it is");
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", id.pid)).unwrap();
    assert!(!groups.contains("kiki-chaos"), "{groups}");
    // Less than it has.
    let small = "16MiB".parse().unwrap();
    begin(faults, 23, Fault::MemoryLimit { target: node(1), limit: small }).await.unwrap();
    assert!(system::until(Duration::from_secs(10), || !id.is_alive()).await);
    faults.undo(23).await.unwrap();
    assert!(lab.processes().is_alive("node-1"));
}

async fn network(lab: &Lab, faults: &Faults) {
    let link = Link::Link { from: End::Node(name(1)), to: End::OtherNodes };
    let injected = begin(faults, 30, Fault::Partition { target: link }).await.unwrap();
    assert_eq!((injected.way.as_str(), injected.target.as_str()), ("relay", "node-1 -> node-2"));
    assert_eq!(injected.struck, ["node-1", "node-2"]);
    let delay = "5ms".parse().unwrap();
    begin(faults, 31, Fault::PostgresSlow { delay }).await.unwrap();
    let database = || Link::Between { one: End::Node(name(2)), other: End::Database };
    let late = Fault::Latency { target: database(), delay, jitter: delay };
    begin(faults, 32, late).await.unwrap();
    let peers = Link::Between { one: End::Node(name(1)), other: End::Node(name(2)) };
    begin(faults, 37, Fault::Loss { target: peers, percent: 30.0 }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    faults.undo(32).await.unwrap();
    // The delay of the other fault holds there still.
    let delayed = || lab.network().counts()[&(HostName::Node(2), HostName::Database)].delayed;
    let before = delayed();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(delayed() > before);
    faults.undo(30).await.unwrap();
    faults.undo(31).await.unwrap();
    faults.undo(37).await.unwrap();
    for number in [30, 31, 32, 37] {
        assert!(faults.struck(number).unwrap() > 0, "{number}");
    }
    let every = "300ms".parse().unwrap();
    begin(faults, 33, Fault::Reset { target: database(), every }).await.unwrap();
    // Those that say nothing while a blow lasts are not struck by it.
    let way = (HostName::Node(2), HostName::Database);
    let reset = || lab.network().counts()[&way].reset;
    let before = reset();
    assert!(system::until(Duration::from_secs(15), || reset() > before).await);
    faults.undo(33).await.unwrap();
    assert!(faults.struck(33).unwrap() > 0);
    let target = database();
    let narrow = Fault::Bandwidth { target: target.clone(), rate: "64Kbit".parse().unwrap() };
    begin(faults, 34, narrow).await.unwrap();
    let twice = Fault::DuplicatePackets { target: target.clone(), percent: 50.0 };
    begin(faults, 35, twice).await.unwrap();
    let jitter = "9ms".parse().unwrap();
    let wrong = begin(faults, 36, Fault::Latency { target, delay, jitter }).await.unwrap_err();
    assert!(wrong.to_string().contains("jitter"), "{wrong}");
    assert!(faults.undo_all().await.iter().all(|(_, done)| done.is_ok()));
    let settled = delayed();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(delayed(), settled, "everything passes at once");
}

async fn clocks(lab: &Lab, faults: &Faults) {
    let target = || OfNodes { node: name(2) };
    let jump = "-30s".parse().unwrap();
    begin(faults, 40, Fault::Clock { target: target(), jump, rate: 1.2 }).await.unwrap();
    let clock = lab.process("node-2").unwrap().clock.unwrap();
    let off = clock.is_off_by().unwrap();
    assert!((-30_000..-20_000).contains(&off), "{off}");
    let again = begin(faults, 41, Fault::Clock { target: target(), jump, rate: 1.0 }).await;
    assert!(matches!(again, Err(FaultError::Taken { .. })), "{again:?}");
    faults.undo(40).await.unwrap();
    assert_eq!(clock.is_off_by().unwrap(), 0);
}

async fn redis(lab: &Lab, faults: &Faults) {
    let id = lab.process("redis").unwrap().id;
    begin(faults, 50, Fault::RedisFlush {}).await.unwrap();
    begin(faults, 51, Fault::RedisPause {}).await.unwrap();
    assert!(system::is_stopped(id));
    faults.undo(51).await.unwrap();
    assert!(!system::is_stopped(id));
    begin(faults, 52, Fault::RedisStop {}).await.unwrap();
    assert!(!lab.processes().is_alive("redis"));
    faults.undo(52).await.unwrap();
    begin(faults, 53, Fault::RedisRestart {}).await.unwrap();
    assert!(lab.process("redis").unwrap().id != id && lab.processes().is_alive("redis"));
    assert!(faults.undo_all().await.iter().all(|(_, done)| done.is_ok()));
    assert_eq!([50, 51, 52, 53].map(|n| faults.struck(n)), [Some(1); 4]);
}

async fn postgres(lab: &Lab, faults: &Faults) {
    let every = "200ms".parse().unwrap();
    begin(faults, 60, Fault::PostgresKillConnections { every }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    faults.undo(60).await.unwrap();
    assert!(faults.struck(60).unwrap() > 0);
    let id = lab.process("db").unwrap().id;
    begin(faults, 61, Fault::PostgresPause {}).await.unwrap();
    let children = system::children(id);
    assert!(children.len() > 3 && children.iter().all(|id| system::is_stopped(*id)));
    faults.undo(61).await.unwrap();
    assert!(!children.iter().any(|id| system::is_stopped(*id)) && id.is_alive());
    begin(faults, 62, Fault::PostgresStop {}).await.unwrap();
    assert!(!lab.processes().is_alive("db"));
    faults.undo(62).await.unwrap();
    begin(faults, 63, Fault::PostgresRestart {}).await.unwrap();
    faults.undo(63).await.unwrap();
    assert!(lab.processes().is_alive("db") && lab.process("db").unwrap().id != id);
}

async fn disks(lab: &Lab, faults: &Faults) {
    let of_node = || Disk::Node(name(1));
    let disk = lab.disk(HostName::Node(1)).unwrap();
    let writes = || fs::write(disk.join("test"), vec![1; 64 << 10]);
    writes().unwrap();
    begin(faults, 70, Fault::DiskFull { target: of_node() }).await.unwrap();
    fs::remove_file(disk.join("test")).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(writes().is_err(), "what is given back is taken");
    faults.undo(70).await.unwrap();
    writes().unwrap();
    match begin(faults, 71, Fault::DiskReadOnly { target: of_node() }).await {
        Ok(_) => {
            assert!(writes().is_err());
            faults.undo(71).await.unwrap();
        }
        Err(error) => {
            assert!(matches!(error, FaultError::NotPossible { .. }), "{error}");
            skipped(&error.to_string());
        }
    }
    writes().unwrap();
    let none = begin(faults, 72, Fault::DiskFull { target: Disk::Node(name(2)) }).await;
    assert!(matches!(none, Err(FaultError::NotPossible { .. })), "{none:?}");

    begin(faults, 73, Fault::DiskFull { target: Disk::Database }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    faults.undo(73).await.unwrap();
    let delay = "20ms".parse().unwrap();
    match begin(faults, 74, Fault::DiskSlow { target: Disk::Database, delay }).await {
        Ok(_) => {}
        Err(error) => {
            assert!(matches!(error, FaultError::NotPossible { .. }), "{error}");
            return skipped(&error.to_string());
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    faults.undo(74).await.unwrap();
    assert!(faults.struck(74).unwrap() > 0, "leases are renewed");
    begin(faults, 75, Fault::FsyncError { target: Disk::Database, every: 1 }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    faults.undo(75).await.unwrap();
    assert!(faults.struck(75).unwrap() > 0 && lab.processes().is_alive("db"));
    // They outlive a database that is gone for a while.
    for node in lab.nodes() {
        if !lab.processes().is_alive(&node.name) {
            lab.restart(&node.name).await.unwrap();
        }
        lab.wait_ready(&node.name).await.unwrap();
    }
}

#[test]
fn what_a_killed_suite_has_left_is_healed() {
    let Some(binary) = possible() else { return };
    if let Some(folder) = std::env::var_os(FOLDER) {
        return runtime().block_on(strike_and_die(binary, Path::new(&folder)));
    }
    let folder = open_folder();
    let output = inside("what_a_killed_suite_has_left_is_healed", folder.path()).unwrap();
    use std::os::unix::process::ExitStatusExt;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(9), "{errors}");
    let left = record::all(folder.path()).unwrap();
    assert!(left.len() >= 4, "{left:?}");
    let marks: Vec<String> = left
        .iter()
        .flat_map(|it| &it.left)
        .filter_map(|it| match it {
            Left::Tracer { mark, .. } => Some(mark.clone()),
            _ => None,
        })
        .collect();
    runtime().block_on(async {
        let healed = heal(folder.path(), None).await.unwrap().healed;
        assert_eq!(healed.len(), left.len());
        lab::heal(folder.path()).await.unwrap();
        assert_eq!(heal(folder.path(), None).await.unwrap().healed, []);
    });
    assert!(record::all(folder.path()).unwrap().is_empty());
    assert!(marks.iter().all(|mark| system::marked(mark).is_empty()));
    let groups = fs::read_dir("/sys/fs/cgroup/memory").into_iter().flatten().flatten();
    let own: Vec<_> = groups
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .filter(|it| it.starts_with(&format!("kiki-chaos-{}-", left[0].suite.pid)))
        .collect();
    assert!(own.is_empty(), "{own:?}");
}

async fn strike_and_die(binary: PathBuf, folder: &Path) {
    let (_lab, faults) = open(binary, folder).await;
    begin(&faults, 1, Fault::Pause { target: node(1) }).await.unwrap();
    let limit = "1GiB".parse().unwrap();
    begin(&faults, 2, Fault::MemoryLimit { target: node(2), limit }).await.unwrap();
    begin(&faults, 3, Fault::DiskFull { target: Disk::Node(name(1)) }).await.unwrap();
    let delay = "20ms".parse().unwrap();
    match begin(&faults, 4, Fault::DiskSlow { target: Disk::Database, delay }).await {
        Ok(_) => {}
        Err(error) => skipped(&error.to_string()),
    }
    begin(
        &faults,
        5,
        Fault::Partition {
            target: Link::Between { one: End::Node(name(1)), other: End::Database },
        },
    )
    .await
    .unwrap();
    rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
}
