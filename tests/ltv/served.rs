//! Imports and models of a running server.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::common::Server;
use crate::support::{ended, json, kiki, sample, text};

struct Site {
    folder: tempfile::TempDir,
    server: Server,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(&folder.path().join("data"), &[]);
        Site { folder, server }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    fn kiki(&self, args: &[&str]) -> Output {
        let url = format!("http://127.0.0.1:{}", 8087 + self.server.offset);
        kiki(self.path(), &[args, &["--url", &url]].concat())
    }

    fn import(&self, args: &[&str]) -> Output {
        self.kiki(&[&["import", "--transactions"], args].concat())
    }

    #[track_caller]
    fn models(&self, args: &[&str]) -> Value {
        json(&self.kiki(&[&["models", "--json"], args].concat()))
    }
}

/// Purchases in the file, imported, known, rejected.
#[track_caller]
fn counts(output: &Output, want: [u64; 4]) {
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let of = |name: &str| told[name].as_u64().expect("a count");
    assert_eq!(["rows", "imported", "duplicates", "rejected"].map(of), want, "{told}");
}

#[test]
fn a_file_is_imported_once_however_often_and_in_whatever_state_it_comes() {
    let site = Site::new();
    let heading = "customer_id,date,amount,currency\n";
    let good = "a,2024-01-05,10.50,USD\na,2024-01-05,10.50,USD\nb,2024-02-05,.99,USD\n";
    let bad = "b,2024-02-32,5,USD\nc,2024-01-01,-5,USD\nc,2150-01-01,5,USD\nc,2024-01-01,5,EUR\n";
    site.write("orders.csv", &format!("{heading}{good}{bad}"));
    let strict = site.import(&["orders.csv", "--strict"]);
    ended(&strict, 1, "nothing was done");
    let first = site.import(&["orders.csv", "--json"]);
    counts(&first, [3, 3, 0, 0]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    for (line, why) in [(5, "is none"), (6, "below zero"), (7, "future"), (8, "another currency")] {
        let named = format!("line {line} ");
        let said = text(&first.stderr);
        assert!(
            said.lines().any(|l| l.contains(&named) && l.contains(why)),
            "{named}{why}: {said}"
        );
    }
    counts(&site.import(&["orders.csv", "--json"]), [3, 0, 3, 0]);
    // Grown at its front, in another order and packed: the new ones alone.
    let file = std::fs::File::create(site.path().join("orders.csv.gz")).expect("made");
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let lines: Vec<&str> = good.lines().rev().collect();
    let more = "d,2024-03-01,7,USD\n";
    let text_of = format!("{heading}{more}{}\n{more}", lines.join("\n"));
    std::io::Write::write_all(&mut packed, text_of.as_bytes()).expect("packed");
    packed.finish().expect("packed");
    counts(&site.import(&["orders.csv.gz", "--json", "--strict"]), [5, 2, 3, 0]);
    // What the server does not take is named by its line, and fails.
    site.write("euros.csv", &format!("{heading}e,2024-01-01,5,EUR\nf,2024-01-01,5,EUR\n"));
    let euros = site.import(&["euros.csv"]);
    ended(&euros, 1, "not every purchase was taken");
    assert!(
        text(&euros.stdout).contains("line 3 is in another currency"),
        "{}",
        text(&euros.stdout)
    );
    for (name, what, code) in
        [("empty.csv", "", 1), ("none.csv", "a,b\n1,2\n", 1), ("heading.csv", heading, 1)]
    {
        site.write(name, what);
        ended(&site.import(&[name]), code, name);
    }
    ended(&site.import(&["missing.csv"]), 1, "missing.csv");
    ended(&site.import(&["orders.csv", "--account", "nobody"]), 1, "unknown_account");
    ended(&site.import(&["orders.csv", "--account", "a b"]), 2, "--account");
    ended(&site.import(&["orders.csv", "--format", "xml"]), 2, "--format");
}

#[test]
fn models_are_fitted_compared_promoted_rolled_back_and_watched_from_the_command_line() {
    let site = Site::new();
    let sample = sample();
    let log = [&sample, "--format", "cdnow-sample", "--strict", "--json"];
    counts(&site.import(&log), [6_919, 6_919, 0, 0]);
    counts(&site.import(&log), [6_919, 0, 6_919, 0]);
    ended(&site.kiki(&["models", "list"]), 0, "no versions yet");
    ended(&site.kiki(&["drift"]), 1, "unknown_model");
    ended(&site.kiki(&["models", "show", "none"]), 1, "unknown_model");
    let fit = ["models", "fit", "--model", "bg-nbd", "--horizon", "90"];
    let shown = site.kiki(&fit);
    for part in ["log-likelihood", "STD ERROR", "challenger", "On the holdout", "GINI"] {
        ended(&shown, 0, part);
    }
    let listed = site.models(&["list"]);
    let first = listed["challenger"].as_str().expect("a version").to_owned();
    ended(&site.kiki(&["models", "list"]), 0, "no champion yet");
    let promoted = site.models(&["promote", &first]);
    assert_eq!((&promoted["champion"], promoted.get("challenger")), (&first.clone().into(), None));
    let made = site.models(&["fit", "--model", "gamma-gamma", "--horizon", "90", "--no-challenge"]);
    let second = made["model"].as_str().expect("a version").to_owned();
    assert_eq!(made["alias"], "registered");
    ended(&site.kiki(&["models", "promote", &second]), 1, "not_better");
    ended(&site.kiki(&["models", "promote", &second, "--force"]), 2, "--reason");
    let why = ["--force", "--reason", "a test of force"];
    ended(&site.kiki(&[&["models", "promote", &second], &why[..]].concat()), 0, &second);
    let back = site.models(&["rollback", "--reason", "it is worse"]);
    assert_eq!(back["champion"], first.as_str());
    let challenged = site.models(&["challenge", &second]);
    assert_eq!(challenged["challenger"], second.as_str());
    assert_eq!(site.models(&["challenge", "--end"]).get("challenger"), None);
    let history = text(&site.kiki(&["models", "history"]).stdout);
    for part in ["registered", "promoted", "a test of force", "rolled_back", "it is worse"] {
        assert!(history.contains(part), "{part}: {history}");
    }
    ended(&site.kiki(&["models", "list"]), 0, "champion");
    ended(&site.kiki(&["models", "show", &first]), 0, "Since it was loaded");
    ended(&site.kiki(&["models", "outcomes", &first]), 0, "closed");
    ended(&site.kiki(&["models", "fits"]), 0, "gamma-gamma");
    let refused = site.kiki(&["models", "fit", "--holdout-end", "2150-01-01"]);
    ended(&refused, 1, "future");
    let drift = json(&site.kiki(&["drift", "--json", "--check"]));
    assert_eq!((&drift["model"], &drift["drifted"]), (&first.as_str().into(), &false.into()));
    ended(&site.kiki(&["drift", "--model", &second]), 0, "nothing has been asked of it yet");
    let ordered = site.models(&["fit", "--model", "bg-nbd", "--no-wait"]);
    ended(&site.kiki(&["models", "cancel", "unknown"]), 1, "no such fit");
    assert!(ordered["id"].is_string(), "{ordered}");
}
