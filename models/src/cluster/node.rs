//! Nodes, as the register has them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One life of a node. Two lives never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Sixteen lower-case hexadecimal digits, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an incarnation is 16 hexadecimal digits")]
pub struct BadIncarnation;

impl FromStr for Incarnation {
    type Err = BadIncarnation;

    fn from_str(text: &str) -> Result<Incarnation, BadIncarnation> {
        let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(digits) {
            return Err(BadIncarnation);
        }
        u64::from_str_radix(text, 16).map(Incarnation).map_err(|_| BadIncarnation)
    }
}

/// What a node does. The order is part of what is stored: a new one goes to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Role {
    Shield,
    Value,
    Flow,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Shield, Role::Value, Role::Flow];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Shield => "shield",
            Role::Value => "value",
            Role::Flow => "flow",
        }
    }
}

/// A label of DNS in small letters: 1 to 63 of `a`–`z`, `0`–`9` and `-`, which is neither first nor last. So a
/// certificate can name a node.
pub fn is_node_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edged = text.starts_with('-') || text.ends_with('-');
    (1..=63).contains(&text.len()) && !edged && text.bytes().all(plain)
}

/// Roles of one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    pub const NONE: Roles = Roles(0);
    pub const ALL: Roles = Roles((1 << Role::ALL.len()) - 1);

    pub fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    pub fn with(self, role: Role) -> Roles {
        Roles(self.0 | (1 << role as u8))
    }
}

impl fmt::Display for Roles {
    /// As it is configured and stored: `shield,flow`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mine = Role::ALL.into_iter().filter(|role| self.has(*role));
        for (at, role) in mine.enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", role.as_str())?;
        }
        Ok(())
    }
}

/// A role that there is none of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no role `{0}`: shield, value, flow")]
pub struct BadRole(String);

impl FromStr for Roles {
    type Err = BadRole;

    /// What a node of a newer release says of itself is read, too: what this one knows no name for has no shards
    /// that it could want, see [`Roles::read`].
    fn from_str(text: &str) -> Result<Roles, BadRole> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.into_iter().try_fold(Roles::NONE, |roles, name| {
            let role = Role::ALL.into_iter().find(|role| role.as_str() == name);
            role.map(|role| roles.with(role)).ok_or_else(|| BadRole(name.to_owned()))
        })
    }
}

impl Roles {
    /// Those of them that are known here.
    pub fn read(text: &str) -> Roles {
        let known = |name: &str| Role::ALL.into_iter().find(|role| role.as_str() == name.trim());
        text.split(',').filter_map(known).fold(Roles::NONE, Roles::with)
    }
}

/// A node's own row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub incarnation: Incarnation,
    /// The same over all its lives.
    pub name: String,
    /// Where other nodes reach it.
    pub address: String,
    pub roles: Roles,
    pub version: String,
    /// By the register's clock.
    pub joined_us: i64,
    pub lease_until_us: i64,
    /// It hands everything over, and takes nothing.
    pub draining: bool,
    /// It is over: its lease was, and somebody has said so, or it has left. For good.
    pub dead: bool,
}

impl NodeRow {
    pub fn is_overdue(&self, now_us: i64) -> bool {
        !self.dead && self.lease_until_us <= now_us
    }

    /// Whether shards may be given to it.
    pub fn takes(&self, now_us: i64) -> bool {
        !self.dead && !self.draining && self.lease_until_us > now_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_as_they_are_written() {
        for text in ["", "shield", "shield,value,flow", "value,flow"] {
            assert_eq!(text.parse::<Roles>().expect("roles").to_string(), text);
        }
        assert_eq!(
            "flow, shield".parse::<Roles>().map(|it| it.to_string()),
            Ok("shield,flow".into())
        );
        assert_eq!("shield,oracle".parse::<Roles>(), Err(BadRole("oracle".into())));
        assert_eq!(Roles::read("shield,oracle"), Roles::NONE.with(Role::Shield));
    }

    #[test]
    fn an_incarnation_is_read_as_it_is_written() {
        for n in [0, 7, u64::MAX, 0x0123_4567_89ab_cdef] {
            let text = Incarnation(n).to_string();
            assert_eq!(text.parse(), Ok(Incarnation(n)));
        }
        for text in ["", "7", "0123456789abcdeF", "+123456789abcdef", "0123456789abcdef0"] {
            assert_eq!(text.parse::<Incarnation>(), Err(BadIncarnation), "{text}");
        }
    }
}
