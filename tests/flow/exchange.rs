//! `kiki flow exchange` against bidders of all kinds.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::fake::{Fake, Manners, kiki};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_are_called_until_they_are_answered_and_each_sold_impression_is_billed() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = folder.path().join("bill.jsonl");
    let fake = Fake::start().await;
    fake.books().manners = Manners { shy: true, ..Manners::default() };
    let more = ["--late", "0.1", "--duplicated", "0.2", "--lost", "0"];
    let summary = fake.trade(&report, &more).await;
    let of = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name}: {summary}"));
    assert!(of("requests") > 100 && of("sold") > 20 && of("bids") > of("sold"), "{summary}");
    assert_eq!(of("with_bids"), of("requests"), "{summary}");
    for kind in ["win", "billing", "loss"] {
        let notices = &summary["notices"][kind];
        assert_eq!(notices["answered"], notices["due"], "{summary}");
        // the first call of each was refused for a while
        assert!(notices["calls"].as_u64() >= notices["due"].as_u64().map(|due| 2 * due));
        assert!(notices["duplicated"].as_u64() > Some(0) && notices["late"].as_u64() > Some(0));
    }
    let total: i64 = ["USD", "EUR"]
        .iter()
        .filter_map(|currency| summary["spend_micros"][currency].as_i64())
        .sum();
    assert_eq!(fake.booked().0, total, "what was billed is what was booked");
    let (code, found) = fake.reconcile(&report, &["--dry-run"]).await;
    assert_eq!((code, &found["equal"]), (0, &true.into()), "{found}");
    assert_eq!(found["impressions"], summary["sold"]);
    assert_eq!(fake.books().notices_with_key, 0);
    // A bill is never written over.
    let path = report.to_str().expect("text");
    let (code, _, err) = kiki(&["flow", "exchange", "--report", path]).await;
    assert!(code == 1 && err.contains("bill.jsonl: exists; choose another name"), "{code} {err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_sells_the_same_impressions_at_the_same_prices() {
    let folder = tempfile::tempdir().expect("a folder");
    let bill = |name: &str| folder.path().join(name);
    let mut bills = Vec::new();
    for name in ["a", "b"] {
        let fake = Fake::start().await;
        let args = ["--rate", "40", "--seed", "9", "--late", "0", "--lost", "0"];
        fake.trade(&bill(name), &args).await;
        let text = std::fs::read_to_string(bill(name)).expect("a bill");
        let mut sold: Vec<(String, String, i64)> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("json"))
            .filter_map(|line| {
                let sold = line.get("sold")?;
                let text = |name: &str| sold[name].as_str().map(str::to_owned);
                Some((text("auction")?, text("imp")?, sold["price_micros"].as_i64()?))
            })
            .collect();
        sold.sort();
        bills.push(sold);
    }
    assert!(bills[0].len() > 5 && bills[0] == bills[1], "{bills:?}");
}

#[tokio::test]
async fn a_bidder_that_is_not_there_is_an_error_and_wrong_arguments_are_told() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let url = format!("http://{closed}");
    let base = ["flow", "exchange", "--url", &url];
    let short = ["--seconds", "1", "--rate", "20"];
    let (code, out, err) = kiki(&[&base[..], &short].concat()).await;
    assert!(code == 1 && err.contains("no auction was answered"), "{code} {err}");
    assert!(out.contains("unreachable"), "{out}");
    for (more, said) in [
        (&["--late", "0.6", "--lost", "0.6"][..], "more than all"),
        (&["--late", "1.5"], "part of one"),
        (&["--rate", "0"], "0.01"),
        (&["--seconds", "0"], "seconds"),
        (&["--day", "soon"], "a time such as"),
    ] {
        let (code, _, err) = kiki(&[&base[..], more].concat()).await;
        assert!(code == 2 && err.contains(said), "{more:?}: {code} {err}");
    }
}

#[tokio::test]
async fn bidders_that_hang_or_answer_nonsense_neither_stop_nor_confuse_the_exchange() {
    for (said, counted) in [
        ("", "timeouts"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n{\"id\"", "malformed"),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 18\r\n\r\n{\"id\":\"other-one\"}",
            "malformed",
        ),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", "malformed"),
        ("nonsense\r\n\r\n", "unreachable"),
        ("HTTP/1.1 500 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", "statuses"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let mut some = [0; 65_536];
                // It may have gone away meanwhile.
                let _ = stream.read(&mut some).and_then(|_| stream.write_all(said.as_bytes()));
                kept.push(stream);
                if !said.is_empty() {
                    kept.clear();
                }
            }
        });
        let began = Instant::now();
        let args = ["flow", "exchange", "--json", "--seconds", "1", "--rate", "30", "--url", &url];
        let patient = ["--answers-within", "20s"];
        let more = if said.is_empty() { &[][..] } else { &patient };
        let (code, out, err) = kiki(&[&args[..], more].concat()).await;
        assert_eq!(code, 1, "{counted}: {err}");
        let summary: serde_json::Value = serde_json::from_str(&out).expect("json");
        let requests = summary["requests"].as_u64().expect("a count");
        let count = &summary[counted];
        let count = count.as_u64().or_else(|| count["500"].as_u64()).unwrap_or(0);
        assert!(requests > 5 && count == requests, "{counted}: {summary}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
