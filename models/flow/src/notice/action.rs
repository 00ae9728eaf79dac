//! What to do about a notice: one table, by what it tells, where the hold stands, and when it comes.
//!
//! | hold stands | win | billing | loss |
//! |---|---|---|---|
//! | open, before its end | remember the win | settle | release |
//! | open, at its end or after | book late | book late | release |
//! | unknown, before its end | restore it as won | book late | nothing |
//! | unknown, at its end or after | book late | book late | nothing |
//! | won | nothing (`repeated`, `price_differs`) | settle | nothing (`contradicted`) |
//! | settled | nothing | nothing (`repeated`, `price_differs`) | nothing (`contradicted`) |
//! | released | book late (`contradicted`) | book late (`contradicted`) | nothing (`repeated`) |
//! | expired | book late | book late | nothing |
//!
//! A win whose hold has ended is booked like one whose notice came in time: a won hold books its price at
//! its end. A loss never takes a win back: whoever has one address has both, and money that may be owed is
//! not given out again. A win takes a loss back, at once: the hold's money may be given out again already, and
//! exchanges that bill by the win say nothing more. What comes later than [`Patience::book_us`] after the hold's end is not booked but
//! kept for review: by then the exchange's billing report has the last word.

use kiki_models::shield::money::Micros;

use super::Kind;

/// What is known of the hold that a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its memory was lost, or never was here.
    Unknown,
    Open,
    /// A win notice was acknowledged, at this price (CPM).
    Won(Micros),
    /// Booked, at this price (CPM), on time or late.
    Settled(Micros),
    /// Given back after a loss notice.
    Released,
    /// Given back at its end: nobody had said anything.
    Expired,
}

impl Stage {
    /// Whether somebody has said that it was bought: then its person's caps have counted it.
    pub fn is_bought(self) -> bool {
        matches!(self, Stage::Won(_) | Stage::Settled(_))
    }

    /// Whether what is owed still decides, as it was told before memory was lost: a win that comes again is not
    /// the first one, and a notice without a price costs what the one before it said. A billing that tells a
    /// price is booked at it in either case.
    pub fn defers(self, kind: Kind, silent: bool) -> bool {
        self == Stage::Unknown && (kind == Kind::Win || (kind == Kind::Billing && silent))
    }
}

/// What is to be done. Prices are CPM, as [`super::price::settle`] has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The hold is won at this price: at its end it books it.
    Remember(Micros),
    /// The hold was lost from memory: it is held anew, as won, from what the address says.
    Restore(Micros),
    /// The price is booked within the hold.
    Settle(Micros),
    /// The price is booked as a fact: the hold is over.
    BookLate(Micros),
    /// The hold is given back.
    Release,
    Nothing,
    /// Recorded, and left to people and the billing report.
    Review,
}

/// What is odd about a notice: a closed set, counted by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Oddity {
    /// It came before.
    Repeated,
    /// It came before with another price: the first one counts; or the price is not the win's.
    PriceDiffers,
    /// It is against one that came before: lost and won, lost and billed.
    Contradicted,
    /// It came after the hold's end.
    Late,
    /// It came too late to be booked.
    Stale,
}

impl Oddity {
    pub fn name(self) -> &'static str {
        match self {
            Oddity::Repeated => "repeated",
            Oddity::PriceDiffers => "price_differs",
            Oddity::Contradicted => "contradicted",
            Oddity::Late => "late",
            Oddity::Stale => "stale",
        }
    }
}

/// How long after a hold's end its notices count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Microseconds after the hold's end in which a win or a billing is booked.
    pub book_us: i64,
}

impl Default for Patience {
    fn default() -> Self {
        // A day: exchanges that queue their notices catch up within hours, and bill by the day.
        Patience { book_us: 86_400_000_000 }
    }
}

/// What a notice asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub kind: Kind,
    /// CPM, after [`super::price::settle`]; of a loss, nothing.
    pub cpm: Micros,
    /// The hold's end and now, both wall-clock microseconds.
    pub expires_us: i64,
    pub now_us: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub action: Action,
    pub oddity: Option<Oddity>,
}

/// The table.
pub fn decide(heard: &Heard, stage: Stage, patience: &Patience) -> Decision {
    use Action::{BookLate, Nothing, Release, Remember, Restore, Review, Settle};
    let is = |action, oddity| Decision { action, oddity };
    let cpm = heard.cpm;
    let late = heard.now_us >= heard.expires_us;
    let stale = heard.now_us >= heard.expires_us.saturating_add(patience.book_us);
    let differs =
        |known: Micros| Some(if known == cpm { Oddity::Repeated } else { Oddity::PriceDiffers });
    let decision = match (heard.kind, stage) {
        (Kind::Win, Stage::Open) if !late => is(Remember(cpm), None),
        (Kind::Win, Stage::Unknown) if !late => is(Restore(cpm), None),
        (Kind::Win, Stage::Open | Stage::Unknown | Stage::Expired) => {
            is(BookLate(cpm), Some(Oddity::Late))
        }
        (Kind::Win, Stage::Won(known)) => is(Nothing, differs(known)),
        // Of a hold that was billed it says nothing new, nor has the same price to be on it.
        (Kind::Win, Stage::Settled(_)) => is(Nothing, None),
        (Kind::Win, Stage::Released) => is(BookLate(cpm), Some(Oddity::Contradicted)),

        (Kind::Billing, Stage::Open) if !late => is(Settle(cpm), None),
        // It waits for its notice as long as nobody has booked it, at its end or after.
        (Kind::Billing, Stage::Won(known)) => {
            is(Settle(cpm), (known != cpm).then_some(Oddity::PriceDiffers))
        }
        (Kind::Billing, Stage::Unknown) if !late => is(BookLate(cpm), None),
        (Kind::Billing, Stage::Open | Stage::Unknown | Stage::Expired) => {
            is(BookLate(cpm), Some(Oddity::Late))
        }
        (Kind::Billing, Stage::Settled(known)) => is(Nothing, differs(known)),
        (Kind::Billing, Stage::Released) => is(BookLate(cpm), Some(Oddity::Contradicted)),

        (Kind::Loss, Stage::Open) => is(Release, None),
        (Kind::Loss, Stage::Unknown | Stage::Expired) => is(Nothing, None),
        (Kind::Loss, Stage::Won(_) | Stage::Settled(_)) => is(Nothing, Some(Oddity::Contradicted)),
        (Kind::Loss, Stage::Released) => is(Nothing, Some(Oddity::Repeated)),
    };
    match decision.action {
        BookLate(_) if stale => is(Review, Some(Oddity::Stale)),
        _ => decision,
    }
}
