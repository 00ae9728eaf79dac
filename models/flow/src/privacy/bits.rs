//! Bits of a text in base64url, six a character, read where they stand. Segments may end at any
//! character; padding is let through.

#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    text: &'a [u8],
    at: usize,
}

/// A character that base64url does not have, or no more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends;

impl<'a> Bits<'a> {
    pub fn new(text: &'a str) -> Bits<'a> {
        Bits { text: text.trim_end_matches('=').as_bytes(), at: 0 }
    }

    /// Bits there are in all.
    pub fn len(&self) -> usize {
        self.text.len() * 6
    }

    pub fn bit(&mut self) -> Result<bool, Ends> {
        let six = match self.text.get(self.at / 6).ok_or(Ends)? {
            c @ b'A'..=b'Z' => c - b'A',
            c @ b'a'..=b'z' => c - b'a' + 26,
            c @ b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return Err(Ends),
        };
        let bit = six >> (5 - self.at % 6) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// The next `count` bits, at most 32, the highest first.
    pub fn number(&mut self, count: usize) -> Result<u32, Ends> {
        let mut number = 0;
        for _ in 0..count {
            number = number << 1 | u32::from(self.bit()?);
        }
        Ok(number)
    }

    /// `count` bits from a place on.
    pub fn at(&self, place: usize, count: usize) -> Result<u32, Ends> {
        Bits { text: self.text, at: place }.number(count)
    }

    /// A number in Fibonacci coding: a bit for 1, 2, 3, 5, 8 …, and a 1 after the highest. Up to 65,535.
    pub fn fibonacci(&mut self) -> Result<u32, Ends> {
        let (mut number, mut this, mut next) = (0_u32, 1_u32, 2_u32);
        let mut last = false;
        loop {
            let bit = self.bit()?;
            if bit && last {
                return Ok(number);
            }
            if bit {
                number += this;
            }
            if number > u32::from(u16::MAX) || this > u32::from(u16::MAX) {
                return Err(Ends);
            }
            (this, next) = (next, this + next);
            last = bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(bits: &str) -> Result<u32, Ends> {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let six = |chunk: &[u8]| {
            let text = format!("{:0<6}", std::str::from_utf8(chunk).expect("ascii"));
            char::from(LETTERS[usize::from_str_radix(&text, 2).expect("bits")])
        };
        let text: String = bits.as_bytes().chunks(6).map(six).collect();
        Bits::new(&text).fibonacci()
    }

    #[test]
    fn fibonacci_numbers_are_those_of_the_specification() {
        for (bits, number) in [
            ("11", 1),
            ("011", 2),
            ("0011", 3),
            ("1011", 4),
            ("00011", 5),
            ("10011", 6),
            ("01011", 7),
            ("000011", 8),
        ] {
            assert_eq!(coded(bits), Ok(number), "{bits}");
        }
        assert_eq!(coded("000000000000"), Err(Ends));
        assert_eq!(coded(&"01".repeat(40)), Err(Ends), "too large");
        assert_eq!(coded(&"0".repeat(500)), Err(Ends));
        assert_eq!(Bits::new("A!").number(12), Err(Ends));
        assert_eq!(Bits::new("").bit(), Err(Ends));
    }
}
