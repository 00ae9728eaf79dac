//! Scopes: which services and which accounts a caller may touch.
//!
//! ```text
//! scopes   = grant *( " " grant )        on the command line: --scope grant --scope grant
//! grant    = services [ ":" accounts ]   no accounts: of every account
//! services = "*" | name *( "," name )
//! accounts = "*" | name *( "," name )
//! name     = 1..128 letters, digits, "_", "-", "."; not of dots alone
//! ```
//!
//! A call is allowed when ONE grant names both its service and its account: `shield:acme flow:globex`
//! allows SyncShield for acme and SyncFlow for globex, and neither for the other.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The services that there are to name.
pub const SERVICES: [&str; 5] = ["shield", "value", "flow", "health", "admin"];
/// Characters of the longest name.
pub const NAME_CHARS_MAX: usize = 128;
/// Names of one list.
pub const NAMES_MAX: usize = 64;
/// Grants of one caller.
pub const GRANTS_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    #[error("is empty; expected service[:account]")]
    Empty,
    #[error("has a colon too many; expected service[:account]")]
    Colon,
    #[error("mixes * with names")]
    Mixed,
    #[error("has a name that is not letters, digits, _, - and . (at most 128)")]
    Name,
    #[error("has more than 64 names in a list")]
    Names,
    #[error("has more than 16 grants")]
    Grants,
    #[error("names {0}, which is no service: there are shield, value, flow, health and admin")]
    Service(String),
}

/// Letters, digits, `_`, `-` and `.`, not of dots alone: safe in paths, logs and labels.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let dots = text.bytes().all(|b| b == b'.');
    (1..=NAME_CHARS_MAX).contains(&text.len()) && !dots && text.bytes().all(plain)
}

/// All names, or these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    All,
    Some(BTreeSet<Box<str>>),
}

impl Names {
    /// No name at all.
    pub fn none() -> Names {
        Names::Some(BTreeSet::new())
    }

    /// `*` alone, or up to [`NAMES_MAX`] names.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Names, BadScope> {
        let mut set = BTreeSet::new();
        let mut all = false;
        for (at, name) in names.into_iter().enumerate() {
            if at >= NAMES_MAX {
                return Err(BadScope::Names);
            }
            match name {
                "*" => all = true,
                name if is_name(name) => drop(set.insert(name.into())),
                _ => return Err(BadScope::Name),
            }
        }
        match (all, set.is_empty()) {
            (true, true) => Ok(Names::All),
            (true, false) => Err(BadScope::Mixed),
            (false, _) => Ok(Names::Some(set)),
        }
    }

    pub fn allows(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::Some(names) => names.contains(name),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Names::Some(names) if names.is_empty())
    }

    /// Whether every name of `other` is one of these.
    pub fn covers(&self, other: &Names) -> bool {
        match (self, other) {
            (Names::All, _) => true,
            (Names::Some(_), Names::All) => false,
            (Names::Some(mine), Names::Some(other)) => other.is_subset(mine),
        }
    }

    fn add(&mut self, other: &Names) {
        match (&mut *self, other) {
            (Names::All, _) => {}
            (_, Names::All) => *self = Names::All,
            (Names::Some(mine), Names::Some(other)) => mine.extend(other.iter().cloned()),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Names::All => f.write_str("*"),
            Names::Some(names) => {
                for (at, name) in names.iter().enumerate() {
                    write!(f, "{}{name}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

/// Every one of these services for every one of these accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub services: Names,
    pub accounts: Names,
}

impl Grant {
    pub fn allows(&self, service: &str, account: &str) -> bool {
        self.services.allows(service) && self.accounts.allows(account)
    }

    fn covers(&self, other: &Grant) -> bool {
        self.services.covers(&other.services) && self.accounts.covers(&other.accounts)
    }
}

impl FromStr for Grant {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Grant, BadScope> {
        let names = |text: &str| match text {
            "" => Err(BadScope::Empty),
            text => Names::of(text.split(',')),
        };
        let (services, accounts) = match text.split_once(':') {
            None => (text, "*"),
            Some((_, accounts)) if accounts.contains(':') => return Err(BadScope::Colon),
            Some(parts) => parts,
        };
        Ok(Grant { services: names(services)?, accounts: names(accounts)? })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accounts {
            Names::All => write!(f, "{}", self.services),
            _ => write!(f, "{}:{}", self.services, self.accounts),
        }
    }
}

/// What a caller may touch: the union of its grants. Without grants, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Grant>);

impl Scopes {
    /// Every service of every account.
    pub fn all() -> Scopes {
        Scopes(vec![Grant { services: Names::All, accounts: Names::All }])
    }

    /// The form of the command line, one text for each `--scope`. None at all means all.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Scopes, BadScope> {
        let mut grants = Vec::new();
        for text in texts {
            if grants.len() >= GRANTS_MAX {
                return Err(BadScope::Grants);
            }
            grants.push(text.parse()?);
        }
        Ok(if grants.is_empty() { Scopes::all() } else { Scopes(grants) })
    }

    /// For a new key: every service that is named is one.
    ///
    /// # Errors
    /// The first that is none: a slip would make a key that opens nothing.
    pub fn of_services(self) -> Result<Scopes, BadScope> {
        let named = self.0.iter().filter_map(|grant| match &grant.services {
            Names::All => None,
            Names::Some(names) => Some(names),
        });
        match named.flatten().find(|name| !SERVICES.contains(&&***name)) {
            Some(name) => Err(BadScope::Service(name.to_string())),
            None => Ok(self),
        }
    }

    pub fn allows(&self, service: &str, account: &str) -> bool {
        self.0.iter().any(|grant| grant.allows(service, account))
    }

    /// Whether anything of the service is allowed: for routes that belong to no account.
    pub fn allows_service(&self, service: &str) -> bool {
        self.0.iter().any(|grant| grant.services.allows(service) && !grant.accounts.is_none())
    }

    /// The accounts that may be touched through a service: what listings are filtered by.
    pub fn accounts(&self, service: &str) -> Names {
        let mut accounts = Names::none();
        for grant in self.0.iter().filter(|grant| grant.services.allows(service)) {
            accounts.add(&grant.accounts);
        }
        accounts
    }

    /// Whether each grant of `other` lies within one of these. It may say no where several grants
    /// together would cover it, never yes where they do not: nobody hands out more than he has.
    pub fn covers(&self, other: &Scopes) -> bool {
        other.0.iter().all(|theirs| self.0.iter().any(|mine| mine.covers(theirs)))
    }

    pub fn grants(&self) -> &[Grant] {
        &self.0
    }
}

impl From<Grant> for Scopes {
    fn from(grant: Grant) -> Scopes {
        Scopes(vec![grant])
    }
}

/// A list of grants in their text form: `["shield:acme", "admin"]`.
impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Grant::to_string))
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scopes, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        // An empty list was stored as nothing: it must not come back as all.
        if texts.is_empty() {
            return Ok(Scopes::default());
        }
        Scopes::parse(texts.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str]) -> Scopes {
        Scopes::parse(texts.iter().copied()).unwrap()
    }

    #[test]
    fn the_form_of_the_command_line_allows_what_it_says() {
        let rows: [(&[&str], &str, &str, bool); 14] = [
            (&["shield"], "shield", "acme", true),
            (&["shield"], "flow", "acme", false),
            (&["shield:acme"], "shield", "acme", true),
            (&["shield:acme"], "shield", "acm", false),
            (&["shield:acme"], "shield", "*", false),
            (&["*:acme"], "flow", "acme", true),
            (&["*:acme"], "flow", "globex", false),
            (&["admin"], "admin", "default", true),
            (&["shield,flow:acme,globex"], "flow", "globex", true),
            (&["shield,flow:acme,globex"], "pulse", "globex", false),
            (&["shield:acme", "flow:globex"], "shield", "acme", true),
            // Two grants are no product: this is the pair that a product would give away.
            (&["shield:acme", "flow:globex"], "shield", "globex", false),
            (&["*"], "anything", "anybody", true),
            (&[], "anything", "anybody", true),
        ];
        for (texts, service, account, allowed) in rows {
            assert_eq!(
                scopes(texts).allows(service, account),
                allowed,
                "{texts:?} {service}:{account}"
            );
        }
    }

    #[test]
    fn what_is_not_of_the_grammar_is_refused() {
        use BadScope::*;
        let rows = [
            ("", Empty),
            (":", Empty),
            ("shield:", Empty),
            (":acme", Empty),
            ("a:b:c", Colon),
            ("*,shield", Mixed),
            ("shield:acme,*", Mixed),
            ("shield:..", Name),
            ("shield acme", Name),
            ("shield:a/b", Name),
            ("sh*", Name),
            ("shield,", Name),
        ];
        for (text, error) in rows {
            assert_eq!(text.parse::<Grant>(), Err(error), "{text:?}");
        }
        assert_eq!("x".repeat(129).parse::<Grant>(), Err(Name));
        let many: Vec<String> = (0..=NAMES_MAX).map(|i| i.to_string()).collect();
        assert_eq!(many.join(",").parse::<Grant>(), Err(Names));
        assert_eq!(Scopes::parse(std::iter::repeat_n("a", GRANTS_MAX + 1)), Err(Grants));
    }

    #[test]
    fn stored_scopes_come_back_as_they_were_and_none_stays_none() {
        for s in [scopes(&["shield:acme,b", "*:c", "admin"]), Scopes::all(), Scopes::default()] {
            let json = serde_json::to_string(&s).unwrap();
            assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), s, "{json}");
        }
        assert!(!Scopes::default().allows_service("shield"));
        assert!(serde_json::from_str::<Scopes>(r#"["a:b:c"]"#).is_err());
    }

    #[test]
    fn nobody_covers_more_than_he_has() {
        let mine = scopes(&["shield:acme,globex", "flow"]);
        assert!(mine.covers(&mine) && mine.covers(&scopes(&["shield:acme", "flow:x"])));
        for more in [&["shield"][..], &["*:acme"], &["pulse"], &["shield:x"], &["flow", "*"]] {
            assert!(!mine.covers(&scopes(more)), "{more:?}");
        }
    }

    #[test]
    fn a_listing_is_filtered_by_the_accounts_of_its_service() {
        let s = scopes(&["shield:acme", "*:globex", "flow"]);
        assert_eq!(s.accounts("shield"), Names::of(["acme", "globex"]).unwrap());
        assert_eq!(s.accounts("flow"), Names::All);
        assert_eq!(s.accounts("pulse"), Names::of(["globex"]).unwrap());
    }
}
