//! The index against the definitions themselves.

use std::sync::Arc;

use proptest::prelude::*;

use kiki_models::shield::consent::kind::{Kind, KindSet};
use kiki_models::shield::money::{Currency, Micros, Rate, UNIT};

use super::bits;
use super::check::Asked;
use super::explain::explain;
use super::index::Index;
use super::person::{Ltv, LtvStatus, Person};
use super::samples::{COHORTS, Dice, auction, campaign, seeds};
use super::scratch::{Refused, Scratch};
use crate::auction::rates::Rates;
use crate::campaign::audience::Cohort;
use crate::campaign::state::Campaign;
use crate::frequency::{PersonKey, Table};
use crate::opportunity::Auction;
use crate::reason::Reason;

pub(crate) fn rates() -> Rates {
    let listed = [("EUR", 1_085_000_000), ("JPY", 6_700_000)];
    let listed = listed.map(|(code, rate)| (code.parse().expect("a code"), Rate(rate)));
    Rates::new(20261121, Currency::USD, listed).expect("rates")
}

/// Who sees it, some of the time.
pub(crate) fn person<'a>(table: &'a Table, dice: &mut Dice) -> Person<'a> {
    let ltv = Ltv {
        amount: Micros(dice.one(&[10, 100, 199, 250, 400]) * UNIT),
        currency: dice.one(&["USD", "EUR", "GBP"]).parse().expect("a code"),
        status: LtvStatus::Success,
        model: "bg_nbd-7",
        engagement: Some(0.7),
        personal: dice.yes(90),
    };
    let cohort = if dice.yes(50) { Cohort::parse(COHORTS[0]) } else { None };
    let mut granted = KindSet::default();
    if dice.yes(50) {
        granted.insert(Kind::Targeting);
    }
    Person {
        ltv: dice.yes(70).then_some(ltv),
        cohort,
        granted: dice.yes(50).then_some(granted),
        seen: dice.yes(90).then_some((table, PersonKey(1))),
    }
}

/// A table in which the person has seen some of the campaigns.
pub(crate) fn seen(campaigns: &[Arc<Campaign>], at_us: i64, dice: &mut Dice) -> Table {
    let mut table = Table::new(4_096);
    for (i, campaign) in campaigns.iter().enumerate() {
        let it = &campaign.definition;
        let key = super::compile::key_of(&it.account, &it.id);
        for n in 0..dice.one(&[0, 0, 1, 2]) {
            let bid = (i as u128) << 40 | n;
            table.won(PersonKey(1), key, &it.frequency.caps, bid, at_us, at_us);
        }
    }
    table
}

/// What the index says of every campaign for a slot: `None` takes it.
pub(crate) fn by_index(
    index: &Index,
    auction: &Auction<'_>,
    person: &Person<'_>,
    place: usize,
    scratch: &mut Scratch,
) -> (Vec<Option<Reason>>, Refused) {
    let rates = rates();
    index.request(auction, person.seen.is_some(), scratch);
    let mut refused = Refused::default();
    let slot = &auction.slots[place];
    index.slot(slot, scratch, &mut refused);
    let asked = Asked { auction, person, rates: &rates, seed: 1 };
    let words = (0..scratch.words()).filter_map(|at| scratch.word(at));
    let candidates = words
        .flat_map(|(first, word)| bits::each(&[word]).map(|bit| first + bit).collect::<Vec<_>>());
    let candidates: Vec<u32> = candidates.collect();
    // Whoever is no candidate is refused by the index; by what, its counts say.
    let mut all = vec![Some(Reason::NoCandidate); index.len()];
    for at in candidates {
        let entry = index.entry(at).expect("an entry");
        let outcome = index.check(entry, &asked, slot, place, scratch);
        all[at as usize] = outcome.err();
    }
    (all, refused)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The index takes exactly the campaigns that the definitions take, and counts each of the others with
    /// its first reason.
    #[test]
    fn the_index_and_the_definitions_agree_on_every_campaign(seed in seeds()) {
        let mut dice = Dice::new(seed);
        let often = dice.one(&[5, 15, 40]);
        let campaigns: Vec<Arc<Campaign>> = (0..60).map(|i| campaign(i, often, &mut dice)).collect();
        let index = Index::new(campaigns.iter().cloned(), "house");
        let mut scratch = Scratch::default();
        for _ in 0..4 {
            let auction = auction(often, &mut dice);
            let table = seen(&campaigns, auction.at_us, &mut dice);
            let person = person(&table, &mut dice).of(&auction);
            for (place, slot) in auction.slots.iter().enumerate() {
                let (said, refused) = by_index(&index, &auction, &person, place, &mut scratch);
                let mut counted = Refused::default();
                for (campaign, said) in campaigns.iter().zip(said) {
                    let found = explain(campaign, "house", &auction, slot, &person, &rates());
                    let first = found.findings.first().map(|it| it.reason);
                    let mut rest = super::explain::ORDER;
                    for it in &found.findings {
                        let ahead = rest.iter().position(|reason| *reason == it.reason);
                        prop_assert!(ahead.is_some(), "out of order: {:?}", found.findings);
                        rest = &rest[ahead.unwrap_or(0)..];
                    }
                    if said == Some(Reason::NoCandidate) {
                        prop_assert!(first.is_some(), "{:?}", campaign.definition);
                        counted.add(first.unwrap_or(Reason::NoCandidate), 1);
                    } else {
                        prop_assert_eq!(said, first, "{:?} {:?}", found, campaign.definition);
                    }
                }
                let slots = auction.slots.len() as u32;
                for reason in Reason::ALL {
                    let by_request = scratch.refused.get(*reason) / slots;
                    let by_index = by_request + refused.get(*reason);
                    prop_assert_eq!(by_index, counted.get(*reason), "{}", reason);
                }
            }
        }
    }
}

#[test]
fn an_index_of_nothing_has_no_candidates() {
    let index = Index::new([], "house");
    let mut dice = Dice::new(1);
    let (mut scratch, auction) = (Scratch::default(), auction(20, &mut dice));
    let (said, refused) = by_index(&index, &auction, &Person::default(), 0, &mut scratch);
    assert_eq!((said.len(), refused.total()), (0, 0));
}

#[test]
fn a_scratch_serves_indexes_of_any_size_in_any_order() {
    let mut dice = Dice::new(7);
    let campaigns: Vec<Arc<Campaign>> = (0..300).map(|i| campaign(i, 10, &mut dice)).collect();
    let sizes = [300, 3, 200, 0, 65, 300];
    let indexes = sizes.map(|n| Index::new(campaigns[..n].iter().cloned(), "house"));
    let mut shared = Scratch::default();
    for index in &indexes {
        let auction = auction(30, &mut dice);
        let fresh = by_index(index, &auction, &Person::default(), 0, &mut Scratch::default());
        assert_eq!(by_index(index, &auction, &Person::default(), 0, &mut shared), fresh);
    }
}

#[test]
fn campaigns_that_are_put_in_order_are_judged_as_their_definitions_say() {
    let mut dice = Dice::new(5);
    let campaigns: Vec<Arc<Campaign>> = (0..1_500).map(|i| campaign(i, 30, &mut dice)).collect();
    let index = Index::new(campaigns, "house");
    let campaigns: Vec<Arc<Campaign>> =
        index.entries.iter().map(|entry| Arc::clone(&entry.campaign)).collect();
    assert_eq!(campaigns.len(), 1_500);
    let mut scratch = Scratch::default();
    for _ in 0..20 {
        let auction = auction(20, &mut dice);
        let table = seen(&campaigns, auction.at_us, &mut dice);
        let person = person(&table, &mut dice).of(&auction);
        let (said, refused) = by_index(&index, &auction, &person, 0, &mut scratch);
        let (mut counted, mut none) = (Refused::default(), 0);
        for (campaign, said) in campaigns.iter().zip(said) {
            let found = explain(campaign, "house", &auction, &auction.slots[0], &person, &rates());
            let first = found.findings.first().map(|it| it.reason);
            if said == Some(Reason::NoCandidate) {
                counted.add(first.expect("a reason"), 1);
                none += 1;
            } else {
                assert_eq!(said, first, "{:?}", campaign.definition);
            }
        }
        let slots = auction.slots.len() as u32;
        let total = scratch.refused.total() / u64::from(slots) + refused.total();
        assert_eq!(total, none);
        for reason in Reason::ALL {
            let by_index = scratch.refused.get(*reason) / slots + refused.get(*reason);
            assert_eq!(by_index, counted.get(*reason), "{reason}");
        }
    }
}

#[test]
fn an_index_after_another_says_the_same_and_reads_no_markup_again() {
    let mut dice = Dice::new(9);
    let many: Vec<Arc<Campaign>> = (0..200).map(|i| campaign(i, 20, &mut dice)).collect();
    let before = Index::new(many[..150].iter().cloned(), "house");
    let (after, fresh) = (
        Index::after(Some(&before), many[50..].iter().cloned(), "house"),
        Index::new(many[50..].iter().cloned(), "house"),
    );
    let auction = auction(30, &mut dice);
    let of =
        |index: &Index| by_index(index, &auction, &Person::default(), 0, &mut Scratch::default());
    assert_eq!(of(&after), of(&fresh));
    // Tens of megabytes of markup.
    let markup = "<".repeat(64 << 10);
    let large: Vec<Arc<Campaign>> = (0..300)
        .map(|i| {
            let it = campaign(i, 10, &mut dice);
            let mut definition = (*it.definition).clone();
            definition.creatives.iter_mut().for_each(|it| it.markup = markup.clone());
            Arc::new(Campaign { definition: Arc::new(definition), ..(*it).clone() })
        })
        .collect();
    let time = |before: Option<&Index>| {
        let begun = std::time::Instant::now();
        let index = Index::after(before, large.iter().cloned(), "house");
        (begun.elapsed(), index)
    };
    let (first, index) = time(None);
    let (again, _) = time(Some(&index));
    println!("300 campaigns with 64 KiB of markup each: {first:?}, and again {again:?}");
    assert!(again < first, "{again:?} after {first:?}");
}

#[test]
fn ten_thousand_campaigns_are_indexed_within_a_second() {
    let mut dice = Dice::new(3);
    let campaigns: Vec<Arc<Campaign>> = (0..10_000).map(|i| campaign(i, 20, &mut dice)).collect();
    let begun = std::time::Instant::now();
    let index = Index::new(campaigns, "house");
    let took = begun.elapsed();
    println!(
        "an index of 10,000 campaigns: {} ms, {} KiB of lists",
        took.as_millis(),
        index.bytes() >> 10
    );
    assert_eq!(index.len(), 10_000);
    assert!(took.as_millis() < 1_000, "{took:?}");
}
