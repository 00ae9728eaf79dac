//! Records as rows for people.

use std::io;

use super::copy::ToCopy;
use crate::models::shield::audit::readable::Readable;
use crate::models::shield::audit::record::Outcome;

const HEADER: [&str; 9] =
    ["timestamp", "account", "index", "event", "outcome", "actor", "subject", "person", "details"];

/// Blocks as rows, below a header where they begin a file.
pub fn rows(blocks: &[ToCopy], header: bool) -> io::Result<Vec<u8>> {
    let mut csv = writer(header)?;
    for block in blocks {
        for (index, line) in (block.first..).zip(block.lines()) {
            row(&mut csv, &block.account, index, line)?;
        }
    }
    csv.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

/// Lines of an account's log with their indexes, as rows for people.
pub fn csv_lines(account: &str, lines: &[(i64, &str)], header: bool) -> io::Result<Vec<u8>> {
    let mut csv = writer(header)?;
    for (index, line) in lines {
        row(&mut csv, account, *index, line)?;
    }
    csv.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

type Csv = csv::Writer<Vec<u8>>;

fn writer(header: bool) -> io::Result<Csv> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    if header {
        csv.write_record(HEADER).map_err(io::Error::other)?;
    }
    Ok(csv)
}

fn row(csv: &mut Csv, account: &str, index: i64, line: &str) -> io::Result<()> {
    let index = index.to_string();
    let written = match Readable::parse(line) {
        Ok(r) => {
            let outcome = match r.outcome {
                Outcome::Ok => "OK",
                Outcome::Denied => "DENIED",
                Outcome::Failed => "FAILED",
            };
            csv.write_record([
                r.at, account, &index, r.event, outcome, &r.actor, &r.subject, &r.person,
                &r.details,
            ])
        }
        // tampered with: verification says so; the copy shows where
        Err(_) => csv.write_record(["", account, &index, "unreadable", "", "", "", "", ""]),
    };
    written.map_err(io::Error::other)
}
