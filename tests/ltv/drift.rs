//! Drift within a file.

use crate::support::{ended, json, kiki, sample, text};

#[test]
fn two_moments_of_a_log_are_compared_by_input_and_as_a_stream() {
    let (folder, sample) = (tempfile::tempdir().expect("a folder"), sample());
    let log = ["drift", "--transactions", &sample, "--format", "cdnow-sample"];
    let ends = ["--reference-end", "1997-03-31", "--current-end", "1997-09-30"];
    let args = [&log[..], &ends].concat();
    let told = json(&kiki(folder.path(), &[&args[..], &["--json"]].concat()));
    let features = told["features"].as_array().expect("features");
    let names: Vec<_> = features.iter().filter_map(|of| of["feature"].as_str()).collect();
    let all = ["frequency", "days_since_last", "age_days", "mean_spend", "total_spend"];
    assert_eq!(names, all);
    // Everybody is older by half a year: nothing of one age is of the other.
    assert_eq!((&features[2]["ks_d"], &features[2]["drifted"]), (&1.0.into(), &true.into()));
    assert_eq!(
        (&features[2]["reference"], &features[2]["shift"]),
        (&2_357.into(), &"major".into())
    );
    let streams = told["streams"].as_array().expect("streams");
    assert_eq!(streams[0]["stream"], "spend_per_purchase");
    assert_eq!((&streams[1]["reference"], &streams[1]["values"]), (&90.into(), &183.into()));
    // The cohort came in the first quarter, up to the first moment: from then on far fewer buy on a day.
    assert!(streams[1]["drifted"] == true && streams[1]["adwin_first"].is_string(), "{streams:?}");
    let output = kiki(folder.path(), &args);
    let said = text(&output.stdout);
    for part in ["2,357 customers on 1997-03-31", "PSI", "PAGE-HINKLEY", "purchases_per_day"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    ended(&kiki(folder.path(), &[&args[..], &["--check"]].concat()), 3, "drifted: ");
    // Windows of one length: a log against itself a day later is the same.
    let still = ["--reference-end", "1998-06-29", "--current-end", "1998-06-30"];
    let windowed = [&log[..], &still, &["--window-days", "180", "--json"]].concat();
    let told = json(&kiki(folder.path(), &windowed));
    let drifted = |of: &serde_json::Value| of["drifted"] == true;
    assert!(!told["features"].as_array().expect("features").iter().any(drifted), "{told}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (folder, sample) = (tempfile::tempdir().expect("a folder"), sample());
    let log = ["drift", "--transactions", &sample, "--format", "cdnow-sample"];
    let with = |more: &[&str]| kiki(folder.path(), &[&log[..], more].concat());
    ended(&with(&[]), 2, "--reference-end");
    let wrong = ["--reference-end", "1998-01-01", "--current-end", "1997-01-01"];
    ended(&with(&wrong), 2, "not after");
    let early = ["--reference-end", "1990-01-01", "--current-end", "1997-01-01"];
    ended(&with(&early), 1, "no customer is known on 1990-01-01");
    let missing = ["drift", "--transactions", "missing.csv", "--reference-end", "1998-01-01"];
    ended(&kiki(folder.path(), &missing), 1, "missing.csv");
    let nobody = ["drift", "--url", "http://127.0.0.1:9"];
    ended(&kiki(folder.path(), &nobody), 1, "is `kiki up` running?");
}
