//! Reads the bit fields of one segment.

use super::error::{Fault, Segment, TcfError};
use super::sets::{Numbers, Vendors};

/// A segment's bits, and how far they were read.
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Bits that the characters carry: encoders may stop at any character.
    len: usize,
    at: usize,
    pub segment: Segment,
}

impl Bits {
    /// A TC string is made of six-bit characters, not of bytes: a segment may end where a byte decoder
    /// would see half a byte, so this is not left to one. Padding at the end is let through.
    pub fn decode(text: &str, segment: Segment) -> Result<Bits, TcfError> {
        let text = text.trim_end_matches('=');
        let len = text.len() * 6;
        let mut bytes = Vec::with_capacity(text.len() * 3 / 4 + 1);
        let (mut pool, mut held) = (0_u32, 0);
        for c in text.bytes() {
            let value = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return Err(TcfError { segment, field: "encoding", fault: Fault::NotBase64 }),
            };
            pool = pool << 6 | u32::from(value);
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((pool >> held) as u8);
            }
        }
        if held > 0 {
            bytes.push((pool << (8 - held)) as u8);
        }
        Ok(Bits { bytes, len, at: 0, segment })
    }

    pub fn error(&self, field: &'static str, fault: Fault) -> TcfError {
        TcfError { segment: self.segment, field, fault }
    }

    /// The next `count` bits, at most 56, as a number.
    pub fn number(&mut self, field: &'static str, count: usize) -> Result<u64, TcfError> {
        let end = self.at + count;
        if end > self.len {
            return Err(self.error(field, Fault::Ends));
        }
        let first = self.at / 8;
        let bytes = self.bytes.get(first..end.div_ceil(8)).unwrap_or_default();
        let value = bytes.iter().fold(0_u64, |v, byte| v << 8 | u64::from(*byte));
        let spare = (first + bytes.len()) * 8 - end;
        self.at = end;
        Ok(value >> spare & ((1 << count) - 1))
    }

    pub fn flag(&mut self, field: &'static str) -> Result<bool, TcfError> {
        Ok(self.number(field, 1)? == 1)
    }

    pub fn small(&mut self, field: &'static str, count: usize) -> Result<u16, TcfError> {
        debug_assert!(count <= 16);
        Ok(self.number(field, count)? as u16)
    }

    /// Two letters of six bits, A is 0.
    pub fn letters(&mut self, field: &'static str) -> Result<[u8; 2], TcfError> {
        let mut pair = [0; 2];
        for letter in &mut pair {
            let value = self.number(field, 6)?;
            if value > 25 {
                return Err(self.error(field, Fault::NotLetters));
            }
            *letter = b'A' + value as u8;
        }
        Ok(pair)
    }

    /// A bit for each number from 1 to `count`, at most 63: the first bit is the number 1.
    pub fn numbers(&mut self, field: &'static str, count: usize) -> Result<Numbers, TcfError> {
        let (high, low) = (count.min(32), count.saturating_sub(32));
        let first = self.mirrored(field, high)?;
        Ok(Numbers::from_bits(first | self.mirrored(field, low)? << 32))
    }

    /// Vendors as the core and the vendor segments have them: the highest id, then a bit each or
    /// ranges.
    pub fn vendors(&mut self, field: &'static str) -> Result<Vendors, TcfError> {
        let max = self.small(field, 16)?;
        if self.flag(field)? {
            let mut vendors = Vendors::default();
            self.ranges(field, max, |start, end| vendors.insert_range(start, end))?;
            return Ok(vendors);
        }
        // Before any room is made: a few characters may claim 65,535 vendors.
        if self.at + usize::from(max) > self.len {
            return Err(self.error(field, Fault::Ends));
        }
        let mut words = vec![0; usize::from(max).div_ceil(64)];
        for (nth, word) in words.iter_mut().enumerate() {
            let left = usize::from(max) - nth * 64;
            *word = self.mirrored(field, left.min(32))?;
            *word |= self.mirrored(field, left.saturating_sub(32).min(32))? << 32;
        }
        Ok(Vendors::from_words(words))
    }

    /// Calls `each` with every range of ids: a count, then a flag and one id or two for each. No id is
    /// 0 or above `max`, no range ends before it starts: the IAB's Java decoder refuses these too.
    pub fn ranges(
        &mut self,
        field: &'static str,
        max: u16,
        mut each: impl FnMut(u16, u16),
    ) -> Result<(), TcfError> {
        for _ in 0..self.number(field, 12)? {
            let is_range = self.flag(field)?;
            let start = self.small(field, 16)?;
            let end = if is_range { self.small(field, 16)? } else { start };
            if start == 0 || start > end || end > max {
                return Err(self.error(field, Fault::Range { start, end, max }));
            }
            each(start, end);
        }
        Ok(())
    }

    /// At most 32 bits, the first of them as the lowest.
    fn mirrored(&mut self, field: &'static str, count: usize) -> Result<u64, TcfError> {
        if count == 0 {
            return Ok(0);
        }
        Ok(self.number(field, count)?.reverse_bits() >> (64 - count))
    }
}
