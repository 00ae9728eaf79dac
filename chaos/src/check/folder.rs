//! Reads the folder of one run.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use super::error::CheckError;
use super::history::{History, Recorder};
use super::lines::{self, Ended};
use super::options::Options;
use super::record::Audit;
use crate::history::{AtEnd, AuditRow, LedgerRow};

/// More than this is no `end.json`.
const END_MAX: u64 = 64 << 20;

/// The files of one run, wherever they come from.
pub struct Sources<R> {
    pub history: R,
    pub ledger: Option<R>,
    pub audit: Option<R>,
    pub end: Option<R>,
}

/// Opens what is in a folder. Only a history that was cut off may be alone.
pub fn open(folder: &Path) -> Result<Sources<BufReader<File>>, CheckError> {
    let file = |name: &str| match File::open(folder.join(name)) {
        Ok(file) => Ok(Some(BufReader::with_capacity(1 << 18, file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckError::Read { file: name.to_owned(), source }),
    };
    let history = file("history.jsonl")?.ok_or_else(|| {
        let why = format!("there is none in {}", folder.display());
        CheckError::File { file: "history.jsonl".to_owned(), why }
    })?;
    Ok(Sources {
        history,
        ledger: file("ledger.jsonl")?,
        audit: file("audit.jsonl")?,
        end: file("end.json")?,
    })
}

pub fn read<R: BufRead>(sources: Sources<R>, options: &Options) -> Result<History, CheckError> {
    let cut = options.allow_cut_off;
    let mut recorder = Recorder::default();
    let ended = lines::each("history.jsonl", sources.history, cut, |_, line| recorder.line(line))?;
    let no_begin = |why| CheckError::File { file: "history.jsonl".to_owned(), why };
    let mut history = recorder.done().map_err(no_begin)?;
    history.whole &= ended == Ended::Whole;
    if let Some(input) = sources.ledger {
        let mut rows = Vec::new();
        lines::each("ledger.jsonl", input, cut, |_, row: LedgerRow| {
            rows.push(history.row(&row)?);
            Ok(())
        })?;
        history.ledger = Some(rows);
    }
    if let Some(input) = sources.audit {
        let mut audit = Audit::default();
        lines::each("audit.jsonl", input, cut, |_, row: AuditRow| {
            history.audited(&mut audit, &row)
        })?;
        history.audit = Some(audit);
    }
    history.end = sources.end.map(end).transpose()?;
    let missing = [
        ("ledger.jsonl", history.ledger.is_none()),
        ("audit.jsonl", history.audit.is_none()),
        ("end.json", history.end.is_none()),
    ];
    for (file, missing) in missing {
        if missing && history.whole {
            let why = "is not there, though the history is whole".to_owned();
            return Err(CheckError::File { file: file.to_owned(), why });
        }
    }
    Ok(history)
}

fn end(input: impl BufRead) -> Result<AtEnd, CheckError> {
    let file = "end.json".to_owned();
    let mut bytes = Vec::new();
    let read = input.take(END_MAX + 1).read_to_end(&mut bytes);
    if let Err(source) = read {
        return Err(CheckError::Read { file, source });
    }
    if bytes.len() as u64 > END_MAX {
        return Err(CheckError::File { file, why: format!("larger than {END_MAX} bytes") });
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let (line, why) = (error.line() as u64, error.to_string());
        CheckError::Line { file, line, why }
    })
}
