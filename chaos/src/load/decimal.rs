//! Amounts as the API writes them: decimals of at most six places, exact, never through a float.

use crate::history::Micros;

const UNIT: i64 = 1_000_000;
const PLACES: usize = 6;

/// Reads a JSON number without an exponent, or the same as text.
pub fn parse(text: &str) -> Option<Micros> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() > PLACES {
        return None;
    }
    let part: i64 = format!("{part:0<PLACES$}").parse().ok()?;
    let amount = whole.parse::<i64>().ok()?.checked_mul(UNIT)?.checked_add(part)?;
    Some(if negative { -amount } else { amount })
}

/// The shortest decimal of an amount.
pub fn text(amount: Micros) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let (whole, part) = (amount.unsigned_abs() / 1_000_000, amount.unsigned_abs() % 1_000_000);
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let part = format!("{part:06}");
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_decimal_of_six_places_is_refused() {
        for (text, amount) in [
            ("0", Some(0)),
            ("1", Some(1_000_000)),
            ("0.000001", Some(1)),
            ("-2.5", Some(-2_500_000)),
            ("1.0", Some(1_000_000)),
            ("", None),
            ("-", None),
            (".5", None),
            ("5.", None),
            ("1e3", None),
            ("0.0000001", None),
            ("+1", None),
            ("9223372036855", None),
        ] {
            assert_eq!(parse(text), amount, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_comes_back_as_it_was_written(amount in -1_000_000_000_000_000i64..=1_000_000_000_000_000) {
            prop_assert_eq!(parse(&text(amount)), Some(amount));
        }
    }
}
