//! Runs of commands, logged to an MLflow server where one is configured. A command waits for that for a
//! moment at its end and never fails with it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::super::exit::{CliError, block_on};
use super::log::LogArgs;
use super::model_kind::ModelArgs;
use crate::clock;
use crate::config::{self, Environment, Loader};
use crate::connectors::mlflow::{Job, Mlflow, Run, State};
use crate::models::value::registry::version::Kind;

/// The longest that a command waits for MLflow.
const WAIT: Duration = Duration::from_secs(10);

/// A run of this command that somebody is to be told of.
pub struct Logged {
    settings: config::Mlflow,
    pub run: Run,
}

/// What is configured by the file of `KIKI_CONFIG`, `.env` and the environment. Nothing else of it
/// matters here: where it is wrong, that is said only if MLflow was named.
fn settings() -> Option<config::Mlflow> {
    let environment = match Environment::process() {
        Ok(environment) => environment,
        Err(problem) => {
            let named = std::env::var_os("MLFLOW_TRACKING_URI").is_some();
            return named.then(|| warn(&problem.to_string())).and(None);
        }
    };
    let names = ["MLFLOW_TRACKING_URI", "KIKI_MLFLOW_TRACKING_URI"];
    let named = names.iter().any(|name| environment.get(name).is_some());
    match Loader::new().environment(environment).load() {
        Ok(loaded) => Some(loaded.config.mlflow).filter(|of| !of.tracking_uri.is_empty()),
        Err(problems) => named.then(|| warn(&problems.to_string())).and(None),
    }
}

fn warn(why: &str) {
    // Standard error is where this would be reported.
    let _ = writeln!(io::stderr(), "warning: mlflow: the run is not logged: {why}");
}

/// SHA-256 in hex of a file.
fn fingerprint(path: &Path) -> io::Result<String> {
    let (mut file, mut sha) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => sha.update(&buffer[..read]),
        }
    }
    let digest: [u8; 32] = sha.finalize().into();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Begins a run of `kiki ltv <command>`; `None` where nobody is to be told.
pub fn begun(command: &str, log: &LogArgs, model: &ModelArgs) -> Option<Logged> {
    let settings = settings()?;
    let kind = Kind::from(model.model).as_str();
    let mut run = Run::begun(&format!("{kind} {command}"), clock::wall_us());
    run.tag("kiki.source", format!("kiki ltv {command}"));
    run.param("kind", kind);
    run.param("seed", model.seed);
    let name = log.transactions.file_name().map(|name| name.to_string_lossy().into_owned());
    run.param("transactions", name.unwrap_or_default());
    // A file that cannot be read fails the command, which says so.
    if let Ok(fingerprint) = fingerprint(&log.transactions) {
        run.tag("kiki.fingerprint", fingerprint);
    }
    Some(Logged { settings, run })
}

/// Ends a run with what the command comes to, and waits for it to be logged, ten seconds at most.
pub fn ended(logged: Option<Logged>, failure: Option<&CliError>) {
    let Some(Logged { settings, mut run }) = logged else { return };
    run.ended_us = clock::wall_us().max(run.begun_us);
    match failure {
        None => run.state = State::Finished,
        Some(failure) => run.tag("kiki.error", failure.message.clone()),
    }
    let job = Job::Run(Box::new(run));
    let work = async {
        let server = Mlflow::new(&settings).map_err(|error| error.to_string())?;
        let Some(server) = server else { return Ok(()) };
        match tokio::time::timeout(WAIT, server.insist(&job)).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", WAIT.as_secs())),
        }
    };
    match block_on(work) {
        Ok(Ok(())) => {}
        Ok(Err(why)) => warn(&why),
        Err(error) => warn(&error.message),
    }
}
