//! Roles and the rights that they give.
//!
//! | role     | read | ask for bids | operate | inject faults | administer |
//! |----------|------|--------------|---------|---------------|------------|
//! | viewer   | yes  |              |         |               |            |
//! | exchange |      | yes          |         |               |            |
//! | operator | yes  | yes          | yes     |               |            |
//! | chaos    | yes  |              |         | yes           |            |
//! | admin    | yes  | yes          | yes     | yes           | yes        |

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a route asks for. Each route names exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// See state: budgets, consents, the audit, views of actors.
    Read,
    /// Ask for bids, which hold money of budgets for a moment.
    Bid,
    /// Change what the business owns: allocate, hold and settle, consent, answer requests.
    Operate,
    /// Inject faults, where `chaos.enabled` allows them at all.
    Inject,
    /// Change the installation and who may use it: keys, restarts, approvals, rotation.
    Administer,
}

impl Right {
    pub const ALL: [Right; 5] =
        [Right::Read, Right::Bid, Right::Operate, Right::Inject, Right::Administer];

    pub fn as_str(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Bid => "bid",
            Right::Operate => "operate",
            Right::Inject => "inject",
            Right::Administer => "administer",
        }
    }
}

/// What a caller is. Viewer < operator < admin; chaos stands beside operator, and an exchange below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Exchange,
    Operator,
    Chaos,
    Admin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no role; expected viewer, exchange, operator, chaos or admin")]
pub struct UnknownRole;

impl Role {
    pub const ALL: [Role; 5] =
        [Role::Viewer, Role::Exchange, Role::Operator, Role::Chaos, Role::Admin];

    pub fn may(self, right: Right) -> bool {
        match (self, right) {
            (Role::Exchange, right) => right == Right::Bid,
            (_, Right::Read) | (Role::Admin, _) => true,
            (Role::Operator, right) => matches!(right, Right::Bid | Right::Operate),
            (Role::Chaos, right) => right == Right::Inject,
            (Role::Viewer, _) => false,
        }
    }

    /// Whether this role gives every right that `other` gives: nobody may hand out more than that.
    pub fn covers(self, other: Role) -> bool {
        Right::ALL.iter().all(|&right| self.may(right) || !other.may(right))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Exchange => "exchange",
            Role::Operator => "operator",
            Role::Chaos => "chaos",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    /// Exactly as it is written: `Admin` is not a role.
    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_exactly_the_rights_of_the_table() {
        let rights = |role: Role| Right::ALL.map(|right| role.may(right));
        assert_eq!(rights(Role::Viewer), [true, false, false, false, false]);
        assert_eq!(rights(Role::Exchange), [false, true, false, false, false]);
        assert_eq!(rights(Role::Operator), [true, true, true, false, false]);
        assert_eq!(rights(Role::Chaos), [true, false, false, true, false]);
        assert_eq!(rights(Role::Admin), [true; 5]);
    }

    #[test]
    fn chaos_and_operator_do_not_cover_each_other() {
        for role in Role::ALL {
            assert!(role.covers(role) && Role::Admin.covers(role));
            assert_eq!(role.covers(Role::Viewer), role != Role::Exchange, "{role}");
        }
        assert!(Role::Operator.covers(Role::Exchange) && !Role::Chaos.covers(Role::Exchange));
        assert!(!Role::Chaos.covers(Role::Operator) && !Role::Operator.covers(Role::Chaos));
        assert!(!Role::Viewer.covers(Role::Chaos) && !Role::Operator.covers(Role::Admin));
    }

    #[test]
    fn a_role_is_read_as_it_is_written_and_in_no_other_way() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            let json = serde_json::to_string(&role).unwrap();
            assert_eq!(json, format!("\"{role}\""));
            assert_eq!(serde_json::from_str::<Role>(&json).unwrap(), role);
        }
        for bad in ["", "Admin", "admin ", "root", "*"] {
            assert_eq!(bad.parse::<Role>(), Err(UnknownRole), "{bad:?}");
        }
    }
}
