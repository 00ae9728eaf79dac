//! Looks at the shape of a body before anything is made of it: how deep, how many, how long. One pass,
//! no memory. Whether it is JSON is not asked here.

use super::malformed::Malformed;
use super::request::Limits;

/// Levels that can be counted; [`Limits::depth`] is cut to it.
const LEVELS: usize = 64;

pub(super) fn check(body: &[u8], limits: &Limits) -> Result<(), Malformed> {
    let deepest = limits.depth.min(LEVELS);
    let mut commas = [0_usize; LEVELS];
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => {
                let end = string_end(body, at + 1);
                if end - at > limits.text_bytes {
                    return Err(Malformed::TooLong(limits.text_bytes));
                }
                at = end;
            }
            b'{' | b'[' => {
                let Some(count) = commas.get_mut(depth).filter(|_| depth < deepest) else {
                    return Err(Malformed::TooDeep(deepest));
                };
                *count = 0;
                depth += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => {
                if let Some(count) = depth.checked_sub(1).and_then(|level| commas.get_mut(level)) {
                    *count += 1;
                    if *count >= limits.list {
                        return Err(Malformed::TooMany(limits.list));
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Whether it is JSON at all, whatever it says: read once more where a bound was met before its end. It takes no more
/// memory than a byte for each level.
pub(super) fn json(body: &[u8]) -> Result<(), Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::NotUtf8)?;
    let read = serde_json::from_str::<serde::de::IgnoredAny>(text);
    read.map(drop).map_err(|error| Malformed::of(&error))
}

/// Where the quotation mark is that ends the string, or the end of the body.
fn string_end(body: &[u8], from: usize) -> usize {
    let mut at = from;
    loop {
        at += plain(body.get(at..).unwrap_or_default());
        match body.get(at) {
            None | Some(b'"') => return at.min(body.len()),
            // A backslash, and whatever it escapes.
            Some(_) => at += 2,
        }
    }
}

/// Bytes before the first quotation mark or backslash, eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest byte that is flagged is 0; above it a flag may be false ("Hacker's Delight", 6-1).
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut words = bytes.chunks_exact(8);
    let mut passed = 0;
    for chunk in &mut words {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let found =
            zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return passed + found.trailing_zeros() as usize / 8;
        }
        passed += 8;
    }
    let rest = words.remainder();
    passed + rest.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        Limits { depth: 3, list: 4, text_bytes: 10, ..Limits::default() }
    }

    #[test]
    fn what_is_inside_of_a_string_is_not_shape() {
        let checked = |text: &str| check(text.as_bytes(), &limits());
        assert_eq!(checked(r#"{"[[[[":"\"[[[","b":[{}]}"#), Ok(()));
        assert_eq!(checked(r#"[[[[]]]]"#), Err(Malformed::TooDeep(3)));
        assert_eq!(checked(r#"[[[]],[[]]]"#), Ok(()));
        assert_eq!(checked(r#"[1,2,3,4]"#), Ok(()));
        assert_eq!(checked(r#"[1,2,3,4,5]"#), Err(Malformed::TooMany(4)));
        assert_eq!(checked(r#"[[1,2,3],[1,2,3],[1,2,3,"a,b,c"]]"#), Ok(()));
        assert_eq!(checked(r#"["0123456789"]"#), Err(Malformed::TooLong(10)));
        assert_eq!(checked("]]]]}}}}[[[1]]]"), Ok(()));
        assert_eq!(checked(r#"["\"#), Ok(()));
        assert_eq!(checked(r#"["#), Ok(()));
    }

    proptest! {
        #[test]
        fn a_string_ends_where_a_simple_loop_says(bytes in prop::collection::vec(
            prop_oneof![Just(b'"'), Just(b'\\'), any::<u8>(), Just(b'a'), Just(b'!'), Just(b'#')], 0..60)) {
            let mut simple = 0;
            while let Some(byte) = bytes.get(simple) {
                match byte {
                    b'"' => break,
                    b'\\' => simple += 2,
                    _ => simple += 1,
                }
            }
            prop_assert_eq!(string_end(&bytes, 0), simple.min(bytes.len()));
        }
    }
}
