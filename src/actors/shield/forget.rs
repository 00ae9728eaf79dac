//! Who keeps something about people in memory, and is told when somebody is erased.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, join_all};

/// Somebody who remembers people.
pub trait Forgets: Send + Sync {
    /// Lets go of what is known of a person. When it is done, nothing is written any more that was
    /// begun before. The `lookup` is that of the person's name; it is there until the key is
    /// destroyed, and the last call of an erasure comes without.
    ///
    /// # Errors
    /// Something may still be known: it is to be tried again.
    fn forget<'a>(
        &'a self,
        account: &'a str,
        person: &'a str,
        lookup: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// All of them.
#[derive(Default)]
pub struct Memories(Mutex<Vec<Arc<dyn Forgets>>>);

impl Memories {
    pub fn add(&self, who: Arc<dyn Forgets>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(who);
    }

    fn all(&self) -> Vec<Arc<dyn Forgets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all have let go. Not for the person's own actor: who lets go may wait for it.
    ///
    /// # Errors
    /// Somebody has not.
    pub async fn forget(
        &self,
        account: &str,
        person: &str,
        lookup: Option<&str>,
    ) -> Result<(), String> {
        let all = self.all();
        let done = join_all(all.iter().map(|who| who.forget(account, person, lookup))).await;
        done.into_iter().collect()
    }
}
