//! Money that is held for bids of which nobody has heard yet: whatever ends the request before it is
//! answered (its time, its caller who hangs up, another request of its batch), it is given back.

use std::sync::Arc;

use smallvec::SmallVec;

use super::elsewhere::Elsewhere;
use super::market::Market;
use super::office::Office;
use super::sights::Seeing;
use super::write::Won;
use crate::actors::flow::bidder::Seat;
use crate::clock;
use crate::models::flow::auction::explain::Explanation;
use crate::models::flow::frequency::PersonKey;
use crate::models::flow::opportunity::Auction;
use crate::models::flow::reason::Reason;
use crate::models::flow::targeting::compile::Entry;
use crate::models::flow::targeting::scratch::Refused;
use crate::models::shield::entry::Op;
use crate::models::shield::money::Currency;

/// A hold that was asked for. Dropped before there is an answer, it is given back: it may be granted.
pub(super) struct Asked<'a> {
    office: &'a Office,
    seat: &'a Arc<Seat>,
    hold: Option<Op>,
}

impl<'a> Asked<'a> {
    pub fn new(office: &'a Office, seat: &'a Arc<Seat>, hold: Op) -> Asked<'a> {
        Asked { office, seat, hold: Some(hold) }
    }

    pub fn answered(mut self) {
        self.hold = None;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(hold) = self.hold {
            self.office.release(self.seat, hold);
        }
    }
}

/// A request with its authorised bids. Dropped before [`Ready::go`], nothing of them is left.
pub(super) struct Ready<'a> {
    office: &'a Office,
    pub auction: Auction<'a>,
    pub market: Arc<Market>,
    pub seeing: Seeing<'a>,
    began_us: i64,
    pub won: SmallVec<[Won; 4]>,
    /// What its pairs were refused for, until that is counted.
    pub refused: Option<Refused>,
    /// Whether it is kept why campaigns do not win it; of pairs that were drawn, why they do not.
    pub sampled: bool,
    pub drawn: Vec<Explanation>,
    /// What the scores of its bids are in.
    pub common: Option<Currency>,
    /// Bids of other nodes, where they were asked.
    pub elsewhere: Option<Elsewhere<'a>>,
    /// The answer.
    pub bytes: Vec<u8>,
    /// Why nobody hears of its bids, where that is so.
    pub why: Reason,
}

impl<'a> Ready<'a> {
    pub fn new(
        office: &'a Office,
        auction: Auction<'a>,
        market: Arc<Market>,
        seeing: Seeing<'a>,
        began_us: i64,
    ) -> Ready<'a> {
        let (won, bytes) = (SmallVec::new(), Vec::new());
        // Its time is over, or its caller has hung up.
        let why = Reason::Deadline;
        let (common, elsewhere) = (None, None);
        let (refused, sampled, drawn) = (None, false, Vec::new());
        Ready {
            office,
            auction,
            market,
            seeing,
            began_us,
            won,
            refused,
            sampled,
            drawn,
            common,
            elsewhere,
            bytes,
            why,
        }
    }

    /// Whether there is anything to tell.
    pub fn bids(&self) -> bool {
        !self.won.is_empty() || self.elsewhere.as_ref().is_some_and(|it| !it.bids().is_empty())
    }

    /// Bids of its own that are not made after all: `why` says so of each by its place. They are given back. Whoever
    /// calls counts them.
    pub fn part(&mut self, why: impl Fn(usize, &Won) -> Option<Reason>) -> Refused {
        let mut refused = Refused::default();
        for (at, won) in std::mem::take(&mut self.won).into_iter().enumerate() {
            match why(at, &won) {
                None => self.won.push(won),
                Some(reason) => {
                    refused.add(reason, 1);
                    self.give_back(&won, reason);
                }
            }
        }
        refused
    }

    fn give_back(&self, won: &Won, why: Reason) {
        let (Some(hold), Some(seat)) = (won.hold, self.market.seat(won.bid.at)) else { return };
        self.office.release(seat, hold);
        seat.kept(why);
        if self.sampled {
            let seen = (&self.seeing, self.began_us);
            self.office.keep_lost((&self.auction, &self.market), (won, why), seen);
        }
        let entry = self.market.index().entry(won.bid.at);
        let capped = entry.is_some_and(|entry| !entry.caps.is_empty());
        self.office.uncount(self.seeing.key.filter(|_| capped), seat, hold);
    }

    /// The answer leaves: from here on notices tell what becomes of its bids.
    pub fn go(mut self) -> Vec<u8> {
        if let Some(elsewhere) = self.elsewhere.take() {
            elsewhere.go();
        }
        self.office.counts.bids(self.won.len());
        if !self.auction.test {
            let seen = (&self.seeing, self.began_us);
            self.office.remember(&self.auction, &self.market, &self.won, seen);
        }
        self.won.clear();
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.why = self.why;
        }
        let (why, early) = (self.why, self.refused.take());
        // Of what was told nothing is left here.
        if self.won.is_empty() && early.is_none() {
            return;
        }
        let mut refused = self.part(|_, _| Some(why));
        early.iter().for_each(|early| refused.merge(early));
        if !self.auction.test {
            self.office.counts.refused(&refused);
        }
    }
}

/// A bid that its person's caps count although nobody has heard of it. Dropped before it is kept, they do not
/// any more, and what was held for it is given back.
pub(super) struct Counted<'a> {
    office: &'a Office,
    seat: &'a Arc<Seat>,
    hold: Op,
    /// Where there are caps, and it is known who it is.
    person: Option<PersonKey>,
    held: bool,
    /// Why it is not bid, should it end like this.
    why: Option<Reason>,
    /// Whoever asked for it counts it.
    counted: bool,
}

impl<'a> Counted<'a> {
    /// Looks and counts in one go. `times`: when it is bid, and until when it is promised.
    pub fn new(
        office: &'a Office,
        (seat, entry): (&'a Arc<Seat>, &Entry),
        person: Option<PersonKey>,
        hold: Op,
        (at_us, until_us): (i64, i64),
    ) -> Result<Counted<'a>, Reason> {
        let person = person.filter(|_| !entry.caps.is_empty());
        if let Some(person) = person
            && let Some(mut table) = office.people.table(person)
        {
            if table.room(person, seat.key, &entry.caps, at_us) == 0 {
                return Err(Reason::Frequency);
            }
            table.bid(person, seat.key, &entry.caps, hold.0, at_us, until_us);
        }
        let (held, why) = (false, Some(Reason::Deadline));
        Ok(Counted { office, seat, hold, person, held, why, counted: false })
    }

    /// It is not bid, for this reason.
    pub fn refused(mut self, why: Reason) -> Reason {
        (self.why, self.counted) = (Some(why), true);
        why
    }

    pub fn hold(&self) -> Op {
        self.hold
    }

    /// There is money for it.
    pub fn held(mut self) -> Counted<'a> {
        self.held = true;
        self
    }

    /// Somebody else sees to it from here on.
    pub fn kept(mut self) -> Op {
        (self.person, self.held, self.why) = (None, false, None);
        self.hold
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if self.held {
            self.office.release(self.seat, self.hold);
        }
        if let Some(why) = self.why {
            self.seat.kept(why);
            // Whoever asked for it is gone.
            if !self.counted {
                let mut refused = Refused::default();
                refused.add(why, 1);
                self.office.counts.refused(&refused);
            }
        }
        self.office.uncount(self.person, self.seat, self.hold);
    }
}

impl Office {
    /// A person's caps count a bid no more, of which nobody will hear.
    pub(super) fn uncount(&self, person: Option<PersonKey>, seat: &Seat, hold: Op) {
        if let Some(person) = person
            && let Some(mut table) = self.people.table(person)
        {
            table.lost(person, seat.key, hold.0, clock::wall_us());
        }
    }
}
