//! `/flow/frequency`: keeps on disk how often people have seen campaigns.
//!
//! The file is written anew every ten seconds while something changes, and at an orderly end. A process that is
//! killed loses what was counted since: a person may then see a campaign as often again as within those
//! seconds. Of the data directory it is the one file that may be deleted.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::auction::Office;
use crate::actors::kernel::{Actor, Cx, Fault};
use crate::clock;

const EVERY: Duration = Duration::from_secs(10);
/// The file, the one that takes its place, and where one goes that cannot be read.
const FILE: &str = "flow_frequency.bin";
const NEW: &str = "flow_frequency-new.bin";
const BAD: &str = "flow_frequency-bad.bin";
/// Bytes of a file that is read, at most: of each pair that there is room for, and at least.
const PAIR_BYTES_MAX: u64 = 256;
const LEAST_BYTES_MAX: u64 = 1 << 30;
/// Bytes before what differs although nothing else does: magic, key, and the time.
const HEAD_BYTES: usize = 24;

pub enum Msg {
    Save,
    /// What was written, or why nothing was; nothing had changed.
    Saved(Result<Option<Written>, String>),
}

pub struct Written {
    sum: [u8; 32],
    bytes: usize,
}

#[derive(Clone, Default, Serialize)]
pub struct View {
    /// Of the file that was read at the start (wall-clock micros).
    restored_of_us: Option<i64>,
    saves: u64,
    bytes: usize,
    last_error: Option<String>,
}

pub struct FrequencyActor {
    office: Arc<Office>,
    /// Of what was written last.
    sum: Option<[u8; 32]>,
    view: View,
}

/// The file's bytes, so many at most; nothing where there is none.
fn read(dir: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn write(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut file = File::create(dir.join(NEW))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(dir.join(NEW), dir.join(FILE))?;
    File::open(dir)?.sync_all()
}

/// Takes back what a file counts. One that is damaged is put aside: whoever looks for why finds it.
fn restore(office: &Office) -> Option<i64> {
    let dir = &office.terms.dir;
    let pairs = u64::try_from(office.terms.frequency_pairs).unwrap_or(u64::MAX);
    let most = pairs.saturating_mul(PAIR_BYTES_MAX).max(LEAST_BYTES_MAX);
    let bytes = match read(dir, most) {
        Ok(bytes) => bytes?,
        Err(error) => {
            tracing::warn!(%error, "how often people have seen campaigns cannot be read: counts begin anew");
            return None;
        }
    };
    match office.people.take_back(&bytes, clock::wall_us()) {
        Ok(at_us) => Some(at_us),
        Err(why) => {
            tracing::warn!(%why, "{FILE} {why}: it is put aside as {BAD}, and counts begin anew");
            if let Err(error) = fs::rename(dir.join(FILE), dir.join(BAD)) {
                tracing::warn!(%error, "{FILE} cannot be put aside");
            }
            None
        }
    }
}

/// Writes what counts, unless it is what was written last.
fn save(office: &Office, last: Option<[u8; 32]>) -> io::Result<Option<Written>> {
    let bytes = office.people.file(clock::wall_us());
    // Without the checksum, which covers the time.
    let end = bytes.len().saturating_sub(32);
    let sum: [u8; 32] = Sha256::digest(bytes.get(HEAD_BYTES..end).unwrap_or_default()).into();
    if last == Some(sum) {
        return Ok(None);
    }
    write(&office.terms.dir, &bytes)?;
    Ok(Some(Written { sum, bytes: bytes.len() }))
}

async fn saved(office: Arc<Office>, last: Option<[u8; 32]>) -> Result<Option<Written>, String> {
    match tokio::task::spawn_blocking(move || save(&office, last)).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

impl FrequencyActor {
    pub fn new(office: Arc<Office>) -> FrequencyActor {
        FrequencyActor { office, sum: None, view: View::default() }
    }

    fn note(&mut self, outcome: Result<Option<Written>, String>) {
        match outcome {
            Ok(None) => {}
            Ok(Some(Written { sum, bytes })) => {
                self.sum = Some(sum);
                self.view.saves += 1;
                (self.view.bytes, self.view.last_error) = (bytes, None);
            }
            Err(error) => {
                // Said once, until it is written again.
                if self.view.last_error.is_none() {
                    tracing::warn!(
                        error,
                        "how often people have seen campaigns is not written: {error}"
                    );
                }
                self.view.last_error = Some(error);
            }
        }
    }
}

impl Actor for FrequencyActor {
    type Msg = Msg;
    type View = View;
    const TYPE: &'static str = "frequency";

    async fn started(&mut self, cx: &mut Cx<Self>) -> Result<(), Fault> {
        // A later life goes on with what is in memory, which is newer.
        if !self.office.people.has_begun() {
            let office = Arc::clone(&self.office);
            self.view.restored_of_us =
                tokio::task::spawn_blocking(move || restore(&office)).await?;
            self.office.people.is_restored();
        }
        cx.send_after(EVERY, Msg::Save);
        Ok(())
    }

    async fn handle(&mut self, msg: Msg, cx: &mut Cx<Self>) -> Result<(), Fault> {
        match msg {
            Msg::Save => cx.pipe(saved(Arc::clone(&self.office), self.sum), Msg::Saved),
            Msg::Saved(outcome) => {
                self.note(outcome);
                cx.send_after(EVERY, Msg::Save);
            }
        }
        Ok(())
    }

    async fn stopping(&mut self, _cx: &mut Cx<Self>) {
        if self.office.people.has_begun() {
            let outcome = saved(Arc::clone(&self.office), self.sum).await;
            self.note(outcome);
        }
    }

    fn view(&self) -> View {
        self.view.clone()
    }

    fn idle(&self) -> bool {
        false
    }

    fn label(msg: &Msg) -> &'static str {
        match msg {
            Msg::Save => "Save",
            Msg::Saved(_) => "Saved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_none_is_no_mistake() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(read(dir.path(), 1_000).expect("reads"), None);
        for bytes in [&b"one"[..], b"and another"] {
            write(dir.path(), bytes).expect("writes");
            assert_eq!(read(dir.path(), 1_000).expect("reads").as_deref(), Some(bytes));
        }
        let files = fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(files, 1);
    }
}
