//! The description against what is read.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::PartialSchema;

use super::*;
use crate::models::flow::campaign::definition::Definition;

/// With every field that there is.
const FULL: &str = r#"{
  "id": "c", "account": "a", "name": "C", "platforms": ["openrtb", "the_trade_desk"],
  "advertiser_domain": "acme.example", "advertiser_app": "com.acme", "categories": ["IAB18"], "cattax": 6,
  "seat": "s", "currency": "EUR", "budget": {"amount": 10, "daily": 1},
  "strategy": {"roas_floor": {"roas": 2, "worth": {"conversion_rate": 0.1, "engagement_weight": 0.5,
    "unknown_ltv": 1, "max_cpm": 2}}},
  "schedule": {"time_zone": "UTC", "starts": "2026-11-21T00:00:00Z", "ends": "2026-12-21T00:00:00Z"},
  "targeting": {
    "geo": {"include": {"countries": ["DE"], "regions": [{"country": "DE", "region": "BY"}],
      "cities": [{"country": "FR", "city": "Paris"}]}, "exclude": {"countries": ["US"]}},
    "device": {"kinds": ["phone", "set_top_box"], "systems": ["ios"], "languages": ["de"]},
    "inventory": {"kinds": ["site"], "sites": {"allow": ["a.example"], "deny": ["b.example"]},
      "apps": {"allow": ["a"], "deny": ["b"]}},
    "categories": {"include": ["IAB1"], "exclude": ["483"], "cattax": 6},
    "formats": ["banner"], "sizes": [{"w": 300, "h": 250}],
    "hours": {"clock": "person", "parts": [{"days": ["mon"], "from": "08:00", "until": "09:00"}]},
    "audience": {"ltv": {"bands": [{"at_least": 1, "below": 2}], "unknown": true}},
    "deals": {"ids": ["d"], "only": true}},
  "frequency": {"caps": [{"impressions": 3, "period_s": 60}], "unknown_person": true},
  "per_request": 2, "consent": {"personal": true, "purposes": ["targeting"], "children": true},
  "transparency": {"behalf": "A", "paid": "B", "params": [1], "domain": "a.example", "rendered": true},
  "creatives": [
    {"id": "a", "format": {"video": {"w": 1, "h": 1, "duration_s": 5, "mime": "video/mp4"}}, "markup": "<VAST/>",
     "advertiser_domains": ["a.example"], "categories": ["1"], "cattax": 6, "attributes": [1],
     "language": "de", "preview_url": "https://a.example/p.png", "secure": false,
     "media": {"mime": "video/mp4", "protocol": 2, "apis": [7], "banner_types": [1]}},
    {"id": "b", "format": {"banner": {"w": 300, "h": 250}}, "markup": "x"},
    {"id": "c", "format": {"audio": {"duration_s": 5, "mime": "audio/mpeg"}}, "markup": "<DAAST/>"}]}"#;

struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    fn new() -> Schemas {
        let mut parts = Vec::new();
        DefinitionBody::schemas(&mut parts);
        let json = |schema| serde_json::to_value(schema).expect("json");
        Schemas(parts.into_iter().map(|(name, schema)| (name, json(schema))).collect())
    }

    /// What does not fit, by its path.
    fn strange(&self, schema: &Value, value: &Value, path: &str) -> Vec<String> {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().expect("a name");
            return self.strange(&self.0[name], value, path);
        }
        if schema["type"] == "null" && !value.is_null() {
            return vec![format!("{path}: {value}")];
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let each = choices.iter().map(|choice| self.strange(choice, value, path));
            return each.min_by_key(Vec::len).expect("a choice");
        }
        if let Some(words) = schema["enum"].as_array() {
            let known = words.contains(value);
            return if known { Vec::new() } else { vec![format!("{path}: {value}")] };
        }
        match value {
            Value::Object(fields) => {
                let of = |(name, value): (&String, &Value)| {
                    let path = format!("{path}.{name}");
                    match &schema["properties"][name] {
                        Value::Null => vec![path],
                        schema => self.strange(schema, value, &path),
                    }
                };
                let missing = schema["required"].as_array().into_iter().flatten();
                let missing = missing.filter_map(|name| {
                    let name = name.as_str()?;
                    (!fields.contains_key(name)).then(|| format!("{path} without {name}"))
                });
                fields.iter().flat_map(of).chain(missing).collect()
            }
            Value::Array(elements) => {
                let each = elements.iter();
                each.flat_map(|it| self.strange(&schema["items"], it, path)).collect()
            }
            _ if schema["properties"].is_object() => vec![format!("{path}: {value}")],
            _ => Vec::new(),
        }
    }
}

fn strange(definition: &Value) -> Vec<String> {
    let whole = serde_json::to_value(DefinitionBody::schema()).expect("json");
    Schemas::new().strange(&whole, definition, "")
}

#[test]
fn every_field_that_is_read_is_described() {
    let full = Definition::read(FULL).expect("a definition");
    let whole = serde_json::to_value(&full).expect("json");
    assert_eq!(strange(&whole), [] as [String; 0]);
    let written: Value = serde_json::from_str(FULL).expect("json");
    for (name, _) in whole.as_object().expect("an object") {
        assert!(written.get(name).is_some(), "{name} is not among all the fields");
    }
}

#[test]
fn the_examples_of_the_documentation_and_of_the_schema_are_definitions_as_described() {
    let docs = include_str!("../../../../../docs/campaigns.md");
    let example = docs.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let schema = serde_json::to_value(DefinitionBody::schema()).expect("json");
    for text in [example.expect("an example").to_owned(), schema["example"].to_string()] {
        Definition::read(&text).expect("a definition");
        let example: Value = serde_json::from_str(&text).expect("json");
        assert_eq!(strange(&example), [] as [String; 0], "{text}");
    }
}

#[test]
fn only_what_is_needed_is_required_and_what_nobody_knows_is_found() {
    let schema = serde_json::to_value(DefinitionBody::schema()).expect("json");
    let required = ["id", "name", "advertiser_domain", "currency", "strategy"];
    assert_eq!(schema["required"], serde_json::json!(required));
    let wrong = serde_json::json!({
        "id": "c", "name": "C", "advertiser_domain": "a.example", "currency": "USD",
        "strategy": {"max_cpm": {"cpm": 1, "colour": 1}}, "budget": {}, "colour": 1
    });
    let found = strange(&wrong);
    for part in [".strategy.max_cpm.colour", ".budget without amount", ".colour"] {
        assert!(found.iter().any(|it| it == part), "{part}: {found:?}");
    }
}
