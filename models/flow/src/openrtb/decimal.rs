//! Prices as decimal text, exactly: no float is between the text and the micros.

use kiki_models::shield::money::{AMOUNT_MAX, DECIMALS_MAX, Micros, UNIT};

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("is not a decimal number")]
    NotANumber,
    #[error("is negative")]
    Negative,
    #[error("is beyond one billion units")]
    OutOfRange,
}

/// A JSON number (sign, digits, fraction, exponent, of any length) as micros. More than six decimals round
/// up: a floor must be reached, and a price must be paid.
pub fn up(text: &str) -> Result<Micros, PriceError> {
    use PriceError::{Negative, NotANumber, OutOfRange};
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, text)) => (mantissa, exponent(text).ok_or(NotANumber)?),
        None => (body, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return Err(NotANumber),
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(NotANumber);
    }
    // Digits after the point that the exponent leaves; those beyond the sixth only say that there is more.
    let decimals = i64::try_from(fraction.len()).map_err(|_| OutOfRange)? - exponent;
    let mut left = i64::try_from(whole.len() + fraction.len()).map_err(|_| OutOfRange)?;
    let beyond = decimals - DECIMALS_MAX as i64;
    let (mut micros, mut more) = (0_i64, false);
    for b in whole.bytes().chain(fraction.bytes()) {
        let digit = i64::from(b - b'0');
        if left > beyond {
            micros = micros.checked_mul(10).and_then(|m| m.checked_add(digit)).ok_or(OutOfRange)?;
        } else {
            more |= digit != 0;
        }
        left -= 1;
    }
    if micros != 0 && beyond < 0 {
        let power = u32::try_from(-beyond).map_err(|_| OutOfRange)?;
        let scale = 10_i64.checked_pow(power).ok_or(OutOfRange)?;
        micros = micros.checked_mul(scale).ok_or(OutOfRange)?;
    }
    micros = micros.checked_add(i64::from(more)).ok_or(OutOfRange)?;
    match (negative, micros) {
        (true, 1..) => Err(Negative),
        _ if micros > AMOUNT_MAX => Err(OutOfRange),
        _ => Ok(Micros(micros)),
    }
}

/// Of any size, but kept within what decides anything: 1,000,000 digits are no price either way.
fn exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for b in digits.bytes() {
        if !b.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(b - b'0')).min(1_000_000_000);
    }
    Some(if negative { -value } else { value })
}

/// Appends the shortest exact decimal of an amount that is not negative: `12.5`.
pub fn write(amount: Micros, out: &mut Vec<u8>) {
    let micros = amount.0.unsigned_abs();
    if amount.0 < 0 {
        out.push(b'-');
    }
    whole(micros / UNIT as u64, out);
    let mut rest = micros % UNIT as u64;
    if rest == 0 {
        return;
    }
    out.push(b'.');
    let mut place = UNIT as u64 / 10;
    while rest > 0 {
        out.push(b'0' + (rest / place) as u8);
        rest %= place;
        place = (place / 10).max(1);
    }
}

/// Appends a whole number.
pub fn whole(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
        at -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PriceError::{Negative, NotANumber, OutOfRange};
    use super::*;

    #[test]
    fn a_price_is_read_exactly_and_what_is_finer_than_a_micro_rounds_up() {
        for (text, micros) in [
            ("0", 0),
            ("0.0", 0),
            ("-0", 0),
            ("-0.000", 0),
            ("1", 1_000_000),
            ("0.1", 100_000),
            ("1.23", 1_230_000),
            ("1.234567", 1_234_567),
            ("1.2345670", 1_234_567),
            ("1.2345671", 1_234_568),
            ("0.30000000000000004", 300_001),
            ("0.0000000000000000000000000000000000000000000000000000000000000000000001", 1),
            ("1e-7", 1),
            ("1e-1000000000000000000000", 1),
            ("0e99999999999999999999", 0),
            ("25e-1", 2_500_000),
            ("2.5E+2", 250_000_000),
            ("12345e-10", 2),
            ("1000000000", AMOUNT_MAX),
            ("0001", 1_000_000),
        ] {
            assert_eq!(up(text), Ok(Micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for (text, error) in [
            ("", NotANumber),
            ("-", NotANumber),
            ("1.", NotANumber),
            (".5", NotANumber),
            ("1e", NotANumber),
            ("1e+", NotANumber),
            ("1e1.5", NotANumber),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("+1", NotANumber),
            ("1,5", NotANumber),
            ("0x1", NotANumber),
            ("\"1\"", NotANumber),
            ("１", NotANumber),
            ("--1", NotANumber),
            ("-0.0000001", Negative),
            ("-1", Negative),
            ("-1e300", OutOfRange),
            ("1e300", OutOfRange),
            ("1000000000.0000001", OutOfRange),
            ("99999999999999999999999999999999999999", OutOfRange),
        ] {
            assert_eq!(up(text), Err(error), "{text}");
        }
    }

    fn written(micros: i64) -> String {
        let mut out = Vec::new();
        write(Micros(micros), &mut out);
        String::from_utf8(out).expect("ascii")
    }

    proptest! {
        #[test]
        fn a_written_price_is_the_shortest_and_reads_back(micros in 0..=AMOUNT_MAX) {
            let text = written(micros);
            prop_assert_eq!(&text, &Micros(micros).to_string());
            prop_assert_eq!(up(&text), Ok(Micros(micros)));
        }

        #[test]
        fn it_agrees_with_the_exact_reader_where_that_one_reads(text in "-?[0-9]{1,12}(\\.[0-9]{1,8})?(e-?[0-9]{1,2})?") {
            match (up(&text), Micros::parse(&text)) {
                (Ok(ours), Ok(exact)) => prop_assert_eq!(ours, exact),
                (Err(Negative), Ok(exact)) => prop_assert!(exact.0 < 0),
                (Err(error), Ok(exact)) => prop_assert!(false, "{} is {} and {}", text, exact, error),
                (_, Err(_)) => {}
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = up(&text);
        }
    }
}
