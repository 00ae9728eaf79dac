//! How a life of the journal ends: nothing that it has in memory is lost, whatever the store does.

use std::sync::PoisonError;
use std::time::Duration;

use super::super::overflow::Line;
use super::super::{batch, metrics};
use super::{JournalActor, OF_WRITE};
use crate::models::breaker::BreakerState;

/// How long the store may take for what is left. The file takes the rest.
const STORED_WITHIN: Duration = Duration::from_secs(2);
/// Lines that are put on disk together.
const OF_FILE: usize = 4_096;

impl JournalActor {
    /// Writes what can be written soon. Interrupted at any wait, or failed, what is left is still here.
    pub(super) async fn end(&mut self) {
        if self.writes.breaker() != BreakerState::Closed {
            return;
        }
        self.shelf.ripen(i64::MAX);
        let until = tokio::time::Instant::now() + STORED_WITHIN;
        loop {
            let batch = self.shelf.take(OF_WRITE);
            if batch.made.is_empty() {
                break;
            }
            let write = batch::write(&self.office, &self.writes, &batch.made, &batch.reach);
            let good = matches!(tokio::time::timeout_at(until, write).await, Ok(Ok(())));
            self.shelf.wrote(batch, good);
            if !good {
                break;
            }
        }
    }

    /// Puts all that waits into the file. It waits for the disk on this thread: an actor that is to end is
    /// interrupted wherever it waits for anything else.
    pub(super) fn put_aside(&mut self) {
        let mut lines = std::mem::take(&mut self.to_file);
        let left = self.shelf.leave().into_iter();
        lines.extend(left.map(|(id, it)| Line::Made { id, decision: Box::new(it) }));
        let told = self.unknown.take(usize::MAX).into_iter();
        lines.extend(told.map(|(told, _)| Line::Told(Box::new(told))));
        let Some(file) = self.file.as_ref().filter(|_| !lines.is_empty()) else { return };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        for lines in lines.chunks(OF_FILE) {
            if let Err(error) = file.add(lines) {
                metrics::left_out(lines.len());
                tracing::error!(%error, many = lines.len(), "decisions were not put into their file");
            }
        }
    }
}

/// Also of a life that failed or was killed.
impl Drop for JournalActor {
    fn drop(&mut self) {
        self.put_aside();
    }
}
