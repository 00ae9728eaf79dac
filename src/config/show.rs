//! The effective configuration as TOML, each value with its source.

use std::fmt::Write;

use super::keys::keys;
use super::values::Values;

/// Writes every key with its value and where it came from; secrets are redacted.
pub fn show(values: &Values) -> String {
    let mut out = String::new();
    let mut section = "";
    for key in keys() {
        if key.section() != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            section = key.section();
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{gap}[{section}]");
        }
        if let Some(placed) = values.get(key.path) {
            let shown = (key.literal)(&placed.raw, key.limits);
            let shown = shown.unwrap_or_else(|bad| format!("# {bad}"));
            let line = format!("{} = {shown}", key.name());
            let _ = writeln!(out, "{line:<44} # {}", placed.source);
        }
    }
    out
}
