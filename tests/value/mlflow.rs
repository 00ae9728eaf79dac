//! Fits that are logged to MLflow: by the server and by commands, whatever MLflow's mood.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Api, SAMPLE, api};
use crate::tracking_server::{Mood, Tracking, tracking};

async fn logging(to: &str, more: &[(&str, &str)]) -> Api {
    let own = [("mlflow.tracking_uri", to), ("mlflow.retry_min_s", "0.02")];
    api(&[&own[..], more].concat()).await
}

/// What operators see of the actor, when this holds of it.
async fn view(api: &Api, holds: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..400 {
        let page = api.registry.actor("/value/mlflow");
        last = page.and_then(|page| serde_json::to_value(page).ok()).unwrap_or_default();
        if holds(&last["view"]) {
            return last["view"].clone();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the actor shows {last}");
}

#[tokio::test]
async fn a_fit_is_a_run_with_parameters_metrics_and_tags_and_a_promotion_marks_it() {
    let server = tracking(Mood::Good).await;
    let more = [("mlflow.experiment", "values"), ("mlflow.username", "ann")];
    let api = logging(&server.uri, &more).await;
    let model = api.champion(8).await;
    let promoted = "champion";
    let runs = server
        .when("a promoted run", |runs| {
            runs.iter().any(|run| run.tags.get("kiki.alias").is_some_and(|of| of == promoted))
        })
        .await;
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!((&*run.status, &*run.experiment), ("FINISHED", "e0"));
    for (name, want) in [("kind", "bg-nbd"), ("horizon_days", "273"), ("seed", "0")] {
        assert_eq!(run.params[name], want, "{run:?}");
    }
    for name in ["cut", "end", "fitted_to", "bg-nbd.r", "bg-nbd.alpha", "gamma-gamma.p"] {
        assert!(run.params.contains_key(name), "{name} in {run:?}");
    }
    let shown = api.get(&format!("/api/v1/ltv/models/{model}")).await.is(200);
    for (name, of) in [
        ("holdout.normalised_gini", &shown["scores"]["normalised_gini"]),
        ("holdout.decile_mape", &shown["scores"]["decile_mape"]),
        ("holdout.total_bias", &shown["scores"]["total_bias"]),
        ("holdout.coverage", &shown["report"]["coverage"]["covered"]),
        ("seconds", &shown["report"]["seconds"]),
    ] {
        assert_eq!(Some(run.metrics[name]), of.as_f64(), "{name} in {run:?}");
    }
    assert!(run.metrics["log_likelihood"] < 0.0);
    for (name, want) in [("kiki.model", &*model), ("kiki.account", "default")] {
        assert_eq!(run.tags[name], want, "{run:?}");
    }
    assert_eq!(run.tags["kiki.fingerprint"].len(), 64);
    server.seen(|seen| {
        assert_eq!(seen.experiments, ["values"]);
        assert!(seen.authorization.iter().all(|of| of == "Basic YW5uOg=="));
    });
    let told = view(&api, |view| view["logged"] == 2).await;
    assert_eq!(told["failed"], 0, "{told}");
    // Another champion, and the way back.
    let second = api.fit(json!({"model": "mbg-nbd", "horizon_days": 273})).await;
    let body = json!({"force": true, "reason": "the test wants two"});
    api.post(&format!("/api/v1/ltv/models/{second}/promote"), body).await.is(200);
    api.post("/api/v1/ltv/rollback", json!({"reason": "too high"})).await.is(200);
    let alias = |run: &crate::tracking_server::Run| run.tags.get("kiki.alias").cloned();
    let rolled = |runs: &[_]| runs.len() == 2 && alias(&runs[1]).as_deref() == Some("rolled_back");
    let runs = server.when("a run that was rolled back", rolled).await;
    assert_eq!(alias(&runs[0]).as_deref(), Some("champion"));
    assert_eq!(runs[1].tags["kiki.forced"], "the test wants two");
    assert_eq!(runs[1].tags["kiki.rolled_back"], "too high");
}

#[tokio::test]
async fn a_fit_that_fails_is_a_failed_run_with_its_reason() {
    let server = tracking(Mood::Good).await;
    let api = logging(&server.uri, &[]).await;
    let fit = api.post("/api/v1/ltv/fits", json!({"model": "bg-nbd"})).await.is(202);
    assert_eq!(api.ended(&fit).await["state"], "failed");
    let failed = |runs: &[crate::tracking_server::Run]| {
        runs.first().is_some_and(|run| run.status == "FAILED")
    };
    let runs = server.when("a failed run", failed).await;
    assert_eq!(runs[0].tags["kiki.error"], "there are no purchases");
    server.seen(|seen| assert_eq!(seen.experiments, ["kiki-ltv"]));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_no_run_is_made_twice() {
    let server = tracking(Mood::Busy(2)).await;
    let api = logging(&server.uri, &[]).await;
    let fit = json!({"model": "bg-nbd"});
    let finished = |many: usize| {
        move |runs: &[crate::tracking_server::Run]| {
            runs.iter().filter(|run| !run.status.is_empty()).count() == many
        }
    };
    api.post("/api/v1/ltv/fits", fit.clone()).await.is(202);
    server.when("one run", finished(1)).await;
    // The answer to the creation is lost: the run is found by its own tag.
    server.seen(|seen| seen.mood = Mood::Forgetful);
    api.post("/api/v1/ltv/fits", fit).await.is(202);
    assert_eq!(server.when("two runs", finished(2)).await.len(), 2);
    view(&api, |view| view["logged"] == 2 && view["failed"] == 0).await;
}

#[tokio::test]
async fn whatever_mlflow_does_a_fit_is_not_slowed_and_not_failed_by_it() {
    for mood in [Mood::Silent, Mood::Refusing, Mood::Garbled] {
        let server = tracking(mood).await;
        let more = [("mlflow.timeout_ms", "200"), ("mlflow.attempts_max", "2")];
        let api = logging(&server.uri, &more).await;
        let begun = Instant::now();
        api.champion(8).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{mood:?}: {:?}", begun.elapsed());
        let told = view(&api, |view| view["failed"] == 2).await;
        assert!(told["last_error"].is_string(), "{told}");
        assert!(server.seen(|seen| seen.requests <= 4), "attempts are bounded");
    }
    // Nobody listens there at all.
    let api = logging("http://127.0.0.1:1", &[("mlflow.attempts_max", "1")]).await;
    api.champion(8).await;
    view(&api, |view| view["failed"] == 2).await;
}

#[tokio::test]
async fn the_end_of_the_service_does_not_wait_for_mlflow() {
    let server = tracking(Mood::Silent).await;
    let api = logging(&server.uri, &[("mlflow.timeout_ms", "60000")]).await;
    for _ in 0..3 {
        let fit = api.post("/api/v1/ltv/fits", json!({"model": "bg-nbd"})).await.is(202);
        api.ended(&fit).await;
    }
    view(&api, |view| view["waiting"] == 2).await;
    let begun = Instant::now();
    api.value.drain(Duration::from_secs(30)).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

fn kiki(folder: &std::path::Path, server: &Tracking, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiki"));
    command.arg("ltv").args(args).current_dir(folder).env_clear();
    command.env("MLFLOW_TRACKING_URI", &server.uri).env("MLFLOW_EXPERIMENT_NAME", "by hand");
    command.env("MLFLOW_TRACKING_USERNAME", "ann").env("MLFLOW_TRACKING_PASSWORD", "s3cret");
    command.env("KIKI_MLFLOW_ATTEMPTS_MAX", "1").env("KIKI_MLFLOW_TIMEOUT_MS", "300");
    command.output().expect("kiki runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_log_their_runs_and_only_warn_where_they_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("sample.txt"), SAMPLE).expect("written");
    let server = tracking(Mood::Good).await;
    let common = ["--transactions", "sample.txt", "--format", "cdnow-sample", "--model", "bg-nbd"];
    let fit = [&["fit"], &common[..], &["--calibration-end", "1997-09-30"]].concat();
    let end = ["--calibration-end", "1997-09-30", "--holdout-end", "1998-06-30"];
    let evaluate = [&["evaluate"], &common[..], &end].concat();
    for args in [&fit, &evaluate] {
        let output = kiki(folder.path(), &server, args);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    let bad = [&["fit"], &common[..], &["--calibration-end", "1990-01-01"]].concat();
    assert_eq!(kiki(folder.path(), &server, &bad).status.code(), Some(1));
    let runs = server.seen(|seen| {
        assert_eq!(seen.experiments, ["by hand"]);
        assert!(seen.authorization.iter().all(|of| of == "Basic YW5uOnMzY3JldA=="));
        seen.runs.clone()
    });
    let states: Vec<&str> = runs.iter().map(|run| run.status.as_str()).collect();
    assert_eq!(states, ["FINISHED", "FINISHED", "FAILED"]);
    let likelihood = runs[0].metrics["bg-nbd.log_likelihood"];
    assert!((likelihood + 9_582.43).abs() < 0.01, "{likelihood}");
    assert_eq!(runs[0].tags["kiki.fingerprint"].len(), 64);
    assert!(runs[1].metrics["holdout.normalised_gini"] > 0.3, "{:?}", runs[1]);
    assert!(runs[2].tags["kiki.error"].contains("no purchases"), "{:?}", runs[2]);
    // With nobody who answers well, the command is done all the same.
    for mood in [Mood::Silent, Mood::Refusing] {
        server.seen(|seen| seen.mood = mood);
        let output = kiki(folder.path(), &server, &fit);
        assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
        let warned = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(warned.starts_with("warning: mlflow: the run is not logged: "), "{warned}");
        assert!(!warned.contains("s3cret"), "{warned}");
    }
}
