//! Consent strings, written bit by bit: for made-up requests and for tests.

/// Writes bits as base64url, six a character.
#[derive(Clone, Debug, Default)]
struct Bits {
    text: String,
    held: u8,
    count: u8,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.held = self.held << 1 | u8::from(bit);
        self.count += 1;
        if self.count == 6 {
            self.text.push(char::from(LETTERS[usize::from(self.held & 63)]));
            (self.held, self.count) = (0, 0);
        }
    }

    fn number(&mut self, value: u64, width: u32) {
        for place in (0..width).rev() {
            self.bit(value >> place & 1 == 1);
        }
    }

    fn numbers(&mut self, set: &[u8], count: u8) {
        for number in 1..=count {
            self.bit(set.contains(&number));
        }
    }

    fn ranges(&mut self, ranges: &[(u16, u16)]) {
        self.number(ranges.len() as u64, 12);
        for (start, end) in ranges {
            self.bit(start != end);
            self.number(u64::from(*start), 16);
            if start != end {
                self.number(u64::from(*end), 16);
            }
        }
    }

    /// By ranges while there are few of them, else a bit for each.
    fn vendors(&mut self, ranges: &[(u16, u16)]) {
        let max = ranges.iter().map(|(_, end)| *end).max().unwrap_or(0);
        self.number(u64::from(max), 16);
        self.bit(ranges.len() < 12);
        if ranges.len() < 12 {
            return self.ranges(ranges);
        }
        let mut ranges = ranges.to_vec();
        ranges.sort_unstable();
        let mut at = ranges.iter().peekable();
        for vendor in 1..=max {
            while at.next_if(|(_, end)| *end < vendor).is_some() {}
            self.bit(at.peek().is_some_and(|(start, _)| *start <= vendor));
        }
    }

    /// In Fibonacci coding; `value` is not 0.
    fn fibonacci(&mut self, mut value: u32) {
        let mut numbers = vec![1_u32, 2];
        while let [.., a, b] = numbers[..]
            && a + b <= value
        {
            numbers.push(a + b);
        }
        let mut bits = Vec::new();
        for number in numbers.iter().rev() {
            let taken = *number <= value;
            if taken {
                value -= number;
            }
            if taken || !bits.is_empty() {
                bits.push(taken);
            }
        }
        bits.iter().rev().for_each(|bit| self.bit(*bit));
        self.bit(true);
    }

    /// The rest filled with zeros.
    fn finish(mut self) -> String {
        while self.count != 0 {
            self.bit(false);
        }
        self.text
    }
}

/// First and last id of each range of vendors.
pub type Ranges<'a> = &'a [(u16, u16)];
/// Purpose, type (0 not allowed, 1 consent only, 2 legitimate interest only), vendors.
pub type Restriction<'a> = (u8, u8, Ranges<'a>);

/// What a TC string says.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    /// Wall-clock microseconds since 1970 UTC.
    pub created_us: i64,
    pub policy: u8,
    /// Purposes with consent, and those with an undisputed legitimate interest.
    pub purposes: &'a [u8],
    pub interests: &'a [u8],
    pub vendors: Ranges<'a>,
    pub vendor_interests: Ranges<'a>,
    /// `None`: as strings were before TCF 2.3.
    pub disclosed: Option<Ranges<'a>>,
    pub restrictions: &'a [Restriction<'a>],
}

impl Default for Choices<'_> {
    fn default() -> Self {
        Choices {
            // 2026-06-01T00:00:00Z
            created_us: 1_780_272_000_000_000,
            policy: 5,
            purposes: &[],
            interests: &[],
            vendors: &[],
            vendor_interests: &[],
            disclosed: Some(&[(1, 1_200)]),
            restrictions: &[],
        }
    }
}

/// A TC string, by IAB Tech Lab, "Consent string and vendor list formats v2".
pub fn tc_string(choices: &Choices<'_>) -> String {
    let mut core = Bits::default();
    core.number(2, 6);
    core.number(choices.created_us.unsigned_abs() / 100_000, 36);
    core.number(choices.created_us.unsigned_abs() / 100_000, 36);
    core.number(300, 12);
    core.number(1, 12);
    core.number(1, 6);
    for letter in b"EN" {
        core.number(u64::from(letter - b'A'), 6);
    }
    core.number(160, 12);
    core.number(choices.policy.into(), 6);
    core.number(0b10, 2);
    core.number(0, 12);
    core.numbers(choices.purposes, 24);
    core.numbers(choices.interests, 24);
    core.bit(false);
    for letter in b"DE" {
        core.number(u64::from(letter - b'A'), 6);
    }
    core.vendors(choices.vendors);
    core.vendors(choices.vendor_interests);
    core.number(choices.restrictions.len() as u64, 12);
    for (purpose, kind, vendors) in choices.restrictions {
        core.number(u64::from(*purpose), 6);
        core.number(u64::from(*kind), 2);
        core.ranges(vendors);
    }
    let mut text = core.finish();
    if let Some(disclosed) = choices.disclosed {
        let mut segment = Bits::default();
        segment.number(1, 3);
        segment.vendors(disclosed);
        text.push('.');
        text.push_str(&segment.finish());
    }
    text
}

/// A GPP string of sections in ascending order of their ids.
pub fn gpp_string(sections: &[(u16, &str)]) -> String {
    let mut header = Bits::default();
    header.number(3, 6);
    header.number(1, 6);
    header.number(sections.len() as u64, 12);
    let mut last = 0;
    for (id, _) in sections {
        header.bit(false);
        header.fibonacci(u32::from(id.saturating_sub(last)).max(1));
        last = *id;
    }
    let mut text = header.finish();
    for (_, section) in sections {
        text.push('~');
        text.push_str(section);
    }
    text
}

#[cfg(test)]
mod tests {
    use kiki_models::shield::tcf::tc::Tc;

    use super::*;
    use crate::privacy::gpp::Gpp;

    #[test]
    fn a_written_tc_string_reads_back() {
        let many: Vec<(u16, u16)> = (1..400).map(|n| (n * 3, n * 3 + n % 2)).collect();
        for vendors in [&[(2, 2), (700, 800)][..], &many] {
            let choices = Choices {
                purposes: &[1, 2, 7],
                interests: &[10],
                vendors,
                vendor_interests: &[(5, 9)],
                restrictions: &[(2, 0, &[(1, 1), (4, 8)])],
                ..Choices::default()
            };
            let tc = Tc::parse(&tc_string(&choices)).expect("tc string");
            assert_eq!(tc.core.created_us, choices.created_us);
            assert!(tc.core.purposes_consent.iter().eq([1, 2, 7]));
            assert!(tc.core.purposes_li_transparency.iter().eq([10]));
            let expected = vendors.iter().flat_map(|(start, end)| *start..=*end);
            assert!(tc.core.vendor_consents.iter().eq(expected));
            assert!(tc.core.vendor_legitimate_interests.iter().eq(5..=9));
            assert_eq!(tc.core.restrictions.len(), 1);
            assert_eq!(tc.disclosed.map(|shown| shown.len()), Some(1_200));
        }
    }

    #[test]
    fn a_written_gpp_string_is_the_specifications() {
        assert_eq!(gpp_string(&[(2, "a")]), "DBABM~a");
        assert_eq!(gpp_string(&[(2, "a"), (6, "1YNN")]), "DBACNY~a~1YNN");
        for ids in [&[7_u16][..], &[2, 5, 6, 7, 8, 27], &[1, 100, 4_000], &[]] {
            let sections: Vec<(u16, &str)> = ids.iter().map(|id| (*id, "x")).collect();
            let text = gpp_string(&sections);
            let read = Gpp::parse(&text).expect("gpp");
            assert!(read.ids().eq(ids.iter().map(|id| i64::from(*id))));
        }
    }
}
