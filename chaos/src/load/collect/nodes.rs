//! What each node says of itself: actors that restarted, and metrics that must read 0.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::Instant;

use super::{Collected, PAUSE, Reader};
use crate::history::Restarts;
use crate::load::http::{Lost, Reply, Request};
use crate::load::urls::Urls;

/// Metrics that count what must not be (`docs/operations.md`). Nodes show them from their start.
pub const VIOLATIONS: [&str; 2] =
    ["shield_invariant_violations_total", "shield_audit_unverified_logs"];
/// Who was struck a moment ago needs some time to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Page {
    actors: Vec<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    path: Box<str>,
    restarts: u64,
}

/// Asks all nodes, each again and again until it answers.
pub(super) async fn read(
    reader: &Reader<'_>,
    urls: &Urls,
    patience: Duration,
    collected: &mut Collected,
) {
    let until = Instant::now() + patience.min(PATIENCE);
    let asked = urls.nodes.iter().map(|(_, url)| async move {
        let actors = "/api/admin/actors?sort=restarts&limit=1000";
        let (actors, metrics) = futures_util::future::join(
            ask(reader, url, actors, until),
            ask(reader, url, "/metrics", until),
        )
        .await;
        (actors.and_then(|text| page(&text)), metrics.and_then(|text| violations(&text)))
    });
    let told = join_all(asked).await;
    for ((name, _), (actors, violations)) in urls.nodes.iter().zip(told) {
        let mut untold = |what: String| collected.untold.push((name.clone(), what));
        match actors {
            Ok(page) => {
                let restarted = page.actors.into_iter().filter(|actor| actor.restarts > 0);
                collected.end.restarts.extend(restarted.map(|actor| Restarts {
                    node: name.as_str().into(),
                    path: actor.path,
                    restarts: actor.restarts,
                    struck: false,
                }));
            }
            Err(why) => untold(format!("{name} did not list its actors: {why}")),
        }
        match violations {
            Ok(found) => collected.end.violations_counted.extend(
                found.into_iter().map(|(metric, value)| (format!("{name} {metric}"), value)),
            ),
            Err(why) => untold(format!("{name} did not tell its metrics: {why}")),
        }
    }
}

async fn ask(reader: &Reader<'_>, url: &str, path: &str, until: Instant) -> Result<String, String> {
    loop {
        let told = text(reader.http.send(url, &Request::get(path.to_owned())).await);
        if told.is_ok() || Instant::now() >= until {
            return told;
        }
        tokio::time::sleep(PAUSE).await;
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

fn page(text: &str) -> Result<Page, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// Metrics that are not 0, with their labels. What is no number is not 0.
///
/// # Errors
/// One of them is not there: nobody counts it.
fn violations(text: &str) -> Result<Vec<(String, f64)>, String> {
    let mut found = Vec::new();
    for name in VIOLATIONS {
        let is = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        let mut lines = text.lines().filter(is).peekable();
        if lines.peek().is_none() {
            return Err(format!("{name} is not among them"));
        }
        let read = |line: &str| {
            let (metric, value) = line.rsplit_once(' ').unwrap_or((line, ""));
            (metric.to_owned(), value.parse::<f64>().unwrap_or(f64::NAN))
        };
        found.extend(lines.map(read).filter(|(_, value)| *value != 0.0));
    }
    Ok(found)
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
        assert_eq!(violations(text).unwrap(), want);
        let unread = text.replace("BG-1\"} 0", "BG-1\"} NaN").replace("_logs 1", "_logs x");
        let unread = violations(&unread).unwrap();
        assert!(unread.len() == 3 && unread[0].1.is_nan() && unread[2].1.is_nan(), "{unread:?}");
        let missing = text.replace("shield_audit_unverified_logs 1", "");
        assert!(violations(&missing).unwrap_err().contains("shield_audit_unverified_logs"));
    }
}
