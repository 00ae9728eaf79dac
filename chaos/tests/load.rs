//! The load against a cluster that runs: by hand, with its addresses in the environment.
//!
//! `kiki cluster up --fast`, then with the addresses that it prints:
//! `KIKI_LOAD_SHIELD=… KIKI_LOAD_FLOW=… KIKI_LOAD_VALUE=… KIKI_LOAD_ADMIN=… KIKI_LOAD_NODES=node-1=…,node-2=… cargo test -p kiki-chaos --test load -- --ignored --nocapture`

use std::sync::Arc;
use std::time::Duration;

use kiki_chaos::history::Begin;
use kiki_chaos::load::{
    Clock, Journal, Kind, Live, LoadSpec, Minimums, Patience, Urls, collect, prepare, run,
    watch_owners,
};
use kiki_chaos::report::{NeverServed, RunReport, seen, write};
use kiki_chaos::verdict::{Checked, Verdict};
use tokio::sync::watch;

fn from_environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} names no address"))
}

fn urls() -> Urls {
    let pair = |text: &str| {
        let (name, url) = text.split_once('=').expect("NAME=URL");
        (name.to_owned(), url.to_owned())
    };
    Urls {
        shield: from_environment("KIKI_LOAD_SHIELD").split(',').map(str::to_owned).collect(),
        flow: from_environment("KIKI_LOAD_FLOW").split(',').map(str::to_owned).collect(),
        value: vec![from_environment("KIKI_LOAD_VALUE")],
        admin: vec![from_environment("KIKI_LOAD_ADMIN")],
        nodes: from_environment("KIKI_LOAD_NODES").split(',').map(pair).collect(),
        ..Urls::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster that runs"]
async fn a_cluster_that_is_left_alone_gives_no_wrong_answer() {
    let seconds = std::env::var("KIKI_LOAD_SECONDS").map_or(20, |s| s.parse().expect("seconds"));
    let dir = std::env::var("KIKI_LOAD_DIR").map_or_else(
        |_| std::env::temp_dir().join(format!("load-{}", std::process::id())),
        Into::into,
    );
    std::fs::create_dir_all(&dir).expect("a folder");
    let (urls, live) = (urls(), Arc::new(Live::new()));
    let tag = format!("t{}", std::process::id());
    let spec = LoadSpec { tag, duration: Duration::from_secs(seconds), ..LoadSpec::default() };
    let budgets = prepare(&spec, &urls).await.expect("it is prepared");
    let begin = Begin {
        version: 1,
        title: "trial".to_owned(),
        seed: 7,
        started_at: "2026-11-22T00:00:00Z".to_owned(),
        window_cap: spec.window_cap,
        window_us: spec.window.as_micros() as u64,
        hold_us: spec.hold.as_micros() as u64,
        budgets,
    };
    let (journal, writing) =
        Journal::begin(&dir.join("history.jsonl"), begin, Clock::start()).await.expect("it begins");
    let (stop, stopped) = watch::channel(false);
    let owners = {
        let (urls, journal, stopped) = (urls.clone(), journal.clone(), stopped.clone());
        tokio::spawn(async move { watch_owners(&urls, &journal, stopped).await })
    };
    let summary =
        run(&spec, 7, &urls, &journal, &live, &Arc::default(), stopped).await.expect("it runs");
    eprintln!("last 10 s: {:?}", live.last(10, None));
    stop.send(true).expect("the owners are watched");
    let changes = owners.await.expect("it ends").expect("it ends well");
    drop(journal);
    let lines = writing.finish().await.expect("it is written");
    for (kind, of) in &summary.kinds {
        eprintln!("{:9} {of:?}", kind.as_str());
    }
    eprintln!("{lines} lines, {changes} owners seen, in {}", dir.display());
    let (holds, answers) = (Duration::from_secs(75), Duration::from_secs(60));
    let patience = Patience { holds, answers };
    let collected = collect(&spec, &urls, &dir, patience, Vec::new()).await.expect("it is read");
    eprintln!(
        "{} ledger rows, {} audit rows, held {}",
        collected.ledger_rows, collected.audit_rows, collected.held
    );
    eprintln!("{:?} {:?}", collected.untold, collected.end.audits);
    let drawn = seen(&dir.join("history.jsonl")).expect("it is read");
    let ended: u64 = drawn.seconds.iter().map(|second| u64::from(second.all())).sum();
    assert_eq!((ended, drawn.open), (summary.total().operations, 0));
    let report = RunReport {
        version: 1,
        title: "A cluster that is left alone".to_owned(),
        file: "chaos/tests/load.rs".to_owned(),
        seed: 7,
        started_at: String::new(),
        seconds: summary.seconds,
        replay: "cargo test -p kiki-chaos --test load -- --ignored".to_owned(),
        platform: String::new(),
        verdict: Verdict::Held,
        interrupted: false,
        why: None,
        hypothesis: Vec::new(),
        faults: Vec::new(),
        too_little: Vec::new(),
        checked: Checked::default(),
        series: drawn.seconds,
        owners: drawn.owners,
        description: String::new(),
        file_sha256: String::new(),
        program_sha256: String::new(),
        phases: Vec::new(),
        owned: Vec::new(),
        owned_more: 0,
        never_served: NeverServed::default(),
        recovery_ms: Vec::new(),
        notes: collected.untold.iter().map(|(_, what)| what.clone()).collect(),
        load: summary.clone(),
    };
    write(&report, &dir).expect("it is written");
    assert_eq!(summary.wrong, Vec::<String>::new());
    let least = Minimums {
        served_per_s: 50.0,
        kinds: Kind::ALL.into_iter().map(|kind| (kind, 1.0)).collect(),
        not_sent_part: Some(0.02),
        unknown_part: Some(0.01),
    };
    assert_eq!(summary.below(&least), Vec::<String>::new());
    assert!(collected.holds_ended && collected.end.audits.iter().all(|audit| audit.verified));
    assert_eq!(collected.end.violations_counted, Vec::new());
}
