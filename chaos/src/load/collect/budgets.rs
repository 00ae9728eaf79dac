//! Budgets, when nothing is held any more.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{CollectError, PAUSE, Reader, unreadable};
use crate::history::{BudgetAtEnd, Micros};
use crate::load::decimal;
use crate::load::http::Request;
use crate::load::names::Names;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    budget: &'a RawValue,
    #[serde(borrow)]
    spent: &'a RawValue,
    #[serde(borrow)]
    refunded: &'a RawValue,
    #[serde(borrow)]
    held: &'a RawValue,
    #[serde(borrow)]
    escrow: &'a RawValue,
    #[serde(borrow)]
    remaining: &'a RawValue,
    ledger_seq: i64,
}

/// Each budget when it holds nothing any more, and those that go on holding something as they are then.
pub(super) async fn read(
    reader: &Reader<'_>,
    names: &Names,
    patience: Duration,
) -> Result<Vec<BudgetAtEnd>, CollectError> {
    let until = Instant::now() + patience;
    let mut budgets = Vec::new();
    for account in &names.accounts {
        let bidding = account.bidding.iter().map(|bidding| &bidding.name);
        for campaign in account.campaigns.iter().chain(bidding) {
            let end = loop {
                let end = budget(reader, &account.name, campaign).await?;
                if end.held + end.escrow == 0 || Instant::now() >= until {
                    break end;
                }
                tokio::time::sleep(PAUSE).await;
            };
            budgets.push(end);
        }
    }
    Ok(budgets)
}

/// Budgets of which more is booked than before.
pub(super) fn moved(before: &[BudgetAtEnd], after: &[BudgetAtEnd]) -> Vec<String> {
    let pairs = before.iter().zip(after).filter(|(was, is)| was.ledger_seq != is.ledger_seq);
    pairs.map(|(_, is)| format!("{} of {}", is.campaign, is.account)).collect()
}

async fn budget(
    reader: &Reader<'_>,
    account: &str,
    campaign: &str,
) -> Result<BudgetAtEnd, CollectError> {
    let request = Request::get(format!("/api/v1/budget/{campaign}")).of(account);
    let body = reader.body(&request).await?;
    let body: Body<'_> = serde_json::from_slice(&body).map_err(|e| unreadable(&request, &e))?;
    let amount = |raw: &RawValue| -> Result<Micros, CollectError> {
        decimal::parse(raw.get())
            .ok_or_else(|| unreadable(&request, &format!("{raw} is no amount")))
    };
    Ok(BudgetAtEnd {
        account: account.into(),
        campaign: campaign.into(),
        budget: amount(body.budget)?,
        spent: amount(body.spent)?,
        refunded: amount(body.refunded)?,
        held: amount(body.held)?,
        escrow: amount(body.escrow)?,
        remaining: amount(body.remaining)?,
        ledger_seq: body.ledger_seq,
    })
}
