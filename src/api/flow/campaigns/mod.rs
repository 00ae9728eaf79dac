//! Campaigns: what they are, and what is done to them.

mod change;
mod look;
mod schema;
mod shown;

pub use change::*;
pub use look::*;

use axum::http::{HeaderMap, header};

use crate::api::problem::Problem;

/// The revision that a change expects, as `If-Match: "7"`; `*` and nothing expect none.
fn expects(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let wrong = || Problem::header("If-Match", "is not a revision such as \"7\"");
    let text = value.to_str().map_err(|_| wrong())?.trim();
    if text == "*" {
        return Ok(None);
    }
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    text.parse().map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_change_expects_the_revision_that_it_names() {
        let of = |text: &'static str| {
            let headers =
                HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))]);
            expects(&headers).map_err(|problem| problem.code())
        };
        assert_eq!((of("\"7\""), of("7"), of("*")), (Ok(Some(7)), Ok(Some(7)), Ok(None)));
        assert!(expects(&HeaderMap::new()).is_ok_and(|none| none.is_none()));
        for wrong in ["", "W/\"7\"", "\"7", "-1"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
