//! One chunk to the server: sent until it is answered, refused or given up.

use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::sync::watch;

use super::super::api::{Api, Called};
use super::chunk::Chunk;

/// First and longest wait between two tries.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Time that one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(120);

/// How chunks are sent.
#[derive(Clone, Debug)]
pub struct Sender {
    pub api: Api,
    pub strict: bool,
    pub give_up_after: Duration,
}

/// What became of rows.
#[derive(Debug, Default)]
pub struct Sent {
    pub imported: u64,
    pub known: u64,
    /// Rows that the server does not take.
    pub rejected: u64,
    /// Some of them, by their lines in the file.
    pub rejects: Vec<(u64, String)>,
}

/// Why rows may be there or not.
#[derive(Debug)]
pub enum Unsent {
    /// Refused for good, with the reason.
    Refused(String),
    /// No answer within the time for trying, with the last reason.
    GivenUp(String),
    /// The run was stopped.
    Stopped,
}

#[derive(Deserialize)]
struct Answer {
    imported: u64,
    duplicates: u64,
    rejected: u64,
    rejects: Vec<Reject>,
    replayed: bool,
}

#[derive(Deserialize)]
struct Reject {
    line: u64,
    reason: String,
}

/// A request that is too large for the server.
enum Tried {
    Answered(Answer),
    TooLarge,
}

impl Sender {
    /// Sends a chunk, in parts where the server does not take it whole. Trying again is safe: every purchase
    /// has an id of its own.
    pub async fn send(
        &self,
        chunk: Chunk,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(Sent, usize), Unsent> {
        let (mut sent, rows) = (Sent::default(), chunk.len());
        let mut parts = vec![chunk];
        while let Some(part) = parts.pop() {
            match self.part(&part, &mut stop).await? {
                Tried::Answered(answer) => sent.add(&part, answer),
                Tried::TooLarge => match part.halves() {
                    Some((first, second)) => parts.extend([second, first]),
                    None => return Err(Unsent::Refused("413: a single row is too large".into())),
                },
            }
        }
        Ok((sent, rows))
    }

    async fn part(&self, part: &Chunk, stop: &mut watch::Receiver<bool>) -> Result<Tried, Unsent> {
        let (body, key) = part.request();
        let begun = Instant::now();
        let mut backoff = BACKOFF_MIN;
        let mut first = true;
        loop {
            let called = self.api.import(body.clone(), self.strict, &key, TRY_TIMEOUT).await;
            let (reason, after) = match called {
                Called::Answer(answer) => {
                    let answer = serde_json::from_value::<Answer>(answer);
                    let mut answer = answer.map_err(|error| {
                        Unsent::Refused(format!("an answer that is none: {error}"))
                    })?;
                    // What an answer that was lost had imported is of this run.
                    answer.replayed &= first;
                    return Ok(Tried::Answered(answer));
                }
                Called::Refused(refusal) => match refusal.status {
                    StatusCode::PAYLOAD_TOO_LARGE => return Ok(Tried::TooLarge),
                    // 409 is the same key in progress on another connection; the rest are passing, too.
                    StatusCode::CONFLICT
                    | StatusCode::REQUEST_TIMEOUT
                    | StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT => (refusal.to_string(), refusal.after),
                    // It counts rows from the first that it was sent.
                    _ if refusal.code == "invalid_rows" => {
                        let (first, last) = (part.line(1), part.line(part.len() as u64));
                        return Err(Unsent::Refused(format!(
                            "{refusal}\n(counted from line {first} of the file, in what was sent of it up to \
                             line {last})"
                        )));
                    }
                    _ => return Err(Unsent::Refused(refusal.to_string())),
                },
                Called::Nothing(why) => (why, None),
            };
            first = false;
            let jittered = backoff.mul_f64(rand::rng().random_range(0.5..1.0));
            let wait = after.map_or(jittered, |after| after + jittered);
            if begun.elapsed() + wait > self.give_up_after {
                return Err(Unsent::GivenUp(reason));
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.wait_for(|&stop| stop) => return Err(Unsent::Stopped),
            }
        }
    }
}

impl Sent {
    fn add(&mut self, part: &Chunk, answer: Answer) {
        match answer.replayed {
            true => self.known += answer.imported + answer.duplicates,
            false => {
                self.imported += answer.imported;
                self.known += answer.duplicates;
            }
        }
        self.rejected += answer.rejected;
        let rejects = answer.rejects.into_iter();
        self.rejects.extend(rejects.map(|reject| (part.line(reject.line), reject.reason)));
    }
}
