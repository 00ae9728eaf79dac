//! The page of reference, made of the schema: every member with what it means, its unit, its bounds and its default.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::compare::{called, format_of};
use super::schema::{alternatives, definition, key, members, reference, required, schema, tag};

/// What the page shows first; a test reads it as a file.
pub const EXAMPLE: &str = include_str!("example.yaml");

const HEAD: &str = "# Experiments

This page is written by a test of the suite (`KIKI_BLESS=1 cargo test -p kiki-chaos`), from the types that files are
read into: `chaos/src/experiment/`. The catalogue is `chaos/experiments/`, one file for each experiment.

A file is YAML and is read strictly: a member that is not known, a value out of its bounds, a name that does not exist
or a step that lasts longer than the load is told with file, line, column and what is allowed, all at once
(`kiki-chaos validate FILE`). Duplicate keys, merge keys and tags of YAML are refused. A file has at most 256 KiB.

Times are written `200ms`, `5s`, `1.5s`, `2m`; sizes `64MiB`; bandwidths `1Mbit`; shifts of a clock `-30s`; amounts of
money as numbers with at most 6 decimals. Parts and chances are 0 to 1, per cent 0 to 100.

What is left to chance (which node, when exactly, which message) is drawn from one seed: the same file with the same
seed on nodes of the same names makes the same plan. Only who owns a budget is asked at the moment of the step.

A run goes in this order: warm-up, hypothesis, method beside the load, end of all faults, rollbacks, hypothesis once
more, checks. A fault ends after its `duration` whatever happens.

What a fault or a probe needs of the machine is found by itself (`needs`). Where something is missing, nothing is run:
the run says what is missing, its verdict is `could not run`, and the command ends with 3.

Exit codes are 0 where everything held, 1 where a hypothesis failed, 2 where an invariant was violated, and 3 where
something could not run; of many runs: 2 before 3 before 1. Each run has a folder of its own, `NAME-SEED`, and done once
more `NAME-SEED-2`: nothing of an earlier run is removed.

**A new family of faults** is kinds of `Fault` (`fault.rs`), whom they strike (`strikes.rs`), what they need
(`needs.rs`) and a file in `chaos/src/fault/` that does and undoes them. The compiler names every place that is
missing, and this page and the reading of files follow from the types.

";

/// `docs/chaos-experiments.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    // A write to a string cannot fail.
    let _ = write!(page, "## Example\n\n```yaml\n{EXAMPLE}```\n");
    section(&mut page, "The file", schema());
    let mut told = BTreeSet::new();
    let mut next: VecDeque<&'static str> = referred(schema()).into();
    while let Some(name) = next.pop_front() {
        if !told.insert(name) {
            continue;
        }
        if let Some(of) = definition(name) {
            section(&mut page, &title(name), of);
            next.extend(referred(of));
        }
    }
    page
}

/// `FaultStep` as people say it.
fn title(name: &str) -> String {
    let mut words = String::new();
    for (at, letter) in name.chars().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.extend(if at == 0 {
            letter.to_uppercase().next()
        } else {
            letter.to_lowercase().next()
        });
    }
    words
}

/// The definitions that a schema names, in its order.
fn referred(schema: &'static Json) -> Vec<&'static str> {
    let mut names: Vec<&str> = reference(schema).into_iter().collect();
    match schema {
        Json::Object(of) => {
            let inside = of.iter().filter(|(name, _)| *name != "$defs");
            names.extend(inside.flat_map(|(_, it)| referred(it)));
        }
        Json::Array(of) => names.extend(of.iter().flat_map(referred)),
        _ => {}
    }
    names
}

fn description(schema: &Json) -> String {
    let text = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn section(page: &mut String, title: &str, schema: &'static Json) {
    let _ = write!(page, "\n## {title}\n\n{}\n", description(schema));
    if let Some(members) = members(schema).filter(|it| !it.is_empty()) {
        table(page, members.keys().map(String::as_str), schema);
    }
    let all = alternatives(schema);
    if all.is_empty() {
        return;
    }
    if all.iter().any(|it| tag(it).is_some()) {
        let heads: Vec<String> = all.iter().filter_map(|it| head(it)).collect();
        // A probe and a step that is one have the same kinds: they are told once.
        if heads.iter().all(|it| page.contains(&format!("\n### {it}\n"))) {
            let _ = write!(page, "\nIts kinds are told above: {}.\n", heads.join(", "));
        } else {
            all.iter().for_each(|one| kind(page, one));
        }
        return;
    }
    let _ = writeln!(page);
    for one in all {
        let what = description(one);
        let what = if what.is_empty() { String::new() } else { format!(": {what}") };
        let value = match key(one) {
            Some(key) => {
                let of = members(one).and_then(|it| it.get(key));
                format!("`{key}` with {}", of.map(value).unwrap_or_default())
            }
            None => value(one),
        };
        let _ = writeln!(page, "- {value}{what}");
    }
}

fn head(schema: &'static Json) -> Option<String> {
    tag(schema).map(|(name, value)| format!("`{name}: {value}`"))
}

fn kind(page: &mut String, schema: &'static Json) {
    let (Some((name, _)), Some(head)) = (tag(schema), head(schema)) else { return };
    let _ = write!(page, "\n### {head}\n\n{}\n", description(schema));
    let others = members(schema).into_iter().flatten().map(|it| it.0.as_str());
    let others: Vec<&str> = others.filter(|it| *it != name).collect();
    if !others.is_empty() {
        table(page, others.into_iter(), schema);
    }
}

fn table<'a>(page: &mut String, names: impl Iterator<Item = &'a str>, schema: &'static Json) {
    let _ = write!(page, "\n| member | value | default | meaning |\n|---|---|---|---|\n");
    let needed: BTreeSet<&str> = required(schema).collect();
    let mut names: Vec<&str> = names.collect();
    // What has to be given comes first.
    names.sort_by_key(|name| !needed.contains(name));
    for name in names {
        let Some(of) = members(schema).and_then(|it| it.get(name)) else { continue };
        let default = match of.get("default") {
            Some(it) => format!("`{}`", flow(it)),
            None if needed.contains(name) => "has to be given".to_owned(),
            None => "none".to_owned(),
        };
        let meaning = match description(of) {
            own if own.is_empty() => reference(of).and_then(definition).map(description),
            own => Some(own),
        };
        let meaning = meaning.unwrap_or_default();
        let _ = writeln!(page, "| `{name}` | {} | {default} | {meaning} |", value(of));
    }
}

/// What may stand there, with its bounds.
fn value(schema: &'static Json) -> String {
    if let Some(name) = reference(schema) {
        let title = title(name);
        let anchor = title.to_lowercase().replace(' ', "-");
        return format!("[{}](#{anchor})", title.to_lowercase());
    }
    if let Some(word) = schema.get("const").and_then(Json::as_str) {
        return format!("`{word}`");
    }
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        let words = words.iter().filter_map(Json::as_str).map(|it| format!("`{it}`"));
        return words.collect::<Vec<_>>().join(", ");
    }
    let all = alternatives(schema);
    if !all.is_empty() {
        return all.into_iter().map(value).collect::<Vec<_>>().join(" or ");
    }
    let types = match schema.get("type") {
        Some(Json::Array(types)) => types.iter().filter_map(Json::as_str).collect(),
        Some(it) => it.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    let format = format_of(schema);
    let types = types.into_iter().filter(|it| *it != "null");
    let mut text = types.map(|it| plain(it, format)).collect::<Vec<_>>().join(" or ");
    if let Some(of) = schema.get("items") {
        text = format!("list of {}", value(of));
    } else if let Some(of) = schema.get("additionalProperties").filter(|it| it.is_object()) {
        text = format!("map of names to {}", value(of));
    } else if let Some(of) = members(schema) {
        let names: Vec<String> = of.keys().map(|it| format!("`{it}`")).collect();
        text = format!("map with {}", names.join(", "));
        if let Some(one) = of.values().next() {
            text += &format!(", each {}", value(one));
        }
    }
    text + &bounds(schema)
}

/// A type without its example, which the head of the page has.
fn plain(name: &str, format: &str) -> &'static str {
    let text = called(name, format);
    text.split_once(" such as").map_or(text, |(what, _)| what)
}

fn bounds(schema: &Json) -> String {
    let of = |name: &str| match schema.get(name) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(it @ Json::Number(_)) => Some(flow(it)),
        _ => None,
    };
    let pair = |least: &str, most: &str| match (of(least), of(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) => Some(format!("{least} or more")),
        (None, Some(most)) => Some(format!("at most {most}")),
        (None, None) => None,
    };
    let sized = [("x-least", "x-most", ""), ("minimum", "maximum", "")];
    let counted = [
        ("minLength", "maxLength", " letters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " members"),
    ];
    let ranges = sized.into_iter().chain(counted);
    let mut said: Vec<String> =
        ranges.filter_map(|(least, most, of)| pair(least, most).map(|it| it + of)).collect();
    said.extend(of("pattern").map(|it| format!("`{}`", it.replace('|', "\\|"))));
    if said.is_empty() { String::new() } else { format!(", {}", said.join(", ")) }
}

/// A value as YAML in one line.
fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(it) => match it.as_f64() {
            Some(float) => format!("{float}"),
            None => it.to_string(),
        },
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(of) => {
            let of: Vec<String> =
                of.iter().map(|(name, it)| format!("{name}: {}", flow(it))).collect();
            format!("{{{}}}", of.join(", "))
        }
        Json::Null | Json::Bool(_) => value.to_string(),
    }
}
