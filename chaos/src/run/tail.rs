//! Reads the history while it is written.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use super::tally::Tally;

const EVERY: Duration = Duration::from_millis(50);
const CHUNK: usize = 1 << 18;

/// Counts what is in the file until `stop` is true, and then to its end.
///
/// # Errors
/// The file cannot be read, or has a line that is none.
pub async fn follow(
    file: PathBuf,
    tally: Arc<Mutex<Tally>>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut input = File::open(&file).await?;
    let mut chunk = vec![0; CHUNK];
    let mut rest: Vec<u8> = Vec::new();
    loop {
        // Asked for before reading: what is written until then is read in this turn.
        let last = *stop.borrow();
        loop {
            let read = input.read(&mut chunk).await?;
            if read == 0 {
                break;
            }
            rest.extend_from_slice(&chunk[..read]);
            let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            for line in rest[..whole].split(|byte| *byte == b'\n').filter(|it| !it.is_empty()) {
                tally.line(serde_json::from_slice(line)?);
            }
            drop(tally);
            rest.drain(..whole);
        }
        if last {
            return Ok(());
        }
        tokio::select! {
            // Whoever holds the sender no more has nothing to stop.
            _ = stop.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
