//! What a bidder has learned, as it is stored: a restart does not begin anew.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::models::flow::campaign::strategy::Strategy;
use crate::models::flow::pacing::Pacer;
use crate::models::flow::pricing::WinLearner;

/// Bytes that are stored of a bidder at most. Of more the win curve is left out, which is the larger part and
/// the sooner learned.
pub const BYTES_MAX: usize = 128 << 10;
/// All bidders together write no oftener than this (microseconds).
const APART_US: i64 = 100_000;

/// See the module's page.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// JSON: the strategy that the pacer is for. With another one it is of no use.
    strategy: String,
    pacer: Option<Pacer>,
    wins: Option<WinLearner>,
}

impl Kept {
    /// The row's text; nothing where nothing was learned, or it cannot be written.
    pub fn text(
        strategy: &Strategy,
        pacer: Option<&Pacer>,
        wins: &WinLearner,
        now_us: i64,
    ) -> Option<String> {
        // Bids under way are not waited for by who reads it.
        let pacer = pacer.cloned().map(|mut pacer| {
            pacer.resume(now_us);
            pacer
        });
        let strategy = serde_json::to_string(strategy).ok()?;
        let mut kept = Kept { strategy, pacer, wins: Some(wins.clone()) };
        let text = serde_json::to_string(&kept).ok()?;
        if text.len() <= BYTES_MAX {
            return Some(text);
        }
        kept.wins = None;
        serde_json::to_string(&kept).ok().filter(|text| text.len() <= BYTES_MAX)
    }

    /// What a text says that is of use now. `woke_us`: until then no auction met it since the text was written,
    /// which is known where it slept and nothing else.
    ///
    /// # Errors
    /// It is none.
    pub fn read(
        text: &str,
        strategy: &Strategy,
        woke_us: Option<i64>,
        now_us: i64,
    ) -> Result<(Option<Pacer>, WinLearner), serde_json::Error> {
        let Kept { strategy: of, pacer, wins } = serde_json::from_str(text)?;
        let same = serde_json::to_string(strategy)? == of;
        let pacer = pacer.filter(|_| same).map(|mut pacer| {
            if let Some(woke_us) = woke_us {
                pacer.wake(woke_us);
            }
            pacer.resume(now_us);
            pacer
        });
        Ok((pacer, wins.unwrap_or_default()))
    }
}

/// Lets one bidder at a time write.
#[derive(Default)]
pub struct Gate(AtomicI64);

impl Gate {
    /// `now_us`: monotonic.
    pub fn opens(&self, now_us: i64) -> bool {
        let next_us = self.0.load(Relaxed);
        now_us >= next_us
            && self.0.compare_exchange(next_us, now_us + APART_US, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::pacing::{Event, Period, Terms};
    use crate::models::flow::pricing::Outcome;
    use crate::models::shield::money::Micros;

    fn strategy(cpm: i64) -> Strategy {
        Strategy::MaxCpm { cpm: Micros(cpm) }
    }

    fn learned() -> (Pacer, WinLearner) {
        let period = Period { from_us: 0, to_us: 86_400_000_000, budget: Micros(1_000_000) };
        let terms = Terms { value_prior: Some(1_000.0), ..Terms::default() };
        let mut pacer = Pacer::new(terms, period).expect("terms");
        let mut wins = WinLearner::default();
        for n in 0..2_000_i64 {
            let at_us = n * 1_000_000;
            let (bid, won) = (100.0 + (n % 300) as f64, n % 3 == 0);
            pacer.on(Event::Seen { at_us, auctions: 1, valued: 1, value: 900.0, left_out: 0 });
            let (id, hold) = (n as u64, Micros(400));
            pacer.on(Event::Bid { at_us, id, hold, value: 900.0, worth: bid, bid });
            pacer.on(match won {
                true => Event::Won { at_us, id, price: Micros(90) },
                false => Event::Lost { at_us, id },
            });
            wins.observe(&Outcome { bid, value: 900.0, won, price: None });
        }
        (pacer, wins)
    }

    #[test]
    fn what_was_learned_goes_on_and_a_pacer_of_another_strategy_does_not() {
        let (mut pacer, wins) = learned();
        let now_us = 2_000_000_000;
        pacer.on(Event::Bid {
            at_us: now_us,
            id: 1 << 40,
            hold: Micros(400),
            value: 900.0,
            worth: 300.0,
            bid: 300.0,
        });
        let text = Kept::text(&strategy(5), Some(&pacer), &wins, now_us).expect("a text");
        assert!(text.len() < BYTES_MAX, "{}", text.len());
        let (back, curve) = Kept::read(&text, &strategy(5), None, now_us).expect("reads");
        let back = back.expect("a pacer");
        let mut alike = pacer.clone();
        alike.resume(now_us);
        let (a, b) = (back.multipliers().per_value(), alike.multipliers().per_value());
        assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
        assert_eq!((back.view().open_bids, back.view().spent), (0, pacer.view().spent));
        assert_eq!(curve.seen(), 2_000);
        let win = |of: &WinLearner| of.curve().win(250.0, 900.0).expect("a curve");
        assert!((win(&curve) - win(&wins)).abs() < 0.1);
        let (none, curve) = Kept::read(&text, &strategy(6), None, now_us).expect("reads");
        assert!(none.is_none() && curve.seen() == 2_000);
        for broken in ["", "{}", &text.replacen("\"mu\":", "\"mu\":-", 1)] {
            assert!(Kept::read(broken, &strategy(5), None, now_us).is_err());
        }
    }

    #[test]
    fn bidders_write_one_after_the_other() {
        let gate = Gate::default();
        let opened = (0..1_000_000).step_by(1_000).filter(|now_us| gate.opens(*now_us)).count();
        assert_eq!(opened, 10);
    }
}
