//! JSON merge patch (RFC 7396) on text, so that amounts keep their digits.

use serde_json::value::RawValue;

use super::definition::DEFINITION_BYTES_MAX;
use super::fields::Fields;
use super::mistake::Mistakes;

/// Objects within objects that a patch may have.
const DEPTH_MAX: usize = 16;

/// The document that a patch makes of `target`: members of objects are replaced one by one, `null` removes
/// one, and everything else, lists too, is replaced as a whole. Beyond the RFC, of `strategy` and
/// `targeting.audience`, which have one member, the one that a patch brings takes the place of the one there is.
pub fn merge(target: &str, patch: &str) -> Result<String, Mistakes> {
    if patch.len() > DEFINITION_BYTES_MAX {
        return Err(Mistakes::of("", "is a patch longer than 2 MiB"));
    }
    let read = |text: &str| {
        serde_json::from_str::<Box<RawValue>>(text)
            .map_err(|error| Mistakes::of("", error.to_string()))
    };
    let patch = read(patch)?;
    if !is_object(&patch) {
        return Err(Mistakes::of("", "is patched by something that is no object"));
    }
    let mut merged = String::with_capacity(target.len() + patch.get().len());
    write(Some(&read(target)?), &patch, (Place::Definition, DEPTH_MAX), &mut merged)?;
    Ok(merged)
}

/// Which object is merged.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Definition,
    Targeting,
    /// Its one member says which it is.
    Choice,
    Other,
}

impl Place {
    fn within(self, name: &str) -> Place {
        match (self, name) {
            (Place::Definition, "targeting") => Place::Targeting,
            (Place::Definition, "strategy") | (Place::Targeting, "audience") => Place::Choice,
            _ => Place::Other,
        }
    }
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

fn write(
    target: Option<&RawValue>,
    patch: &RawValue,
    (place, depth): (Place, usize),
    out: &mut String,
) -> Result<(), Mistakes> {
    if !is_object(patch) {
        out.push_str(patch.get());
        return Ok(());
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Mistakes::of("", "is patched more than 16 objects deep"));
    };
    let fields = |raw: &RawValue| {
        Fields::read(raw.get()).map_err(|error| Mistakes::of("", error.to_string()))
    };
    let mut known =
        target.filter(|raw| is_object(raw)).map(fields).transpose()?.unwrap_or_default().0;
    let mut patches = fields(patch)?;
    let brings = |(name, patch): &(String, Box<RawValue>)| {
        patch.get() != "null" && known.iter().all(|(other, _)| other != name)
    };
    if place == Place::Choice && patches.0.iter().any(brings) {
        known.retain(|(name, _)| patches.0.iter().any(|(other, _)| other == name));
    }
    out.push('{');
    let mut first = true;
    let mut begin = |name: &str, out: &mut String| -> Result<(), Mistakes> {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        let quoted = serde_json::to_string(name);
        out.push_str(&quoted.map_err(|error| Mistakes::of("", error.to_string()))?);
        out.push(':');
        Ok(())
    };
    for (name, value) in &known {
        match patches.raw(name) {
            None => {
                begin(name, out)?;
                out.push_str(value.get());
            }
            Some(patch) if patch.get() == "null" => {}
            Some(patch) => {
                begin(name, out)?;
                write(Some(value), &patch, (place.within(name), depth), out)?;
            }
        }
    }
    for (name, patch) in &patches.0 {
        if patch.get() != "null" {
            begin(name, out)?;
            write(None, patch, (place.within(name), depth), out)?;
        }
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7396, appendix A, of which both sides are objects.
    #[test]
    fn the_examples_of_the_rfc_come_out() {
        for (target, patch, merged) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merge(target, patch).as_deref(), Ok(merged), "{target} {patch}");
        }
    }

    #[test]
    fn another_choice_takes_the_place_of_the_one_there_is() {
        let target =
            r#"{"strategy":{"target_value":{"p":1,"max":2}},"targeting":{"audience":"everybody"}}"#;
        for (patch, merged) in [
            (
                r#"{"strategy":{"max_cpm":{"cpm":2}}}"#,
                r#"{"strategy":{"max_cpm":{"cpm":2}},"targeting":{"audience":"everybody"}}"#,
            ),
            (
                r#"{"strategy":{"target_value":{"max":3}}}"#,
                r#"{"strategy":{"target_value":{"p":1,"max":3}},"targeting":{"audience":"everybody"}}"#,
            ),
            (
                r#"{"strategy":{"target_value":null,"max_cpm":{}},"targeting":{"audience":{"cohort":{}}}}"#,
                r#"{"strategy":{"max_cpm":{}},"targeting":{"audience":{"cohort":{}}}}"#,
            ),
        ] {
            assert_eq!(merge(target, patch).as_deref(), Ok(merged), "{patch}");
        }
        // Whoever names both means both, which is a mistake that is told.
        let both = r#"{"strategy":{"max_cpm":{},"target_value":{"p":2}}}"#;
        let merged = merge(target, both).expect("merged");
        assert!(merged.contains("max_cpm") && merged.contains("target_value"), "{merged}");
        let audience = r#"{"targeting":{"audience":{"ltv":{"bands":[]}}}}"#;
        let cohort = r#"{"targeting":{"audience":{"cohort":{"name":"x"}}}}"#;
        assert_eq!(merge(audience, cohort).as_deref(), Ok(cohort));
        // Elsewhere nothing of that name is a choice.
        let other = merge(r#"{"a":{"strategy":{"b":1}}}"#, r#"{"a":{"strategy":{"c":2}}}"#);
        assert_eq!(other.as_deref(), Ok(r#"{"a":{"strategy":{"b":1,"c":2}}}"#));
    }

    #[test]
    fn digits_are_kept_and_what_is_no_patch_is_refused() {
        let merged = merge(r#"{"a":0.1000000000000000055}"#, r#"{"b":999999999.999999}"#);
        assert_eq!(merged.as_deref(), Ok(r#"{"a":0.1000000000000000055,"b":999999999.999999}"#));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
        for bad in ["[]", "null", "{", "1", r#"{"a":1,"a":2}"#, &deep, &"[".repeat(200_000)] {
            assert!(merge("{}", bad).is_err());
        }
    }
}
