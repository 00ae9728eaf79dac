//! Ledgers, page by page.

use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CollectError, Out, Reader, unreadable};
use crate::history::LedgerRow;
use crate::load::decimal;
use crate::load::http::Request;
use crate::load::names::Names;

/// The ledger of what an account spent by itself.
const ACCOUNT: &str = "@account";

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    rows: Vec<Row<'a>>,
    next_cursor: Option<i64>,
}

#[derive(Deserialize)]
struct Row<'a> {
    seq: i64,
    kind: Box<str>,
    #[serde(borrow)]
    amount: &'a RawValue,
    currency: Box<str>,
    at: jiff::Timestamp,
    op: Box<str>,
    hold_id: Option<Box<str>>,
}

pub(super) async fn read(
    reader: &Reader<'_>,
    names: &Names,
    path: &Path,
) -> Result<u64, CollectError> {
    let mut out = Out::create(path).await?;
    let mut rows = 0;
    for account in &names.accounts {
        let bidding = account.bidding.iter().map(|bidding| &*bidding.name);
        let campaigns = account.campaigns.iter().map(|name| &**name).chain(bidding);
        for campaign in campaigns.chain([ACCOUNT]) {
            rows += ledger(reader, &account.name, campaign, &mut out).await?;
        }
    }
    out.finish().await?;
    Ok(rows)
}

async fn ledger(
    reader: &Reader<'_>,
    account: &str,
    campaign: &str,
    out: &mut Out,
) -> Result<u64, CollectError> {
    let (mut cursor, mut rows) = (0, 0);
    loop {
        let path = format!("/api/v1/budget/{campaign}/ledger?limit=1000&cursor={cursor}");
        let request = Request::get(path).of(account);
        let body = reader.body(&request).await?;
        let page: Page<'_> = serde_json::from_slice(&body).map_err(|e| unreadable(&request, &e))?;
        for row in page.rows {
            let amount = decimal::parse(row.amount.get())
                .ok_or_else(|| unreadable(&request, &format!("{} is no amount", row.amount)))?;
            let row = LedgerRow {
                account: account.into(),
                campaign: campaign.into(),
                seq: row.seq,
                kind: row.kind,
                amount,
                currency: row.currency,
                at_us: row.at.as_microsecond(),
                op: row.op,
                hold: row.hold_id,
            };
            out.line(&row).await?;
            rows += 1;
        }
        match page.next_cursor {
            // A cursor that does not move would be read for ever.
            Some(next) if next > cursor => cursor = next,
            Some(next) => {
                return Err(unreadable(&request, &format!("page {cursor} leads to {next}")));
            }
            None => return Ok(rows),
        }
    }
}
