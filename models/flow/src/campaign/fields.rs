//! An object of JSON taken apart field by field with the exact text of each value: amounts are read from
//! their digits, and one wrong field does not hide the next.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

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
            wrong.add(join(path, &short(&name)), "is no field of this");
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
    let mut json = serde_json::Deserializer::from_str(raw.get());
    match serde_path_to_error::deserialize(&mut json) {
        Ok(value) => Some(value),
        Err(error) => {
            let mut path = path.to_owned();
            for segment in error.path() {
                path = match segment {
                    Segment::Seq { index } => format!("{path}[{index}]"),
                    Segment::Map { key: name } | Segment::Enum { variant: name } => {
                        join(&path, &short(name))
                    }
                    Segment::Unknown => path,
                };
            }
            let (field, why) = told(error.inner(), path);
            wrong.add(field, why);
            None
        }
    }
}

/// As much of a name as is repeated.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

/// What is wrong and where, in words of JSON; `path` is where it was found.
fn told(error: &serde_json::Error, path: String) -> (String, String) {
    if !error.is_data() {
        // It is JSON, as it was read before: what is amiss is the shape of a choice, or half of a character.
        let why = match error.to_string().contains("hex escape") {
            true => "is no text: it has half of a character",
            false => "is not one choice: name one (in a patch, set the other one to null)",
        };
        return (path, why.to_owned());
    }
    let text = error.to_string();
    // A place within the fragment means nothing to who sent the whole.
    let text = text.split(" at line ").next().unwrap_or(&text);
    let quoted = || text.split('`').nth(1).map(short);
    if text.starts_with("missing field")
        && let Some(name) = quoted()
    {
        return (join(&path, &name), "is missing".to_owned());
    }
    if text.starts_with("unknown field")
        && let Some(name) = quoted()
    {
        let named = path == name || path.ends_with(&format!(".{name}"));
        let field = if named { path } else { join(&path, &name) };
        return (field, "is no field of this".to_owned());
    }
    let why = match text.rsplit_once(", expected ") {
        Some((found, expected)) => format!("{}, expected {}", plain(found), wanted(expected)),
        None => plain(text),
    };
    (path, format!("cannot be read: {why}"))
}

/// What was found.
fn plain(found: &str) -> String {
    let (what, of) = found.split_once(": ").unwrap_or(("", found));
    let of = match of {
        "map" => "an object",
        "sequence" => "a list",
        "unit value" | "null" => "null",
        other => other,
    };
    if what.is_empty() {
        of.replace("unknown variant", "unknown word")
    } else {
        format!("{what}: {of}")
    }
}

/// What belongs there: what types of this program are called means nothing to who sent it.
fn wanted(expected: &str) -> &str {
    let of_ours = ["struct ", "tuple struct ", "enum ", "struct variant ", "newtype variant "];
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number from 0 on",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a string" => "a text",
        "a map" => "an object",
        "string or map" | "a string or map" => "a text or an object",
        other if other.starts_with("unit variant") => "this word alone",
        other if of_ours.iter().any(|it| other.starts_with(it)) => "an object",
        other => other,
    }
}

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::super::definition::Definition;
    use super::super::patch::merge;
    use super::super::tests::SMALL;

    /// What is said of the small definition with this patch.
    fn said(patch: &str) -> String {
        let merged = merge(SMALL, patch).expect("merged");
        Definition::read(&merged).expect_err("a mistake").to_string()
    }

    #[test]
    fn a_mistake_is_told_by_its_own_field_in_words_of_json() {
        for (patch, told) in [
            (
                r#"{"targeting": {"geo": {"include": 5}}}"#,
                "targeting.geo.include cannot be read: invalid type: integer `5`, expected an object",
            ),
            (
                r#"{"targeting": {"geo": {"include": {"countries": ["DE", "XX"]}}}}"#,
                "targeting.geo.include.countries[1] cannot be read",
            ),
            (
                r#"{"targeting": {"device": {"kinds": ["phone", "toaster"]}}}"#,
                "targeting.device.kinds[1] cannot be read: unknown word `toaster`, expected one of",
            ),
            (
                r#"{"targeting": {"deals": {"only": "yes"}}}"#,
                "targeting.deals.only cannot be read: invalid type: string \"yes\", expected a boolean",
            ),
            (
                r#"{"targeting": {"deals": {"onyl": true}}}"#,
                "targeting.deals.onyl is no field of this",
            ),
            (r#"{"budget": {"amount": null}}"#, "budget.amount is missing"),
            (r#"{"budget": {"amount": "ten"}}"#, "budget.amount cannot be read: amount"),
            (
                r#"{"frequency": {"caps": [{"impressions": -1, "period_s": 1}]}}"#,
                "frequency.caps[0].impressions cannot be read: invalid value: integer `-1`, \
                 expected a whole number from 0 to 65535",
            ),
            (r#"{"strategy": {"max_cpm": {"cpm": null}}}"#, "strategy.max_cpm.cpm is missing"),
            (r#"{"strategy": {"max_cpm": null}}"#, "strategy is not one choice"),
            (
                r#"{"creatives": [{"id": "a", "markup": "x", "format": {"native": {}, "banner": {"w": 1, "h": 1}}}]}"#,
                "creatives[0].format is not one choice",
            ),
            (
                r#"{"creatives": [{"id": "a", "markup": "x", "format": {"banner": {"w": 70000, "h": 1}}}]}"#,
                "creatives[0].format.banner.w cannot be read: invalid value: integer `70000`",
            ),
        ] {
            let text = said(patch);
            assert!(text.starts_with(told), "{patch}: {text}");
            for ours in ["struct", "enum", "variant", "Strategy", "Shape", "u16", "at line"] {
                assert!(!text.contains(ours), "{patch}: {text}");
            }
        }
    }
}
