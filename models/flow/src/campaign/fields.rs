//! An object of JSON taken apart field by field with the exact text of each value: amounts are read from
//! their digits, and one wrong field does not hide the next.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::mistake::Mistakes;

/// The fields of one object in their order, each once.
#[derive(Debug, Default)]
pub struct Fields(pub Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    if fields.len() >= FIELDS_MAX {
                        return Err(serde::de::Error::custom("more than 1000 fields"));
                    }
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format!("{name:?} is there twice")));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        d.deserialize_map(Each)
    }
}

/// Fields of one object that are looked at.
const FIELDS_MAX: usize = 1_000;

impl Fields {
    pub fn read(text: &str) -> Result<Fields, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The raw text of a field, which is then not left over.
    pub fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// A field that may be missing; `null` is as missing. `None` also where it is wrong: then it is said.
    pub fn take<T: DeserializeOwned>(
        &mut self,
        name: &str,
        path: &str,
        wrong: &mut Mistakes,
    ) -> Option<T> {
        let raw = self.raw(name).filter(|raw| raw.get() != "null")?;
        read(&raw, &join(path, name), wrong)
    }

    /// A field that must be there.
    pub fn need<T: DeserializeOwned>(
        &mut self,
        name: &str,
        path: &str,
        wrong: &mut Mistakes,
    ) -> Option<T> {
        if self.0.iter().any(|(known, raw)| known == name && raw.get() != "null") {
            return self.take(name, path, wrong);
        }
        self.raw(name);
        wrong.add(join(path, name), "is missing");
        None
    }

    /// A list, element by element.
    pub fn list<T: DeserializeOwned>(
        &mut self,
        name: &str,
        path: &str,
        wrong: &mut Mistakes,
    ) -> Vec<T> {
        let path = join(path, name);
        let Some(raw) = self.raw(name).filter(|raw| raw.get() != "null") else {
            return Vec::new();
        };
        let Some(Elements(elements)) = read(&raw, &path, wrong) else {
            return Vec::new();
        };
        let each = elements.iter().enumerate();
        each.filter_map(|(i, element)| read(element, &format!("{path}[{i}]"), wrong)).collect()
    }

    /// Says of what is left that nobody knows it.
    pub fn end(self, path: &str, wrong: &mut Mistakes) {
        for (name, _) in self.0 {
            let name: String = name.chars().take(64).collect();
            wrong.add(join(path, &name), "is no field of this");
        }
    }
}

/// Elements of a list, as they came; more than [`ELEMENTS_MAX`] are refused before they are kept.
struct Elements(Vec<Box<RawValue>>);

/// Elements of one list that are looked at.
const ELEMENTS_MAX: usize = 1_000;

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Elements;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() >= ELEMENTS_MAX {
                        return Err(serde::de::Error::custom("more than 1000 elements"));
                    }
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        d.deserialize_seq(Each)
    }
}

fn read<T: DeserializeOwned>(raw: &RawValue, path: &str, wrong: &mut Mistakes) -> Option<T> {
    match serde_json::from_str(raw.get()) {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            // A place within the fragment means nothing to who sent the whole.
            let why = text.split(" at line ").next().unwrap_or(&text);
            wrong.add(path, format!("cannot be read: {why}"));
            None
        }
    }
}

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
