//! Decimal text to millionths, exactly: no floating point on the way.

/// Why a decimal was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with at most one point and a sign in front.
    #[error("not a plain decimal number")]
    NotDecimal,
    /// A millionth is the smallest unit.
    #[error("more than 6 decimals")]
    TooFine,
    /// Beyond the range of 64-bit millionths.
    #[error("too large")]
    TooLarge,
}

/// Reads `12`, `-3.5` or `0.000001` as millionths. Exponents, infinities and more than six
/// decimals are refused (trailing zeros beyond the sixth are no decimals).
pub fn parse_millionths(text: &str) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || digits.ends_with('.') {
        return Err(DecimalError::NotDecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return Err(DecimalError::TooFine);
    }
    let mut total: i64 = 0;
    for digit in whole.bytes().chain(format!("{fraction:0<6}").bytes()) {
        let digit = i64::from(digit - b'0');
        total = total
            .checked_mul(10)
            .and_then(|t| if negative { t.checked_sub(digit) } else { t.checked_add(digit) })
            .ok_or(DecimalError::TooLarge)?;
    }
    Ok(total)
}

/// Writes millionths as the shortest decimal that keeps at least `decimals` places.
pub fn format_millionths(millionths: i64, decimals: usize) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let size = millionths.unsigned_abs();
    let fraction = format!("{:06}", size % 1_000_000);
    let kept = fraction.trim_end_matches('0').len().max(decimals.min(6));
    let point = if kept == 0 { "" } else { "." };
    format!("{sign}{}{point}{}", size / 1_000_000, &fraction[..kept])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimal_text_becomes_exact_millionths() {
        for (text, want) in [
            ("0", 0),
            ("500", 500_000_000),
            ("500.0", 500_000_000),
            ("11.77", 11_770_000),
            ("-0.000001", -1),
            ("+2.50000000", 2_500_000),
            ("9223372036854.775807", i64::MAX),
            ("-9223372036854.775808", i64::MIN),
        ] {
            assert_eq!(parse_millionths(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in ["", ".", "5.", ".5", "1e3", "NaN", "inf", "1_000", "1,5", "--1", "0x10", "१"]
        {
            assert_eq!(parse_millionths(text), Err(DecimalError::NotDecimal), "{text}");
        }
        assert_eq!(parse_millionths("0.0000001"), Err(DecimalError::TooFine));
        assert_eq!(parse_millionths("9223372036854.775808"), Err(DecimalError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(n in any::<i64>(), decimals in 0_usize..=6) {
            prop_assert_eq!(parse_millionths(&format_millionths(n, decimals)), Ok(n));
        }
    }
}
