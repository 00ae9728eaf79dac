//! SyncShield's word that somebody is erased, or allows something else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::actors::flow::auction::Office;
use crate::actors::flow::journal;
use crate::actors::shield::Forgets;
use crate::actors::shield::person::{Hears, PersonName};

/// How long the journal is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lets go of what bids know of people.
pub struct Forgetting {
    office: Weak<Office>,
    /// Who is being erased, by the inner id: the last step comes when nobody knows any more who it was.
    erasing: Mutex<HashMap<Box<str>, u128>>,
}

impl Forgetting {
    pub fn new(office: &Arc<Office>) -> Forgetting {
        Forgetting { office: Arc::downgrade(office), erasing: Mutex::default() }
    }

    fn of(&self, account: &str, person: &str, lookup: Option<&str>) -> Option<u128> {
        let mut erasing = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lookup) = lookup else { return erasing.remove(person) };
        let number = PersonName { account: account.into(), lookup: lookup.into() }.number();
        erasing.insert(person.into(), number);
        Some(number)
    }
}

impl Hears for Forgetting {
    fn changed(&self, number: u128) {
        if let Some(office) = self.office.upgrade() {
            office.ltv.forget(number);
        }
    }
}

impl Forgets for Forgetting {
    fn forget<'a>(
        &'a self,
        account: &'a str,
        person: &'a str,
        lookup: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let Some(office) = self.office.upgrade() else { return Ok(()) };
            if let Some(number) = self.of(account, person, lookup) {
                office.ltv.forget(number);
            }
            let Some(journal) = office.journal.get() else { return Ok(()) };
            let make = |reply| journal::Msg::Forget { person: person.into(), reply };
            let done = journal.ask(PATIENCE, make).await;
            done.map_err(|error| format!("the journal of decisions: {error}"))
        })
    }
}
