//! What is logged, and how it is written.

use tracing_subscriber::EnvFilter;

use super::choice::LogFormat;
use super::raw::Raw;
use super::section::section;
use super::setting::{Setting, quoted};

section! {
    /// What is logged, and how it is written.
    Log "log" {
        /// A level, or directives per module.
        level: Filter, "LOG_LEVEL", "RUST_LOG";
        /// Lines for people or for machines.
        format: LogFormat, "LOG_FORMAT";
    }
}

/// A level (`info`) or directives (`info,kiki::store=debug`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// The directives.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Filter {
    const EXPECTS: &'static str = "a level (error, warn, info, debug, trace) or directives";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        let text = raw.text.trim();
        // A bare word that is no level would be read as the name of a module.
        let level = |word: &str| word.parse::<tracing::metadata::LevelFilter>().is_ok();
        let clear = text.split(',').all(|part| part.contains(['=', '[', ':']) || level(part));
        let valid = clear && EnvFilter::builder().parse(text).is_ok();
        Ok((raw.is_string() && valid).then(|| Self(text.to_owned())))
    }

    fn literal(&self) -> String {
        quoted(&self.0)
    }
}
