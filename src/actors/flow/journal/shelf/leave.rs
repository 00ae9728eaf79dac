//! Bids that leave the shelf because another node hears of them from now on: what is kept of them here would be
//! older one day than what is stored.

use std::collections::HashSet;

use super::Shelf;
use crate::actors::kernel::Reply;
use crate::models::flow::decision::Decision;

impl Shelf {
    /// Bids that are here, of those that are meant.
    pub fn of(&self, mut whose: impl FnMut(&Decision) -> bool) -> HashSet<u128> {
        let meant = self.bids.iter().filter(|(_, held)| whose(&held.decision));
        meant.map(|(hold, _)| *hold).collect()
    }

    /// Whether a bid is to be written, or is being.
    pub fn waits(&self, hold: u128) -> bool {
        self.bids.get(&hold).is_some_and(|held| held.dirty || held.flying)
    }

    /// What is stored as it is here goes.
    pub fn let_go(&mut self, hold: u128) {
        if !self.waits(hold) {
            self.bids.remove(&hold);
        }
    }

    /// Takes out those of these bids that are to be written and are not being. Nobody who waits for one is told
    /// that it is done. None of them is fresh.
    pub fn take_out(&mut self, holds: &HashSet<u128>) -> Vec<(u128, Decision, Vec<Reply<bool>>)> {
        let mut out = Vec::new();
        let Shelf { bids, dirty, .. } = self;
        dirty.retain(|hold| {
            let goes = holds.contains(hold) && bids.get(hold).is_some_and(|held| !held.flying);
            if goes && let Some(held) = bids.remove(hold) {
                out.push((*hold, held.decision, held.replies));
            }
            !goes
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::decision::{Kind, Outcome};
    use crate::models::shield::money::Micros;

    fn bid(campaign: &str) -> Decision {
        let campaign = Some(campaign.to_owned());
        Decision { campaign, ..Decision::new(Kind::Bid, "a", 0) }
    }

    #[test]
    fn bids_that_are_written_go_and_those_that_wait_are_taken_out() {
        let mut shelf = Shelf::new(100);
        shelf.bid(1, bid("c"));
        let batch = shelf.take(10);
        shelf.wrote(batch, true);
        shelf.bid(2, bid("c"));
        let batch = shelf.take(10);
        shelf.bid(3, bid("c"));
        shelf.bid(4, bid("d"));
        let whose = |it: &Decision| it.campaign.as_deref() == Some("c");
        let holds = shelf.of(whose);
        assert_eq!(holds, HashSet::from([1, 2, 3]));
        holds.iter().for_each(|hold| shelf.let_go(*hold));
        assert_eq!((shelf.has(1), shelf.waits(2), shelf.waits(3)), (false, true, true));
        // Something becomes of one that is being written.
        let won = Outcome::Won { amount: Micros(1), at_us: 1 };
        shelf.outcome(2, won, Some(Reply::detached()));
        let out: Vec<u128> = shelf.take_out(&holds).into_iter().map(|(hold, ..)| hold).collect();
        assert_eq!(out, [3]);
        shelf.wrote(batch, true);
        assert_eq!(shelf.take_out(&holds).len(), 1);
        assert_eq!((shelf.bids(), shelf.ripe(), shelf.of(whose).len()), (1, 1, 0));
    }
}
