//! The architecture and the style as a test: what may be named where, and what may not be left.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A source file of the project.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The lines outside of comments, with their numbers, without what follows `//`.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        numbered.map(|(at, line)| (at, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What git tracks, and what is new and not ignored.
fn tracked() -> Vec<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root()).output();
    let listed = output.ok().filter(|output| output.status.success());
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match listed {
        Some(listed) => listed.lines().map(str::to_owned).collect(),
        // A source archive without git's folder: every file there is.
        None => {
            let mut found = Vec::new();
            walk(&root(), &mut found);
            found
        }
    }
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("listed").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        match path.is_dir() {
            true if name == "target" || name == ".git" || name == "data" => {}
            true => walk(&path, found),
            false => {
                let inside = path.strip_prefix(root()).expect("inside");
                found.push(inside.to_string_lossy().into_owned());
            }
        }
    }
}

fn files(wanted: impl Fn(&str) -> bool) -> Vec<File> {
    let read = |path: String| {
        let text = std::fs::read_to_string(root().join(&path)).ok()?;
        Some(File { path, text })
    };
    tracked().into_iter().filter(|path| wanted(path)).filter_map(read).collect()
}

fn rust() -> Vec<File> {
    files(|path| path.ends_with(".rs"))
}

fn below(folder: &'static str) -> Vec<File> {
    files(move |path| path.ends_with(".rs") && path.starts_with(folder))
}

/// Whether `name` stands in `line` as a word of its own.
fn names(line: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

/// Every line of `files` where `wrong` finds something, as `path:line: code`.
fn found(files: &[File], wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let lines = files.iter().flat_map(|file| file.code().map(move |(at, line)| (file, at, line)));
    lines
        .filter(|(file, _, line)| wrong(&file.path, line))
        .map(|(file, at, line)| format!("{}:{at}: {}", file.path, line.trim()))
        .collect()
}

fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

#[test]
fn rules_know_nothing_of_actors_adapters_stores_or_clocks() {
    let outside = ["ractor", "axum", "tonic", "sqlx", "tokio", "reqwest", "fred"];
    let rules = files(|path| {
        let of_rules = ["models/src/", "models/flow/src/"].iter().any(|of| path.starts_with(of));
        of_rules && path.ends_with(".rs")
    });
    // tests may measure
    let measures =
        |path: &str| ["/speed.rs", "/tests.rs", "/hostile.rs"].iter().any(|it| path.ends_with(it));
    let wrong = found(&rules, |path, line| {
        outside.iter().any(|name| names(line, name))
            || (names(line, "Instant") && !measures(path))
            || line.contains("rand::rng()")
            || line.contains("crate::clock")
    });
    none(&wrong, "models/ holds pure rules: time and entropy come in by argument");
}

#[test]
fn only_the_kernel_names_ractor() {
    let wrong = found(&below("src/"), |path, line| {
        !path.starts_with("src/actors/kernel/") && names(line, "ractor")
    });
    none(&wrong, "actors are started through crate::actors::kernel alone");
}

#[test]
fn adapters_name_no_sql_and_commands_spawn_no_actors() {
    let wrong = found(&below("src/api/"), |_, line| names(line, "sqlx"));
    none(&wrong, "src/api/ extracts, asks and maps: the store is behind the actors");
    let wrong =
        found(&below("src/store/"), |_, line| names(line, "axum") || line.contains("crate::api"));
    none(&wrong, "src/store/ knows nothing of who asks");
}

#[test]
fn the_wall_clock_is_read_in_one_place() {
    let wrong = found(&rust(), |path, line| {
        path != "src/clock.rs" && path != "tests/tidy.rs" && line.contains("SystemTime::now")
    });
    none(&wrong, "crate::clock reads the wall clock; everything else is told the time");
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let long = |file: &File| {
        let lines = file.text.lines().count();
        (lines > 500).then(|| format!("{}: {lines} lines", file.path))
    };
    let wrong: Vec<String> = rust().iter().filter_map(long).collect();
    none(&wrong, "one noun per file");
}

#[test]
fn nothing_is_left_undone() {
    // Spelt in parts, so that this file does not find itself.
    let left = [["todo", "!"], ["unimplemented", "!"], ["dbg", "!"]].map(|parts| parts.concat());
    let wrong = found(&rust(), |_, line| left.iter().any(|word| line.contains(word.as_str())));
    none(&wrong, "what is not there is left out, not stubbed");
    let wrong: Vec<String> = found(&rust(), |_, line| line.trim() == concat!("#[", "ignore]"));
    none(&wrong, "an ignored test says why: #[ignore = \"…\"]");
}

#[test]
fn metrics_are_named_by_their_constants() {
    let calls = ["counter!(", "gauge!(", "histogram!("];
    let wrong = found(&below("src/"), |_, line| {
        calls.iter().any(|call| {
            let argument = line.split_once(call).map(|(_, rest)| rest.trim_start());
            argument.is_some_and(|argument| argument.starts_with('"'))
        })
    });
    none(&wrong, "crate::metrics_names holds every name with its description");
}

#[test]
fn every_table_has_an_account() {
    let mut wrong = Vec::new();
    for file in files(|path| path.starts_with("migrations/") && path.ends_with(".sql")) {
        let sql: String =
            file.text.lines().filter_map(|l| l.split("--").next()).collect::<Vec<_>>().join("\n");
        let sql = sql.to_ascii_lowercase();
        for statement in sql.split(';') {
            let Some((_, rest)) = statement.split_once("create table") else {
                continue;
            };
            let rest = rest.trim_start().trim_start_matches("if not exists");
            let Some((table, columns)) = rest.split_once('(') else {
                continue;
            };
            let table = table.trim();
            if !names(columns, "account") {
                wrong.push(format!("{}: {table}", file.path));
            }
        }
    }
    none(&wrong, "several advertisers share one installation from the first migration on");
}

#[test]
fn nothing_names_a_path_of_the_machine_it_was_written_on() {
    // Spelt in parts, so that this file does not find itself.
    let paths = [["/wor", "k/"], ["/roo", "t/"], [".pye", "nv"]].map(|parts| parts.concat());
    let text = files(|path| !path.ends_with(".gz"));
    let mut wrong = Vec::new();
    for file in &text {
        for (at, line) in file.text.lines().enumerate() {
            if paths.iter().any(|path| line.contains(path.as_str())) {
                wrong.push(format!("{}:{}: {}", file.path, at + 1, line.trim()));
            }
        }
    }
    none(&wrong, "the project stands alone");
}
