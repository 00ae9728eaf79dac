//! The real process: refuses to start open to the world, and takes the keys of the command line.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{Server, client, command};

fn kiki(data: &Path, args: &[&str]) -> Output {
    let mut command = command();
    command.current_dir(data.parent().expect("a parent")).args(args).arg("--data-dir").arg(data);
    command.output().expect("kiki runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn status(url: &str, key: Option<&str>) -> u16 {
    let mut request = client().get(url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_this_machine_it_starts_with_a_key_only_or_when_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let far = ["server.bind=0.0.0.0".to_owned()];
    let why = Server::start_at(&data, 2_900, &far).err().expect("refused");
    assert_eq!(why.status.and_then(|s| s.code()), Some(2), "{why:?}");
    assert!(why.said.contains("kiki keys create first --role admin"), "{}", why.said);
    let required = ["auth.mode=required".to_owned()];
    let why = Server::start_at(&data, 2_900, &required).err().expect("refused here, too");
    assert_eq!(why.status.and_then(|s| s.code()), Some(2), "{why:?}");
    let open = ["server.bind=0.0.0.0".to_owned(), "auth.allow_open=true".to_owned()];
    drop(Server::start(&data, &[&open[0], &open[1]]));
    let made = kiki(&data, &["keys", "create", "first", "--role", "admin", "--quiet"]);
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let key = text(&made.stdout).trim().to_owned();
    let server = Server::start(&data, &[&far[0]]);
    assert!(server.said().contains("callers     with a key"), "{}", server.said());
    let url = server.url("/api/v1/accounts");
    assert_eq!(status(&url, None).await, 401);
    assert_eq!(status(&url, Some(&key)).await, 200);
    assert_eq!(status(&server.url("/health"), None).await, 200);
    assert!(!server.said().contains(&key[14..]), "no secret in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_command_line_works_and_ends_beside_a_running_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let made = kiki(&data, &["keys", "create", "first", "--role", "admin"]);
    assert!(made.status.success(), "{made:?}");
    let first = text(&made.stdout).trim().to_owned();
    assert!(text(&made.stderr).contains("role     admin"), "{made:?}");
    let server = Server::start(&data, &["auth.mode=required"]);
    let args = [
        "keys",
        "create",
        "bidder",
        "--role",
        "operator",
        "--scope",
        "shield:default",
        "--expires",
        "90d",
        "-q",
    ];
    let made = kiki(&data, &args);
    assert!(made.status.success(), "{made:?}");
    let key = text(&made.stdout).trim().to_owned();
    let url = server.url("/api/v1/accounts");
    let until = async |wanted: u16| {
        let began = Instant::now();
        while status(&url, Some(&key)).await != wanted {
            assert!(began.elapsed() < Duration::from_secs(3), "never {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until(200).await;
    let listed = kiki(&data, &["keys", "list"]);
    let listed = text(&listed.stdout);
    assert!(listed.contains("bidder") && listed.contains("shield:default"), "{listed}");
    assert!(!listed.contains(&key[14..]), "{listed}");
    let json = text(&kiki(&data, &["keys", "list", "--json"]).stdout);
    assert!(
        serde_json::from_str::<serde_json::Value>(&json).is_ok() && !json.contains("hash"),
        "{json}"
    );

    // The commands that call a server take a key from the environment or a file.
    let file = folder.path().join("admin.key");
    std::fs::write(&file, format!("{first}\n")).expect("written");
    let admin = |key: &str, more: &[&str]| {
        let mut command = command();
        command.args(["admin", "services", "--url", &server.admin_url("")]);
        command.args(more).current_dir(folder.path()).env("KIKI_API_KEY", key);
        command.output().expect("kiki runs")
    };
    let from_file = ["--api-key-file", "admin.key"];
    let denied = admin("", &[]);
    assert!(text(&denied.stderr).contains("401 unauthenticated"), "{denied:?}");
    assert!(admin(&first, &[]).status.success());
    assert!(admin("", &from_file).status.success());
    let forbidden = admin(&key, &[]);
    assert!(text(&forbidden.stderr).contains("403 forbidden"), "{forbidden:?}");
    std::fs::write(&file, "not a key\n").expect("written");
    assert_eq!(admin("", &from_file).status.code(), Some(2));
    let body = json!({"campaign_id": "cdnow", "budget": 100});
    let request = client().post(server.url("/api/v1/allocate")).bearer_auth(&key);
    let request = request.header("content-type", "application/json").body(body.to_string());
    assert_eq!(request.send().await.expect("an answer").status(), 201);
    let log = "customer_id date number_of_cds dollar_value\n00001 19970101 1 11.77\n";
    std::fs::write(folder.path().join("log.txt"), log).expect("written");
    let mut replay = command();
    replay.args([
        "replay",
        "--transactions",
        "log.txt",
        "--campaign",
        "cdnow",
        "--url",
        &server.url(""),
    ]);
    let replayed =
        replay.current_dir(folder.path()).env("KIKI_API_KEY", &key).output().expect("runs");
    assert!(replayed.status.success(), "{replayed:?}");

    let revoked = kiki(&data, &["keys", "revoke", &key[5..13]]);
    assert!(revoked.status.success(), "{revoked:?}");
    until(401).await;
    assert_eq!(status(&url, Some(&first)).await, 200);
    for (args, code) in [
        (&["keys", "revoke", "00000000"][..], 1),
        (&["keys", "revoke", "nonsense"], 2),
        (&["keys", "create", "x", "--role", "root"], 2),
        (&["keys", "create", " ", "--role", "viewer"], 2),
        (&["keys", "create", "x", "--role", "viewer", "--scope", "a:b:c"], 2),
        (&["keys", "create", "x", "--role", "viewer", "--expires", "tomorrow"], 2),
    ] {
        assert_eq!(kiki(&data, args).status.code(), Some(code), "{args:?}");
    }
    assert!(!server.said().contains(&key[14..]) && !server.said().contains(&first[14..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_others_cannot_make_a_browser_here_spend() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::start(&dir.path().join("data"), &[]);
    let send = async |headers: &[(&str, &str)]| {
        let mut request = client().post(server.url("/spend?campaign_id=c&amount=1"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    let own = send(&[]).await;
    assert_ne!(own.0, 403, "{own:?}");
    for foreign in [
        ("host", "rebound.example:8081"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let (status, text) = send(&[foreign]).await;
        assert!(status == 403 && text.contains("auth.allow_open"), "{status} {text}");
    }
    drop(server);
    let server = Server::start(&dir.path().join("data"), &["auth.allow_open=true"]);
    let answer = client().get(server.url("/health")).header("host", "kiki.example").send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
}

#[test]
fn a_secret_is_not_taken_from_the_command_line() {
    let dir = tempfile::tempdir().expect("a folder");
    for secret in [
        "shield.master_key=0123456789abcdef",
        "redis.password=hunter22",
        "store.database_url=postgres://kiki:hunter22@localhost/kiki",
    ] {
        let output = kiki(dir.path(), &["config", "show", "--set", secret]);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("KIKI_") && !said.contains("hunter22"), "{said}");
    }
}
