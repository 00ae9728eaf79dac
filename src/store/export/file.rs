//! The export file: gzip over JSON lines. The first names the format, the last is the manifest with
//! the rows and the SHA-256 of every table; a file without it is not whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Each, ExportRow, Sink};
use crate::store::error::{Result, StoreError};

/// Of the file's layout; a reader refuses those that it does not know.
const FORMAT: u32 = 1;

/// A longer line is no row of ours.
const LINE_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    kiki_export: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Footer {
    manifest: Manifest,
}

/// What an export holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Wall-clock microseconds when the export began.
    pub at: i64,
    /// Which database it came from.
    pub store: String,
    pub tables: BTreeMap<String, TableSum>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    pub rows: u64,
    /// Over the table's lines with their ends, hexadecimal.
    pub sha256: String,
}

#[derive(Default)]
struct Sums(BTreeMap<&'static str, (u64, Sha256)>);

impl Sums {
    fn add(&mut self, table: &'static str, line: &[u8]) {
        let (rows, hash) = self.0.entry(table).or_default();
        *rows += 1;
        hash.update(line);
        hash.update(b"\n");
    }

    fn finish(self) -> BTreeMap<String, TableSum> {
        self.0
            .into_iter()
            .map(|(table, (rows, hash))| {
                let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                (table.to_owned(), TableSum { rows, sha256 })
            })
            .collect()
    }
}

/// Writes `PATH.part` and gives it its name when it is whole and durable.
pub(crate) struct ExportWriter {
    out: GzEncoder<BufWriter<File>>,
    sums: Sums,
    part: PathBuf,
    path: PathBuf,
}

impl ExportWriter {
    pub fn create(path: &Path) -> Result<Self> {
        if path.exists() {
            return Err(StoreError::Config(format!("{} exists already", path.display())));
        }
        let part = part_of(path);
        let file = File::create(&part).map_err(|e| io("cannot make", &part, &e))?;
        let mut writer = Self {
            out: GzEncoder::new(BufWriter::new(file), Compression::fast()),
            sums: Sums::default(),
            part,
            path: path.to_path_buf(),
        };
        writer.line(&json(&Header { kiki_export: FORMAT })?)?;
        Ok(writer)
    }

    pub fn row(&mut self, row: &ExportRow) -> Result<()> {
        let line = json(row)?;
        self.sums.add(row.table(), &line);
        self.line(&line)
    }

    pub fn finish(mut self, at: i64, store: &str) -> Result<Manifest> {
        let tables = std::mem::take(&mut self.sums).finish();
        let manifest = Manifest { format: FORMAT, at, store: store.to_owned(), tables };
        self.line(&json(&Footer { manifest: manifest.clone() })?)?;
        let Self { out, part, path, .. } = self;
        let done = out
            .finish()
            .and_then(|buffer| buffer.into_inner().map_err(std::io::IntoInnerError::into_error))
            .and_then(|file| file.sync_all());
        done.map_err(|e| io("cannot write", &part, &e))?;
        publish(&part, &path)?;
        Ok(manifest)
    }

    fn line(&mut self, line: &[u8]) -> Result<()> {
        let written = self.out.write_all(line).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|e| io("cannot write", &self.part, &e))
    }
}

/// Where a file is built before it has its name.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Gives a whole, durable file its name, durably.
pub(crate) fn publish(part: &Path, path: &Path) -> Result<()> {
    std::fs::rename(part, path).map_err(|e| io("cannot name", path, &e))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| io("cannot write", dir, &e))
}

/// Reads a whole export and proves it against its manifest, handing all rows over on the way:
/// do nothing with them that cannot be undone before this
/// returns.
pub(crate) async fn each_chunk(path: &Path, sink: &mut impl Sink) -> Result<Manifest> {
    let mut lines = Lines::open(path)?;
    let first = lines.next()?.ok_or_else(|| corrupt("it is empty"))?;
    let header: Header = parse(first)?;
    if header.kiki_export != FORMAT {
        return Err(corrupt(&format!("format {} is not known", header.kiki_export)));
    }
    let mut sums = Sums::default();
    let mut last_table = 0;
    let mut chunk = Vec::new();
    loop {
        let line = lines.next()?.ok_or_else(|| corrupt("it ends before its manifest"))?;
        if line.starts_with(b"{\"manifest\":") {
            let Footer { manifest } = parse(line)?;
            if lines.next()?.is_some() {
                return Err(corrupt("there is something behind the manifest"));
            }
            if manifest.tables != sums.finish() {
                return Err(corrupt("its rows are not those of its manifest"));
            }
            if !chunk.is_empty() {
                sink.take(chunk).await?;
            }
            return Ok(manifest);
        }
        let row: ExportRow = parse(line)?;
        let table = super::TABLES.iter().position(|name| *name == row.table()).unwrap_or(0);
        if table < last_table {
            return Err(corrupt("its tables are out of order"));
        }
        sums.add(row.table(), line);
        let full = chunk.len() >= super::chunk_of(row.table());
        if !chunk.is_empty() && (full || table > last_table) {
            sink.take(std::mem::take(&mut chunk)).await?;
        }
        last_table = table;
        chunk.push(row);
    }
}

/// Proves an export file against its manifest, which it returns.
pub async fn verify(path: &Path) -> Result<Manifest> {
    each_chunk(path, &mut Each(|_| Ok(()))).await
}

struct Lines {
    reader: BufReader<MultiGzDecoder<BufReader<File>>>,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| io("cannot open", path, &e))?;
        let reader = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
        Ok(Self { reader, line: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        use std::io::Read;
        self.line.clear();
        let mut limited = (&mut self.reader).take(LINE_MAX);
        limited.read_until(b'\n', &mut self.line).map_err(|e| corrupt(&e.to_string()))?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.pop() != Some(b'\n') {
            return Err(corrupt("a line is cut or too long"));
        }
        Ok(Some(&self.line))
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| StoreError::Config(format!("not writable as JSON: {e}")))
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|e| corrupt(&e.to_string()))
}

fn corrupt(why: &str) -> StoreError {
    StoreError::Corrupt(why.to_owned())
}

fn io(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::io(format!("{what} {}", path.display()), error)
}
