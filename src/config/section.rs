//! One concern of the configuration: a struct, and the list of its keys made from the same lines.

use super::raw::Raw;
use super::setting::{Limits, Setting, read};

/// What stands in place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// One key: where it is, what may be written there, which variables set it.
#[derive(Debug)]
pub struct Key {
    /// `section.name`.
    pub path: &'static str,
    /// Conventional variable names, beside the `KIKI_SECTION_NAME` that every key has.
    pub variables: &'static [&'static str],
    /// What to write, with its article.
    pub expects: &'static str,
    /// The least and the greatest value, in the unit of the key.
    pub limits: Limits,
    /// The value as TOML (secrets redacted), or what is wrong with it.
    pub(super) literal: fn(&Raw, Limits) -> Result<String, String>,
}

impl Key {
    /// The section's name.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(section, _)| section)
    }

    /// The name within its section.
    pub fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// Every variable that sets this key; an earlier one wins.
    pub fn variable_names(&self) -> Vec<String> {
        let own = format!("KIKI_{}", self.path.replace('.', "_").to_ascii_uppercase());
        std::iter::once(own).chain(self.variables.iter().map(|&name| name.to_owned())).collect()
    }

    /// Whether this value must not be shown: a secret, or a URL with a password in it.
    pub fn hides(&self, raw: &Raw) -> bool {
        let shown = (self.literal)(raw, self.limits);
        shown.is_ok_and(|shown| shown.contains(REDACTED) && !raw.text.contains(REDACTED))
    }

    /// Checks a value without keeping it.
    pub fn check(&self, raw: &Raw) -> Result<(), String> {
        (self.literal)(raw, self.limits).map(drop)
    }
}

/// Reads a value of type `T` and writes it as TOML.
pub(super) fn literal<T: Setting>(raw: &Raw, limits: Limits) -> Result<String, String> {
    read::<T>(raw, limits).map(|value| value.literal())
}

/// Declares a section: each line gives a field its type, `[limits]` and conventional variables.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident $section:literal {
            $(
                $(#[$field_doc:meta])*
                $field:ident : $type:ty $([$low:literal $high:literal])? $(, $variable:literal)* ;
            )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl $name {
            /// The keys of this section, in the order of its fields.
            pub const KEYS: &'static [$crate::config::Key] = &[
                $( $crate::config::Key {
                    path: concat!($section, ".", stringify!($field)),
                    variables: &[$($variable),*],
                    expects: <$type as $crate::config::Setting>::EXPECTS,
                    limits: $crate::config::section::section!(@limits $($low $high)?),
                    literal: $crate::config::section::literal::<$type>,
                }, )*
            ];

            pub(super) fn build(
                values: &$crate::config::Values,
            ) -> Result<Self, $crate::config::Problem> {
                Ok(Self {
                    $( $field: values.read(
                        concat!($section, ".", stringify!($field)),
                        $crate::config::section::section!(@limits $($low $high)?),
                    )?, )*
                })
            }
        }
    };
    (@limits) => { None };
    (@limits $low:literal $high:literal) => { Some(($low, $high)) };
}
pub(crate) use section;
