//! What all OpenAPI documents share.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// The problems that any call may answer with.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let statuses = [
            ("400", "Something in the request is wrong; the field is named"),
            ("403", "Not allowed"),
            ("404", "No such thing"),
            ("405", "Not a method of this path"),
            ("408", "The request did not arrive in time"),
            ("409", "In conflict with the current state, or the same request is being worked on"),
            ("413", "The body is too large"),
            ("415", "The body is not declared as JSON"),
            ("422", "Understood, and impossible"),
            ("429", "Too many requests wait; see Retry-After"),
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
