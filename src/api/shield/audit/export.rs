//! Records as a file, oldest first.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::{flushed, time};
use crate::actors::shield::audit::csv_lines;
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::query::Parameters;
use crate::api::shield::{App, Ctx, common};
use crate::models::shield::audit::record::Brief;
use crate::store::AuditBlockRow;

const BLOCKS: u32 = 8;

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Lines,
    Csv,
}

/// Export the audit log
///
/// `jsonl`: the records exactly as they were hashed, so that the file can be verified by itself
/// (leaf = SHA-256 of a zero byte and the line). `csv`: for people.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit",
    params(
        ("format" = Option<String>, Query, description = "jsonl (if not given) or csv", example = "jsonl"),
        ("from" = Option<String>, Query, description = "Not before this time (RFC 3339)"),
        ("to" = Option<String>, Query, description = "Before this time (RFC 3339)")),
    responses(
        (status = 200, description = "One record a line", content(
            (String = "application/x-ndjson"), (String = "text/csv"))), Problems))]
pub async fn export(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let format = match parameters.text("format").as_deref() {
        None | Some("jsonl") => Format::Lines,
        Some("csv") => Format::Csv,
        Some(_) => return Err(Problem::field("format", "is not jsonl or csv")),
    };
    let from = time(&parameters, "from")?.unwrap_or(i64::MIN);
    let to = time(&parameters, "to")?.unwrap_or(i64::MAX);
    let account = common::account(&app, &headers, None)?;
    common::known_account(&app, &account).await?;
    flushed(&app, &account).await?;
    let kind = match format {
        Format::Lines => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    let reader = Reader {
        app: Arc::clone(&app),
        account: account.into_owned(),
        format,
        bounds: (from, to),
        next: Some(0),
        first: true,
    };
    let chunks = stream::try_unfold(reader, |mut reader| async {
        Ok::<_, std::io::Error>(reader.chunk().await?.map(|chunk| (chunk, reader)))
    });
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(chunks)).into_response())
}

struct Reader {
    app: Arc<App>,
    account: String,
    format: Format,
    bounds: (i64, i64),
    /// The next block; nothing after the last.
    next: Option<i64>,
    first: bool,
}

impl Reader {
    /// The next lines. A store that goes away in the middle ends the body short of its end, which
    /// the client sees as an error.
    async fn chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            let Some(next) = self.next else { return Ok(None) };
            let rows = self.app.shield.store().audit_blocks(&self.account, next, BLOCKS).await;
            let rows = rows.map_err(std::io::Error::other)?;
            self.next = rows.last().filter(|_| rows.len() == BLOCKS as usize).map(|r| r.block + 1);
            let mut text = Vec::new();
            for row in &rows {
                self.lines(row, &mut text)?;
            }
            if !text.is_empty() {
                return Ok(Some(text.into()));
            }
        }
    }

    fn lines(&mut self, row: &AuditBlockRow, text: &mut Vec<u8>) -> std::io::Result<()> {
        let (from, to) = self.bounds;
        if row.at_to < from || row.at_from >= to {
            return Ok(());
        }
        // a line that is no record is part of the log all the same
        let wanted =
            |line: &&str| Brief::parse(line).is_ok_and(|b| b.at_us >= from && b.at_us < to);
        let all = row.at_from >= from && row.at_to < to;
        let lines = (row.first..).zip(row.lines.split('\n'));
        let lines: Vec<(i64, &str)> = lines.filter(|(_, line)| all || wanted(line)).collect();
        match self.format {
            Format::Lines => {
                for (_, line) in lines {
                    text.extend_from_slice(line.as_bytes());
                    text.push(b'\n');
                }
            }
            Format::Csv => {
                let header = std::mem::take(&mut self.first);
                text.extend(csv_lines(&self.account, &lines, header)?);
            }
        }
        Ok(())
    }
}
