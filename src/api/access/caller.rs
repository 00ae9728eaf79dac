//! Who the request that is being handled comes from.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};

use crate::api::problem::{Code, Problem};
use crate::models::access::{Identity, LimitClass, Names, Role, Scopes};

/// When a request arrived (monotonic micros), where it was not handled at once: who sent it had to be found
/// out.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(pub i64);

tokio::task_local! {
    static CALL: Call;
}

/// A request, as its handler knows it.
#[derive(Clone)]
pub struct Call {
    pub(super) who: Arc<Identity>,
    /// Where the handler leaves the account that the request speaks for, if somebody wants to know.
    pub(super) account: Option<Arc<OnceLock<String>>>,
}

impl Call {
    /// A request of `who` of which nobody is told.
    pub fn of(who: Arc<Identity>) -> Call {
        Call { who, account: None }
    }

    /// Runs `work` as the handler of this request.
    pub fn scope<F: Future>(self, work: F) -> tokio::task::futures::TaskLocalFuture<Call, F> {
        CALL.scope(self, work)
    }
}

/// Who calls. Outside of a request it is somebody who may nothing.
pub fn caller() -> Arc<Identity> {
    static NOBODY: LazyLock<Arc<Identity>> = LazyLock::new(|| {
        Arc::new(Identity {
            name: "nobody".into(),
            role: Role::Viewer,
            scopes: Arc::new(Scopes::default()),
            class: LimitClass::Address,
            ends_at_us: None,
        })
    });
    CALL.try_with(|call| Arc::clone(&call.who)).unwrap_or_else(|_| Arc::clone(&NOBODY))
}

/// Refuses an account that the caller's scopes do not name. Whether it exists is not told.
pub fn may_use(service: &str, account: &str) -> Result<(), Problem> {
    let allowed = CALL.try_with(|call| {
        let allowed = call.who.scopes.allows(service, account);
        if let Some(cell) = call.account.as_ref().filter(|_| allowed) {
            // The first account stands for the request.
            let _ = cell.set(account.to_owned());
        }
        allowed
    });
    match allowed {
        Ok(true) => Ok(()),
        _ => {
            Err(Problem::new(Code::Forbidden, "the caller may not use this account").at("account"))
        }
    }
}

/// The account that a request speaks for: the one that it names; else the caller's only one; else the
/// default one. Refused where the caller may not use it.
pub fn account_for<'a>(
    service: &str,
    named: Option<Cow<'a, str>>,
    default: &'a str,
) -> Result<Cow<'a, str>, Problem> {
    let account = match named {
        Some(named) => named,
        None => only_account(service).map_or(Cow::Borrowed(default), Cow::Owned),
    };
    may_use(service, &account)?;
    Ok(account)
}

fn only_account(service: &str) -> Option<String> {
    let only = |call: &Call| {
        let grants = call.who.scopes.grants();
        let mut of_service = grants.iter().filter(|grant| grant.services.allows(service));
        // All accounts: the common case, without a list.
        if of_service.any(|grant| grant.accounts == Names::All) {
            return None;
        }
        match call.who.accounts(service) {
            Names::Some(names) if names.len() == 1 => names.first().map(ToString::to_string),
            _ => None,
        }
    };
    CALL.try_with(only).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn account_of(scopes: &[&str], named: Option<&str>) -> Result<String, Code> {
        let scopes = Scopes::parse(scopes.iter().copied()).unwrap();
        let who = Arc::new(Identity::of_user("ann", Role::Operator, scopes));
        let call = Call { who, account: None };
        let named = named.map(Cow::Borrowed);
        let asked = async { account_for("shield", named, "default").map(Cow::into_owned) };
        call.scope(asked).await.map_err(|problem| problem.code())
    }

    #[tokio::test]
    async fn a_key_for_one_account_speaks_for_it_and_another_account_is_refused() {
        let denied = Err(Code::Forbidden);
        assert_eq!(account_of(&["*"], None).await, Ok("default".into()));
        assert_eq!(account_of(&["shield:acme"], None).await, Ok("acme".into()));
        assert_eq!(account_of(&["shield:acme"], Some("acme")).await, Ok("acme".into()));
        assert_eq!(account_of(&["shield:acme"], Some("default")).await, denied);
        assert_eq!(account_of(&["shield:acme,b"], None).await, denied, "it has to say which");
        assert_eq!(account_of(&["shield:acme,default"], None).await, Ok("default".into()));
        // All accounts of another service are none of this one.
        assert_eq!(account_of(&["shield:acme", "flow"], Some("b")).await, denied);
        assert_eq!(account_of(&["flow"], None).await, denied);
    }

    #[test]
    fn outside_of_a_request_nobody_may_anything() {
        assert!(may_use("shield", "default").is_err());
        assert!(!caller().scopes.allows_service("shield"));
    }
}
