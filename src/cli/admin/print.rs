//! Parts of answers as people read them.

use std::io::Write;

use serde_json::Value;

use super::super::exit::CliResult;
use super::super::format::microseconds;

/// Writes to standard output.
///
/// # Errors
/// Standard output is gone.
pub fn out(text: &str) -> CliResult {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// The list in an answer: the answer itself, or its field `name`.
pub fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    let list = answer.as_array().or_else(|| answer[name].as_array());
    list.map_or(&[], Vec::as_slice)
}

/// A field in words: text as it is, nothing as `-`.
pub fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// `depth/capacity`.
pub fn mailbox(actor: &Value) -> String {
    format!("{}/{}", word(&actor["depth"]), word(&actor["capacity"]))
}

/// Wall-clock microseconds as a UTC time, to the millisecond.
pub fn time(value: &Value) -> String {
    let time = value.as_i64().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    time.map_or("-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// Percentiles of a latency.
pub fn latency(value: &Value) -> String {
    let at = |field: &str| match value[field].as_f64() {
        // Microseconds are small and not negative: nothing is lost that is shown.
        Some(us) => microseconds(us.max(0.0) as u64),
        None => "-".to_owned(),
    };
    let (p50, p99, max) = (at("p50_us"), at("p99_us"), at("max_us"));
    format!("p50 {p50}, p99 {p99}, max {max} ({} measured)", word(&value["samples"]))
}

/// `name=value` of every field but those named.
pub fn fields(value: &Value, without: &[&str]) -> String {
    let fields = value.as_object().into_iter().flatten();
    let shown =
        fields.filter(|(name, value)| !without.contains(&name.as_str()) && !value.is_null());
    shown.map(|(name, value)| format!("{name}={}", word(value))).collect::<Vec<_>>().join(" ")
}

/// Control characters could write over the terminal: they are shown as text.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
