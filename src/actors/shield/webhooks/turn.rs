//! Whose turn it is. Slots are few and receivers may hold them for as long as an attempt may take, so
//! no account and no webhook gets more than its part, those that did not answer last time have half of
//! the slots at most, and who has the least under way comes first.

use std::collections::{BTreeMap, BTreeSet};

use super::rest::{Hook, Rests, Standing};

/// Attempts under way at a time.
pub const IN_FLIGHT_MAX: usize = 32;
/// Of one account: seven accounts whose receivers are slow leave room for an eighth.
const OF_ACCOUNT_MAX: usize = 4;
/// Of one webhook.
const OF_HOOK_MAX: usize = 2;
/// To webhooks that did not answer last time: of all, and of one account.
const DOUBTFUL_MAX: usize = 16;
const DOUBTFUL_OF_ACCOUNT_MAX: usize = 2;

#[derive(Clone, Debug)]
struct Slot {
    hook: Hook,
    event: String,
    doubtful: bool,
}

/// The attempts under way.
#[derive(Clone, Debug, Default)]
pub struct Slots(Vec<Slot>);

impl Slots {
    pub fn taken(&self) -> usize {
        self.0.len()
    }

    pub fn full(&self) -> bool {
        self.taken() >= IN_FLIGHT_MAX
    }

    /// Whether this delivery is under way.
    pub fn holds(&self, hook: &Hook, event: &str) -> bool {
        self.0.iter().any(|slot| slot.hook == *hook && slot.event == event)
    }

    pub fn take(&mut self, hook: &Hook, event: &str, doubtful: bool) {
        self.0.push(Slot { hook: hook.clone(), event: event.to_owned(), doubtful });
    }

    pub fn free(&mut self, hook: &Hook, event: &str) {
        self.0.retain(|slot| slot.hook != *hook || slot.event != event);
    }

    /// Whether this webhook may have one more, and whether that is one to a doubtful receiver.
    pub fn room(&self, hook: &Hook, standing: Standing) -> Option<bool> {
        let of_hook = self.of_hook(hook);
        if of_hook >= OF_HOOK_MAX || self.of_account(&hook.0) >= OF_ACCOUNT_MAX {
            return None;
        }
        let doubtful = match standing {
            Standing::Good => return Some(false),
            Standing::Doubtful => true,
            // the attempt that decides is the only one
            Standing::Due => of_hook == 0,
            Standing::Resting => false,
        };
        let of_account = |slot: &Slot| slot.doubtful && slot.hook.0 == hook.0;
        let room = doubtful
            && self.count(|slot| slot.doubtful) < DOUBTFUL_MAX
            && self.count(of_account) < DOUBTFUL_OF_ACCOUNT_MAX;
        room.then_some(true)
    }

    fn of_account(&self, account: &str) -> usize {
        self.count(|slot| slot.hook.0 == account)
    }

    fn of_hook(&self, hook: &Hook) -> usize {
        self.count(|slot| slot.hook == *hook)
    }

    fn count(&self, of: impl Fn(&Slot) -> bool) -> usize {
        self.0.iter().filter(|slot| of(slot)).count()
    }
}

/// The webhooks that may send one delivery each, in the order of their turns: accounts that have less
/// under way first, and of those each one before any has a second; of an account the webhook that has
/// the least under way. Between equals `draw`, which is random, decides: nobody can choose a name that
/// comes first, and none stays the last. The same webhook may have two turns.
///
/// There are as many as there are slots, not only as many as are free: what waits at a webhook may be
/// just the delivery that is under way already.
pub fn turns(
    waiting: Vec<Hook>,
    slots: &Slots,
    rests: &Rests,
    now_us: i64,
    mut draw: impl FnMut() -> u64,
) -> Vec<Hook> {
    let mut by_account: BTreeMap<String, Vec<(u64, Hook)>> = BTreeMap::new();
    for hook in waiting {
        by_account.entry(hook.0.clone()).or_default().push((draw(), hook));
    }
    let mut accounts: Vec<_> = by_account.into_iter().map(|of| (draw(), of)).collect();
    accounts.sort_by_key(|(drawn, _)| *drawn);
    for (_, (_, hooks)) in &mut accounts {
        hooks.sort_by_key(|(drawn, _)| *drawn);
    }
    let (mut slots, mut turns) = (slots.clone(), Vec::new());
    for under_way in 0..OF_ACCOUNT_MAX {
        for (_, (account, hooks)) in &accounts {
            if slots.of_account(account) != under_way {
                continue;
            }
            let fitting = hooks
                .iter()
                .map(|(_, hook)| hook)
                .filter(|hook| slots.room(hook, rests.standing(hook, now_us)).is_some());
            let Some(hook) = fitting.min_by_key(|hook| slots.of_hook(hook)) else { continue };
            let doubtful = rests.standing(hook, now_us) != Standing::Good;
            slots.take(hook, "", doubtful);
            turns.push(hook.clone());
            if turns.len() == IN_FLIGHT_MAX {
                return turns;
            }
        }
    }
    turns
}

/// The account that the next look begins behind: the last of these, or none when there are fewer than
/// a look finds, and so no more.
pub fn behind(waiting: &[(Hook, i64)], accounts_max: usize) -> String {
    let accounts: BTreeSet<&str> =
        waiting.iter().map(|((account, _), _)| account.as_str()).collect();
    let full = accounts.len() >= accounts_max;
    accounts.last().filter(|_| full).map_or_else(String::new, |last| (*last).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::access::retry::Schedule;

    fn hook(account: &str, id: usize) -> Hook {
        (account.to_owned(), id.to_string())
    }

    fn hooks(account: &str, n: usize) -> Vec<Hook> {
        (0..n).map(|id| hook(account, id)).collect()
    }

    fn rests() -> Rests {
        Rests::new(Schedule::default())
    }

    /// Turns where the order of names decides between equals.
    fn turns_of(waiting: Vec<Hook>, slots: &Slots, rests: &Rests) -> Vec<Hook> {
        let mut n = 0;
        turns(waiting, slots, rests, 0, || {
            n += 1;
            n
        })
    }

    fn of(turns: &[Hook], account: &str) -> usize {
        turns.iter().filter(|hook| hook.0 == account).count()
    }

    fn silent(rests: &mut Rests, hook: &Hook, times: u32) {
        for _ in 0..times {
            rests.silent(hook, 0);
        }
    }

    #[test]
    fn an_account_has_four_slots_and_a_webhook_two() {
        let slots = Slots::default();
        assert_eq!(turns_of(hooks("a", 16), &slots, &rests()).len(), 4);
        assert_eq!(turns_of(hooks("a", 1), &slots, &rests()), [hook("a", 0), hook("a", 0)]);
        let mut slots = Slots::default();
        slots.take(&hook("a", 0), "x", false);
        slots.take(&hook("a", 0), "y", false);
        slots.take(&hook("a", 1), "x", false);
        let turns = turns_of(hooks("a", 3), &slots, &rests());
        assert_eq!(turns, [hook("a", 2)], "it has the least under way");
    }

    #[test]
    fn each_account_has_a_turn_before_any_has_a_second() {
        let waiting = [hooks("a", 16), hooks("b", 1), hooks("c", 2)].concat();
        let turns = turns_of(waiting.clone(), &Slots::default(), &rests());
        let accounts: Vec<&str> = turns.iter().map(|hook| &*hook.0).collect();
        assert_eq!(accounts, ["a", "b", "c", "a", "b", "c", "a", "c", "a", "c"]);
        let mut slots = Slots::default();
        slots.take(&hook("a", 0), "x", false);
        let turns = turns_of(waiting, &slots, &rests());
        assert_eq!(of(&turns[..2], "a"), 0, "who has nothing under way comes first");
        assert_eq!(of(&turns, "a"), 3);
    }

    #[test]
    fn many_accounts_share_the_slots_and_the_draw_decides_who_is_first() {
        let waiting: Vec<Hook> = (0..100).map(|n| hook(&format!("{n:02}"), 0)).collect();
        let turns_of = |seed: u64| {
            let mut state = seed;
            turns(waiting.clone(), &Slots::default(), &rests(), 0, || {
                // SplitMix64
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z ^ (z >> 27)
            })
        };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 1..=40 {
            let turns = turns_of(seed);
            assert_eq!(turns.len(), IN_FLIGHT_MAX);
            seen.extend(turns);
        }
        assert_eq!(seen.len(), 100, "none stays the last");
    }

    #[test]
    fn webhooks_that_did_not_answer_leave_half_of_an_accounts_slots_to_its_others() {
        let mut rests = rests();
        for id in 0..15 {
            silent(&mut rests, &hook("a", id), 1);
        }
        let turns = turns_of(hooks("a", 16), &Slots::default(), &rests);
        assert_eq!(turns.iter().filter(|h| **h == hook("a", 15)).count(), 2);
        assert_eq!(turns.len(), 4);
    }

    #[test]
    fn webhooks_that_did_not_answer_leave_half_of_all_slots_to_others() {
        let mut rests = rests();
        let mut waiting = Vec::new();
        for account in 0..20 {
            let silents = hooks(&format!("{account:02}"), 4);
            silents.iter().for_each(|hook| silent(&mut rests, hook, 1));
            waiting.extend(silents);
        }
        let turns = turns_of(waiting.clone(), &Slots::default(), &rests);
        assert_eq!(turns.len(), DOUBTFUL_MAX);
        waiting.extend(hooks("z", 4));
        assert_eq!(of(&turns_of(waiting, &Slots::default(), &rests), "z"), 4);
    }

    #[test]
    fn one_that_rests_has_no_turn_and_one_turn_when_its_rest_is_over() {
        let mut rests = rests();
        silent(&mut rests, &hook("a", 0), 3);
        assert!(turns_of(hooks("a", 1), &Slots::default(), &rests).is_empty());
        let later = |slots: &Slots| turns(hooks("a", 1), slots, &rests, 60_000_000, || 0);
        let mut slots = Slots::default();
        assert_eq!(later(&slots), [hook("a", 0)], "one decides");
        slots.take(&hook("a", 0), "x", true);
        assert!(later(&slots).is_empty());
    }

    #[test]
    fn a_look_that_is_full_goes_on_behind_its_last_account() {
        let waiting: Vec<(Hook, i64)> = [hooks("b", 2), hooks("c", 1), hooks("a", 9)]
            .concat()
            .into_iter()
            .map(|hook| (hook, 0))
            .collect();
        assert_eq!(behind(&waiting, 3), "c");
        assert_eq!(behind(&waiting, 4), "", "there are no more: from the first one on");
        assert_eq!(behind(&[], 3), "");
    }

    #[test]
    fn a_slot_is_free_when_its_delivery_is() {
        let mut slots = Slots::default();
        slots.take(&hook("a", 0), "x", false);
        slots.take(&hook("a", 0), "y", false);
        assert!(slots.holds(&hook("a", 0), "x") && !slots.holds(&hook("a", 1), "x"));
        assert_eq!(slots.room(&hook("a", 0), Standing::Good), None);
        slots.free(&hook("a", 0), "x");
        assert_eq!((slots.taken(), slots.room(&hook("a", 0), Standing::Good)), (1, Some(false)));
    }
}
