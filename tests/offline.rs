//! `kiki ledger verify`, `backup`, `restore` and `migrate` on stores of their own: on SQLite, and on
//! PostgreSQL when `KIKI_TEST_POSTGRES_URL` names a server where schemas may be made.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use kiki::models::shield::entry::Op;
use kiki::models::shield::hold::settle_op;
use kiki::models::shield::money::Micros;
use kiki::models::shield::terms::{Terms, WindowCap};
use kiki::store::{
    AccountRow, BudgetPut, BudgetRow, EntryRow, HoldRow, OperationRow, Outcome, ServerLock,
    SliceRow, Store, StoreConfig, Write,
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

const UNIT: i64 = 1_000_000;
const ACCOUNT: &str = "acme";
const SLICE: &str = "00000000000000a1";
const DAY: &str = "20260102";

/// A place for one store, with the command line on it.
struct Site {
    config: StoreConfig,
    folder: tempfile::TempDir,
    /// Address and name of a schema of its own.
    schema: Option<(String, String)>,
}

impl Site {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig::sqlite(folder.path().join("data"));
        Self { config, folder, schema: None }
    }

    async fn postgres() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(url) = std::env::var("KIKI_TEST_POSTGRES_URL") else {
            eprintln!("skipped on postgresql: KIKI_TEST_POSTGRES_URL is not set");
            return None;
        };
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("kiki_offline_{}_{n}", std::process::id());
        run_sql(&url, &format!("CREATE SCHEMA {schema}")).await;
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig::postgres(in_schema(&url, &schema));
        Some(Self { config, folder, schema: Some((url, schema)) })
    }

    /// Another one of the same kind.
    async fn another(&self) -> Self {
        match self.schema {
            None => Self::sqlite(),
            Some(_) => Self::postgres().await.expect("there is a server"),
        }
    }

    async fn drop(self) {
        if let Some((url, schema)) = &self.schema {
            run_sql(url, &format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    async fn open(&self) -> Store {
        Store::open(self.config.clone()).await.expect("the store opens")
    }

    fn kiki(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
        command.args(args).arg("--data-dir").arg(self.data());
        command.current_dir(self.folder.path()).env_clear();
        if let Some((url, schema)) = &self.schema {
            command.env("DATABASE_URL", in_schema(url, schema));
        }
        Ran::of(command.output().expect("kiki runs"))
    }

    /// Changes rows behind the store's back.
    async fn tamper(&self, sql: &str) {
        let url = match &self.schema {
            Some((url, schema)) => in_schema(url, schema),
            None => format!("sqlite://{}", self.data().join("kiki.sqlite").display()),
        };
        run_sql(&url, sql).await;
    }
}

fn in_schema(url: &str, schema: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-csearch_path%3D{schema}")
}

async fn run_sql(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut conn = AnyConnection::connect(url).await.expect("the database is reachable");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.expect("it obeys");
    conn.close().await.expect("closed");
}

/// How a command ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    #[track_caller]
    fn refused(self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.err.contains(says), "{says:?} in {self:#?}");
    }
}

fn hold(n: i64) -> Op {
    Op::of(&["hold", &n.to_string()])
}

fn entry(budget: &str, seq: i64, kind: &str, amount: i64) -> EntryRow {
    let of_hold = matches!(kind, "settle" | "late");
    let (op, hold) = match of_hold {
        true => (settle_op(hold(seq)), Some(hold(seq).to_string())),
        false => (Op::of(&[budget, &seq.to_string()]), None),
    };
    EntryRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        seq,
        op: op.to_string(),
        kind: kind.into(),
        amount,
        currency: "USD".into(),
        at: seq,
        mono_us: seq,
        boot: "boot".into(),
        hold,
        slice: of_hold.then(|| SLICE.to_owned()),
        day: DAY.into(),
        window_amount: amount,
        body_hash: "00".into(),
        memo: None,
    }
}

fn budget(name: &str, terms: &Terms) -> BudgetRow {
    BudgetRow {
        account: ACCOUNT.into(),
        budget: name.into(),
        shard: 7,
        terms: serde_json::to_string(terms).expect("JSON"),
        status: "active".into(),
        funded: terms.lifetime.unwrap_or_default().0,
        refunded: 0,
        settled: 0,
        facts: 0,
        late: 0,
        seq: 0,
        state: r#"{"days":{},"raised":[],"stopped":false}"#.into(),
        version: 0,
        created_at: 1,
        updated_at: 1,
    }
}

fn slice(budget: &str, quota: i64, settled: i64) -> SliceRow {
    SliceRow {
        account: ACCOUNT.into(),
        budget: budget.into(),
        slice: SLICE.into(),
        holder: "1/2/camp".into(),
        quota,
        settled,
        day: DAY.into(),
        sealed: 0,
        taken_at: 1,
        mono_us: 1,
        boot: "boot".into(),
        ttl_us: 10_000_000,
    }
}

fn journaled(budget: &str, seq: i64, amount: i64) -> HoldRow {
    HoldRow {
        account: ACCOUNT.into(),
        hold: hold(seq).to_string(),
        budget: budget.into(),
        slice: SLICE.into(),
        window_slice: None,
        amount,
        day: DAY.into(),
        state: "settled".into(),
        settled_amount: amount,
        expires_at: 9,
        body_hash: "00".into(),
        memo: None,
        created_at: 1,
        updated_at: 1,
    }
}

fn allocation(budget: &str) -> OperationRow {
    OperationRow {
        account: ACCOUNT.into(),
        op: Op::of(&["allocate", budget]).to_string(),
        budget: budget.into(),
        route: "order".into(),
        body_hash: "00".into(),
        status: 201,
        answer: r#"{"budget":5000,"version":1}"#.into(),
        at: 1,
    }
}

/// An account with its window, a campaign of settles alone and one with every kind of row.
async fn fill(store: &Store) {
    let usd = "USD".parse().expect("a currency");
    let epochs = store.acquire(&[7], "test").await.expect("a shard");
    let base = |name: &str| Write {
        account: ACCOUNT.into(),
        budget: name.into(),
        shard: 7,
        epoch: epochs[&7],
        ..Write::default()
    };
    let put = |row| Some(BudgetPut { expected_version: 0, row, keep_terms: false });
    let campaign = Terms::campaign(usd, Micros(5000 * UNIT));
    let window = WindowCap { amount: Micros(500 * UNIT), length_us: 60_000_000 };

    let account = Write {
        budget_row: put(budget("@account", &Terms::account(usd, Some(window)))),
        slices_put: vec![slice("@account", 20 * UNIT, 0)],
        account_row: Some(AccountRow {
            account: ACCOUNT.into(),
            currency: "USD".into(),
            stopped: 0,
            terms: "{}".into(),
            created_at: 1,
            updated_at: 1,
        }),
        ..base("@account")
    };
    let mut row = budget("camp_001", &campaign);
    (row.settled, row.seq) = (3000 * UNIT, 3000);
    row.state = format!(r#"{{"days":{{"{DAY}":{}}}}}"#, 3000 * UNIT);
    let settles = Write {
        entries: (1..=3000).map(|seq| entry("camp_001", seq, "settle", UNIT)).collect(),
        budget_row: put(row),
        slices_put: vec![slice("camp_001", 3010 * UNIT, 3000 * UNIT)],
        operations: vec![allocation("camp_001")],
        holds: vec![journaled("camp_001", 3000, UNIT)],
        ..base("camp_001")
    };
    let mut row = budget("camp_002", &campaign);
    (row.settled, row.facts, row.late) = (2 * UNIT, 1_250_000, 1_000_000);
    (row.refunded, row.seq) = (500_000, 4);
    // A refund never takes a day below nothing, so the day is not what the rows add up to.
    row.state = format!(r#"{{"days":{{"{DAY}":3000000}}}}"#);
    let mixed = Write {
        entries: vec![
            entry("camp_002", 1, "spend", 250_000),
            entry("camp_002", 2, "refund", -500_000),
            EntryRow {
                op: settle_op(hold(9001)).to_string(),
                hold: Some(hold(9001).to_string()),
                ..entry("camp_002", 3, "settle", 2 * UNIT)
            },
            EntryRow {
                op: settle_op(hold(9002)).to_string(),
                hold: Some(hold(9002).to_string()),
                ..entry("camp_002", 4, "late", UNIT)
            },
        ],
        budget_row: put(row),
        slices_put: vec![slice("camp_002", 5 * UNIT, 2 * UNIT)],
        operations: vec![allocation("camp_002")],
        ..base("camp_002")
    };
    for write in [account, settles, mixed] {
        assert_eq!(store.commit(vec![write]).await, vec![Outcome::Committed]);
    }
}

macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let site = crate::Site::sqlite();
                super::$name(&site).await;
                site.drop().await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(site) = crate::Site::postgres().await {
                    super::$name(&site).await;
                    site.drop().await;
                }
            })+
        }
    };
}

on_every_store!(
    a_good_ledger_is_verified_beside_a_running_server,
    every_planted_corruption_is_named,
    a_backup_restored_elsewhere_verifies_with_the_same_totals,
    a_restore_is_refused_beside_a_server_and_over_rows,
    migrations_run_alone_and_once,
);

async fn a_good_ledger_is_verified_beside_a_running_server(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    let _server = ServerLock::acquire(&site.data(), "127.0.0.1:8090").expect("the lock");
    let out = site.kiki(&["ledger", "verify"]).good();
    assert!(out.contains("3,004 rows, 2 budgets: every invariant holds"), "{out}");
    let words: Vec<&str> = out
        .lines()
        .find(|l| l.contains("camp_002"))
        .expect("its line")
        .split_whitespace()
        .collect();
    assert_eq!(words, ["acme", "camp_002", "4", "2.75", "5,000.00", "USD"]);
    let other = site.kiki(&["ledger", "verify", "--account", "nobody"]).good();
    assert!(other.contains("0 rows, 0 budgets"), "{other}");

    let file = site.file("while-it-runs.gz");
    site.kiki(&["backup", &file]).good();
    store.close().await;
}

async fn every_planted_corruption_is_named(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    store.close().await;
    let one = "WHERE budget = 'camp_001' AND seq = 17";
    let planted: Vec<(String, String, &str, &str)> = vec![
        (
            format!("UPDATE ledger SET amount = amount + 1 {one}"),
            format!("UPDATE ledger SET amount = amount - 1 {one}"),
            "BG-4 acme/camp_001:",
            "its settled is 3000, its rows add up to 3000.000001",
        ),
        (
            format!("UPDATE ledger SET seq = 9999 {one}"),
            "UPDATE ledger SET seq = 17 WHERE seq = 9999".into(),
            "BG-3 acme/camp_001 ledger row 18:",
            "stands where row 17 is due",
        ),
        (
            format!("DROP INDEX ledger_op; UPDATE ledger SET op = '{}' {one}", settle_op(hold(16))),
            format!("UPDATE ledger SET op = '{}' {one}", settle_op(hold(17))),
            "BG-3 acme/camp_001 ledger row 17:",
            "has a row already",
        ),
        (
            format!("UPDATE ledger SET hold = '{}' {one}", hold(16)),
            format!("UPDATE ledger SET hold = '{}' {one}", hold(17)),
            "BG-3 acme/camp_001 ledger row 17:",
            "under a key that is not the hold's own",
        ),
        (
            format!("UPDATE ledger SET currency = 'EUR' {one}"),
            format!("UPDATE ledger SET currency = 'USD' {one}"),
            "BG-4 acme/camp_001 ledger row 17:",
            "is in EUR, its budget in USD",
        ),
        (
            format!("UPDATE ledger SET kind = 'refund' {one}"),
            format!("UPDATE ledger SET kind = 'settle' {one}"),
            "BG-4 acme/camp_001 ledger row 17:",
            "a refund of 1, counted as 1",
        ),
        (
            format!("UPDATE ledger SET day = '20260101' {one}"),
            format!("UPDATE ledger SET day = '{DAY}' {one}"),
            "BG-4 acme/camp_001:",
            "it used 3000 on 20260102",
        ),
        (
            "UPDATE budget SET refunded = refunded + 1 WHERE budget = 'camp_002'".into(),
            "UPDATE budget SET refunded = refunded - 1 WHERE budget = 'camp_002'".into(),
            "BG-4 acme/camp_002:",
            "its refunded is 0.500001",
        ),
        (
            "UPDATE slice SET quota = 1 WHERE budget = 'camp_001'".into(),
            "UPDATE slice SET quota = 3010000000 WHERE budget = 'camp_001'".into(),
            "BG-1 acme/camp_001 slice 00000000000000a1:",
            "has booked 3000 of its quota of 0.000001",
        ),
        (
            "UPDATE slice SET quota = 5001000000 WHERE budget = 'camp_001'".into(),
            "UPDATE slice SET quota = 3010000000 WHERE budget = 'camp_001'".into(),
            "BG-1 acme/camp_001:",
            "5001 is settled or in slices, and no cap was above 5000",
        ),
        (
            "UPDATE slice SET settled = 0 WHERE budget = 'camp_002'".into(),
            "UPDATE slice SET settled = 2000000 WHERE budget = 'camp_002'".into(),
            "BG-1 acme/camp_002 slice",
            "says that 0 was booked from it, the ledger 2",
        ),
        (
            format!("UPDATE hold SET hold = '{}'", hold(8000)),
            format!("UPDATE hold SET hold = '{}'", hold(3000)),
            "BG-2 acme/camp_001 hold",
            "was settled with 1 and has no ledger row",
        ),
    ];
    for (plant, mend, place, what) in planted {
        site.tamper(&plant).await;
        let ran = site.kiki(&["ledger", "verify"]);
        assert_eq!(ran.code, Some(1), "{plant}: {ran:#?}");
        let named = |line: &str| line.starts_with(place) && line.contains(what);
        assert!(ran.out.lines().any(named), "{plant}: {ran:#?}");
        assert!(ran.err.contains("violation"), "{plant}: {ran:#?}");
        site.tamper(&mend).await;
    }
    site.kiki(&["ledger", "verify"]).good();

    site.tamper("DELETE FROM ledger WHERE budget = 'camp_002' AND seq = 4").await;
    let ran = site.kiki(&["ledger", "verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((ran.code, &report["holds"]), (Some(1), &serde_json::json!(false)));
    let first = &report["violations"][0];
    assert_eq!((&first["invariant"], &first["budget"]), (&"BG-3".into(), &"camp_002".into()));
}

/// The lines of a verification, to be compared.
fn verified(site: &Site) -> serde_json::Value {
    let out = site.kiki(&["ledger", "verify", "--json"]).good();
    serde_json::from_str(&out).expect("JSON")
}

async fn a_backup_restored_elsewhere_verifies_with_the_same_totals(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    store.close().await;
    let before = verified(site);
    let file = site.file("backup.gz");
    let out = site.kiki(&["backup", &file]).good();
    assert!(out.contains("ledger     3,004"), "{out}");
    let digest = out.rsplit(' ').next().expect("a digest").trim();
    assert!(digest.len() == 64 && out.contains("written, digest"), "{out}");
    let export = site.kiki(&["ledger", "verify", "--export", &file, "--json"]).good();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&export).expect("JSON"), before);
    site.kiki(&["backup", &file]).refused(1, "exists already");

    let mut restored = vec![(site.another().await, file.clone())];
    if site.schema.is_none() {
        let copy = site.file("copy.sqlite");
        let out = site.kiki(&["backup", "--copy", &copy]).good();
        assert!(out.contains("a copy of the database"), "{out}");
        restored.push((site.another().await, copy));
    } else {
        // from one database into the other
        restored.push((Site::sqlite(), file));
    }
    for (other, file) in restored {
        let out = other.kiki(&["restore", &file]).good();
        assert!(out.contains("slices closed: 3") && out.contains("spending is paused"), "{out}");
        assert_eq!(verified(&other), before);
        let store = other.open().await;
        assert!(store.paused_by_restore().await.expect("a read").is_some());
        store.close().await;
        other.kiki(&["restore", &file]).refused(1, "not empty");
        other.drop().await;
    }
}

async fn a_restore_is_refused_beside_a_server_and_over_rows(site: &Site) {
    let store = site.open().await;
    fill(&store).await;
    let file = site.file("backup.gz");
    site.kiki(&["backup", &file]).good();
    site.kiki(&["restore", &file]).refused(1, "not empty");
    site.kiki(&["ledger", "verify"]).good();
    store.close().await;

    let other = site.another().await;
    let server = ServerLock::acquire(&other.data(), "127.0.0.1:8090").expect("the lock");
    other.kiki(&["restore", &file]).refused(1, "127.0.0.1:8090");
    drop(server);
    let damaged = other.file("damaged.gz");
    let mut bytes = std::fs::read(&file).expect("the backup");
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    std::fs::write(&damaged, bytes).expect("written");
    other.kiki(&["restore", &damaged]).refused(1, "damaged");
    other.kiki(&["restore", &other.file("missing")]).refused(1, "is no file");
    other.kiki(&["restore", &file]).good();
    other.drop().await;
}

async fn migrations_run_alone_and_once(site: &Site) {
    let out = site.kiki(&["migrate", "up"]).good();
    assert!(out.contains("before: schema version 0"), "{out}");
    assert!(out.contains("after:  schema version 1, applied 1"), "{out}");
    let again = site.kiki(&["migrate", "up"]).good();
    assert!(again.contains("schema version 1, nothing was missing"), "{again}");
    let out = site.kiki(&["ledger", "verify"]).good();
    assert!(out.contains("0 rows, 0 budgets: every invariant holds"), "{out}");
}

#[test]
fn what_is_not_there_is_neither_verified_nor_backed_up_nor_made() {
    let site = Site::sqlite();
    site.kiki(&["ledger", "verify"]).refused(2, "there is no store in");
    site.kiki(&["backup", &site.file("b.gz")]).refused(2, "there is no store in");
    site.kiki(&["ledger", "verify", "--export", &site.file("none")]).refused(1, "cannot open");
    assert!(!site.data().exists());
}
