//! Money as whole micros (1 unit of a currency = 1,000,000 micros). No float ever touches it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Micros in one unit of a currency.
pub const UNIT: i64 = 1_000_000;
/// The largest magnitude of a single amount: one billion units. Sums of thousands of such amounts
/// still fit an `i64`, and anything larger in a request is a mistake.
pub const AMOUNT_MAX: i64 = 1_000_000_000 * UNIT;
/// A budget whose totals have passed this takes no more money, either way: with all the requests that
/// may wait at the time, each of [`AMOUNT_MAX`], its sums still fit.
pub const TOTAL_MAX: i64 = 1 << 59;
/// Digits accepted after the decimal point.
pub const DECIMALS_MAX: usize = 6;

/// An exact amount in micros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("is not a decimal number")]
    NotANumber,
    #[error("has more than 6 decimals")]
    TooFine,
    #[error("is beyond one billion units")]
    OutOfRange,
}

impl Micros {
    pub const ZERO: Micros = Micros(0);

    /// Reads a JSON number exactly: optional sign, digits, fraction, exponent. What cannot be told
    /// in whole micros is refused rather than rounded.
    pub fn parse(text: &str) -> Result<Micros, AmountError> {
        Micros::parse_to(text, AMOUNT_MAX)
    }

    /// The same, up to `most` micros.
    fn parse_to(text: &str, most: i64) -> Result<Micros, AmountError> {
        use AmountError::{NotANumber, OutOfRange, TooFine};
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if body.len() > 64 {
            return Err(NotANumber);
        }
        let (mantissa, exponent) = match body.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().map_err(|_| NotANumber)?),
            None => (body, 0),
        };
        // Beyond this nothing is told apart, and nothing below overflows.
        let exponent = exponent.clamp(-1_000, 1_000);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits_only = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if !digits_only(whole)
            || !digits_only(fraction)
            || whole.is_empty()
            || (mantissa.contains('.') && fraction.is_empty())
        {
            return Err(NotANumber);
        }
        let mut digits: i128 = 0;
        for b in whole.bytes().chain(fraction.bytes()) {
            digits = digits
                .checked_mul(10)
                .and_then(|d| d.checked_add(i128::from(b - b'0')))
                .ok_or(OutOfRange)?;
        }
        // Decimals left after the exponent has moved the point.
        let decimals = i32::try_from(fraction.len())
            .ok()
            .and_then(|f| f.checked_sub(exponent))
            .ok_or(NotANumber)?;
        if decimals > DECIMALS_MAX as i32 {
            return Err(TooFine);
        }
        let shift = DECIMALS_MAX as i32 - decimals;
        if digits != 0 && shift > 30 {
            return Err(OutOfRange);
        }
        let micros = if digits == 0 {
            0
        } else {
            digits.checked_mul(10i128.pow(shift as u32)).ok_or(OutOfRange)?
        };
        if micros > i128::from(most) {
            return Err(OutOfRange);
        }
        let micros = micros as i64;
        Ok(Micros(if negative { -micros } else { micros }))
    }

    /// Two decimals, as people read money: `100.00`. Finer amounts show all their digits.
    pub fn display_2(self) -> String {
        let text = self.to_string();
        match text.split_once('.') {
            None => format!("{text}.00"),
            Some((_, f)) if f.len() == 1 => format!("{text}0"),
            Some(_) => text,
        }
    }

    /// The part of this that `part` is of `whole`, rounded away from zero. `whole` is not zero.
    pub fn share(self, part: Micros, whole: Micros) -> Micros {
        let (part, whole) = (i128::from(part.0), i128::from(whole.0));
        let product = i128::from(self.0) * part;
        let rounded = (product.abs() + whole.abs() - 1) / whole.abs();
        let sign = product.signum() * whole.signum();
        let amount = (rounded * sign).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Micros(amount as i64)
    }

    pub fn min(self, other: Micros) -> Micros {
        Micros(self.0.min(other.0))
    }

    pub fn max(self, other: Micros) -> Micros {
        Micros(self.0.max(other.0))
    }
}

impl std::ops::Add for Micros {
    type Output = Micros;
    /// Saturates; nothing gets there: [`AMOUNT_MAX`] and [`TOTAL_MAX`] keep sums far below.
    fn add(self, o: Micros) -> Micros {
        Micros(self.0.saturating_add(o.0))
    }
}

impl std::ops::Sub for Micros {
    type Output = Micros;
    fn sub(self, o: Micros) -> Micros {
        Micros(self.0.saturating_sub(o.0))
    }
}

impl std::ops::Neg for Micros {
    type Output = Micros;
    fn neg(self) -> Micros {
        Micros(self.0.saturating_neg())
    }
}

impl std::ops::AddAssign for Micros {
    fn add_assign(&mut self, o: Micros) {
        *self = *self + o;
    }
}

impl std::ops::SubAssign for Micros {
    fn sub_assign(&mut self, o: Micros) {
        *self = *self - o;
    }
}

impl std::iter::Sum for Micros {
    fn sum<I: Iterator<Item = Micros>>(iter: I) -> Micros {
        iter.fold(Micros::ZERO, |a, b| a + b)
    }
}

impl fmt::Display for Micros {
    /// The shortest exact decimal: `12.5`, `-0.000001`, `3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / UNIT as u64, magnitude % UNIT as u64);
        let sign = if self.0 < 0 { "-" } else { "" };
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{rest:06}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl FromStr for Micros {
    type Err = AmountError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Micros::parse(s)
    }
}

impl Serialize for Micros {
    /// A JSON number with its exact digits.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 % UNIT == 0 {
            return s.serialize_i64(self.0 / UNIT);
        }
        let raw = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Micros {
    /// From the decimal text of a JSON number, or a string holding one: a total that was stored, not
    /// an amount that somebody asks for, so [`AMOUNT_MAX`] does not bound it.
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(d)?;
        let text = raw.get();
        let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        Micros::parse_to(text, i64::MAX)
            .map_err(|e| serde::de::Error::custom(format!("amount {e}")))
    }
}

/// An ISO 4217 code in use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// The active codes of ISO 4217 (funds, metals and test codes left out).
const CODES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL \
BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP \
GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF \
KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD \
SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES \
VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";

/// [`CODES`] as a sorted table: every bid names its currency.
const TABLE: [[u8; 3]; CODES.len().div_ceil(4)] = {
    let (codes, mut table, mut i) = (CODES.as_bytes(), [[0; 3]; CODES.len().div_ceil(4)], 0);
    while i < table.len() {
        table[i] = [codes[4 * i], codes[4 * i + 1], codes[4 * i + 2]];
        assert!(i == 0 || before(table[i - 1], table[i]), "the codes are sorted");
        i += 1;
    }
    table
};

const fn before(a: [u8; 3], b: [u8; 3]) -> bool {
    u32::from_be_bytes([0, a[0], a[1], a[2]]) < u32::from_be_bytes([0, b[0], b[1], b[2]])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an ISO 4217 currency code")]
pub struct UnknownCurrency;

impl Currency {
    pub const USD: Currency = Currency(*b"USD");

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bytes: [u8; 3] = s.as_bytes().try_into().map_err(|_| UnknownCurrency)?;
        let known = TABLE.binary_search(&bytes).is_ok();
        known.then_some(Currency(bytes)).ok_or(UnknownCurrency)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(|e: UnknownCurrency| serde::de::Error::custom(format!("currency {e}")))
    }
}

/// An exchange rate, as account units × 1e9 for one unit of the campaign's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate(pub i64);

impl Rate {
    pub const ONE: Rate = Rate(1_000_000_000);

    /// Converts, rounding away from zero, so that a cap is never passed by a fraction of a micro.
    pub fn convert(self, amount: Micros) -> Micros {
        if self == Rate::ONE {
            return amount;
        }
        let product = i128::from(amount.0) * i128::from(self.0);
        let unit = i128::from(Rate::ONE.0);
        let rounded = (product.abs() + unit - 1) / unit * product.signum();
        Micros(rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_total_may_be_larger_than_any_amount() {
        for micros in [AMOUNT_MAX + 1, TOTAL_MAX, -TOTAL_MAX, i64::MAX] {
            let stored = serde_json::to_string(&Micros(micros)).expect("json");
            assert_eq!(serde_json::from_str::<Micros>(&stored).ok(), Some(Micros(micros)));
        }
        assert_eq!(Micros::parse("1000000000.000001"), Err(AmountError::OutOfRange));
    }

    #[test]
    fn a_share_is_exact_where_it_can_be_and_never_too_small() {
        assert_eq!(Micros(110).share(Micros(100), Micros(100)), Micros(110));
        assert_eq!(Micros(110).share(Micros(0), Micros(100)), Micros(0));
        assert_eq!(Micros(110).share(Micros(33), Micros(100)), Micros(37));
        assert_eq!(Micros(i64::MAX).share(Micros(2), Micros(1)), Micros(i64::MAX));
    }

    #[test]
    fn decimal_text_is_read_exactly() {
        for (text, micros) in [
            ("0", 0),
            ("100", 100 * UNIT),
            ("0.000001", 1),
            ("-11.77", -11_770_000),
            ("1.5e3", 1_500 * UNIT),
            ("15e-1", 1_500_000),
            ("1000000000", AMOUNT_MAX),
            ("0e400", 0),
        ] {
            assert_eq!(Micros::parse(text), Ok(Micros(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_micros_is_refused() {
        use AmountError::*;
        for (text, error) in [
            ("0.0000001", TooFine),
            ("1e-7", TooFine),
            ("0.30000000000000004", TooFine),
            ("1000000000.000001", OutOfRange),
            ("1e300", OutOfRange),
            ("99999999999999999999999999999999999999999999", OutOfRange),
            ("NaN", NotANumber),
            ("Infinity", NotANumber),
            ("1.", NotANumber),
            (".5", NotANumber),
            ("", NotANumber),
            ("-", NotANumber),
            ("0x10", NotANumber),
            ("1e99999999999", NotANumber),
            ("1e2147483647", OutOfRange),
            ("1e-2147483647", TooFine),
            ("１", NotANumber),
        ] {
            assert_eq!(Micros::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn amounts_print_their_shortest_exact_decimal_and_read_back() {
        for micros in [0, 1, -1, 12_500_000, 11_770_000, -300_000, AMOUNT_MAX] {
            assert_eq!(Micros::parse(&Micros(micros).to_string()), Ok(Micros(micros)));
        }
        assert_eq!(Micros(100 * UNIT).display_2(), "100.00");
        assert_eq!(Micros(-500_000).display_2(), "-0.50");
        assert_eq!(Micros(1).display_2(), "0.000001");
        assert_eq!(serde_json::to_string(&Micros(11_770_000)).unwrap(), "11.77");
    }

    #[test]
    fn json_amounts_never_pass_through_a_float() {
        let read = |s| serde_json::from_str::<Micros>(s);
        assert_eq!(read("0.1").unwrap(), Micros(100_000));
        assert_eq!(read("\"0.1\"").unwrap(), Micros(100_000));
        assert_eq!(read("999999999.999999").unwrap(), Micros(AMOUNT_MAX - 1));
        for bad in ["true", "null", "[1]", "\"\"", "1e-9", "\"1 \""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_conversion_rounds_away_from_zero() {
        assert_eq!(Rate(1_085_000_000).convert(Micros(1)), Micros(2));
        assert_eq!(Rate(1_085_000_000).convert(Micros(-1)), Micros(-2));
        assert_eq!(Rate(500_000_000).convert(Micros(10 * UNIT)), Micros(5 * UNIT));
    }

    #[test]
    fn only_active_currencies_are_known() {
        assert_eq!("USD".parse::<Currency>().unwrap(), Currency::USD);
        for bad in ["usd", "US", "XXX", "", "USDT", "ÄB"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }
}
