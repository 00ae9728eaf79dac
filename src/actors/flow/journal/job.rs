//! What is asked of the store, one at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::batch;
use super::counts::{self, Taken};
use super::old::{self, Looked};
use super::overflow::{Chunk, Line, Overflow};
use super::shelf::Batch;
use crate::actors::flow::auction::Office;
use crate::actors::shield::Writes;
use crate::models::flow::decision::Decision;

/// Lines of the file that are stored together.
const OF_FILE: usize = 256;

pub enum Job {
    Write(Batch),
    /// Look decisions up, by account and id.
    Look(Vec<(String, String)>),
    Count(Taken),
    /// Store the next lines of the file.
    Drain(Arc<Mutex<Overflow>>),
    Old {
        now_us: i64,
        retention_us: i64,
    },
}

/// How it ended.
pub enum Done {
    Wrote(Batch, Result<(), String>),
    /// How many were looked for, and what was found.
    Looked(usize, Result<BTreeMap<u128, Decision>, String>),
    Counted(Result<Vec<(String, String)>, String>),
    /// Lines that are stored.
    Drained(Result<usize, String>),
    Old(Result<Looked, String>),
}

impl Job {
    pub async fn run(self, office: Arc<Office>, writes: Writes) -> Done {
        match self {
            Job::Write(batch) => {
                let wrote = batch::write(&office, &writes, &batch.made, &batch.reach).await;
                Done::Wrote(batch, wrote)
            }
            Job::Look(names) => {
                let found = batch::stored(&writes, &names).await;
                Done::Looked(names.len(), found.map_err(|error| error.to_string()))
            }
            Job::Count(taken) => Done::Counted(counts::write(&writes, taken).await),
            Job::Drain(file) => Done::Drained(drain(&office, &writes, file).await),
            Job::Old { now_us, retention_us } => {
                let looked = old::look(&writes, now_us, retention_us).await;
                Done::Old(looked.map_err(|error| error.to_string()))
            }
        }
    }
}

/// Stores the next lines of the file. Until that is done they stay in it.
async fn drain(
    office: &Office,
    writes: &Writes,
    file: Arc<Mutex<Overflow>>,
) -> Result<usize, String> {
    let chunk: Chunk = of_file(&file, |file| file.next(OF_FILE)).await?;
    let name = |line: &Line| match line {
        Line::Made { id, decision } => (decision.account.clone(), format!("{id:032x}")),
        Line::Told(told) => (told.account.clone(), format!("{:032x}", told.hold)),
    };
    let mut names: Vec<(String, String)> = chunk.lines.iter().map(name).collect();
    names.sort_unstable();
    names.dedup();
    let known = batch::stored(writes, &names).await.map_err(|error| error.to_string())?;
    let made = batch::merged(&chunk.lines, known);
    batch::write(office, writes, &made, &[]).await?;
    let lines = chunk.lines.len();
    of_file(&file, move |file| file.done(&chunk)).await?;
    Ok(lines)
}

/// Files are read and written beside the runtime's threads.
async fn of_file<T: Send + 'static>(
    file: &Arc<Mutex<Overflow>>,
    work: impl FnOnce(&mut Overflow) -> std::io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let file = Arc::clone(file);
    let work = move || work(&mut file.lock().unwrap_or_else(PoisonError::into_inner));
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
