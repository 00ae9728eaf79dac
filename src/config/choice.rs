//! Keys whose value is one of a few words.

use super::raw::Raw;
use super::setting::{Setting, quoted};

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident $expects:literal { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($variant),* }

        impl $name {
            /// The word that selects it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl Setting for $name {
            const EXPECTS: &'static str = $expects;

            fn parse(raw: &Raw) -> Result<Option<Self>, String> {
                Ok(match raw.text.to_ascii_lowercase().as_str() {
                    $($word if raw.is_string() => Some(Self::$variant),)*
                    _ => None,
                })
            }

            fn literal(&self) -> String {
                quoted(self.word())
            }
        }
    )*};
}
choices! {
    /// How log lines are written.
    LogFormat "\"text\" or \"json\"" { Text = "text", Json = "json" }
    /// How long a node's lease is.
    Leases "\"default\" or \"fast\"" { Default = "default", Fast = "fast" }
    /// Whether clients show certificates.
    TlsClientAuth "\"none\", \"optional\" or \"required\"" {
        None = "none", Optional = "optional", Required = "required"
    }

    /// Whether callers have to say who they are.
    AuthMode "\"auto\", \"open\" or \"required\"" { Auto = "auto", Open = "open", Required = "required" }
}
