//! Calls of MLflow's REST API, one at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::config;
use crate::connectors::http;

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 256 * 1_024;
/// Characters of another's words in an error.
const WORDS_MAX: usize = 300;

/// Why MLflow did not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MlflowError {
    #[error("mlflow.{0} is none that a header can have")]
    Credentials(&'static str),
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The code is MLflow's, such as `RESOURCE_DOES_NOT_EXIST`.
    #[error("answered {status} {code}: {words}")]
    Refused { status: u16, code: String, words: String },
    #[error("the answer is none of MLflow's")]
    Malformed,
    #[error("the experiment {0:?} is deleted there: restore it, or name another one")]
    Deleted(String),
    #[error("no run of {0} is known there")]
    Unknown(String),
}

impl MlflowError {
    /// Whether the same may be taken later.
    pub fn passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, code, .. } => {
                matches!(status, 408 | 429 | 500..) || code == "RESOURCE_DOES_NOT_EXIST"
            }
            _ => false,
        }
    }

    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

#[derive(Clone, Debug)]
pub struct Rest {
    client: Client,
    base: Url,
}

impl Rest {
    pub fn new(settings: &config::Mlflow) -> Result<Rest, MlflowError> {
        let uri = settings.tracking_uri.as_str().trim_end_matches('/');
        let base = format!("{uri}/api/2.0/mlflow/");
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization(settings)? {
            headers.insert(AUTHORIZATION, value);
        }
        let client = http::builder(uri)
            .user_agent(concat!("kiki/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout_ms.duration())
            .default_headers(headers)
            .build();
        Ok(Rest {
            client: client.map_err(|error| MlflowError::Client(cause(&error)))?,
            base: Url::parse(&base).map_err(|error| MlflowError::Client(error.to_string()))?,
        })
    }

    fn url(&self, path: &str) -> Result<Url, MlflowError> {
        self.base.join(path).map_err(|error| MlflowError::Client(error.to_string()))
    }

    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, MlflowError> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        answered(self.client.get(url)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, MlflowError> {
        answered(self.client.post(self.url(path)?).json(body)).await
    }
}

/// A user's password, or else a token, as MLflow's own clients have it.
fn authorization(settings: &config::Mlflow) -> Result<Option<HeaderValue>, MlflowError> {
    let (user, token) = (settings.username.as_str(), settings.token.expose());
    let (name, text) = match (user.is_empty(), token.is_empty()) {
        (false, _) => {
            let pair = format!("{user}:{}", settings.password.expose());
            ("username", format!("Basic {}", STANDARD.encode(pair)))
        }
        (true, false) => ("token", format!("Bearer {token}")),
        (true, true) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| MlflowError::Credentials(name))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

async fn answered(request: RequestBuilder) -> Result<Value, MlflowError> {
    let unreachable = |error: reqwest::Error| MlflowError::Unreachable(cause(&error));
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = body(answer).await?;
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    if status.is_success() {
        return json.filter(Value::is_object).ok_or(MlflowError::Malformed);
    }
    let of = |name: &str| json.as_ref()?.get(name)?.as_str().map(words);
    Err(MlflowError::Refused {
        status: status.as_u16(),
        code: of("error_code").unwrap_or_default(),
        words: of("message").unwrap_or_else(|| words(&String::from_utf8_lossy(&body))),
    })
}

async fn body(mut answer: Response) -> Result<Vec<u8>, MlflowError> {
    let mut body = Vec::new();
    let unreachable = |error: reqwest::Error| MlflowError::Unreachable(cause(&error));
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(MlflowError::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Another's words on one line, and not too many.
fn words(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(WORDS_MAX).collect::<String>().trim().to_owned()
}

/// The innermost cause: the outer ones repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "not within the time".to_owned();
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    words(&inner.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Loader};

    fn settings(of: &[(&str, &str)]) -> config::Mlflow {
        let uri = Environment::empty().with("MLFLOW_TRACKING_URI", "mlflow:5000/base/");
        let set = |all: Environment, (name, value): &(&str, &str)| all.with(name, value);
        let environment = of.iter().fold(uri, set);
        Loader::new().environment(environment).load().unwrap().config.mlflow
    }

    #[test]
    fn a_user_comes_before_a_token_and_neither_is_shown() {
        let none = authorization(&settings(&[])).unwrap();
        assert_eq!(none, None);
        let token = [("MLFLOW_TRACKING_TOKEN", "t0ken")];
        let bearer = authorization(&settings(&token)).unwrap().unwrap();
        assert_eq!(bearer, "Bearer t0ken");
        assert!(bearer.is_sensitive() && !format!("{bearer:?}").contains("t0ken"));
        let user =
            [("MLFLOW_TRACKING_USERNAME", "ann"), ("MLFLOW_TRACKING_PASSWORD", "pa:ss"), token[0]];
        let settings = settings(&user);
        assert_eq!(authorization(&settings).unwrap().unwrap(), "Basic YW5uOnBhOnNz");
        let shown = format!("{settings:?} {:?}", Rest::new(&settings).unwrap());
        assert!(!shown.contains("pa:ss") && !shown.contains("YW5uOnBhOnNz"), "{shown}");
    }

    #[test]
    fn a_token_that_no_header_can_have_is_refused_without_being_told() {
        let error = Rest::new(&settings(&[("KIKI_MLFLOW_TOKEN", "sec\nret")])).unwrap_err();
        assert_eq!(error, MlflowError::Credentials("token"));
        assert!(!error.to_string().contains("sec"), "{error}");
    }

    #[test]
    fn the_api_is_below_whatever_path_the_server_has() {
        let rest = Rest::new(&settings(&[])).unwrap();
        let url = rest.url("runs/create").unwrap();
        assert_eq!(url.as_str(), "http://mlflow:5000/base/api/2.0/mlflow/runs/create");
    }
}
