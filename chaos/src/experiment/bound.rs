//! What a value or a number has to be to be good.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::target::Scalar;

/// What a value has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Compare {
    Equals(Scalar),
    Not(Scalar),
    AtLeast(f64),
    AtMost(f64),
    Between(Range),
    /// Whether it is there.
    Exists(bool),
}

/// What a number has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Bound {
    Equals(f64),
    AtLeast(f64),
    AtMost(f64),
    Between(Range),
}

/// From the least to the most, both included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Good from here on.
    pub least: f64,
    /// Good up to here.
    pub most: f64,
}

impl Bound {
    /// Whether anything from the one to the other is good.
    pub fn meets(&self, least: f64, most: f64) -> bool {
        match self {
            Bound::Equals(it) => (least..=most).contains(it),
            Bound::AtLeast(it) => *it <= most,
            Bound::AtMost(it) => *it >= least,
            Bound::Between(it) => it.least <= most && it.most >= least,
        }
    }

    pub fn admits(&self, value: f64) -> bool {
        match self {
            // Counts and settings are exact in a float.
            Bound::Equals(it) => (value - it).abs() <= f64::EPSILON * it.abs().max(1.0),
            Bound::AtLeast(it) => value >= *it,
            Bound::AtMost(it) => value <= *it,
            Bound::Between(Range { least, most }) => (*least..=*most).contains(&value),
        }
    }
}

impl Compare {
    /// `None`: there is no such value.
    pub fn admits(&self, value: Option<&serde_json::Value>) -> bool {
        let number = value.and_then(serde_json::Value::as_f64);
        let bound = |bound: Bound| number.is_some_and(|it| bound.admits(it));
        match self {
            Compare::Equals(it) => value.is_some_and(|value| it.is(value)),
            Compare::Not(it) => value.is_some_and(|value| !it.is(value)),
            Compare::AtLeast(it) => bound(Bound::AtLeast(*it)),
            Compare::AtMost(it) => bound(Bound::AtMost(*it)),
            Compare::Between(it) => bound(Bound::Between(*it)),
            Compare::Exists(it) => value.is_some() == *it,
        }
    }
}

impl Scalar {
    fn is(&self, value: &serde_json::Value) -> bool {
        match self {
            Scalar::Bool(it) => value.as_bool() == Some(*it),
            Scalar::Whole(it) => {
                value.as_i64() == Some(*it)
                    || value.as_f64().is_some_and(|v| Bound::Equals(*it as f64).admits(v))
            }
            Scalar::Number(it) => value.as_f64().is_some_and(|v| Bound::Equals(*it).admits(v)),
            Scalar::Text(it) => value.as_str() == Some(it),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bound_admits_what_it_says_and_no_number_that_is_none() {
        let range = Range { least: 1.0, most: 2.0 };
        for (bound, good, bad) in [
            (Bound::Equals(0.1 + 0.2), 0.3, 0.300_001),
            (Bound::AtLeast(1.0), 1.0, 0.999),
            (Bound::AtMost(1.0), 1.0, 1.001),
            (Bound::Between(range), 2.0, 2.001),
        ] {
            assert!(bound.admits(good), "{bound:?}");
            assert!(!bound.admits(bad) && !bound.admits(f64::NAN), "{bound:?}");
        }
    }

    #[test]
    fn a_value_of_a_body_is_compared_by_its_type() {
        let equals = |it| Compare::Equals(it);
        assert!(equals(Scalar::Bool(false)).admits(Some(&json!(false))));
        assert!(!equals(Scalar::Bool(false)).admits(Some(&json!("false"))));
        assert!(equals(Scalar::Whole(3)).admits(Some(&json!(3.0))));
        assert!(equals(Scalar::Text("up".to_owned())).admits(Some(&json!("up"))));
        assert!(!equals(Scalar::Text("up".to_owned())).admits(None));
        assert!(Compare::Not(Scalar::Whole(3)).admits(Some(&json!("3"))));
        // What is not there is nothing, also not something else.
        assert!(!Compare::Not(Scalar::Whole(3)).admits(None));
        assert!(Compare::Exists(false).admits(None));
        assert!(!Compare::Exists(false).admits(Some(&json!(null))));
        assert!(Compare::AtLeast(2.0).admits(Some(&json!(2))));
        assert!(!Compare::AtLeast(2.0).admits(Some(&json!("2"))));
    }
}
