//! The values of a request's fields: lenient where exchanges differ, bounded where it matters.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::{Array, SmallVec};

use kiki_models::shield::money::Micros;

use super::decimal;

/// Text, borrowed from the body unless escapes were in it. Some write ids and postcodes as whole numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// `None` when there is nothing in it.
    pub fn some(&self) -> Option<&str> {
        Some(&*self.0).filter(|text| !text.is_empty())
    }

    /// In lower case, where it was not.
    pub(super) fn lower(&mut self) {
        if self.0.bytes().any(|b| b.is_ascii_uppercase()) {
            self.0.to_mut().make_ascii_lowercase();
        }
    }

    pub(super) fn upper(&mut self) {
        if self.0.bytes().any(|b| b.is_ascii_lowercase()) {
            self.0.to_mut().make_ascii_uppercase();
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reads<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Reads<'a> {
            type Value = Text<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'a>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
        }
        d.deserialize_any(Reads(PhantomData))
    }
}

/// What an optional text says, if it says anything.
pub fn told<'r>(text: &'r Option<Text<'_>>) -> Option<&'r str> {
    text.as_ref().and_then(Text::some)
}

/// What is said of a list that is too long. No other error begins with it.
pub(super) const MANY: &str = "too many elements";

/// An array; `null` and an empty text are an empty one, a text or a number is one of it alone, and elements
/// that are `null` are none. The first few elements need no memory of their own.
///
/// With more than `MOST` elements it is refused: a few bytes of a request become some hundreds in memory.
pub struct List<A: Array, const MOST: usize = 4_096>(pub SmallVec<A>);

impl<A: Array, const MOST: usize> Default for List<A, MOST> {
    fn default() -> Self {
        List(SmallVec::new())
    }
}

impl<A: Array, const MOST: usize> Deref for List<A, MOST> {
    type Target = [A::Item];
    fn deref(&self) -> &[A::Item] {
        &self.0
    }
}

impl<A: Array, const MOST: usize> fmt::Debug for List<A, MOST>
where
    A::Item: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A: Array, const MOST: usize> Clone for List<A, MOST>
where
    A::Item: Clone,
{
    fn clone(&self) -> Self {
        List(self.0.clone())
    }
}

impl<'de, A: Array, const MOST: usize> Deserialize<'de> for List<A, MOST>
where
    A::Item: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reads<A, const MOST: usize>(PhantomData<A>);
        impl<'de, A: Array, const MOST: usize> Visitor<'de> for Reads<A, MOST>
        where
            A::Item: Deserialize<'de>,
        {
            type Value = List<A, MOST>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_unit<E: Error>(self) -> Result<List<A, MOST>, E> {
                Ok(List::default())
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<List<A, MOST>, E> {
                one(BorrowedStrDeserializer::new(text), text.is_empty())
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<List<A, MOST>, E> {
                one(text.into_deserializer(), text.is_empty())
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<List<A, MOST>, E> {
                one(number.into_deserializer(), false)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<List<A, MOST>, E> {
                one(number.into_deserializer(), false)
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<List<A, MOST>, S::Error> {
                let mut list = SmallVec::new();
                while let Some(element) = seq.next_element::<Option<A::Item>>()? {
                    let Some(element) = element else { continue };
                    if list.len() >= MOST {
                        return Err(S::Error::custom(MANY));
                    }
                    if list.len() == list.capacity() {
                        // Fourfold: a long list of blocked domains grows twice instead of four times.
                        list.reserve((3 * list.len()).max(4));
                    }
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        d.deserialize_any(Reads::<A, MOST>(PhantomData))
    }
}

/// A list of one, or none.
fn one<'de, A: Array, const MOST: usize, D: Deserializer<'de>>(
    d: D,
    none: bool,
) -> Result<List<A, MOST>, D::Error>
where
    A::Item: Deserialize<'de>,
{
    let mut list = List::default();
    if !none {
        list.0.push(A::Item::deserialize(d)?);
    }
    Ok(list)
}

pub type Texts<'a> = List<[Text<'a>; 4]>;
/// None of AdCOM's lists is nearly as long.
pub type Codes = List<[Code; 8], 256>;
/// What every candidate is held against, so that a long one costs much.
pub type Few<'a> = List<[Text<'a>; 4], 256>;

/// A whole number, or the text of one. What no `i64` holds is its end; a fraction is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int(pub i64);

struct ReadsInt;

impl Visitor<'_> for ReadsInt {
    type Value = i64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        Ok(i64::try_from(number).unwrap_or(i64::MAX))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        // `as` saturates.
        if number.fract() == 0.0 { Ok(number as i64) } else { Err(E::custom("a fraction")) }
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        text.trim().parse().map_err(|_| E::custom("no whole number"))
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ReadsInt).map(Int)
    }
}

/// A whole number from 0 to 65,535; any other is refused: pixels and seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Small(pub u16);

impl<'de> Deserialize<'de> for Small {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = d.deserialize_any(ReadsInt)?;
        u16::try_from(number).map(Small).map_err(|_| Error::custom("out of range"))
    }
}

/// A value of one of AdCOM's lists. What no list has (negative, or beyond 65,535) is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub u16);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = d.deserialize_any(ReadsInt)?;
        Ok(Code(u16::try_from(number).unwrap_or(0)))
    }
}

/// Yes or no, as 1 or 0, true or false, "1" or "0". Any number but 0 is a yes: most of these restrict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reads;
        impl Visitor<'_> for Reads {
            type Value = Flag;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0 or 1")
            }
            fn visit_bool<E: Error>(self, yes: bool) -> Result<Flag, E> {
                Ok(Flag(yes))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Flag, E> {
                Ok(Flag(number != 0))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Flag, E> {
                Ok(Flag(number != 0))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Flag, E> {
                Ok(Flag(number != 0.0))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Flag, E> {
                match text {
                    "1" | "true" => Ok(Flag(true)),
                    "0" | "false" | "" => Ok(Flag(false)),
                    _ => Err(E::custom("neither 0 nor 1")),
                }
            }
        }
        d.deserialize_any(Reads)
    }
}

/// A price for a thousand impressions, from its decimal text, with quotation marks or without, finer digits
/// rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cpm(pub Micros);

impl<'de> Deserialize<'de> for Cpm {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let number = <&'de RawValue>::deserialize(d)?.get();
        let quoted = number.strip_prefix('"').and_then(|number| number.strip_suffix('"'));
        decimal::up(quoted.map_or(number, str::trim)).map(Cpm).map_err(Error::custom)
    }
}

/// A field that nothing depends on where it is not told: what cannot be read is not told, either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loose<T>(pub Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let json = <&'de RawValue>::deserialize(d)?.get();
        Ok(Loose(serde_json::from_str(json).ok()))
    }
}

/// Whatever it is, as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// `None`: nothing, or an empty text.
    pub fn given(self) -> Option<&'a str> {
        Some(self.0).filter(|json| !matches!(*json, "" | "\"\"" | "null"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(d).map(|json| Raw(json.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn text_is_borrowed_unless_it_has_escapes() {
        let plain: Text<'_> = read("\"äb\"").expect("text");
        assert!(matches!(plain.0, Cow::Borrowed("äb")));
        let escaped: Text<'_> = read(r#""a\/b""#).expect("text");
        assert!(matches!(&escaped.0, Cow::Owned(text) if text == "a/b"));
        let (mut upper, mut same) = (plain.clone(), plain);
        upper.0 = Cow::Borrowed("News.Example");
        upper.lower();
        same.lower();
        assert_eq!((&*upper.0, matches!(same.0, Cow::Borrowed(_))), ("news.example", true));
        let number: Text<'_> = read("90210").expect("text");
        assert_eq!(&*number, "90210");
        for wrong in ["1.5", "true", "[]", "{}", "99999999999999999999"] {
            assert_eq!(read::<Text<'_>>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point_and_saturate() {
        for (text, number) in [
            ("1", 1),
            ("\"1\"", 1),
            ("1.0", 1),
            ("-3", -3),
            ("1e3", 1_000),
            ("18446744073709551615", i64::MAX),
        ] {
            assert_eq!(read(text), Some(Int(number)), "{text}");
        }
        for wrong in ["1.5", "\"1.5\"", "\"\"", "true", "null", "[1]", "1e999"] {
            assert_eq!(read::<Int>(wrong), None, "{wrong}");
        }
        assert_eq!(read("65535"), Some(Small(u16::MAX)));
        assert_eq!(read::<Small>("65536"), None);
        assert_eq!(read::<Small>("-1"), None);
        assert_eq!(
            (read("70000"), read("-1"), read("7")),
            (Some(Code(0)), Some(Code(0)), Some(Code(7)))
        );
    }

    #[test]
    fn a_flag_is_a_number_a_truth_value_or_their_text() {
        for (text, yes) in [
            ("1", true),
            ("0", false),
            ("true", true),
            ("\"0\"", false),
            ("2", true),
            ("0.0", false),
        ] {
            assert_eq!(read(text), Some(Flag(yes)), "{text}");
        }
        for wrong in ["\"yes\"", "[]", "{}"] {
            assert_eq!(read::<Flag>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_nothing_depends_on_may_be_anything() {
        for (text, number) in
            [("330", Some(330)), ("330.5", None), ("\"\"", None), ("[[]]", None), ("{}", None)]
        {
            assert_eq!(read::<Loose<Int>>(text), Some(Loose(number.map(Int))), "{text}");
        }
        assert_eq!(read::<Loose<Int>>("{"), None, "it has to be JSON");
    }

    #[test]
    fn a_price_is_a_number_and_never_less_than_its_digits() {
        assert_eq!(read("0.30000000000000004"), Some(Cpm(Micros(300_001))));
        assert_eq!(read(" 1.5 "), Some(Cpm(Micros(1_500_000))));
        assert_eq!(read("\"1.5\""), Some(Cpm(Micros(1_500_000))));
        for wrong in ["-1", "1e300", "\"-1\"", "\"\"", "\"", "\"1\\u0030\"", "[1]", "true"] {
            assert_eq!(read::<Cpm>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_list_may_be_null_and_longer_than_its_inline_part() {
        assert!(read::<Codes>("null").is_some_and(|list| list.is_empty()));
        let list: Codes = read("[1,2,3,4,5,6,7,8,9,10]").expect("list");
        assert!(list.iter().map(|code| code.0).eq(1..=10));
        assert!(read::<Codes>("{}").is_none() && read::<Codes>("[\"x\"]").is_none());
        let codes = |text| read::<Codes>(text).map(|list| list.iter().map(|code| code.0).collect());
        for (text, expected) in
            [("[null,4,null]", vec![4_u16]), ("4", vec![4]), ("\"4\"", vec![4]), ("\"\"", vec![])]
        {
            assert_eq!(codes(text), Some(expected), "{text}");
        }
        let texts: Texts<'_> = read("\"USD\"").expect("list");
        assert!(matches!(&texts[..], [Text(Cow::Borrowed("USD"))]));
    }
}
