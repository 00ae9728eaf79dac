//! Exchanges that send what they should not: nothing of it is a fault of ours, ends the server or holds up
//! others. What is no bid request is answered 400 with an empty body; what the specification allows is not.

use std::io::Write;
use std::time::{Duration, Instant};

use axum::http::Method;
use flate2::Compression;
use flate2::write::GzEncoder;
use kiki::models::flow::openrtb::sample::{Mix, Sampler};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Api, Heard, api, api_with, request, rich, told};

/// How long an answer may take on a busy machine, whatever else comes.
const NORMAL: Duration = Duration::from_secs(2);

/// With a campaign that bids on [`request`].
async fn bidding() -> Api {
    let api = api().await;
    api.bidding(rich("c", json!([]))).await;
    api
}

#[track_caller]
fn is_malformed(heard: &Heard, what: &str) {
    assert_eq!((heard.status, heard.body.len()), (400, 0), "{what}: {heard:?}");
    assert_eq!(heard.header("x-openrtb-version"), "2.6", "{what}");
}

#[track_caller]
fn is_allowed(heard: &Heard, what: &str) {
    assert!(matches!(heard.status, 200 | 204), "{what}: {heard:?}");
    assert_eq!(heard.status == 204, heard.body.is_empty(), "{what}: {heard:?}");
    assert_eq!(heard.header("x-openrtb-version"), "2.6", "{what}");
}

/// After all that, a good request is bid on as before.
async fn is_well(api: &Api) {
    let began = Instant::now();
    let heard = api.exchange(&[], request("well").to_string()).await;
    assert_eq!(heard.bid()["impid"], "1");
    assert!(began.elapsed() < NORMAL, "{:?}", began.elapsed());
}

/// A good request with another value of a field, by its path.
fn but(path: &str, value: Value) -> String {
    let mut request = request("r");
    let (parent, name) = path.rsplit_once('/').expect("a path");
    let parent = request.pointer_mut(parent).expect("a parent");
    parent[name] = value;
    request.to_string()
}

/// The same, where the value is no JSON that could be a `Value`.
fn raw(path: &str, text: &str) -> String {
    but(path, json!("@@")).replace("\"@@\"", text)
}

fn deep(levels: usize, open: &str, close: &str) -> String {
    format!("{}1{}", open.repeat(levels), close.repeat(levels))
}

fn imps(many: usize) -> Value {
    (0..many).map(|n| json!({"id": n.to_string(), "banner": {"w": 300, "h": 250}})).collect()
}

#[tokio::test]
async fn what_is_no_bid_request_is_answered_400_without_a_body() {
    let api = bidding().await;
    let good = request("r").to_string();
    let twins = imps(2).to_string().replace("\"1\"", "\"0\"");
    let mut all: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("space", b" \n".to_vec()),
        ("no JSON", b"hello".to_vec()),
        ("an array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("a form", b"id=1&imp=2".to_vec()),
        ("XML", b"<?xml version=\"1.0\"?><id/>".to_vec()),
        ("two requests", format!("{good}{good}").into_bytes()),
        ("a byte order mark", format!("\u{feff}{good}").into_bytes()),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("zeros", vec![0; 4_096]),
        ("no UTF-8", [but("/id", json!("@@")).as_bytes(), b"\xff"].concat()),
        ("no UTF-8 in a text", good.replace("news.example", "@@").into_bytes()),
        ("an unpaired surrogate", raw("/id", r#""\ud800""#).into_bytes()),
        ("a control character", raw("/id", "\"a\u{1}b\"").into_bytes()),
        ("NaN", raw("/imp/0/bidfloor", "NaN").into_bytes()),
        ("Infinity", raw("/imp/0/bidfloor", "-Infinity").into_bytes()),
        ("1e999", raw("/imp/0/bidfloor", "1e999").into_bytes()),
        ("a negative floor", raw("/imp/0/bidfloor", "-0.01").into_bytes()),
        ("a floor of words", but("/imp/0/bidfloor", json!("one")).into_bytes()),
        ("a width of minus one", but("/imp/0/banner/w", json!(-1)).into_bytes()),
        ("a fraction of a pixel", but("/imp/0/banner/w", json!(0.5)).into_bytes()),
        ("no impression", but("/imp", json!([])).into_bytes()),
        ("impressions that are none", but("/imp", json!([1, "2", null])).into_bytes()),
        ("an impression of nothing", but("/imp", json!([{"id": "1"}])).into_bytes()),
        ("impressions of one name", but("/imp", json!("@@")).replace("\"@@\"", &twins).into()),
        ("no id", but("/id", json!("")).into_bytes()),
        ("a long id", but("/id", json!("x".repeat(129))).into_bytes()),
        ("a member twice", format!("{{\"id\":\"r\",{}", &good[1..]).into_bytes()),
        ("two channels", but("/app", json!({"id": "a"})).into_bytes()),
        ("a site that is a text", but("/site", json!("news.example")).into_bytes()),
        ("no such auction", but("/at", json!(3)).into_bytes()),
        ("a negative time", but("/tmax", json!(-1)).into_bytes()),
        ("a device of an array", but("/device", json!([1])).into_bytes()),
        ("a video without mimes", but("/imp/0/video", json!({})).into_bytes()),
        ("deep arrays", deep(100_000, "[", "]").into_bytes()),
        ("deep objects", deep(50_000, "{\"a\":", "}").into_bytes()),
        ("deep where nobody looks", raw("/ext", &deep(10_000, "[", "]")).into_bytes()),
        ("deep and not closed", vec![b'['; 1 << 20]),
        ("an open array", raw("/ext", &format!("[{}0", "0,".repeat(200_000))).into_bytes()),
        ("a long text", but("/ext", json!("x".repeat(100_000))).into_bytes()),
        ("a megabyte and a byte", vec![b' '; (1 << 20) + 1]),
        ("four megabytes", vec![b'x'; 4 << 20]),
    ];
    let of = |what: &str| all.iter().position(|(name, _)| *name == what).expect("there");
    let at = of("no UTF-8 in a text");
    all[at].1 = good
        .replace("news.example", "@@")
        .bytes()
        .map(|b| if b == b'@' { 0xff } else { b })
        .collect();
    for (what, body) in all {
        let began = Instant::now();
        is_malformed(&api.exchange(&[], body).await, what);
        assert!(began.elapsed() < NORMAL, "{what} takes {:?}", began.elapsed());
    }
    for end in 0..good.len() {
        is_malformed(&api.exchange(&[], good.as_bytes()[..end].to_vec()).await, &good[..end]);
    }
    is_well(&api).await;
}

#[tokio::test]
async fn what_the_specification_allows_is_answered_with_bids_or_without() {
    let api = bidding().await;
    let long = "x".repeat(20_000);
    for (what, body) in [
        ("unknown members", but("/unheard_of", json!({"a": [1, {"b": null}]}))),
        ("extensions", but("/imp/0/ext", json!({"gpid": "/1/a", "x": [[[[1]]]]}))),
        ("nulls", but("/device", json!({"geo": null, "ifa": null, "language": null}))),
        ("an exchange's own auction", but("/at", json!(501))),
        ("no time limit", but("/tmax", json!(0))),
        ("a long time", but("/tmax", json!(u64::MAX))),
        ("no time at all", but("/tmax", json!(1))),
        ("unknown codes", but("/device/devicetype", json!(-7))),
        ("a currency of nobody", but("/cur", json!(["XXX", "ZZZ", "??"]))),
        ("a category of nobody", but("/bcat", json!(["IAB999", "", "💥"]))),
        ("a floor of zero", raw("/imp/0/bidfloor", "0e-400")),
        ("a floor of many digits", raw("/imp/0/bidfloor", &format!("0.{}1", "0".repeat(3_000)))),
        ("a floor in yen", but("/imp/0/bidfloorcur", json!("JPY"))),
        ("64 impressions", but("/imp", imps(64))),
        ("an empty object of PHP", but("/device", json!([]))),
        ("a fraction of a minute", but("/device/geo", json!({"utcoffset": 330.5}))),
        ("65 other ids", but("/user", json!({"eids": vec![json!({"uids": []}); 65], "ext": []}))),
        ("a size of everything", but("/imp/0/banner", json!({"w": 65_535, "h": 65_535}))),
        ("a size of nothing", but("/imp/0/banner", json!({"w": 0, "h": 0}))),
        ("no size", but("/imp/0/banner", json!({}))),
        ("escapes", raw("/site/page", r#""http:\/\/n\u0065ws\ud83d\ude00""#)),
        ("a test", but("/test", json!(1))),
        ("a native request that is none", but("/imp/0/native", json!({"request": "{\"broken"}))),
        ("garbled consent", but("/user", json!({"consent": "!!!not-base64!!!"}))),
        ("consent of zeros", but("/user", json!({"consent": "A".repeat(500)}))),
        ("consent without an end", but("/user", json!({"consent": "C".repeat(20_000)}))),
        ("garbled consent where it counts", {
            let consent =
                json!({"gdpr": 1, "us_privacy": "9ZZZ", "gpp": "DB~~~~", "gpp_sid": [2, -9, 999]});
            but("/regs", consent)
        }),
        ("long GPP", but("/regs", json!({"gpp": long, "gpp_sid": [7]}))),
        ("a chain of nothing", but("/source", json!({"schain": {"complete": 1, "nodes": []}}))),
        ("a long name", but("/user", json!({"id": long, "buyeruid": long}))),
        ("a text of controls", but("/site/page", json!("\u{0}\u{7f}\r\n\u{202e}"))),
    ] {
        is_allowed(&api.exchange(&[], body).await, what);
    }
    // What is as it should be and only longer than what is looked at.
    for (what, body) in [
        ("65 impressions", but("/imp", imps(65))),
        ("5,000 impressions", but("/imp", imps(5_000))),
        ("a long list of names", but("/badv", json!(vec!["a.example"; 5_000]))),
        ("a long array", raw("/ext", &format!("[{}0]", "0,".repeat(200_000)))),
    ] {
        let heard = api.exchange(&[], body).await;
        is_allowed(&heard, what);
        assert_eq!(heard.status, 204, "{what}");
    }
    // Room that is only padding, up to the limit.
    let good = request("padded").to_string();
    let padded = format!("{good}{}", " ".repeat((1 << 20) - good.len()));
    is_allowed(&api.exchange(&[], padded).await, "a megabyte");
    is_well(&api).await;
}

#[tokio::test]
async fn requests_with_bytes_changed_by_chance_are_answered_and_nothing_else_happens() {
    let api = bidding().await;
    let (mut sampler, mut body) = (Sampler::new(7, Mix::default()), Vec::new());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chance = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let kind: Vec<u8> = b"\"{}[]:,0-9e.\\\xff\x00 ".to_vec();
    for nth in 0..1_500 {
        sampler.draw(&mut body);
        for _ in 0..=chance(4) {
            let at = chance(body.len());
            match chance(4) {
                0 => body[at] = kind[chance(kind.len())],
                1 => body.truncate(at.max(1)),
                2 => {
                    let to = (at + chance(64)).min(body.len());
                    body.drain(at..to);
                }
                _ => {
                    let again = body[at..(at + chance(64)).min(body.len())].to_vec();
                    body.splice(at..at, again);
                }
            }
            if body.is_empty() {
                body.push(b'{');
            }
        }
        let heard = api.exchange(&[], body.clone()).await;
        let text = String::from_utf8_lossy(&body);
        match heard.status {
            400 => is_malformed(&heard, &text),
            _ => is_allowed(&heard, &format!("the {nth}th: {text}")),
        }
    }
    is_well(&api).await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("written")
}

#[tokio::test]
async fn gzip_is_read_and_other_codings_are_refused_and_content_types_are_no_matter() {
    let api = bidding().await;
    let good = request("r").to_string();
    let packed = gzip(good.as_bytes());
    let coded = [("content-encoding", "gzip")];
    assert_eq!(api.exchange(&coded, packed.clone()).await.bid()["impid"], "1");
    for (what, body) in [
        ("not packed", good.clone().into_bytes()),
        ("broken off", packed[..packed.len() - 9].to_vec()),
        ("a bomb", gzip(&vec![b' '; 16 << 20])),
        ("packed twice", gzip(&packed)),
        ("nothing", Vec::new()),
    ] {
        let began = Instant::now();
        is_malformed(&api.exchange(&coded, body).await, what);
        assert!(began.elapsed() < NORMAL, "{what} takes {:?}", began.elapsed());
    }
    is_malformed(&api.exchange(&[], packed).await, "packed, and not said");
    for coding in ["br", "zstd", "deflate", "gzip, gzip"] {
        let heard = api.exchange(&[("content-encoding", coding)], good.clone()).await;
        assert_eq!((heard.status, heard.body.len()), (415, 0), "{coding}: {heard:?}");
        assert_eq!(heard.header("accept-encoding"), "gzip");
    }
    for kind in ["text/plain", "application/json; charset=utf-8", "nonsense", ""] {
        let heard = api.exchange(&[("content-type", kind)], good.clone()).await;
        assert_eq!(heard.bid()["impid"], "1", "{kind}");
    }
    for version in ["2.6", "2.5", "9", ""] {
        let heard = api.exchange(&[("x-openrtb-version", version)], good.clone()).await;
        assert_eq!(heard.bid()["impid"], "1", "{version}");
    }
    is_well(&api).await;
}

#[tokio::test]
async fn other_methods_bid_and_book_nothing() {
    let api = bidding().await;
    let before = api.budget("c").await.is(200)["open_holds"].as_u64().expect("a number");
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let heard = api.notice(method.clone(), "/openrtb2/bid").await;
        assert_eq!(heard.status, 405, "{method}: {heard:?}");
    }
    let bid = api.exchange(&[], request("r").to_string()).await.bid();
    api.holds("c", before + 1).await;
    for method in [Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        for notice in ["nurl", "burl", "lurl"] {
            let heard = api.notice(method.clone(), &told(&bid[notice], "0.5")).await;
            assert_eq!(heard.status, 405, "{method} {notice}: {heard:?}");
        }
    }
    let budget = api.budget("c").await.is(200);
    assert_eq!((&budget["spent"], &budget["open_holds"]), (&json!(0), &json!(before + 1)));
    // By POST it is told as by GET.
    assert_eq!(api.notice(Method::POST, &told(&bid["lurl"], "")).await.status, 200);
    api.holds("c", before).await;
}

#[tokio::test]
async fn notices_that_are_forged_garbled_or_long_are_none_of_ours_and_book_nothing() {
    let api = bidding().await;
    let bid = api.exchange(&[], request("r").to_string()).await.bid();
    for notice in ["nurl", "burl", "lurl"] {
        let good = told(&bid[notice], "0.5");
        let (path, query) = good.split_once('?').expect("a query");
        let parts: Vec<&str> = query.split('&').collect();
        let mut bad = vec![
            path.to_owned(),
            format!("{path}?"),
            format!("{path}?{}", "&".repeat(4_000)),
            format!("{path}?{}", "%".repeat(4_000)),
            format!("{path}?%00%ff%zz=%&=&==&v=1&v=1"),
            format!("{good}&z={}", "x".repeat(8_000)),
            format!("{good}&z={}", "x".repeat(50_000)),
            good.replace("v=1", "v=2"),
        ];
        for other in ["win", "billing", "loss"] {
            let elsewhere = format!("/openrtb2/{other}?{query}");
            if elsewhere != good {
                bad.push(elsewhere);
            }
        }
        // What is signed: changed in one place, left out, or there twice.
        for name in ["v", "k", "h", "i", "x", "d", "s"] {
            let at = parts.iter().position(|part| part.split('=').next() == Some(name));
            let at = at.expect("signed");
            let without = [&parts[..at], &parts[at + 1..]].concat().join("&");
            bad.push(format!("{path}?{without}"));
            bad.push(format!("{good}&{}", parts[at]));
            for value in ["", "0", "-1", "%f0%9f", "zzzz", &"A".repeat(600), &"9".repeat(40)] {
                bad.push(format!("{path}?{without}&{name}={value}"));
            }
            let last = parts[at].chars().last().expect("a value");
            let other = if last.eq_ignore_ascii_case(&'A') { 'B' } else { 'A' };
            let changed = format!("{}{other}", &parts[at][..parts[at].len() - last.len_utf8()]);
            // The last digit of base64 may say nothing; digits of an id are read in either case.
            if !["d", "s"].contains(&name) {
                bad.push(format!("{path}?{without}&{changed}"));
            }
        }
        for address in bad {
            let heard = api.notice(Method::GET, &address).await;
            assert_eq!((heard.status, heard.body.len()), (400, 0), "{address}: {heard:?}");
        }
    }
    let budget = api.budget("c").await.is(200);
    assert_eq!(budget["spent"], json!(0));
    // The price is not signed. Whatever it says, the bid is the most that is booked, and it is booked once.
    let price = bid["price"].as_f64().expect("a price") / 1_000.0;
    for text in ["1e999", "NaN", "-5", "999999999999999999999", "", "%00", "AUDIT", "0.5"] {
        let heard = api.notice(Method::GET, &told(&bid["burl"], text)).await;
        assert_eq!(heard.status, 200, "{text}: {heard:?}");
    }
    let spent = api.budget("c").await.is(200)["spent"].as_f64().expect("an amount");
    assert!(0.0 < spent && spent <= price + 1e-6, "{spent} of {price}");
    is_well(&api).await;
}

/// One HTTP/1.1 answer of a connection: its head and its body.
async fn answered(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.map_or(0, |length| length.parse().expect("a number"));
            if bytes.len() >= head + length {
                return Ok((text, bytes[head..head + length].to_vec()));
            }
        }
        match stream.read(&mut part).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&part[..read]),
        }
    }
}

fn head(length: usize) -> String {
    format!("POST /openrtb2/bid HTTP/1.1\r\nhost: bids.example\r\ncontent-length: {length}\r\n\r\n")
}

async fn whole(stream: &mut TcpStream, body: &str) -> (String, Vec<u8>) {
    let request = format!("{}{body}", head(body.len()));
    stream.write_all(request.as_bytes()).await.expect("sent");
    answered(stream).await.expect("an answer")
}

#[tokio::test]
async fn a_connection_goes_on_after_a_request_that_is_none() {
    let api = bidding().await;
    let mut stream = TcpStream::connect(api.address).await.expect("a connection");
    let good = request("r").to_string();
    for _ in 0..3 {
        let (told, body) = whole(&mut stream, "{").await;
        assert!(told.starts_with("http/1.1 400"), "{told}");
        assert!(body.is_empty() && told.contains("x-openrtb-version: 2.6"), "{told}");
        assert!(!told.contains("connection: close"), "{told}");
        let (told, body) = whole(&mut stream, &good).await;
        assert!(told.starts_with("http/1.1 200") && !body.is_empty(), "{told}");
    }
    // Several at once, as pipelining has it.
    let one = format!("{}{good}{}{{", head(good.len()), head(1));
    stream.write_all(one.as_bytes()).await.expect("sent");
    let (mut told, mut part) = (String::new(), [0; 4_096]);
    while !(told.contains("HTTP/1.1 200") && told.contains("HTTP/1.1 400")) {
        let read = tokio::time::timeout(NORMAL, stream.read(&mut part)).await;
        let read = read.expect("in time").expect("read");
        assert!(read > 0, "{told}");
        told.push_str(&String::from_utf8_lossy(&part[..read]));
    }
}

#[tokio::test]
async fn slow_and_broken_connections_hold_up_nobody() {
    let api = api_with(&[("server.header_timeout_ms", "500")]).await;
    api.bidding(rich("c", json!([]))).await;
    let good = request("r").to_string();
    let mut slow = Vec::new();
    for nth in 0..200 {
        let mut stream = TcpStream::connect(api.address).await.expect("a connection");
        // Heads without an end, bodies without an end, and nothing at all.
        let begin = match nth % 3 {
            0 => head(good.len()).trim_end().to_owned(),
            1 => format!("{}{}", head(good.len()), &good[..40]),
            _ => String::new(),
        };
        stream.write_all(begin.as_bytes()).await.expect("sent");
        slow.push((nth % 3, stream));
    }
    let began = Instant::now();
    let mut stream = TcpStream::connect(api.address).await.expect("a connection");
    for _ in 0..20 {
        let (told, _) = whole(&mut stream, &good).await;
        assert!(told.starts_with("http/1.1 200"), "{told}");
    }
    assert!(began.elapsed() < NORMAL, "{:?}", began.elapsed());
    // The silent ones may stay: they cost a socket.
    for (kind, mut stream) in slow.into_iter().filter(|(kind, _)| *kind < 2) {
        let mut told = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut told));
        let read = read.await.expect("it is ended");
        let told = String::from_utf8_lossy(&told);
        if kind == 1 {
            read.expect("an answer");
            assert!(told.starts_with("HTTP/1.1 408") && told.ends_with("\r\n\r\n"), "{told}");
            assert!(told.contains("x-openrtb-version: 2.6"), "{told}");
        } else {
            assert!(!told.contains("HTTP/1.1 5"), "{told}");
        }
    }
    // Broken off in the middle of a body, and while the answer is made.
    for end in [1, good.len() / 2, good.len()] {
        let mut stream = TcpStream::connect(api.address).await.expect("a connection");
        let part = format!("{}{}", head(good.len()), &good[..end]);
        stream.write_all(part.as_bytes()).await.expect("sent");
        drop(stream);
    }
    // A body that is announced as larger than may be is refused before it is sent.
    let mut stream = TcpStream::connect(api.address).await.expect("a connection");
    stream.write_all(head(1 << 30).as_bytes()).await.expect("sent");
    let told = tokio::time::timeout(NORMAL, answered(&mut stream)).await.expect("in time");
    let (told, body) = told.expect("an answer");
    assert!(told.starts_with("http/1.1 400") && body.is_empty(), "{told}");
    is_well(&api).await;
}

#[tokio::test]
async fn notices_are_not_turned_away_for_their_number_where_callers_are_counted() {
    let settings = [
        ("auth.mode", "required"),
        ("limits.address_per_second", "1"),
        ("limits.address_burst", "2"),
    ];
    let api = api_with(&settings).await;
    let key = api.key("admin", &["*"]).await;
    let header = [("x-api-key", &*key)];
    api.call(Method::POST, "/api/v1/campaigns", &header, rich("c", json!([]))).await.is(201);
    api.call(Method::POST, "/api/v1/campaigns/c/start", &header, Value::Null).await.is(200);
    api.awake(&header).await;
    let bid = api.exchange(&header, request("r").to_string()).await.bid();
    for _ in 0..50 {
        let heard = api.notice(Method::GET, &told(&bid["burl"], "")).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        let forged = api.notice(Method::GET, "/openrtb2/billing?v=1").await;
        assert_eq!(forged.status, 400, "{forged:?}");
    }
    // Everything else of an address without a key is counted.
    let mut last = 0;
    for _ in 0..10 {
        last = api.get("/health").await.status;
    }
    assert_eq!(last, 429);
}
