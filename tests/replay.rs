//! The main job on real input: CDNOW's purchase log through the public HTTP API into the ledger,
//! exact to the cent, whatever the concurrency, and whenever the server is killed.

mod common;

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use common::Server;
use flate2::read::MultiGzDecoder;
use kiki::models::shield::money::Micros;
use kiki::store::{Store, StoreConfig};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

const CAMPAIGN: &str = "camp_001";
const ROWS: usize = 69_659;
const TOTAL: Micros = Micros(2_500_315_630_000);
const KILLS: usize = 20;
/// Lines of a slice of the log.
const SLICE: usize = 5_000;

fn whole() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cdnow_master.txt.gz")
}

/// The first purchases of the log as a file, and their total.
fn slice(folder: &Path, purchases: usize) -> (PathBuf, Micros) {
    let mut text = String::new();
    let file = std::fs::File::open(whole()).expect("the log");
    MultiGzDecoder::new(file).read_to_string(&mut text).expect("text");
    let dollars = |line: &str| Micros::parse(line.split_whitespace().next_back()?).ok();
    let lines = text.lines().filter_map(|line| Some((line, dollars(line)?))).take(purchases);
    let (kept, amounts): (Vec<&str>, Vec<Micros>) = lines.unzip();
    let path = folder.join(format!("first-{purchases}.txt"));
    std::fs::write(&path, kept.join("\n")).expect("written");
    (path, amounts.into_iter().sum())
}

fn replay(server: &Server, log: &Path, concurrency: u16) -> Child {
    let mut command = common::command();
    command.args(["replay", "--campaign", CAMPAIGN, "--url", &server.url("")]);
    command.arg("--transactions").arg(log).arg("--concurrency").arg(concurrency.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kiki runs")
}

fn words(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// Runs a replay to its end; it must have been complete.
fn replayed(server: &Server, log: &Path, concurrency: u16) -> String {
    let output = replay(server, log, concurrency).wait_with_output().expect("ended");
    let said = words(&output);
    assert!(output.status.success(), "{said}\n{}", server.said());
    said
}

/// Reads the whole ledger: dense from 1, every operation and every line once.
async fn exact(config: StoreConfig, rows: usize, total: Micros) {
    let store = Store::open(config).await.expect("the store opens");
    let (mut seq, mut sum) = (0, Micros::ZERO);
    let (mut ops, mut memos) = (HashSet::new(), HashSet::new());
    loop {
        let page = store.ledger("default", CAMPAIGN, seq, 1_000).await.expect("a page");
        let Some(last) = page.last().map(|row| row.seq) else { break };
        for row in page {
            seq += 1;
            assert_eq!(row.seq, seq, "the sequence has no gaps");
            sum += Micros(row.amount);
            assert!(ops.insert(row.op), "row {seq}: an operation was booked twice");
            assert!(memos.insert(row.memo), "row {seq}: a line was booked twice");
        }
        assert_eq!(last, seq);
    }
    let budget = store.budget("default", CAMPAIGN).await.expect("read").expect("a budget");
    let spent = Micros(budget.settled + budget.facts - budget.refunded);
    store.close().await;
    assert_eq!((ops.len(), sum, spent), (rows, total, total));
}

/// Kills and restarts the server at random moments while the replay runs, `kills` times; a replay
/// that is through is run again.
fn killed(server: &mut Server, log: &Path, kills: usize, concurrency: u16, span: Duration) {
    let seed: u64 = std::env::var("KIKI_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("KIKI_TEST_SEED={seed} replays these kills");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut child = replay(server, log, concurrency);
    for kill in 0..kills {
        std::thread::sleep(span.mul_f64(random.random_range(0.05..1.0)));
        if child.try_wait().expect("a child").is_some() {
            let said = words(&child.wait_with_output().expect("ended"));
            assert!(said.contains("refused     0\n"), "seed {seed}, kill {kill}: {said}");
            child = replay(server, log, concurrency);
        }
        server.restart();
    }
    let said = words(&child.wait_with_output().expect("ended"));
    assert!(said.contains("refused     0\n"), "seed {seed}: {said}");
    replayed(server, log, concurrency);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_log_is_booked_to_the_cent_and_a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut server = Server::start(&data, &[]);
    // Facts are never refused: a budget of 1 is passed at once.
    server.allocate(CAMPAIGN, 1).await;
    let began = Instant::now();
    let said = replayed(&server, &whole(), 64);
    println!("{said}\nwhole in {:?}", began.elapsed());
    assert!(said.contains("booked      69,659\n"), "{said}");
    assert!(said.contains("total       $2,500,315.63\n"), "{said}");
    let (_, before) = server.get("/api/v1/budget/camp_001").await;
    assert_eq!(before["spent"].to_string(), "2500315.63");
    assert_eq!(before["ledger_seq"], ROWS);
    let began = Instant::now();
    let said = replayed(&server, &whole(), 200);
    println!("again in {:?}", began.elapsed());
    assert!(said.contains("booked      0\nreplayed    69,659\n"), "{said}");
    let (_, after) = server.get("/api/v1/budget/camp_001").await;
    assert_eq!((&after["spent"], &after["ledger_seq"]), (&before["spent"], &before["ledger_seq"]));
    assert!(server.terminate().success(), "{}", server.said());
    exact(StoreConfig::sqlite(&data), ROWS, TOTAL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_total_is_the_same_at_every_concurrency() {
    let folder = tempfile::tempdir().expect("a folder");
    for (concurrency, rows) in [(1, 500), (7, SLICE), (200, SLICE)] {
        let (log, total) = slice(folder.path(), rows);
        let data = folder.path().join(format!("data-{concurrency}"));
        let mut server = Server::start(&data, &[]);
        server.allocate(CAMPAIGN, 3_000_000).await;
        replayed(&server, &log, concurrency);
        assert!(server.terminate().success(), "{}", server.said());
        exact(StoreConfig::sqlite(&data), rows, total).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_20_random_moments_the_whole_log_is_still_exact() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut server = Server::start(&data, &[]);
    server.allocate(CAMPAIGN, 3_000_000).await;
    let began = Instant::now();
    killed(&mut server, &whole(), KILLS, 64, Duration::from_millis(1_500));
    println!("killed {KILLS} times in {:?}", began.elapsed());
    // The last kill: what a clean stop would have tidied is not tidied.
    server.kill();
    exact(StoreConfig::sqlite(&data), ROWS, TOTAL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_on_postgresql_the_log_is_still_exact() {
    let Ok(url) = std::env::var("KIKI_TEST_POSTGRES_URL") else {
        eprintln!("skipped on postgresql: KIKI_TEST_POSTGRES_URL is not set");
        return;
    };
    let name = format!("kiki_replay_{}", std::process::id());
    admin(&url, &format!("CREATE DATABASE {name}")).await;
    let (base, query) = url.split_once('?').map_or((&*url, None), |(b, q)| (b, Some(q)));
    let server_of = base.rsplit_once('/').expect("a database").0;
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    let own = format!("{server_of}/{name}{query}");
    let folder = tempfile::tempdir().expect("a folder");
    let (log, total) = slice(folder.path(), SLICE);
    let setting = format!("store.database_url={own}");
    let mut server = Server::start(&folder.path().join("data"), &[&setting]);
    server.allocate(CAMPAIGN, 3_000_000).await;
    killed(&mut server, &log, 4, 64, Duration::from_millis(1_000));
    assert!(server.terminate().success(), "{}", server.said());
    exact(StoreConfig::postgres(own), SLICE, total).await;
    admin(&url, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

async fn admin(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the test server is reachable");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it obeys");
}
