//! Values with a unit, as people write them: `5s`, `64MiB`, `1Mbit`, `-30s`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const TIMES: &[(&str, u64)] = &[("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000)];
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const RATES: &[(&str, u64)] =
    &[("bit", 1), ("Kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000)];

/// The number before a unit, in the smallest unit. It is read exactly: `1.5s`, not `1e3ms`.
fn read(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let wrong = || format!("{text:?} is not a number and one of {}: {example}", names.join(", "));
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (number, unit) = text.split_at(end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    // Nobody needs more than nanoseconds, and what is longer would not fit.
    if whole.is_empty() || whole.len() > 12 || part.is_empty() || part.len() > 9 {
        return Err(wrong());
    }
    let digits = u32::try_from(part.len()).map_err(|_| wrong())?;
    let whole: u128 = whole.parse().map_err(|_| wrong())?;
    let part: u128 = part.parse().map_err(|_| wrong())?;
    let scale = u128::from(*scale);
    let below = part * scale;
    let ten = 10_u128.pow(digits);
    if !below.is_multiple_of(ten) {
        return Err(format!("{text:?} is finer than one {}", units.first().map_or("", |it| it.0)));
    }
    u64::try_from(whole * scale + below / ten).map_err(|_| wrong())
}

/// In the largest unit that divides it.
fn write(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let fits = |(_, scale): &&(&str, u64)| value.is_multiple_of(*scale);
    match units.iter().rev().find(fits) {
        Some((name, scale)) if value > 0 => write!(f, "{}{name}", value / scale),
        _ => write!(f, "0{}", units.get(units.len() / 2).map_or("", |it| it.0)),
    }
}

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $units:ident, $format:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u64);

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<$name, String> {
                read(text, $units, $example).map($name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<$name, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> String {
                it.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(f, self.0, $units)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}

unit!(
    /// A length of time.
    Period, TIMES, "period", "5s, 200ms, 1.5s, 2m"
);
unit!(
    /// An amount of memory or disk.
    Size, SIZES, "size", "64MiB, 4KiB"
);
unit!(
    /// Bits a second.
    Bandwidth, RATES, "bandwidth", "1Mbit, 256Kbit"
);

impl Period {
    pub const ZERO: Period = Period(0);

    pub const fn micros(us: u64) -> Period {
        Period(us)
    }

    pub const fn seconds(s: u64) -> Period {
        Period(s * 1_000_000)
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    pub const fn plus(self, other: Period) -> Period {
        Period(self.0.saturating_add(other.0))
    }
}

impl From<Period> for Duration {
    fn from(it: Period) -> Duration {
        Duration::from_micros(it.0)
    }
}

impl Size {
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl Bandwidth {
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }
}

/// A step of a clock: forwards, or with a minus backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shift(i64);

impl Shift {
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How far, in either direction.
    pub const fn far(self) -> Period {
        Period(self.0.unsigned_abs())
    }
}

impl FromStr for Shift {
    type Err = String;

    fn from_str(text: &str) -> Result<Shift, String> {
        let (back, far) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let us = read(far, TIMES, "30s, -30s")?;
        let us = i64::try_from(us).map_err(|_| format!("{text:?} is too far"))?;
        Ok(Shift(if back { -us } else { us }))
    }
}

impl TryFrom<String> for Shift {
    type Error = String;

    fn try_from(text: String) -> Result<Shift, String> {
        text.parse()
    }
}

impl From<Shift> for String {
    fn from(it: Shift) -> String {
        it.to_string()
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 < 0 { "-" } else { "+" }, self.far())
    }
}

impl JsonSchema for Shift {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Shift".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "shift" })
    }
}

/// What is read from a text of this format; how large it is, for comparing it with bounds.
pub fn size_of(format: &str, text: &str) -> Option<Result<u64, String>> {
    Some(match format {
        "period" => text.parse::<Period>().map(|it| it.0),
        "size" => text.parse::<Size>().map(|it| it.0),
        "bandwidth" => text.parse::<Bandwidth>().map(|it| it.0),
        "shift" => text.parse::<Shift>().map(|it| it.far().0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_read_exactly() {
        assert_eq!("200ms".parse(), Ok(Period::micros(200_000)));
        assert_eq!("1.5s".parse(), Ok(Period::micros(1_500_000)));
        assert_eq!("64MiB".parse::<Size>().map(Size::bytes), Ok(64 << 20));
        assert_eq!("1Mbit".parse::<Bandwidth>().map(|it| it.0), Ok(1_000_000));
        assert_eq!("-30s".parse::<Shift>().map(Shift::as_micros), Ok(-30_000_000));
    }

    #[test]
    fn what_is_no_value_with_a_unit_is_refused() {
        let hostile =
            ["", "5", "s", "5 s", "-5s", "5S", "1e3s", "1.s", ".5s", "5ss", "٣s", "1.2.3s"];
        for text in hostile.into_iter().chain(["99999999999999999999s", "0.0000001s", "1.5us"]) {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        assert!("--5s".parse::<Shift>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(us in 0_u64..=600_000_000_000, back: bool) {
            let period = Period(us);
            prop_assert_eq!(period.to_string().parse(), Ok(period));
            let size = Size(us);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            let far = i64::try_from(us).expect("small");
            let shift = Shift(if back { -far } else { far });
            prop_assert_eq!(shift.to_string().parse(), Ok(shift));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,40}") {
            for format in ["period", "size", "bandwidth", "shift"] {
                prop_assert!(size_of(format, &text).is_some());
            }
        }
    }
}
