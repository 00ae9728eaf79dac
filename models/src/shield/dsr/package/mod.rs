//! The package of an ACCESS or PORTABILITY request: a zip file with a manifest, and each section as
//! JSON (exact) and as CSV (for spreadsheets). The same input gives the same bytes.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::kind::Kind;

/// Bytes of all sections as JSON.
pub const INPUT_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Sections of one package.
pub const SECTIONS_MAX: usize = 1_000;
/// Characters of the name of a section or column.
pub const NAME_CHARS_MAX: usize = 64;
/// Version of the layout that the manifest names.
pub const FORMAT_VERSION: u32 = 1;

/// What stands in the manifest about the package as a whole.
#[derive(Clone, Debug)]
pub struct Header {
    /// The request's id: it names for whom the package is, without saying who that is.
    pub request: String,
    pub account: String,
    pub kind: Kind,
    /// Wall micros.
    pub made_at: i64,
}

/// What one table or source holds about the person.
#[derive(Clone, Debug)]
pub struct Section {
    /// Lower-case letters, digits, `_` and `-`, first a letter: it becomes the files' name.
    pub name: String,
    /// What it is, in plain words.
    pub description: String,
    /// Columns in their order; named like sections.
    pub columns: Vec<String>,
    /// Values by column. A column may be missing from a row, one that is not listed is an error.
    pub rows: Vec<Map<String, Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    #[error("data is more than {0} bytes")]
    TooLarge(usize),
    #[error("there are more than {SECTIONS_MAX} sections")]
    TooMany,
    #[error("{0:?} cannot name a file or a column")]
    Name(String),
    #[error("{0} comes twice")]
    Twice(String),
    #[error("section {section} has a row with a column {column:?} that it does not list")]
    Column { section: String, column: String },
    #[error("time is out of the calendar's range")]
    Time,
    /// The writer of a format refused; nothing of the data is in the text.
    #[error("package cannot be written as {0}")]
    Write(&'static str),
}

/// The bytes of the package.
pub fn package(header: &Header, sections: &[Section]) -> Result<Vec<u8>, PackageError> {
    within(header, sections, INPUT_BYTES_MAX)
}

fn within(header: &Header, sections: &[Section], bytes: usize) -> Result<Vec<u8>, PackageError> {
    check(sections)?;
    let mut files = Files::new(header.made_at)?;
    let mut left = bytes;
    let mut listed = Vec::with_capacity(sections.len());
    for section in sections {
        let json = rows_json(section, left).ok_or(PackageError::TooLarge(bytes))?;
        left = left.saturating_sub(json.len());
        let (csv, guarded) = rows_csv(section)?;
        listed.push(json!({
            "name": section.name,
            "description": section.description,
            "columns": section.columns,
            "rows": section.rows.len(),
            "cells_guarded_in_csv": guarded,
            "files": [
                files.add(&format!("data/{}.json", section.name), &json)?,
                files.add(&format!("data/{}.csv", section.name), &csv)?,
            ],
        }));
    }
    let readme = files.add("README.txt", readme(header, &files.made_at).as_bytes())?;
    let manifest = json!({
        "format": "kiki-personal-data",
        "format_version": FORMAT_VERSION,
        "request": header.request,
        "request_type": header.kind.as_str(),
        "account": header.account,
        "made_at": files.made_at,
        "csv": "UTF-8, RFC 4180. A text that begins with = + - @ ' tab or a line end has an \
            apostrophe put before it, so that no spreadsheet runs it: take one leading apostrophe \
            off to have the text. The JSON files have every value as it is.",
        "files": [readme],
        "sections": listed,
    });
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|_| PackageError::Write("json"))?;
    text.push(b'\n');
    files.add("manifest.json", &text)?;
    files.finish()
}

fn check(sections: &[Section]) -> Result<(), PackageError> {
    if sections.len() > SECTIONS_MAX {
        return Err(PackageError::TooMany);
    }
    let mut names = BTreeSet::new();
    for section in sections {
        if !is_name(&section.name) || is_device(&section.name) {
            return Err(PackageError::Name(section.name.clone()));
        }
        if !names.insert(&section.name) {
            return Err(PackageError::Twice(section.name.clone()));
        }
        let mut columns = BTreeSet::new();
        for column in &section.columns {
            if !is_name(column) {
                return Err(PackageError::Name(column.clone()));
            }
            if !columns.insert(column) {
                return Err(PackageError::Twice(column.clone()));
            }
        }
        let mut keys = section.rows.iter().flat_map(Map::keys);
        if let Some(column) = keys.find(|key| !columns.contains(key)) {
            let (section, column) = (section.name.clone(), column.clone());
            return Err(PackageError::Column { section, column });
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(inner)
}

/// Names of devices, which Windows takes for no file whatever follows the dot.
fn is_device(name: &str) -> bool {
    let port = |kind: &str| {
        let number = name.strip_prefix(kind);
        number.is_some_and(|n| n.len() == 1 && n.chars().all(|c| c.is_ascii_digit()))
    };
    matches!(name, "con" | "prn" | "aux" | "nul") || port("com") || port("lpt")
}

/// Rows with their keys in the order of the columns.
struct Rows<'a>(&'a Section);
struct Row<'a>(&'a [String], &'a Map<String, Value>);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.rows.len()))?;
        for row in &self.0.rows {
            list.serialize_element(&Row(&self.0.columns, row))?;
        }
        list.end()
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for column in self.0 {
            if let Some(value) = self.1.get(column) {
                map.serialize_entry(column, value)?;
            }
        }
        map.end()
    }
}

/// A buffer that refuses to grow over a bound.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len().saturating_add(more.len()) > self.max {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn rows_json(section: &Section, bytes_max: usize) -> Option<Vec<u8>> {
    let mut buffer = Bounded { bytes: Vec::new(), max: bytes_max };
    serde_json::to_writer(&mut buffer, &Rows(section)).ok()?;
    Some(buffer.bytes)
}

/// The rows as CSV, and how many cells were guarded.
fn rows_csv(section: &Section) -> Result<(Vec<u8>, u64), PackageError> {
    let bad = || PackageError::Write("csv");
    let ends = csv::Terminator::CRLF;
    let mut writer = csv::WriterBuilder::new().terminator(ends).from_writer(Vec::new());
    let mut guarded = 0;
    if !section.columns.is_empty() {
        writer.write_record(&section.columns).map_err(|_| bad())?;
        for row in &section.rows {
            for column in &section.columns {
                let (cell, guard) = cell(row.get(column));
                guarded += u64::from(guard);
                writer.write_field(cell).map_err(|_| bad())?;
            }
            writer.write_record(None::<&[u8]>).map_err(|_| bad())?;
        }
    }
    Ok((writer.into_inner().map_err(|_| bad())?, guarded))
}

/// A value as the text of a cell, and whether it was guarded. Only texts can be formulas; what is
/// missing and what is null are empty.
fn cell(value: Option<&Value>) -> (String, bool) {
    match value {
        None | Some(Value::Null) => (String::new(), false),
        Some(Value::String(text)) if text.starts_with(runs) => (format!("'{text}"), true),
        Some(Value::String(text)) => (text.clone(), false),
        Some(other) => (other.to_string(), false),
    }
}

/// What a spreadsheet may take for the start of a formula (OWASP, "CSV Injection"), and the guard
/// itself, so that taking one off always gives the text back.
fn runs(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\'' | '＝' | '＋' | '－' | '＠')
}

struct Files {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    options: SimpleFileOptions,
    made_at: String,
}

impl Files {
    fn new(made_at: i64) -> Result<Files, PackageError> {
        let made_at = Timestamp::from_microsecond(made_at).map_err(|_| PackageError::Time)?;
        let at = made_at.to_zoned(TimeZone::UTC);
        let narrow = |n: i8| u8::try_from(n).map_err(|_| PackageError::Time);
        let year = u16::try_from(at.year()).map_err(|_| PackageError::Time)?;
        // Zip's times begin in 1980 and end in 2107, in steps of two seconds.
        let stamp = DateTime::from_date_and_time(
            year,
            narrow(at.month())?,
            narrow(at.day())?,
            narrow(at.hour())?,
            narrow(at.minute())?,
            narrow(at.second())?,
        );
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(stamp.map_err(|_| PackageError::Time)?)
            .unix_permissions(0o644);
        let zip = ZipWriter::new(Cursor::new(Vec::new()));
        Ok(Files { zip, options, made_at: made_at.to_string() })
    }

    /// Adds a file; its entry in the manifest.
    fn add(&mut self, path: &str, bytes: &[u8]) -> Result<Value, PackageError> {
        let bad = PackageError::Write("zip");
        self.zip.start_file(path, self.options).map_err(|_| bad.clone())?;
        self.zip.write_all(bytes).map_err(|_| bad)?;
        let sum = Sha256::digest(bytes);
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(json!({ "path": path, "bytes": bytes.len(), "sha256": sum }))
    }

    fn finish(self) -> Result<Vec<u8>, PackageError> {
        let done = self.zip.finish().map_err(|_| PackageError::Write("zip"))?;
        Ok(done.into_inner())
    }
}

fn readme(header: &Header, made_at: &str) -> String {
    let what = match header.kind {
        Kind::Portability => "the data that you gave us, or that came of your use of our services",
        _ => "everything that we have stored about you",
    };
    format!(
        "Your personal data\n\n\
         This package has {what}.\n\
         It answers request {} ({}) and was made at {made_at} (UTC).\n\n\
         manifest.json  what is in here, with the size and the SHA-256 of each file\n\
         data/*.csv     tables for a spreadsheet\n\
         data/*.json    the same for programs, each value exactly as it is stored\n\n\
         In the CSV files some texts have an apostrophe (') before them that is not theirs: it\n\
         keeps a spreadsheet from running them as a formula.\n\n\
         Keep this package where only you can read it.\n",
        header.request,
        header.kind.as_str(),
    )
}

#[cfg(test)]
mod tests;
