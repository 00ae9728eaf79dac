//! Parameters and paths, each mistake named.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;

use crate::api::problem::{Code, Problem};

const PARAMETER_CHARS_MAX: usize = 1_024;

/// The parameters of a request.
pub struct Parameters(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Query(parameters) = query.map_err(|_| Problem::field("query", "cannot be read"))?;
        for (name, value) in &parameters {
            if value.chars().count() > PARAMETER_CHARS_MAX {
                let name: String = name.chars().take(64).collect();
                return Err(Problem::field(
                    name,
                    format!("has more than {PARAMETER_CHARS_MAX} characters"),
                ));
            }
        }
        Ok(Self(parameters))
    }
}

impl Parameters {
    /// An empty parameter is an absent one.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// A whole number within bounds.
    pub fn number(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::field(
                name,
                format!("is not a whole number within {least} and {most}"),
            )),
        }
    }
}

/// The path of an actor, as the rest of the request's path.
pub struct ActorPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for ActorPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(path) = path.map_err(|_| Problem::field("path", "is not UTF-8"))?;
        Ok(Self(format!("/{}", path.trim_matches('/'))))
    }
}

pub fn unknown(path: &str) -> Problem {
    let path: String = path.chars().take(PARAMETER_CHARS_MAX).collect();
    Problem::new(Code::UnknownActor, format!("there is no actor at {path}"))
}
