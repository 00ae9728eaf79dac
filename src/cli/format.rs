//! Numbers, times and tables as people read them.

use crate::models::shield::money::Micros;

/// `2500315.63` with its thousands apart: `2,500,315.63`.
pub fn grouped(number: &str) -> String {
    let (sign, size) = number.strip_prefix('-').map_or(("", number), |size| ("-", size));
    let (whole, fraction) = size.split_once('.').map_or((size, None), |(w, f)| (w, Some(f)));
    let mut out = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Micros of US dollars, exactly, with at least two decimals.
pub fn dollars(micros: i64) -> String {
    let text = grouped(&Micros(micros).display_2());
    match text.strip_prefix('-') {
        Some(size) => format!("-${size}"),
        None => format!("${text}"),
    }
}

/// Microseconds in the unit that fits.
pub fn microseconds(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// Columns as wide as their widest cell, two spaces apart; the last is not padded.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut out = line(&mut head.iter().copied());
    for row in rows {
        out += &line(&mut row.iter().map(String::as_str));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_printed_exactly_and_in_groups() {
        assert_eq!(dollars(2_500_315_630_000), "$2,500,315.63");
        assert_eq!(dollars(-999_000_001), "-$999.000001");
        assert_eq!(dollars(0), "$0.00");
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let rows = vec![vec!["/a/long/path".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["PATH", "DEPTH"], &rows), "PATH          DEPTH\n/a/long/path  1\n");
    }
}
