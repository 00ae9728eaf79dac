//! What waits for a log in memory: bookings, which the ledger has in any case, and refusals, which
//! are counted together when they are alike. So a bid costs a push or a count, and no message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::gathering::{Count, Gathering};
use crate::clock;
use crate::models::shield::entry::Entry;
use crate::models::shield::refusal::Reason;

/// Bookings that wait for one log. Beyond it they are read from the ledger later.
const BOOKED_MAX: usize = 65_536;
/// Kinds of refusals of a minute for one log; more are counted under no campaign's name.
const DENIED_KINDS_MAX: usize = 1_024;
/// The same of answers at the front door: strangers choose what they are turned away for.
const TURNED_KINDS_MAX: usize = 256;

/// Whether bookings and refusals of this process reach no log.
static LEFT_OUT: AtomicBool = AtomicBool::new(false);

/// For the figure that says what the audit costs: bookings and refusals of this process reach no
/// log until it ends. Nothing in `kiki` calls it and no setting leads here; the next process finds
/// in the ledger what its log has not.
#[doc(hidden)]
pub fn leave_out() {
    LEFT_OUT.store(true, Ordering::Relaxed);
}

pub(super) fn left_out() -> bool {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// A booking with its budget.
pub struct Booked {
    pub budget: Arc<str>,
    pub entry: Entry,
}

/// Alike refusals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The campaign, or nothing where too many were refused to tell them apart.
    pub budget: Option<Arc<str>>,
    pub reason: Reason,
    pub count: u64,
    /// Wall time of the first, micros.
    pub first_us: i64,
}

/// What is counted together at the front door and where consents are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turning {
    /// A caller was not let.
    Access,
    /// A customer does not allow what was asked for.
    ConsentDenied,
    /// A customer allows it.
    ConsentAllowed,
}

/// Alike answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The kind of those that are too many to tell apart.
fn too_many((turning, ..): TurnedKey) -> TurnedKey {
    (turning, "many".into(), String::new(), "too many kinds".to_owned())
}

/// What waits for one account's log.
pub struct Feed {
    pub account: Arc<str>,
    waits: AtomicBool,
    booked: Mutex<Vec<Booked>>,
    denied: Mutex<Gathering<DeniedKey>>,
    turned: Mutex<Gathering<TurnedKey>>,
}

impl Feed {
    fn new(account: Arc<str>) -> Feed {
        Feed {
            account,
            waits: AtomicBool::new(false),
            booked: Mutex::default(),
            denied: Mutex::new(Gathering::new(DENIED_KINDS_MAX)),
            turned: Mutex::new(Gathering::new(TURNED_KINDS_MAX)),
        }
    }

    /// These are in the ledger now.
    pub fn booked(&self, budget: &Arc<str>, entries: Vec<Entry>) {
        if entries.is_empty() || left_out() {
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
        if left_out() {
            return;
        }
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (Some(Arc::clone(budget)), reason);
        denied.add(kind, at_us, clock::mono_us(), |(_, reason)| (None, reason));
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
        let kind = (turning, Arc::clone(actor), subject, reason);
        turned.add(kind, at_us, clock::mono_us(), too_many);
    }

    /// What was taken and could not be told, or was taken on another node.
    pub fn again(&self, booked: Vec<Booked>, denied: Vec<Denied>, turned: Vec<Turned>) {
        let now_us = clock::mono_us();
        {
            let mut gathering = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
            for Denied { budget, reason, count, first_us } in denied {
                let count = Count { count, first_us };
                gathering.add_all((budget, reason), count, now_us, |(_, reason)| (None, reason));
            }
        }
        {
            let mut gathering = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
            for Turned { turning, actor, subject, reason, count, first_us } in turned {
                let (kind, count) = ((turning, actor, subject, reason), Count { count, first_us });
                gathering.add_all(kind, count, now_us, too_many);
            }
        }
        if !booked.is_empty() {
            self.booked.lock().unwrap_or_else(PoisonError::into_inner).extend(booked);
            self.waits.store(true, Ordering::Release);
        }
    }

    /// Answers of which to tell now; `all`: those that only wait for their minute, too.
    pub fn take_turned(&self, all: bool) -> Vec<Turned> {
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = turned.take(all, clock::mono_us()).into_iter();
        taken
            .map(|((turning, actor, subject, reason), of)| Turned {
                turning,
                actor,
                subject,
                reason,
                count: of.count,
                first_us: of.first_us,
            })
            .collect()
    }

    /// Refusals of which to tell now; `all`: those that only wait for their minute, too.
    pub fn take_denied(&self, all: bool) -> Vec<Denied> {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = denied.take(all, clock::mono_us()).into_iter();
        taken
            .map(|((budget, reason), of)| Denied {
                budget,
                reason,
                count: of.count,
                first_us: of.first_us,
            })
            .collect()
    }

    /// All bookings.
    pub fn take_booked(&self) -> Vec<Booked> {
        self.waits.store(false, Ordering::Release);
        std::mem::take(&mut *self.booked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is anything that was not told yet.
    fn holds(&self) -> bool {
        self.waits.load(Ordering::Acquire)
            || !self.denied.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
            || !self.turned.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether there is something to tell now.
    pub fn waits(&self) -> bool {
        let now_us = clock::mono_us();
        self.waits.load(Ordering::Acquire)
            || self.denied.lock().unwrap_or_else(PoisonError::into_inner).is_due(now_us)
            || self.turned.lock().unwrap_or_else(PoisonError::into_inner).is_due(now_us)
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

    /// The accounts for whose logs something waits, if only for its minute.
    pub fn waiting_at_all(&self) -> Vec<Arc<str>> {
        let feeds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        feeds.values().filter(|feed| feed.holds()).map(|feed| Arc::clone(&feed.account)).collect()
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
        let told =
            Denied { budget: Some(one), reason: Reason::BudgetExceeded, count: 3, first_us: 1 };
        assert_eq!(feed.take_denied(false), vec![told]);
        assert!(!feed.waits());
        for n in 0..DENIED_KINDS_MAX + 10 {
            feed.denied(&format!("c{n}").into(), Reason::Paused, 5);
        }
        let denied = feed.take_denied(false);
        assert_eq!(denied.len(), DENIED_KINDS_MAX);
        let rest = denied.iter().find(|d| d.budget.is_none()).expect("the rest");
        assert_eq!(rest.count, 11, "one kind rests, and so many less fit");
    }
}
