//! The decisions that are in memory: those that wait to be written, and bids whose end is not known.
//!
//! A bid is written when it is over or two seconds old, whichever is first: of most, something becomes within
//! that time, and one write is half of two. Where somebody waits for its record it is written at once. What
//! comes later is written again: until then the bid stays here as long as there is room, so that it need not
//! be read again.

mod leave;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::actors::flow::prehashed::Prehashed;
use crate::actors::kernel::Reply;
use crate::models::flow::decision::line::Line;
use crate::models::flow::decision::{Decision, Outcome};

/// Of the room for what waits, as many written bids are kept in memory as this part of it.
const RESTING_PART: usize = 4;
/// How long it is remembered who was erased (microseconds): a bid that was begun before is told by then.
const FORGOTTEN_US: i64 = 60_000_000;

struct Held {
    decision: Decision,
    /// Whom it is for, until that is written.
    person: Option<Arc<str>>,
    /// It is to be written: not as it is stored.
    dirty: bool,
    /// It is to be written, and not yet: what becomes of it soon is written with it.
    fresh: bool,
    /// It is being written.
    flying: bool,
    /// Counts its changes.
    revision: u32,
    /// Who waits until it is written.
    replies: Vec<Reply<bool>>,
}

impl Held {
    fn new(decision: Decision, dirty: bool) -> Held {
        Held {
            decision,
            person: None,
            dirty,
            fresh: false,
            flying: false,
            revision: 0,
            replies: Vec::new(),
        }
    }
}

/// What is written together.
#[derive(Default)]
pub struct Batch {
    /// By their ids. Shared with the shelf, for the case that nobody hears how their writing ended.
    pub made: Arc<Vec<(u128, Decision)>>,
    /// Whom bids of it are for.
    pub reach: Vec<(u128, Arc<str>)>,
    /// Bids of it, as they were when they were taken.
    bids: Vec<(u128, u32)>,
    others: usize,
    replies: Vec<Reply<bool>>,
}

pub struct Shelf {
    most: usize,
    bids: HashMap<u128, Held, Prehashed>,
    /// Bids that are to be written, the oldest first.
    dirty: VecDeque<u128>,
    /// Bids that were just made, each with when it is to be written at the latest. Some are no longer fresh.
    fresh: VecDeque<(i64, u128)>,
    /// Those that are.
    fresh_len: usize,
    /// Refusals and changes: nothing becomes of them.
    others: VecDeque<(u128, Decision)>,
    /// Bids that are written, and were so longest.
    resting: VecDeque<u128>,
    /// The batch that is being written.
    writing: Arc<Vec<(u128, Decision)>>,
    /// Who was erased lately, and when (monotonic): the newest last.
    forgotten: VecDeque<(Arc<str>, i64)>,
}

impl Shelf {
    /// `most`: decisions that wait to be written.
    pub fn new(most: usize) -> Shelf {
        Shelf {
            most,
            bids: HashMap::default(),
            dirty: VecDeque::new(),
            fresh: VecDeque::new(),
            fresh_len: 0,
            others: VecDeque::new(),
            resting: VecDeque::new(),
            writing: Arc::default(),
            forgotten: VecDeque::new(),
        }
    }

    /// Somebody is erased: what is not written yet is written as nobody's.
    pub fn forget(&mut self, person: &Arc<str>, now_us: i64) {
        while self.forgotten.front().is_some_and(|(_, at_us)| now_us - at_us > FORGOTTEN_US) {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back((Arc::clone(person), now_us));
        for held in self.bids.values_mut() {
            held.person.take_if(|of| of == person);
        }
    }

    fn unless_forgotten(&self, person: Option<Arc<str>>) -> Option<Arc<str>> {
        person.filter(|person| self.forgotten.iter().all(|(of, _)| of != person))
    }

    pub fn waiting(&self) -> usize {
        self.ripe() + self.fresh_len + self.writing.len()
    }

    /// Those that are to be written now.
    pub fn ripe(&self) -> usize {
        self.dirty.len() + self.others.len()
    }

    /// So many wait that nothing is gained by waiting longer.
    pub fn is_crowded(&self) -> bool {
        self.waiting() >= self.most / 2
    }

    /// Bids that were to be written by then are to be written now.
    pub fn ripen(&mut self, until_us: i64) {
        while let Some(&(due_us, hold)) = self.fresh.front()
            && due_us <= until_us
        {
            self.fresh.pop_front();
            self.hasten(hold);
        }
    }

    fn hasten(&mut self, hold: u128) {
        if let Some(held) = self.bids.get_mut(&hold).filter(|held| held.fresh) {
            held.fresh = false;
            self.fresh_len -= 1;
            self.dirty.push_back(hold);
        }
    }

    /// Bids in memory.
    pub fn bids(&self) -> usize {
        self.bids.len()
    }

    pub fn has_room(&self) -> bool {
        self.waiting() < self.most
    }

    pub fn has(&self, hold: u128) -> bool {
        self.bids.contains_key(&hold)
    }

    /// A bid that is to be written.
    pub fn bid(&mut self, hold: u128, decision: Decision) {
        self.hasten(hold);
        let held = Held::new(decision, true);
        if self.bids.insert(hold, held).is_none_or(|before| !before.dirty) {
            self.dirty.push_back(hold);
        }
    }

    /// A bid that was just made, and is to be written at `due_us` at the latest.
    pub fn made(
        &mut self,
        hold: u128,
        (decision, person): (Decision, Option<Arc<str>>),
        due_us: i64,
    ) {
        if self.has(hold) {
            return self.bid(hold, decision);
        }
        let person = self.unless_forgotten(person);
        self.bids.insert(hold, Held { fresh: true, person, ..Held::new(decision, true) });
        self.fresh.push_back((due_us, hold));
        self.fresh_len += 1;
    }

    /// A refusal or a change.
    pub fn other(&mut self, id: u128, decision: Decision) {
        self.others.push_back((id, decision));
    }

    /// A bid as it is stored.
    pub fn stored(&mut self, hold: u128, decision: Decision) {
        let held = Held::new(decision, false);
        self.bids.entry(hold).or_insert(held);
        self.rest(hold);
    }

    /// What became of a bid that is here. Answered when the record that says so is stored.
    pub fn outcome(&mut self, hold: u128, outcome: Outcome, reply: Option<Reply<bool>>) {
        let Some(held) = self.bids.get_mut(&hold) else {
            // Whoever asks does so again.
            reply.into_iter().for_each(|reply| reply.send(false));
            return;
        };
        if held.decision.outcome.gives_way_to(&outcome) {
            held.decision.outcome = outcome;
            held.revision += 1;
            tracing::info!("{}", Line(&held.decision));
            if !held.dirty {
                held.dirty = true;
                self.dirty.push_back(hold);
            }
        }
        let hasty = held.fresh && (reply.is_some() || held.decision.outcome.is_over());
        match reply {
            Some(reply) if held.dirty => held.replies.push(reply),
            // It is on its way: whoever asks again finds it there.
            Some(reply) if held.flying => reply.send(false),
            Some(reply) => reply.send(true),
            None => {}
        }
        if hasty {
            self.hasten(hold);
        }
    }

    /// The next that is to be written, at most `most` decisions.
    pub fn take(&mut self, most: usize) -> Batch {
        let (mut batch, mut made) = (Batch::default(), Vec::new());
        while made.len() < most
            && let Some(hold) = self.dirty.pop_front()
        {
            let Some(held) = self.bids.get_mut(&hold) else { continue };
            made.push((hold, held.decision.clone()));
            batch.bids.push((hold, held.revision));
            batch.replies.append(&mut held.replies);
            batch.reach.extend(held.person.take().map(|person| (hold, person)));
            // What becomes of it meanwhile is of the next batch.
            (held.dirty, held.flying) = (false, true);
        }
        batch.others = self.others.len().min(most - made.len());
        made.extend(self.others.drain(..batch.others));
        batch.made = Arc::new(made);
        self.writing = Arc::clone(&batch.made);
        batch
    }

    /// How the writing of a batch ended.
    pub fn wrote(&mut self, batch: Batch, good: bool) {
        self.writing = Arc::default();
        let Batch { made, reach, bids, others, replies } = batch;
        replies.into_iter().for_each(|reply| reply.send(good));
        if !good {
            let others = Arc::unwrap_or_clone(made).into_iter().skip(bids.len());
            others.rev().for_each(|other| self.others.push_front(other));
            for (hold, person) in reach {
                let person = self.unless_forgotten(Some(person));
                if let Some(held) = self.bids.get_mut(&hold) {
                    held.person = person;
                }
            }
            for (hold, _) in bids.into_iter().rev() {
                let Some(held) = self.bids.get_mut(&hold) else { continue };
                held.flying = false;
                if !held.dirty {
                    held.dirty = true;
                    self.dirty.push_front(hold);
                }
            }
            return;
        }
        debug_assert_eq!(made.len(), bids.len() + others);
        for (hold, revision) in bids {
            let Some(held) = self.bids.get_mut(&hold) else { continue };
            held.flying = false;
            match held.revision == revision && held.decision.outcome.is_over() {
                true => drop(self.bids.remove(&hold)),
                false => self.rest(hold),
            }
        }
    }

    /// It need not stay, and does while there is room.
    fn rest(&mut self, hold: u128) {
        self.resting.push_back(hold);
        while self.resting.len() > self.most.div_ceil(RESTING_PART)
            && let Some(oldest) = self.resting.pop_front()
        {
            if self.bids.get(&oldest).is_some_and(|held| !held.dirty && !held.flying) {
                self.bids.remove(&oldest);
            }
        }
    }

    /// All that waits leaves, the oldest first: for the file, when this life ends. So does what is being
    /// written: nobody will hear how that ends.
    pub fn leave(&mut self) -> Vec<(u128, Decision)> {
        self.ripen(i64::MAX);
        let mut left = Vec::with_capacity(self.waiting());
        for (id, decision) in &*std::mem::take(&mut self.writing) {
            // More may have become of it since.
            let held = self.bids.remove(id).map(|held| held.decision);
            left.push((*id, held.unwrap_or_else(|| decision.clone())));
        }
        for hold in std::mem::take(&mut self.dirty) {
            if let Some(held) = self.bids.remove(&hold) {
                left.push((hold, held.decision));
            }
        }
        left.extend(std::mem::take(&mut self.others));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::flow::decision::Kind;
    use crate::models::shield::money::Micros;

    fn decision(kind: Kind) -> Decision {
        Decision::new(kind, "a", 0)
    }

    fn billed() -> Outcome {
        Outcome::Billed { amount: Micros(1), at_us: 1, late: false }
    }

    fn outcomes(batch: &Batch) -> Vec<(u128, &'static str)> {
        batch.made.iter().map(|(id, it)| (*id, it.outcome.name())).collect()
    }

    #[test]
    fn a_bid_is_written_when_it_is_made_and_when_it_is_over_and_then_it_goes() {
        let mut shelf = Shelf::new(8);
        shelf.bid(1, decision(Kind::Bid));
        shelf.other(2, decision(Kind::NoBid));
        let batch = shelf.take(10);
        assert_eq!(outcomes(&batch), [(1, "bid"), (2, "none")]);
        // What becomes of it while it is being written is written next.
        shelf.outcome(1, billed(), None);
        shelf.wrote(batch, true);
        assert!(shelf.has(1));
        let batch = shelf.take(10);
        assert_eq!(outcomes(&batch), [(1, "billed")]);
        shelf.wrote(batch, true);
        assert_eq!((shelf.has(1), shelf.waiting(), shelf.bids()), (false, 0, 0));
    }

    #[test]
    fn a_bid_waits_a_little_for_its_end_unless_somebody_waits_for_it() {
        let mut shelf = Shelf::new(100);
        (1..=4).for_each(|id| shelf.made(id, (decision(Kind::Bid), None), 10 * id as i64));
        shelf.ripen(9);
        assert_eq!((shelf.ripe(), shelf.waiting()), (0, 4));
        shelf.outcome(3, billed(), None);
        let won = Outcome::Won { amount: Micros(1), at_us: 1 };
        shelf.outcome(2, won, Some(Reply::detached()));
        shelf.outcome(4, won, None);
        let batch = shelf.take(10);
        assert_eq!(outcomes(&batch), [(3, "billed"), (2, "won")]);
        shelf.wrote(batch, true);
        shelf.ripen(30);
        let batch = shelf.take(10);
        assert_eq!(outcomes(&batch), [(1, "bid")]);
        shelf.wrote(batch, true);
        assert_eq!((shelf.ripe(), shelf.waiting()), (0, 1));
        let left: Vec<_> =
            shelf.leave().into_iter().map(|(id, it)| (id, it.outcome.name())).collect();
        assert_eq!((left, shelf.waiting()), (vec![(4, "won")], 0));
    }

    #[test]
    fn what_could_not_be_written_is_written_again_in_its_order() {
        let mut shelf = Shelf::new(8);
        (1..=3).for_each(|id| shelf.bid(id, decision(Kind::Bid)));
        (4..=5).for_each(|id| shelf.other(id, decision(Kind::NoBid)));
        let batch = shelf.take(4);
        assert_eq!(shelf.waiting(), 5);
        shelf.outcome(2, billed(), None);
        shelf.wrote(batch, false);
        assert_eq!(shelf.waiting(), 5);
        let batch = shelf.take(10);
        let told = outcomes(&batch);
        assert_eq!(told.len(), 5);
        assert!(told.contains(&(2, "billed")) && told.ends_with(&[(4, "none"), (5, "none")]));
    }

    #[test]
    fn whom_a_bid_is_for_is_written_once_and_not_of_somebody_who_was_erased() {
        let [ann, bob]: [Arc<str>; 2] = ["ann".into(), "bob".into()];
        let bid = |person: &Arc<str>| (decision(Kind::Bid), Some(Arc::clone(person)));
        let mut shelf = Shelf::new(100);
        shelf.made(1, bid(&ann), 0);
        shelf.made(2, bid(&bob), 0);
        shelf.ripen(0);
        let batch = shelf.take(10);
        assert_eq!(batch.reach, [(1, Arc::clone(&ann)), (2, Arc::clone(&bob))]);
        // It was not written: it is again, of those who are still there.
        shelf.forget(&bob, 0);
        shelf.wrote(batch, false);
        shelf.made(3, bid(&bob), 0);
        shelf.made(4, bid(&ann), 0);
        shelf.ripen(0);
        let batch = shelf.take(10);
        assert_eq!(
            (batch.made.len(), &*batch.reach),
            (4, &[(1, ann.clone()), (4, ann.clone())][..])
        );
        shelf.wrote(batch, true);
        shelf.outcome(1, billed(), None);
        assert_eq!(shelf.take(10).reach, []);
        // One that waits to be written, too.
        shelf.made(5, bid(&ann), 0);
        shelf.forget(&ann, 1);
        shelf.ripen(0);
        assert_eq!(shelf.take(10).reach, []);
        shelf.forget(&bob, FORGOTTEN_US + 2);
        assert_eq!(shelf.forgotten.len(), 1);
    }

    #[test]
    fn there_is_no_room_while_too_many_wait_and_few_that_rest_are_kept() {
        let mut shelf = Shelf::new(8);
        for id in 0..100 {
            if !shelf.has_room() {
                let batch = shelf.take(100);
                assert_eq!(batch.made.len(), 8);
                shelf.wrote(batch, true);
            }
            shelf.bid(id, decision(Kind::Bid));
        }
        assert!(shelf.bids() <= 8 + 2, "{}", shelf.bids());
        assert!(shelf.has(99) && !shelf.has(0));
    }

    #[test]
    fn what_is_being_written_leaves_with_what_waits_and_as_it_is_now() {
        let mut shelf = Shelf::new(8);
        (1..=3).for_each(|id| shelf.bid(id, decision(Kind::Bid)));
        (4..=5).for_each(|id| shelf.other(id, decision(Kind::NoBid)));
        let batch = shelf.take(4);
        assert_eq!(outcomes(&batch), [(1, "bid"), (2, "bid"), (3, "bid"), (4, "none")]);
        shelf.outcome(2, billed(), None);
        shelf.bid(6, decision(Kind::Bid));
        let left: Vec<_> =
            shelf.leave().into_iter().map(|(id, it)| (id, it.outcome.name())).collect();
        let all = [(1, "bid"), (2, "billed"), (3, "bid"), (4, "none"), (6, "bid"), (5, "none")];
        assert_eq!(left, all);
        assert_eq!((shelf.waiting(), shelf.leave().len()), (0, 0));
    }

    #[test]
    fn what_waits_leaves_as_it_is_now() {
        let mut shelf = Shelf::new(8);
        shelf.bid(1, decision(Kind::Bid));
        shelf.outcome(1, billed(), None);
        shelf.other(2, decision(Kind::NoBid));
        let left: Vec<_> =
            shelf.leave().into_iter().map(|(id, it)| (id, it.outcome.name())).collect();
        assert_eq!(left, [(1, "billed"), (2, "none")]);
        assert_eq!(shelf.waiting(), 0);
    }
}
