//! A TOML file as values with their places; everything wrong in it is found in one pass.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::{find, sections, suggest};
use super::problem::{Problem, Source};
use super::raw::{Form, Raw};
use super::section::Key;

/// The largest configuration file that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file says.
#[derive(Debug, Default)]
pub struct FileValues {
    pub values: Vec<(&'static Key, Raw, Source)>,
    pub problems: Vec<Problem>,
}

/// Reads `text`; `None` as its path stands for the built-in defaults.
pub fn read_file(text: &str, path: Option<&Path>) -> FileValues {
    let mut reader = Reader { text, path: path.map(Path::to_owned), found: FileValues::default() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        let message = error.message().replace('\n', ", ");
        reader.problem(at, None, message);
    }
    for (name, value) in document.get_ref() {
        reader.section(name.get_ref(), name.span(), value.get_ref(), value.span());
    }
    reader.found.problems.sort_by_key(|problem| match problem.source {
        Source::File { line, column, .. } => (line, column),
        _ => (0, 0),
    });
    reader.found
}

struct Reader<'a> {
    text: &'a str,
    path: Option<PathBuf>,
    found: FileValues,
}

impl Reader<'_> {
    fn section(
        &mut self,
        name: &str,
        at: Range<usize>,
        value: &DeValue<'_>,
        value_at: Range<usize>,
    ) {
        let known = sections().any(|section| section == name);
        match value {
            DeValue::Table(table) if known => {
                for (key, value) in table {
                    let path = format!("{name}.{}", key.get_ref());
                    self.entry(&path, key.span(), value.get_ref(), value.span());
                }
            }
            _ if known => {
                let message = format!("expected a section, as in [{name}]");
                self.problem(value_at, Some(name), message);
            }
            DeValue::Table(_) => {
                let hint = match suggest(name, true) {
                    Some(section) => format!("; did you mean [{section}]?"),
                    None => String::new(),
                };
                self.problem(at, Some(name), format!("unknown section{hint}"));
            }
            _ => self.unknown(name, at),
        }
    }

    fn entry(&mut self, path: &str, at: Range<usize>, value: &DeValue<'_>, value_at: Range<usize>) {
        let Some(key) = find(path) else {
            return self.unknown(path, at);
        };
        let raw = raw_of(value);
        match key.check(&raw) {
            Ok(()) => {
                let source = self.source(&value_at);
                self.found.values.push((key, raw, source));
            }
            Err(message) => self.problem(value_at, Some(path), message),
        }
    }

    fn unknown(&mut self, path: &str, at: Range<usize>) {
        let hint = match suggest(path, false) {
            Some(known) => format!("; did you mean {known}?"),
            None => String::new(),
        };
        self.problem(at, Some(path), format!("unknown key{hint}"));
    }

    fn problem(&mut self, at: Range<usize>, key: Option<&str>, message: String) {
        let source = self.source(&at);
        self.found.problems.push(Problem { source, key: key.map(str::to_owned), message });
    }

    fn source(&self, at: &Range<usize>) -> Source {
        let Some(path) = self.path.clone() else {
            return Source::Default;
        };
        let before = &self.text.as_bytes()[..at.start.min(self.text.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        Source::File {
            path,
            line: before.iter().filter(|&&b| b == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        }
    }
}

fn raw_of(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::new(Form::String, text.as_ref()),
        DeValue::Integer(number) => match number.radix() {
            10 => Raw::new(Form::Integer, number.as_str()),
            radix => match i128::from_str_radix(number.as_str(), radix) {
                Ok(number) => Raw::new(Form::Integer, number.to_string()),
                Err(_) => Raw::new(Form::Integer, number.as_str()),
            },
        },
        DeValue::Float(number) => Raw::new(Form::Float, number.as_str()),
        DeValue::Boolean(value) => Raw::new(Form::Boolean, value.to_string()),
        DeValue::Datetime(date) => Raw::new(Form::Other("a date"), date.to_string()),
        DeValue::Array(_) => Raw::new(Form::Other("a list"), String::new()),
        DeValue::Table(_) => Raw::new(Form::Other("a table"), String::new()),
    }
}
