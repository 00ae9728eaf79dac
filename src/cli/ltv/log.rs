//! A file of purchases, read row by row.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::exit::CliError;
use super::super::files::{named, open};
use super::progress::Progress;
use crate::clock;
use crate::models::value::forecast::customer::{Customer, Purchase, merged};
use crate::models::value::log::day::Day;
use crate::models::value::log::format::Format;
use crate::models::value::log::reader::Reader;
pub use crate::models::value::log::reader::Row;
use crate::models::value::log::reject::Rejected;

/// How many bad lines are named.
const NAMED_MAX: usize = 20;
/// Bytes read at a time.
const CHUNK: usize = 64 * 1_024;
/// Purchases of one customer that wait to be merged by day.
const UNMERGED_MAX: usize = 4_096;
const DAY_US: i64 = 86_400_000_000;

/// Where purchases are read from.
#[derive(Clone, Debug, Args)]
pub struct LogArgs {
    /// The purchase log, packed with gzip or not
    #[arg(long, value_name = "FILE")]
    pub transactions: PathBuf,

    #[command(flatten)]
    pub reading: ReadingArgs,
}

/// How a log is read.
#[derive(Clone, Debug, Args)]
pub struct ReadingArgs {
    /// How the log is written: cdnow-master (customer, YYYYMMDD, items, amount), cdnow-sample (the same after
    /// two ids) or csv (a heading with customer_id, date or timestamp, amount and perhaps currency)
    #[arg(long, value_name = "FORMAT", default_value = "csv", value_parser = format)]
    pub format: Format,

    /// Do nothing at all where a line is malformed; by default such lines are named and left out
    #[arg(long)]
    pub strict: bool,
}

fn format(name: &str) -> Result<Format, String> {
    name.parse().map_err(|error| format!("{error}"))
}

/// A day of the command line.
pub fn day(text: &str) -> Result<Day, String> {
    Day::any(text).map_err(|_| "expected a day such as 1997-09-30".to_owned())
}

/// What was read, besides the purchases.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    pub rows: u64,
    pub rejected: u64,
    /// The first of them.
    pub rejected_lines: Vec<Rejected>,
    pub currency: Option<String>,
    pub first: Day,
    pub last: Day,
}

/// A purchase that is told of: customer, day, micros.
type Bought<'a> = (&'a str, Day, i64);

/// Today, in UTC: what is after it is in the future.
pub fn today() -> Day {
    let days = clock::wall_us().div_euclid(DAY_US);
    i32::try_from(days).ok().and_then(Day::new).unwrap_or_else(|| {
        // A clock beyond 2199 says nothing about the future.
        Day::new(84_005).unwrap_or_else(|| unreachable!("2199-12-31 is a day"))
    })
}

/// Reads a whole log in the memory of a line, and tells of each row with its number. After each chunk of bytes
/// `go_on` is told how many lines have been read, and says whether to go on.
///
/// # Errors
/// It cannot be read.
pub fn each(
    args: &LogArgs,
    mut row: impl FnMut(u64, Row<'_>),
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Reader, CliError> {
    let path = &args.transactions;
    let mut from = open(path)?;
    let mut reader = Reader::new(args.reading.format, today());
    let mut bytes = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(|error| named(path, error))?,
        };
        if read == 0 {
            let line = reader.lines() + 1;
            reader.finish(|of| row(line, of));
            return Ok(reader);
        }
        // Line by line, so that each row has its number.
        for part in bytes[..read].split_inclusive(|b| *b == b'\n') {
            let line = reader.lines() + 1;
            reader.push(part, |of| row(line, of));
        }
        if !go_on(reader.lines()) {
            return Ok(reader);
        }
    }
}

/// Bad lines: how many, and the first of them.
#[derive(Debug, Default)]
pub struct Rejects {
    pub count: u64,
    pub lines: Vec<Rejected>,
}

impl Rejects {
    pub fn add(&mut self, bad: Rejected) {
        self.count += 1;
        if self.lines.len() < NAMED_MAX {
            self.lines.push(bad);
        }
    }

    /// Each on a line of its own.
    fn named(&self) -> String {
        let mut text: String = self.lines.iter().map(|bad| format!("\n  {bad}")).collect();
        if self.count > self.lines.len() as u64 {
            text.push_str("\n  …");
        }
        text
    }

    /// Whether a log with these may be used: with `strict`, only one without any; otherwise they are told
    /// of on standard error.
    ///
    /// # Errors
    /// There are some, and none may be; or there are no good rows.
    pub fn judge(&self, args: &LogArgs, good: u64) -> Result<(), CliError> {
        let path = &args.transactions;
        if args.reading.strict && self.count > 0 {
            let why = "has malformed lines, and nothing was done:";
            return Err(named(path, format!("{why}{}", self.named())));
        }
        if good == 0 {
            return Err(named(path, format!("has no purchases{}", self.named())));
        }
        if self.count > 0 {
            let (lines, many) = (self.named(), if self.count == 1 { "line" } else { "lines" });
            let said =
                format!("{}: left out {} malformed {many}:{lines}", path.display(), self.count);
            // Standard error is where this would be reported.
            drop(writeln!(io::stderr(), "{said}"));
        }
        Ok(())
    }
}

/// Reads a whole log in the memory of a line, and tells of each purchase.
///
/// # Errors
/// It cannot be read; it has no purchase; with `strict`, a line is none.
pub fn read(
    args: &LogArgs,
    progress: &Progress,
    mut tell: impl FnMut(Bought<'_>),
) -> Result<Told, CliError> {
    let (mut rows, mut rejects) = (0, Rejects::default());
    let rejected = Cell::new(0);
    let mut span: Option<(Day, Day)> = None;
    let row = |_, of: Row<'_>| match of {
        Err(bad) => {
            rejects.add(bad);
            rejected.set(rejects.count);
        }
        Ok(of) => {
            rows += 1;
            let (first, last) = span.get_or_insert((of.day, of.day));
            (*first, *last) = ((*first).min(of.day), (*last).max(of.day));
            tell((of.customer, of.day, of.amount));
        }
    };
    let reader = each(args, row, |lines| {
        progress.reading(lines);
        !(args.reading.strict && rejected.get() > 0)
    })?;
    rejects.judge(args, rows)?;
    let Some((first, last)) = span else {
        return Err(named(&args.transactions, "has no purchases"));
    };
    let currency = reader.currency().map(|code| String::from_utf8_lossy(&code).into_owned());
    Ok(Told { rows, rejected: rejects.count, rejected_lines: rejects.lines, currency, first, last })
}

/// All customers of a log, sorted by id. Keeps 16 bytes for each day of a customer with a purchase, whatever
/// number of rows tell of it.
pub fn customers(args: &LogArgs, progress: &Progress) -> Result<(Vec<Customer>, Told), CliError> {
    let mut by_id: HashMap<Box<str>, Vec<Purchase>> = HashMap::new();
    let read = read(args, progress, |(id, day, micros)| {
        let purchase = Purchase { day, micros };
        match by_id.get_mut(id) {
            Some(all) => {
                match all.last_mut().filter(|last| last.day == day) {
                    Some(last) => last.micros = last.micros.saturating_add(micros),
                    None => all.push(purchase),
                }
                if all.len() >= UNMERGED_MAX && all.len().is_power_of_two() {
                    *all = merged(std::mem::take(all));
                }
            }
            None => {
                by_id.insert(id.into(), vec![purchase]);
            }
        }
    })?;
    let customer = |(id, all)| Customer { id, purchases: merged(all) };
    let mut all: Vec<Customer> = by_id.into_iter().map(customer).collect();
    all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok((all, read))
}

/// Reads the good rows of a log that has been read once.
///
/// # Errors
/// It cannot be read any more.
pub fn read_again(args: &LogArgs, mut tell: impl FnMut(Bought<'_>)) -> Result<(), CliError> {
    let row = |_, of: Row<'_>| {
        if let Ok(of) = of {
            tell((of.customer, of.day, of.amount));
        }
    };
    each(args, row, |_| true).map(drop)
}
