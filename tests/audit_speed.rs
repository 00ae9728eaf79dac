//! How fast an audit log verifies: `cargo test --release --test audit_speed -- --nocapture`.

use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use kiki::actors::shield::audit::verify;
use kiki::models::shield::audit::block::{Block, Builder};
use kiki::models::shield::audit::head::{Keys, SignedHead, TreeHead};
use kiki::models::shield::audit::merkle::{Frontier, Hash};
use kiki::models::shield::audit::record::{Brief, Event, Outcome, Record};
use kiki::models::shield::audit::verify::Verifier;
use kiki::store::{
    AuditBlockRow, AuditHeadRow, AuditLogRow, AuditPersonRow, Outcome as StoreOutcome, Put, Store,
    StoreConfig, Write,
};

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

/// What is stored of a block and of the head behind it.
fn rows(block: &Block, head: &SignedHead) -> Vec<Put> {
    let number = |n: u64| i64::try_from(n).expect("small");
    let stored = AuditBlockRow {
        account: "default".into(),
        block: number(block.number),
        first: number(block.first),
        count: i64::from(block.count),
        month: block.month.to_string(),
        at_from: block.at_from,
        at_to: block.at_to,
        lines: block.lines.clone(),
        summary: serde_json::to_string(&block.summary).expect("json"),
    };
    let head = AuditHeadRow {
        account: "default".into(),
        size: number(head.head.size),
        at: head.head.at_us,
        head: head.line().expect("a line"),
        kept: 0,
    };
    let person = |person: &String| AuditPersonRow {
        account: "default".into(),
        person: person.clone(),
        block: number(block.number),
    };
    let mut rows: Vec<Put> = block.persons.iter().map(|p| person(p).into()).collect();
    rows.extend([Put::from(stored), Put::from(head)]);
    rows
}

/// In memory, where heads come one by one so that each signature is checked, and from a store on
/// disk, as `kiki audit verify` reads it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_records_verify_in_less_than_ten_seconds() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
    let shards: Vec<i64> = (0..256).collect();
    let epoch = store.acquire(&shards, "test").await.expect("shards")[&7];
    let commit = async |puts: Vec<Put>| {
        let (account, budget) = ("default".to_owned(), "@audit".to_owned());
        let write = Write { account, budget, shard: 7, epoch, puts, ..Write::default() };
        assert_eq!(store.commit(vec![write]).await, [StoreOutcome::Committed]);
    };
    let key = SigningKey::from_bytes(&[7; 32]);
    let keys = Keys::from_iter([key.verifying_key()]);
    let mut verifier = Verifier::new("default", None, Vec::new(), keys.clone());
    let (mut frontier, mut prev) = (Frontier::new(), Hash::ZERO);
    let (mut took, mut bytes, mut blocks) = (Duration::ZERO, 0, 0);
    let mut puts = Vec::new();
    let mut verify_block = |block: Block, frontier: &mut Frontier, puts: &mut Vec<Put>| {
        block.leaves().for_each(|leaf| frontier.push(leaf));
        let (size, root) = (frontier.size(), frontier.root());
        let head = TreeHead { account: "default".into(), size, root, at_us: block.at_to, prev };
        let head = [head.sign(&key)];
        prev = head[0].hash();
        bytes += block.lines.len();
        blocks += 1;
        puts.extend(rows(&block, &head[0]));
        let began = Instant::now();
        verifier.heads(&head);
        verifier.block(&block);
        took += began.elapsed();
    };
    let mut builder = Builder::new(0, 0, None);
    for i in 0..RECORDS {
        let line = line(i);
        if let Some(block) = builder.push(&line, &Brief::parse(&line).unwrap()).unwrap() {
            verify_block(block, &mut frontier, &mut puts);
            if puts.len() >= 4_096 {
                commit(std::mem::take(&mut puts)).await;
            }
        }
    }
    if let Some(block) = builder.take() {
        verify_block(block, &mut frontier, &mut puts);
    }
    let log = AuditLogRow {
        account: "default".into(),
        size: i64::try_from(RECORDS).expect("small"),
        root: frontier.root().to_string(),
        frontier: serde_json::to_string(&frontier).expect("json"),
        blocks,
        version: 1,
    };
    puts.push(log.into());
    commit(puts).await;
    let report = verifier.finish(RECORDS, frontier.root());
    assert_eq!((report.verified, report.records, report.unsigned), (true, RECORDS, 0));
    let rate = |took: Duration| RECORDS as f64 / took.as_secs_f64();
    println!(
        "verified {RECORDS} records of {} bytes with {} heads in {took:.3?}: {:.0} records/s",
        bytes as u64 / RECORDS,
        report.heads,
        rate(took)
    );
    let began = Instant::now();
    let report = verify(&store, "default", Vec::new(), keys).await.expect("a report");
    let read = began.elapsed();
    assert_eq!((report.verified, report.records), (true, RECORDS), "{:?}", report.findings);
    println!("from the store in {read:.3?}: {:.0} records/s", rate(read));
    store.close().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(read < Duration::from_secs(10), "{read:?}");
}
