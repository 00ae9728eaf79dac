//! Calls notices until they are answered: a notice that was acknowledged by nobody is called again.

use std::time::Duration;

use rand::RngExt;
use reqwest::{Client, StatusCode};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use super::super::report::{Outcome, Told};
use super::fate::{Fate, Plan};

/// First and longest wait between two calls.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Time that one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What is common to all notices of a run.
pub struct Courier {
    client: Client,
    /// Calls on the way at once.
    at_once: Semaphore,
    /// True: what was not answered by now is given up.
    over: watch::Receiver<bool>,
}

enum Call {
    Answered(u16),
    Refused(u16),
    Again(Option<u16>),
}

impl Courier {
    pub fn new(client: Client, at_once: usize, over: watch::Receiver<bool>) -> Courier {
        Courier { client, at_once: Semaphore::new(at_once), over }
    }

    /// Carries a notice out as it was planned, to its end.
    pub async fn deliver(&self, url: Option<String>, plan: Plan) -> Told {
        let fate = plan.fate;
        let mut told = Told { fate, outcome: Outcome::NotSent, status: None, calls: 0, url };
        let Some(url) = told.url.clone() else {
            return Told { outcome: Outcome::NoAddress, ..told };
        };
        if fate == Fate::Lost || !self.wait(plan.after).await {
            return told;
        }
        told.outcome = self.until_answered(&url, &mut told).await;
        if let Some(after) = plan.again_after
            && told.outcome == Outcome::Answered
            && self.wait(after).await
        {
            // What the repeat is answered changes nothing: the notice had its answer.
            self.until_answered(&url, &mut told).await;
        }
        told
    }

    async fn until_answered(&self, url: &str, told: &mut Told) -> Outcome {
        let mut backoff = BACKOFF_MIN;
        loop {
            let call = {
                // Closed by nobody; a call without a permit would only be one too many.
                let _permit = self.at_once.acquire().await;
                told.calls = told.calls.saturating_add(1);
                self.call(url).await
            };
            match call {
                Call::Answered(status) => {
                    told.status = Some(status);
                    return Outcome::Answered;
                }
                Call::Refused(status) => {
                    told.status = Some(status);
                    return Outcome::Refused;
                }
                Call::Again(status) => told.status = status.or(told.status),
            }
            let jittered = backoff.mul_f64(rand::rng().random_range(0.5..1.0));
            if !self.wait(jittered).await {
                return Outcome::Unanswered;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn call(&self, url: &str) -> Call {
        match self.client.get(url).timeout(CALL_TIMEOUT).send().await {
            Ok(response) => judge(response.status()),
            Err(_) => Call::Again(None),
        }
    }

    /// Waits; false where the run is over before.
    async fn wait(&self, time: Duration) -> bool {
        let mut over = self.over.clone();
        tokio::select! {
            () = sleep(time) => true,
            _ = over.wait_for(|over| *over) => false,
        }
    }
}

fn judge(status: StatusCode) -> Call {
    let code = status.as_u16();
    match status {
        _ if status.is_success() => Call::Answered(code),
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::CONFLICT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => Call::Again(Some(code)),
        _ if status.is_server_error() => Call::Again(Some(code)),
        _ => Call::Refused(code),
    }
}
