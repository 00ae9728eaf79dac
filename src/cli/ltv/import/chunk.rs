//! Purchases that are sent together.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::models::shield::money::Micros;
use crate::models::value::log::purchase::Purchase;

/// Purchases of one request.
pub const ROWS_MAX: usize = 4_096;
/// Bytes of one request: half of what a server takes that is configured like the default one.
const BYTES_MAX: usize = 512 * 1_024;

/// Some rows of a file, as they are sent.
#[derive(Debug, Default)]
pub struct Chunk {
    /// JSON objects with commas between them.
    text: String,
    /// Of each row: its line in the file, and where it ends in the text.
    rows: Vec<(u64, usize)>,
}

impl Chunk {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether another row is for another chunk.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= ROWS_MAX || self.text.len() >= BYTES_MAX
    }

    pub fn push(&mut self, line: u64, of: &Purchase<'_>, id: &str) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        let customer = serde_json::Value::from(of.customer);
        let amount = Micros(of.amount).display_2();
        // Nothing can go wrong in writing to a string.
        let _ = write!(
            self.text,
            "{{\"customer_id\":{customer},\"date\":\"{}\",\"amount\":{amount},",
            of.day
        );
        if let Some(code) = of.currency {
            let code: String = code.iter().map(|b| char::from(*b)).collect();
            let _ = write!(self.text, "\"currency\":\"{code}\",");
        }
        let _ = write!(self.text, "\"transaction_id\":\"{id}\"}}");
        self.rows.push((line, self.text.len()));
    }

    /// The line of a row, by its place from 1.
    pub fn line(&self, place: u64) -> u64 {
        let at = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        at.and_then(|at| self.rows.get(at)).map_or(0, |row| row.0)
    }

    /// The request, and its key: a hash of it.
    pub fn request(&self) -> (String, String) {
        let body = format!("{{\"transactions\":[{}]}}", self.text);
        let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        (body, format!("import-{hex}"))
    }

    /// Two of half the size; `None` of a single row.
    pub fn halves(mut self) -> Option<(Chunk, Chunk)> {
        let half = self.rows.len() / 2;
        let cut = self.rows.get(half.checked_sub(1)?)?.1;
        let rows = self.rows.split_off(half);
        let text = self.text.split_off(cut);
        let shift = cut + 1;
        let rows = rows.into_iter().map(|(line, end)| (line, end - shift)).collect();
        Some((self, Chunk { text: text.strip_prefix(',').unwrap_or(&text).to_owned(), rows }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::value::log::day::Day;

    fn chunk(rows: u64) -> Chunk {
        let mut chunk = Chunk::default();
        for row in 0..rows {
            let customer = format!("\"c\\{row}");
            let amount = 1_000_001 * i64::try_from(row).expect("small");
            let day = Day::any("1997-01-01").expect("a day");
            let currency = (row % 2 == 0).then_some(*b"EUR");
            let of = Purchase { customer: &customer, day, amount, currency };
            chunk.push(row * 10, &of, &format!("id{row}"));
        }
        chunk
    }

    fn rows(of: &Chunk) -> Vec<serde_json::Value> {
        let body: serde_json::Value = serde_json::from_str(&of.request().0).expect("JSON");
        body["transactions"].as_array().expect("a list").clone()
    }

    #[test]
    fn a_request_is_json_whatever_a_customer_is_called_and_keyed_by_what_it_says() {
        let (three, two) = (chunk(3), chunk(2));
        let all = rows(&three);
        assert_eq!(all[2]["customer_id"], "\"c\\2");
        assert_eq!((&all[2]["amount"], &all[2]["currency"]), (&2.000002.into(), &"EUR".into()));
        assert_eq!((&all[0]["amount"], all[1].get("currency")), (&0.0.into(), None));
        assert_eq!((three.line(1), three.line(3), three.line(4), three.line(0)), (0, 20, 0, 0));
        assert_eq!(three.request().1, chunk(3).request().1);
        assert_ne!(three.request().1, two.request().1);
    }

    #[test]
    fn halves_hold_all_of_it_in_order_with_its_lines() {
        let whole = rows(&chunk(5));
        let (left, right) = chunk(5).halves().expect("two");
        assert_eq!([rows(&left), rows(&right)].concat(), whole);
        assert_eq!((left.line(2), right.line(1), right.line(3)), (10, 20, 40));
        let (left, right) = right.halves().expect("two");
        assert_eq!((rows(&left).len(), rows(&right).len(), right.line(2)), (1, 2, 40));
        assert!(left.halves().is_none() && Chunk::default().halves().is_none());
    }
}
