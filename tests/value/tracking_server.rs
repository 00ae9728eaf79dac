//! A small MLflow tracking server: the part of its REST API that is spoken to, with its moods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Good,
    /// Answers so many requests with 503, then well.
    Busy(u32),
    /// Makes what is asked for, but the answer to the creation of a run is lost once.
    Forgetful,
    Refusing,
    Silent,
    Garbled,
}

#[derive(Clone, Debug, Default)]
pub struct Run {
    pub experiment: String,
    pub status: String,
    pub params: BTreeMap<String, String>,
    pub metrics: BTreeMap<String, f64>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct Seen {
    pub mood: Mood,
    pub experiments: Vec<String>,
    pub runs: Vec<Run>,
    pub authorization: Vec<String>,
    pub requests: u32,
}

/// Listening until it is dropped.
pub struct Tracking {
    pub uri: String,
    seen: Arc<Mutex<Seen>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Tracking {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn no(status: u16, code: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, json!({"error_code": code, "message": code}).to_string()).into_response()
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

impl Seen {
    fn answer(&mut self, path: &str, query: &str, body: &Value) -> Response {
        let yes = |json: Value| json.to_string().into_response();
        let at = |id: String| id.strip_prefix("run").and_then(|n| n.parse::<usize>().ok());
        match path.trim_start_matches("/api/2.0/mlflow/") {
            "experiments/get-by-name" => {
                let name = query.trim_start_matches("experiment_name=").replace('+', " ");
                match self.experiments.iter().position(|known| *known == name) {
                    Some(id) => yes(json!({"experiment": {"experiment_id": format!("e{id}"),
                        "lifecycle_stage": "active"}})),
                    None => no(404, "RESOURCE_DOES_NOT_EXIST"),
                }
            }
            "experiments/create" if self.experiments.contains(&text(body, "name")) => {
                no(400, "RESOURCE_ALREADY_EXISTS")
            }
            "experiments/create" => {
                self.experiments.push(text(body, "name"));
                yes(json!({"experiment_id": format!("e{}", self.experiments.len() - 1)}))
            }
            "runs/create" => {
                let tags = body["tags"].as_array().expect("tags").iter();
                let tags = tags.map(|tag| (text(tag, "key"), text(tag, "value"))).collect();
                let experiment = text(body, "experiment_id");
                self.runs.push(Run { experiment, tags, ..Run::default() });
                if self.mood == Mood::Forgetful {
                    self.mood = Mood::Good;
                    return no(503, "TEMPORARILY_UNAVAILABLE");
                }
                yes(json!({"run": {"info": {"run_id": format!("run{}", self.runs.len() - 1)}}}))
            }
            "runs/search" => {
                let filter = text(body, "filter");
                let wanted: Vec<(&str, &str)> = filter
                    .split(" and ")
                    .filter_map(|part| part.trim_start_matches("tags.`").split_once("` = "))
                    .map(|(name, value)| (name, value.trim_matches('\'')))
                    .collect();
                let has = |run: &Run| {
                    let is = |(name, value): &(&str, &str)| {
                        run.tags.get(*name).is_some_and(|is| is == value)
                    };
                    wanted.iter().all(is)
                };
                let found = self.runs.iter().rposition(has).into_iter();
                let runs = found.map(|at| json!({"info": {"run_id": format!("run{at}")}}));
                yes(json!({"runs": runs.collect::<Vec<_>>()}))
            }
            of => {
                let run = at(text(body, "run_id")).and_then(|at| self.runs.get_mut(at));
                let Some(run) = run else { return no(404, "RESOURCE_DOES_NOT_EXIST") };
                match of {
                    "runs/log-batch" => {
                        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
                        assert!(list("params").len() <= 100 && list("metrics").len() <= 1_000);
                        for of in list("params") {
                            run.params.insert(text(&of, "key"), text(&of, "value"));
                        }
                        for of in list("metrics") {
                            let value = of["value"].as_f64().expect("a number");
                            run.metrics.insert(text(&of, "key"), value);
                        }
                    }
                    "runs/update" => run.status = text(body, "status"),
                    "runs/set-tag" => {
                        run.tags.insert(text(body, "key"), text(body, "value"));
                    }
                    other => return no(404, other),
                }
                yes(json!({}))
            }
        }
    }
}

async fn handle(
    State(seen): State<Arc<Mutex<Seen>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mood = {
        let mut seen = seen.lock().expect("a lock");
        seen.requests += 1;
        let header = headers.get("authorization").and_then(|value| value.to_str().ok());
        seen.authorization.push(header.unwrap_or_default().to_owned());
        let mood = seen.mood;
        match mood {
            Mood::Busy(1) => seen.mood = Mood::Good,
            Mood::Busy(left) => seen.mood = Mood::Busy(left - 1),
            _ => {}
        }
        mood
    };
    match mood {
        Mood::Busy(_) => return no(503, "TEMPORARILY_UNAVAILABLE"),
        Mood::Refusing => return no(403, "PERMISSION_DENIED"),
        Mood::Garbled => return "[1, 2".into_response(),
        Mood::Silent => tokio::time::sleep(Duration::from_secs(600)).await,
        Mood::Good | Mood::Forgetful => {}
    }
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    seen.lock().expect("a lock").answer(&path, &query, &body)
}

pub async fn tracking(mood: Mood) -> Tracking {
    let seen = Seen {
        mood,
        experiments: Vec::new(),
        runs: Vec::new(),
        authorization: Vec::new(),
        requests: 0,
    };
    let seen = Arc::new(Mutex::new(seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let uri = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(handle).with_state(Arc::clone(&seen));
    let serving = tokio::spawn(async move {
        axum::serve(listener, router).await.expect("it serves");
    });
    Tracking { uri, seen, serving }
}

impl Tracking {
    pub fn seen<T>(&self, of: impl FnOnce(&mut Seen) -> T) -> T {
        of(&mut self.seen.lock().expect("a lock"))
    }

    /// The runs, when this holds of them.
    pub async fn when(&self, what: &str, holds: impl Fn(&[Run]) -> bool) -> Vec<Run> {
        for _ in 0..400 {
            let runs = self.seen(|seen| seen.runs.clone());
            if holds(&runs) {
                return runs;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{what}: {:?}", self.seen(|seen| seen.runs.clone()));
    }
}
