//! Fits, figures and forecasts from files.

use std::io::Write;

use serde_json::Value;

use crate::support::{json, kiki, sample, text};

/// To four significant digits.
fn near(got: &Value, want: f64) {
    let got = got.as_f64().unwrap_or(f64::NAN);
    let rounded = |v: f64| format!("{v:.3e}");
    assert_eq!(rounded(got), rounded(want), "{got}");
}

#[test]
fn fits_of_the_sample_are_the_published_ones_to_four_digits() {
    let (folder, sample) = (tempfile::tempdir().expect("a folder"), sample());
    let fit = |model| {
        let args = ["fit", "--transactions", &sample, "--format", "cdnow-sample", "--json"];
        let args = [&args[..], &["--calibration-end", "1997-09-30", "--model", model]].concat();
        json(&kiki(folder.path(), &args))
    };
    let bg = fit("bg-nbd");
    assert_eq!((&bg["customers"], &bg["repeaters"]), (&2_357.into(), &946.into()));
    let (counts, amounts) = (&bg["parts"][0], &bg["parts"][1]);
    for (name, want) in [("r", 0.242593), ("alpha", 4.413532), ("a", 0.792886), ("b", 2.425752)] {
        near(&counts["parameters"][name]["value"], want);
        assert!(counts["parameters"][name]["std_error"].as_f64().is_some_and(|error| error > 0.0));
    }
    near(&counts["log_likelihood"], -9582.4256);
    for (name, want) in [("p", 6.248802), ("q", 3.744588), ("v", 15.447748)] {
        near(&amounts["parameters"][name]["value"], want);
    }
    near(&amounts["log_likelihood"], -4055.9232);
    assert!(bg["seconds"]["fit"].as_f64().is_some_and(|seconds| seconds > 0.0));
    let pareto = fit("pareto-nbd");
    for (name, want) in [("r", 0.5533), ("alpha", 10.5776), ("s", 0.6062), ("beta", 11.6669)] {
        near(&pareto["parts"][0]["parameters"][name]["value"], want);
    }
    assert_eq!(fit("gamma-gamma")["parts"][0]["parameters"], amounts["parameters"]);
}

#[test]
fn an_evaluation_prints_its_figures_and_writes_its_page() {
    let (folder, sample) = (tempfile::tempdir().expect("a folder"), sample());
    let args =
        ["evaluate", "--transactions", &sample, "--format", "cdnow-sample", "--model", "bg-nbd"];
    let cuts = ["--calibration-end", "1997-09-30", "--holdout-end", "1998-06-30"];
    let args = [&args[..], &cuts].concat();
    let told = json(&kiki(folder.path(), &[&args[..], &["--json", "--report", "page"]].concat()));
    let figures = &told["evaluation"];
    near(&figures["purchases"]["mae"], 0.7855);
    let spend = &figures["spend"];
    for name in
        ["normalised_gini", "decile_mape", "total_bias", "mae", "rmse", "spearman", "activity_auc"]
    {
        assert!(spend[name].is_f64(), "{name}: {spend}");
    }
    let covered = figures["coverage"]["covered"].as_f64().unwrap_or(0.0);
    assert!((0.93..=0.97).contains(&covered), "{covered}");
    assert_eq!(figures["baselines"].as_array().map(Vec::len), Some(4));
    let page = std::fs::read_to_string(folder.path().join("page/index.html")).expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.matches("<svg ").count() == 4);
    let output = kiki(folder.path(), &args);
    let told = text(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    for part in ["GINI", "repeat_last_period", "95% intervals held", "Purchases"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let wrong =
        [&args[..6], &["--calibration-end", "1998-06-30", "--holdout-end", "1997-09-30"]].concat();
    assert_eq!(kiki(folder.path(), &wrong).status.code(), Some(2));
}

#[test]
fn a_model_file_answers_for_customers_strangers_and_people_without_a_history() {
    let (folder, sample) = (tempfile::tempdir().expect("a folder"), sample());
    let log = ["--transactions", &sample, "--format", "cdnow-sample"];
    let fit = ["--calibration-end", "1997-09-30", "--model", "bg-nbd", "--out", "value.model"];
    let fitted = kiki(folder.path(), &[&["fit"], &log[..], &fit].concat());
    assert!(text(&fitted.stdout).contains("STD ERROR"), "{}", text(&fitted.stderr));
    let predict = ["predict", "--model-file", "value.model", "--json"];
    let asked = ["--as-of", "1997-09-30", "--horizon-days", "273"];
    let args =
        [&predict[..], &log, &asked, &["--customer", "00004", "--customer", "nobody"]].concat();
    let told = json(&kiki(folder.path(), &args));
    let (known, stranger) = (&told["forecasts"][0], &told["forecasts"][1]);
    // x 2, t_x 30.43, T 38.86: the published row.
    assert!((known["purchases"].as_f64().unwrap_or(0.0) - 1.2259).abs() < 1e-3, "{known}");
    assert_eq!(
        (&known["status"], &stranger["status"]),
        (&"success".into(), &"insufficient_data".into())
    );
    let sum: f64 = known["contributions"]
        .as_array()
        .expect("reasons")
        .iter()
        .filter_map(|c| c["value"].as_f64())
        .sum();
    let off =
        known["baseline"].as_f64().unwrap_or(0.0) + sum - known["value"].as_f64().unwrap_or(1e9);
    assert!(off.abs() < 1e-6, "{off}");
    let hint = json(&kiki(
        folder.path(),
        &[&predict[..], &["--spend", "500", "--engagement-score", "0.85"]].concat(),
    ));
    let said = &hint["forecasts"][0];
    assert_eq!(said["status"], "insufficient_data");
    assert!(said["upper"].as_f64() > said["value"].as_f64());
    let all = json(&kiki(folder.path(), &[&predict[..], &log].concat()));
    assert_eq!(all["forecasts"].as_array().map(Vec::len), Some(2_357));
    for bad in [&["--spend", "-5"][..], &["--engagement-score", "1.5"], &[]] {
        assert_eq!(
            kiki(folder.path(), &[&predict[..], bad].concat()).status.code(),
            Some(2),
            "{bad:?}"
        );
    }
    std::fs::write(folder.path().join("value.model"), b"not a model").expect("written");
    let refused = kiki(folder.path(), &[&predict[..], &["--spend", "5"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("is no model of value"), "{}", text(&refused.stderr));
}

#[test]
fn bad_lines_are_named_and_left_out_or_nothing_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    let mut log = String::from("customer_id,date,amount,currency\n");
    for customer in 0..40 {
        for purchase in 0..=(customer % 4) {
            let amount = 10 + (customer * 7 + purchase * 3) % 23;
            log +=
                &format!("c{customer},2024-0{}-1{},{amount}.50,EUR\n", 1 + purchase, customer % 9);
        }
    }
    let good = log.lines().count() - 1;
    let bad = "c1,2024-01-32,5,EUR\nc1,2024-01-05,-5,EUR\nc1,2150-01-01,5,EUR\nc1,2024-01-05,5,USD\nc1,2024\n";
    write("log.csv", &format!("{log}{bad}"));
    let args = ["fit", "--transactions", "log.csv", "--model", "bg-nbd", "--json"];
    let output = kiki(folder.path(), &args);
    let told = json(&output);
    assert_eq!((&told["log"]["rows"], &told["log"]["rejected"]), (&good.into(), &5.into()));
    assert_eq!(told["log"]["currency"], "EUR");
    let said = text(&output.stderr);
    for (line, why) in [
        (2, "is none"),
        (3, "below zero"),
        (4, "in the future"),
        (5, "another currency"),
        (6, "columns"),
    ] {
        let named = format!("line {} ", good + line);
        assert!(
            said.lines().any(|l| l.contains(&named) && l.contains(why)),
            "{named}{why}: {said}"
        );
    }
    let strict = kiki(folder.path(), &[&args[..], &["--strict", "--out", "m"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    assert!(text(&strict.stderr).contains("nothing was done") && strict.stdout.is_empty());
    assert!(!folder.path().join("m").exists());
    // In another order, and packed: the same fit.
    let mut lines: Vec<&str> = log.lines().skip(1).collect();
    lines.reverse();
    let file = std::fs::File::create(folder.path().join("log.csv.gz")).expect("made");
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let heading = "customer_id,date,amount,currency";
    packed.write_all(format!("{heading}\n{}\n", lines.join("\n")).as_bytes()).expect("packed");
    packed.finish().expect("packed");
    let other = json(&kiki(
        folder.path(),
        &["fit", "--transactions", "log.csv.gz", "--model", "bg-nbd", "--json"],
    ));
    assert_eq!(other["parts"], told["parts"]);
    write("empty.csv", "");
    write("heading.csv", &format!("{heading}\n"));
    write("none.csv", "a,b\n1,2\n");
    for name in ["empty.csv", "heading.csv", "none.csv", "missing.csv"] {
        let output = kiki(folder.path(), &["fit", "--transactions", name, "--model", "bg-nbd"]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(text(&output.stderr).contains(name), "{}", text(&output.stderr));
    }
}
