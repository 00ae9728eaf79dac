//! Amounts of money.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Money, in the currency of its account, with at most 6 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Amount(i64);

/// The most that one request may name (`docs/ARCHITECTURE.md`, numbers and limits).
pub const AMOUNT_MAX: i64 = 1_000_000_000;

impl Amount {
    pub const fn units(units: i64) -> Amount {
        Amount(units * 1_000_000)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl TryFrom<f64> for Amount {
    type Error = String;

    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn try_from(units: f64) -> Result<Amount, String> {
        if !(0.0..=AMOUNT_MAX as f64).contains(&units) {
            return Err(format!("{units} is not within 0 and {AMOUNT_MAX}"));
        }
        let micros = units * 1e6;
        // A written decimal is off by what a float cannot hold, and not by more.
        if (micros - micros.round()).abs() > 0.01_f64.max(micros * 4e-16) {
            return Err(format!("{units} has more than 6 decimals"));
        }
        Ok(Amount(micros.round() as i64))
    }
}

impl From<Amount> for f64 {
    #[allow(clippy::cast_precision_loss)]
    fn from(it: Amount) -> f64 {
        it.0 as f64 / 1e6
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "format": "amount", "minimum": 0, "maximum": AMOUNT_MAX })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_amount_is_refused() {
        assert_eq!(Amount::try_from(0.25).map(Amount::micros), Ok(250_000));
        for units in [-1.0, f64::NAN, f64::INFINITY, 1e10, 0.000_000_1] {
            assert!(Amount::try_from(units).is_err(), "{units}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_in_micros_survives_its_decimals(micros in 0_i64..=1_000_000_000_000_000) {
            prop_assert_eq!(Amount::try_from(f64::from(Amount(micros))), Ok(Amount(micros)));
        }
    }
}
