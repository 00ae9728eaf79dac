//! The rows of anything that can be read.

use std::collections::VecDeque;
use std::io;

use super::day::Day;
use super::format::Format;
use super::purchase::Purchase;
use super::reader::Reader;
use super::reject::Rejected;

/// Bytes asked for at a time: the rows that they hold are what is kept in memory.
const CHUNK: usize = 32 * 1_024;

/// A purchase that outlives its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    pub customer: Box<str>,
    pub day: Day,
    /// Micros.
    pub amount: i64,
}

impl From<Purchase<'_>> for Bought {
    fn from(of: Purchase<'_>) -> Bought {
        Bought { customer: of.customer.into(), day: of.day, amount: of.amount }
    }
}

/// Iterates over a log: a purchase or a bad line, in their order; a failure to read is the last item.
pub struct Rows<R> {
    from: R,
    reader: Reader,
    ready: VecDeque<Result<Bought, Rejected>>,
    chunk: Box<[u8]>,
    done: bool,
}

impl<R: io::Read> Rows<R> {
    /// `today` is the last day that is not in the future.
    pub fn new(from: R, format: Format, today: Day) -> Rows<R> {
        let (reader, chunk) = (Reader::new(format, today), vec![0; CHUNK].into_boxed_slice());
        Rows { from, reader, ready: VecDeque::new(), chunk, done: false }
    }

    /// What has been read so far: lines, currency.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = loop {
            match self.from.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let ready = &mut self.ready;
        let mut tell = |row: Result<Purchase<'_>, Rejected>| ready.push_back(row.map(Bought::from));
        if read == 0 {
            self.done = true;
            self.reader.finish(&mut tell);
        } else {
            self.reader.push(&self.chunk[..read], &mut tell);
        }
        Ok(())
    }
}

impl<R: io::Read> Iterator for Rows<R> {
    type Item = io::Result<Result<Bought, Rejected>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.done {
            if let Err(error) = self.fill() {
                self.done = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
