//! What a command holds does not grow with the length of the file.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::import::{forgetful, serve};
use crate::support::{command, sample};

/// CDNOW's sample with every line so many times: what a customer buys on a day is one purchase.
fn repeated(folder: &Path, name: &str, times: usize) {
    let sample = std::fs::read_to_string(sample()).expect("readable");
    let file = std::fs::File::create(folder.join(name)).expect("made");
    let mut file = BufWriter::new(file);
    for line in sample.lines() {
        for _ in 0..times {
            writeln!(file, "{line}").expect("written");
        }
    }
    file.flush().expect("written");
}

/// So many rows, each of which says something else.
fn distinct(folder: &Path, name: &str, rows: u32) {
    let file = std::fs::File::create(folder.join(name)).expect("made");
    let mut file = BufWriter::new(file);
    writeln!(file, "customer_id,date,amount").expect("written");
    for row in 0..rows {
        writeln!(file, "c{row},2023-01-01,{}.10", row % 50).expect("written");
    }
    file.flush().expect("written");
}

/// The most memory that a run held, in KiB.
fn most(folder: &Path, args: &[&str]) -> u64 {
    let mut command = command(folder, args);
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("runs");
    let status = format!("/proc/{}/status", running.id());
    let mut most = 0;
    loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            most = kib.unwrap_or(most);
        }
        if running.try_wait().expect("a child").is_some() {
            let output = running.wait_with_output().expect("it ended");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            return most;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_file_of_many_times_the_length_is_fitted_in_the_same_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    repeated(folder, "short.txt", 1);
    repeated(folder, "long.txt", 60);
    let fit = |name: &str| {
        let format = ["--format", "cdnow-sample", "--model", "bg-nbd"];
        most(folder, &[&["fit", "--transactions", name], &format[..]].concat())
    };
    let (short, long) = (fit("short.txt"), fit("long.txt"));
    assert!(short > 0 && long < short + 8_000, "{short} and {long} KiB");
}

#[test]
fn a_file_of_many_times_the_length_is_imported_in_the_same_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    distinct(folder, "short.csv", 40_000);
    distinct(folder, "long.csv", 400_000);
    let peer = forgetful();
    let url = serve(Arc::clone(&peer));
    let import = |name: &str| most(folder, &["import", "--transactions", name, "--url", &url]);
    let (short, long) = (import("short.csv"), import("long.csv"));
    assert!(short > 0 && long < short + 12_000, "{short} and {long} KiB");
    assert_eq!(peer.lock().expect("not poisoned").taken, 440_000);
}
