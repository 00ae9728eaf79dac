//! Rows of ledgers and records of audit logs, small.

use crate::history::Micros;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    Settle,
    Late,
    Spend,
    Refund,
}

impl RowKind {
    pub fn parse(text: &str) -> Option<RowKind> {
        match text {
            "settle" => Some(RowKind::Settle),
            "late" => Some(RowKind::Late),
            "spend" => Some(RowKind::Spend),
            "refund" => Some(RowKind::Refund),
            _ => None,
        }
    }

    /// The audit log's name for it.
    pub fn event(self) -> &'static str {
        match self {
            RowKind::Settle => "budget.settled",
            RowKind::Late => "budget.settled_late",
            RowKind::Spend => "budget.spent",
            RowKind::Refund => "budget.refunded",
        }
    }

    pub fn of_event(event: &str) -> Option<RowKind> {
        [RowKind::Settle, RowKind::Late, RowKind::Spend, RowKind::Refund]
            .into_iter()
            .find(|kind| kind.event() == event)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub budget: u32,
    pub seq: i64,
    pub kind: RowKind,
    pub amount: Micros,
    pub currency: u32,
    pub at_us: i64,
    pub op: u32,
    pub hold: Option<u32>,
}

/// A record of a booking, as the audit log tells it.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub budget: u32,
    pub kind: RowKind,
    pub seq: i64,
    pub amount: Micros,
    pub currency: u32,
    pub op: u32,
    pub hold: Option<u32>,
}

/// What the audit logs of a run say, as far as it is compared.
#[derive(Debug, Default)]
pub struct Audit {
    pub records: u64,
    pub bookings: Vec<Told>,
    /// What operators and customers did: account, event and subject.
    pub acts: Vec<(u32, u32, u32)>,
    /// Budgets that campaigns have which bid.
    pub bidding: Vec<u32>,
}

/// An exact decimal with at most six places, in micros.
pub fn micros(text: &str) -> Option<Micros> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || part.len() > 6 {
        return None;
    }
    let mut value: i64 = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?;
    if !part.is_empty() {
        value = value.checked_add(format!("{part:0<6}").parse::<i64>().ok()?)?;
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_nothing_else_is_one() {
        let all = [("1.25", 1_250_000), ("-0.5", -500_000), ("0", 0), ("12", 12_000_000)];
        for (text, want) in all {
            assert_eq!(micros(text), Some(want), "{text}");
        }
        for bad in ["", "-", ".5", "1.2345678", "1e3", "+1", " 1", "99999999999999999999"] {
            assert_eq!(micros(bad), None, "{bad}");
        }
    }
}
