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
        let mut counted = self.counted();
        for (series, value) in metrics.iter().flat_map(|text| text.lines()).filter_map(sample) {
            if self.names.contains(series.split('{').next().unwrap_or_default()) {
                counted.see(name, What::Series(series.to_owned()), value);
            }
        }
        for (path, it) in listed(breakers.ok().as_ref(), "breakers") {
            let opened = it.get("opened_total").and_then(Value::as_f64).unwrap_or_default();
            counted.see(name, What::Opened(path.to_owned()), opened);
            let key = (name.to_owned(), path.to_owned());
            match it.get("state").and_then(Value::as_str) {
                Some("closed") => _ = counted.not_closed.remove(&key),
                _ => _ = counted.not_closed.insert(key),
            }
        }
        for (path, it) in listed(actors.ok().as_ref(), "actors") {
            let restarts = it.get("restarts").and_then(Value::as_f64).unwrap_or_default();
            counted.see(name, What::Restarts(path.to_owned()), restarts);
        }
    }

    /// By how much the series of a metric grew at a node.
    pub fn increase(&self, node: &str, name: &str, labels: &BTreeMap<String, String>) -> f64 {
        let is = |what: &What| matches!(what, What::Series(series) if fits(series, name, labels));
        self.sum(|of, what| of == node && is(what))
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
    fn see(&mut self, node: &str, what: What, value: f64) {
        let key = (node.to_owned(), what);
        let known = self.last.insert(key.clone(), value);
        let grown = match known {
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

fn listed<'a>(
    body: Option<&'a Value>,
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let list = body.and_then(|it| it.get(name)).and_then(Value::as_array);
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
        for value in [5.0, 7.0, 1.0, 4.0] {
            meters.counted().see("node-1", what(), value);
        }
        let none = BTreeMap::new();
        assert_eq!(meters.increase("node-1", "x_total", &none), 6.0);
        assert_eq!(meters.increase("node-2", "x_total", &none), 0.0);
        let label = |key: &str| BTreeMap::from([(key.to_owned(), "2".to_owned())]);
        assert_eq!(meters.increase("node-1", "x_total", &label("ba")), 6.0);
        assert_eq!(meters.increase("node-1", "x_total", &label("a")), 0.0);
    }

    #[test]
    fn patterns_stay_within_segments_or_cross_them() {
        assert!(glob("/flow/bidder/**", "/flow/bidder/3/a") && glob("/a/*/c", "/a/b/c"));
        assert!(!glob("/a/*", "/a/b/c") && !glob("/a", "/a/b") && glob("/**", "/x"));
    }
}
