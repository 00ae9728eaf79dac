//! A node that stands still for half a minute while requests wait in its sockets, and then goes on.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::common::{Server, client};
use crate::lab::{Lab, authorise, member, settle};
use crate::load::{Load, allocate};
use crate::partitions::Watch;

const STANDS: Duration = Duration::from_secs(30);
/// Of the campaign that is only bid for, in units.
const SCARCE: f64 = 40.0;

/// A request as bytes. Each amount is asked for once.
fn request(path: &str, body: &Value, key: &str) -> (Vec<u8>, Vec<u8>) {
    let body = body.to_string().into_bytes();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head.into_bytes(), body)
}

/// The answer, if one comes.
async fn answer(mut stream: TcpStream) -> Option<(u16, Value)> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    match tokio::time::timeout(STANDS + Duration::from_secs(20), read).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
    let text = String::from_utf8(bytes).expect("text");
    let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().expect("a status");
    let body = text.split_once("\r\n\r\n")?.1;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Requests to the node that stands still.
struct Late<'a> {
    node: &'a Server,
    facts: &'a str,
    scarce: &'a str,
    next: i64,
    waiting: JoinSet<(Asked, Option<(u16, Value)>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// So many millionths.
    Spend(i64),
    Hold,
    Settle,
}

impl Late<'_> {
    fn spend(&mut self) -> (Asked, Vec<u8>, Vec<u8>) {
        self.next += 1;
        let body = json!({"campaign_id": self.facts, "amount": self.next as f64 / 1e6});
        let (head, body) = request("/api/v1/spend", &body, &format!("late-{}", self.next));
        (Asked::Spend(self.next), head, body)
    }

    /// Asks for a tenth of the campaign.
    fn hold(&mut self) -> (Asked, Vec<u8>, Vec<u8>) {
        self.next += 1;
        let body = json!({"campaign_id": self.scarce, "bid_amount": SCARCE / 10.0});
        let (head, body) = request("/api/v1/check", &body, &format!("late-{}", self.next));
        (Asked::Hold, head, body)
    }

    async fn send(&mut self, (asked, head, body): (Asked, Vec<u8>, Vec<u8>)) {
        let mut stream = TcpStream::connect(self.node.address()).await.expect("a connection");
        stream.write_all(&[head, body].concat()).await.expect("sent");
        self.waiting.spawn(async move { (asked, answer(stream).await) });
    }

    /// Sends all but the end of it; what is left to be sent.
    async fn begin(
        &mut self,
        (asked, head, mut body): (Asked, Vec<u8>, Vec<u8>),
    ) -> (Asked, TcpStream, Vec<u8>) {
        let rest = body.split_off(body.len() / 2);
        let mut stream = TcpStream::connect(self.node.address()).await.expect("a connection");
        stream.write_all(&[head, body].concat()).await.expect("sent");
        (asked, stream, rest)
    }

    async fn finish(&mut self, (asked, mut stream, rest): (Asked, TcpStream, Vec<u8>)) {
        stream.write_all(&rest).await.expect("sent");
        self.waiting.spawn(async move { (asked, answer(stream).await) });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stood_still_for_half_a_minute_books_nothing_of_what_waited_for_it() {
    let Some(mut lab) = Lab::open("still", 3, &["shield.window_cap=1000000"]).await else { return };
    let (facts, scarce) = (lab.campaign_of(2, "facts").await, lab.campaign_of(2, "scarce").await);
    allocate(&lab.nodes[0], &facts, 1_000).await;
    allocate(&lab.nodes[0], &scarce, SCARCE as i64).await;
    let life = member(&lab.nodes[2]).await["incarnation"].clone();
    let mut still = lab.nodes.pop().expect("the third");
    // All else that goes on: spends and holds in campaigns of all three, at the two that do not stand still.
    let load = Load::begin(&lab, 4, None).await;
    let watch = Watch::begin(&lab);
    // It has slices of both, and holds: one of them is settled elsewhere meanwhile, and at itself.
    let hold = authorise(&still, &scarce, 5.0, "before").await.expect("a hold");
    assert_eq!(hold["approved"], json!(true), "{hold}");
    load.proceed(100, Duration::from_secs(10)).await;

    let waiting = JoinSet::new();
    let mut late = Late { node: &still, facts: &facts, scarce: &scarce, next: 300_000, waiting };
    // So asked, it books while it lives.
    let asked = late.spend();
    late.send(asked).await;
    let (first, said) = late.waiting.join_next().await.expect("a request").expect("an answer");
    assert_eq!((first, said.map(|it| it.0)), (Asked::Spend(300_001), Some(201)));
    let (mut begun, mut idle) = (Vec::new(), Vec::new());
    for n in 0..12 {
        let asked = if n % 2 == 0 { late.spend() } else { late.hold() };
        begun.push(late.begin(asked).await);
        idle.push(TcpStream::connect(still.address()).await.expect("a connection"));
    }
    // Some are under way at the very moment.
    for _ in 0..10 {
        let asked = late.spend();
        late.send(asked).await;
    }
    still.signal(Signal::STOP);
    let stopped = Instant::now();
    for one in begun {
        late.finish(one).await;
    }
    for n in 0..12 {
        let asked = if n % 2 == 0 { late.spend() } else { late.hold() };
        late.send(asked).await;
    }
    let path = format!("/api/v1/holds/{}/settle", hold["hold_id"].as_str().expect("an id"));
    let (head, body) = request(&path, &json!({"amount": 5.0, "token": hold["token"]}), "settle");
    late.send((Asked::Settle, head, body)).await;

    // Others have it within seconds, and spend what it can not have granted.
    let mut granted = 0.0;
    let mut settled = false;
    let mut refused = 0;
    let mut turn = 0;
    while stopped.elapsed() < STANDS {
        let at = &lab.nodes[turn % 2];
        turn += 1;
        match authorise(at, &scarce, 0.5, "").await {
            Ok(hold) => {
                let (status, answer) = settle(at, &hold, 0.5, true).await;
                assert_eq!(status, 200, "{answer}");
                granted += 0.5;
            }
            Err(403) => refused += 1,
            Err(status) => assert_eq!(status, 503),
        }
        if !settled {
            let (status, answer) = settle(at, &hold, 5.0, true).await;
            assert!(matches!(status, 200 | 503), "{status} {answer}");
            settled = status == 200;
            let late = stopped.elapsed() > Duration::from_secs(10);
            assert!(settled || !late, "the hold of a node that is gone is not settled: {answer}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("while it stood still {granted} of {SCARCE} were granted, {refused} bids refused");
    assert!(granted >= SCARCE / 4.0 && refused > 20, "{granted}, {refused}");

    still.signal(Signal::CONT);
    let woke = Instant::now();
    // It may be gone before these reach it.
    for (n, mut stream) in idle.into_iter().enumerate() {
        let (asked, head, body) = if n % 2 == 0 { late.spend() } else { late.hold() };
        let _ = stream.write_all(&[head, body].concat()).await;
        late.waiting.spawn(async move { (asked, answer(stream).await) });
    }
    let (sent, all) = (late.next, late.waiting.join_all().await);
    let status = still.ended(Duration::from_secs(10));
    println!("{status} {:?} after it woke", woke.elapsed());
    assert!(!status.success(), "its life was ended by others");
    let said = still.said();
    assert!(!said.contains("panicked"), "{said}");

    let mut counts = BTreeMap::<String, usize>::new();
    let mut acknowledged = vec![300_001];
    let mut late_holds = Vec::new();
    assert_eq!(all.len(), 12 + 10 + 12 + 1 + 12);
    for (asked, answer) in all {
        let kind = match asked {
            Asked::Spend(_) => "spend",
            Asked::Hold => "hold",
            Asked::Settle => "settle",
        };
        let status = answer.as_ref().map_or(0, |(status, _)| *status);
        *counts.entry(format!("{kind} {status}")).or_default() += 1;
        match (asked, answer) {
            (Asked::Spend(amount), Some((200 | 201, _))) => acknowledged.push(amount),
            (Asked::Hold, Some((200, hold))) => late_holds.push(hold),
            (Asked::Hold, Some((403, refused))) if refused["approved"] == json!(false) => {}
            (_, None | Some((503, _))) | (Asked::Settle, Some((200, _))) => {}
            (asked, Some((status, answer))) => panic!("{asked:?}: {status} {answer}"),
        }
    }
    println!("{counts:?}");
    // What it has granted, if anything, is settled; then it is in the ledger, and has to be within the budget.
    for hold in &late_holds {
        let (status, answer) = settle(&lab.nodes[0], hold, SCARCE / 10.0, true).await;
        assert_eq!(status, 200, "{answer}");
    }
    watch.end().await;
    load.end_beside(&lab, &[&facts, &scarce]).await;
    let rows = lab.rows("SELECT budget, amount FROM ledger WHERE account = 'default'").await;
    let of = |campaign: &str| -> Vec<i64> {
        let mut own: Vec<i64> =
            rows.iter().filter(|(of, _)| of == campaign).map(|(_, amount)| *amount).collect();
        own.sort_unstable();
        own
    };
    let facts_booked = of(&facts);
    println!("{} of its spends are booked", facts_booked.len());
    assert!(facts_booked.is_sorted_by(|a, b| a < b), "booked twice: {facts_booked:?}");
    assert!(facts_booked.iter().all(|it| (300_001..=sent).contains(it)), "{facts_booked:?}");
    for amount in &acknowledged {
        assert!(facts_booked.contains(amount), "{amount} was acknowledged and is not booked");
    }
    let scarce_booked = of(&scarce);
    assert_eq!(scarce_booked.iter().filter(|it| **it == 5_000_000).count(), 1, "its hold, once");
    let sum: i64 = scarce_booked.iter().sum();
    assert!(sum as f64 <= SCARCE * 1e6, "{sum} of {SCARCE}");
    let expected = 5.0 + granted + late_holds.len() as f64 * SCARCE / 10.0;
    assert_eq!(sum as f64, expected * 1e6);

    // Started again it is another life, gets its part, and serves: also what it had before.
    still.restart();
    lab.nodes.push(still);
    lab.settle().await;
    assert_ne!(member(&lab.nodes[2]).await["incarnation"], life);
    let again = lab.campaign_of(2, "again").await;
    allocate(&lab.nodes[2], &again, 10).await;
    for campaign in [&facts, &again] {
        let body = json!({"campaign_id": campaign, "amount": 1});
        let (status, answer) = lab.nodes[2].post("/api/v1/spend", &body).await;
        assert_eq!(status, 201, "{answer}");
    }
    // A spend that it was asked for and did not acknowledge is booked once when it is repeated.
    let unsaid: Vec<i64> = (300_001..=sent).filter(|it| !acknowledged.contains(it)).collect();
    let path = lab.nodes[2].url("/api/v1/spend");
    let body = json!({"campaign_id": facts, "amount": unsaid[0] as f64 / 1e6}).to_string();
    let key = format!("late-{}", unsaid[0]);
    for _ in 0..2 {
        let request = client().post(&path).header("content-type", "application/json");
        let answer = request.header("idempotency-key", &key).body(body.clone()).send().await;
        assert!(answer.expect("an answer").status().is_success());
    }
    let query = format!(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM ledger WHERE budget = '{facts}' AND amount = {}",
        unsaid[0]
    );
    assert_eq!(lab.number(&query).await, 1);
    lab.close().await;
}
