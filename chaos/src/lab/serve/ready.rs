//! Whether what was started serves.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::error::LabResult;
use super::super::processes::Processes;

const LOOK: Duration = Duration::from_millis(20);
/// Time of one look.
const ASK: Duration = Duration::from_secs(2);

/// Waits until a process serves.
///
/// # Errors
/// It takes longer than it may, or ends meanwhile: with the end of its log.
pub async fn until<F: Future<Output = bool>>(
    processes: &Processes,
    name: &str,
    patience: Duration,
    mut serves: impl FnMut() -> F,
) -> LabResult<()> {
    let deadline = Instant::now() + patience;
    loop {
        if tokio::time::timeout(ASK, serves()).await.unwrap_or(false) {
            return Ok(());
        }
        if !processes.is_alive(name) {
            return Err(processes.complaint(name, "ended".to_owned()));
        }
        if Instant::now() > deadline {
            let what = format!("does not serve within {} s", patience.as_secs());
            return Err(processes.complaint(name, what));
        }
        sleep(LOOK).await;
    }
}

/// Waits until this URL answers with success.
///
/// # Errors
/// As `until`.
pub async fn http(
    processes: &Processes,
    name: &str,
    patience: Duration,
    client: &reqwest::Client,
    url: &str,
) -> LabResult<()> {
    until(processes, name, patience, || async {
        client.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
    })
    .await
}
