//! What each node says of itself: actors that restarted, and metrics that must read 0.

use serde::Deserialize;

use super::{Collected, Reader};
use crate::history::Restarts;
use crate::load::http::{Lost, Reply, Request};
use crate::load::urls::Urls;

/// Metrics that count what must not be (`docs/operations.md`).
const VIOLATIONS: [&str; 2] = ["shield_invariant_violations_total", "shield_audit_unverified_logs"];

#[derive(Deserialize)]
struct Page {
    actors: Vec<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    path: Box<str>,
    restarts: u64,
}

pub(super) async fn read(reader: &Reader<'_>, urls: &Urls, collected: &mut Collected) {
    for (name, url) in &urls.nodes {
        let actors = Request::get("/api/admin/actors?sort=restarts&limit=1000".to_owned());
        match page(reader.http.send(url, &actors).await) {
            Ok(page) => {
                let restarted = page.actors.into_iter().filter(|actor| actor.restarts > 0);
                collected.end.restarts.extend(restarted.map(|actor| Restarts {
                    node: name.as_str().into(),
                    path: actor.path,
                    restarts: actor.restarts,
                    struck: false,
                }));
            }
            Err(why) => collected.notes.push(format!("{name} did not list its actors: {why}")),
        }
        let metrics = reader.http.send(url, &Request::get("/metrics".to_owned())).await;
        match text(metrics) {
            Ok(text) => {
                let found = violations(&text);
                collected.end.violations_counted.extend(
                    found.into_iter().map(|(metric, value)| (format!("{name} {metric}"), value)),
                );
            }
            Err(why) => collected.notes.push(format!("{name} did not tell its metrics: {why}")),
        }
    }
}

fn text(told: Result<Reply, Lost>) -> Result<String, String> {
    match told {
        Ok(reply) if reply.status == 200 => {
            String::from_utf8(reply.body).map_err(|e| e.to_string())
        }
        Ok(reply) => Err(format!("status {}", reply.status)),
        Err(lost) => Err(format!("{lost:?}")),
    }
}

fn page(told: Result<Reply, Lost>) -> Result<Page, String> {
    serde_json::from_str(&text(told)?).map_err(|e| e.to_string())
}

/// Metrics above 0, with their labels.
fn violations(text: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter(|line| VIOLATIONS.iter().any(|name| line.starts_with(name)));
    let read = |line: &str| {
        let (metric, value) = line.rsplit_once(' ')?;
        Some((metric.to_owned(), value.parse::<f64>().ok()?))
    };
    lines.filter_map(read).filter(|(_, value)| *value > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_zero_is_found_where_it_is_not() {
        let text = "# TYPE shield_invariant_violations_total counter\n\
            shield_invariant_violations_total{invariant=\"BG-1\"} 0\n\
            shield_invariant_violations_total{invariant=\"BG-3\"} 2\n\
            shield_audit_unverified_logs 1\nshield_refusals_total{reason=\"paused\"} 9\n";
        let want = [
            ("shield_invariant_violations_total{invariant=\"BG-3\"}".to_owned(), 2.0),
            ("shield_audit_unverified_logs".to_owned(), 1.0),
        ];
        assert_eq!(violations(text), want);
    }
}
