//! What became of bids that are not in memory.

use std::collections::{HashMap, VecDeque};

use super::told::Told;
use crate::actors::flow::prehashed::Prehashed;
use crate::actors::kernel::Reply;

/// Those whose bid is neither here nor in the file: they wait until the store has been asked.
#[derive(Default)]
pub struct Unknown {
    told: VecDeque<(Told, Option<Reply<bool>>)>,
    /// How many of them are of each bid.
    holds: HashMap<u128, u32, Prehashed>,
}

impl Unknown {
    pub fn len(&self) -> usize {
        self.told.len()
    }

    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    pub fn has(&self, hold: u128) -> bool {
        self.holds.contains_key(&hold)
    }

    pub fn push(&mut self, told: Told, reply: Option<Reply<bool>>) {
        *self.holds.entry(told.hold).or_default() += 1;
        self.told.push_back((told, reply));
    }

    pub fn first(&self, most: usize) -> Vec<(String, String)> {
        let name = |(told, _): &(Told, _)| (told.account.clone(), format!("{:032x}", told.hold));
        self.told.iter().take(most).map(name).collect()
    }

    pub fn take(&mut self, many: usize) -> Vec<(Told, Option<Reply<bool>>)> {
        let taken: Vec<_> = self.told.drain(..many.min(self.told.len())).collect();
        for (told, _) in &taken {
            if let Some(many) = self.holds.get_mut(&told.hold) {
                *many -= 1;
                if *many == 0 {
                    self.holds.remove(&told.hold);
                }
            }
        }
        taken
    }

    /// The store does not answer: whoever waits puts it aside, and asks again.
    pub fn refuse(&mut self) {
        for (_, reply) in &mut self.told {
            reply.take().into_iter().for_each(|reply| reply.send(false));
        }
    }
}
