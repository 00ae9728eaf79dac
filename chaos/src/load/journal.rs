//! The history as it is written: one task writes, everybody hands over. A line that says what is about to be sent is
//! handed over before it is sent, and what was told after it was told; times are taken by who sends and is told, so a
//! wait for the writer can only make an operation look longer, never shorter.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::history::{AtUs, Begin, Line, Op, Outcome};

/// Lines that wait for the writer at most; who has more to tell waits.
const WAITING_MAX: usize = 8_192;
const FLUSH_EVERY: Duration = Duration::from_millis(100);
const BUFFER: usize = 1 << 18;

/// The writer has ended, so nothing more may be sent: it would not be in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the history cannot be written any more")]
pub struct Closed;

/// The suite's own monotonic clock of one run.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    pub fn now_us(&self) -> AtUs {
        self.at_us(Instant::now())
    }

    /// 0 of what was before the run.
    pub fn at_us(&self, at: Instant) -> AtUs {
        let since = at.saturating_duration_since(self.0);
        AtUs::try_from(since.as_micros()).unwrap_or(AtUs::MAX)
    }
}

/// Where lines are handed over. Clones write the same history.
#[derive(Clone, Debug)]
pub struct Journal {
    lines: mpsc::Sender<Line>,
    next: Arc<AtomicU64>,
    clock: Clock,
}

/// The writer, to be waited for at the end.
#[derive(Debug)]
pub struct Writing(JoinHandle<std::io::Result<u64>>);

impl Journal {
    /// Begins a history: its first line is written when this returns.
    ///
    /// # Errors
    /// The file is there already, or cannot be written.
    pub async fn begin(
        path: &Path,
        begin: Begin,
        clock: Clock,
    ) -> std::io::Result<(Journal, Writing)> {
        let file = File::options().write(true).create_new(true).open(path).await?;
        let mut file = BufWriter::with_capacity(BUFFER, file);
        put(&mut file, &Line::Begin(begin)).await?;
        file.flush().await?;
        let (lines, waiting) = mpsc::channel(WAITING_MAX);
        let writing = Writing(tokio::spawn(write(file, waiting, clock)));
        Ok((Journal { lines, next: Arc::new(AtomicU64::new(1)), clock }, writing))
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// A client is about to send this. Its id.
    ///
    /// # Errors
    /// The history cannot be written: it must not be sent.
    pub async fn invoke(&self, client: u32, via: &str, op: Op) -> Result<u64, Closed> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let at_us = self.clock.now_us();
        self.line(Line::Invoke { id, at_us, client, via: via.into(), op }).await?;
        Ok(id)
    }

    /// It was answered or given up.
    ///
    /// # Errors
    /// The history cannot be written.
    pub async fn complete(&self, id: u64, outcome: Outcome) -> Result<(), Closed> {
        let at_us = self.clock.now_us();
        self.line(Line::Complete { id, at_us, outcome }).await
    }

    /// Anything else, such as a fault or an owner.
    ///
    /// # Errors
    /// The history cannot be written.
    pub async fn line(&self, line: Line) -> Result<(), Closed> {
        self.lines.send(line).await.map_err(|_| Closed)
    }
}

impl Writing {
    /// Waits until all journals are dropped and everything is in the file. The number of lines.
    ///
    /// # Errors
    /// It could not be written: the history is not whole.
    pub async fn finish(self) -> std::io::Result<u64> {
        self.0.await.map_err(std::io::Error::other)?
    }
}

async fn put(file: &mut BufWriter<File>, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text).await
}

async fn write(
    mut file: BufWriter<File>,
    mut lines: mpsc::Receiver<Line>,
    clock: Clock,
) -> std::io::Result<u64> {
    let mut written = 1;
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => {
                    put(&mut file, &line).await?;
                    written += 1;
                }
                None => break,
            },
            _ = flush.tick() => file.flush().await?,
        }
    }
    put(&mut file, &Line::End { at_us: clock.now_us() }).await?;
    file.flush().await?;
    file.get_ref().sync_all().await?;
    Ok(written + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> Begin {
        Begin {
            version: 1,
            title: "t".to_owned(),
            seed: 1,
            started_at: "2026-11-22T00:00:00Z".to_owned(),
            window_cap: 1,
            window_us: 1,
            hold_us: 1,
            budgets: Vec::new(),
        }
    }

    fn lines(path: &Path) -> Vec<Line> {
        let text = std::fs::read_to_string(path).expect("a history");
        text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
    }

    #[tokio::test]
    async fn a_history_has_every_line_in_order_and_an_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("history.jsonl");
        let (journal, writing) =
            Journal::begin(&path, begin(), Clock::start()).await.expect("it begins");
        let op = Op::Pause { account: "a".into(), campaign: "c".into() };
        let id = journal.invoke(7, "http://x", op).await.expect("it is taken");
        journal
            .complete(id, Outcome::Unknown { why: "timeout".into() })
            .await
            .expect("it is taken");
        tokio::time::sleep(FLUSH_EVERY * 3).await;
        assert_eq!(lines(&path).len(), 3, "what was told is in the file soon, also without an end");
        drop(journal);
        assert_eq!(writing.finish().await.expect("it is written"), 4);
        let all = lines(&path);
        let (
            Line::Invoke { id: sent, at_us: from, .. },
            Line::Complete { id: told, at_us: to, .. },
        ) = (&all[1], &all[2])
        else {
            panic!("{all:?}")
        };
        assert!(sent == told && from <= to);
        assert!(matches!(all[0], Line::Begin(_)) && matches!(all[3], Line::End { .. }));
        assert!(
            Journal::begin(&path, begin(), Clock::start()).await.is_err(),
            "no history is written over"
        );
    }
}
