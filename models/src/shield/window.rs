//! The sliding window: what was booked within the last W microseconds, exactly.

use std::collections::{HashSet, VecDeque};

use super::entry::Op;
use super::limits::{Bug, Limits};
use super::money::Micros;

/// Bookings of one account, oldest first, on the monotonic clock of whoever owns the account.
#[derive(Clone, Debug, Default)]
pub struct Window {
    entries: VecDeque<(i64, Micros, Op)>,
    seen: HashSet<Op>,
    /// Wider than what it sums: facts are never refused, and no sum of them is cut off.
    sum: i128,
    /// Entries before this one are cancelled: a refund need not walk over them again.
    live_from: usize,
}

/// A ledger row as a window sees it at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    pub age_us: Option<i64>,
    pub amount: Micros,
    pub op: Op,
}

impl Window {
    /// Drops what is `length_us` old or older: an entry of time t counts in [t, t + length).
    pub fn expire(&mut self, now_us: i64, length_us: i64) {
        while let Some((at, amount, op)) = self.entries.front().copied() {
            if now_us - at < length_us {
                break;
            }
            self.entries.pop_front();
            self.live_from = self.live_from.saturating_sub(1);
            self.seen.remove(&op);
            self.sum -= i128::from(amount.0);
        }
    }

    /// Counts a booking from `now_us` on; a repeated `op` counts once. A negative amount cancels the
    /// oldest unexpired entries, never below zero: money that came back may be spent again, but a
    /// refund never buys more than the cap.
    pub fn book(&mut self, now_us: i64, amount: Micros, op: Op, limits: &Limits) {
        if !self.seen.insert(op) {
            return;
        }
        if amount >= Micros::ZERO || limits.has(Bug::RefundBelowZero) {
            self.entries.push_back((now_us, amount, op));
            self.sum += i128::from(amount.0);
            return;
        }
        // The operation stays known for as long as an entry of its time would.
        self.entries.push_back((now_us, Micros::ZERO, op));
        let mut left = -amount;
        while let Some((_, entry, _)) = self.entries.get_mut(self.live_from) {
            let cancelled = (*entry).min(left);
            *entry -= cancelled;
            self.sum -= i128::from(cancelled.0);
            left -= cancelled;
            if left == Micros::ZERO {
                break;
            }
            self.live_from += 1;
        }
    }

    /// Rebuilds a window from ledger rows, oldest first, at a start. `age_us` is a row's age on the
    /// monotonic clock, where this boot can tell it; rows whose age is in doubt count as now
    /// (rule 8). Rows of two lengths are wanted: a refund cancels entries that were unexpired at its
    /// time. Refunds in doubt, and those older than one length, whose effect on still older rows is
    /// not known, cancel nothing: the window may come out too full for a while, never too empty.
    pub fn rebuild(now_us: i64, length_us: i64, rows: &[Past], limits: &Limits) -> Window {
        let mut window = Window::default();
        if limits.has(Bug::RestartClearsWindow) {
            return window;
        }
        for row in rows.iter().filter(|r| r.age_us.is_some()) {
            let age = row.age_us.unwrap_or_default();
            if age < 2 * length_us && (row.amount >= Micros::ZERO || age < length_us) {
                window.expire(now_us - age, length_us);
                window.book(now_us - age, row.amount, row.op, limits);
            }
        }
        for row in rows {
            let ignored =
                row.age_us.is_none_or(|age| row.amount < Micros::ZERO && age >= length_us);
            if ignored {
                // A refund that cancels nothing stays known, so that it is not counted when it is
                // told of once more.
                window.book(now_us, row.amount.max(Micros::ZERO), row.op, limits);
            }
        }
        window.expire(now_us, length_us);
        window
    }

    /// What a campaign's new authority must tell the account of: bookings that still count and that
    /// the account may not have heard of. Refunds are left out: told late, one would cancel what was
    /// booked after it.
    pub fn to_retell(rows: &[Past], length_us: i64) -> Vec<(Op, Micros)> {
        rows.iter()
            .filter(|r| r.amount > Micros::ZERO && r.age_us.is_none_or(|age| age < length_us))
            .map(|r| (r.op, r.amount))
            .collect()
    }

    pub fn knows(&self, op: Op) -> bool {
        self.seen.contains(&op)
    }

    /// What is booked in the window, as of the last [`Window::expire`].
    pub fn sum(&self) -> Micros {
        Micros(i64::try_from(self.sum).unwrap_or(if self.sum > 0 { i64::MAX } else { i64::MIN }))
    }

    /// Monotonic time at which the oldest entry leaves, if any.
    pub fn next_expiry(&self, length_us: i64) -> Option<i64> {
        self.entries.front().map(|(at, _, _)| at + length_us)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn window(bookings: &[(i64, i64)]) -> Window {
        let mut w = Window::default();
        for (i, (at, amount)) in bookings.iter().enumerate() {
            w.book(*at, Micros(*amount), Op(i as u128), &Limits::default());
        }
        w
    }

    #[test]
    fn an_entry_counts_for_exactly_the_length_of_the_window() {
        let mut w = window(&[(0, 5), (1, 7)]);
        w.expire(MINUTE - 1, MINUTE);
        assert_eq!(w.sum(), Micros(12));
        w.expire(MINUTE, MINUTE);
        assert_eq!(w.sum(), Micros(7));
        w.expire(MINUTE + 1, MINUTE);
        assert_eq!((w.sum(), w.len()), (Micros(0), 0));
    }

    #[test]
    fn a_refund_cancels_the_oldest_entries_and_never_goes_below_zero() {
        let mut w = window(&[(0, 5), (10, 7), (20, -8)]);
        assert_eq!(w.sum(), Micros(4));
        w.expire(MINUTE, MINUTE);
        assert_eq!(w.sum(), Micros(4), "the refund took the oldest entry first");
        w.book(30, Micros(-100), Op(99), &Limits::default());
        assert_eq!(w.sum(), Micros(0));
        w.book(31, Micros(3), Op(100), &Limits::default());
        assert_eq!(w.sum(), Micros(3));
    }

    #[test]
    fn a_rebuilt_window_holds_what_it_held_and_doubt_counts_as_now() {
        let past = |age_us, amount, op| Past { age_us, amount: Micros(amount), op: Op(op) };
        let rows = [
            past(Some(90), 50, 1),
            past(Some(50), 10, 2),
            past(Some(20), -15, 3),
            past(None, 7, 4),
            past(None, -7, 5),
        ];
        let limits = Limits::default();
        let mut w = Window::rebuild(100, 60, &rows, &limits);
        // The 50 had left the window when the refund came: it found only the 10.
        assert_eq!(w.sum(), Micros(7));
        assert!(w.knows(Op(5)), "a refund in doubt is not counted again when it is told of");
        w.expire(159, 60);
        assert_eq!(w.sum(), Micros(7));
        w.expire(160, 60);
        assert_eq!(w.sum(), Micros(0));
    }

    #[test]
    fn a_repeated_operation_counts_once_even_when_it_is_a_refund() {
        let mut w = window(&[(0, 10)]);
        for _ in 0..2 {
            w.book(1, Micros(-4), Op(50), &Limits::default());
            w.book(2, Micros(5), Op(51), &Limits::default());
        }
        assert_eq!(w.sum(), Micros(11));
    }
}
