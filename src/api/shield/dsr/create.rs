//! Taking a request.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use utoipa::ToSchema;

use super::{DsrView, failed};
use crate::actors::shield::dsr::{Asking, Keyed};
use crate::api::access::caller;
use crate::api::body::{self, Call, fields};
use crate::api::docs::Problems;
use crate::api::problem::Problem;
use crate::api::shield::consent::{check_customer, kind as purpose};
use crate::api::shield::{Ctx, common};
use crate::models::shield::consent::kind::{Kind as Purpose, KindSet};
use crate::models::shield::dsr::kind::Kind;
use crate::models::shield::dsr::request::{CORRECTIONS_MAX, Ground};
use crate::models::shield::entry::Op;

/// Characters of a corrected value.
const VALUE_CHARS_MAX: usize = 1_024;

/// What a customer asks for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body")]
pub struct DsrBody {
    #[schema(example = "cust_123", min_length = 1, max_length = 256)]
    customer_id: String,
    /// ACCESS, RECTIFICATION, DELETION, RESTRICTION, PORTABILITY, OBJECTION or OPT_OUT.
    #[schema(example = "ACCESS")]
    request_type: String,
    /// Whether you have made sure that it is the customer who asks; true if not given. With false
    /// nothing is done before `POST /api/v1/dsr/{id}/verify`.
    verified: Option<bool>,
    /// RECTIFICATION: values by name.
    corrections: Option<BTreeMap<String, String>>,
    /// OBJECTION and OPT_OUT: the consent types concerned; what is usual for the type if not given.
    consent_types: Option<Vec<String>>,
    /// RESTRICTION, GDPR Art. 18(1): accuracy_contested (if not given), unlawful_processing,
    /// legal_claims or objection_pending.
    ground: Option<String>,
    account: Option<String>,
}

fields!(DsrFields {
    customer_id, request_type, verified, corrections, consent_types, ground, account
} only);

/// Take a data-subject request
///
/// It acts at once: look at it with `GET /api/v1/dsr/{id}`. Takes an `Idempotency-Key`.
#[utoipa::path(post, path = "/dsr/create", tag = "data-subject requests", request_body = DsrBody,
    responses((status = 201, description = "Taken", body = DsrView),
        (status = 200, description = "Taken by an earlier request with this key", body = DsrView), Problems))]
pub async fn create(
    State(app): Ctx,
    call: Call,
) -> Result<(StatusCode, axum::Json<DsrView>), Problem> {
    let fields: DsrFields = call.json.fields()?;
    let account = common::account(&app, &call.headers, fields.account)?.into_owned();
    let raw = fields.customer_id.ok_or_else(|| Problem::missing("customer_id"))?;
    let customer = body::text("customer_id", raw, usize::MAX)?.into_owned();
    check_customer("customer_id", &customer)?;
    let raw = fields.request_type.ok_or_else(|| Problem::missing("request_type"))?;
    let text = body::text("request_type", raw, 64)?;
    let kind = Kind::parse(&text).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::as_str).join(", ");
        Problem::field("request_type", format!("is not one of {names}"))
    })?;
    let verified = match fields.verified {
        None => true,
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| Problem::field("verified", "is not true or false"))?,
    };
    let corrections = corrections(kind, fields.corrections)?;
    let purposes = purposes(kind, fields.consent_types)?;
    let ground = match fields.ground {
        None => Ground::AccuracyContested,
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|_| Problem::field("ground", "is none of GDPR Art. 18(1)"))?,
    };
    let keyed = body::idempotency_key(&call.headers)?.map(|key| Keyed {
        op: Op::of(&[account.as_str(), "dsr/create", key]),
        body: String::from_utf8_lossy(&call.json.0).into_owned(),
    });
    common::known_account(&app, &account).await?;
    let who = caller().name.to_string();
    let asking =
        Asking { account, customer, kind, corrections, purposes, ground, verified, who, keyed };
    let (request, again) = app.shield.requests().create(asking).await.map_err(failed)?;
    let status = if again { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, axum::Json(DsrView::of(&request))))
}

fn corrections(kind: Kind, raw: body::Raw<'_>) -> Result<BTreeMap<String, String>, Problem> {
    let wanted = kind == Kind::Rectification;
    let Some(raw) = raw else {
        return if wanted { Err(Problem::missing("corrections")) } else { Ok(BTreeMap::new()) };
    };
    if !wanted {
        return Err(Problem::field("corrections", "go with RECTIFICATION alone"));
    }
    let values: BTreeMap<String, String> = serde_json::from_str(raw.get())
        .map_err(|_| Problem::field("corrections", "is not an object of strings"))?;
    if values.is_empty() || values.len() > CORRECTIONS_MAX {
        return Err(Problem::field("corrections", format!("are not 1 to {CORRECTIONS_MAX}")));
    }
    for (name, value) in &values {
        body::check_name(&format!("corrections.{}", short(name)), name)?;
        if value.chars().count() > VALUE_CHARS_MAX || value.chars().any(char::is_control) {
            return Err(Problem::field(
                format!("corrections.{name}"),
                format!("has more than {VALUE_CHARS_MAX} characters, or control characters"),
            ));
        }
    }
    Ok(values)
}

/// Of a name that is none, enough to find it.
fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(32).collect()
}

fn purposes(kind: Kind, raw: body::Raw<'_>) -> Result<BTreeSet<Purpose>, Problem> {
    let usual = match kind {
        Kind::Objection => KindSet::DIRECT_MARKETING,
        Kind::OptOut => KindSet::OPT_OUT,
        _ => KindSet::EMPTY,
    };
    let Some(raw) = raw else { return Ok(usual.iter().collect()) };
    if usual.is_empty() {
        return Err(Problem::field("consent_types", "go with OBJECTION and OPT_OUT alone"));
    }
    let names: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| Problem::field("consent_types", "is not a list of names"))?;
    if names.is_empty() || names.len() > Purpose::ALL.len() {
        return Err(Problem::field("consent_types", "is not 1 to 5 types"));
    }
    names.iter().map(|name| purpose("consent_types", name)).collect()
}
