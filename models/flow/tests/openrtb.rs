//! What it costs to read a request: time and allocations, printed, and bounded where that does not depend on
//! the machine.

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{allocations, percentiles};
use kiki_flow::openrtb::response::{Bid, Response, Seat};
use kiki_flow::openrtb::sample::{Mix, Sampler};
use kiki_flow::openrtb::{Limits, Malformed, Request};
use kiki_flow::privacy::detail::Findings;
use kiki_flow::privacy::{Permits, Terms};
use kiki_models::shield::money::{Currency, Micros};

fn bodies(count: usize) -> Vec<Vec<u8>> {
    let mut sampler = Sampler::new(42, Mix::default());
    let mut body = Vec::new();
    let mut draw = || {
        sampler.draw(&mut body);
        body.clone()
    };
    (0..count).map(|_| draw()).collect()
}

/// Nanoseconds a body: of many short rounds, the quickest (what a busy machine does not lengthen) and the
/// median.
fn nanos(bodies: &[Vec<u8>], mut work: impl FnMut(&[u8])) -> Took {
    let mut rounds = Vec::new();
    for _ in 0..10 {
        for round in bodies.chunks(100) {
            let start = Instant::now();
            round.iter().for_each(|body| work(black_box(body)));
            rounds.push(start.elapsed().as_nanos() as f64 / round.len() as f64);
        }
    }
    // Rounds are not alike: compared is the sum over the bodies.
    let per_pass = rounds.len() / 10;
    let quickest = |nth: usize| {
        rounds.iter().skip(nth).step_by(per_pass).copied().fold(f64::INFINITY, f64::min)
    };
    let best = (0..per_pass).map(quickest).sum::<f64>() / per_pass as f64;
    rounds.sort_by(f64::total_cmp);
    Took { best, median: rounds[rounds.len() / 2] }
}

struct Took {
    best: f64,
    median: f64,
}

impl std::fmt::Display for Took {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} ns (median {:.0})", self.best, self.median)
    }
}

// One test, so that nothing else allocates meanwhile.
#[test]
fn reading_a_request_is_quick_allocates_little_and_grows_with_its_length_alone() {
    let limits = Limits::default();
    let terms = Terms { vendor: Some(755), ..Terms::default() };
    let bodies = bodies(2_000);
    let mean = bodies.iter().map(Vec::len).sum::<usize>() / bodies.len();
    let parse = nanos(&bodies, |body| drop(black_box(Request::parse(body, &limits))));
    let whole = nanos(&bodies, |body| {
        let Ok(request) = Request::parse(body, &limits) else { return };
        let permits = Permits::of(&request.signals(), &terms);
        let _ = black_box(request.auction(0, &Permits { bid: Ok(()), ..permits }));
    });
    let free = Permits { bid: Ok(()), personal: true, coppa: false, findings: Findings::NONE };
    let picture = nanos(&bodies, |body| {
        let Ok(request) = Request::parse(body, &limits) else { return };
        let _ = black_box(request.auction(0, &free));
    });
    let value = nanos(&bodies, |body| {
        drop(black_box(serde_json::from_slice::<serde_json::Value>(body)));
    });
    println!("mean request: {mean} bytes");
    println!("parse: {parse}");
    println!("parse and picture: {picture}");
    println!("parse, consent and picture: {whole}");
    println!("the same bodies as JSON values: {value}");

    let mut parsed = Vec::new();
    let mut seen = Vec::new();
    for body in &bodies {
        let mut request = None;
        parsed.push(allocations(|| request = Request::parse(body, &limits).ok()));
        let request = request.expect("request");
        seen.push(allocations(|| {
            let permits = Permits::of(&request.signals(), &terms);
            let _ = black_box(request.auction(0, &Permits { bid: Ok(()), ..permits }));
        }));
    }
    for (what, list) in [("parse", &parsed), ("consent and picture", &seen)] {
        let (calls, bytes): (Vec<u64>, Vec<u64>) = list.iter().copied().unzip();
        let (calls, bytes) = (percentiles(calls), percentiles(bytes));
        println!(
            "{what}: allocations p50 {} p99 {} max {}; bytes p50 {} p99 {} max {}",
            calls.0, calls.1, calls.2, bytes.0, bytes.1, bytes.2
        );
        assert!(calls.2 <= 40, "{what}: {} allocations", calls.2);
    }

    let bid = Bid {
        id: "0123456789abcdef",
        impression: "1",
        cpm: Micros(1_234_567),
        adm: Some("<a href=\"https://shop.example\"><img src=\"https://cdn.example/1.png\"></a>"),
        nurl: Some("https://bid.example/openrtb2/win?v=1"),
        burl: Some("https://bid.example/openrtb2/billing?v=1"),
        lurl: Some("https://bid.example/openrtb2/loss?v=1"),
        adomain: &["shop.example"],
        crid: Some("cr_1"),
        ..Bid::default()
    };
    let seats = [Seat { seat: Some("kiki"), bids: &[bid] }];
    let response = Response { id: "r", bidid: None, currency: Currency::USD, seats: &seats };
    let mut out = Vec::with_capacity(4_096);
    let written = nanos(&bodies, |_| {
        out.clear();
        response.write(black_box(&mut out)).expect("fit");
    });
    out.clear();
    let counted = allocations(|| response.write(&mut out).expect("fit"));
    println!("write a response of one bid: {written}, {} allocations", counted.0);
    assert_eq!(counted.0, 0, "into a buffer that is large enough");

    hostile(&limits);
}

/// Bodies of a megabyte of every bad shape: a hundred times as long as these take, and still a few ms.
fn hostile(limits: &Limits) {
    let large = 1_000_000;
    let imp = r#""imp":[{"id":"1","banner":{}}]"#;
    let imps = |each: &str, count: usize| {
        let imps: Vec<String> =
            (0..count).map(|n| format!(r#"{{"id":"{n}","banner":{{}}{each}}}"#)).collect();
        format!(r#"{{"id":"r","imp":[{}]}}"#, imps.join(","))
    };
    let pmp = |deal: &str, count: usize| {
        format!(r#","pmp":{{"deals":[{}]}}"#, vec![deal; count].join(","))
    };
    let shapes: [(&str, String); 16] = [
        ("impressions", imps("", 4_096)),
        ("empty impressions", format!(r#"{{"id":"r","imp":[{}]}}"#, vec!["{}"; 4_096].join(","))),
        ("deals", imps(&pmp("{}", 4_096), 64)),
        ("deals within bounds", imps(&pmp(r#"{"id":"d","wseat":["a"]}"#, 256), 64)),
        ("lists", imps(&pmp(r#"{"id":"d","wseat":["","","","",""]}"#, 256), 64)),
        ("sizes", imps(&format!(r#","video":{{"mimes":[{}]}}"#, vec!["0"; 4_096].join(",")), 64)),
        ("brackets", "[".repeat(large)),
        ("braces", "{\"a\":".repeat(large / 5)),
        ("quotes", "\"".repeat(large)),
        ("backslashes", format!("{{\"id\":\"{}", "\\".repeat(large - 10))),
        ("escapes", format!("{{\"id\":\"{}\"}}", "\\u0041".repeat(large / 6 - 10))),
        ("numbers", format!("{{\"id\":\"r\",{imp},\"ext\":[{}]}}", "1,".repeat(large / 2))),
        (
            "digits",
            format!(
                "{{\"id\":\"r\",\"imp\":[{{\"id\":\"1\",\"banner\":{{}},\"bidfloor\":1{}}}]}}",
                "0".repeat(large - 100)
            ),
        ),
        (
            "fraction",
            format!(
                "{{\"id\":\"r\",\"imp\":[{{\"id\":\"1\",\"banner\":{{}},\"bidfloor\":0.{}1}}]}}",
                "0".repeat(large - 100)
            ),
        ),
        ("blanks", format!("{{\"id\":\"r\",{imp}{}}}", " ".repeat(large - 100))),
        (
            "many lists",
            format!("{{\"id\":\"r\",{imp},\"ext\":[{}0]}}", "[0,0,0,0,0,0,0],".repeat(4_000)),
        ),
    ];
    for (name, body) in shapes {
        let start = Instant::now();
        let mut parsed = Ok(());
        let (_, bytes) = allocations(|| {
            parsed = Request::parse(body.as_bytes(), limits).map(drop).map_err(Malformed::name);
        });
        let took = start.elapsed();
        let (length, us) = (body.len(), took.as_micros());
        println!("hostile {name}: {length} bytes, {us} µs, {bytes} bytes of memory, {parsed:?}");
        assert!(bytes < 32 * large as u64, "{name}: {bytes} bytes of memory");
        // A quadratic reader takes minutes; a busy machine may take some milliseconds.
        assert!(took < Duration::from_millis(500), "{name}: {took:?}");
    }
}
