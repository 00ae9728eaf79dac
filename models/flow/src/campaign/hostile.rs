//! Definitions and patches that are broken at random, or made to take long.

use std::time::Instant;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::definition::{DEFINITION_BYTES_MAX, Definition};
use super::patch::merge;
use super::state::Campaign;
use super::tests::{FULL, SMALL};

const PIECES: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\u0000",
    ",",
    ":",
    "null",
    "-1",
    "1e400",
    "\u{1f980}",
    "\"id\":\"x\",",
    "99999999999999999999",
];

#[test]
fn a_definition_with_some_characters_changed_is_read_or_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_122);
    let mut read = 0;
    for _ in 0..4_000 {
        let mut text: Vec<char> = FULL.chars().collect();
        for _ in 0..rng.random_range(1..=3) {
            let at = rng.random_range(0..text.len());
            let end = (at + rng.random_range(0..=6)).min(text.len());
            let piece = PIECES[rng.random_range(0..PIECES.len())];
            match rng.random_range(0..3) {
                0 => drop(text.drain(at..end)),
                1 => text.splice(at..at, piece.chars()).for_each(drop),
                _ => text.splice(at..end, piece.chars()).for_each(drop),
            }
        }
        let text: String = text.into_iter().collect();
        let Ok(definition) = Definition::read(&text) else { continue };
        read += 1;
        let written = serde_json::to_string(&definition).expect("json");
        assert_eq!(Definition::read(&written).as_ref(), Ok(&definition), "{text}");
        assert!(Campaign::create(definition, 0).is_ok());
    }
    assert!(read > 20, "some are still definitions: {read}");
}

#[test]
fn the_longest_definitions_and_patches_are_refused_within_a_second() {
    let fill = |head: &str, each: &str, tail: &str| {
        let room = DEFINITION_BYTES_MAX - head.len() - tail.len();
        format!("{head}{}{tail}", each.repeat(room / each.len()).trim_end_matches(','))
    };
    for body in [
        fill("{\"creatives\":[", "0,", "]}"),
        fill("{\"creatives\":[", "{},", "]}"),
        fill("{\"creatives\":[", "[],", "]}"),
        fill("{\"categories\":[", "\"\",", "]}"),
        fill("{\"categories\":[", "\"IAB1\",", "]}"),
        fill("{\"targeting\":{\"sizes\":[", "{\"w\":1,\"h\":1},", "]}}"),
        fill("{\"targeting\":{\"inventory\":{\"sites\":{\"deny\":[", "\"a\",", "]}}}}"),
        fill("{\"name\":\"", "\\n", "\"}"),
        (0..)
            .map(|n| format!("\"x{n}\":0,"))
            .take(150_000)
            .fold("{".to_owned(), |all, it| all + &it),
    ] {
        let begun = Instant::now();
        let merged = merge(SMALL, &body);
        let wrong = Definition::read(merged.as_deref().unwrap_or(&body));
        let took = begun.elapsed();
        println!("{} bytes beginning {:.40}: {took:?}", body.len(), body);
        assert!(wrong.is_err(), "{:.60}", body);
        assert!(took.as_secs() < 4, "{took:?} for {:.60}", body);
    }
}

/// JSON with few names, so that they meet.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c\"\\\\]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"]{1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// RFC 7396, section 2, word by word.
fn by_the_rfc(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut target = match target {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(&name)),
            value => {
                let known = target.remove(&name).unwrap_or(Value::Null);
                target.insert(name, by_the_rfc(known, value));
            }
        }
    }
    Value::Object(target)
}

proptest! {
    #[test]
    fn a_merge_is_that_of_the_rfc(target in json(), patch in json()) {
        let merged = merge(&target.to_string(), &patch.to_string());
        match patch.is_object() {
            true => {
                let merged: Value = serde_json::from_str(&merged.expect("merged")).expect("json");
                prop_assert_eq!(merged, by_the_rfc(target, patch));
            }
            false => prop_assert!(merged.is_err()),
        }
    }

    #[test]
    fn no_text_makes_a_merge_panic(target in "\\PC{0,40}", patch in "[\\{\\}\\[\\]\":,a0 ]{0,40}") {
        let _ = merge(&target, &patch);
        let _ = merge(SMALL, &patch);
        let _ = Definition::read(&patch);
    }
}
