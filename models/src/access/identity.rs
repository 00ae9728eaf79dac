//! Who a caller turned out to be, and whether it may.

use std::sync::Arc;

use serde::Serialize;

use super::key::Stored;
use super::role::{Right, Role};
use super::scope::{Names, Scopes};

/// Which quota a caller is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitClass {
    /// By its name: keys and users.
    Identity,
    /// By its address: whoever did not say who it is.
    Address,
    /// Not at all: the open installation on its own machine.
    Unlimited,
}

/// Why a known caller may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NotAllowed {
    #[error("the role does not give this right")]
    Role,
    #[error("the scope does not name this service")]
    Service,
    #[error("the scope does not name this account")]
    Account,
}

/// A caller whose proof was good. Cheap to clone: one is made for each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// As in the audit: `key:<id>`, `user:<sub>` or `open`.
    pub name: Arc<str>,
    pub role: Role,
    pub scopes: Arc<Scopes>,
    pub class: LimitClass,
    /// When what proved it ends, where that is known beforehand: microseconds UTC.
    pub ends_at_us: Option<i64>,
}

impl Identity {
    /// Whoever calls where no authentication is configured: may everything.
    pub fn open() -> Identity {
        Identity {
            name: "open".into(),
            role: Role::Admin,
            scopes: Arc::new(Scopes::all()),
            class: LimitClass::Unlimited,
            ends_at_us: None,
        }
    }

    /// The holder of a key that was checked.
    pub fn of_key(key: &Stored) -> Identity {
        Identity {
            name: format!("key:{}", key.id).into(),
            role: key.role,
            scopes: Arc::new(key.scopes.clone()),
            class: LimitClass::Identity,
            ends_at_us: key.expires_at,
        }
    }

    /// The subject of a token that was verified. The prefix keeps a user called `open` or
    /// `key:00000000` from being taken for one.
    pub fn of_user(sub: &str, role: Role, scopes: Scopes) -> Identity {
        Identity {
            name: format!("user:{sub}").into(),
            role,
            scopes: Arc::new(scopes),
            class: LimitClass::Identity,
            ends_at_us: None,
        }
    }

    /// May it use this right of a service, for an account where the route belongs to one?
    ///
    /// # Errors
    /// What is missing. Whoever lacks the account is to be answered as if there were none.
    pub fn may(
        &self,
        right: Right,
        service: &str,
        account: Option<&str>,
    ) -> Result<(), NotAllowed> {
        if !self.role.may(right) {
            return Err(NotAllowed::Role);
        }
        if !self.scopes.allows_service(service) {
            return Err(NotAllowed::Service);
        }
        match account {
            Some(account) if !self.scopes.allows(service, account) => Err(NotAllowed::Account),
            _ => Ok(()),
        }
    }

    /// The accounts of which listings of a service may tell.
    pub fn accounts(&self, service: &str) -> Names {
        self.scopes.accounts(service)
    }

    /// May it give this role with these scopes to a key? Never more than it has itself.
    pub fn may_give(&self, role: Role, scopes: &Scopes) -> bool {
        self.role.may(Right::Administer) && self.role.covers(role) && self.scopes.covers(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_service_and_account_must_all_agree() {
        let scopes = Scopes::parse(["shield:acme"]).unwrap();
        let user = Identity::of_user("ann", Role::Operator, scopes);
        let may = |right, service, account| user.may(right, service, account);
        assert_eq!(may(Right::Operate, "shield", Some("acme")), Ok(()));
        assert_eq!(may(Right::Read, "shield", None), Ok(()));
        assert_eq!(may(Right::Administer, "shield", Some("acme")), Err(NotAllowed::Role));
        assert_eq!(may(Right::Read, "flow", Some("acme")), Err(NotAllowed::Service));
        assert_eq!(may(Right::Read, "shield", Some("globex")), Err(NotAllowed::Account));
    }

    #[test]
    fn an_admin_of_one_account_makes_no_admin_of_all() {
        let admin = Identity::of_user("a", Role::Admin, Scopes::parse(["*:acme"]).unwrap());
        assert!(admin.may_give(Role::Operator, &Scopes::parse(["shield:acme"]).unwrap()));
        assert!(!admin.may_give(Role::Viewer, &Scopes::all()));
        let operator = Identity { role: Role::Operator, ..admin };
        assert!(!operator.may_give(Role::Viewer, &Scopes::parse(["shield:acme"]).unwrap()));
    }

    #[test]
    fn no_user_can_be_called_like_a_key_or_like_the_open_one() {
        for sub in ["open", "key:00000000", "system"] {
            let user = Identity::of_user(sub, Role::Viewer, Scopes::all());
            assert!(user.name.starts_with("user:"), "{}", user.name);
        }
        assert!(Right::ALL.iter().all(|&r| Identity::open().may(r, "any", Some("any")).is_ok()));
    }
}
