//! A purchase log: read whole, hashed, and checked to its last line before anything is sent.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::models::shield::money::Micros;

/// The largest log, unpacked, in bytes.
const LOG_BYTES_MAX: u64 = 2 << 30;
/// How many malformed lines are named.
const COMPLAINTS_MAX: usize = 20;

/// One purchase of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase<'a> {
    /// The line in the file, from 1.
    pub line: usize,
    pub customer: &'a str,
    /// YYYYMMDD.
    pub date: &'a str,
    /// Decimal dollars, as written.
    pub dollars: &'a str,
    /// The same in micros.
    pub micros: i64,
}

/// A log whose every line is a purchase.
#[derive(Debug)]
pub struct Log {
    text: String,
    lines: Vec<(usize, Range<usize>)>,
    /// SHA-256 of the unpacked text, so that a packed copy of a log is the same log.
    hash: String,
}

impl Log {
    /// Reads a log, packed with gzip or not.
    ///
    /// # Errors
    /// It cannot be read, or a line is no purchase; the first bad lines are named.
    pub fn open(path: &Path) -> Result<Self, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let text = read(path).map_err(|error| named(&error))?;
        Self::parse(text).map_err(|error| named(&error))
    }

    /// Checks a log's text.
    ///
    /// # Errors
    /// A line is no purchase, or there is none; the first bad lines are named.
    pub fn parse(text: String) -> Result<Self, String> {
        let (mut lines, mut complaints, mut bad) = (Vec::new(), Vec::new(), 0_usize);
        let (mut at, mut first) = (0, true);
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let range = at..at + line.len();
            at = range.end;
            if line.trim().is_empty() || (std::mem::take(&mut first) && is_heading(line)) {
                continue;
            }
            match purchase(index + 1, line) {
                Ok(_) => lines.push((index + 1, range)),
                Err(error) => {
                    bad += 1;
                    if complaints.len() < COMPLAINTS_MAX {
                        complaints.push(format!("line {}: {error}", index + 1));
                    }
                }
            }
        }
        if bad > complaints.len() {
            complaints.push(format!("and {} more", bad - complaints.len()));
        }
        if bad > 0 {
            return Err(format!("nothing was sent\n{}", complaints.join("\n")));
        }
        if lines.is_empty() {
            return Err("holds no purchase".to_owned());
        }
        let digest = Sha256::digest(text.as_bytes());
        let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { text, lines, hash })
    }

    /// How many purchases there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The purchases, in the order of the file.
    pub fn purchases(&self) -> impl Iterator<Item = Purchase<'_>> {
        let parse = |(number, range): &(usize, Range<usize>)| {
            purchase(*number, self.text.get(range.clone())?).ok()
        };
        self.lines.iter().filter_map(parse)
    }

    /// The key of a purchase: running the same log again books nothing twice.
    pub fn key(&self, purchase: &Purchase<'_>) -> String {
        format!("{}-{}", &self.hash[..32], purchase.line)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut head = Vec::with_capacity(2);
    (&mut file).take(2).read_to_end(&mut head)?;
    let packed = head == [0x1f, 0x8b];
    let whole = head.as_slice().chain(file);
    let mut text = String::new();
    let size = match packed {
        true => MultiGzDecoder::new(whole).take(LOG_BYTES_MAX + 1).read_to_string(&mut text)?,
        false => whole.take(LOG_BYTES_MAX + 1).read_to_string(&mut text)?,
    };
    match u64::try_from(size) {
        Ok(size) if size <= LOG_BYTES_MAX => Ok(text),
        _ => Err(io::Error::other("larger than 2 GiB")),
    }
}

/// A first line of names, not numbers.
fn is_heading(line: &str) -> bool {
    let name = |field: &str| field.starts_with(|c: char| c.is_ascii_alphabetic());
    line.split_whitespace().all(name)
}

fn purchase(number: usize, line: &str) -> Result<Purchase<'_>, String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let &[customer, date, cds, dollars] = fields.as_slice() else {
        let found = fields.len();
        return Err(format!("expected customer, date, CDs and dollars, found {found} columns"));
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if customer.len() > 64 || !customer.chars().all(plain) {
        return Err(format!("customer: expected up to 64 letters or digits, found {customer:?}"));
    }
    if date.len() != 8 || jiff::civil::Date::strptime("%Y%m%d", date).is_err() {
        return Err(format!("date: expected YYYYMMDD, found {date:?}"));
    }
    if cds.parse::<u32>().is_err() {
        return Err(format!("CDs: expected a whole number, found {cds:?}"));
    }
    let micros = Micros::parse(dollars).map_err(|error| format!("dollars: {dollars:?} {error}"))?.0;
    Ok(Purchase { line: number, customer, date, dollars, micros })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = " customer_id  date number_of_cds  dollar_value\r\n 00001 19970101  1   11.77\r\n\r\n 00002 19970112  0    0.00\r\n";

    #[test]
    fn lines_are_counted_as_in_the_file_and_keyed_by_its_content() {
        let log = Log::parse(LOG.to_owned()).expect("good");
        let purchases: Vec<_> = log.purchases().collect();
        let first = Purchase {
            line: 2,
            customer: "00001",
            date: "19970101",
            dollars: "11.77",
            micros: 11_770_000,
        };
        assert_eq!(purchases[0], first);
        assert_eq!((purchases[1].line, purchases[1].micros), (4, 0));
        assert_eq!(log.key(&purchases[1]).len(), 34);
        assert!(log.key(&purchases[1]).ends_with("-4"));
    }

    #[test]
    fn every_bad_line_is_named() {
        let bad =
            format!("{LOG}00003 19970230 1 5.00\nx\n00004 19970101 -1 5\n00005 19970101 1 1,5\n");
        let said = Log::parse(bad).expect_err("refused");
        assert_eq!(
            said,
            "nothing was sent\nline 5: date: expected YYYYMMDD, found \"19970230\"\n\
             line 6: expected customer, date, CDs and dollars, found 1 columns\n\
             line 7: CDs: expected a whole number, found \"-1\"\n\
             line 8: dollars: \"1,5\" is not a decimal number"
        );
        assert_eq!(Log::parse(String::new()).expect_err("refused"), "holds no purchase");
    }

    #[test]
    fn the_packed_copy_is_the_same_log_as_the_plain_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, packed) = (folder.path().join("log.txt"), folder.path().join("log.gz"));
        std::fs::write(&plain, LOG).expect("written");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, LOG.as_bytes()).expect("packed");
        std::fs::write(&packed, encoder.finish().expect("packed")).expect("written");
        let open = |path| Log::open(path).expect("good");
        assert_eq!(open(&plain).hash, open(&packed).hash);
    }
}
