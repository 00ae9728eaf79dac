//! Where customers stand.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::{check_customer, failed, kind};
use crate::actors::shield::view::rfc3339;
use crate::api::access::caller;
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::shield::{App, Ctx, common};
use crate::models::shield::consent::change::Change;
use crate::models::shield::consent::kind::Kind;
use crate::models::shield::consent::state::{Consents, Verdict};

/// One consent type of one customer.
#[derive(Serialize, ToSchema)]
pub struct ConsentStatus {
    /// granted, revoked or unknown.
    status: &'static str,
    granted_at: Option<String>,
    revoked_at: Option<String>,
    legal_basis: Option<&'static str>,
    version: Option<String>,
    source: Option<String>,
    /// SHA-256 of the text that was shown.
    proof: Option<String>,
    /// Whether it may be done now: a grant does not count while the customer has objected, opted
    /// out, or is restricted.
    allowed: bool,
    /// no_consent, revoked, restricted, objected or opted_out.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

fn status_of(consents: &Consents, kind: Kind) -> ConsentStatus {
    let standing = consents.standing(kind);
    let (allowed, reason) = match consents.allows(kind) {
        Verdict::Allowed => (true, None),
        Verdict::Denied(reason) => (false, Some(reason.as_str())),
    };
    ConsentStatus {
        status: standing.status.as_str(),
        granted_at: standing.granted_at.map(rfc3339),
        revoked_at: standing.revoked_at.map(rfc3339),
        legal_basis: standing.legal_basis.map(|basis| basis.as_str()),
        version: standing.version.as_ref().map(|v| v.as_str().to_owned()),
        source: standing.source.as_ref().map(|s| s.as_str().to_owned()),
        proof: standing.proof.as_ref().map(|p| p.as_str().to_owned()),
        allowed,
        reason,
    }
}

/// The customer that is asked for, and its account.
fn asked(
    app: &App,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<(String, String), Problem> {
    let customer = parameters.text("customer_id").ok_or_else(|| Problem::missing("customer_id"))?;
    check_customer("customer_id", &customer)?;
    Ok((common::account(app, headers, None)?.into_owned(), customer))
}

/// Show what a customer allows, by type
#[utoipa::path(get, path = "/consent/status", tag = "consent",
    params(("customer_id" = String, Query, example = "cust_123")),
    responses((status = 200, body = BTreeMap<String, ConsentStatus>), Problems))]
pub async fn status(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<BTreeMap<&'static str, ConsentStatus>>, Problem> {
    let (account, customer) = asked(&app, &headers, &parameters)?;
    common::known_account(&app, &account).await?;
    let seen = app.shield.people().look(&account, &customer).await.map_err(failed)?;
    let all = Kind::ALL.map(|kind| (kind.as_str(), status_of(&seen.consents, kind)));
    Ok(axum::Json(BTreeMap::from(all)))
}

/// May it be done?
#[derive(Serialize, ToSchema)]
pub struct ConsentChecked {
    allowed: bool,
    consent_type: &'static str,
    /// no_consent, revoked, restricted, objected or opted_out.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Ask before something is sent to, or targeted at, a customer
///
/// What is answered holds for two seconds at most after the customer says otherwise. A refusal is
/// counted in the audit log.
#[utoipa::path(get, path = "/api/v1/consent/check", tag = "consent",
    params(("customer_id" = String, Query, example = "cust_123"),
        ("type" = String, Query, example = "marketing")),
    responses((status = 200, body = ConsentChecked), Problems))]
pub async fn check(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<ConsentChecked>, Problem> {
    let text = parameters.text("type").ok_or_else(|| Problem::missing("type"))?;
    let kind = kind("type", &text)?;
    let (account, customer) = asked(&app, &headers, &parameters)?;
    common::known_account(&app, &account).await?;
    let people = app.shield.people();
    let asked = people.allows(&account, &customer, kind).await.map_err(failed)?;
    let reason = if asked.allowed {
        None
    } else {
        // What is remembered is yes or no. A customer who has allowed it just now is told of by the
        // next answer.
        let seen = people.look(&account, &customer).await.map_err(failed)?;
        Some(status_of(&seen.consents, kind).reason.unwrap_or("no_consent"))
    };
    app.shield.consent_asked(&account, &caller().name, kind, reason);
    Ok(axum::Json(ConsentChecked { allowed: asked.allowed, consent_type: kind.as_str(), reason }))
}

/// One change, as it was made.
#[derive(Serialize, ToSchema)]
pub struct HistoryLine {
    seq: u64,
    at: String,
    /// granted, revoked, objected, opted_out, restricted or lifted.
    action: &'static str,
    /// Nothing where it is about the whole customer.
    consent_type: Option<&'static str>,
    legal_basis: Option<&'static str>,
    source: String,
    version: Option<String>,
    proof: Option<String>,
    /// The text that was shown, if it was told.
    shown: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct History {
    /// The random id under which the audit log knows the customer; nothing if it is not known.
    person: Option<String>,
    restricted: bool,
    changes: Vec<HistoryLine>,
}

/// Show a customer's whole history
#[utoipa::path(get, path = "/api/v1/consent/history", tag = "consent",
    params(("customer_id" = String, Query, example = "cust_123")),
    responses((status = 200, body = History), Problems))]
pub async fn history(
    State(app): Ctx,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<axum::Json<History>, Problem> {
    let (account, customer) = asked(&app, &headers, &parameters)?;
    common::known_account(&app, &account).await?;
    let seen = app.shield.people().look(&account, &customer).await.map_err(failed)?;
    let restricted = seen.consents.restricted();
    let Some(person) = seen.person else {
        return Ok(axum::Json(History { person: None, restricted, changes: Vec::new() }));
    };
    let rows = app.shield.people().history(&account, &person).await.map_err(failed)?;
    let changes = rows
        .into_iter()
        .map(|(change, shown)| line(change, shown))
        .collect::<Result<_, Problem>>()?;
    Ok(axum::Json(History { person: Some(person), restricted, changes }))
}

fn line(change: Change, shown: Option<String>) -> Result<HistoryLine, Problem> {
    if change.seq == 0 {
        return Err(Problem::new(Code::Internal, "a change has no number"));
    }
    Ok(HistoryLine {
        seq: change.seq,
        at: rfc3339(change.at),
        action: change.action.as_str(),
        consent_type: change.kind.map(Kind::as_str),
        legal_basis: change.legal_basis.map(|basis| basis.as_str()),
        source: change.source.as_str().to_owned(),
        version: change.version.map(|v| v.as_str().to_owned()),
        proof: change.proof.map(|p| p.as_str().to_owned()),
        shown,
    })
}
