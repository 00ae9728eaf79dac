//! Is there an order of the operations, one after the other, that explains every answer? Each has to take effect
//! between its beginning and its answer; those that were never answered, at any time after it or never.
//!
//! Wing and Gong's search with Lowe's memory of what was visited, in his just-in-time form: the history is walked
//! in time, and operations take effect no earlier than an answer asks for it. So where nothing is in flight,
//! all that is kept are the states that are possible there, and a history may be long: what bounds the
//! search is how much of it is in flight at a time.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Instant;

use super::super::operation::NEVER;
use crate::history::AtUs;

/// What one thing does, one operation after the other.
pub trait Model {
    type State: Copy + Eq + Hash;
    type Action: Copy + Eq;

    /// The state after it, or nothing where it could not have been answered so.
    fn step(state: Self::State, action: Self::Action) -> Option<Self::State>;

    /// It only looks: where it fits and changes nothing, it could do no more at any later time.
    fn looks(action: Self::Action) -> bool;
}

#[derive(Clone, Copy, Debug)]
pub struct Call<A> {
    pub first: AtUs,
    /// [`NEVER`]: it may never take effect.
    pub acked: AtUs,
    pub action: A,
    pub id: u64,
}

/// What is left of what the search may cost.
#[derive(Debug)]
pub struct Purse {
    pub states: u64,
    pub until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Explained,
    /// The answer of this operation is the first that no order explains.
    Unexplained {
        id: u64,
        at_us: AtUs,
    },
    /// Why no order was found, and none was excluded.
    GivenUp(&'static str),
}

/// More were in flight at a time than a mask has bits.
pub const CROWDED: &str = "more than 128 calls were in flight at a time";
pub const COSTLY: &str = "there are too many orders to try them in the time given";

/// Operations in flight at a time.
const OPEN_MAX: usize = 128;

struct Search<M: Model> {
    /// Those in flight; the mask of a configuration says which of them have taken effect.
    open: Vec<Option<Call<M::Action>>>,
    configurations: Vec<(u128, M::State)>,
}

pub fn search<M: Model>(
    initial: M::State,
    calls: &[Call<M::Action>],
    purse: &mut Purse,
) -> Verdict {
    let mut order: Vec<(AtUs, bool, usize)> = Vec::with_capacity(2 * calls.len());
    for (place, call) in calls.iter().enumerate() {
        order.push((call.first, false, place));
        if call.acked != NEVER {
            order.push((call.acked, true, place));
        }
    }
    // Of the same microsecond: beginnings before answers, for they may overlap.
    order.sort_unstable();
    let mut search = Search::<M> { open: Vec::new(), configurations: vec![(0, initial)] };
    let mut slots = vec![0u8; calls.len()];
    for (at_us, answered, place) in order {
        let call = calls[place];
        if !answered {
            let Some(slot) = search.slot() else { return Verdict::GivenUp(CROWDED) };
            search.open[slot] = Some(call);
            slots[place] = slot as u8;
            continue;
        }
        if !search.answer(usize::from(slots[place]), purse) {
            return Verdict::GivenUp(COSTLY);
        }
        if search.configurations.is_empty() {
            return Verdict::Unexplained { id: call.id, at_us };
        }
    }
    Verdict::Explained
}

impl<M: Model> Search<M> {
    fn slot(&mut self) -> Option<usize> {
        if let Some(free) = self.open.iter().position(Option::is_none) {
            return Some(free);
        }
        (self.open.len() < OPEN_MAX).then(|| {
            self.open.push(None);
            self.open.len() - 1
        })
    }

    /// Keeps the configurations in which the operation of this slot has taken effect. False: given up.
    fn answer(&mut self, slot: usize, purse: &mut Purse) -> bool {
        let bit = 1u128 << slot;
        let begun = std::mem::take(&mut self.configurations);
        let mut visited: HashSet<(u128, M::State)> =
            begun.into_iter().map(|(mask, state)| (self.for_free(mask, state), state)).collect();
        let mut work: Vec<(u128, M::State)> = visited.iter().copied().collect();
        let mut kept = HashSet::new();
        while let Some((mask, state)) = work.pop() {
            if mask & bit != 0 {
                kept.insert((mask & !bit, state));
                continue;
            }
            for (other, call) in self.open.iter().enumerate() {
                let Some(call) = call.filter(|_| mask & (1 << other) == 0) else { continue };
                if call.acked == NEVER && self.alike_before(other, mask, call.action) {
                    continue;
                }
                let Some(next) = M::step(state, call.action) else { continue };
                // What may never take effect need not where it changes nothing.
                if call.acked == NEVER && next == state {
                    continue;
                }
                let configuration = (self.for_free(mask | 1 << other, next), next);
                if visited.insert(configuration) {
                    let Some(left) = purse.states.checked_sub(1) else { return false };
                    purse.states = left;
                    if left % 4_096 == 0 && Instant::now() > purse.until {
                        return false;
                    }
                    work.push(configuration);
                }
            }
        }
        self.open[slot] = None;
        self.configurations = kept.into_iter().collect();
        true
    }

    /// A look that fits takes effect at once: no order gains by waiting with it. So looks cost nothing, however
    /// many are in flight. Of what may change something later this is not true, though it changes nothing now.
    fn for_free(&self, mask: u128, state: M::State) -> u128 {
        let open = self.open.iter().enumerate();
        let free = open.filter(|(_, call)| {
            call.is_some_and(|call| {
                call.acked != NEVER
                    && M::looks(call.action)
                    && M::step(state, call.action) == Some(state)
            })
        });
        free.fold(mask, |mask, (slot, _)| mask | 1 << slot)
    }

    /// Of several unanswered ones that ask the same, the first is tried first: the others would be no
    /// different.
    fn alike_before(&self, slot: usize, mask: u128, action: M::Action) -> bool {
        self.open[..slot].iter().enumerate().any(|(other, call)| {
            let free = mask & (1 << other) == 0;
            free && call.is_some_and(|call| call.acked == NEVER && call.action == action)
        })
    }
}
