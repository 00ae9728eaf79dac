//! Amounts of money in text, to whole micros. No float touches them.

use super::reject::Reason;

/// Micros in one unit of a currency.
pub const UNIT: i64 = 1_000_000;
/// The largest amount of one purchase: one billion units.
pub const AMOUNT_MAX: i64 = 1_000_000_000 * UNIT;

/// `29.33` to 29,330,000: digits with an optional fraction of up to six. Zero is an amount (a gift);
/// less than zero is refused, as are an exponent and a separator of thousands.
pub fn micros(text: &str) -> Result<i64, Reason> {
    if let Some(rest) = text.strip_prefix('-') {
        let amount = unsigned(rest).is_ok_and(|amount| amount > 0);
        return Err(if amount { Reason::Negative } else { Reason::Amount });
    }
    unsigned(text.strip_prefix('+').unwrap_or(text))
}

fn unsigned(text: &str) -> Result<i64, Reason> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(Reason::Amount),
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    // A cent without its zero is how some tools print it: `.99`.
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(Reason::Amount);
    }
    // Zeros beyond the sixth decimal say nothing.
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return Err(Reason::TooFine);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > 10 {
        return Err(Reason::TooLarge);
    }
    let number = |s: &str| s.bytes().fold(0_i64, |n, b| n * 10 + i64::from(b - b'0'));
    let scale = 10_i64.pow(6 - fraction.len() as u32);
    let amount = number(whole) * UNIT + number(fraction) * scale;
    (amount <= AMOUNT_MAX).then_some(amount).ok_or(Reason::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly() {
        for (text, expected) in [
            ("0", 0),
            ("11.77", 11_770_000),
            ("+11.77", 11_770_000),
            (".99", 990_000),
            ("0.000001", 1),
            ("1.10000000", 1_100_000),
            ("0000000000001", UNIT),
            ("1000000000", AMOUNT_MAX),
        ] {
            assert_eq!(micros(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused_with_its_reason() {
        use Reason::{Amount, Negative, TooFine, TooLarge};
        for (text, reason) in [
            ("", Amount),
            ("-", Amount),
            (".", Amount),
            ("1.", Amount),
            ("1e3", Amount),
            ("1,000", Amount),
            ("$5", Amount),
            ("NaN", Amount),
            ("inf", Amount),
            ("--1", Amount),
            ("-0.00", Amount),
            ("+-1", Amount),
            ("１", Amount),
            ("-1", Negative),
            ("-0.01", Negative),
            ("0.0000001", TooFine),
            ("1000000000.000001", TooLarge),
            ("99999999999999999999999999", TooLarge),
        ] {
            assert_eq!(micros(text), Err(reason), "{text}");
        }
    }
}
