//! Purchases in JSON.

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::take::{Keyed, Line, all_or_nothing, take};
use super::{ImportBody, TRANSACTIONS_MAX, Terms};
use crate::actors::value::customer::{NewPurchase, NotTaken, REFERENCE_BYTES_MAX, Source};
use crate::actors::value::today;
use crate::api::body::{self, Call, fields};
use crate::api::problem::Problem;
use crate::api::value::{App, common};
use crate::models::shield::money::Currency;
use crate::models::value::log::day::Day;

fields!(ImportFields { transactions, account } only);
fields!(RowFields { customer_id, date, amount, currency, transaction_id } only);

pub async fn import(
    app: &App,
    strict: bool,
    Call { headers, json }: Call,
) -> Result<ImportBody, Problem> {
    let f: ImportFields = json.fields()?;
    let account = common::account(&app.value, &headers, f.account)?.into_owned();
    let key = body::idempotency_key(&headers)?.map(str::to_owned);
    let raw = f.transactions.ok_or_else(|| Problem::missing("transactions"))?;
    let rows: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Problem::field("transactions", "is not a list"))?;
    if rows.is_empty() || rows.len() > TRANSACTIONS_MAX {
        let why = format!("is not 1 to {TRANSACTIONS_MAX} purchases");
        return Err(Problem::field("transactions", why));
    }
    let terms = Terms { account, key, strict };
    let mut body = Sha256::new();
    body.update(if strict { b"strict" } else { b"simple" });
    body.update(&json.0);
    let keyed = Keyed::begin(app, &terms).await?;
    if let Some(keyed) = keyed.as_ref().filter(|keyed| keyed.is_known()) {
        return keyed.again(&body);
    }
    // whether there is such an account is known before anything is taken
    let serving = app.value.serving(&terms.account).await.map_err(common::failed)?;
    let mut source = Source::new(terms.key.as_deref());
    let (mut lines, mut done, today) =
        (Vec::with_capacity(rows.len()), ImportBody::default(), today());
    for (line, raw) in (1..).zip(rows) {
        match read(raw, line, (today, serving.currency), &mut source) {
            Ok(row) => lines.push(row),
            Err(why) => done.reject(line, why),
        }
    }
    if terms.strict {
        all_or_nothing(&app.value, &terms.account, &lines, &mut done).await?;
    }
    take(&app.value, &terms.account, lines, keyed.as_ref(), &mut done).await?;
    if let Some(keyed) = keyed {
        keyed.keep(&app.value, &terms.account, body, &done).await?;
    }
    Ok(done)
}

/// One purchase, or what is wrong with it.
fn read(
    raw: &RawValue,
    line: u64,
    (today, own): (Day, Currency),
    source: &mut Source,
) -> Result<Line, String> {
    let said = |problem: Problem| problem.detail().to_owned();
    let f: RowFields = serde_json::from_str(raw.get())
        .map_err(|error| said(body::unreadable(raw.get(), &error)))?;
    let text = |field: &str, raw: body::Raw<'_>, most: usize| {
        let raw = raw.ok_or_else(|| Problem::missing(field))?;
        body::text(field, raw, most).map(|text| text.into_owned())
    };
    let customer = text("customer_id", f.customer_id, usize::MAX).map_err(said)?;
    common::check_customer("customer_id", &customer).map_err(said)?;
    let date = text("date", f.date, 64).map_err(said)?;
    let day =
        Day::any(&date).map_err(|_| "date is none, or not between 1900 and 2199".to_owned())?;
    if day > today {
        return Err("date is in the future".to_owned());
    }
    let amount = body::amount("amount", f.amount).and_then(|a| body::positive("amount", a, true));
    let amount = amount.map_err(said)?.0;
    let currency = body::opt_currency("currency", f.currency).map_err(said)?;
    if currency.is_some_and(|currency| currency != own) {
        return Err(NotTaken::CurrencyMix.to_string());
    }
    let reference = match f.transaction_id {
        None => None,
        Some(raw) => {
            let id = body::text("transaction_id", raw, REFERENCE_BYTES_MAX).map_err(said)?;
            if id.is_empty() || id.len() > REFERENCE_BYTES_MAX {
                return Err(format!("transaction_id is not 1 to {REFERENCE_BYTES_MAX} bytes"));
            }
            Some(id.into_owned())
        }
    };
    let named = currency.map_or(String::new(), |c| c.to_string());
    let said = (customer.as_str(), day.number(), amount, named.as_str());
    let id = source.id(reference.as_deref(), line, said).map_err(|why| why.to_string())?;
    let purchase = NewPurchase { id, reference, day, amount, currency };
    Ok(Line { line, customer, purchase })
}
