//! The binary, and what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.arg("ltv").args(args).current_dir(folder).env_clear();
    command
}

pub fn kiki(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().expect("kiki runs")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn said(output: &Output) -> String {
    text(&[output.stdout.as_slice(), output.stderr.as_slice()].concat())
}

#[track_caller]
pub fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// It ended with this code and said this.
#[track_caller]
pub fn ended(output: &Output, code: i32, words: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{words:?} is not in {said}");
}

/// CDNOW's sample.
pub fn sample() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cdnow_sample.txt");
    path.to_str().expect("a path").to_owned()
}
