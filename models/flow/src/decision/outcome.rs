//! What becomes of a bid: bid → won → billed, or lost, or expired.
//!
//! Notices come late, twice, in any order or never. Whatever comes: at most one amount is booked for a bid,
//! and one is if it was billed, or won and not billed by the time its hold is over (rule 6 of the house:
//! a hold with a win notice never expires to free).
//!
//! | | win | billing | loss | expiry |
//! |---|---|---|---|---|
//! | bid | won | billed, settle | lost, release | expired, release |
//! | won | again | billed, settle | contradicts | billed, settle the win's price |
//! | billed | again | again | contradicts | nothing |
//! | lost | billed, settle late | billed, settle late | again | nothing |
//! | expired | billed, settle late | billed, settle late | again | nothing |
//!
//! A win after the hold is over books at once: nothing would wake it again.

use serde::{Deserialize, Serialize};

use kiki_models::shield::money::Micros;

use crate::auction::bid::reserve;
use crate::auction::rates::{Cross, Round};

use super::record::Kind;

/// Amounts are of one impression, in the campaign's currency; times wall-clock micros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// There is nothing to wait for: no bid, or a change.
    None,
    Bid,
    Won {
        amount: Micros,
        at_us: i64,
    },
    Billed {
        amount: Micros,
        at_us: i64,
        /// The hold was over.
        late: bool,
    },
    Lost {
        /// OpenRTB list "Loss Reason Codes".
        code: Option<u16>,
        at_us: i64,
    },
    Expired {
        at_us: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `price`: that of the win, for one impression in the campaign's currency; `None`: not told, and then
    /// the most that was authorised.
    Win {
        price: Option<Micros>,
    },
    Billing {
        price: Option<Micros>,
    },
    Loss {
        code: Option<u16>,
    },
    /// The hold's time is over.
    Expiry,
}

/// What is to be done with the hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Settle { amount: Micros, late: bool },
    Release,
}

/// How an event was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Taken {
    Applied,
    /// It said what was known.
    Duplicate,
    /// It changed something that was already over.
    Late,
    /// It said the opposite of what is known, and changed nothing.
    Contradiction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub outcome: Outcome,
    pub effect: Effect,
    pub taken: Taken,
    /// The price was beyond what was authorised, and only that is booked.
    pub beyond: bool,
}

/// What one impression costs in the campaign's currency, of a price for a thousand in the bid's, at the rates
/// that it was bid at. Never more than was reserved for a bid of that price.
pub fn cost(price: Micros, cross: Cross) -> Micros {
    reserve(cross.back().convert(price, Round::Up))
}

impl Outcome {
    pub fn default_of(kind: Kind) -> Outcome {
        match kind {
            Kind::Bid => Outcome::Bid,
            Kind::NoBid | Kind::Change => Outcome::None,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Outcome::None => "none",
            Outcome::Bid => "bid",
            Outcome::Won { .. } => "won",
            Outcome::Billed { .. } => "billed",
            Outcome::Lost { .. } => "lost",
            Outcome::Expired { .. } => "expired",
        }
    }

    /// Whether nothing more is to come.
    pub fn is_over(&self) -> bool {
        !matches!(self, Outcome::Bid | Outcome::Won { .. })
    }

    /// Whether a record that says this is to say the other from now on. Tidings come twice and late: what
    /// was billed stays billed, what was won is billed or stays won, and what ended without a booking is
    /// booked all the same.
    pub fn gives_way_to(&self, next: &Outcome) -> bool {
        match (self, next) {
            (Outcome::None | Outcome::Billed { .. }, _) | (_, Outcome::None | Outcome::Bid) => {
                false
            }
            (Outcome::Bid, _) => true,
            (Outcome::Won { .. }, next) => matches!(next, Outcome::Billed { .. }),
            (Outcome::Lost { .. } | Outcome::Expired { .. }, next) => {
                matches!(next, Outcome::Won { .. } | Outcome::Billed { .. })
            }
        }
    }

    /// What an event makes of it. `most`: what was authorised.
    pub fn step(self, event: Event, most: Micros, now_us: i64) -> Step {
        let within = |price: Option<Micros>| {
            let price = price.unwrap_or(most).max(Micros::ZERO);
            (price.min(most), price > most)
        };
        let keep = |taken| Step { outcome: self, effect: Effect::Nothing, taken, beyond: false };
        let book = |price, late, taken| {
            let (amount, beyond) = within(price);
            let outcome = Outcome::Billed { amount, at_us: now_us, late };
            Step { outcome, effect: Effect::Settle { amount, late }, taken, beyond }
        };
        match (self, event) {
            (Outcome::None, _) => keep(Taken::Contradiction),
            (Outcome::Bid, Event::Win { price }) => {
                let (amount, beyond) = within(price);
                let outcome = Outcome::Won { amount, at_us: now_us };
                Step { outcome, beyond, ..keep(Taken::Applied) }
            }
            (Outcome::Bid, Event::Billing { price }) => book(price, false, Taken::Applied),
            (Outcome::Bid, Event::Loss { code }) => Step {
                outcome: Outcome::Lost { code, at_us: now_us },
                effect: Effect::Release,
                ..keep(Taken::Applied)
            },
            (Outcome::Bid, Event::Expiry) => Step {
                outcome: Outcome::Expired { at_us: now_us },
                effect: Effect::Release,
                ..keep(Taken::Applied)
            },
            (Outcome::Won { amount, .. }, Event::Billing { price }) => {
                book(price.or(Some(amount)), false, Taken::Applied)
            }
            (Outcome::Won { amount, .. }, Event::Expiry) => {
                book(Some(amount), false, Taken::Applied)
            }
            (Outcome::Won { .. } | Outcome::Billed { .. }, Event::Win { .. })
            | (Outcome::Billed { .. }, Event::Billing { .. } | Event::Expiry)
            | (
                Outcome::Lost { .. } | Outcome::Expired { .. },
                Event::Loss { .. } | Event::Expiry,
            ) => keep(Taken::Duplicate),
            (Outcome::Won { .. } | Outcome::Billed { .. }, Event::Loss { .. }) => {
                keep(Taken::Contradiction)
            }
            (
                Outcome::Lost { .. } | Outcome::Expired { .. },
                Event::Win { price } | Event::Billing { price },
            ) => book(price, true, Taken::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_never_unsays_a_booking_and_a_booking_is_always_said() {
        let amount = Micros(1);
        let all = [
            Outcome::Bid,
            Outcome::Lost { code: None, at_us: 1 },
            Outcome::Expired { at_us: 1 },
            Outcome::Won { amount, at_us: 1 },
            Outcome::Billed { amount, at_us: 1, late: false },
        ];
        for (i, from) in all.iter().enumerate() {
            assert!(!from.gives_way_to(from), "{from:?}");
            let billed = all.last().expect("some");
            assert_eq!(from.gives_way_to(billed), from != billed, "{from:?}");
            for to in all.iter().take(i) {
                // What is later in the list is never followed by what is earlier.
                assert!(!from.gives_way_to(to), "{from:?} {to:?}");
            }
            assert!(!Outcome::None.gives_way_to(from));
        }
    }
}
