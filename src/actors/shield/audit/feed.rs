//! What waits for a log in memory: bookings, which the ledger has in any case, and refusals, which
//! are counted together when they are alike. So a bid costs a push or a count, and no message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::models::shield::entry::Entry;
use crate::models::shield::refusal::Reason;

/// Bookings that wait for one log. Beyond it they are read from the ledger later.
const BOOKED_MAX: usize = 65_536;
/// Kinds of refusals that wait for one log; more are counted under no campaign's name.
const DENIED_KINDS_MAX: usize = 1_024;

/// A booking with its budget.
pub struct Booked {
    pub budget: Arc<str>,
    pub entry: Entry,
}

/// Alike refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The campaign, or nothing where too many were refused to tell them apart.
    pub budget: Option<Arc<str>>,
    pub reason: Reason,
    pub count: u64,
    /// Wall time of the first, micros.
    pub first_us: i64,
}

/// What is counted together at the front door and where consents are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turning {
    /// A caller was not let.
    Access,
    /// A customer does not allow what was asked for.
    ConsentDenied,
    /// A customer allows it.
    ConsentAllowed,
}

/// Alike answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    pub turning: Turning,
    pub actor: Arc<str>,
    pub subject: String,
    pub reason: String,
    pub count: u64,
    pub first_us: i64,
}

type DeniedKey = (Option<Arc<str>>, Reason);
type TurnedKey = (Turning, Arc<str>, String, String);

/// What waits for one account's log.
pub struct Feed {
    pub account: Arc<str>,
    waits: AtomicBool,
    booked: Mutex<Vec<Booked>>,
    denied: Mutex<HashMap<DeniedKey, (u64, i64)>>,
    turned: Mutex<HashMap<TurnedKey, (u64, i64)>>,
}

impl Feed {
    fn new(account: Arc<str>) -> Feed {
        Feed {
            account,
            waits: AtomicBool::new(false),
            booked: Mutex::default(),
            denied: Mutex::default(),
            turned: Mutex::default(),
        }
    }

    /// These are in the ledger now.
    pub fn booked(&self, budget: &Arc<str>, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let mut booked = self.booked.lock().unwrap_or_else(PoisonError::into_inner);
        // What does not fit leaves a gap in the sequence, and a gap is read from the ledger.
        if booked.len() < BOOKED_MAX {
            let of = |entry| Booked { budget: Arc::clone(budget), entry };
            booked.extend(entries.into_iter().map(of));
        }
        self.waits.store(true, Ordering::Release);
    }

    /// An authorisation was refused.
    pub fn denied(&self, budget: &Arc<str>, reason: Reason, at_us: i64) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        let known = (Some(Arc::clone(budget)), reason);
        let full = denied.len() >= DENIED_KINDS_MAX && !denied.contains_key(&known);
        let key = if full { (None, reason) } else { known };
        denied.entry(key).or_insert((0, at_us)).0 += 1;
        self.waits.store(true, Ordering::Release);
    }

    /// A caller or a question was answered so.
    pub fn turned(
        &self,
        turning: Turning,
        actor: &Arc<str>,
        subject: String,
        reason: String,
        at_us: i64,
    ) {
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (turning, Arc::clone(actor), subject, reason);
        let full = turned.len() >= DENIED_KINDS_MAX && !turned.contains_key(&key);
        let key = if full {
            (turning, "many".into(), String::new(), "too many kinds".to_owned())
        } else {
            key
        };
        turned.entry(key).or_insert((0, at_us)).0 += 1;
        self.waits.store(true, Ordering::Release);
    }

    /// All denials that wait.
    pub fn take_turned(&self) -> Vec<Turned> {
        let turned =
            std::mem::take(&mut *self.turned.lock().unwrap_or_else(PoisonError::into_inner));
        let mut turned: Vec<Turned> = turned
            .into_iter()
            .map(|((turning, actor, subject, reason), (count, first_us))| Turned {
                turning,
                actor,
                subject,
                reason,
                count,
                first_us,
            })
            .collect();
        turned.sort_by_key(|t| t.first_us);
        turned
    }

    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    /// All that waits.
    pub fn take(&self) -> (Vec<Booked>, Vec<Denied>) {
        self.waits.store(false, Ordering::Release);
        let booked =
            std::mem::take(&mut *self.booked.lock().unwrap_or_else(PoisonError::into_inner));
        let denied =
            std::mem::take(&mut *self.denied.lock().unwrap_or_else(PoisonError::into_inner));
        let mut denied: Vec<Denied> = denied
            .into_iter()
            .map(|((budget, reason), (count, first_us))| Denied { budget, reason, count, first_us })
            .collect();
        denied.sort_by_key(|d| d.first_us);
        (booked, denied)
    }
}

/// The feeds of all accounts.
#[derive(Default)]
pub struct Feeds(RwLock<HashMap<Arc<str>, Arc<Feed>>>);

impl Feeds {
    /// An account's feed; keep it, looking it up takes a lock.
    pub fn of(&self, account: &Arc<str>) -> Arc<Feed> {
        let feeds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(account) {
            return Arc::clone(feed);
        }
        drop(feeds);
        let mut feeds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let feed = feeds
            .entry(Arc::clone(account))
            .or_insert_with(|| Arc::new(Feed::new(Arc::clone(account))));
        Arc::clone(feed)
    }

    /// The accounts for whose logs something waits.
    pub fn waiting(&self) -> Vec<Arc<str>> {
        let feeds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        feeds.values().filter(|feed| feed.waits()).map(|feed| Arc::clone(&feed.account)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_refusals_are_counted_together_and_too_many_kinds_under_no_name() {
        let feeds = Feeds::default();
        let feed = feeds.of(&"a".into());
        assert!(!feed.waits() && feeds.waiting().is_empty());
        let one: Arc<str> = "camp".into();
        for at in 1..=3 {
            feed.denied(&one, Reason::BudgetExceeded, at);
        }
        assert_eq!(feeds.waiting(), vec!["a".into()]);
        let (_, denied) = feed.take();
        let told =
            Denied { budget: Some(one), reason: Reason::BudgetExceeded, count: 3, first_us: 1 };
        assert_eq!(denied, vec![told]);
        assert!(!feed.waits());
        for n in 0..DENIED_KINDS_MAX + 10 {
            feed.denied(&format!("c{n}").into(), Reason::Paused, 5);
        }
        let (_, denied) = feed.take();
        assert_eq!(denied.len(), DENIED_KINDS_MAX + 1);
        let rest = denied.iter().find(|d| d.budget.is_none()).expect("the rest");
        assert_eq!(rest.count, 10);
    }
}
