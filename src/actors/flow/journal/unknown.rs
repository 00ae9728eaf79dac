//! What became of bids that are not in memory.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::told::Told;
use crate::actors::flow::prehashed::Prehashed;
use crate::actors::kernel::Reply;

/// Who may wait for one of them: an address that is called again and again has no more than these.
const REPLIES_MAX: usize = 8;

/// Those whose bid is neither here nor in the file: they wait until the store has been asked.
#[derive(Default)]
pub struct Unknown {
    /// Each once, in the order in which they were told of first.
    holds: VecDeque<u128>,
    /// What stands of all that was told of them, and who waits for it.
    told: HashMap<u128, (Told, Vec<Reply<bool>>), Prehashed>,
}

impl Unknown {
    pub fn len(&self) -> usize {
        self.holds.len()
    }

    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    pub fn has(&self, hold: u128) -> bool {
        self.told.contains_key(&hold)
    }

    /// Bids that are looked for, of those that are meant.
    pub fn of(&self, mut whose: impl FnMut(&Told) -> bool) -> Vec<u128> {
        let meant = self.told.iter().filter(|(_, (told, _))| whose(told));
        meant.map(|(hold, _)| *hold).collect()
    }

    /// However often something is told of a bid, it takes the room of one.
    pub fn push(&mut self, told: Told, reply: Option<Reply<bool>>) {
        let (known, replies) = match self.told.entry(told.hold) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                self.holds.push_back(told.hold);
                free.insert((told, reply.into_iter().collect()));
                return;
            }
        };
        if known.outcome.gives_way_to(&told.outcome) {
            known.outcome = told.outcome;
        }
        // By either of them its record can be made anew.
        known.digest = known.digest.take().or(told.digest);
        match reply {
            Some(reply) if replies.len() < REPLIES_MAX => replies.push(reply),
            // Whoever asks puts it aside, and does so again.
            Some(reply) => reply.send(false),
            None => {}
        }
    }

    pub fn first(&self, most: usize) -> Vec<(String, String)> {
        let name = |hold: &u128| {
            let (told, _) = self.told.get(hold)?;
            Some((told.account.clone(), format!("{hold:032x}")))
        };
        self.holds.iter().take(most).filter_map(name).collect()
    }

    pub fn take(&mut self, many: usize) -> Vec<(Told, Vec<Reply<bool>>)> {
        let holds = self.holds.drain(..many.min(self.holds.len()));
        holds.filter_map(|hold| self.told.remove(&hold)).collect()
    }

    /// The store does not answer: whoever waits puts it aside, and asks again.
    pub fn refuse(&mut self) {
        for (_, replies) in self.told.values_mut() {
            replies.drain(..).for_each(|reply| reply.send(false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::decision::Outcome;
    use crate::models::shield::money::Micros;

    const WON: Outcome = Outcome::Won { amount: Micros(1), at_us: 1 };
    const BILLED: Outcome = Outcome::Billed { amount: Micros(1), at_us: 2, late: false };

    fn told(hold: u128, outcome: Outcome) -> Told {
        Told { account: "a".into(), campaign: "c".into(), hold, at_us: 0, outcome, digest: None }
    }

    #[test]
    fn what_is_told_of_a_bid_again_and_again_takes_the_room_of_one() {
        let mut unknown = Unknown::default();
        for _ in 0..1_000 {
            unknown.push(told(1, WON), Some(Reply::detached()));
        }
        assert_eq!(unknown.len(), 1);
        let taken = unknown.take(usize::MAX);
        let replies: Vec<usize> = taken.iter().map(|(_, replies)| replies.len()).collect();
        assert_eq!(replies, [REPLIES_MAX]);
        assert!(unknown.is_empty() && !unknown.has(1) && unknown.told.is_empty());
    }

    #[test]
    fn what_comes_later_in_a_bids_life_stands_and_bids_keep_their_order() {
        let mut unknown = Unknown::default();
        let lost = Outcome::Lost { code: None, at_us: 3 };
        unknown.push(told(2, lost), None);
        for (hold, outcome) in [(3, BILLED), (1, WON), (2, WON), (3, WON), (1, lost), (2, BILLED)] {
            unknown.push(told(hold, outcome), Some(Reply::detached()));
        }
        let name = |hold: u128| ("a".to_owned(), format!("{hold:032x}"));
        assert_eq!(unknown.first(2), [name(2), name(3)]);
        // Whoever waits is answered, and what was told is still looked for.
        unknown.refuse();
        unknown.push(told(1, WON), Some(Reply::detached()));
        let stands = |taken: Vec<(Told, Vec<Reply<bool>>)>| -> Vec<(u128, &'static str, usize)> {
            taken.iter().map(|(it, all)| (it.hold, it.outcome.name(), all.len())).collect()
        };
        assert_eq!(stands(unknown.take(2)), [(2, "billed", 0), (3, "billed", 0)]);
        assert_eq!(stands(unknown.take(2)), [(1, "won", 1)]);
        assert!(unknown.is_empty());
    }
}
