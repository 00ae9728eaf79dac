//! The JSON Schema of an experiment, derived from its types. Files are read against it, editors may use it, and the
//! page of reference is made of it: a bound stands in one place.

use std::sync::OnceLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json};

use super::Experiment;

/// The schema (draft 2020-12).
pub fn schema() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
        generator.into_root_schema_for::<Experiment>().to_value()
    })
}

/// What `$ref` names.
pub fn definition(name: &str) -> Option<&'static Json> {
    schema().get("$defs")?.get(name)
}

/// The name that a schema refers to.
pub fn reference(schema: &Json) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// The schema itself, or what it refers to.
pub fn resolved(schema: &'static Json) -> &'static Json {
    reference(schema).and_then(definition).unwrap_or(schema)
}

/// `oneOf` or `anyOf`, without that for nothing.
pub fn alternatives(schema: &'static Json) -> Vec<&'static Json> {
    let list = ["oneOf", "anyOf"].iter().find_map(|name| schema.get(name)?.as_array());
    let list = list.into_iter().flatten();
    list.filter(|it| it.get("type").and_then(Json::as_str) != Some("null")).collect()
}

/// Members of a map, by name.
pub fn members(schema: &'static Json) -> Option<&'static Map<String, Json>> {
    schema.get("properties")?.as_object()
}

pub fn required(schema: &Json) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

/// The member whose value says which alternative this is, and that value: `kind` and `kill`.
pub fn tag(schema: &'static Json) -> Option<(&'static str, &'static str)> {
    let of = |(name, it): (&'static String, &'static Json)| {
        Some((name.as_str(), it.get("const")?.as_str()?))
    };
    members(resolved(schema))?.iter().find_map(of)
}

/// The only member of an alternative that is told by its member's name: `fault` of `{fault: …}`.
pub fn key(schema: &'static Json) -> Option<&'static str> {
    let schema = resolved(schema);
    let members = members(schema)?;
    let only = members.keys().next().filter(|_| members.len() == 1)?;
    required(schema).any(|it| it == only).then_some(only.as_str())
}

/// The words that a text may be.
pub fn words(schema: &'static Json) -> Vec<&'static str> {
    let schema = resolved(schema);
    let listed = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    let one = schema.get("const").into_iter();
    let mut words: Vec<&str> = listed.chain(one).filter_map(Json::as_str).collect();
    words.extend(alternatives(schema).into_iter().flat_map(words_of_text));
    words
}

fn words_of_text(schema: &'static Json) -> Vec<&'static str> {
    if members(resolved(schema)).is_some() { Vec::new() } else { words(schema) }
}
