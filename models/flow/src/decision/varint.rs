//! Whole numbers in as few bytes as they need (LEB128), and bytes taken apart without a panic.

/// Appends a number, seven bits a byte, the lowest first.
pub fn put(mut n: u64, to: &mut Vec<u8>) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

/// Appends a signed number: small magnitudes are short.
pub fn put_signed(n: i64, to: &mut Vec<u8>) {
    put(((n << 1) ^ (n >> 63)) as u64, to);
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// `None` also of a number in more bytes than it needs, or beyond 64 bits: there is one way to write each.
    pub fn number(&mut self) -> Option<u64> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return (byte != 0 || shift == 0).then_some(n);
            }
        }
        None
    }

    pub fn signed(&mut self) -> Option<i64> {
        let n = self.number()?;
        Some((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// A finite number of eight bytes.
    pub fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.array()?)).filter(|n| n.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_read_back_and_there_is_one_way_to_write_each(
            n in any::<u64>(), m in any::<i64>(), small in 0_u64..300,
            bytes in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            for n in [n, small] {
                let mut written = Vec::new();
                put(n, &mut written);
                prop_assert!(written.len() <= 10);
                prop_assert_eq!(Reader(&written).number(), Some(n));
            }
            let mut written = Vec::new();
            put_signed(m, &mut written);
            prop_assert_eq!(Reader(&written).signed(), Some(m));
            let mut reader = Reader(&bytes);
            if let Some(n) = reader.number() {
                let mut again = Vec::new();
                put(n, &mut again);
                prop_assert_eq!(&bytes[..bytes.len() - reader.0.len()], &again[..]);
            }
        }
    }
}
