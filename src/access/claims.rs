//! From the claims of a verified token to a role and scopes.

use serde_json::{Map, Value};

use super::jwt::JwtDenied;
use crate::models::access::{Grant, Names, Role, Scopes};

/// Values of a list that are looked at.
const VALUES_MAX: usize = 256;

/// Where in a token role and scopes stand. A name is tried whole (`https://kiki.example/role`), then
/// as a path (`realm_access.roles`).
#[derive(Clone, Debug)]
pub struct ClaimNames {
    pub role: String,
    pub accounts: String,
    pub services: String,
    /// The accounts of a token that does not name any.
    pub accounts_default: Names,
    /// The services of a token that does not name any.
    pub services_default: Names,
}

impl Default for ClaimNames {
    /// `kiki_role`, `kiki_accounts`, `kiki_services`. Who is named no account has none; who is named no
    /// service has them all, for the accounts that he has.
    fn default() -> ClaimNames {
        ClaimNames {
            role: "kiki_role".into(),
            accounts: "kiki_accounts".into(),
            services: "kiki_services".into(),
            accounts_default: Names::none(),
            services_default: Names::All,
        }
    }
}

impl ClaimNames {
    /// The role. A text must be one; of a list (identity providers put their own in it) the one is
    /// taken that gives every right of the others.
    ///
    /// # Errors
    /// No role is there, or several of which none covers the others (operator and chaos).
    pub fn role(&self, claims: &Map<String, Value>) -> Result<Role, JwtDenied> {
        let values =
            texts(find(claims, &self.role).ok_or(JwtDenied::Role)?).ok_or(JwtDenied::Role)?;
        let roles: Vec<Role> = values.iter().filter_map(|text| text.parse().ok()).collect();
        let covering = |role: &&Role| roles.iter().all(|other| role.covers(*other));
        roles.iter().find(covering).copied().ok_or(JwtDenied::Role)
    }

    /// Every named service for every named account.
    ///
    /// # Errors
    /// A claim is there and not a name, a list of up to 64 names, or `*`.
    pub fn scopes(&self, claims: &Map<String, Value>) -> Result<Scopes, JwtDenied> {
        let names = |claim: &str, default: &Names| match find(claims, claim) {
            None => Some(default.clone()),
            Some(value) => Names::of(texts(value)?).ok(),
        };
        let services = names(&self.services, &self.services_default).ok_or(JwtDenied::Scope)?;
        let accounts = names(&self.accounts, &self.accounts_default).ok_or(JwtDenied::Scope)?;
        Ok(Scopes::from(Grant { services, accounts }))
    }
}

fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_object()?.get(part))
}

/// One text, or a list of nothing but texts.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) if items.len() <= VALUES_MAX => {
            items.iter().map(Value::as_str).collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn role(claims: Value, path: &str) -> Result<Role, JwtDenied> {
        let names = ClaimNames { role: path.into(), ..ClaimNames::default() };
        names.role(claims.as_object().unwrap())
    }

    #[test]
    fn a_role_is_found_by_name_or_path_and_an_unknown_one_is_denied() {
        let denied = Err(JwtDenied::Role);
        let rows = [
            (json!({"kiki_role":"operator"}), "kiki_role", Ok(Role::Operator)),
            (
                json!({"realm_access":{"roles":["offline_access","viewer","admin"]}}),
                "realm_access.roles",
                Ok(Role::Admin),
            ),
            (
                json!({"https://kiki.example/role":"chaos"}),
                "https://kiki.example/role",
                Ok(Role::Chaos),
            ),
            (json!({"r":["viewer","chaos"]}), "r", Ok(Role::Chaos)),
            (json!({"r":["operator","chaos"]}), "r", denied),
            (json!({"kiki_role":"root"}), "kiki_role", denied),
            (json!({"kiki_role":"Admin"}), "kiki_role", denied),
            (json!({"kiki_role":["root"]}), "kiki_role", denied),
            (json!({"kiki_role":[]}), "kiki_role", denied),
            (json!({"kiki_role":["admin", 1]}), "kiki_role", denied),
            (json!({"kiki_role":true}), "kiki_role", denied),
            (json!({"kiki_role":{"admin":true}}), "kiki_role", denied),
            (json!({}), "kiki_role", denied),
            (json!({"a":"admin"}), "a.b", denied),
        ];
        for (claims, path, expected) in rows {
            assert_eq!(role(claims.clone(), path), expected, "{claims} {path}");
        }
    }

    #[test]
    fn scopes_are_what_the_claims_name_and_no_account_where_they_name_none() {
        let scopes = |claims: Value| ClaimNames::default().scopes(claims.as_object().unwrap());
        let acme = scopes(json!({"kiki_accounts":["acme"],"kiki_services":"shield"})).unwrap();
        assert!(acme.allows("shield", "acme") && !acme.allows("flow", "acme"));
        assert!(!acme.allows("shield", "globex"));
        assert!(scopes(json!({"kiki_accounts":"*"})).unwrap().allows("any", "any"));
        assert!(!scopes(json!({})).unwrap().allows_service("shield"));
        for bad in [
            json!(1),
            json!(["a", 2]),
            json!(["*", "a"]),
            json!("../x"),
            json!(vec!["a"; 65]),
            json!(null),
        ] {
            let denied = scopes(json!({ "kiki_accounts": bad }));
            assert_eq!(denied, Err(JwtDenied::Scope), "{bad}");
        }
    }
}
