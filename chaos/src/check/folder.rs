//! Reads the folder of one run.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use super::error::CheckError;
use super::history::{History, Recorder};
use super::lines::{self, Ended};
use super::options::Options;
use super::record::Audit;
use crate::files;
use crate::history::{AtEnd, AuditRow, LedgerRow};

/// More than this is no `end.json`.
const END_MAX: u64 = 64 << 20;

/// What whoever checks a run that was cut off has to say.
const FLAG: &str = "; --cut-off checks what its clients were told";

/// The files of one run, wherever they come from.
pub struct Sources<R> {
    pub history: R,
    pub ledger: Option<R>,
    pub audit: Option<R>,
    pub end: Option<R>,
}

/// Opens what is in a folder. Only a history that was cut off may be alone.
pub fn open(folder: &Path) -> Result<Sources<BufReader<File>>, CheckError> {
    let file = |name: &str| match files::open(&folder.join(name)) {
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
    if !history.whole && !cut {
        let why = format!("has no `end` line: the run was cut off{FLAG}");
        return Err(CheckError::File { file: "history.jsonl".to_owned(), why });
    }
    // Of a history that was cut off, the rest tells of calls that are not in it: nobody could be blamed for them.
    if history.whole
        && after(&mut history, sources.ledger, sources.audit, sources.end, cut)? == Ended::Cut
    {
        history.whole = false;
        (history.ledger, history.audit, history.end) = (None, None, None);
    }
    Ok(history)
}

/// What was read of the platform after the load.
fn after<R: BufRead>(
    history: &mut History,
    ledger: Option<R>,
    audit: Option<R>,
    at_end: Option<R>,
    cut: bool,
) -> Result<Ended, CheckError> {
    let missing = [
        ("ledger.jsonl", ledger.is_none()),
        ("audit.jsonl", audit.is_none()),
        ("end.json", at_end.is_none()),
    ];
    let missing = missing.into_iter().find(|(_, missing)| *missing);
    let (Some(ledger), Some(audit), Some(at_end)) = (ledger, audit, at_end) else {
        let file = missing.map_or("", |(file, _)| file).to_owned();
        let why = format!("is not there, though the history is whole{FLAG}");
        return if cut { Ok(Ended::Cut) } else { Err(CheckError::File { file, why }) };
    };
    let mut rows = Vec::new();
    let mut ended = lines::each("ledger.jsonl", ledger, cut, |_, row: LedgerRow| {
        rows.push(history.row(&row)?);
        Ok(())
    })?;
    let mut records = Audit::default();
    let told = lines::each("audit.jsonl", audit, cut, |_, row: AuditRow| {
        history.audited(&mut records, &row)
    })?;
    if told == Ended::Cut {
        ended = told;
    }
    (history.ledger, history.audit) = (Some(rows), Some(records));
    history.end = Some(end(at_end)?);
    Ok(ended)
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
