//! Whole labs, with the platform's own program where KIKI_BINARY says where it is.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use super::serve::node;
use super::*;

/// The program, or `None` after it was said that there is none.
fn binary() -> Option<PathBuf> {
    let binary = std::env::var_os("KIKI_BINARY").map(PathBuf::from);
    if binary.is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: KIKI_BINARY does not say where kiki is");
    }
    binary
}

fn run(spec: LabSpec) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(use_it(spec));
}

/// A folder that PostgreSQL's user can enter.
fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn a_lab_in_namespaces_is_disturbed_and_leaves_nothing() {
    let Some(binary) = binary() else { return };
    let missing = namespace::missing();
    if !missing.is_empty() {
        let _ = writeln!(std::io::stderr(), "skipped: {missing:?}");
        return;
    }
    if namespace::is_inside() {
        let folder = open_folder();
        let mut spec = LabSpec::new(2, binary, folder.path().to_owned());
        spec.network = Wanted::Namespaces;
        spec.clocks = true;
        spec.disks = [(HostName::Database, 300 << 20), (HostName::Node(1), 16 << 20)].into();
        return run(spec);
    }
    let outside = std::fs::metadata("/proc/self/ns/net").unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "lab::tests::a_lab_in_namespaces_is_disturbed_and_leaves_nothing",
            "--nocapture",
        ])
        .env("CHAOS_LAB_INSIDE", outside.ino().to_string())
        .output()
        .unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}

#[test]
fn a_lab_on_loopback_is_disturbed_and_leaves_nothing() {
    let Some(binary) = binary() else { return };
    let folder = open_folder();
    let mut spec = LabSpec::new(2, binary, folder.path().to_owned());
    spec.network = Wanted::Loopback;
    run(spec);
}

async fn use_it(mut spec: LabSpec) {
    spec.leases = "fast".to_owned();
    spec.settings.insert("shield.window_cap".to_owned(), "800".to_owned());
    let folder = spec.folder.clone();
    let lab = Lab::open(spec).await.unwrap();
    let [one, two] = lab.nodes() else { panic!("{:?}", lab.nodes()) };
    assert!(
        Lab::open(LabSpec::new(1, "/bin/true".into(), folder.clone())).await.is_err(),
        "it is in use"
    );

    let owner = lab.owner_of(two, "acme", "camp_001").await.unwrap();
    assert_eq!(owner, lab.owner_of(one, "acme", "camp_001").await.unwrap());
    assert!(owner.owner.is_some() && owner.state == "held", "{owner:?}");

    // Who cannot reach the database and nobody else gives up what it owns.
    for (from, to) in [(one.host, HostName::Database), (HostName::Database, one.host)] {
        lab.network().set(from, to, Rule::partition()).unwrap();
    }
    let taken = wait_for(&lab, two, &two.name).await;
    assert!(taken.epoch >= owner.epoch, "{taken:?}");
    lab.network().clear_all();

    lab.processes().kill(&one.name).await.unwrap();
    assert!(!lab.processes().is_alive(&one.name));
    lab.restart(&one.name).await.unwrap();
    lab.restart("redis").await.unwrap();
    lab.restart("db").await.unwrap();
    lab.processes().kill("db").await.unwrap();
    lab.restart("db").await.unwrap();
    node::wait(lab.processes(), one, &lab.client).await.unwrap();
    lab.wait_ready("lb").await.unwrap();
    assert_eq!(lab.died(), []);

    if let Some(clock) = lab.process(&two.name).unwrap().clock {
        clock.offset(7_200_000).unwrap();
        assert_eq!(clock.is_off_by().unwrap(), 7_200_000);
        let date = async |node: &Node| {
            let answer =
                lab.client.get(format!("{}/ready", node.urls.health)).send().await.unwrap();
            answer.headers()["date"].to_str().unwrap().to_owned()
        };
        // The library of HTTP looks at the clock once in a second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let hour = |date: &str| date[17..19].parse::<u32>().unwrap();
        let (here, there) = (date(one).await, date(two).await);
        assert!([2, 3].contains(&((24 + hour(&there) - hour(&here)) % 24)), "{here} {there}");
        clock.offset(0).unwrap();
    }
    // Somebody else kills one: nobody ordered that.
    lab.process(&two.name).unwrap().id.signal(rustix::process::Signal::KILL).unwrap();
    lab.processes().ended(&two.name, Duration::from_secs(5)).await.unwrap().unwrap();
    assert_eq!(lab.died()[0].status, "signal: 9 (SIGKILL)");

    let counts = lab.network().counts();
    assert!(counts[&(one.host, HostName::Database)].partitioned > 0);
    assert!(counts.contains_key(&(one.host, two.host)), "who calls whom is known");
    assert_eq!(lab.network().trouble(), Vec::<String>::new());
    lab.close().await.unwrap();
    let made = record::read(&folder).unwrap();
    assert!(made.closed && made.processes.iter().all(|it| it.id.is_some_and(|id| !id.is_alive())));
    assert!(folder.join("logs/node-1.log").exists() && !folder.join("lab").exists());
    assert_eq!(heal(&folder).await.unwrap(), Vec::<String>::new());
}

async fn wait_for(lab: &Lab, asked: &Node, name: &str) -> Owner {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let owner = lab.owner_of(asked, "acme", "camp_001").await.unwrap();
        if owner.owner.as_deref() == Some(name) {
            return owner;
        }
        assert!(Instant::now() < deadline, "{owner:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
