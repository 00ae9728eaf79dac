//! Chunks of bytes to purchases.

use super::csv::Table;
use super::day::Day;
use super::format::Format;
use super::purchase::Purchase;
use super::reject::{LINE_BYTES_MAX, Reason, Rejected};
use super::{cdnow, csv};

/// Reads one log. Holds one line, whatever comes in.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    /// The last day that is not in the future.
    today: Day,
    line: u64,
    table: Option<Table>,
    currency: Option<[u8; 3]>,
    /// A line without its end yet.
    rest: Vec<u8>,
    /// The line is too long: what comes before its end is skipped.
    skips: bool,
    failed: bool,
}

/// A row of a log.
pub type Row<'a> = Result<Purchase<'a>, Rejected>;

impl Reader {
    pub fn new(format: Format, today: Day) -> Reader {
        Reader {
            format,
            today,
            line: 0,
            table: None,
            currency: None,
            rest: Vec::with_capacity(LINE_BYTES_MAX),
            skips: false,
            failed: false,
        }
    }

    /// Takes the next bytes and tells of each row that they end. Empty lines are no rows. After a
    /// CSV heading that is none nothing more is told.
    pub fn push(&mut self, mut bytes: &[u8], mut row: impl FnMut(Row<'_>)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            let (line, after) = (&bytes[..end], &bytes[end + 1..]);
            bytes = after;
            if self.rest.is_empty() && !self.skips && line.len() <= LINE_BYTES_MAX {
                self.line(line, &mut row);
            } else {
                self.keep(line);
                self.end_rest(&mut row);
            }
        }
        self.keep(bytes);
    }

    /// Tells of a last line without an end.
    pub fn finish(&mut self, mut row: impl FnMut(Row<'_>)) {
        if self.skips || !self.rest.is_empty() {
            self.end_rest(&mut row);
        }
    }

    /// Bytes held for a line that has not ended; at most [`LINE_BYTES_MAX`].
    pub fn held(&self) -> usize {
        self.rest.capacity()
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// The currency of all rows, where the log names one.
    pub fn currency(&self) -> Option<[u8; 3]> {
        self.currency
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.skips || self.rest.len() + bytes.len() > LINE_BYTES_MAX {
            self.skips = true;
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }

    fn end_rest(&mut self, row: &mut impl FnMut(Row<'_>)) {
        if std::mem::take(&mut self.skips) {
            self.line += 1;
            self.tell_bad(Reason::TooLong, row);
            return;
        }
        let mut line = std::mem::take(&mut self.rest);
        self.line(&line, row);
        line.clear();
        self.rest = line;
    }

    fn tell_bad(&mut self, reason: Reason, row: &mut impl FnMut(Row<'_>)) {
        if self.failed {
            return;
        }
        // Without its heading a table cannot be read, whatever is wrong with the line.
        self.failed = self.format == Format::Csv && self.table.is_none();
        row(Err(Rejected { line: self.line, reason }));
    }

    fn line(&mut self, line: &[u8], row: &mut impl FnMut(Row<'_>)) {
        self.line += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) || self.failed {
            return;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return self.tell_bad(Reason::NotText, row);
        };
        let ids = if self.format == Format::CdnowSample { 2 } else { 1 };
        let (number, today) = (self.line, self.today);
        let known = self.currency;
        let purchase = match (self.format, &mut self.table) {
            (Format::Csv, None) => {
                match csv::Table::new(text) {
                    Ok(table) => self.table = Some(table),
                    Err(reason) => self.tell_bad(reason, row),
                }
                return;
            }
            (Format::Csv, Some(table)) => table.purchase(text),
            _ if number == 1 && cdnow::is_heading(text, ids) => return,
            _ => cdnow::purchase(text, ids),
        };
        let sound = purchase.and_then(|of| match of {
            _ if of.day > today => Err(Reason::Future),
            _ if known.is_some() && of.currency != known => Err(Reason::CurrencyMix),
            _ => Ok(of),
        });
        match sound {
            Ok(purchase) => {
                self.currency = purchase.currency;
                row(Ok(purchase));
            }
            Err(reason) => row(Err(Rejected { line: number, reason })),
        }
    }
}
