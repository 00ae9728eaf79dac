//! How fast an audit log verifies: `cargo test --release --test audit_speed -- --nocapture`.

use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use kiki::models::shield::audit::block::{Block, Builder};
use kiki::models::shield::audit::head::{Keys, TreeHead};
use kiki::models::shield::audit::merkle::{Frontier, Hash};
use kiki::models::shield::audit::record::{Brief, Event, Outcome, Record};
use kiki::models::shield::audit::verify::Verifier;

const RECORDS: u64 = 1_000_000;
const SETTLED: Event = Event::fixed("budget.settled");

fn line(i: u64) -> String {
    let record = Record {
        at_us: 1_795_239_660_000_000 + i as i64,
        event: SETTLED,
        actor: "key:ab12cd34".into(),
        subject: Some(format!("camp_{:04}", i % 1_000)),
        person: i.is_multiple_of(3).then(|| format!("{:032x}", i % 200)),
        outcome: Outcome::Ok,
        count: 1,
        data: serde_json::json!({"amount": i.to_string(), "currency": "USD", "hold": format!("{i:032x}")})
            .as_object()
            .cloned(),
        sealed: i.is_multiple_of(3).then(|| "q83vEjRWeJASNFZ4kBI0VniQEjRWeJASNFZ4kBI0".to_owned()),
    };
    record.line().unwrap()
}

/// Heads come one by one here, so each signature is checked: in pages they cost far less.
#[test]
fn a_million_records_verify_in_less_than_ten_seconds() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let keys = Keys::from_iter([key.verifying_key()]);
    let mut verifier = Verifier::new("default", None, Vec::new(), keys);
    let (mut frontier, mut prev) = (Frontier::new(), Hash::ZERO);
    let (mut took, mut bytes) = (Duration::ZERO, 0);
    let mut verify = |block: Block, frontier: &mut Frontier| {
        block.leaves().for_each(|leaf| frontier.push(leaf));
        let (size, root) = (frontier.size(), frontier.root());
        let head = TreeHead { account: "default".into(), size, root, at_us: block.at_to, prev };
        let head = [head.sign(&key)];
        prev = head[0].hash();
        bytes += block.lines.len();
        let began = Instant::now();
        verifier.heads(&head);
        verifier.block(&block);
        took += began.elapsed();
    };
    let mut builder = Builder::new(0, 0, None);
    for i in 0..RECORDS {
        let line = line(i);
        if let Some(block) = builder.push(&line, &Brief::parse(&line).unwrap()).unwrap() {
            verify(block, &mut frontier);
        }
    }
    if let Some(block) = builder.take() {
        verify(block, &mut frontier);
    }
    let report = verifier.finish(RECORDS, frontier.root());
    assert_eq!((report.verified, report.records, report.unsigned), (true, RECORDS, 0));
    let rate = RECORDS as f64 / took.as_secs_f64();
    println!(
        "verified {RECORDS} records of {} bytes with {} heads in {took:.3?}: {rate:.0} records/s",
        bytes as u64 / RECORDS,
        report.heads
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
}
