//! Metrics, breakers and restarts of the nodes over all their lives: each second what grew is added up, so that a node
//! that starts again at 0 takes nothing away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::cluster::Cluster;
use crate::load::Request;

const EVERY: Duration = Duration::from_millis(500);
/// Counters that the platform shows only once they counted, with their labels: that none is there is 0.
const LATER: [(&str, &[&str]); 16] = [
    ("flow_bids_total", &[]),
    ("flow_index_builds_total", &[]),
    ("flow_no_bids_total", &["reason"]),
    ("flow_notices_total", &["kind", "oddity", "price"]),
    ("flow_refused_total", &["reason"]),
    ("flow_requests_malformed_total", &["why"]),
    ("flow_requests_total", &[]),
    ("kiki_actor_failures_total", &["type"]),
    ("kiki_actor_messages_expired_total", &["type"]),
    ("kiki_actor_messages_refused_total", &["type"]),
    ("kiki_actor_restarts_total", &["type"]),
    ("kiki_dead_letters_total", &[]),
    ("kiki_http_requests_shed_total", &["service"]),
    ("kiki_telemetry_export_failures_total", &["signal"]),
    ("kiki_telemetry_spans_total", &["outcome"]),
    ("value_drift_signals_total", &["detector", "feature"]),
];

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum What {
    /// A series as it stands in the text: name and labels.
    Series(String),
    Restarts(String),
    Opened(String),
}

#[derive(Default)]
struct Counted {
    last: HashMap<(String, What), f64>,
    grown: BTreeMap<(String, What), f64>,
    /// Breakers that were not closed when they were last seen.
    not_closed: BTreeSet<(String, String)>,
    /// What nodes told once, at least: what is new there after that began at 0.
    told: BTreeSet<(String, Told)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Metrics,
    Breakers,
    Actors,
}

/// What grew since [`Meters::start`].
pub struct Meters {
    names: BTreeSet<String>,
    counted: Mutex<Counted>,
}

impl Meters {
    /// `names`: the metrics that are kept.
    pub fn new(names: BTreeSet<String>) -> Meters {
        Meters { names, counted: Mutex::default() }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at all nodes again and again until `stop` is true.
    pub async fn watch(self: Arc<Self>, cluster: Arc<Cluster>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            self.look(&cluster).await;
            tokio::select! {
                _ = stop.changed() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        self.look(&cluster).await;
    }

    /// Looks once. A node that does not answer says nothing: what it counted is added when it is seen next.
    pub async fn look(&self, cluster: &Cluster) {
        let all = cluster.urls.nodes.iter().map(|(name, url)| self.node(cluster, name, url));
        futures_util::future::join_all(all).await;
    }

    async fn node(&self, cluster: &Cluster, name: &str, url: &str) {
        let metrics = async {
            let reply = cluster.send(url, &Request::get("/metrics".to_owned())).await.ok()?;
            String::from_utf8(reply.body).ok().filter(|_| reply.status == 200)
        };
        let breakers = Request::get("/api/admin/breakers".to_owned());
        let actors = Request::get("/api/admin/actors?sort=restarts&limit=200".to_owned());
        let (metrics, breakers, actors) = futures_util::future::join3(
            metrics,
            cluster.json(url, &breakers),
            cluster.json(url, &actors),
        )
        .await;
        if let Some(text) = metrics {
            self.told_metrics(name, &text);
        }
        if let Ok(breakers) = breakers {
            self.told_breakers(name, &breakers);
        }
        if let Ok(actors) = actors {
            self.told_actors(name, &actors);
        }
    }

    pub fn told_metrics(&self, node: &str, text: &str) {
        let mut counted = self.counted();
        for (series, value) in text.lines().filter_map(sample) {
            if self.names.contains(series.split('{').next().unwrap_or_default()) {
                counted.see(node, What::Series(series.to_owned()), value, Told::Metrics);
            }
        }
        counted.told.insert((node.to_owned(), Told::Metrics));
    }

    fn told_breakers(&self, node: &str, body: &Value) {
        let mut counted = self.counted();
        for (path, it) in listed(body, "breakers") {
            let opened = it.get("opened_total").and_then(Value::as_f64).unwrap_or_default();
            counted.see(node, What::Opened(path.to_owned()), opened, Told::Breakers);
            let key = (node.to_owned(), path.to_owned());
            match it.get("state").and_then(Value::as_str) {
                Some("closed") => _ = counted.not_closed.remove(&key),
                _ => _ = counted.not_closed.insert(key),
            }
        }
        counted.told.insert((node.to_owned(), Told::Breakers));
    }

    pub fn told_actors(&self, node: &str, body: &Value) {
        let mut counted = self.counted();
        for (path, it) in listed(body, "actors") {
            let restarts = it.get("restarts").and_then(Value::as_f64).unwrap_or_default();
            counted.see(node, What::Restarts(path.to_owned()), restarts, Told::Actors);
        }
        counted.told.insert((node.to_owned(), Told::Actors));
    }

    /// By how much the series of a metric grew at a node. `None`: it has none, and none is to be expected there.
    pub fn increase(
        &self,
        node: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Option<f64> {
        let is = |what: &What| matches!(what, What::Series(series) if fits(series, name, labels));
        let (has, told) = {
            let counted = self.counted();
            let has = counted.last.keys().any(|(of, what)| of == node && is(what));
            (has, counted.told.contains(&(node.to_owned(), Told::Metrics)))
        };
        let has = has || told && self.may_be_absent(name, labels);
        has.then(|| self.sum(|of, what| of == node && is(what)))
    }

    /// Whether a node without such a series says 0 by that: a counter that others show, or that is known to come later.
    pub fn may_be_absent(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let is_counter = ["_total", "_count", "_sum", "_bucket"];
        if !is_counter.iter().any(|end| name.ends_with(end)) {
            return false;
        }
        let later = |(of, keys): &(&str, &[&str])| {
            *of == name && labels.keys().all(|key| keys.contains(&key.as_str()))
        };
        let is =
            |what: &What| matches!(what, What::Series(series) if has_keys(series, name, labels));
        LATER.iter().any(later) || self.counted().last.keys().any(|(_, what)| is(what))
    }

    /// The series of these metrics that grew, by node.
    pub fn grown(&self, names: &[&str]) -> Vec<(String, String, f64)> {
        let counted = self.counted();
        let all = counted.grown.iter().filter_map(|((node, what), value)| match what {
            What::Series(series) if names.contains(&series.split('{').next()?) => {
                Some((node.clone(), series.clone(), *value))
            }
            _ => None,
        });
        all.collect()
    }

    /// The actors that restarted, by node.
    pub fn restarted(&self) -> Vec<(String, String, f64)> {
        let counted = self.counted();
        let all = counted.grown.iter().filter_map(|((node, what), value)| match what {
            What::Restarts(path) => Some((node.clone(), path.clone(), *value)),
            _ => None,
        });
        all.collect()
    }

    /// What the series of a metric read together when a node last told them.
    pub fn last(&self, node: &str, name: &str, labels: &BTreeMap<String, String>) -> Option<f64> {
        let counted = self.counted();
        let own = counted.last.iter().filter(|((of, what), _)| {
            of == node && matches!(what, What::Series(series) if fits(series, name, labels))
        });
        own.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }

    /// Restarts of actors at paths of this pattern, of all nodes.
    pub fn restarts(&self, pattern: &str) -> f64 {
        self.sum(|_, what| matches!(what, What::Restarts(path) if glob(pattern, path)))
    }

    /// How often breakers at paths of this pattern opened, and which of them are not closed.
    pub fn opened(&self, pattern: &str) -> (f64, Vec<String>) {
        let sum = self.sum(|_, what| matches!(what, What::Opened(path) if glob(pattern, path)));
        let counted = self.counted();
        let open = counted.not_closed.iter().filter(|(_, path)| glob(pattern, path));
        (sum, open.map(|(node, path)| format!("{path} at {node}")).collect())
    }

    fn sum(&self, which: impl Fn(&str, &What) -> bool) -> f64 {
        let counted = self.counted();
        let all = counted.grown.iter().filter(|((node, what), _)| which(node, what));
        all.map(|(_, value)| value).sum()
    }
}

impl Counted {
    fn see(&mut self, node: &str, what: What, value: f64, told: Told) {
        // What is no number is looked at when the run is over.
        if value.is_nan() {
            return;
        }
        let key = (node.to_owned(), what);
        let known = self.last.insert(key.clone(), value);
        let grown = match known {
            // It was not there in the look before: it began at 0.
            None if self.told.contains(&(node.to_owned(), told)) => value,
            // Before the first look nothing counts.
            None => 0.0,
            Some(last) if value >= last => value - last,
            // A new life.
            Some(_) => value,
        };
        if grown > 0.0 {
            *self.grown.entry(key).or_default() += grown;
        }
    }
}

fn listed<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let list = body.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|it| Some((it.get("path")?.as_str()?, it)))
}

/// A line of the text format: the series and its value.
pub fn sample(line: &str) -> Option<(&str, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    Some((series, value.parse().ok()?))
}

/// Whether a series has this name and these labels.
pub fn fits(series: &str, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let (own, rest) = series.split_once('{').unwrap_or((series, ""));
    // A comma before each label, so that no name is found at the end of another.
    let rest = format!(",{rest}");
    own == name && labels.iter().all(|(key, value)| rest.contains(&format!(",{key}=\"{value}\"")))
}

/// Whether a series has this name, and labels of these names with any values.
fn has_keys(series: &str, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let (own, rest) = series.split_once('{').unwrap_or((series, ""));
    let rest = format!(",{rest}");
    own == name && labels.keys().all(|key| rest.contains(&format!(",{key}=\"")))
}

/// As the platform reads patterns of paths: `*` within a segment, `**` across segments.
pub fn glob(pattern: &str, path: &str) -> bool {
    fn walk(pattern: &[u8], path: &[u8]) -> bool {
        match pattern {
            [] => path.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=path.len()).any(|at| walk(rest, &path[at..])),
            [b'*', rest @ ..] => {
                let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
                (0..=end).any(|at| walk(rest, &path[at..]))
            }
            [one, rest @ ..] => path.first() == Some(one) && walk(rest, &path[1..]),
        }
    }
    walk(pattern.as_bytes(), path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_survives_a_node_that_starts_again() {
        let meters = Meters::new(BTreeSet::new());
        let what = || What::Series("x_total{a=\"1\",ba=\"2\"}".to_owned());
        for value in [5.0, 7.0, f64::NAN, 1.0, 4.0] {
            meters.counted().see("node-1", what(), value, Told::Metrics);
        }
        let none = BTreeMap::new();
        assert_eq!(meters.increase("node-1", "x_total", &none), Some(6.0));
        let label = |key: &str| BTreeMap::from([(key.to_owned(), "2".to_owned())]);
        assert_eq!(meters.increase("node-1", "x_total", &label("ba")), Some(6.0));
        assert_eq!(
            meters.grown(&["x_total"]),
            [("node-1".to_owned(), "x_total{a=\"1\",ba=\"2\"}".to_owned(), 6.0)]
        );
        assert_eq!(meters.grown(&["x"]), []);
    }

    #[test]
    fn what_nobody_shows_is_nothing_and_a_counter_that_others_show_is_zero() {
        let meters = Meters::new(BTreeSet::new());
        let series = |name: &str| What::Series(format!("{name}{{a=\"1\",ba=\"2\"}}"));
        for name in ["x_total", "depth"] {
            meters.counted().see("node-1", series(name), 5.0, Told::Metrics);
        }
        let none = BTreeMap::new();
        assert_eq!(meters.increase("node-2", "x_total", &none), None, "it never told anything");
        for node in ["node-1", "node-2"] {
            meters.counted().told.insert((node.to_owned(), Told::Metrics));
        }
        assert_eq!(meters.increase("node-1", "depth", &none), Some(0.0));
        assert_eq!(meters.increase("node-2", "depth", &none), None, "it does not count");
        assert_eq!(meters.increase("node-2", "x_total", &none), Some(0.0));
        assert_eq!(meters.increase("node-2", "y_total", &none), None);
        let label = |key: &str| BTreeMap::from([(key.to_owned(), "7".to_owned())]);
        assert_eq!(meters.increase("node-1", "x_total", &label("ba")), Some(0.0));
        assert_eq!(meters.increase("node-1", "x_total", &label("b")), None);
        let shed = "kiki_http_requests_shed_total";
        assert_eq!(meters.increase("node-1", shed, &none), Some(0.0));
        assert_eq!(meters.increase("node-1", shed, &label("route")), None);
        // What comes only when it counts has counted.
        meters.counted().see("node-2", series("x_total"), 3.0, Told::Metrics);
        assert_eq!(meters.increase("node-2", "x_total", &none), Some(3.0));
    }

    #[test]
    fn what_may_come_later_stands_in_the_operators_list_with_its_labels() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let text = std::fs::read_to_string(file).unwrap();
        for (name, keys) in LATER {
            let labels =
                if keys.is_empty() { String::new() } else { format!("{{{}}}", keys.join(",")) };
            assert!(text.contains(&format!("`{name}{labels}`")), "{name}{labels}");
        }
    }

    #[test]
    fn patterns_stay_within_segments_or_cross_them() {
        assert!(glob("/flow/bidder/**", "/flow/bidder/3/a") && glob("/a/*/c", "/a/b/c"));
        assert!(!glob("/a/*", "/a/b/c") && !glob("/a", "/a/b") && glob("/**", "/x"));
    }
}
