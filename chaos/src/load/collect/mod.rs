//! What is read of the platform when the load is over: ledgers, audit logs, budgets, and what nodes say of themselves.

mod audit;
mod budgets;
mod ledger;
mod nodes;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::time::Instant;

pub use self::nodes::VIOLATIONS;
use super::http::{Http, HttpError, Request};
use super::names::Names;
use super::spec::LoadSpec;
use super::urls::Urls;
use crate::history::{AtEnd, Death};

/// Of one answer: a page of a ledger, or all of an audit log.
const ANSWER_MAX: usize = 256 << 20;
const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(45);

#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("{path} was not answered: {why}")]
    Unanswered { path: String, why: String },
    #[error("{path} was answered with something else: {why}")]
    Unreadable { path: String, why: String },
    #[error("{0} was still booked on while all was read")]
    Moves(String),
    #[error("{0} cannot be written: {1}")]
    File(String, std::io::Error),
}

/// For how long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until holds have ended, and nothing is booked any more.
    pub holds: Duration,
    /// For the answer to one question, however long the platform needs to be well again.
    pub answers: Duration,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    pub end: AtEnd,
    pub ledger_rows: u64,
    pub audit_rows: u64,
    /// Whether all holds had ended in time, and what was still held.
    pub holds_ended: bool,
    pub held: i64,
    /// What could not be read of nodes, by the node's name, a sentence each: a node that is gone cannot be asked.
    pub untold: Vec<(String, String)>,
}

/// Waits until holds have ended, as `patience` says, and writes `ledger.jsonl`, `audit.jsonl` and `end.json` into `dir`.
/// `died` is for who knows: processes that ended without an order.
///
/// # Errors
/// The platform does not answer, or goes on booking, for longer than `patience` says, or a file cannot be written.
pub async fn collect(
    spec: &LoadSpec,
    urls: &Urls,
    dir: &Path,
    patience: Patience,
    died: Vec<Death>,
) -> Result<Collected, CollectError> {
    let Patience { holds: patience, answers } = patience;
    let http = Http::new(urls, spec.connect_timeout, TIMEOUT.min(answers))?;
    let reader = Reader { http, bases: &urls.shield, answers, last: AtomicUsize::default() };
    let names = Names::of(spec);
    let mut collected = Collected::default();
    collected.end.budgets = budgets::read(&reader, &names, patience).await?;
    let until = Instant::now() + patience;
    loop {
        collected.ledger_rows = ledger::read(&reader, &names, &dir.join("ledger.jsonl")).await?;
        // The export is a record of the log: it is read first, and verified with it.
        collected.audit_rows = audit::read(&reader, &names, &dir.join("audit.jsonl")).await?;
        collected.end.audits = audit::verify(&reader, &names).await?;
        // What was booked meanwhile is in one of these and not in another: they are no picture of one moment.
        let again = budgets::read(&reader, &names, Duration::ZERO).await?;
        let moved = budgets::moved(&collected.end.budgets, &again);
        if moved.is_empty() {
            break;
        }
        if Instant::now() >= until {
            return Err(CollectError::Moves(moved.join(", ")));
        }
        collected.end.budgets = again;
        tokio::time::sleep(PAUSE).await;
    }
    collected.held = collected.end.budgets.iter().map(|budget| budget.held).sum();
    collected.holds_ended = collected.held == 0;
    nodes::read(&reader, urls, patience, &mut collected).await;
    collected.end.died = died;
    let mut out = Out::create(&dir.join("end.json")).await?;
    out.line(&collected.end).await?;
    out.finish().await?;
    Ok(collected)
}

/// Asks until it is answered, by whoever answers: the first nodes may be gone.
struct Reader<'a> {
    http: Http,
    bases: &'a [String],
    answers: Duration,
    /// Who answered last is asked first.
    last: AtomicUsize,
}

impl Reader<'_> {
    async fn body(&self, request: &Request) -> Result<Vec<u8>, CollectError> {
        let until = Instant::now() + self.answers;
        let total = self.bases.len().max(1);
        let first = self.last.load(Ordering::Relaxed);
        let mut at = first;
        loop {
            let base = self.bases.get(at).map_or("", String::as_str);
            let why = match self.http.send_bounded(base, request, ANSWER_MAX).await {
                Ok(reply) if reply.status == 200 => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(reply.body);
                }
                Ok(reply) => {
                    let text = String::from_utf8_lossy(&reply.body);
                    format!("{} {}", reply.status, text.chars().take(300).collect::<String>())
                }
                Err(lost) => format!("{lost:?}"),
            };
            if Instant::now() >= until {
                return Err(CollectError::Unanswered { path: request.path.clone(), why });
            }
            at = (at + 1) % total;
            // The next one may answer at once: only when nobody has is it waited.
            if at == first {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T, CollectError> {
        let body = self.body(request).await?;
        serde_json::from_slice(&body).map_err(|e| unreadable(request, &e))
    }
}

fn unreadable(request: &Request, why: &dyn std::fmt::Display) -> CollectError {
    CollectError::Unreadable { path: request.path.clone(), why: why.to_string() }
}

/// A file of JSON lines.
struct Out {
    file: BufWriter<File>,
    name: String,
}

impl Out {
    async fn create(path: &Path) -> Result<Out, CollectError> {
        let name = path.display().to_string();
        let file = File::create(path).await.map_err(|e| CollectError::File(name.clone(), e))?;
        Ok(Out { file: BufWriter::new(file), name })
    }

    async fn line<T: serde::Serialize>(&mut self, row: &T) -> Result<(), CollectError> {
        let written = async {
            let mut text = serde_json::to_vec(row)?;
            text.push(b'\n');
            self.file.write_all(&text).await
        };
        written.await.map_err(|e| CollectError::File(self.name.clone(), e))
    }

    async fn finish(mut self) -> Result<(), CollectError> {
        self.file.flush().await.map_err(|e| CollectError::File(self.name, e))
    }
}
