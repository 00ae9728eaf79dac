//! What all OpenAPI documents share.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::access::{Listener, Needs};
use super::problem::{Code, Problem};

/// How callers prove who they are, where they have to.
pub struct Proofs;

impl Modify for Proofs {
    fn modify(&self, api: &mut OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key of `kiki keys create`, or a token of the issuer"));
        let key = ApiKeyValue::new("X-API-Key");
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        components.add_security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(key)));
    }
}

/// `/openapi.json` and the pages of it at `/docs`. The document is made when it is first asked for:
/// it is larger than everything else that an idle process holds, and few ever read it.
pub fn pages<D: utoipa::OpenApi, S>(listener: Listener, open: bool) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let made: Arc<OnceLock<Result<Bytes, String>>> = Arc::default();
    let document = async move || {
        let text = made.get_or_init(|| {
            let mut api = D::openapi();
            say_proofs(&mut api, listener, open);
            api.to_json().map(Bytes::from).map_err(|error| error.to_string())
        });
        match text {
            Ok(text) => Ok(([(CONTENT_TYPE, "application/json")], text.clone())),
            Err(error) => Err(Problem::new(Code::Internal, error.clone())),
        }
    };
    let shown = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    Router::from(shown).route("/openapi.json", get(document))
}

/// Says of every operation what this installation asks for: nothing where it is open, and of the
/// public ones nowhere.
fn say_proofs(api: &mut OpenApi, listener: Listener, open: bool) {
    let none: [&str; 0] = [];
    let mut proofs =
        vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("api_key", none)];
    if open {
        proofs.push(SecurityRequirement::default());
    }
    api.security = Some(proofs);
    for (path, item) in &mut api.paths.paths {
        let operations = [
            ("GET", &mut item.get),
            ("PUT", &mut item.put),
            ("POST", &mut item.post),
            ("DELETE", &mut item.delete),
            ("PATCH", &mut item.patch),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            let rule = listener.rules().iter().find(|r| r.method == method && r.path == path);
            if rule.is_some_and(|rule| rule.needs == Needs::Public) {
                operation.security = Some(Vec::new());
            }
        }
    }
}

/// The problems that any call may answer with.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let statuses = [
            ("400", "Something in the request is wrong; the field is named"),
            ("401", "No valid key or token came with the request"),
            ("403", "Not allowed"),
            ("404", "No such thing"),
            ("405", "Not a method of this path"),
            ("408", "The request did not arrive in time"),
            ("409", "In conflict with the current state, or the same request is being worked on"),
            ("413", "The body is too large"),
            ("415", "The body is not declared as JSON"),
            ("422", "Understood, and impossible"),
            ("429", "Too many requests, of this caller or waiting; see Retry-After"),
            ("503", "Nothing was booked, or its outcome is not known; see Retry-After"),
        ];
        let problem = |what: &str| {
            let body = Ref::from_schema_name("ProblemBody");
            let content = ContentBuilder::new().schema(Some(body)).build();
            let response = ResponseBuilder::new().description(what);
            RefOr::T(response.content("application/problem+json", content).build())
        };
        statuses.into_iter().map(|(status, what)| (status.to_owned(), problem(what))).collect()
    }
}
