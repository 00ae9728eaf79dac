//! One value against what the schema says of it: type, format, length, bounds.

use serde_json::Value as Json;

use super::schema::{alternatives, members, reference, resolved};
use super::shape::Finding;
use super::tree::{Node, Value};
use super::units::size_of;

/// Whether a value of this type can be meant.
pub fn may_be(node: &Node, schema: &'static Json) -> bool {
    let schema = resolved(schema);
    let all = alternatives(schema);
    if all.is_empty() || members(schema).is_some() {
        return wrong_type(node, schema).is_none();
    }
    all.into_iter().any(|it| may_be(node, it))
}

/// What is wrong with the value itself; what is inside of it is not looked at.
pub fn value(node: &Node, schema: &'static Json, path: &str, found: &mut Vec<Finding>) {
    if let Some(expected) = wrong_type(node, schema) {
        let what = format!("{} is not {expected}", node.called());
        found.push(Finding::at(node, path, what));
        return;
    }
    let wrong = match &node.value {
        Value::Number(it) => number(it.as_f64().unwrap_or(f64::NAN), schema),
        Value::Text(it) => text(it, schema),
        Value::List(it) => length(it.len(), schema, "minItems", "maxItems", "entries"),
        Value::Map(it) => length(it.len(), schema, "minProperties", "maxProperties", "members"),
        Value::Null | Value::Bool(_) => None,
    };
    if let Some(what) = wrong {
        found.push(Finding::at(node, path, what));
    }
}

/// What was expected instead.
fn wrong_type(node: &Node, schema: &Json) -> Option<String> {
    let types: Vec<&str> = match schema.get("type") {
        Some(Json::Array(types)) => types.iter().filter_map(Json::as_str).collect(),
        Some(one) => one.as_str().into_iter().collect(),
        None => return None,
    };
    let is = |name: &str| match (&node.value, name) {
        (Value::Number(it), "integer") => it.is_i64() || it.is_u64(),
        (Value::Null, "null")
        | (Value::Bool(_), "boolean")
        | (Value::Number(_), "number")
        | (Value::Text(_), "string")
        | (Value::List(_), "array")
        | (Value::Map(_), "object") => true,
        _ => false,
    };
    if types.iter().any(|it| is(it)) {
        return None;
    }
    let format = schema.get("format").and_then(Json::as_str).unwrap_or_default();
    let called = types.iter().filter(|it| **it != "null").map(|it| called(it, format));
    Some(called.collect::<Vec<_>>().join(" or "))
}

/// What may stand there, in words.
pub fn described(schema: &'static Json) -> String {
    let schema = resolved(schema);
    let name = schema.get("type").and_then(Json::as_str).unwrap_or_default();
    let what = called(name, format_of(schema));
    match schema.get("description").and_then(Json::as_str) {
        Some(text) => format!("{what} ({})", text.trim_end_matches('.')),
        None => what.to_owned(),
    }
}

/// A type in words.
pub fn called(name: &str, format: &str) -> &'static str {
    match (name, format) {
        ("string", "period") => "a time such as 5s or 200ms",
        ("string", "size") => "a size such as 64MiB",
        ("string", "bandwidth") => "a bandwidth such as 1Mbit",
        ("string", "shift") => "a shift of time such as -30s",
        ("string", "url") => "an address such as https://shield.test:8081",
        ("number", "amount") => "an amount of money such as 12.5",
        ("string", _) => "a text",
        ("integer", _) => "a whole number",
        ("number", _) => "a number",
        ("boolean", _) => "true or false",
        ("array", _) => "a list",
        _ => "a map",
    }
}

fn number(value: f64, schema: &Json) -> Option<String> {
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    let (least, most) = (bound("minimum"), bound("maximum"));
    let below = least.is_some_and(|least| value < least);
    let above = most.is_some_and(|most| value > most);
    (below || above).then(|| format!("{value} is not {}", within(least, most)))
}

fn within<T: std::fmt::Display>(least: Option<T>, most: Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("within {least} and {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, Some(most)) => format!("{most} or less"),
        (None, None) => "bounded".to_owned(),
    }
}

fn text(value: &str, schema: &'static Json) -> Option<String> {
    let shown = || Value::Text(value.to_owned());
    let called = || Node { value: shown(), line: 0, column: 0 }.called();
    if let Some(pattern) = schema.get("pattern").and_then(Json::as_str)
        && !super::pattern::fits(pattern, value)
    {
        return Some(format!("{} does not fit {pattern}", called()));
    }
    if let Some(allowed) = schema.get("enum").and_then(Json::as_array)
        && !allowed.iter().any(|it| it.as_str() == Some(value))
    {
        let names: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
        let perhaps = super::problem::meant(value, &names);
        let perhaps = perhaps.map(|it| format!(" (did you mean {it}?)")).unwrap_or_default();
        return Some(format!(
            "{} is not known{perhaps}; allowed are {}",
            called(),
            names.join(", ")
        ));
    }
    if let Some(only) = schema.get("const").and_then(Json::as_str).filter(|it| *it != value) {
        return Some(format!("{} is not {only}", called()));
    }
    let format = format_of(schema);
    if let Some(read) = size_of(format, value) {
        return match read {
            Ok(size) => sized(size, value, format, schema),
            Err(what) => Some(what),
        };
    }
    if format == "url" && !(value.starts_with("http://") || value.starts_with("https://")) {
        return Some(format!("{} does not begin with http:// or https://", called()));
    }
    length(value.chars().count(), schema, "minLength", "maxLength", "letters")
}

/// Of the schema, or of what it refers to or has beside nothing.
pub fn format_of(schema: &'static Json) -> &'static str {
    let own = |schema: &'static Json| schema.get("format").and_then(Json::as_str);
    let only = || alternatives(schema).first().and_then(|it| own(resolved(it)));
    let referred = || reference(schema).and_then(|_| own(resolved(schema)));
    own(schema).or_else(referred).or_else(only).unwrap_or_default()
}

fn sized(size: u64, value: &str, format: &str, schema: &Json) -> Option<String> {
    let bound = |name: &str| schema.get(name).and_then(Json::as_str);
    let (least, most) = (bound("x-least"), bound("x-most"));
    let of = |text: &str| size_of(format, text).and_then(Result::ok);
    let below = least.and_then(of).is_some_and(|least| size < least);
    let above = most.and_then(of).is_some_and(|most| size > most);
    (below || above).then(|| format!("{value} is not {}", within(least, most)))
}

fn length(value: usize, schema: &Json, least: &str, most: &str, of: &str) -> Option<String> {
    let bound = |name: &str| schema.get(name).and_then(Json::as_u64);
    let (least, most) = (bound(least), bound(most));
    let value = u64::try_from(value).unwrap_or(u64::MAX);
    let below = least.is_some_and(|least| value < least);
    let above = most.is_some_and(|most| value > most);
    (below || above).then(|| format!("has {value} {of}, not {}", within(least, most)))
}
