//! Shards: the unit of ownership.

use std::fmt;

use super::node::Role;

/// Shards of one role.
pub const SHARDS: u16 = 256;

/// One shard of one role. The shards of a role are numbered from `256 × role`, so that shards of two roles with
/// the same place among their own have the same key, and the same owner where both roles run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(pub u16);

impl Shard {
    pub fn of(role: Role, place: u16) -> Shard {
        Shard(role as u16 * SHARDS + place % SHARDS)
    }

    /// Its place among the shards of its role.
    pub fn place(self) -> u16 {
        self.0 % SHARDS
    }

    /// Whose it is; `None`: there is no such role.
    pub fn role(self) -> Option<Role> {
        Role::ALL.get(usize::from(self.0 / SHARDS)).copied()
    }

    /// All shards of these roles, in order.
    pub fn all(roles: super::node::Roles) -> impl Iterator<Item = Shard> {
        let roles = Role::ALL.into_iter().filter(move |role| roles.has(*role));
        roles.flat_map(|role| (0..SHARDS).map(move |place| Shard::of(role, place)))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role() {
            Some(role) => write!(f, "{}/{}", role.as_str(), self.place()),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::node::Roles;

    #[test]
    fn a_shard_has_a_role_and_a_place_and_no_two_are_the_same() {
        let all: std::collections::BTreeSet<Shard> = Shard::all(Roles::ALL).collect();
        assert_eq!(all.len(), Role::ALL.len() * usize::from(SHARDS));
        for shard in all {
            let role = shard.role().expect("a role");
            assert_eq!(Shard::of(role, shard.place()), shard);
        }
        assert_eq!(Shard(u16::MAX).role(), None);
        assert_eq!(Shard::of(Role::Flow, 7).to_string(), "flow/7");
    }
}
