//! The files beside the store, and the command that reads those kept elsewhere.

use kiki::actors::shield::audit::UNWRITTEN_FILE;
use kiki::models::shield::audit::record::{Event, Outcome};

use super::*;
use crate::common::command;

crate::on_every_store!(
    what_was_put_aside_reaches_its_log,
    copies_of_a_store_that_was_put_back_begin_anew,
);

const HEADS: &str = "shield_audit_heads.jsonl";

async fn what_was_put_aside_reaches_its_log() {
    let api = api(&[]).await;
    busy(&api, 1).await;
    let record = |subject: &str| Record {
        at_us: kiki::clock::wall_us(),
        event: Event::fixed("test.late"),
        actor: "system".to_owned(),
        subject: Some(subject.to_owned()),
        person: None,
        outcome: Outcome::Ok,
        count: 1,
        data: None,
        sealed: None,
    };
    let audit = api.app.shield.audit();
    audit.spool("default", &[record("one"), record("two")]).await.expect("put aside");
    let gone = || !Path::join(api.dir(), UNWRITTEN_FILE).exists();
    until("the file's end", gone).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while search(&api, "event=test.late").await.len() < 2 {
        assert!(std::time::Instant::now() < deadline, "they never reached the log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until("the end of what was sent", || {
        !Path::join(api.dir(), "shield_audit_unwritten-sending.jsonl").exists()
    })
    .await;
    // what a life that ended has put aside, the next one appends
    audit.spool("default", &[record("three")]).await.expect("put aside");
    let api = api.again().await;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while search(&api, "event=test.late&subject=three").await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "it never reached the log");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(findings(&api).await.is_empty());
}

async fn copies_of_a_store_that_was_put_back_begin_anew() {
    let api = api(&[]).await;
    busy(&api, 2).await;
    let head = api.post("/api/v1/audit/heads", json!({})).await.is(200);
    let size = head["size"].as_i64().expect("a size");
    until("the export", || api.app.shield.audit().exported_size("default") == size).await;
    // as a backup from before has it; what was booked is in the ledger
    for sql in ["DELETE FROM audit_block", "DELETE FROM audit_head", "DELETE FROM audit_log"] {
        tamper(&api, sql).await;
    }
    tamper(&api, "UPDATE audit_cursor SET seq = 0").await;
    let api = api.again().await;
    let before = "shield_audit_heads-before-restore-1.jsonl";
    until("the old heads", || !read(&api, before).is_empty()).await;
    until("new heads", || !read(&api, HEADS).is_empty()).await;
    let heads: Vec<Value> =
        read(&api, HEADS).lines().map(|l| serde_json::from_str(l).expect("a head")).collect();
    let report = api.post("/api/v1/audit/verify", json!({"heads": heads})).await.is(200);
    assert!(codes(&report).is_empty(), "{report}");
    let exported = || api.app.shield.audit().exported_size("default");
    until("the size of the last head", || exported() > 0).await;
    let copy = read(&api, "shield_audit_gdpr.csv");
    assert!(copy.contains(",default,0,"), "{copy}");
}

#[tokio::test]
async fn the_command_finds_a_log_that_is_gone_and_names_lines_that_are_none() {
    let api = api(&[]).await;
    busy(&api, 1).await;
    api.post("/api/v1/audit/heads", json!({})).await.is(200);
    until("the export", || !read(&api, HEADS).is_empty()).await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let verify = |more: &[&str]| {
        let mut command = command();
        command.args(["audit", "verify", "--data-dir"]).arg(api.dir()).args(more);
        let ran = command.current_dir(elsewhere.path()).output().expect("kiki runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
    };
    let (code, out, err) = verify(&[]);
    assert_eq!((code, out.contains("default: verified")), (Some(0), true), "{out}{err}");
    // a copy with a line that is none: it is named, and the others are used
    let text = read(&api, HEADS);
    let (good, bad) = (elsewhere.path().join("good"), elsewhere.path().join("bad"));
    std::fs::write(&good, &text).expect("written");
    std::fs::write(&bad, format!("{{\"account\":{text}")).expect("written");
    let (good, bad) = (good.to_str().expect("text"), bad.to_str().expect("text"));
    let (code, out, err) = verify(&["--roots", good, "--roots", bad]);
    assert_eq!((code, out.contains("default: verified")), (Some(1), true), "{out}{err}");
    assert!(err.contains("bad: line 1: "), "{err}");
    // all rows of the account are gone: only heads know that it had a log
    for sql in ["DELETE FROM audit_block", "DELETE FROM audit_head", "DELETE FROM audit_log"] {
        tamper(&api, sql).await;
    }
    for more in [&[] as &[&str], &["--roots", good]] {
        let (code, out, err) = verify(more);
        assert_eq!((code, out.contains("truncated")), (Some(1), true), "{out}{err}");
    }
    std::fs::remove_file(api.dir().join(HEADS)).expect("removed");
    let (code, out, _) = verify(&["--roots", good]);
    assert_eq!((code, out.contains("default: DOES NOT VERIFY")), (Some(1), true), "{out}");
    let (code, _, err) = verify(&[]);
    assert_eq!((code, err.contains("there is no audit log")), (Some(1), true), "{err}");
}
