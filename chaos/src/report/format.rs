//! Figures as people read them.

use crate::verdict::{Checked, GivenUp, Verdict};

/// 12,345
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// 0.3 ms, 12 ms, 1.5 s
pub fn millis(ms: f64) -> String {
    match ms {
        ms if ms <= 0.0 => "–".to_owned(),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1_000.0),
    }
}

/// 0 %, 0.02 %, 12.5 %: what is not nothing never reads as 0.
pub fn percent(part: f64) -> String {
    match part * 100.0 {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.01 => "< 0.01 %".to_owned(),
        p if p < 1.0 => format!("{p:.2} %"),
        p => format!("{p:.1} %"),
    }
}

/// 0:42, 10:00
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}

pub fn rate(per_s: f64) -> String {
    if per_s < 10.0 {
        format!("{per_s:.1}/s")
    } else {
        format!("{}/s", count(per_s.round() as u64))
    }
}

pub fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Held => ("Held", "the steady state came back, and no invariant was broken"),
        Verdict::HypothesisFailed => {
            ("Hypothesis failed", "no invariant was broken, but the steady state did not hold")
        }
        Verdict::InvariantViolated => {
            ("Invariant violated", "an answer, a ledger or a log contradicts the rules")
        }
        Verdict::CouldNotRun => ("Could not run", "nothing was shown either way"),
    }
}

/// Why keys were not searched; nothing where all were.
pub fn not_searched(checked: &Checked) -> Option<String> {
    let one = |it: &GivenUp| match checked.given_up.len() {
        1 => it.why.clone(),
        _ => format!("{} ({})", it.why, count(it.keys)),
    };
    let told: Vec<String> = checked.given_up.iter().map(one).collect();
    match checked.not_searched {
        0 => None,
        // Of an earlier version.
        _ if told.is_empty() => Some("nobody noted why".to_owned()),
        _ => Some(told.join("; ")),
    }
}

/// A part of times until things were well again: 0 is one of them, and no time is a dash.
pub fn recovered(times: &[f64], part: f64) -> String {
    match quantile(times, part) {
        ms if ms <= 0.0 && !times.is_empty() => "0 ms".to_owned(),
        ms => millis(ms),
    }
}

/// The value that this part of all is not above; 0 of none.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.25, 12.4, 1_500.0].map(millis), ["–", "0.2 ms", "12 ms", "1.5 s"]);
        assert_eq!(
            [0.0, 0.000_01, 0.002, 0.5].map(percent),
            ["0 %", "< 0.01 %", "0.20 %", "50.0 %"]
        );
        assert_eq!([0.0, 59.4, 600.0].map(clock), ["0:00", "0:59", "10:00"]);
        assert_eq!([0.0, 9.94, 1_234.5].map(rate), ["0.0/s", "9.9/s", "1,235/s"]);
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.99), 3.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!([recovered(&[], 0.5), recovered(&[0.0, 12.0], 0.5)], ["–", "0 ms"]);
    }
}
