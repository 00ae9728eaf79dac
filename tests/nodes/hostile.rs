//! Requests that nobody sends in earnest, to a node that has to send them on: they are answered as the owner itself
//! answers them, and never with an error of the server's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lab::{Lab, links, member};
use crate::load::allocate;

const SHIELD: u16 = 8081;
const FLOW: u16 = 8082;
const VALUE: u16 = 8087;
const JSON: &str = "content-type: application/json";
/// What a listener takes as a body.
const BODY_MAX: usize = 1 << 20;

/// A request as its bytes say.
struct Odd {
    what: String,
    port: u16,
    /// Method and address.
    line: Vec<u8>,
    headers: Vec<Vec<u8>>,
    body: Vec<u8>,
}

impl Odd {
    fn new(what: &str, line: &str, headers: &[&str], body: impl Into<Vec<u8>>) -> Odd {
        let headers = headers.iter().map(|it| it.as_bytes().to_vec()).collect();
        let (what, line) = (what.to_owned(), line.as_bytes().to_vec());
        Odd { what, port: SHIELD, line, headers, body: body.into() }
    }

    fn at(mut self, port: u16) -> Odd {
        self.port = port;
        self
    }

    fn with(mut self, header: &[u8]) -> Odd {
        self.headers.push(header.to_vec());
        self
    }

    /// What comes back: the status, and which problem; 0 where the connection was closed without an answer.
    async fn send(&self, offset: u16) -> (u16, String) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port + offset));
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut from, mut to) = stream.into_split();
        let mut bytes = self.line.clone();
        bytes.extend(b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for header in &self.headers {
            bytes.extend(header);
            bytes.extend(b"\r\n");
        }
        let says = |name: &[u8]| self.headers.iter().any(|it| it.starts_with(name));
        if !self.body.is_empty() && !says(b"transfer-encoding") && !says(b"content-length") {
            bytes.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        // Who refuses it may do so before he has read it.
        let sent = tokio::spawn(async move {
            let _ = to.write_all(&bytes).await;
            to
        });
        let mut answer = Vec::new();
        let read = from.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(20), read).await;
        // What came before a reset counts.
        let _ = read.unwrap_or_else(|_| panic!("{}: no answer", self.what));
        drop(sent.await.expect("sent"));
        let answer = String::from_utf8_lossy(&answer);
        // "Go on" comes before it where that was expected.
        let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        let answer = answer.strip_prefix(go_on).unwrap_or(&answer);
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let problem = serde_json::from_str::<Value>(body).unwrap_or_default();
        let of = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        (status.unwrap_or(0), format!("{} {}", of("code"), of("field")))
    }
}

/// Bodies that are no request for a campaign.
fn bodies(campaign: &str) -> Vec<(String, Vec<u8>)> {
    let lists = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, body: &dyn AsRef<[u8]>| {
        all.push((what.to_owned(), body.as_ref().to_vec()));
    };
    add("nothing", b"");
    add("null", b"null");
    add("a number", b"1");
    add("a list", b"[]");
    add("an empty object", b"{}");
    add("cut off", &format!(r#"{{"campaign_id":"{campaign}","amount":"#));
    add("deep lists", &lists(100_000));
    add("deep objects", &objects(100_000));
    for (field, value) in [
        ("amount", lists(50_000)),
        ("memo", objects(20_000)),
        ("amount", "1e400".to_owned()),
        ("amount", "-0".to_owned()),
        ("amount", "NaN".to_owned()),
        ("amount", "9".repeat(100_000)),
        ("amount", format!("0.{}1", "0".repeat(100_000))),
        ("amount", "\"x\"".to_owned()),
        ("amount", "true".to_owned()),
        ("amount", "{}".to_owned()),
        ("memo", "1".to_owned()),
        ("memo", r#""\ud800""#.to_owned()),
        ("memo", r#""\u0000""#.to_owned()),
        ("memo", format!("\"{}\"", "x".repeat(1_000_000))),
        ("account", r#""\u0000""#.to_owned()),
        ("account", "[1]".to_owned()),
        ("account", format!("\"{}\"", "a".repeat(100_000))),
        ("campaign_id", r#""other""#.to_owned()),
        ("currency", r#""\u20ac""#.to_owned()),
        ("\\u0000", "1".to_owned()),
    ] {
        let body = format!(r#"{{"campaign_id":"{campaign}","{field}":{value}}}"#);
        add(&format!("{field}: {value:.20}"), &body);
    }
    add("no text", b"{\"campaign_id\":\"\xff\xfe\",\"amount\":1}");
    add("a mark before it", &format!("\u{feff}{{\"campaign_id\":\"{campaign}\",\"amount\":1}}"));
    let spend = format!(r#"{{"campaign_id":"{campaign}","amount":0.001}}"#);
    let padded = |size: usize| " ".repeat(size - spend.len()) + &spend;
    add("as large as it may be", &padded(BODY_MAX));
    add("a byte larger", &padded(BODY_MAX + 1));
    add("larger than what is sent on", &padded(5 << 20));
    all
}

fn odd(campaign: &str) -> Vec<Odd> {
    let mut all = Vec::new();
    let settle = format!("/api/v1/holds/{}.{campaign}/settle", "0".repeat(32));
    let paths = [
        (SHIELD, "/api/v1/spend".to_owned()),
        (SHIELD, "/api/v1/check".to_owned()),
        (SHIELD, "/api/v1/allocate".to_owned()),
        (SHIELD, settle),
        (SHIELD, format!("/api/v1/allocations/{campaign}/top-up")),
        (SHIELD, "/consent/grant".to_owned()),
        (SHIELD, "/dsr/create".to_owned()),
        (VALUE, "/api/v1/ltv/predict".to_owned()),
        (VALUE, "/api/v1/ltv/fits".to_owned()),
        (FLOW, "/api/v1/campaigns".to_owned()),
        (FLOW, format!("/api/v1/campaigns/{campaign}/pause")),
    ];
    for (port, path) in &paths {
        for (what, body) in bodies(campaign) {
            let line = format!("POST {path}");
            all.push(Odd::new(&format!("{line}, {what}"), &line, &[JSON], body).at(*port));
        }
    }
    let spend = json!({"campaign_id": campaign, "amount": 0.001}).to_string();
    let line = "POST /api/v1/spend";
    let with = |what: &str, header: &[u8]| Odd::new(what, line, &[JSON], &*spend).with(header);
    for (what, header) in [
        ("a key that is no text", &b"idempotency-key: \xff\xfe"[..]),
        ("a key of a byte that is none", b"idempotency-key: \x80"),
        ("an empty key", b"idempotency-key: "),
        ("a trace that is no text", b"traceparent: \xff\xff"),
        ("a trace that is none", b"traceparent: 00-zz-zz-zz"),
        ("what is no text", b"x-odd: \xc3\x28\xa0\xa1\xff"),
        ("what nodes say to each other", b"x-kiki-moved: 1"),
        ("another expectation", b"expect: 200-maybe"),
        ("an expectation", b"expect: 100-continue"),
        ("packed, it says", b"content-encoding: gzip"),
        ("an upgrade", b"upgrade: h2c"),
        ("a range", b"range: bytes=0-0"),
        ("a condition", b"if-match: \"\xff\""),
        ("two types", b"content-type: text/plain"),
        ("a cookie", b"cookie: \xff=\xff"),
        ("a tab", b"x-tab: \ta\t"),
        ("a null", b"x-null: a\0b"),
        ("no name", b": nothing"),
        ("another length", b"content-length: 0"),
        ("no length", b"content-length: -1"),
        ("for another", b"x-forwarded-for: \xff, 1.2.3.4"),
        ("an account", b"x-kiki-account: \xff"),
        ("a trailer", b"trailer: idempotency-key"),
    ] {
        all.push(with(what, header));
    }
    let long = |name: &str, size: usize| format!("{name}: {}", "k".repeat(size)).into_bytes();
    for size in [255, 256, 30_000, 70_000] {
        all.push(with(&format!("a key of {size}"), &long("idempotency-key", size)));
        all.push(with(&format!("{size} of something"), &long("x-odd", size)));
    }
    let mut many = with("a hundred headers", b"x-0: 0");
    for n in 1..90 {
        many = many.with(format!("x-{n}: \u{e4}").as_bytes());
    }
    all.push(many);
    let two = with("two keys", b"idempotency-key: a").with(b"idempotency-key: b");
    all.push(two);
    let chunks =
        |what: &str, body: &str| Odd::new(what, line, &[JSON, "transfer-encoding: chunked"], body);
    all.push(chunks("in chunks", &format!("{:x}\r\n{spend}\r\n0\r\n\r\n", spend.len())));
    all.push(chunks("in bad chunks", &format!("zz\r\n{spend}\r\n0\r\n\r\n")));
    all.push(chunks(
        "with a bad trailer",
        &format!("{:x}\r\n{spend}\r\n0\r\n\u{e4}\r\n\r\n", spend.len()),
    ));
    for kind in ["", "text/plain", "application/json; charset=\u{fc}", "\u{0}", "application/xml"] {
        let header = format!("content-type: {kind}");
        all.push(Odd::new(&header, line, &[&header], &*spend));
    }
    for (method, path) in
        ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "get", "A-B"]
            .into_iter()
            .flat_map(|method| {
                [
                    format!("/api/v1/budget/{campaign}"),
                    format!("/spend?campaign_id={campaign}&amount=0.001"),
                    "/api/v1/spend".to_owned(),
                    format!("/api/v1/allocations/{campaign}/pause"),
                    "/consent/status?customer_id=ann".to_owned(),
                ]
                .map(|path| (method, path))
            })
    {
        let line = format!("{method} {path}");
        all.push(Odd::new(&line, &line, &[], ""));
    }
    all.push(Odd::new("a tunnel", "CONNECT localhost:80", &[], ""));
    all.push(Odd::new("of all", "OPTIONS *", &[], ""));
    let long = "a".repeat(8_192);
    for path in [
        format!("/api/v1/budget/{campaign}"),
        format!("/api/v1/budget/{campaign}%00"),
        "/api/v1/budget/%00".to_owned(),
        "/api/v1/budget/%ff".to_owned(),
        "/api/v1/budget/%".to_owned(),
        "/api/v1/budget/%2e%2e".to_owned(),
        "/api/v1/budget/..".to_owned(),
        format!("/api/v1/budget/x/../{campaign}"),
        format!("//api/v1/budget/{campaign}"),
        format!("/api/v1/budget/{campaign}/"),
        format!("/api/v1/budget/{campaign}%2f"),
        format!("/api/v1/budget/{campaign}#a"),
        format!("/api/v1/budget/{campaign};a=b"),
        format!("/api/v1/budget/{long}"),
        format!("/api/v1/budget/{campaign}?{long}"),
        format!("/api/v1/budget/{campaign}?account=%00"),
        format!("/api/v1/budget/{campaign}?account=nobody"),
        format!("/api/v1/budget/{campaign}?account=%ff&account=b"),
        format!("/api/v1/budget/{campaign}?{}", "a=b&".repeat(2_000)),
        format!("/api/v1/budget/{campaign}?a={{}}|\"<>^`"),
        format!("/api/v1/budget/{campaign}?\u{e4}=\u{20ac}"),
        format!("/api/v1/budget/{campaign}/ledger?limit=99999999999999999999"),
        format!("/api/v1/budget/{campaign}/ledger?after=%00"),
        format!("http://localhost/api/v1/budget/{campaign}"),
        format!("http://[::1]:99999/api/v1/budget/{campaign}"),
        format!("/{}", "a".repeat(70_000)),
        format!("/spend?campaign_id={campaign}&amount=%00"),
        format!("/spend?campaign_id={campaign}%00&amount=1"),
        format!("/spend?campaign_id={campaign}&amount=0.001&memo={long}"),
        format!("/spend?campaign_id={campaign}&amount=0.001"),
        format!("/spend?amount=0.001&campaign_id={campaign}&&&=&%"),
        "/consent/status?customer_id=%00".to_owned(),
        format!("/consent/status?customer_id={long}"),
        "/api/v1/consent/check?customer_id=%ff&type=targeting".to_owned(),
        "/api/v1/consent/history?customer_id=ann%0d%0ax-odd:1".to_owned(),
        "/api/v1/dsr/%00".to_owned(),
        format!("/api/v1/holds/{}.{campaign}", "0".repeat(32)),
        format!("/api/v1/holds/%00.{campaign}"),
        "/api/v1/audit?event=%00&from=%ff".to_owned(),
        "/api/v1/audit/proof/-1".to_owned(),
        "/api/v1/accounts/%00".to_owned(),
    ] {
        let line = format!("GET {path}");
        all.push(Odd::new(&format!("{line:.80}"), &line, &[], ""));
    }
    for (port, path) in [
        (VALUE, "/api/v1/ltv/customers/%00".to_owned()),
        (VALUE, "/api/v1/ltv/customers/%ff".to_owned()),
        (VALUE, format!("/api/v1/ltv/customers/{long}")),
        (VALUE, "/api/v1/ltv/models/%00".to_owned()),
        (VALUE, "/api/v1/ltv/fits/%00%00".to_owned()),
        (VALUE, "/api/v1/ltv/drift?model=%00".to_owned()),
        (FLOW, format!("/api/v1/campaigns/{campaign}")),
        (FLOW, format!("/api/v1/campaigns/{campaign}%00")),
        (FLOW, format!("/api/v1/campaigns/{long}")),
        (FLOW, format!("/api/v1/campaigns/{campaign}/history?cursor=%00")),
        (FLOW, "/flow/notices/%00".to_owned()),
        (FLOW, format!("/api/v1/campaigns/{campaign}/decisions?kind=%ff&limit=-1")),
        (FLOW, "/api/v1/decisions?campaign=%00&reason=%ff".to_owned()),
    ] {
        let line = format!("GET {path}");
        all.push(Odd::new(&format!("{port}: {line:.80}"), &line, &[], "").at(port));
    }
    for (what, body) in [
        ("rows that are none", &b"\xff\xfe,\x00\n\x00,,,\n"[..]),
        ("a heading alone", b"customer_id,date,amount\n"),
        ("no end", b"customer_id,date,amount\n\"a,2026-01-02,1"),
        ("nothing", b""),
    ] {
        let line = "POST /api/v1/ltv/transactions";
        let csv = Odd::new(&format!("CSV: {what}"), line, &["content-type: text/csv"], body);
        all.push(csv.at(VALUE));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_answered_by_other_nodes_as_by_the_owner() {
    let Some(lab) = Lab::open("hostile", 3, &["shield.window_cap=1000000"]).await else { return };
    // What is the account's is at the same node.
    let home = lab.account_home().await;
    let campaign = lab.campaign_of(home, "odd").await;
    allocate(&lab.nodes[home], &campaign, 1_000).await;
    let mut lives = Vec::new();
    for node in &lab.nodes {
        lives.push(member(node).await["incarnation"].clone());
    }
    let (mut wrong, mut seen) = (Vec::new(), BTreeMap::<u16, usize>::new());
    let all = odd(&campaign);
    let (count, began) = (all.len(), std::time::Instant::now());
    for request in all {
        let keyed = request.headers.iter().any(|it| it.starts_with(b"idempotency-key"));
        let at_owner = request.send(lab.nodes[home].offset).await;
        for other in [(home + 1) % 3, (home + 2) % 3] {
            let there = request.send(lab.nodes[other].offset).await;
            let replayed = keyed && (at_owner.0, there.0) == (201, 200);
            // Nobody reads it there, and nobody else is told of it.
            let refused = request.body.len() > BODY_MAX && there.0 == 413;
            if there != at_owner && !replayed && !refused {
                wrong.push(format!("{:.120}: {at_owner:?} and {there:?}", request.what));
            }
        }
        *seen.entry(at_owner.0).or_default() += 1;
        if at_owner.0 >= 500 {
            wrong.push(format!("{:.120}: {at_owner:?} at its owner", request.what));
        }
    }
    println!("{count} requests in {:?}: {seen:?}", began.elapsed());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 400 && seen[&400] > 200 && seen[&404] > 5, "{count}: {seen:?}");
    let good = seen.get(&200).copied().unwrap_or(0) + seen.get(&201).copied().unwrap_or(0);
    assert!(good > 20, "{seen:?}");
    // Nobody ended of it, no way is broken, and all serve.
    for (node, life) in lab.nodes.iter().zip(&lives) {
        assert_eq!(member(node).await["incarnation"], *life);
        assert!(links(node).await.iter().all(|(_, state, _)| state == "up"));
        let spend = json!({"campaign_id": campaign, "amount": 1});
        let (status, answer) = node.post("/api/v1/spend", &spend).await;
        assert_eq!(status, 201, "{answer}");
        assert!(!node.said().contains("panicked"), "{}", node.said());
    }
    lab.close().await;
}
