//! Lines of the CDNOW purchase logs (Fader & Hardie 2001): columns between blanks.

use super::amount::micros;
use super::day::Day;
use super::purchase::{CUSTOMER_CHARS_MAX, Purchase};
use super::reject::Reason;

/// A line with `ids` columns of ids, the first of which is the customer's; then date, items, amount.
pub fn purchase(line: &str, ids: usize) -> Result<Purchase<'_>, Reason> {
    let mut columns = line.split_ascii_whitespace();
    let mut column = || columns.next().ok_or(Reason::Columns);
    let customer = column()?;
    for _ in 1..ids {
        column()?;
    }
    let (date, items, amount) = (column()?, column()?, column()?);
    if columns.next().is_some() {
        return Err(Reason::Columns);
    }
    let plain =
        customer.chars().count() <= CUSTOMER_CHARS_MAX && !customer.contains(char::is_control);
    if !plain {
        return Err(Reason::Customer);
    }
    let day = Day::compact(date)?;
    items.parse::<u32>().map_err(|_| Reason::Items)?;
    Ok(Purchase { customer, day, amount: micros(amount)?, currency: None })
}

/// Whether a first line is a heading: it has the columns, but no digit.
pub fn is_heading(line: &str, ids: usize) -> bool {
    line.split_ascii_whitespace().count() == ids + 3 && !line.contains(|c: char| c.is_ascii_digit())
}
