//! What services hold about a person, told through one trait: a table that nobody told of is found
//! by a test, and cannot be forgotten when a person asks for a copy or for erasure.

use std::collections::{BTreeMap, BTreeSet};

/// What happens to a holding when the person is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erase {
    /// Its rows are deleted.
    Delete,
    /// Its rows stay, for this reason in plain words; [`Holding::legal`] names the law.
    Keep(&'static str),
    /// Its rows stay as ciphertext under the person's key, which is destroyed.
    Unreadable,
}

/// One table, as far as it is about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    pub table: &'static str,
    /// The columns that are about the person, as they come in a package.
    pub columns: &'static [&'static str],
    /// What it is, in plain words for the person.
    pub what: &'static str,
    /// The law by which it is kept after erasure; `None` where nothing is kept readable.
    pub legal: Option<&'static str>,
    pub on_erasure: Erase,
    /// Whether it goes into a PORTABILITY package: what the person gave or caused, by consent or
    /// contract (GDPR Art. 20(1)). An ACCESS package has everything.
    pub portable: bool,
}

/// A service that holds something about persons.
pub trait PersonalData {
    /// The service's name, e.g. `shield`.
    fn service(&self) -> &'static str;
    /// Everything it holds, one entry for each table.
    fn holdings(&self) -> &'static [Holding];
}

fn told<'a>(
    handlers: &'a [&'a dyn PersonalData],
) -> impl Iterator<Item = (&'static str, &'static Holding)> + 'a {
    handlers.iter().flat_map(|h| h.holdings().iter().map(|holding| (h.service(), holding)))
}

/// The tables with a person column that no handler tells of, sorted. Must be empty.
pub fn uncovered(
    tables_with_person_column: &[String],
    handlers: &[&dyn PersonalData],
) -> Vec<String> {
    let covered: BTreeSet<&str> = told(handlers).map(|(_, holding)| holding.table).collect();
    let all: BTreeSet<&String> = tables_with_person_column.iter().collect();
    all.into_iter().filter(|table| !covered.contains(table.as_str())).cloned().collect()
}

/// The tables that a handler tells of and that do not exist (any more), sorted. Must be empty.
pub fn unknown(
    tables_with_person_column: &[String],
    handlers: &[&dyn PersonalData],
) -> Vec<String> {
    let named: BTreeSet<&str> = told(handlers).map(|(_, holding)| holding.table).collect();
    let known = |table: &str| tables_with_person_column.iter().any(|have| have == table);
    named.into_iter().filter(|table| !known(table)).map(str::to_owned).collect()
}

/// What is wrong with the descriptions themselves, in words. Must be empty.
pub fn faults(handlers: &[&dyn PersonalData]) -> Vec<String> {
    let mut found = Vec::new();
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (service, h) in told(handlers) {
        let table = h.table;
        if let Some(owner) = owners.insert(table, service) {
            found.push(format!("{table} is told of by {owner} and by {service}"));
        }
        if h.columns.is_empty() || h.what.trim().is_empty() {
            found.push(format!("{table} does not say what it holds"));
        }
        match (h.on_erasure, h.legal) {
            (Erase::Keep(_), None) => found.push(format!("{table} is kept and names no law")),
            (Erase::Keep(why), _) if why.trim().is_empty() => {
                found.push(format!("{table} is kept and does not say why"));
            }
            (Erase::Delete | Erase::Unreadable, Some(_)) => {
                found.push(format!("{table} names a law and is not kept"));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSENT: Holding = Holding {
        table: "consent",
        columns: &["type", "granted_at"],
        what: "what you agreed to",
        legal: None,
        on_erasure: Erase::Delete,
        portable: true,
    };
    const PROOF: Holding = Holding {
        table: "consent_proof",
        legal: Some("GDPR Art. 17(3)(e)"),
        on_erasure: Erase::Keep("shows that the consent was given"),
        ..CONSENT
    };

    struct Shield;
    impl PersonalData for Shield {
        fn service(&self) -> &'static str {
            "shield"
        }
        fn holdings(&self) -> &'static [Holding] {
            &[CONSENT, PROOF]
        }
    }

    struct Careless;
    impl PersonalData for Careless {
        fn service(&self) -> &'static str {
            "careless"
        }
        fn holdings(&self) -> &'static [Holding] {
            &[
                CONSENT,
                Holding { table: "a", legal: None, ..PROOF },
                Holding { table: "b", on_erasure: Erase::Keep(" "), ..PROOF },
                Holding { table: "c", on_erasure: Erase::Unreadable, ..PROOF },
                Holding { table: "d", columns: &[], ..CONSENT },
            ]
        }
    }

    fn tables(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_table_that_no_handler_covers_is_named_once() {
        let have = tables(&["orders", "consent", "orders", "consent_proof", "bids"]);
        assert_eq!(uncovered(&have, &[&Shield]), tables(&["bids", "orders"]));
        assert_eq!(uncovered(&tables(&["consent"]), &[]), tables(&["consent"]));
        assert!(uncovered(&tables(&["consent", "consent_proof"]), &[&Shield]).is_empty());
    }

    #[test]
    fn a_handler_of_a_table_that_is_gone_is_named() {
        assert_eq!(unknown(&tables(&["consent"]), &[&Shield]), tables(&["consent_proof"]));
        assert!(unknown(&tables(&["consent", "consent_proof", "x"]), &[&Shield]).is_empty());
    }

    #[test]
    fn a_description_that_contradicts_itself_is_told() {
        assert_eq!(faults(&[&Shield]), Vec::<String>::new());
        assert_eq!(
            faults(&[&Shield, &Careless]),
            [
                "consent is told of by shield and by careless",
                "a is kept and names no law",
                "b is kept and does not say why",
                "c names a law and is not kept",
                "d does not say what it holds",
            ]
        );
    }
}
