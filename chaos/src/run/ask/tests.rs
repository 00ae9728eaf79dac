//! Questions to nodes of which one is away.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::super::cluster::{Against, Cluster};
use super::super::guard;
use super::super::meters::Meters;
use super::super::progress::Progress;
use super::*;
use crate::experiment::Experiment;
use crate::experiment::load::Through;
use crate::experiment::rates::Kind;
use crate::experiment::units::Period;
use crate::fake::Fake;
use crate::fault::Faults;
use crate::history::{Line, Op};
use crate::load::{Clock, LoadSpec, Names};

const BROKEN: &str = "shield_invariant_violations_total";

/// A node of which the metrics are these.
async fn node(name: &'static str, metrics: &'static str) -> Fake {
    Fake::start(move |path| match path {
        "/api/admin/cluster" => (
            200,
            format!(
                "{{\"node\":\"{name}\",\"nodes\":[{{\"name\":\"{name}\",\"roles\":\"shield\"}}]}}"
            ),
        ),
        "/metrics" => (200, metrics.to_owned()),
        "/down" => (503, String::new()),
        _ => (404, String::new()),
    })
    .await
}

async fn field(folder: &Path, nodes: &[&Fake], change: impl FnOnce(&mut Experiment)) -> Field {
    let urls: Vec<String> = nodes.iter().map(|it| it.url.clone()).collect();
    let at = Against {
        shield: urls.clone(),
        flow: urls.clone(),
        value: urls.clone(),
        admin: urls,
        token: None,
        token_env: None,
    };
    let cluster = Cluster::against(&at, Through::Nodes).await.unwrap();
    let mut experiment =
        crate::experiment::validate(crate::cli::catalogue::FILES[0].1, "x").unwrap();
    change(&mut experiment);
    Field {
        experiment,
        names: Names::of(&LoadSpec::default()),
        tally: Arc::new(Mutex::default()),
        meters: Arc::new(Meters::new(BTreeSet::from([BROKEN.to_owned()]))),
        faults: Faults::new(cluster.ground(folder.to_owned())).unwrap(),
        cluster: Arc::new(cluster),
        journal: None,
        clock: Clock::start(),
        progress: Arc::new(Progress::new(true)),
        told: Mutex::default(),
    }
}

fn metric(name: &str, tolerance: Bound) -> Question {
    Question::Metric {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        node: Nodes::all(),
        combine: Combine::Sum,
        reading: Reading::Value,
        tolerance,
    }
}

fn down() -> Question {
    Question::Http {
        at: At::default(),
        service: Listener::Shield,
        path: "/down".to_owned(),
        status: 503,
        body: None,
        latency: None,
    }
}

#[tokio::test]
async fn a_condition_is_asked_of_those_who_answer_and_a_hypothesis_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let first = node("node-1", "shield_invariant_violations_total{invariant=\"BG-1\"} 0\n").await;
    let second = node("node-2", "shield_invariant_violations_total{invariant=\"BG-1\"} 2\n").await;
    let third = node("node-3", "shield_invariant_violations_total{invariant=\"BG-1\"} 1\n").await;
    let field = field(folder.path(), &[&first, &second, &third], |_| {}).await;
    let broken = metric(BROKEN, Bound::AtLeast(1.0));
    field.meters.look(&field.cluster).await;
    drop(first);
    for question in [&broken, &down()] {
        let told = condition(&field, question).await.unwrap();
        assert!(told.held, "{told:?}");
        assert!(!once(&field, question).await.held);
    }
    // What somebody counted who is away now has been counted.
    drop(second);
    assert_eq!(condition(&field, &broken).await.unwrap().value, "3");
    drop(third);
    assert_eq!(condition(&field, &broken).await.unwrap().value, "3");
    assert!(condition(&field, &down()).await.is_err());
}

#[tokio::test]
async fn who_hangs_fails_also_where_nothing_ends() {
    let folder = tempfile::tempdir().unwrap();
    let node = node("node-1", "").await;
    let field = field(folder.path(), &[&node], |_| {}).await;
    let ratio = |of| Question::Load {
        measure: Measure::ErrorRatio,
        of,
        over: Period::micros(50_000),
        tolerance: Bound::AtLeast(0.5),
    };
    assert!(!condition(&field, &ratio(None)).await.unwrap().held, "nothing was asked");
    let op = Op::Read { account: "a".into(), campaign: "c".into() };
    let at_us = field.clock.now_us();
    field.tally().line(Line::Invoke { id: 1, at_us, client: 1, via: "x".into(), op });
    assert!(!condition(&field, &ratio(None)).await.unwrap().held, "it has only begun");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(condition(&field, &ratio(None)).await.unwrap().held);
    assert!(condition(&field, &ratio(Some(Kind::Read))).await.unwrap().held);
    assert!(!condition(&field, &ratio(Some(Kind::Bid))).await.unwrap().held);
}

#[tokio::test]
async fn a_condition_that_could_never_be_asked_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let node = node("node-1", "shield_invariant_violations_total 0\n").await;
    let field = field(folder.path(), &[&node], |experiment| {
        let probe = |question| Probe { within: None, holds_for: None, question };
        let at = At::Balancer;
        let Question::Http { service, path, status, body, latency, .. } = down() else { return };
        let nobody = Question::Http { at, service, path, status, body, latency };
        experiment.abort = vec![probe(metric(BROKEN, Bound::AtLeast(1.0))), probe(nobody)];
    })
    .await;
    let (tell, told) = tokio::sync::watch::channel(None);
    let (rest, resting) = tokio::sync::watch::channel(false);
    let guarding = tokio::spawn(guard::watch(Arc::new(field), tell, resting));
    tokio::time::sleep(Duration::from_millis(300)).await;
    rest.send_replace(true);
    let silent = guarding.await.unwrap();
    assert_eq!(silent.len(), 1, "{silent:?}");
    assert!(silent[0].contains("/down") && silent[0].contains("never be asked"), "{silent:?}");
    assert_eq!(*told.borrow(), None);
}

#[tokio::test]
async fn what_no_node_tells_is_not_good_whatever_it_has_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let text = "shield_invariant_violations_total 0\ndepth 0\n";
    let (first, second) = (node("node-1", text).await, node("node-2", "\n").await);
    let field = field(folder.path(), &[&first, &second], |_| {}).await;
    field.meters.look(&field.cluster).await;
    let zero = || Bound::Equals(0.0);
    assert_eq!(once(&field, &metric(BROKEN, zero())).await.value, "0");
    assert!(once(&field, &metric(BROKEN, zero())).await.held, "node-2 has not counted yet");
    assert!(once(&field, &metric("depth", zero())).await.held, "one node has it");
    for name in ["no_such_metric_total", "no_such_depth"] {
        let told = once(&field, &metric(name, zero())).await;
        assert_eq!((told.value, told.held), (format!("no such series: {name}"), false));
    }
    let each = |node: Nodes| Question::Metric {
        name: "depth".to_owned(),
        labels: BTreeMap::new(),
        node,
        combine: Combine::Each,
        reading: Reading::Value,
        tolerance: zero(),
    };
    assert!(once(&field, &each(Nodes::Name("node-1".to_owned()))).await.held);
    assert!(!once(&field, &each(Nodes::all())).await.held);
}

#[tokio::test]
async fn metrics_that_are_refused_are_not_zero() {
    let folder = tempfile::tempdir().unwrap();
    let refuses = Fake::start(|path| match path {
        "/api/admin/cluster" => (200, "{\"node\":\"node-1\",\"nodes\":[]}".to_owned()),
        _ => (401, "shield_invariant_violations_total 0\n".to_owned()),
    })
    .await;
    let field = field(folder.path(), &[&refuses], |_| {}).await;
    let told = once(&field, &metric(BROKEN, Bound::Equals(0.0))).await;
    assert!(!told.held && told.value.contains("401"), "{told:?}");
}
