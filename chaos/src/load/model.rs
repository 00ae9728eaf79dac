//! Customers with purchases, and a model of what they are worth, for experiments that strike forecasts.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::http::Http;
use super::http::Request;
use super::kind::Kind;
use super::prepare::{failed, made};
use super::random::Stream;
use super::run::LoadError;

/// Customers of each account: more than a fit asks for.
pub const CUSTOMERS: usize = 400;
/// How long a fit of so many may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often one is ordered anew.
const FITS: usize = 4;
const PAUSE: Duration = Duration::from_millis(250);
/// First purchases were made in these days before today; what a fit is scored on comes after.
const FIRST: f64 = 300.0;
/// Purchases a day of one who is a customer still, and the chance of one day to be the last: a purchase in four weeks, a
/// customer for five months.
const PURCHASES: f64 = 1.0 / 28.0;
const ENDS: f64 = 1.0 / 150.0;
/// Purchases are the same in every run.
const SEED: u64 = 0x006b_696b_6963_6c76;

/// What a customer is called.
pub fn customer(account: &str, number: usize) -> Box<str> {
    format!("{account}-v{number}").into()
}

#[derive(Deserialize)]
struct Fit {
    id: String,
    state: String,
    ended_at: Option<String>,
    model: Option<String>,
    error: Option<String>,
}

/// Tells the platform of purchases, has a model fitted to them, and makes it the one that answers.
///
/// # Errors
/// The platform does not take it, or the fit comes to nothing.
pub async fn make(
    http: &Http,
    value: &[String],
    account: &str,
    number: u32,
) -> Result<(), LoadError> {
    let import =
        Request::post("/api/v1/ltv/transactions").of(account).json(purchases(account, number));
    let Some(base) = value.first() else {
        return Err(failed(&import, "there is no address of value".to_owned()));
    };
    let import = import.key(&format!("{account}-purchases"));
    made(http, base, &import, &[200]).await?;
    let mut model = None;
    for _ in 0..FITS {
        model = fitted(http, base, account).await?;
        if model.is_some() {
            break;
        }
    }
    let Some(model) = model else {
        return Err(failed(&import, format!("{FITS} fits were forgotten by the platform")));
    };
    let promote = Request::post(format!("/api/v1/ltv/models/{model}/promote")).of(account);
    let promote =
        promote.json(r#"{"force":true,"reason":"an experiment needs a model"}"#.to_owned());
    made(http, base, &promote, &[200]).await.map(drop)
}

/// Orders a fit and waits for its end. None: nobody knows of it any more, as where its account has moved to another node.
async fn fitted(http: &Http, base: &str, account: &str) -> Result<Option<String>, LoadError> {
    let order = Request::post("/api/v1/ltv/fits").of(account);
    let order = order.json(r#"{"model":"bg-nbd","horizon_days":90}"#.to_owned());
    let mut fit: Fit = read(&order, &made(http, base, &order, &[202]).await?)?;
    let until = Instant::now() + PATIENCE;
    let look = Request::get(format!("/api/v1/ltv/fits/{}", fit.id)).of(account);
    while fit.ended_at.is_none() {
        if Instant::now() >= until {
            return Err(failed(&look, format!("the fit is {} after {PATIENCE:?}", fit.state)));
        }
        tokio::time::sleep(PAUSE).await;
        match http.send(base, &look).await {
            Ok(reply) if reply.status == 200 => fit = read(&look, &reply.body)?,
            Ok(reply) if reply.status == 404 => return Ok(None),
            // It is asked again.
            Ok(_) | Err(_) => {}
        }
    }
    match fit.model {
        Some(model) => Ok(Some(model)),
        None => {
            let why = fit.error.unwrap_or_default();
            Err(failed(&look, format!("the fit ended {}: {why}", fit.state)))
        }
    }
}

fn read(request: &Request, body: &[u8]) -> Result<Fit, LoadError> {
    serde_json::from_slice(body).map_err(|error| failed(request, error.to_string()))
}

/// A body of an import: customers that buy as a Poisson process until they leave.
fn purchases(account: &str, number: u32) -> String {
    let mut stream = Stream::of(SEED, Kind::Admin, number);
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let mut rows = Vec::new();
    for n in 0..CUSTOMERS {
        let who = customer(account, n);
        let mut ago = FIRST * stream.part() + 1.0;
        let ends = ago - stream.gap(ENDS).as_secs_f64();
        for k in 0.. {
            let date = today.saturating_sub(jiff::Span::new().days(ago as i64));
            let amount = stream.amount(500, 8_000);
            rows.push(format!(
                r#"{{"customer_id":"{who}","date":"{date}","amount":{}.{:02},"transaction_id":"{who}-{k}"}}"#,
                amount / 100,
                amount % 100
            ));
            ago -= stream.gap(PURCHASES).as_secs_f64().max(1.0);
            if ago < ends.max(1.0) {
                break;
            }
        }
    }
    format!(r#"{{"transactions":[{}]}}"#, rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purchases_are_enough_for_a_fit_and_the_same_every_time() {
        let text = purchases("a", 0);
        assert_eq!(text, purchases("a", 0));
        assert_ne!(text, purchases("a", 1));
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        let rows = body["transactions"].as_array().unwrap();
        assert!((CUSTOMERS + 200..10_000).contains(&rows.len()), "{}", rows.len());
        let repeated =
            rows.iter().filter(|row| row["transaction_id"].as_str().unwrap().ends_with("-1"));
        assert!(repeated.count() > CUSTOMERS / 4);
        let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
        for row in rows {
            let date: jiff::civil::Date = row["date"].as_str().unwrap().parse().unwrap();
            assert!(date < today && row["amount"].as_f64().unwrap() >= 5.0, "{row}");
        }
    }
}
