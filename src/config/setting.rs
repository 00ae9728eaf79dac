//! What a key's value may be: the types of the configuration, read from text exactly.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::raw::Raw;
use crate::models::shield::money::{AmountError, Currency, Micros};

/// A type that a key can have.
pub trait Setting: Sized {
    /// What a reader should write, with its article: `a whole number`.
    const EXPECTS: &'static str;

    /// The value, or `None` where the text is not one, or the words for what is wrong with it.
    fn parse(raw: &Raw) -> Result<Option<Self>, String>;

    /// The value as TOML; secrets are redacted here.
    fn literal(&self) -> String;

    /// What a key's limits are compared by. A type without a size has no limits.
    fn size(&self) -> Option<i64> {
        None
    }
}

/// The least and the greatest value of a key, in the key's unit.
pub type Limits = Option<(&'static str, &'static str)>;

/// Reads a value and checks its limits; the error says what was expected.
pub fn read<T: Setting>(raw: &Raw, limits: Limits) -> Result<T, String> {
    let number = raw.text.trim().parse::<i128>().is_ok();
    let parsed = T::parse(raw).map_err(|wrong| match limits {
        // The key's own limits, not those of the type that it is kept in.
        Some((low, high)) if number => {
            format!("must be between {low} and {high}, got {}", raw.text)
        }
        _ => wrong,
    })?;
    let value = parsed.ok_or_else(|| match raw.is_string() {
        true => format!("expected {}, got {:?}", T::EXPECTS, raw.text),
        false => format!("expected {}, got {}", T::EXPECTS, raw.form.words()),
    })?;
    let size_of = |text: &str| T::parse(&Raw::text(text)).ok().flatten().and_then(|v| v.size());
    if let Some((low, high)) = limits
        && let (Some(size), Some(least), Some(most)) = (value.size(), size_of(low), size_of(high))
        && !(least..=most).contains(&size)
    {
        return Err(format!("must be between {low} and {high}, got {}", raw.text));
    }
    Ok(value)
}

macro_rules! whole_numbers {
    ($($int:ty)*) => {$(
        impl Setting for $int {
            const EXPECTS: &'static str = "a whole number";

            fn parse(raw: &Raw) -> Result<Option<Self>, String> {
                if !raw.is_integer() {
                    return Ok(None);
                }
                let text = raw.text.trim();
                match text.parse::<i128>() {
                    Ok(number) => Self::try_from(number).map(Some).map_err(|_| {
                        format!("must be between {} and {}, got {text}", Self::MIN, Self::MAX)
                    }),
                    Err(_) => Ok(None),
                }
            }

            fn literal(&self) -> String {
                self.to_string()
            }

            fn size(&self) -> Option<i64> {
                i64::try_from(*self).ok()
            }
        }
    )*};
}
whole_numbers!(u16 u32 u64 usize);

impl Setting for bool {
    const EXPECTS: &'static str = "true or false";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        use super::raw::Form;
        let written = raw.text.to_ascii_lowercase();
        Ok(match (raw.form, written.as_str()) {
            (Form::Text | Form::Boolean, "true") | (Form::Text, "1" | "yes" | "on") => Some(true),
            (Form::Text | Form::Boolean, "false") | (Form::Text, "0" | "no" | "off") => Some(false),
            _ => None,
        })
    }

    fn literal(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const EXPECTS: &'static str = "a string";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        Ok(raw.is_string().then(|| raw.text.clone()))
    }

    fn literal(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    const EXPECTS: &'static str = "a path";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        Ok(raw.is_string().then(|| PathBuf::from(&raw.text)))
    }

    fn literal(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Setting for IpAddr {
    const EXPECTS: &'static str = "an IP address such as 127.0.0.1 or ::1";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        Ok(raw.is_string().then(|| raw.text.trim().parse().ok()).flatten())
    }

    fn literal(&self) -> String {
        quoted(&self.to_string())
    }
}

/// A decimal, exactly; `None` where the text is none. Files may part digits by underscores.
fn decimal(raw: &Raw) -> Result<Option<Micros>, String> {
    if !raw.is_number() {
        return Ok(None);
    }
    match Micros::parse(&raw.text.trim().replace('_', "")) {
        Ok(micros) => Ok(Some(micros)),
        Err(AmountError::NotANumber) => Ok(None),
        Err(bad) => Err(format!("{} {bad}", raw.text)),
    }
}

impl Setting for Micros {
    const EXPECTS: &'static str = "an amount such as 500.00";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        decimal(raw)
    }

    fn literal(&self) -> String {
        self.to_string()
    }

    fn size(&self) -> Option<i64> {
        Some(self.0)
    }
}

impl Setting for Currency {
    const EXPECTS: &'static str = "an ISO 4217 code such as \"USD\"";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        Ok(raw.is_string().then(|| raw.text.parse().ok()).flatten())
    }

    fn literal(&self) -> String {
        quoted(self.as_str())
    }
}

/// A quantity kept in millionths of its unit, read exactly from decimal text, as money is.
macro_rules! decimals {
    ($($(#[$doc:meta])* $name:ident $expects:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(i64);

        impl $name {
            /// Millionths of the unit.
            pub fn micros(self) -> i64 {
                self.0
            }
        }

        impl Setting for $name {
            const EXPECTS: &'static str = $expects;

            fn parse(raw: &Raw) -> Result<Option<Self>, String> {
                Ok(decimal(raw)?.map(|micros| Self(micros.0)))
            }

            fn literal(&self) -> String {
                Micros(self.0).to_string()
            }

            fn size(&self) -> Option<i64> {
                Some(self.0)
            }
        }
    )*};
}
decimals! {
    /// A length of time in seconds, kept in microseconds.
    Seconds "seconds such as 60 or 0.5";
    /// A share from 0 to 1, kept in millionths.
    Ratio "a share such as 0.1";
}

impl Seconds {
    /// The same length for timers; never negative.
    pub fn duration(self) -> Duration {
        Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }
}

impl Ratio {
    /// The share as a float, for samplers: nothing that books money uses it.
    pub fn share(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// A length of time in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(u64);

impl Millis {
    /// The length for timers.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Whole milliseconds.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Microseconds.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX).saturating_mul(1000)
    }
}

impl Setting for Millis {
    const EXPECTS: &'static str = "whole milliseconds";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        Ok(u64::parse(raw)?.map(Self))
    }

    fn literal(&self) -> String {
        self.0.to_string()
    }

    fn size(&self) -> Option<i64> {
        i64::try_from(self.0).ok()
    }
}

/// Text as a TOML basic string.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::raw::Form;
    use super::*;

    #[test]
    fn money_in_a_file_keeps_every_digit_that_a_float_would_lose() {
        let raw = Raw::new(Form::Float, "900719925.740993");
        assert_eq!(read::<Micros>(&raw, None), Ok(Micros(900_719_925_740_993)));
    }

    #[test]
    fn a_number_in_quotes_is_no_number_in_a_file_but_is_one_in_the_environment() {
        let quoted = read::<u16>(&Raw::new(Form::String, "80"), None);
        assert_eq!(quoted, Err("expected a whole number, got \"80\"".to_owned()));
        assert_eq!(read::<u16>(&Raw::text("80"), None), Ok(80));
    }

    #[test]
    fn limits_are_named_in_the_unit_of_the_key() {
        let raw = Raw::new(Form::Float, "0.25");
        let refused = read::<Seconds>(&raw, Some(("1", "3600"))).map(Seconds::micros);
        assert_eq!(refused, Err("must be between 1 and 3600, got 0.25".to_owned()));
    }
}
