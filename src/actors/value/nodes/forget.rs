//! What is new about a customer is told to other nodes, so that none of them gives an answer of before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::KEPT_US;
use crate::actors::cluster::links::LinkError;
use crate::actors::value::shared::Shared;
use crate::clock;

pub const KIND: &str = "value.forget";
/// Customers of an import come in crowds: they are told of together.
const GATHERED: Duration = Duration::from_millis(5);
const OF_MESSAGE: usize = 1_024;
/// Of more nobody is told: what others keep is over soon by itself.
const WAITING_MAX: usize = 65_536;
/// How long others may take to let go of somebody who is erased.
const PATIENCE: Duration = Duration::from_secs(1);

/// Customers, by their keyed hashes, whom others are told of in a moment.
#[derive(Default)]
pub struct Forgotten(Mutex<Vec<String>>);

impl Forgotten {
    /// Whether it is the first of those that wait.
    fn add(&self, lookup: &str) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.push(lookup.to_owned());
        }
        waiting.len() == 1
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Something new is known of the customer.
pub fn tell(shared: &Arc<Shared>, lookup: &str) {
    if shared.placement().others().is_empty() || !shared.elsewhere.forgotten.add(lookup) {
        return;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        tokio::time::sleep(GATHERED).await;
        for part in shared.elsewhere.forgotten.take().chunks(OF_MESSAGE) {
            super::tell_others(&shared, KIND, part);
        }
    });
}

/// The customer is erased, and nothing of it is in the store any more: when this is done, nobody else has
/// anything in memory, either.
pub async fn everywhere(shared: &Shared, lookup: &str) {
    let placement = shared.placement();
    let lookups = [lookup];
    let asking = placement
        .others()
        .into_iter()
        .map(|other| placement.links().ask_for::<_, ()>(other, KIND, &lookups, PATIENCE));
    let asked = join_all(asking).await;
    if asked.iter().any(Result::is_err) {
        // Whoever was not reached keeps an answer no longer than this.
        tokio::time::sleep(Duration::from_micros(KEPT_US.unsigned_abs())).await;
    }
}

/// The home of these customers knows something new of them.
pub async fn told(shared: Arc<Shared>, lookups: Vec<String>) -> Result<(), LinkError> {
    let now_us = clock::mono_us();
    for lookup in &lookups {
        match u128::from_str_radix(lookup, 16) {
            Ok(number) => shared.cache.forget(number, now_us),
            Err(error) => return Err(LinkError::NotUnderstood(error.to_string())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_of_together_and_is_bounded() {
        let forgotten = Forgotten::default();
        assert!(forgotten.add("a") && !forgotten.add("b"));
        assert_eq!(forgotten.take(), ["a", "b"]);
        assert!(forgotten.add("c"), "the next crowd");
        (0..WAITING_MAX).for_each(|_| assert!(!forgotten.add("d")));
        assert_eq!(forgotten.take().len(), WAITING_MAX);
    }
}
