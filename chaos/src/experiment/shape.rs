//! Holds a tree against the schema: every member that is not known, missing, of another type or out of its bounds,
//! all at once.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::compare;
use super::problem::meant;
use super::schema::{
    alternatives, definition, key, members, reference, required, resolved, tag, words,
};
use super::tree::{Name, Node, Value};

/// Something that is wrong, at a place of the tree.
#[derive(Clone, Debug)]
pub struct Finding {
    pub line: u64,
    pub column: u64,
    pub path: String,
    pub what: String,
}

impl Finding {
    pub fn at(node: &Node, path: &str, what: impl Into<String>) -> Finding {
        let (line, column) = (node.line, node.column);
        Finding { line, column, path: path.to_owned(), what: what.into() }
    }
}

/// What is wrong with `node`, which is to be as `schema` says.
pub fn check(node: &Node, schema: &'static Json, path: &str, found: &mut Vec<Finding>) {
    if matches!(node.value, Value::Null) && allows_null(schema) {
        return;
    }
    match &node.value {
        Value::Map(given) => map(node, given, schema, path, found),
        _ => single(node, schema, path, found),
    }
}

fn allows_null(schema: &Json) -> bool {
    let null = |it: &Json| it.as_str() == Some("null");
    let typed = match schema.get("type") {
        Some(Json::Array(types)) => types.iter().any(null),
        Some(it) => null(it),
        None => false,
    };
    let any = schema.get("anyOf").and_then(Json::as_array);
    typed || any.is_some_and(|list| list.iter().any(allows_null))
}

/// A text, a number, a list: what is no map.
fn single(node: &Node, schema: &'static Json, path: &str, found: &mut Vec<Finding>) {
    let before = found.len();
    compare::value(node, schema, path, found);
    if found.len() > before {
        return;
    }
    if let Some(to) = reference(schema).and_then(definition) {
        single(node, to, path, found);
        return;
    }
    let all = alternatives(schema);
    if all.is_empty() {
        if let (Value::List(items), Some(of)) = (&node.value, schema.get("items")) {
            for (at, item) in items.iter().enumerate() {
                check(item, of, &format!("{path}[{at}]"), found);
            }
        }
        return;
    }
    let fitting: Vec<_> = all.iter().filter(|it| compare::may_be(node, it)).collect();
    let mut least: Option<Vec<Finding>> = None;
    for one in &fitting {
        let mut of_this = Vec::new();
        single(node, one, path, &mut of_this);
        if of_this.is_empty() {
            return;
        }
        least.get_or_insert(of_this);
    }
    match least {
        // One way only, which is no list of words: what is wrong with that says it best.
        Some(of_this) if fitting.iter().all(|it| words(it).is_empty()) && fitting.len() == 1 => {
            found.extend(of_this);
        }
        _ => found.push(Finding::at(node, path, not_allowed(node, schema))),
    }
}

fn not_allowed(node: &Node, schema: &'static Json) -> String {
    let known = words(schema);
    let all = alternatives(schema);
    let keys: Vec<&str> = all.iter().flat_map(|it| keys(it)).collect();
    let tags: Vec<&str> = all.iter().filter_map(|it| tag(it)).map(|it| it.1).collect();
    let mut allowed = Vec::new();
    if !known.is_empty() {
        allowed.push(known.join(", "));
    }
    let free = all.iter().filter(|it| words(it).is_empty() && keys_or_tag(it).is_none());
    allowed.extend(free.map(|it| compare::described(it)));
    if !keys.is_empty() {
        allowed.push(format!("a map with one of {}", keys.join(", ")));
    }
    if !tags.is_empty() {
        allowed.push(format!("a map whose kind is one of {}", tags.join(", ")));
    }
    let perhaps = match &node.value {
        Value::Text(text) => perhaps(text, &known),
        _ => String::new(),
    };
    format!("{} is not allowed here{perhaps}; allowed: {}", node.called(), allowed.join("; or "))
}

fn keys_or_tag(schema: &'static Json) -> Option<&'static str> {
    tag(schema).map(|it| it.1).or_else(|| keys(schema).first().copied())
}

fn keys(schema: &'static Json) -> Vec<&'static str> {
    match key(schema) {
        Some(key) => vec![key],
        None => alternatives(resolved(schema)).into_iter().filter_map(key).collect(),
    }
}

fn perhaps(word: &str, known: &[&str]) -> String {
    meant(word, known).map(|it| format!(" (did you mean {it}?)")).unwrap_or_default()
}

/// What is known of a map: the members of all schemas that speak of it.
#[derive(Default)]
struct Shape {
    members: BTreeMap<&'static str, &'static Json>,
    required: Vec<&'static str>,
    /// Whatever else it has is as this says.
    others: Option<&'static Json>,
    /// It has been said which alternative it is meant to be, or it is not known.
    lost: bool,
}

fn map(
    node: &Node,
    given: &[(Name, Node)],
    schema: &'static Json,
    path: &str,
    found: &mut Vec<Finding>,
) {
    let before = found.len();
    compare::value(node, schema, path, found);
    let mut shape = Shape::default();
    if found.len() == before {
        gather(node, schema, path, &mut shape, found);
    }
    if shape.lost || found.len() > before && shape.members.is_empty() {
        return;
    }
    let known: Vec<&str> = shape.members.keys().copied().collect();
    for (name, value) in given {
        let below = match path {
            "" => name.text.clone(),
            _ => format!("{path}.{}", name.text),
        };
        match shape.members.get(name.text.as_str()).copied().or(shape.others) {
            Some(schema) => check(value, schema, &below, found),
            None => {
                let what = format!(
                    "is not known here{}; allowed are {}",
                    perhaps(&name.text, &known),
                    known.join(", ")
                );
                let (line, column) = (name.line, name.column);
                found.push(Finding { line, column, path: below, what });
            }
        }
    }
    for name in shape.required {
        if node.get(name).is_none() {
            found.push(Finding::at(node, path, format!("{name} is missing")));
        }
    }
}

fn gather(
    node: &Node,
    schema: &'static Json,
    path: &str,
    shape: &mut Shape,
    found: &mut Vec<Finding>,
) {
    if let Some(to) = reference(schema).and_then(definition) {
        gather(node, to, path, shape, found);
    }
    for (name, of) in members(schema).into_iter().flatten() {
        shape.members.insert(name, of);
    }
    for name in required(schema) {
        shape.required.push(name);
    }
    if let Some(others) = schema.get("additionalProperties").filter(|it| it.is_object()) {
        shape.others = Some(others);
    }
    let all = alternatives(schema);
    if all.is_empty() {
        return;
    }
    let fitting: Vec<_> = all.iter().copied().filter(|it| compare::may_be(node, it)).collect();
    match choose(node, &fitting, path, found) {
        Some(one) => gather(node, one, path, shape, found),
        None => {
            if fitting.is_empty() {
                found.push(Finding::at(node, path, not_allowed(node, schema)));
            }
            shape.lost = true;
        }
    }
}

/// Which of several shapes a map is meant to have. Where that is not clear, what is wrong is told.
fn choose(
    node: &Node,
    all: &[&'static Json],
    path: &str,
    found: &mut Vec<Finding>,
) -> Option<&'static Json> {
    if let [one] = all {
        return Some(one);
    }
    let tags: Vec<_> = all.iter().filter_map(|it| tag(it).map(|of| (of, *it))).collect();
    if let Some(((name, _), _)) = tags.first() {
        let known: Vec<&str> = tags.iter().map(|it| it.0.1).collect();
        let allowed = known.join(", ");
        let Some(said) = node.get(name) else {
            found.push(Finding::at(
                node,
                path,
                format!("{name} is missing; it is one of {allowed}"),
            ));
            return None;
        };
        let word = match &said.value {
            Value::Text(word) => word.as_str(),
            _ => "",
        };
        let of = tags.iter().find(|it| it.0.1 == word).map(|it| it.1);
        if of.is_none() {
            let (called, perhaps) = (said.called(), perhaps(word, &known));
            let what = format!("{called} is not known{perhaps}; allowed are {allowed}");
            found.push(Finding::at(said, &format!("{path}.{name}"), what));
        }
        return of;
    }
    let keyed: Vec<_> = all.iter().filter_map(|it| key(it).map(|of| (of, *it))).collect();
    let known: Vec<&str> = keyed.iter().map(|it| it.0).collect();
    let given: Vec<_> = keyed.iter().filter(|it| node.get(it.0).is_some()).collect();
    let wrong = match given.as_slice() {
        [one] => return Some(one.1),
        [] => "none of them is there",
        _ => "more than one of them is there",
    };
    let what = format!("has to have exactly one of {}: {wrong}", known.join(", "));
    found.push(Finding::at(node, path, what));
    None
}
