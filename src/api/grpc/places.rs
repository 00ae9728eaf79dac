//! Places of open streams: so many of all, and so many of each caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::problem::{Code, Problem};
use crate::models::access::{Identity, LimitClass};

/// Streams that may be open at a time.
const STREAMS_MAX: usize = 1_024;
/// Of one caller, so that nobody keeps the others out. Where nobody is asked who he is, there is no such
/// bound.
const OF_CALLER_MAX: usize = 128;

/// Streams that are open, by caller.
#[derive(Default)]
pub struct Places(Mutex<HashMap<Arc<str>, usize>>);

/// One of them, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    who: Arc<str>,
}

impl Places {
    /// A place for a stream of this caller.
    ///
    /// # Errors
    /// There is none now.
    pub fn take(self: &Arc<Places>, who: &Identity) -> Result<Place, Problem> {
        let full = |why: &str| Err(Problem::new(Code::Overloaded, why));
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= STREAMS_MAX {
            return full("too many streams are open");
        }
        let own = open.get(&who.name).copied().unwrap_or(0);
        if own >= OF_CALLER_MAX && who.class != LimitClass::Unlimited {
            return full("too many streams of this caller are open");
        }
        open.insert(Arc::clone(&who.name), own + 1);
        Ok(Place { places: Arc::clone(self), who: Arc::clone(&who.name) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                open.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::access::{Role, Scopes};

    fn take(places: &Arc<Places>, who: &Identity, wanted: usize) -> Vec<Place> {
        (0..wanted).map_while(|_| places.take(who).ok()).collect()
    }

    #[test]
    fn a_caller_has_a_share_of_the_places_and_gets_it_back() {
        let places = Arc::new(Places::default());
        let who = |sub: &str| Identity::of_user(sub, Role::Viewer, Scopes::default());
        let (ann, bob) = (who("ann"), who("bob"));
        let of_ann = take(&places, &ann, STREAMS_MAX);
        assert_eq!(of_ann.len(), OF_CALLER_MAX);
        assert_eq!(take(&places, &bob, 1).len(), 1, "another one still finds places");
        drop(of_ann);
        assert!(places.0.lock().expect("a lock").is_empty());
        let all = take(&places, &Identity::open(), STREAMS_MAX + 1);
        assert_eq!(all.len(), STREAMS_MAX);
        assert!(places.take(&bob).is_err(), "there are none at all");
    }
}
