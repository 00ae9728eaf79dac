//! What a pacer is told.

use kiki_models::shield::money::Micros;

use super::terms::Period;

/// Something that happened, to one campaign. Times are microseconds of one clock that need not be steady:
/// what comes late or out of order is taken in as of the latest time that was seen. [`Event::Seen`] and
/// [`Event::Tick`] tell of time itself: one that is a minute before that time or more sets it back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Auctions that the campaign could have bid in.
    Seen {
        at_us: i64,
        auctions: u64,
        /// Those of them that had a value above 0.
        valued: u64,
        /// The sum of the values.
        value: f64,
        /// Those that it kept out of though it would have bid: by `pass`, or for want of funds.
        left_out: u64,
    },
    /// Auctions in which what would have been bid was below the floor: lost, as it were, at the multipliers of
    /// this moment. They are told by [`Event::Seen`] as well.
    Below {
        at_us: i64,
        auctions: u64,
    },
    /// A bid was made. Its auction is told by [`Event::Seen`] as well.
    Bid {
        at_us: i64,
        /// Of the hold; unique among the campaign's.
        id: u64,
        /// The most that it may cost.
        hold: Micros,
        value: f64,
        /// [`crate::pricing::Priced::worth`].
        worth: f64,
        /// What was bid, in micros.
        bid: f64,
    },
    /// It won, at this price. Counts once for an id, also after a loss or an expiry, or of an unknown bid.
    Won {
        at_us: i64,
        id: u64,
        price: Micros,
    },
    Lost {
        at_us: i64,
        id: u64,
    },
    /// There was no notice in time.
    Expired {
        at_us: i64,
        id: u64,
    },
    /// The budget of the period is now this much (a top-up, a cut) and, where the ledger says so, this much
    /// of it is spent. Bids that are open are not in `spent`.
    Budget {
        at_us: i64,
        budget: Micros,
        spent: Option<Micros>,
    },
    /// A new period begins, a day for one: nothing of its budget is spent. What was learned stays; wins of
    /// bids that were made before it count where they are told. One that comes a day before the latest time
    /// that was seen sets the time back.
    Period {
        at_us: i64,
        period: Period,
    },
    /// Time went by.
    Tick {
        at_us: i64,
    },
}

impl Event {
    pub fn at_us(&self) -> i64 {
        match *self {
            Event::Seen { at_us, .. }
            | Event::Below { at_us, .. }
            | Event::Bid { at_us, .. }
            | Event::Won { at_us, .. }
            | Event::Lost { at_us, .. }
            | Event::Expired { at_us, .. }
            | Event::Budget { at_us, .. }
            | Event::Period { at_us, .. }
            | Event::Tick { at_us } => at_us,
        }
    }
}
