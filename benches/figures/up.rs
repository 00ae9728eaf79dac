//! A start on an empty directory, and the memory of a service that idles.

use std::time::Duration;

use crate::load::{Client, Server};
use crate::report::{Bar, PAIRS, figure};

pub async fn run() {
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let kiki = Server::kiki(&dir.path().join("data"), &[]);
        let mut client = Client::connect(kiki.port).await;
        client.expect(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200).await;
        ready.push(kiki.ready.as_secs_f64() * 1_000.0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        resident.push(kiki.resident_mb());
    }
    let command = "cargo bench --bench figures -- up";
    let text = "`kiki up` on an empty directory, from start to ready";
    figure(text, &ready, " ms", Bar::AtMost(1_000.0), command);
    figure("idle resident memory", &resident, " MB", Bar::AtMost(80.0), command);
}
