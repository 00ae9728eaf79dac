//! Parameters and paths, each mistake named.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::Uri;
use axum::http::request::Parts;

use crate::api::problem::{Code, Problem};
use crate::models::cluster::node::is_node_name;

const PARAMETER_CHARS_MAX: usize = 1_024;
/// Of a name that is told.
const NAME_CHARS_MAX: usize = 64;

/// The parameters of a request.
pub struct Parameters(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Query(parameters) = query.map_err(|_| Problem::field("query", "cannot be read"))?;
        for (name, value) in &parameters {
            if value.chars().count() > PARAMETER_CHARS_MAX {
                let name: String = name.chars().take(NAME_CHARS_MAX).collect();
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
    /// Refuses any that is none of these: one that is misspelt would ask for something else unseen.
    pub fn only(self, known: &[&str]) -> Result<Parameters, Problem> {
        // The first by its name: the same request is refused in the same words each time.
        match self.0.keys().filter(|name| !known.contains(&name.as_str())).min() {
            None => Ok(self),
            Some(name) => {
                let name: String = name.chars().take(NAME_CHARS_MAX).collect();
                let why = match known.is_empty() {
                    true => "is no parameter here: there are none".to_owned(),
                    false => format!("is no parameter here: there are {}", known.join(", ")),
                };
                Err(Problem::field(name, why))
            }
        }
    }

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

/// The node that a request of operators names, if it names one.
///
/// # Errors
/// What is named can be no node.
pub fn named_node(uri: &Uri) -> Result<Option<String>, Problem> {
    let parameters = Query::<HashMap<String, String>>::try_from_uri(uri);
    // What cannot be read names nobody; whoever handles the request says what is wrong.
    let node = parameters.ok().and_then(|Query(mut all)| all.remove("node"));
    match node.filter(|node| !node.is_empty()) {
        Some(node) if is_node_name(&node) => Ok(Some(node)),
        Some(_) => Err(Problem::field("node", "is no name of a node")),
        None => Ok(None),
    }
}

pub fn unknown(path: &str) -> Problem {
    let path: String = path.chars().take(PARAMETER_CHARS_MAX).collect();
    Problem::new(Code::UnknownActor, format!("there is no actor at {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_nobody_knows_is_named() {
        let asked = |names: &[&str]| {
            Parameters(names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect())
        };
        assert!(asked(&[]).only(&[]).is_ok());
        assert!(asked(&["a", "b"]).only(&["b", "a", "c"]).is_ok());
        let long = "z".repeat(100);
        for (names, first) in
            [(&["b", "kimd", "a"][..], "kimd"), (&["y", "x"], "x"), (&[&long], &long[..64])]
        {
            let problem = asked(names).only(&["a", "b"]).err().expect("refused");
            assert_eq!((problem.code(), problem.wrong_field()), (Code::InvalidField, Some(first)));
        }
        assert!(asked(&["a"]).only(&[]).is_err());
    }

    #[test]
    fn a_node_is_named_by_its_name_or_not_at_all() {
        let named = |uri: &'static str| named_node(&Uri::from_static(uri));
        assert_eq!(named("/a?depth=1&node=node-2").ok(), Some(Some("node-2".to_owned())));
        assert_eq!(named("/a?n%6Fde=node%2D2").ok(), Some(Some("node-2".to_owned())));
        for none in ["/a", "/a?", "/a?node=", "/a?node", "/a?nodes=b"] {
            assert_eq!(named(none).ok(), Some(None), "{none}");
        }
        for bad in ["/a?node=a.b", "/a?node=A", "/a?node=a%2Fb", "/a?node=-", "/a?node=%0A"] {
            let problem = named(bad).expect_err(bad);
            assert_eq!((problem.code(), problem.wrong_field()), (Code::InvalidField, Some("node")));
        }
    }
}
