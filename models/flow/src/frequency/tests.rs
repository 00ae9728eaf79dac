//! Caps, against a model that remembers everything.

use proptest::prelude::*;

use super::key::{Keyer, PersonKey};
use super::table::Table;
use crate::campaign::definition::Cap;
use crate::opportunity::{IdKind, User};

const SECOND: i64 = 1_000_000;
const CAPS: [Cap; 2] =
    [Cap { impressions: 2, period_s: 60 }, Cap { impressions: 3, period_s: 300 }];
const ANNA: PersonKey = PersonKey(1);

#[test]
fn a_person_sees_a_campaign_as_often_as_the_caps_allow_and_no_more() {
    let mut table = Table::new(64);
    for (at, bid) in [(0, 1), (10, 2)] {
        assert!(table.room(ANNA, 7, &CAPS, at * SECOND) > 0);
        table.bid(ANNA, 7, &CAPS, bid, at * SECOND, (at + 30) * SECOND);
        table.won(ANNA, 7, &CAPS, bid, at * SECOND, at * SECOND);
    }
    assert_eq!(table.room(ANNA, 7, &CAPS, 59 * SECOND), 0);
    assert_eq!(table.room(ANNA, 7, &CAPS, 61 * SECOND), 1, "the first is over");
    table.won(ANNA, 7, &CAPS, 3, 61 * SECOND, 61 * SECOND);
    assert_eq!(table.room(ANNA, 7, &CAPS, 200 * SECOND), 0, "three in five minutes");
    assert_eq!(table.room(ANNA, 7, &CAPS, 301 * SECOND), 1);
    assert_eq!(table.room(ANNA, 8, &CAPS, 61 * SECOND), 2, "of another campaign nothing");
    assert_eq!(table.room(PersonKey(2), 7, &CAPS, 61 * SECOND), 2, "of another person nothing");
    assert_eq!(table.room(ANNA, 7, &[], 61 * SECOND), u16::MAX);
}

#[test]
fn a_pending_bid_counts_until_it_is_lost_or_over() {
    let mut table = Table::new(64);
    table.bid(ANNA, 7, &CAPS, 1, 0, 30 * SECOND);
    table.bid(ANNA, 7, &CAPS, 2, 0, 30 * SECOND);
    assert_eq!(table.room(ANNA, 7, &CAPS, SECOND), 0);
    table.lost(ANNA, 7, 2, SECOND);
    assert_eq!(table.room(ANNA, 7, &CAPS, SECOND), 1);
    assert_eq!(table.room(ANNA, 7, &CAPS, 32 * SECOND), 2, "the other one is over");
    table.won(ANNA, 7, &CAPS, 1, 0, 40 * SECOND);
    table.won(ANNA, 7, &CAPS, 1, 0, 41 * SECOND);
    assert_eq!(table.room(ANNA, 7, &CAPS, 42 * SECOND), 1, "won late, and told twice");
    table.lost(ANNA, 7, 1, 43 * SECOND);
    assert_eq!(table.room(ANNA, 7, &CAPS, 43 * SECOND), 1, "what was won is not undone");
}

#[test]
fn what_is_stored_and_put_back_counts_as_before() {
    let mut table = Table::new(64);
    table.won(ANNA, 7, &CAPS, 1, 0, 0);
    table.bid(ANNA, 7, &CAPS, 2, 5 * SECOND, 30 * SECOND);
    let mut again = Table::new(8);
    table.records(6 * SECOND).for_each(|record| again.restore(record, 6 * SECOND));
    assert_eq!(again.room(ANNA, 7, &CAPS, 6 * SECOND), 0);
    again.lost(ANNA, 7, 2, 7 * SECOND);
    assert_eq!(again.room(ANNA, 7, &CAPS, 7 * SECOND), 1);
}

#[test]
fn times_and_ids_out_of_range_do_no_harm() {
    let mut table = Table::new(0);
    for at in [i64::MIN, -1, 0, i64::MAX] {
        table.bid(PersonKey(0), 0, &CAPS, 0, at, i64::MAX);
        table.won(PersonKey(u64::MAX), u64::MAX, &CAPS, u128::MAX, at, at);
        table.lost(PersonKey(0), 0, 0, at);
        let _ = table.room(PersonKey(0), 0, &CAPS, at);
    }
}

#[test]
fn keys_say_nothing_of_the_person_and_depend_on_the_secret() {
    let (one, other) = (Keyer::new(b"one"), Keyer::new(b"other"));
    assert_eq!(one.key("anna"), one.key("anna"));
    assert_ne!(one.key("anna"), other.key("anna"));
    assert_ne!(one.key("anna"), one.key("bert"));
}

#[test]
fn one_id_at_two_exchanges_is_two_people_and_one_device_is_one() {
    let keyer = Keyer::new(b"one");
    let key = |kind, key, exchange| keyer.person(&User { key, kind }, exchange);
    let of = |kind| ["a", "b"].map(|exchange| key(kind, "42", exchange));
    let [ours, same] = of(IdKind::Buyer);
    let [one, two] = of(IdKind::Exchange);
    let [device, again] = of(IdKind::Device);
    assert_eq!((ours, device), (same, again));
    let mut all = vec![ours, one, two, device, key(IdKind::Exchange, "42", "")];
    // Nor does anybody pass for another by what is put before an id.
    all.push(key(IdKind::Buyer, "\0d42", ""));
    all.push(key(IdKind::Buyer, "\0ia\x0042", ""));
    all.push(key(IdKind::Device, "a\x0042", ""));
    all.sort_unstable_by_key(|key| key.0);
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(ours, keyer.key("42"), "counts of customers are found again");
}

/// What happens to a bid for a person.
#[derive(Clone, Debug)]
struct Step {
    after_s: i64,
    person: u64,
    /// 0 won, 1 lost, 2 no outcome.
    outcome: u8,
    /// Of the bid before that has none yet, or of this one.
    late: bool,
}

/// `apart_s`: the most seconds between two.
fn steps(apart_s: i64, people: u64) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..apart_s, 0..people, 0_u8..3, any::<bool>());
    let step =
        step.prop_map(|(after_s, person, outcome, late)| Step { after_s, person, outcome, late });
    proptest::collection::vec(step, 1..200)
}

/// Runs steps against a table and a model of everything, and returns bids that were made and refused
/// although the caps had room.
fn run(pairs: usize, steps: &[Step]) -> Result<(usize, usize), TestCaseError> {
    let mut table = Table::new(pairs);
    // person, at, until (pending), counted
    let mut all: Vec<(u64, i64, i64, u8)> = Vec::new();
    let (mut now, mut bids, mut wrong) = (0, 0, 0);
    for (i, step) in steps.iter().enumerate() {
        now += step.after_s;
        let person = PersonKey(step.person.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (bid, until) = (i as u128 * 0x1_0000_0001 + 1, now + 20);
        let seen = |period: i64| {
            let one = |(who, at, until, state): &&(u64, i64, i64, u8)| {
                *who == step.person
                    && now - at <= period
                    && (*state == 0 || (*state == 2 && now <= until + 1))
            };
            all.iter().filter(one).count() as u16
        };
        let exact = (2_u16.saturating_sub(seen(60))).min(3_u16.saturating_sub(seen(300)));
        let room = table.room(person, 7, &CAPS, now * SECOND);
        prop_assert!(room <= exact, "{} of {} at {}", room, exact, now);
        wrong += usize::from(room == 0 && exact > 0);
        if room == 0 {
            all.push((step.person, i64::MIN / 2, 0, 1));
            continue;
        }
        bids += 1;
        table.bid(person, 7, &CAPS, bid, now * SECOND, until * SECOND);
        all.push((step.person, now, until, 2));
        let of = if step.late { i.saturating_sub(5) } else { i };
        let (who, at, _, state) = all[of];
        if state != 2 {
            continue;
        }
        let person = PersonKey(who.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bid = of as u128 * 0x1_0000_0001 + 1;
        match step.outcome {
            0 => table.won(person, 7, &CAPS, bid, at * SECOND, now * SECOND),
            1 => table.lost(person, 7, bid, now * SECOND),
            _ => continue,
        }
        all[of].3 = step.outcome;
    }
    Ok((bids, wrong))
}

#[test]
fn what_was_forgotten_twice_counts_twice() {
    let mut table = Table::new(8);
    let caps = [Cap { impressions: 2, period_s: 3_600 }];
    let person = |i: u64| PersonKey(i);
    for round in 0..2_u64 {
        let now = round as i64 * 100 * SECOND;
        table.won(ANNA, 7, &caps, u128::from(round) + 1, now, now);
        // Eight others push her out.
        for i in 0..8 {
            let at = now + (1 + i as i64) * SECOND;
            table.won(person(100 + 8 * round + i), 7, &caps, 1_000 + u128::from(i), at, at);
        }
    }
    assert!(table.forgotten() >= 2);
    assert_eq!(table.room(ANNA, 7, &caps, 200 * SECOND), 0);
}

proptest! {
    #[test]
    fn with_room_for_all_the_table_is_exact(steps in steps(40, 12)) {
        let (_, wrong) = run(4_096, &steps)?;
        prop_assert_eq!(wrong, 0);
    }

    #[test]
    fn a_table_that_has_to_forget_never_allows_more_than_the_cap(steps in steps(4, 12)) {
        // Eight places for twelve people, who come again before their impressions are over.
        run(8, &steps)?;
    }
}

#[test]
fn memory_is_what_the_table_says() {
    assert_eq!(std::mem::size_of::<super::entry::Entry>(), 80);
}
