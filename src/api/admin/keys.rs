//! API keys: who may call. Nobody sees, makes or revokes a key that gives more than he has himself.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{Admin, Ctx};
use crate::access::{KeyError, NewKey, keys};
use crate::actors::shield::view::rfc3339;
use crate::api::access::caller;
use crate::api::body::{self, Json, Raw, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::clock;
use crate::models::access::{KeyId, Role, Scopes, Stored};

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
pub struct KeyBody {
    /// Its visible part: the key begins with `kiki_` and this.
    #[schema(example = "ab12cd34")]
    id: String,
    name: String,
    /// viewer, exchange, operator, chaos or admin.
    role: &'static str,
    /// Grants such as `shield:acme`; `*` is everything.
    scopes: Vec<String>,
    /// live, expired or revoked.
    state: &'static str,
    /// RFC 3339.
    created_at: String,
    created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl KeyBody {
    fn of(key: &Stored, now_us: i64) -> KeyBody {
        KeyBody {
            id: key.id.to_string(),
            name: key.name.clone(),
            role: key.role.as_str(),
            scopes: key.scopes.grants().iter().map(ToString::to_string).collect(),
            state: state(key, now_us),
            created_at: rfc3339(key.created_at),
            created_by: key.created_by.clone(),
            expires_at: key.expires_at.map(rfc3339),
            revoked_at: key.revoked_at.map(rfc3339),
        }
    }
}

/// live, expired or revoked.
fn state(key: &Stored, now_us: i64) -> &'static str {
    match keys::is_live(key, now_us) {
        true => "live",
        false if key.revoked_at.is_some() => "revoked",
        false => "expired",
    }
}

/// A page of keys.
#[derive(Serialize, ToSchema)]
pub struct KeyPage {
    keys: Vec<KeyBody>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List the API keys
///
/// Those that give no more than the caller has itself, by id. Secrets are not kept and not shown.
#[utoipa::path(get, path = "/api/admin/keys", tag = "keys",
    params(
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Keys a page, 1 to 1,000 (100)")),
    responses((status = 200, body = KeyPage), Problems))]
pub async fn list(
    State(admin): Ctx,
    parameters: Parameters,
) -> Result<axum::Json<KeyPage>, Problem> {
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT);
    let after: Option<KeyId> = match parameters.text("cursor") {
        None => None,
        Some(text) => {
            Some(text.parse().map_err(|_| Problem::field("cursor", "is no id of a key"))?)
        }
    };
    let (who, now) = (caller(), clock::wall_us());
    let mut found = admin.door.keys().list().await.map_err(|e| failed(KeyError::Store(e)))?;
    found.retain(|key| after.is_none_or(|after| key.id > after));
    found.retain(|key| who.may_give(key.role, &key.scopes));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|key| key.id.to_string());
    let keys = found.iter().map(|key| KeyBody::of(key, now)).collect();
    Ok(axum::Json(KeyPage { keys, next }))
}

fields!(CreateFields { name, role, scopes, expires } only);

/// A key to be made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct CreateKeyBody {
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// viewer, exchange, operator, chaos or admin.
    #[schema(example = "operator")]
    role: String,
    /// Grants such as `shield:acme`; what the caller has, if not given.
    #[schema(max_items = 16)]
    scopes: Option<Vec<String>>,
    /// When it ends: RFC 3339, or days from now as in `90d`. If not given: when the calling key ends,
    /// or never.
    #[schema(example = "90d")]
    expires: Option<String>,
}

/// A new key, whole: it is shown this once.
#[derive(Serialize, ToSchema)]
pub struct CreatedKeyBody {
    /// Send it as `Authorization: Bearer` or as `X-API-Key`.
    api_key: String,
    #[serde(flatten)]
    key: KeyBody,
}

/// Make an API key
///
/// Its secret is in this answer and nowhere else. It is good at once; on other nodes within two
/// seconds. Nobody can give more than he has himself: a key that ends makes none that outlives it. Who
/// calls with a token is not bound by the token's end. The audit log tells of it (`key.created`) within
/// seconds; its record is written together with the key.
#[utoipa::path(post, path = "/api/admin/keys", tag = "keys", request_body = CreateKeyBody,
    responses((status = 201, body = CreatedKeyBody), Problems))]
pub async fn create(State(admin): Ctx, json: Json) -> Result<Response, Problem> {
    let f: CreateFields = json.fields()?;
    let who = caller();
    let name = f.name.ok_or_else(|| Problem::missing("name"))?;
    let name = body::text("name", name, keys::KEY_NAME_CHARS_MAX)?.into_owned();
    if name.trim().is_empty() {
        return Err(Problem::field("name", "is empty"));
    }
    let role: Role = read::<String>("role", f.role)?
        .ok_or_else(|| Problem::missing("role"))?
        .parse()
        .map_err(|why| Problem::field("role", why))?;
    let scopes = match read::<Vec<String>>("scopes", f.scopes)? {
        None => (*who.scopes).clone(),
        Some(texts) if texts.is_empty() => {
            return Err(Problem::field("scopes", "is empty; leave it out for what the caller has"));
        }
        Some(texts) => Scopes::parse(texts.iter().map(String::as_str))
            .and_then(Scopes::of_services)
            .map_err(|why| Problem::field("scopes", why))?,
    };
    let now = clock::wall_us();
    let expires_at = match f.expires {
        None => None,
        Some(raw) => {
            let text = body::text("expires", raw, 64)?;
            Some(keys::expiry(&text, now).map_err(|why| Problem::field("expires", why))?)
        }
    };
    if !who.may_give(role, &scopes) {
        let why = "this role with these scopes is more than the caller has";
        return Err(Problem::new(Code::Forbidden, why));
    }
    let expires_at = within(expires_at, admin.door.keys().end(&who.name))?;
    let created_by = who.name.to_string();
    let new = NewKey { name, role, scopes, created_by, expires_at };
    let (key, stored) = admin.door.keys().create(new, now).await.map_err(failed)?;
    let api_key = key.text().to_string();
    let body = CreatedKeyBody { api_key, key: KeyBody::of(&stored, now) };
    // A secret has no place in caches.
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, axum::Json(body)).into_response())
}

/// Revoke an API key
///
/// For good, at once; on other nodes within two seconds. Revoking it again answers the same. The audit
/// log tells who did it first (`key.revoked`), within seconds.
#[utoipa::path(delete, path = "/api/admin/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "The id of the key", example = "ab12cd34")),
    responses((status = 200, body = KeyBody), Problems))]
pub async fn revoke(
    State(admin): Ctx,
    Path(id): Path<String>,
) -> Result<axum::Json<KeyBody>, Problem> {
    let id: KeyId = id.parse().map_err(|_| {
        Problem::field("id", "is not the id of a key: 8 lower-case hexadecimal digits")
    })?;
    may_revoke(&admin, id).await?;
    let now = clock::wall_us();
    let stored = admin.door.keys().revoke(id, &caller().name, now).await.map_err(failed)?;
    Ok(axum::Json(KeyBody::of(&stored, now)))
}

/// The end of a new key: that of the key that makes it, or an earlier one.
fn within(asked: Option<i64>, own: Option<i64>) -> Result<Option<i64>, Problem> {
    match (asked, own) {
        (Some(asked), Some(own)) if asked > own => {
            let ends = rfc3339(own);
            let why = format!("it would outlive the key that makes it, which ends at {ends}");
            Err(Problem::new(Code::Forbidden, why).at("expires"))
        }
        _ => Ok(asked.or(own)),
    }
}

/// Refuses a key that the caller could not give: whether there is one is told only to who could.
async fn may_revoke(admin: &Admin, id: KeyId) -> Result<(), Problem> {
    let who = caller();
    let found = admin.door.keys().list().await.map_err(|e| failed(KeyError::Store(e)))?;
    match found.iter().find(|key| key.id == id) {
        Some(key) if who.may_give(key.role, &key.scopes) => Ok(()),
        None if who.may_give(Role::Admin, &Scopes::all()) => Err(failed(KeyError::Unknown(id))),
        _ => Err(Problem::new(Code::Forbidden, "the caller may not revoke this key")),
    }
}

fn read<T: DeserializeOwned>(field: &str, raw: Raw<'_>) -> Result<Option<T>, Problem> {
    let wrong = |_| Problem::field(field, "is of the wrong type");
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(wrong)).transpose()
}

fn failed(error: KeyError) -> Problem {
    match error {
        KeyError::Unknown(id) => Problem::new(Code::NotFound, format!("there is no key {id}")),
        KeyError::Full => Problem::new(Code::Conflict, "there are as many keys as there may be"),
        KeyError::Contended => Problem::new(Code::Conflict, "others change the same key"),
        KeyError::Damaged(_) => Problem::new(Code::Internal, "the stored key cannot be read"),
        KeyError::NoRecord(error) => {
            tracing::error!(%error, "a key has no record");
            Problem::new(Code::Internal, "the audit takes no record of this, so it is not done")
        }
        KeyError::Store(error) => {
            tracing::warn!(%error, "the store did not answer");
            Problem::new(Code::StoreUnavailable, "the store is not available")
        }
    }
}
