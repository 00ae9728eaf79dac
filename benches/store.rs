//! Rates of the store alone, one JSON line each.
//!
//!     cargo bench --bench store -- commit [--seconds 2] [--dir DIR] [--only sqlite|postgres] [--batch N]
//!     cargo bench --bench store -- start  [--rows 10000000] [--dir DIR]
//!     cargo bench --bench store -- backup [--rows 10000000] [--dir DIR]
//!
//! `commit`: the raw group-commit rate of settles (a ledger row, a slice settle and a budget update
//! each) on SQLite, and on PostgreSQL when `KIKI_TEST_POSTGRES_URL` names a server (it uses and
//! drops a schema of its own). `start`: how long a start takes on a ledger of so many rows. `backup`:
//! an export of it and its restore, with the peak of memory.

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::settles::{ACCOUNT, BUDGETS, Settles};
use kiki::store::{Store, StoreConfig};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value =
        |name: &str| args.iter().position(|a| a == name).and_then(|at| args.get(at + 1)).cloned();
    let number = |name: &str, default: u64| {
        value(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = value("--dir").map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    if args.iter().any(|a| a == "start") {
        start(&dir.join("start"), number("--rows", 10_000_000)).await;
        return;
    }
    if args.iter().any(|a| a == "backup") {
        backup(&dir, number("--rows", 10_000_000)).await;
        return;
    }
    let time = Duration::from_secs(number("--seconds", 2));
    let batch = value("--batch").map(|text| text.parse().expect("a number"));
    if value("--only").as_deref() != Some("postgres") {
        commits("sqlite", StoreConfig::sqlite(dir.join("commit")), time, batch).await;
    }
    if value("--only").as_deref() == Some("sqlite") {
        return;
    }
    let Ok(url) = std::env::var("KIKI_TEST_POSTGRES_URL") else { return };
    let schema = format!("kiki_bench_{}", std::process::id());
    admin(&url, &format!("CREATE SCHEMA {schema}")).await;
    let sep = if url.contains('?') { '&' } else { '?' };
    let config = StoreConfig::postgres(format!("{url}{sep}options=-csearch_path%3D{schema}"));
    commits("postgres", config, time, batch).await;
    admin(&url, &format!("DROP SCHEMA {schema} CASCADE")).await;
}

async fn admin(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the server is reachable");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it obeys");
}

async fn commits(store_name: &str, config: StoreConfig, time: Duration, only_batch: Option<usize>) {
    let store = Store::open(config).await.expect("the store opens");
    let mut bench = Settles::new(&store, BUDGETS).await;
    for (batch, one_budget, check_ops) in [
        (1, false, false),
        (16, false, false),
        (64, false, false),
        (128, false, false),
        (512, false, false),
        (64, false, true),
        (64, true, false),
        (512, true, false),
    ] {
        if only_batch.is_some_and(|only| only != batch) {
            continue;
        }
        for _ in 0..20 {
            bench.commit(&store, batch, one_budget, check_ops).await;
        }
        let began = Instant::now();
        let mut took = Vec::new();
        while began.elapsed() < time {
            let each = Instant::now();
            bench.commit(&store, batch, one_budget, check_ops).await;
            took.push(each.elapsed());
        }
        let rate = (took.len() * batch) as f64 / began.elapsed().as_secs_f64();
        took.sort_unstable();
        let us = |q: usize| took[(took.len() - 1) * q / 100].as_micros();
        println!(
            "{}",
            serde_json::json!({
                "bench": "store_commit", "store": store_name, "batch": batch,
                "budgets": if one_budget { 1 } else { batch }, "check_ops": check_ops,
                "settles_per_s": rate.round(), "commit_us_p50": us(50), "commit_us_p99": us(99),
            })
        );
    }
    store.close().await;
}

/// Makes the rows once (they stay with `--dir`), then opens the store as a server does at its start:
/// migrations, epochs, every budget with its slices and holds, the window of the account.
async fn start(dir: &std::path::Path, rows: u64) {
    let config = StoreConfig::sqlite(dir);
    Store::migrate(&config).await.expect("migrations");
    make_ledger(dir, rows).await;
    for run in 0..3 {
        let began = Instant::now();
        let store = Store::open(config.clone()).await.expect("the store opens");
        let opened = began.elapsed();
        let shards: Vec<i64> = (0..256).collect();
        store.acquire(&shards, "bench").await.expect("shards");
        let window = store
            .window(ACCOUNT, 1_790_000_000_000_000, ("0123456789abcdef", i64::MAX), 10_000)
            .await
            .expect("the window");
        let mut loaded = 0;
        for n in 0..BUDGETS {
            let name = format!("camp_{n:06}");
            loaded += usize::from(store.load_budget(ACCOUNT, &name).await.expect("it").is_some());
        }
        println!(
            "{}",
            serde_json::json!({
                "bench": "store_start", "store": "sqlite", "ledger_rows": rows, "run": run,
                "open_ms": opened.as_millis(), "start_ms": began.elapsed().as_millis(),
                "budgets_loaded": loaded, "window_rows": window.rows.len(),
            })
        );
        store.close().await;
    }
}

async fn make_ledger(dir: &std::path::Path, rows: u64) {
    let url = format!("sqlite://{}/kiki.sqlite?mode=rw", dir.display());
    let mut conn = AnyConnection::connect(&url).await.expect("the database");
    let have: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM (SELECT 1 FROM ledger LIMIT 1)")
        .fetch_one(&mut conn)
        .await
        .expect("a count");
    if have.0 > 0 {
        return;
    }
    let began = Instant::now();
    let each = rows / BUDGETS as u64;
    let sql = format!(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;
         DROP INDEX ledger_op; DROP INDEX ledger_at;
         WITH RECURSIVE b(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM b WHERE x < {last})
         INSERT INTO budget SELECT '{ACCOUNT}', printf('camp_%06d', x), x % 256, '{{}}', 'active',
             1000000000000, 0, {each} * 1250000, 0, 0, {each}, '{{}}', {each} + 1, 0, 0 FROM b;
         WITH RECURSIVE b(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM b WHERE x < {last}),
             s(y) AS (SELECT 1 UNION ALL SELECT y + 1 FROM s WHERE y < {each})
         INSERT INTO ledger SELECT '{ACCOUNT}', printf('camp_%06d', x), y,
             printf('h_%08x%08x', (x * 2654435761 + y * 40503) % 4294967296, x * 1000000 + y),
             'settle', 1250000, 'USD', 1700000000000000 + y * 1000 + x, y, '0123456789abcdef',
             NULL, NULL, '2026-01-01', 1250000, printf('%032x', x * 1000000 + y), NULL FROM b, s;
         CREATE UNIQUE INDEX ledger_op ON ledger (account, op);
         CREATE INDEX ledger_at ON ledger (account, at);
         PRAGMA wal_checkpoint(TRUNCATE);",
        last = BUDGETS - 1,
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.expect("the rows");
    conn.close().await.expect("it closes");
    eprintln!("made {} ledger rows in {:?}", each * BUDGETS as u64, began.elapsed());
}

async fn backup(dir: &std::path::Path, rows: u64) {
    let config = StoreConfig::sqlite(dir.join("start"));
    Store::migrate(&config).await.expect("migrations");
    make_ledger(&dir.join("start"), rows).await;
    let (file, target) = (dir.join("backup.gz"), dir.join("restored"));
    for old in [&file, &target] {
        let _ = std::fs::remove_file(old);
        let _ = std::fs::remove_dir_all(old);
    }
    let store = Store::open(config).await.expect("the store opens");
    let began = Instant::now();
    store.export(&file).await.expect("an export");
    let exported = began.elapsed();
    let bytes = std::fs::metadata(&file).expect("the export").len();
    let began = Instant::now();
    Store::restore(&StoreConfig::sqlite(&target), &file).await.expect("a restore");
    println!(
        "{}",
        serde_json::json!({
            "bench": "store_backup", "store": "sqlite", "ledger_rows": rows,
            "export_s": exported.as_secs_f64().round(), "export_mb": bytes / 1_000_000,
            "restore_s": began.elapsed().as_secs_f64().round(), "peak_memory_mb": peak_mb(),
        })
    );
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse().ok());
    kb.unwrap_or(0) / 1024
}
