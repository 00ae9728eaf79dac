//! The relay between namespaces, with real packets. The test starts itself again in namespaces of its own.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::*;
use crate::lab::namespace;
use crate::lab::net::rule::Bandwidth;
use crate::lab::record::Record;

const SUITE: HostName = HostName::Suite;
const NODE: HostName = HostName::Node(1);
/// Says everything again, in another namespace.
const ECHO: &str = "
import socket, sys, threading
server = socket.socket()
server.bind((sys.argv[1], 7000))
server.listen()
def again(one):
    try:
        while data := one.recv(65536):
            one.sendall(data)
    except OSError:
        pass
while True:
    threading.Thread(target=again, args=(server.accept()[0],), daemon=True).start()
";

#[test]
fn hosts_in_namespaces_feel_every_fault() {
    let missing = namespace::missing();
    if !missing.is_empty() || crate::lab::programs::program("python3").is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: it needs python3 and {missing:?}");
        return;
    }
    if namespace::is_inside() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(inside());
    }
    let outside = std::fs::metadata("/proc/self/ns/net").unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "lab::net::relay::tests::hosts_in_namespaces_feel_every_fault",
            "--nocapture",
        ])
        .env("CHAOS_LAB_INSIDE", std::os::unix::fs::MetadataExt::ino(&outside).to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn says(stream: &mut TcpStream, text: &[u8]) -> io::Result<Duration> {
    let began = Instant::now();
    stream.write_all(text).await?;
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).await?;
    assert!(heard == text);
    Ok(began.elapsed())
}

async fn inside() {
    let folder = tempfile::tempdir().unwrap();
    let record = Arc::new(Record::begin(folder.path(), "test").unwrap());
    let hosts = namespace::make(&record, "test", 5, &[SUITE, NODE]).await.unwrap();
    let at = hosts.subnet.address(NODE);
    let relay = Relay::start(7, hosts.subnet, hosts.devices).await.unwrap();
    let mut echo = Command::new("ip")
        .args(["netns", "exec", "kc-test-node-1", "python3", "-c", ECHO, &at.to_string()])
        .spawn()
        .unwrap();
    let mut stream = loop {
        match TcpStream::connect((at, 7000)).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    stream.set_nodelay(true).unwrap();
    says(&mut stream, b"hello").await.unwrap();
    let counts = |pair| relay.counts()[&pair];

    relay
        .set(NODE, SUITE, Rule::slow(Duration::from_millis(80), Duration::from_millis(20)))
        .unwrap();
    let took = says(&mut stream, b"slow").await.unwrap();
    assert!((60..2_000).contains(&took.as_millis()), "{took:?}");
    assert!(counts((NODE, SUITE)).delayed > 0 && counts((SUITE, NODE)).delayed == 0);
    relay.clear_all();

    // TCP mends what is lost and sorts out what comes twice.
    relay.set(SUITE, NODE, Rule { duplicate: 0.2, ..Rule::lossy(0.1) }).unwrap();
    let much: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    for part in much.chunks(30_000) {
        timeout(Duration::from_secs(30), says(&mut stream, part)).await.unwrap().unwrap();
    }
    let done = counts((SUITE, NODE));
    assert!(done.dropped > 0 && done.duplicated > 0, "{done:?}");
    relay.clear_all();

    relay
        .set(
            SUITE,
            NODE,
            Rule {
                bandwidth: Some(Bandwidth { bits_per_s: 4_000_000, queue_bytes: 64_000 }),
                ..Rule::default()
            },
        )
        .unwrap();
    let took = says(&mut stream, &much[..200_000]).await.unwrap();
    // 200 kB at half a MB/s.
    assert!((300..20_000).contains(&took.as_millis()), "{took:?}");
    relay.clear_all();

    relay.set(SUITE, NODE, Rule::partition()).unwrap();
    assert!(timeout(Duration::from_millis(300), says(&mut stream, b"lost")).await.is_err());
    assert!(timeout(Duration::from_millis(300), TcpStream::connect((at, 7000))).await.is_err());
    relay.clear_all();
    let mut heard = [0; 4];
    timeout(Duration::from_secs(10), stream.read_exact(&mut heard)).await.unwrap().unwrap();
    assert_eq!(&heard, b"lost", "sent again after the partition");

    relay.set(SUITE, NODE, Rule::reset()).unwrap();
    let error =
        timeout(Duration::from_secs(5), says(&mut stream, b"x")).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let refused =
        timeout(Duration::from_secs(5), TcpStream::connect((at, 7000))).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    relay.clear_all();
    says(&mut TcpStream::connect((at, 7000)).await.unwrap(), b"after").await.unwrap();

    assert_eq!(
        relay.set(SUITE, HostName::Node(2), Rule::partition()),
        Err(NotPossible::Host(HostName::Node(2)))
    );
    assert_eq!(relay.trouble(), Vec::<String>::new());
    echo.kill().unwrap();
    echo.wait().unwrap();
}
