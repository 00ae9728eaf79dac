//! Lines of a CSV log (RFC 4180, but a record is a line).

use csv_core::{ReadRecordResult, Reader};

use super::amount::micros;
use super::day::Day;
use super::purchase::{CUSTOMER_CHARS_MAX, Purchase};
use super::reject::{LINE_BYTES_MAX, Reason};

/// Most columns of a log.
const COLUMNS_MAX: usize = 64;

/// Where the columns are, from the heading, and room for one record.
#[derive(Debug)]
pub struct Table {
    columns: usize,
    customer: usize,
    date: usize,
    amount: usize,
    currency: Option<usize>,
    record: Record,
}

/// The fields of one line.
#[derive(Debug)]
struct Record {
    /// Made once: its tables cost more than a line.
    reader: Reader,
    text: Box<[u8]>,
    ends: [usize; COLUMNS_MAX],
    columns: usize,
}

impl Record {
    fn empty() -> Record {
        let text = vec![0; LINE_BYTES_MAX].into_boxed_slice();
        Record { reader: Reader::new(), text, ends: [0; COLUMNS_MAX], columns: 0 }
    }

    fn read(&mut self, line: &str) -> Result<(), Reason> {
        self.reader.reset();
        let (result, read, written, ends) =
            self.reader.read_record(line.as_bytes(), &mut self.text, &mut self.ends);
        match result {
            // All of the line is within the record, and it is the end that ends it.
            ReadRecordResult::InputEmpty if read == line.len() => {}
            ReadRecordResult::OutputFull => return Err(Reason::TooLong),
            _ => return Err(Reason::Columns),
        }
        // A quoted field that is still open takes a comma as its own.
        let mut probe = [0; 4];
        let open = self.reader.read_record(b",", &mut probe, &mut self.ends[ends..]);
        if open.2 > 0 {
            return Err(Reason::Quote);
        }
        let Some(last) = self.ends.get_mut(ends) else { return Err(Reason::Columns) };
        *last = written;
        self.columns = ends + 1;
        Ok(())
    }

    /// A field without blanks around it; a column that is not there is empty.
    fn field(&self, column: usize) -> Result<&str, Reason> {
        let from = if column == 0 { 0 } else { self.ends[column - 1] };
        let bytes = self.text.get(from..self.ends[column]).unwrap_or_default();
        std::str::from_utf8(bytes).map(str::trim).map_err(|_| Reason::NotText)
    }
}

impl Table {
    /// From a heading, letters of either case; a byte order mark before it is skipped.
    pub fn new(heading: &str) -> Result<Table, Reason> {
        let mut record = Record::empty();
        record.read(heading.strip_prefix('\u{feff}').unwrap_or(heading))?;
        let find = |names: &[&str]| -> Result<Option<usize>, Reason> {
            let mut found = None;
            for column in 0..record.columns {
                let name = record.field(column)?;
                if names.iter().any(|known| known.eq_ignore_ascii_case(name))
                    && found.replace(column).is_some()
                {
                    return Err(Reason::Heading);
                }
            }
            Ok(found)
        };
        let customer = find(&["customer_id"])?.ok_or(Reason::Heading)?;
        let date = find(&["date", "timestamp"])?.ok_or(Reason::Heading)?;
        let amount = find(&["amount"])?.ok_or(Reason::Heading)?;
        let currency = find(&["currency"])?;
        Ok(Table { columns: record.columns, customer, date, amount, currency, record })
    }

    /// A line below the heading.
    pub fn purchase(&mut self, line: &str) -> Result<Purchase<'_>, Reason> {
        self.record.read(line)?;
        if self.record.columns != self.columns {
            return Err(Reason::Columns);
        }
        let customer = self.record.field(self.customer)?;
        let long = customer.is_empty() || customer.chars().count() > CUSTOMER_CHARS_MAX;
        if long || customer.contains(char::is_control) {
            return Err(Reason::Customer);
        }
        let day = Day::any(self.record.field(self.date)?)?;
        let amount = micros(self.record.field(self.amount)?)?;
        let currency = self.currency.map(|column| self.record.field(column).and_then(code));
        Ok(Purchase { customer, day, amount, currency: currency.transpose()? })
    }
}

fn code(text: &str) -> Result<[u8; 3], Reason> {
    let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| Reason::Currency)?;
    if !letters.iter().all(u8::is_ascii_alphabetic) {
        return Err(Reason::Currency);
    }
    Ok(letters.map(|b| b.to_ascii_uppercase()))
}
