//! Records as rows for people.

use std::io;

use super::copy::ToCopy;
use crate::models::shield::audit::month::time_text;
use crate::models::shield::audit::record::{Outcome, Record};

const HEADER: [&str; 9] =
    ["timestamp", "account", "index", "event", "outcome", "actor", "subject", "person", "details"];

/// Blocks as rows, below a header where they begin a file.
pub fn rows(blocks: &[ToCopy], header: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for (nth, block) in blocks.iter().enumerate() {
        let lines: Vec<(i64, &str)> =
            (block.first..).zip(block.lines.iter().map(String::as_str)).collect();
        text.extend(csv_lines(&block.account, &lines, header && nth == 0)?);
    }
    Ok(text)
}

/// Lines of an account's log with their indexes, as rows for people.
pub fn csv_lines(account: &str, lines: &[(i64, &str)], header: bool) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    if header {
        csv.write_record(HEADER).map_err(io::Error::other)?;
    }
    for (index, line) in lines {
        let index = index.to_string();
        let row =
            match Record::parse(line) {
                Ok(record) => fields(&record),
                // tampered with: verification says so; the copy shows where
                Err(_) => std::array::from_fn(|n| {
                    if n == 1 { "unreadable".to_owned() } else { String::new() }
                }),
            };
        let [at, event, outcome, actor, subject, person, details] =
            row.each_ref().map(String::as_str);
        csv.write_record([at, account, &index, event, outcome, actor, subject, person, details])
            .map_err(io::Error::other)?;
    }
    csv.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

/// Time, event, outcome, actor, subject, person and details of a record.
fn fields(record: &Record) -> [String; 7] {
    let outcome = match record.outcome {
        Outcome::Ok => "OK",
        Outcome::Denied => "DENIED",
        Outcome::Failed => "FAILED",
    };
    let mut details = record.data.clone().unwrap_or_default();
    if record.count > 1 {
        details.insert("count".to_owned(), record.count.into());
    }
    let details: Vec<String> = details
        .iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    [
        time_text(record.at_us).unwrap_or_default(),
        record.event.as_str().to_owned(),
        outcome.to_owned(),
        record.actor.clone(),
        record.subject.clone().unwrap_or_default(),
        record.person.clone().unwrap_or_default(),
        details.join(" "),
    ]
}
