//! MLflow's tracking server (REST API 2.0): what was fitted, on what, and how good it is.
//!
//! Every step is safe to repeat: a run is found again by a tag of its own before it is made a second
//! time, and its parameters, metrics and state are the same however often they are said.

mod rest;
mod run;
mod told;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::config;
pub use rest::MlflowError;
use rest::Rest;
pub use run::{MODEL, Run, State};
pub use told::{account, coverage, fitted, scores};

/// Metrics and parameters of one request (limits of the API).
const METRICS_MAX: usize = 1_000;
const PARAMS_MAX: usize = 100;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is to be logged.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    Run(Box<Run>),
    /// Tags for the newest run of a version of an account.
    Tag {
        account: String,
        model: String,
        tags: Vec<(&'static str, String)>,
    },
}

/// A tracking server.
#[derive(Debug)]
pub struct Mlflow {
    rest: Rest,
    experiment: String,
    /// Its id there, once it is known.
    id: Mutex<Option<String>>,
    attempts_max: u32,
    retry_min: Duration,
}

impl Mlflow {
    /// The server that is configured; `None` where none is. Nothing is sent yet.
    ///
    /// # Errors
    /// The user or the token is none that a header can have, or there is no TLS.
    pub fn new(settings: &config::Mlflow) -> Result<Option<Mlflow>, MlflowError> {
        if settings.tracking_uri.is_empty() {
            return Ok(None);
        }
        Ok(Some(Mlflow {
            rest: Rest::new(settings)?,
            experiment: match settings.experiment.trim() {
                "" => "Default".to_owned(),
                name => name.to_owned(),
            },
            id: Mutex::default(),
            attempts_max: settings.attempts_max,
            retry_min: settings.retry_min_s.duration(),
        }))
    }

    /// Does a job, again with growing pauses where that may help.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn insist(&self, job: &Job) -> Result<(), MlflowError> {
        let mut made = Made::default();
        let mut pause = self.retry_min;
        let mut attempt = 1;
        loop {
            let outcome = match job {
                Job::Run(run) => self.log(run, &mut made).await,
                Job::Tag { account, model, tags } => self.tag(account, model, tags).await,
            };
            let Err(error) = outcome else { return Ok(()) };
            // The server may have lost, or been given, another experiment meanwhile.
            *self.id.lock().await = None;
            if attempt >= self.attempts_max || !error.passing() {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The experiment's id. It is made where it is not there; who else makes it meanwhile is no harm.
    async fn experiment(&self) -> Result<String, MlflowError> {
        let mut known = self.id.lock().await;
        if let Some(id) = &*known {
            return Ok(id.clone());
        }
        let id = match self.look_up().await {
            Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") => {
                let body = json!({ "name": self.experiment });
                match self.rest.post("experiments/create", &body).await {
                    Ok(made) => text(&made, &["experiment_id"])?,
                    Err(error) if error.is("RESOURCE_ALREADY_EXISTS") => self.look_up().await?,
                    Err(error) => return Err(error),
                }
            }
            other => other?,
        };
        *known = Some(id.clone());
        Ok(id)
    }

    async fn look_up(&self) -> Result<String, MlflowError> {
        let query = [("experiment_name", self.experiment.as_str())];
        let found = self.rest.get("experiments/get-by-name", &query).await?;
        if found["experiment"]["lifecycle_stage"] == "deleted" {
            return Err(MlflowError::Deleted(self.experiment.clone()));
        }
        text(&found, &["experiment", "experiment_id"])
    }

    /// The newest run with these tags.
    async fn find(
        &self,
        experiment: &str,
        tags: &[(&str, &str)],
    ) -> Result<Option<String>, MlflowError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if !tags.iter().all(|(_, value)| value.bytes().all(plain)) {
            return Ok(None);
        }
        let each = tags.iter().map(|(name, value)| format!("tags.`{name}` = '{value}'"));
        let body = json!({
            "experiment_ids": [experiment],
            "filter": each.collect::<Vec<_>>().join(" and "),
            "order_by": ["attributes.start_time DESC"],
            "max_results": 1,
        });
        let found = self.rest.post("runs/search", &body).await?;
        match &found["runs"][0] {
            Value::Null => Ok(None),
            run => text(run, &["info", "run_id"]).map(Some),
        }
    }

    /// One attempt at a run; what an earlier one has made is used.
    async fn log(&self, run: &Run, made: &mut Made) -> Result<(), MlflowError> {
        let experiment = self.experiment().await?;
        if made.id.is_none() && made.tried {
            made.id = self.find(&experiment, &[(run::RUN, &run.id)]).await?;
        }
        let id = match &made.id {
            Some(id) => id.clone(),
            None => {
                made.tried = true;
                let body = run.creation(&experiment);
                let created = self.rest.post("runs/create", &body).await?;
                let id = text(&created, &["run", "info", "run_id"])?;
                made.id.insert(id).clone()
            }
        };
        let (params, metrics) = (run.params(), run.metrics());
        let mut params = params.chunks(PARAMS_MAX);
        let mut metrics = metrics.chunks(METRICS_MAX - PARAMS_MAX);
        loop {
            let (params, metrics) = (params.next(), metrics.next());
            if params.is_none() && metrics.is_none() {
                break;
            }
            let body = json!({
                "run_id": id,
                "params": params.unwrap_or_default(),
                "metrics": metrics.unwrap_or_default(),
            });
            self.rest.post("runs/log-batch", &body).await?;
        }
        let body = json!({
            "run_id": id,
            "status": run.state.word(),
            "end_time": run.ended_us.div_euclid(1_000),
        });
        self.rest.post("runs/update", &body).await.map(drop)
    }

    async fn tag(
        &self,
        account: &str,
        model: &str,
        tags: &[(&'static str, String)],
    ) -> Result<(), MlflowError> {
        let experiment = self.experiment().await?;
        let of = [(run::MODEL, model), (run::ACCOUNT, account)];
        let id = self.find(&experiment, &of).await?;
        let id = id.ok_or_else(|| MlflowError::Unknown(model.to_owned()))?;
        for (key, value) in tags {
            let body = json!({ "run_id": id, "key": key, "value": run::clipped(value) });
            self.rest.post("runs/set-tag", &body).await?;
        }
        Ok(())
    }
}

/// What attempts at a run have come to.
#[derive(Debug, Default)]
struct Made {
    /// It may be there, although nobody said so.
    tried: bool,
    id: Option<String>,
}

/// A text within an answer.
fn text(answer: &Value, path: &[&str]) -> Result<String, MlflowError> {
    let found = path.iter().try_fold(answer, |at, name| at.get(name));
    let found = found.and_then(Value::as_str).filter(|text| !text.is_empty() && text.len() <= 256);
    found.map(str::to_owned).ok_or(MlflowError::Malformed)
}
