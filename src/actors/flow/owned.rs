//! Which campaigns are this node's: those whose shard it has.

use crate::actors::cluster::Placement;
use crate::actors::shield::BudgetName;
use crate::models::cluster::node::Role;
use crate::models::cluster::shard::{SHARDS, Shard};

/// A set of the shards that campaigns are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owned([u64; SHARDS as usize / 64]);

impl Owned {
    /// Those that this node takes in work for, at this moment.
    pub fn now(placement: &Placement) -> Owned {
        let mut owned = Owned::default();
        let all = (0..SHARDS).map(|place| Shard::of(Role::Shield, place));
        all.filter(|shard| placement.admits(*shard)).for_each(|shard| owned.add(shard));
        owned
    }

    pub fn add(&mut self, shard: Shard) {
        let place = usize::from(shard.place());
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub fn has(&self, shard: Shard) -> bool {
        let place = usize::from(shard.place());
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    pub fn is_empty(&self) -> bool {
        *self == Owned::default()
    }

    /// Those that are not in the other one.
    pub fn without(self, other: Owned) -> Owned {
        let mut left = self;
        left.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        left
    }

    pub fn and(self, other: Owned) -> Owned {
        self.without(self.without(other))
    }

    pub fn with(self, other: Owned) -> Owned {
        let mut all = self;
        all.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        all
    }
}

/// The shard of the campaign that an actor's key names.
pub fn shard_of(key: &str, default_account: &str) -> Shard {
    BudgetName::of_campaign_key(key, default_account).place()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(places: &[u16]) -> Owned {
        let mut owned = Owned::default();
        places.iter().for_each(|place| owned.add(Shard(*place)));
        owned
    }

    #[test]
    fn shards_come_and_go_as_sets() {
        let (before, now) = (of(&[0, 63, 64, 255]), of(&[63, 128, 255]));
        assert_eq!(before.without(now), of(&[0, 64]));
        assert_eq!(now.without(before), of(&[128]));
        assert_eq!(before.and(now), of(&[63, 255]));
        assert_eq!(before.with(now), of(&[0, 63, 64, 128, 255]));
        assert!(before.without(before).is_empty() && !before.is_empty());
        assert!(before.has(Shard(64)) && !before.has(Shard(65)));
    }
}
