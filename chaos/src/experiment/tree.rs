//! A file of YAML as a tree that knows where each value stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use serde_saphyr::{Location, Spanned};

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub value: Value,
    pub line: u64,
    pub column: u64,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, with the places of the names.
    Map(Vec<(Name, Node)>),
}

#[derive(Clone, Debug)]
pub struct Name {
    pub text: String,
    pub line: u64,
    pub column: u64,
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().find(|(it, _)| it.text == name).map(|it| &it.1),
            _ => None,
        }
    }

    /// The deepest value on this path that is there: `method[2].fault`.
    pub fn nearest(&self, path: &str) -> &Node {
        let mut here = self;
        for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
            let next = match &here.value {
                Value::List(items) => part.parse().ok().and_then(|at: usize| items.get(at)),
                _ => here.get(part),
            };
            match next {
                Some(node) => here = node,
                None => break,
            }
        }
        here
    }

    /// What this is, for people.
    pub fn called(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(it) => format!("{it}"),
            Value::Number(it) => format!("the number {it}"),
            Value::Text(it) => {
                let short: String = it.chars().take(40).collect();
                let more = if short.len() < it.len() { "…" } else { "" };
                format!("{:?}", short + more)
            }
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    pub fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(it) => Json::Bool(*it),
            Value::Number(it) => Json::Number(it.clone()),
            Value::Text(it) => Json::String(it.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::json).collect()),
            Value::Map(members) => {
                let pair = |(name, node): &(Name, Node)| (name.text.clone(), node.json());
                Json::Object(members.iter().map(pair).collect::<Map<_, _>>())
            }
        }
    }
}

fn place(at: Location) -> (u64, u64) {
    (at.line(), at.column())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Node, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(from)?;
        let (line, column) = place(referenced);
        Ok(Node { value, line, column })
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        let Spanned { value: text, referenced, .. } = Spanned::<String>::deserialize(from)?;
        let (line, column) = place(referenced);
        Ok(Name { text, line, column })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
        from.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Number(it.into()))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(Value::Number(it.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, it: f64) -> Result<Value, E> {
        let number = Number::from_f64(it).ok_or_else(|| E::custom("is not a finite number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::Text(it.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Value::Map(members))
    }
}
