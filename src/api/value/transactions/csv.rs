//! Purchases in CSV, read as they come: what is held is one batch of rows.

use std::time::Duration;

use axum::extract::Request;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::take::{Keyed, Line, all_or_nothing, take};
use super::{ImportBody, Terms};
use crate::actors::value::customer::{NeedsKey, NewPurchase, NotTaken, Source};
use crate::actors::value::today;
use crate::api::body;
use crate::api::problem::{Code, Problem};
use crate::api::value::{App, common};
use crate::models::shield::money::Currency;
use crate::models::value::log::format::Format;
use crate::models::value::log::purchase::Purchase;
use crate::models::value::log::reader::{Reader, Row};
use crate::models::value::log::reject::Reason;

/// Rows that are taken together.
const OF_BATCH: usize = 4_096;
/// The next bytes come within this, or the import ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows between two writes.
struct Batch {
    source: Source,
    /// That of the account.
    currency: Currency,
    lines: Vec<Line>,
    done: ImportBody,
    rows: u64,
    /// The first line is no heading: nothing can be read.
    headless: bool,
    /// The line from which on nothing can be taken without a key.
    over: Option<u64>,
}

impl Batch {
    fn new(source: Source, currency: Currency) -> Batch {
        let (lines, done) = (Vec::new(), ImportBody::default());
        Batch { source, currency, lines, done, rows: 0, headless: false, over: None }
    }

    fn row(&mut self, line: u64, row: Row<'_>) {
        if self.over.is_some() {
            return;
        }
        self.rows += 1;
        // What is too long for a first line is no heading either.
        let heading = matches!(&row, Err(rejected) if rejected.reason == Reason::Heading
            || (rejected.line == 1 && matches!(rejected.reason, Reason::TooLong | Reason::NotText)));
        match row.map_err(|rejected| (rejected.line, rejected.reason.to_string())) {
            Ok(purchase) => match self.purchase(line, purchase) {
                Ok(Ok(line)) => self.lines.push(line),
                Ok(Err(why)) => self.done.reject(line, why),
                Err(NeedsKey) => self.over = Some(line),
            },
            Err((line, why)) => {
                self.headless |= heading;
                self.done.reject(line, why);
            }
        }
    }

    /// The row as it is taken, or what is wrong with it.
    fn purchase(&mut self, line: u64, of: Purchase<'_>) -> Result<Result<Line, String>, NeedsKey> {
        let named = of.currency.map(|code| String::from_utf8_lossy(&code).into_owned());
        let currency: Option<Currency> = match named.as_deref().map(str::parse::<Currency>) {
            None => None,
            Some(Ok(currency)) if currency == self.currency => Some(currency),
            Some(Ok(_)) => return Ok(Err(NotTaken::CurrencyMix.to_string())),
            Some(Err(_)) => return Ok(Err("has a currency that is none".to_owned())),
        };
        let said = (of.customer, of.day.number(), of.amount, named.as_deref().unwrap_or(""));
        let id = self.source.id(None, line, said)?;
        let purchase =
            NewPurchase { id, reference: None, day: of.day, amount: of.amount, currency };
        Ok(Ok(Line { line, customer: of.customer.to_owned(), purchase }))
    }

    /// Of a file that is too long to go without a key, once the rows before that are taken.
    fn too_long(&self, strict: bool) -> Option<Problem> {
        let over = self.over?;
        let ImportBody { imported, duplicates, rejected, .. } = &self.done;
        let before = match strict {
            true => "nothing was imported: send the file with one".to_owned(),
            false => format!(
                "of the rows before it {imported} were imported, {duplicates} were known and \
                 {rejected} were not taken: send the rows from this line on, with the heading, in a \
                 request with one"
            ),
        };
        let detail = format!("line {over} {NeedsKey}; {before}");
        Some(Problem::new(Code::BodyTooLarge, detail).at("Idempotency-Key"))
    }
}

pub async fn import(app: &App, strict: bool, request: Request) -> Result<ImportBody, Problem> {
    let (parts, body) = request.into_parts();
    let account = common::account(&app.value, &parts.headers, None)?.into_owned();
    let key = body::idempotency_key(&parts.headers)?.map(str::to_owned);
    let terms = Terms { account, key, strict };
    let keyed = Keyed::begin(app, &terms).await?;
    let known = keyed.as_ref().is_some_and(Keyed::is_known);
    let serving = app.value.serving(&terms.account).await.map_err(common::failed)?;
    let most = if strict { app.body_max } else { app.import_max };
    let mut reader = Reader::new(Format::Csv, today());
    let (mut hash, mut read) = (Sha256::new(), 0_usize);
    hash.update(if strict { b"strict" } else { b"simple" });
    let mut batch = Batch::new(Source::new(terms.key.as_deref()), serving.currency);
    let mut chunks = body.into_data_stream();
    loop {
        let chunk = tokio::time::timeout(PATIENCE, chunks.next()).await;
        let chunk =
            chunk.map_err(|_| Problem::new(Code::Timeout, "the body did not go on in time"))?;
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| {
            Problem::new(Code::MalformedBody, "the body could not be read to its end")
        })?;
        read += chunk.len();
        if read > most {
            return Err(Problem::new(Code::BodyTooLarge, "the body is larger than it may be"));
        }
        hash.update(&chunk);
        if known {
            continue;
        }
        push(&mut reader, Some(&chunk), &mut batch);
        let full = batch.lines.len() >= OF_BATCH || batch.over.is_some();
        if full && !strict {
            let lines = std::mem::take(&mut batch.lines);
            take(&app.value, &terms.account, lines, keyed.as_ref(), &mut batch.done).await?;
        }
        if let Some(problem) = batch.too_long(strict) {
            return Err(problem);
        }
    }
    if let Some(keyed) = keyed.as_ref().filter(|_| known) {
        return keyed.again(&hash);
    }
    push(&mut reader, None, &mut batch);
    if batch.over.is_some() && !strict {
        let lines = std::mem::take(&mut batch.lines);
        take(&app.value, &terms.account, lines, keyed.as_ref(), &mut batch.done).await?;
    }
    if let Some(problem) = batch.too_long(strict) {
        return Err(problem);
    }
    let Batch { lines, mut done, rows, headless, .. } = batch;
    if headless {
        return Err(Problem::new(
            Code::MalformedBody,
            format!("the first line {}", Reason::Heading),
        ));
    }
    if rows == 0 {
        return Err(Problem::new(Code::MalformedBody, "the body has no purchases"));
    }
    if strict {
        all_or_nothing(&app.value, &terms.account, &lines, &mut done).await?;
    }
    take(&app.value, &terms.account, lines, keyed.as_ref(), &mut done).await?;
    if let Some(keyed) = keyed {
        keyed.keep(&app.value, &terms.account, hash, &done).await?;
    }
    Ok(done)
}

/// Reads the next bytes line by line, so that each row has its line; `None` is the end.
fn push(reader: &mut Reader, chunk: Option<&[u8]>, batch: &mut Batch) {
    let Some(mut chunk) = chunk else {
        let line = reader.lines() + 1;
        return reader.finish(|row| batch.row(line, row));
    };
    while !chunk.is_empty() {
        let end = chunk.iter().position(|b| *b == b'\n').map_or(chunk.len(), |at| at + 1);
        let (now, later) = chunk.split_at(end);
        chunk = later;
        let line = reader.lines() + 1;
        reader.push(now, |row| batch.row(line, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: Source, file: &[u8]) -> Batch {
        let mut batch = Batch::new(source, "USD".parse().expect("a currency"));
        let mut reader = Reader::new(Format::Csv, today());
        push(&mut reader, Some(file), &mut batch);
        push(&mut reader, None, &mut batch);
        batch
    }

    const FILE: &[u8] = b"customer_id,date,amount,currency\n\
        a,2026-01-01,1,USD\n\
        a,2026-01-02,1,USD\n\
        a,2026-01-01,1,USD\n\
        a,2026-01-03,1,USD\n\
        a,2026-01-01,1,USD\n";

    #[test]
    fn a_file_without_a_key_ends_at_the_first_row_too_many_and_says_what_lifts_that() {
        let batch = read(Source::within(None, 2), FILE);
        assert_eq!((batch.lines.len(), batch.over, batch.done.rejected), (3, Some(5), 0));
        for strict in [false, true] {
            let problem = batch.too_long(strict).expect("a problem");
            assert_eq!(problem.code(), Code::BodyTooLarge);
            assert!(problem.detail().starts_with("line 5 "), "{problem:?}");
            assert_eq!(problem.wrong_field(), Some("Idempotency-Key"));
        }
        let batch = read(Source::within(Some("k"), 2), FILE);
        assert_eq!((batch.lines.len(), batch.over), (5, None));
        assert!(batch.too_long(false).is_none());
    }

    #[test]
    fn a_row_in_another_currency_than_the_accounts_is_rejected_before_anybody_is_asked() {
        let file = b"customer_id,date,amount,currency\na,2026-01-01,1,EUR\n";
        let batch = read(Source::new(None), file);
        assert_eq!((batch.lines.len(), batch.done.rejected), (0, 1));
        assert_eq!(batch.done.rejects[0].reason, NotTaken::CurrencyMix.to_string());
    }
}
