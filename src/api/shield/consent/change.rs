//! Granting and revoking.

use axum::extract::State;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{bytes_of, check_customer, failed, kind};
use crate::api::access::caller;
use crate::api::body::{self, CallOrQuery, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::shield::spend::query_value;
use crate::api::shield::{App, Ctx, common};
use crate::models::shield::consent::change::{Command, Origin};
use crate::models::shield::consent::kind::{Kind, Label, LegalBasis};

/// Characters of a text that was shown.
const SHOWN_CHARS_MAX: usize = 16_384;

/// What a customer decided.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body")]
pub struct ConsentBody {
    /// The caller's id of the customer: 1 to 256 characters.
    #[schema(example = "cust_123", min_length = 1, max_length = 256)]
    customer_id: String,
    /// marketing, analytics, targeting, profiling or data_sharing.
    #[schema(example = "marketing")]
    consent_type: String,
    /// GDPR Art. 6(1): consent (if not given), contract, legal_obligation, vital_interests,
    /// public_task or legitimate_interests. Of a grant only.
    legal_basis: Option<String>,
    /// Where it was said; `api` if not given. Nothing personal.
    #[schema(max_length = 128)]
    source: Option<String>,
    /// The version of the text or the form.
    #[schema(max_length = 128)]
    version: Option<String>,
    /// The text that was shown: kept under the customer's key, its SHA-256 in the history.
    #[schema(max_length = 16384)]
    proof: Option<String>,
    /// The account, if not that of the caller.
    account: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ConsentChanged {
    /// granted or revoked.
    status: &'static str,
    message: String,
    consent_type: &'static str,
    /// It was so already: nothing changed.
    replayed: bool,
    /// Number of the newest change of this customer.
    seq: u64,
}

fields!(ConsentFields { customer_id, consent_type, legal_basis, source, version, proof, account } only);

/// A decision as it was sent, in the body or in the query.
struct Decision {
    account: String,
    customer: String,
    kind: Kind,
    basis: LegalBasis,
    origin: Origin,
    shown: Option<String>,
}

fn read(app: &App, call: &CallOrQuery) -> Result<Decision, Problem> {
    let Some(json) = &call.json else { return read_query(app, call) };
    let fields: ConsentFields = json.fields()?;
    let account = common::account(app, &call.headers, fields.account)?.into_owned();
    let raw = fields.customer_id.ok_or_else(|| Problem::missing("customer_id"))?;
    let customer = body::text("customer_id", raw, usize::MAX)?.into_owned();
    check_customer("customer_id", &customer)?;
    let raw = fields.consent_type.ok_or_else(|| Problem::missing("consent_type"))?;
    let kind = kind("consent_type", &body::text("consent_type", raw, 64)?)?;
    let basis = match fields.legal_basis {
        None => LegalBasis::default(),
        Some(raw) => LegalBasis::parse(&body::text("legal_basis", raw, 64)?)
            .ok_or_else(|| Problem::field("legal_basis", "is none of GDPR Art. 6(1)"))?,
    };
    let shown = match fields.proof {
        None => None,
        Some(raw) => Some(shown(raw)?),
    };
    let origin = Origin {
        source: label("source", fields.source)?.unwrap_or(named("api")?),
        version: label("version", fields.version)?,
        proof: shown.as_deref().map(|text| named(&sha256(text))).transpose()?,
        shown_bytes: shown.as_deref().map_or(0, bytes_of),
    };
    Ok(Decision { account, customer, kind, basis, origin, shown })
}

fn read_query(app: &App, call: &CallOrQuery) -> Result<Decision, Problem> {
    let value = |name: &str| query_value(&call.query, name);
    let customer = value("customer_id").ok_or_else(|| Problem::missing("customer_id"))?;
    check_customer("customer_id", &customer)?;
    let of = value("type").or_else(|| value("consent_type"));
    let kind = kind("type", &of.ok_or_else(|| Problem::missing("type"))?)?;
    let account = common::account(app, &call.headers, None)?.into_owned();
    let origin = Origin { source: named("api")?, version: None, proof: None, shown_bytes: 0 };
    Ok(Decision { account, customer, kind, basis: LegalBasis::default(), origin, shown: None })
}

/// A text that was shown may have lines.
fn shown(raw: &serde_json::value::RawValue) -> Result<String, Problem> {
    let text: String =
        serde_json::from_str(raw.get()).map_err(|_| Problem::field("proof", "is not a string"))?;
    match text.chars().count() {
        0 => Err(Problem::field("proof", "is empty")),
        1..=SHOWN_CHARS_MAX => Ok(text),
        _ => Err(Problem::field("proof", format!("has more than {SHOWN_CHARS_MAX} characters"))),
    }
}

fn label(field: &str, raw: body::Raw<'_>) -> Result<Option<Label>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    let text = body::text(field, raw, usize::MAX)?;
    Label::new(&text).map(Some).map_err(|why| Problem::field(field, why))
}

fn named(text: &str) -> Result<Label, Problem> {
    Label::new(text).map_err(|why| Problem::field("source", why))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn changed(
    app: &App,
    decision: Decision,
    grant: bool,
) -> Result<axum::Json<ConsentChanged>, Problem> {
    let Decision { account, customer, kind, basis, origin, shown } = decision;
    common::known_account(app, &account).await?;
    let command = match grant {
        true => Command::Grant { kind, legal_basis: basis, origin },
        false => Command::Revoke { kind, origin },
    };
    let actor = caller().name.clone();
    let people = app.shield.people();
    let done = people.change(&account, &customer, command, shown, &actor).await.map_err(failed)?;
    let (status, verb) = if grant { ("granted", "granted") } else { ("revoked", "revoked") };
    Ok(axum::Json(ConsentChanged {
        status,
        message: format!("Consent for {} {verb}", kind.as_str()),
        consent_type: kind.as_str(),
        replayed: done.changes.is_empty(),
        seq: done.consents.seq(),
    }))
}

/// Grant a consent
///
/// With a JSON body, or without one and `customer_id` and `type` in the query. The same said again
/// changes nothing (`replayed`), so it takes no `Idempotency-Key`.
#[utoipa::path(post, path = "/consent/grant", tag = "consent", request_body = ConsentBody,
    params(
        ("customer_id" = Option<String>, Query, description = "Without a body"),
        ("type" = Option<String>, Query, description = "Without a body")),
    responses((status = 200, body = ConsentChanged), Problems))]
pub async fn grant(
    State(app): Ctx,
    call: CallOrQuery,
) -> Result<axum::Json<ConsentChanged>, Problem> {
    changed(&app, read(&app, &call)?, true).await
}

/// Revoke a consent
///
/// Answered when nobody goes by the consent any more: at most two seconds after it is durable. It is
/// taken whatever else stands: a restriction, a full history, an erasure under way. The same said again
/// changes nothing (`replayed`), so it takes no `Idempotency-Key`.
#[utoipa::path(post, path = "/consent/revoke", tag = "consent", request_body = ConsentBody,
    params(
        ("customer_id" = Option<String>, Query, description = "Without a body"),
        ("type" = Option<String>, Query, description = "Without a body")),
    responses((status = 200, body = ConsentChanged), Problems))]
pub async fn revoke(
    State(app): Ctx,
    call: CallOrQuery,
) -> Result<axum::Json<ConsentChanged>, Problem> {
    changed(&app, read(&app, &call)?, false).await
}
