//! The owner's end of cached consent: who may still go by an old answer, and when a revocation may
//! be answered (rule 10 of the money rules, CO-1).
//!
//! Every answer to another node is a lease of [`TTL_US`]. The node serves from it until the time
//! before it asked + ttl − margin, on its own monotonic clock; the owner counts ttl from when it
//! answered, which is later. So a revocation waits for the node's word that its copy is gone, or for
//! the lease's end: less than 2 s, whatever is lost or late.
//!
//! The generation of an answer ([`Leases::generation`]) is the number of the last change that it knew
//! of ([`super::state::Consents::seq`]), counted on where an erasure lets a history begin anew: it is
//! never counted back while somebody may go by an answer.

use std::collections::BTreeMap;

use super::planted::{Bug, Planted};

/// How long an answer is leased, in microseconds: a revocation is answered within 2 s, and this leaves
/// 0.1 s for a clock that runs slowly and for the owner to get round to it.
pub const TTL_US: i64 = 1_900_000;
/// How much earlier the holder stops: room for clocks that run at unequal speed (2.6%).
pub const MARGIN_US: i64 = 50_000;
/// Holders that one person's answers may be leased to at a time.
pub const HOLDERS_MAX: usize = 256;
/// Revocations of one person that may wait at a time.
pub const WAITING_MAX: usize = 64;

/// What the owner must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell the holder to drop what it has from before this generation, and to confirm.
    Recall { holder: u64, generation: u64 },
    /// No cache says yes any more: the revocation may be answered.
    Answer { ticket: u64 },
}

/// Leave to serve an answer from memory for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it ends, on the owner's monotonic clock.
    pub until_us: i64,
    pub generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many revocations of one person are waiting")]
pub struct TooManyWaiting;

/// One revocation that waits: for these holders, each until it confirms or its lease ends.
#[derive(Clone, Debug)]
struct Waiting {
    ticket: u64,
    generation: u64,
    /// holder → end of its lease.
    pending: BTreeMap<u64, i64>,
}

/// The leases of one person's answers. Times are microseconds of the owner's monotonic clock.
#[derive(Clone, Debug)]
pub struct Leases {
    /// holder → the newest generation that it was leased, and the end of its last lease.
    held: BTreeMap<u64, Lease>,
    waiting: Vec<Waiting>,
    /// What the histories that were erased add to the number of a change.
    before: u64,
    /// Until then there may be leases that an owner before this one gave.
    unknown_until_us: i64,
    planted: Planted,
}

impl Leases {
    /// `unknown_until_us`: when every lease that somebody else may have given is over, that is the
    /// time from which this process owns the person + [`TTL_US`]. After a crash of the entity alone
    /// it is now + [`TTL_US`]; an entity that left in order ([`Leases::is_idle`]) left none behind.
    pub fn new(unknown_until_us: i64) -> Leases {
        Leases {
            held: BTreeMap::new(),
            waiting: Vec::new(),
            before: 0,
            unknown_until_us,
            planted: Planted::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn with_planted(mut self, planted: Planted) -> Leases {
        self.planted = planted;
        self
    }

    /// The generation of an answer that knows of the change `seq` and of none after it.
    pub fn generation(&self, seq: u64) -> u64 {
        self.before.saturating_add(seq)
    }

    /// The history that ended with the change `last` was erased, and the next one counts from 1: what
    /// was answered until now is older than whatever is answered from now on. What the person allowed
    /// is gone with it, so a [`Leases::revoke`] follows.
    pub fn begin_anew(&mut self, last: u64) {
        if !self.planted.has(Bug::CountsBack) {
            self.before = self.generation(last).saturating_add(1);
        }
    }

    /// Leases the answer of this generation to a holder: a node's incarnation, never used again by
    /// another one. None: there are too many holders, so the answer must not be kept.
    pub fn lease(&mut self, holder: u64, generation: u64, now_us: i64) -> Option<Lease> {
        if self.held.len() >= HOLDERS_MAX && !self.held.contains_key(&holder) {
            self.held.retain(|_, l| now_us < l.until_us);
            if self.held.len() >= HOLDERS_MAX {
                return None;
            }
        }
        let until_us = now_us.saturating_add(TTL_US);
        let held = self.held.entry(holder).or_insert(Lease { until_us, generation });
        held.until_us = held.until_us.max(until_us);
        held.generation = held.generation.max(generation);
        Some(Lease { until_us, generation })
    }

    /// Something was taken away by the change `generation`, which is durable and applied: recalls
    /// what was leased before it. `ticket` is answered by an effect, of this call or of a later one.
    /// A replayed revocation comes here too: it waits for what the first one still waits for.
    pub fn revoke(
        &mut self,
        ticket: u64,
        generation: u64,
        now_us: i64,
    ) -> Result<Vec<Effect>, TooManyWaiting> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(TooManyWaiting);
        }
        let mut pending: BTreeMap<u64, i64> = self
            .held
            .iter()
            .filter(|(_, l)| l.generation < generation && now_us < l.until_us)
            .map(|(holder, l)| (*holder, l.until_us))
            .collect();
        let mut effects: Vec<Effect> =
            pending.keys().map(|holder| Effect::Recall { holder: *holder, generation }).collect();
        // A holder with a newer lease may still serve the older one, if the newer never reached it.
        // The last one that waits knows of all of these: it took over those of the one before.
        for (holder, until_us) in self.waiting.last().iter().flat_map(|w| &w.pending) {
            let until = pending.entry(*holder).or_insert(*until_us);
            *until = (*until).max(*until_us);
        }
        self.waiting.push(Waiting { ticket, generation, pending });
        effects.extend(self.poll(now_us));
        Ok(effects)
    }

    /// A holder says that it has nothing from before this generation and will take nothing.
    pub fn recalled(&mut self, holder: u64, generation: u64, now_us: i64) -> Vec<Effect> {
        if self.held.get(&holder).is_some_and(|l| l.generation < generation) {
            self.held.remove(&holder);
        }
        for waiting in self.waiting.iter_mut().filter(|w| w.generation <= generation) {
            waiting.pending.remove(&holder);
        }
        self.poll(now_us)
    }

    /// Answers what waits for nothing any more; to be called at [`Leases::next_due`] at the latest.
    pub fn poll(&mut self, now_us: i64) -> Vec<Effect> {
        self.held.retain(|_, l| now_us < l.until_us);
        let (early, unknown) =
            (self.planted.has(Bug::AnswersEarly), now_us < self.unknown_until_us);
        let mut effects = Vec::new();
        self.waiting.retain_mut(|w| {
            w.pending.retain(|_, until_us| now_us < *until_us);
            let waits = (unknown || !w.pending.is_empty()) && !early;
            if !waits {
                effects.push(Effect::Answer { ticket: w.ticket });
            }
            waits
        });
        effects
    }

    /// When the next revocation is answered even if no holder ever confirms.
    pub fn next_due(&self) -> Option<i64> {
        let due = |w: &Waiting| w.pending.values().copied().fold(self.unknown_until_us, i64::max);
        self.waiting.iter().map(due).min()
    }

    /// Nobody holds anything and nobody waits: the entity may leave memory.
    pub fn is_idle(&self, now_us: i64) -> bool {
        self.waiting.is_empty() && self.held.values().all(|l| l.until_us <= now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECALL_7: Effect = Effect::Recall { holder: 7, generation: 2 };
    const DONE: Effect = Effect::Answer { ticket: 1 };

    #[test]
    fn a_revocation_that_no_cache_knows_of_is_answered_at_once() {
        assert_eq!(Leases::new(0).revoke(1, 2, 10), Ok(vec![DONE]));
    }

    #[test]
    fn a_revocation_waits_for_the_word_of_every_holder() {
        let mut leases = Leases::new(0);
        leases.lease(7, 1, 10).unwrap();
        leases.lease(8, 1, 10).unwrap();
        let recall_8 = Effect::Recall { holder: 8, generation: 2 };
        assert_eq!(leases.revoke(1, 2, 20), Ok(vec![RECALL_7, recall_8]));
        assert_eq!(leases.recalled(7, 2, 30), []);
        assert_eq!(leases.recalled(7, 2, 31), [], "said twice");
        assert_eq!(leases.recalled(8, 1, 32), [], "about an older recall");
        assert_eq!(leases.recalled(8, 2, 33), [DONE]);
        assert!(leases.is_idle(33));
    }

    #[test]
    fn a_silent_holder_holds_a_revocation_up_until_its_lease_ends_and_no_longer() {
        let mut leases = Leases::new(0);
        assert_eq!(leases.lease(7, 1, 10).unwrap().until_us, 10 + TTL_US);
        assert_eq!(leases.revoke(1, 2, 20), Ok(vec![RECALL_7]));
        assert_eq!(leases.next_due(), Some(10 + TTL_US));
        assert_eq!(leases.poll(9 + TTL_US), []);
        assert!(!leases.is_idle(9 + TTL_US));
        assert_eq!(leases.poll(10 + TTL_US), [DONE]);
        assert_eq!(leases.next_due(), None);
    }

    #[test]
    fn what_was_leased_after_the_change_is_not_waited_for() {
        let mut leases = Leases::new(0);
        leases.lease(7, 2, 10).unwrap();
        assert_eq!(leases.revoke(1, 2, 20), Ok(vec![DONE]));
    }

    #[test]
    fn a_newer_lease_does_not_hide_the_older_one_that_the_holder_may_still_serve() {
        let mut leases = Leases::new(0);
        leases.lease(7, 1, 10).unwrap();
        assert_eq!(leases.revoke(1, 2, 20), Ok(vec![RECALL_7]));
        leases.lease(7, 2, 30).unwrap();
        assert_eq!(leases.revoke(2, 2, 40), Ok(vec![]), "the replay waits with the first");
        let both = [DONE, Effect::Answer { ticket: 2 }];
        assert_eq!(leases.poll(10 + TTL_US), both);
    }

    #[test]
    fn a_new_owner_answers_nothing_before_the_leases_of_the_old_one_are_over() {
        let mut leases = Leases::new(TTL_US);
        assert_eq!(leases.revoke(1, 2, 20), Ok(vec![]));
        assert_eq!(leases.next_due(), Some(TTL_US));
        assert_eq!(leases.poll(TTL_US - 1), []);
        assert_eq!(leases.poll(TTL_US), [DONE]);
    }

    #[test]
    fn after_an_erasure_a_revocation_of_what_was_granted_since_waits_as_any_other() {
        let mut leases = Leases::new(0);
        leases.lease(7, leases.generation(6), 10).unwrap();
        leases.begin_anew(6);
        let erased = leases.generation(0);
        let recall = Effect::Recall { holder: 7, generation: erased };
        assert_eq!(leases.revoke(1, erased, 20), Ok(vec![recall]));
        assert_eq!(leases.recalled(7, erased, 30), [DONE]);
        // the next history: granted, asked for, revoked
        leases.lease(7, leases.generation(1), 40).unwrap();
        let recall = Effect::Recall { holder: 7, generation: leases.generation(2) };
        assert_eq!(leases.revoke(2, leases.generation(2), 50), Ok(vec![recall]));
    }

    #[test]
    fn holders_and_waiting_revocations_are_bounded() {
        let mut leases = Leases::new(TTL_US);
        for holder in 0..HOLDERS_MAX as u64 {
            leases.lease(holder, 1, 0).unwrap();
        }
        assert_eq!(leases.lease(u64::MAX, 1, 1), None);
        assert!(leases.lease(5, 1, 1).is_some(), "a known holder may renew");
        for ticket in 0..WAITING_MAX as u64 {
            leases.revoke(ticket, 2, 1).unwrap();
        }
        assert_eq!(leases.revoke(u64::MAX, 2, 1), Err(TooManyWaiting));
        assert_eq!(leases.poll(1 + TTL_US).len(), WAITING_MAX);
        assert!(leases.lease(u64::MAX, 1, 1 + TTL_US).is_some());
    }
}
