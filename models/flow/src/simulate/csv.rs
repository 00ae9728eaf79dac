//! Logs in CSV.

use std::io::{Error, ErrorKind, Read};

use kiki_models::shield::money::Micros;

use crate::landscape::{PRICE_MAX, Sale};

/// Why a log cannot be read. Lines count from 1, which is the header.
#[derive(Debug, thiserror::Error)]
pub enum BadLog {
    #[error("the header has no column {0}: market_price_micros,value,click are needed")]
    Column(&'static str),
    #[error("line {line}: {column} is not {what}")]
    Field { line: u64, column: &'static str, what: &'static str },
    #[error("line {line}: at_us is before that of the line above")]
    Backwards { line: u64 },
    #[error("line {line}: {why}")]
    Csv { line: u64, why: String },
    #[error("more than {0} auctions in an episode: play it as shorter ones")]
    TooLong(usize),
}

/// How much is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a line.
    pub line_bytes: usize,
    /// Auctions that are held at a time: those of an episode.
    pub auctions: usize,
}

impl Default for Limits {
    /// 20 million auctions take about 1.2 GB.
    fn default() -> Self {
        Limits { line_bytes: 4_096, auctions: 20_000_000 }
    }
}

/// A log as it is read, line by line: `market_price_micros,value,click` with a header, in any order of columns;
/// a column `at_us` (wall-clock microseconds, not falling) is read where there is one, others are passed
/// over. Prices are whole micros from 0 to 1e9, values from 0 to 1e15 in any unit, clicks 0 or 1.
pub struct Log<R> {
    rows: csv::Reader<Bounded<R>>,
    row: csv::StringRecord,
    price: usize,
    value: usize,
    click: usize,
    at: Option<usize>,
    last_us: i64,
    over: bool,
}

impl<R: Read> Log<R> {
    /// Reads the header.
    pub fn open(reader: R, limits: Limits) -> Result<Log<R>, BadLog> {
        let bounded = Bounded { reader, most: limits.line_bytes, line: 0 };
        let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bounded);
        let header = rows.headers().map_err(bad)?;
        // A byte order mark is part of the first name.
        let find = |name| header.iter().position(|h| h.trim_start_matches('\u{feff}') == name);
        let need = |name| find(name).ok_or(BadLog::Column(name));
        let (price, value) = (need("market_price_micros")?, need("value")?);
        let (click, at) = (need("click")?, find("at_us"));
        let row = csv::StringRecord::new();
        Ok(Log { rows, row, price, value, click, at, last_us: i64::MIN, over: false })
    }

    fn read(&mut self) -> Result<Option<Sale>, BadLog> {
        if !self.rows.read_record(&mut self.row).map_err(bad)? {
            return Ok(None);
        }
        let line = self.row.position().map_or(0, csv::Position::line);
        let field = |at: usize| self.row.get(at).unwrap_or_default();
        let wrong = |column, what| BadLog::Field { line, column, what };
        let price = field(self.price).parse().ok().filter(|p| (0..=PRICE_MAX).contains(p));
        let price = price.ok_or(wrong("market_price_micros", "a whole number from 0 to 1e9"))?;
        let value = field(self.value).parse().ok().filter(|v| (0.0..=1e15).contains(v));
        let value = value.ok_or(wrong("value", "a number from 0 to 1e15"))?;
        let click = match field(self.click) {
            "0" | "0.0" | "false" => false,
            "1" | "1.0" | "true" => true,
            _ => return Err(wrong("click", "0 or 1")),
        };
        let at_us = match self.at.map(field) {
            None => None,
            Some(text) => {
                let at_us = text.parse().ok().filter(|at: &i64| at.unsigned_abs() < u64::MAX / 8);
                Some(at_us.ok_or(wrong("at_us", "a time in microseconds"))?)
            }
        };
        if let Some(at_us) = at_us {
            if at_us < self.last_us {
                return Err(BadLog::Backwards { line });
            }
            self.last_us = at_us;
        }
        Ok(Some(Sale { at_us, market_price: Micros(price), value, click }))
    }
}

impl<R: Read> Iterator for Log<R> {
    type Item = Result<Sale, BadLog>;

    /// Nothing comes after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read().transpose();
        self.over = !matches!(read, Some(Ok(_)));
        read
    }
}

fn bad(error: csv::Error) -> BadLog {
    let line = error.position().map_or(0, csv::Position::line);
    let why = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        csv::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    BadLog::Csv { line, why }
}

/// Refuses a line that is too long, so that no input makes the reader hold it.
struct Bounded<R> {
    reader: R,
    most: usize,
    /// Bytes since the last end of line.
    line: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let count = self.reader.read(buffer)?;
        for byte in buffer.iter().take(count) {
            self.line = if *byte == b'\n' { 0 } else { self.line + 1 };
            if self.line > self.most {
                let text = format!("a line of more than {} bytes", self.most);
                return Err(Error::new(ErrorKind::InvalidData, text));
            }
        }
        Ok(count)
    }
}
