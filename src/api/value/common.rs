//! What the handlers of SyncValue share, those of gRPC too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::shield::person::CUSTOMER_CHARS_MAX;
use crate::actors::value::{Answer, Serving, Value, ValueError, fit, metrics, registry};
use crate::api::access;
use crate::api::body::{self, Raw};
use crate::api::problem::{Code, Problem};
use crate::json;
use crate::models::shield::money::Currency;
use crate::models::value::forecast::hint::Hint;
use crate::models::value::forecast::terms::HORIZON_DAYS_MAX;
use crate::models::value::registry::command::{Objection, Reason, Refusal};

/// The name of this service in scopes.
pub const SERVICE: &str = "value";

/// The account that a request speaks for: its body's, its header's, the caller's only one, or the
/// default one. Refused where the caller may not use it.
pub fn account<'a>(
    value: &'a Value,
    headers: &'a HeaderMap,
    raw: Raw<'a>,
) -> Result<Cow<'a, str>, Problem> {
    let named = match raw {
        Some(_) => Some(body::name("account", raw)?),
        None => body::account(headers)?.map(Cow::Borrowed),
    };
    access::account_for(SERVICE, named, &value.terms().default_account)
}

/// Who asks, for the registry's history.
pub fn by() -> Reason {
    let name = access::caller().name.to_string();
    let nobody = || Reason::try_from("nobody".to_owned());
    // names of callers are short; what is none is nobody's
    Reason::try_from(name).or_else(|_| nobody()).unwrap_or_else(|_| unreachable!("it is a text"))
}

pub fn check_customer(field: &str, customer: &str) -> Result<(), Problem> {
    match customer.chars().count() {
        0 => Err(Problem::field(field, "is empty")),
        1..=CUSTOMER_CHARS_MAX if !customer.chars().any(char::is_control) => Ok(()),
        1..=CUSTOMER_CHARS_MAX => Err(Problem::field(field, "has control characters")),
        _ => Err(Problem::field(field, format!("has more than {CUSTOMER_CHARS_MAX} characters"))),
    }
}

/// A hint whose values are in their ranges.
pub fn hint(spend: Option<f64>, engagement: Option<f64>) -> Result<Hint, Problem> {
    let hint = Hint { spend, engagement };
    if spend.is_some() && hint.spend().is_none() {
        return Err(Problem::field("spend", "is not a number from 0 to 1e12"));
    }
    if engagement.is_some() && hint.engagement().is_none() {
        return Err(Problem::field("engagement_score", "is not a number from 0 to 1"));
    }
    Ok(hint)
}

pub fn check_horizon(field: &str, days: u64) -> Result<u32, Problem> {
    let days = u32::try_from(days).ok().filter(|days| (1..=HORIZON_DAYS_MAX).contains(days));
    days.ok_or_else(|| Problem::field(field, format!("is not 1 to {HORIZON_DAYS_MAX} days")))
}

/// A call that got no answer.
pub fn failed(error: ValueError) -> Problem {
    match error {
        ValueError::UnknownAccount => {
            Problem::new(Code::UnknownAccount, "there is no such account").at("account")
        }
        ValueError::Unavailable => {
            Problem::new(Code::StoreUnavailable, "the store is not available")
        }
        ValueError::Overloaded { retry_after_ms } => {
            Problem::new(Code::Overloaded, "too many requests wait").retry_after(retry_after_ms)
        }
        ValueError::Unanswered => Problem::new(Code::Unanswered, "no answer in time"),
        ValueError::Erased => {
            Problem::new(Code::Conflict, "the customer is being erased").at("customer_id")
        }
        ValueError::Claimed => Problem::new(Code::InProgress, error.to_string()),
        ValueError::KeyUsed => Problem::new(Code::IdempotencyMismatch, error.to_string()),
        ValueError::UnknownModel => {
            Problem::new(Code::UnknownModel, "there is no such version").at("model")
        }
        ValueError::Registry(declined) => refused(declined),
        ValueError::Fit(why) => match why {
            fit::NotTaken::Full => Problem::new(Code::Overloaded, why.to_string()),
            fit::NotTaken::Unknown => Problem::new(Code::NotFound, why.to_string()),
            fit::NotTaken::Over => Problem::new(Code::Conflict, why.to_string()),
        },
    }
}

fn refused(declined: registry::Declined) -> Problem {
    let refusal = match declined {
        registry::Declined::Refused(refusal) => refusal,
        registry::Declined::UnknownAccount => return failed(ValueError::UnknownAccount),
        registry::Declined::Unavailable => return failed(ValueError::Unavailable),
        other => return Problem::new(Code::Conflict, other.to_string()),
    };
    match refusal {
        Refusal::Unknown(_) => Problem::new(Code::UnknownModel, refusal.to_string()).at("model"),
        Refusal::Exists(_) => Problem::new(Code::AlreadyExists, refusal.to_string()),
        Refusal::Objected(objection) => Problem::new(Code::NotBetter, objected(&objection)),
        other => Problem::new(Code::Conflict, other.to_string()),
    }
}

/// What speaks against a promotion, in words.
fn objected(objection: &Objection) -> String {
    match objection {
        Objection::OtherHoldout => {
            "the challenger and the champion were scored on different holdouts, so nobody knows which \
             is better: fit the challenger again, which scores the champion of now beside it"
                .to_owned()
        }
        Objection::Worse(all) => {
            let each = all.iter().map(|worse| {
                let name = json::shown(&worse.measure);
                let name = name.as_str().unwrap_or("a measure").to_owned();
                let challenger =
                    worse.challenger.map_or("nothing".to_owned(), |c| format!("{c:.4}"));
                format!("{name} {challenger} against {:.4}", worse.champion)
            });
            let each: Vec<String> = each.collect();
            format!("the challenger is worse than the champion on the holdout: {}", each.join(", "))
        }
    }
}

/// One input's part in a forecast.
#[derive(Serialize, ToSchema)]
pub struct ContributionBody {
    pub feature: &'static str,
    /// In units of the currency.
    pub value: f64,
}

/// A forecast.
#[derive(Serialize, ToSchema)]
pub struct ForecastBody {
    pub customer_id: String,
    /// Expected spend within the horizon, in units of the currency.
    pub predicted_ltv: f64,
    /// The share of such customers whose spend was within the interval, 0 to 1; 0 where nobody
    /// knows.
    pub confidence: f64,
    pub lower_bound: f64,
    pub upper_bound: f64,
    /// Expected days with a purchase within the horizon.
    pub expected_purchases: f64,
    /// Probability of at least one purchase within the horizon.
    pub probability_active: f64,
    /// success, insufficient_data (no purchases are known) or fallback (a rule of thumb).
    pub status: &'static str,
    /// Absent where the rule of thumb answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    /// champion or challenger.
    pub arm: &'static str,
    /// What the typical customer is worth. With all contributions it adds up to predicted_ltv.
    pub baseline: f64,
    /// The largest first.
    pub contributions: Vec<ContributionBody>,
    pub horizon_days: u32,
    #[schema(value_type = String)]
    pub currency: Currency,
    /// Whether it was known already.
    pub cached: bool,
    pub inference_time_us: i64,
}

impl ForecastBody {
    pub fn of(customer: &str, answer: &Answer, serving: &Serving) -> ForecastBody {
        let forecast = &answer.forecast;
        ForecastBody {
            customer_id: customer.to_owned(),
            predicted_ltv: forecast.value,
            confidence: forecast.confidence,
            lower_bound: forecast.lower,
            upper_bound: forecast.upper,
            expected_purchases: forecast.purchases,
            probability_active: forecast.p_active,
            status: metrics::status_name(forecast.status),
            model_version: answer.model.as_ref().map(ToString::to_string),
            arm: metrics::arm_name(answer.arm),
            baseline: forecast.baseline,
            contributions: contributions(answer),
            horizon_days: answer.horizon_days,
            currency: serving.currency,
            cached: answer.cached,
            inference_time_us: answer.took_us,
        }
    }
}

/// The largest first; none where none were asked for.
pub fn contributions(answer: &Answer) -> Vec<ContributionBody> {
    let all = answer.forecast.contributions.iter().filter(|_| answer.explained);
    let mut all: Vec<ContributionBody> =
        all.map(|c| ContributionBody { feature: c.name, value: c.value }).collect();
    all.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
    all
}

/// The explanation of the documented call, as JSON.
pub fn explanation(answer: &Answer, serving: &Serving) -> String {
    let forecast = &answer.forecast;
    let contributions: BTreeMap<&str, f64> =
        forecast.contributions.iter().map(|c| (c.name, c.value)).collect();
    serde_json::json!({
        "contributions": contributions,
        "baseline": forecast.baseline,
        "lower_bound": forecast.lower,
        "upper_bound": forecast.upper,
        "expected_purchases": forecast.purchases,
        "probability_active": forecast.p_active,
        "horizon_days": answer.horizon_days,
        "currency": serving.currency,
        "model_version": answer.model,
        "status": metrics::status_name(forecast.status),
    })
    .to_string()
}
