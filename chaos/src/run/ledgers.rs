//! Budgets as the platform tells of them while it runs.

use serde_json::Value;

use super::ask::{self, Of};
use super::field::Field;
use crate::experiment::probe::LedgerQuery;
use crate::load::Request;

/// Rows that are read of a page.
const PAGE: u64 = 1_000;

/// What is not as it has to be, a sentence each.
///
/// # Errors
/// The platform does not tell of a budget.
pub async fn wrong(field: &Field, query: LedgerQuery, of: Of) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for account in &field.names.accounts {
        let bidding = account.bidding.iter().map(|it| &it.name);
        for campaign in account.campaigns.iter().chain(bidding) {
            all.push(asked(field, query, of, &account.name, campaign));
        }
    }
    let told = futures_util::future::join_all(all).await;
    Ok(ask::counted(of, told)?.into_iter().flatten().collect())
}

/// Asks the first node, and where that is not needed the next ones until one answers.
async fn asked(
    field: &Field,
    query: LedgerQuery,
    of: Of,
    account: &str,
    campaign: &str,
) -> Result<Option<String>, String> {
    let bases = &field.cluster.urls.shield;
    let most = if of == Of::All { 1 } else { bases.len() };
    let mut told = Err("there is no node".to_owned());
    for base in bases.iter().take(most) {
        told = ask::in_time(of, one(field, query, base, account, campaign)).await;
        if told.is_ok() {
            break;
        }
    }
    told
}

async fn one(
    field: &Field,
    query: LedgerQuery,
    base: &str,
    account: &str,
    campaign: &str,
) -> Result<Option<String>, String> {
    let request = Request::get(format!("/api/v1/budget/{campaign}")).of(account);
    let told = field.cluster.json(base, &request).await?;
    let amount = |name: &str| -> Result<i64, String> {
        let value = told.get(name).and_then(Value::as_f64);
        // Amounts of a load are far below what a float holds exactly in micros.
        value
            .map(|units| (units * 1e6).round() as i64)
            .ok_or_else(|| format!("the budget of {campaign} has no {name}"))
    };
    let (budget, spent, held, remaining) =
        (amount("budget")?, amount("spent")?, amount("held")?, amount("remaining")?);
    let wrong = match query {
        LedgerQuery::Sums => (budget != spent + held + remaining).then(|| {
            format!("{campaign}: {budget} is not {spent} + {held} + {remaining} (micros)")
        }),
        // What was spent elsewhere may exceed a budget: only what was granted here must not.
        LedgerQuery::Overspent if spent + held > budget => {
            let settled = settled(field, base, account, campaign).await?;
            (settled + held > budget)
                .then(|| format!("{campaign}: {settled} + {held} of {budget} (micros)"))
        }
        LedgerQuery::Overspent => None,
        LedgerQuery::Dense => dense(field, base, account, campaign).await?,
    };
    Ok(wrong)
}

/// What holds have settled, in micros.
async fn settled(field: &Field, base: &str, account: &str, campaign: &str) -> Result<i64, String> {
    let (mut cursor, mut sum) = (0, 0);
    loop {
        let path = format!("/api/v1/budget/{campaign}/ledger?limit={PAGE}&cursor={cursor}");
        let page = field.cluster.json(base, &Request::get(path).of(account)).await?;
        for row in page.get("rows").and_then(Value::as_array).into_iter().flatten() {
            if row.get("kind").and_then(Value::as_str) == Some("settle") {
                let amount = row.get("amount").and_then(Value::as_f64).unwrap_or_default();
                sum += (amount * 1e6).round() as i64;
            }
        }
        match page.get("next_cursor").and_then(Value::as_i64) {
            Some(next) if next > cursor => cursor = next,
            Some(_) | None => return Ok(sum),
        }
    }
}

async fn dense(
    field: &Field,
    base: &str,
    account: &str,
    campaign: &str,
) -> Result<Option<String>, String> {
    let (mut cursor, mut next_seq) = (0, 1);
    loop {
        let path = format!("/api/v1/budget/{campaign}/ledger?limit={PAGE}&cursor={cursor}");
        let page = field.cluster.json(base, &Request::get(path).of(account)).await?;
        for row in page.get("rows").and_then(Value::as_array).into_iter().flatten() {
            let seq = row.get("seq").and_then(Value::as_i64).unwrap_or_default();
            if seq != next_seq {
                return Ok(Some(format!("{campaign}: row {seq} comes after {}", next_seq - 1)));
            }
            next_seq += 1;
        }
        match page.get("next_cursor").and_then(Value::as_i64) {
            Some(next) if next > cursor => cursor = next,
            Some(_) | None => return Ok(None),
        }
    }
}
