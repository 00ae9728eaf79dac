//! The command line as a user meets it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn kiki(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.args(args).current_dir(folder).env_clear();
    command.output().expect("kiki runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Walks a command and everything below it.
fn walk(command: &clap::Command, path: &str, complaints: &mut Vec<String>) {
    let mut complain = |what: String| complaints.push(format!("{path}: {what}"));
    if command.get_about().is_none() {
        complain("no help".to_owned());
    }
    let leaf = command.get_subcommands().next().is_none();
    if leaf && command.get_long_about().is_none() {
        complain("no long help".to_owned());
    }
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    if leaf && !after.starts_with("Example") {
        complain("no example".to_owned());
    }
    for argument in command.get_arguments() {
        let name = argument.get_id();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        if help.is_empty() {
            complain(format!("no help for {name}"));
        }
        if help.ends_with('.') {
            complain(format!(
                "the help of {name} ends with a full stop, which clap's own does not"
            ));
        }
        let takes_value = argument.get_action().takes_values();
        let named = argument.get_value_names().is_some_and(|names| {
            names
                .iter()
                .all(|name| name.chars().all(|c| c.is_ascii_uppercase() || "=-_".contains(c)))
        });
        if takes_value && !named && argument.get_possible_values().is_empty() {
            complain(format!("no value name for {name}"));
        }
    }
    for sub in command.get_subcommands() {
        walk(sub, &format!("{path} {}", sub.get_name()), complaints);
    }
}

#[test]
fn every_command_and_argument_has_its_help() {
    let mut complaints = Vec::new();
    walk(&kiki::cli::command(), "kiki", &mut complaints);
    assert!(complaints.is_empty(), "{complaints:#?}");
    kiki::cli::command().debug_assert();
}

#[test]
fn completions_are_written_for_every_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = kiki(folder.path(), &["completions", shell]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("replay"), "{shell}");
    }
}

#[test]
fn a_good_file_is_ok_and_a_bad_one_names_every_place_with_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("written");
    };
    write("good.toml", "[shield]\nwindow_cap = 800.50\n");
    let good = kiki(folder.path(), &["config", "check", "good.toml"]);
    assert_eq!((good.status.code(), text(&good.stdout).as_str()), (Some(0), "ok\n"));
    write("bad.toml", "[shield]\nwindow_kap = 800\nhold_ttl_s = []\n");
    let bad = kiki(folder.path(), &["config", "check", "bad.toml"]);
    assert_eq!(bad.status.code(), Some(2));
    assert_eq!(
        text(&bad.stderr),
        "bad.toml:2:1: shield.window_kap: unknown key; did you mean shield.window_cap?\n\
         bad.toml:3:14: shield.hold_ttl_s: expected seconds such as 60 or 0.5, got a list\n"
    );
    let none = kiki(folder.path(), &["config", "check", "none.toml"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).starts_with("none.toml:1:1: cannot be read: "));
}

#[test]
fn what_is_shown_can_be_kept_as_a_file_and_the_dotenv_file_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(".env"), "MAX_BURST_BUDGET=\"700.0\"\n").expect("written");
    let shown = kiki(folder.path(), &["config", "show", "--set", "shield.grace_s=7"]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).contains("window_cap = 700 "), "{}", text(&shown.stdout));
    assert!(text(&shown.stdout).contains("# .env MAX_BURST_BUDGET\n"));
    assert!(text(&shown.stdout).contains("# flag --set\n"));
    std::fs::write(folder.path().join("kept.toml"), &shown.stdout).expect("written");
    let check = kiki(folder.path(), &["config", "check", "kept.toml"]);
    assert_eq!(text(&check.stdout), "ok\n", "{}", text(&check.stderr));
    std::fs::write(folder.path().join(".env"), "REDIS_DB=1\nREDIS_PASSWORD=hunter2 hunter2\n")
        .expect("written");
    let broken = kiki(folder.path(), &["config", "show"]);
    assert_eq!(broken.status.code(), Some(2));
    let said = text(&broken.stderr);
    assert!(said.starts_with(".env:2:1: ") && said.contains("REDIS_PASSWORD"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn port_is_the_port_of_the_only_service() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(".env"), "PORT=9000\n").expect("written");
    let shown = kiki(folder.path(), &["config", "show"]);
    let line = "shield_port = 9000";
    assert!(text(&shown.stdout).contains(line), "{}", text(&shown.stdout));
}

#[test]
fn a_file_that_is_no_database_is_called_so() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("data")).expect("made");
    std::fs::write(folder.path().join("data/kiki.sqlite"), "garbage").expect("written");
    for args in [&["ledger", "verify"][..], &["backup", "out.gz"]] {
        let output = kiki(folder.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = text(&output.stderr);
        assert!(said.contains("data/kiki.sqlite is not a database"), "{args:?}: {said}");
    }
    let export = kiki(folder.path(), &["ledger", "verify", "--export", "data/kiki.sqlite"]);
    let said = text(&export.stderr);
    assert!(said.starts_with("data/kiki.sqlite: ") && said.contains("not a backup"), "{said}");
}

#[test]
fn a_restore_that_fails_leaves_no_folder_behind_and_takes_none_away() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("bad.gz"), "garbage").expect("written");
    let restore = |data: &str| kiki(folder.path(), &["restore", "bad.gz", "--data-dir", data]);
    assert_eq!(restore("deep/er/data").status.code(), Some(1));
    assert!(!folder.path().join("deep").exists());
    std::fs::create_dir(folder.path().join("kept")).expect("made");
    std::fs::write(folder.path().join("kept/notes"), "mine").expect("written");
    assert_eq!(restore("kept").status.code(), Some(1));
    assert!(folder.path().join("kept/notes").exists());
}

#[test]
fn a_certificate_that_is_missing_is_told_at_once_and_the_database_is_not_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    database.set_nonblocking(true).expect("set");
    let address = database.local_addr().expect("an address");
    let offset = rand::random_range(2_000..12_000_u16).to_string();
    let url = format!("postgres://kiki:secret@{address}/kiki");
    let file = |name: &str| format!("cluster.{name}_file={name}.pem");
    let (ca, cert, key) = (file("ca"), file("cert"), file("key"));
    let node = ["node", "--port-offset", &offset, "--set", "cluster.node=node-1"];
    let files = ["--set", &ca, "--set", &cert, "--set", &key];
    let began = std::time::Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.args([&node[..], &files[..]].concat()).current_dir(folder.path());
    let output = command.env_clear().env("KIKI_STORE_DATABASE_URL", &url).output();
    let output = output.expect("kiki runs");
    let (said, took) = (text(&output.stderr), began.elapsed());
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("cluster: ") && said.contains(".pem: "), "{said}");
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    let asked = database.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock), "the database was asked");
}

fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

#[test]
fn a_node_serves_and_ends_in_order_where_nobody_reads_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let offset = rand::random_range(2_000..12_000_u16);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.args(["up", "--port-offset", &offset.to_string()]).current_dir(folder.path());
    command.env_clear().env("LOG_LEVEL", "debug");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = command.spawn().expect("kiki runs");
    drop((node.stdout.take(), node.stderr.take()));
    let began = Instant::now();
    while !is_ready(8_081 + offset) {
        let ended = node.try_wait().expect("asked");
        assert_eq!(ended, None, "it has ended before it was ready");
        assert!(began.elapsed() < Duration::from_secs(30), "it is not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&node), Signal::TERM).expect("told");
    assert_eq!(node.wait().expect("its end").code(), Some(0));
}
