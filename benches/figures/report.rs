//! A figure: what was measured over the rounds of one run, and the bar that it is held against.

use std::io::Write;

/// Rounds of every comparison.
pub const PAIRS: usize = 9;

#[derive(Clone, Copy, Debug)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// No bar: it says what the others are made of.
    Told,
}

/// Median, least and most.
pub fn middle(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[sorted.len() / 2], sorted[0], sorted[sorted.len() - 1])
}

/// Prints a figure, and appends its table row to the file that `BENCH_ROWS` names.
/// `unit` follows a bar in the table: `x`, `/s`, `ms`.
pub fn figure(name: &str, values: &[f64], unit: &str, bar: Bar, command: &str) {
    let (median, min, max) = middle(values);
    let verdict = match bar {
        Bar::Told => "",
        Bar::AtLeast(bar) if median >= bar => "met",
        Bar::AtMost(bar) if median <= bar => "met",
        // A bar is failed only when the whole interval misses it.
        Bar::AtLeast(bar) if max >= bar => "undecided: within the spread",
        Bar::AtMost(bar) if min <= bar => "undecided: within the spread",
        _ => "**missed**",
    };
    let bar = match bar {
        Bar::AtLeast(bar) => format!("≥ {}{unit}", number(bar)),
        Bar::AtMost(bar) => format!("≤ {}{unit}", number(bar)),
        Bar::Told => String::new(),
    };
    let measured = format!("{}{unit} [{}–{}]", number(median), number(min), number(max));
    println!("{name}: {measured}   {bar}   {verdict}");
    if let Some(path) = std::env::var_os("BENCH_ROWS") {
        let row = format!("| {name} | {measured} | {bar} | {verdict} | `{command}` |\n");
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let wrote = file.and_then(|mut file| file.write_all(row.as_bytes()));
        wrote.expect("the file of the rows takes them");
    }
}

/// Three digits or so, with thousands set apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((&*text, None), |(w, r)| (w, Some(r)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |d| ("-", d));
    let mut out = sign.to_owned();
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    match rest.map(|r| r.trim_end_matches('0')).filter(|r| !r.is_empty()) {
        Some(rest) => format!("{out}.{rest}"),
        None => out,
    }
}

/// The ratios of two series, round by round.
pub fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(a, b)| a / b).collect()
}
