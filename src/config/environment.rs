//! The environment and the `.env` file as one set of variables.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::{Problem, Source};

/// Variables with where they came from; the process's own win over those of `.env`. A variable
/// that is set to nothing counts as not set, as in a copied `.env.example`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    own: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
}

impl Environment {
    /// No variables at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The process's variables and those of `.env` in the working directory, if there is one.
    ///
    /// # Errors
    /// The `.env` file cannot be read, or a line of it is no `NAME=value`.
    pub fn process() -> Result<Self, Problem> {
        let own = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self { own, dotenv: read_dotenv(Path::new(".env"))? })
    }

    /// Sets a variable as the process's own.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.own.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets a variable as one of `.env`.
    pub fn with_dotenv(mut self, name: &str, value: &str) -> Self {
        self.dotenv.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable's value and its source.
    pub fn get(&self, name: &str) -> Option<(&str, Source)> {
        let set = |value: &&String| !value.trim().is_empty();
        let own = self.own.get(name).filter(set);
        let own = own.map(|value| (value.as_str(), Source::Environment(name.to_owned())));
        own.or_else(|| {
            let value = self.dotenv.get(name).filter(set)?;
            Some((value.as_str(), Source::DotEnv(name.to_owned())))
        })
    }

    /// The names that are set, each with its source.
    pub fn names(&self) -> impl Iterator<Item = (&str, Source)> {
        let own = self.own.keys().map(|n| (n.as_str(), Source::Environment(n.clone())));
        let dotenv = self.dotenv.keys().filter(|n| !self.own.contains_key(*n));
        own.chain(dotenv.map(|n| (n.as_str(), Source::DotEnv(n.clone()))))
    }
}

fn read_dotenv(path: &Path) -> Result<BTreeMap<String, String>, Problem> {
    let bad = |line: usize, message: String| Problem {
        source: Source::File { path: path.to_owned(), line, column: 1 },
        key: None,
        message,
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(bad(1, format!("cannot be read: {error}"))),
    };
    let lines = dotenvy::from_read_iter(text.as_bytes());
    lines.collect::<Result<_, _>>().map_err(|error| match error {
        // The parser tells what it could not read of the line, which may be a secret: only the
        // variable's name is repeated.
        dotenvy::Error::LineParse(rest, _) => {
            let at = text.lines().position(|line| line.ends_with(rest.trim_end())).unwrap_or(0);
            let name = text.lines().nth(at).and_then(|line| line.split_once('='));
            let name = name.map_or("a line without =", |(name, _)| name.trim());
            let rule = "not a NAME=value line (quote values with spaces or #)";
            bad(at + 1, format!("{rule}: {name}"))
        }
        other => bad(1, format!("cannot be read: {other}")),
    })
}
