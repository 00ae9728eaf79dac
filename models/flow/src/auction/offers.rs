//! What of a campaign is offered where: deals and their advertisers, and what a publisher blocks of each format.

use kiki_models::shield::money::{Currency, Micros, UNIT};

use super::decide::{Context, Scratch, decide};
use super::tests::{plain, second, snapshot};
use crate::campaign::creative::{Creative, FormatKind};
use crate::campaign::definition::Definition;
use crate::campaign::taxonomy::Taxonomy;
use crate::opportunity::{Ask, Auction, Category, Deal, Floor, Format};
use crate::reason::Reason;
use crate::targeting::tests::rates;
use crate::targeting::{Index, Person, Sight};

/// The creative and the deal of the winner, or why there is none, of one campaign that bids 4.
fn bid(
    asked: &Auction<'_>,
    seed: u64,
    change: impl FnOnce(&mut Definition),
) -> Result<(u16, Option<u16>), Reason> {
    let index = Index::new([plain(0, 4, change)], "house");
    let rates = rates();
    let sight = Sight { rates: &rates, person: Person::default() };
    let context = Context { sights: &sight, seed };
    let (snapshots, mut scratch) = ([snapshot(1.0)], Scratch::default());
    let decisions = decide(asked, &index, &snapshots[..], &context, &mut scratch);
    let won = decisions.winner(0).map(|bid| (bid.creative, bid.deal));
    won.ok_or_else(|| decisions.no_bid().expect("a reason"))
}

fn deal(id: &'static str, floor: i64) -> Deal<'static> {
    Deal {
        id,
        floor: Some(Floor { cpm: Micros(floor * UNIT), currency: Currency::USD }),
        price: None,
        fixed: false,
        seats: Default::default(),
        advertisers: Default::default(),
    }
}

/// Two creatives alike, but for who advertises.
fn two_advertisers(it: &mut Definition) {
    let first = it.creatives[0].clone();
    let advertiser_domains = vec!["shop.rival.example".to_owned()];
    it.creatives.push(Creative { id: "other".to_owned(), advertiser_domains, ..first });
    it.targeting.deals.ids = vec!["deal".to_owned()];
}

#[test]
fn a_deal_is_bid_on_with_a_creative_of_an_advertiser_that_it_admits() {
    let mut asked = second(1);
    asked.slots[0].private = true;
    for (listed, creative) in [("rival.example", 1), ("acme.example", 0)] {
        let advertisers = [listed].into_iter().collect();
        asked.slots[0].deals = [Deal { advertisers, ..deal("deal", 1) }].into_iter().collect();
        for seed in 0..32 {
            assert_eq!(bid(&asked, seed, two_advertisers), Ok((creative, Some(0))), "{listed}");
        }
        // On the open market whichever comes; the deal is only bid on with its own.
        let mut open = asked.clone();
        open.slots[0].private = false;
        open.slots[0].floor = Some(Floor { cpm: Micros(9 * UNIT), currency: Currency::USD });
        for seed in 0..32 {
            assert_eq!(bid(&open, seed, two_advertisers), Ok((creative, Some(0))), "{listed}");
        }
    }
    let advertisers = ["other.example"].into_iter().collect();
    asked.slots[0].deals = [Deal { advertisers, ..deal("deal", 1) }].into_iter().collect();
    assert_eq!(bid(&asked, 1, two_advertisers), Err(Reason::Deal));
    // What is blocked opens no deal.
    let advertisers = ["rival.example"].into_iter().collect();
    asked.slots[0].deals = [Deal { advertisers, ..deal("deal", 1) }].into_iter().collect();
    asked.blocked.advertisers = ["rival.example"].into_iter().collect();
    assert_eq!(bid(&asked, 1, two_advertisers), Err(Reason::Deal));
}

#[test]
fn a_deal_that_can_be_bid_on_is_found_however_many_cannot() {
    let ids: Vec<&'static str> = (0..40).map(|n| &*format!("deal-{n}").leak()).collect();
    let ours = |it: &mut Definition| {
        it.targeting.deals.ids = ids.iter().map(|id| (*id).to_owned()).collect();
    };
    for private in [true, false] {
        let mut asked = second(1);
        asked.slots[0].private = private;
        asked.slots[0].floor = Some(Floor { cpm: Micros(90 * UNIT), currency: Currency::USD });
        asked.slots[0].deals = ids.iter().map(|id| deal(id, 90)).collect();
        assert_eq!(bid(&asked, 1, ours), Err(Reason::BelowFloor));
        asked.slots[0].deals[39].floor = None;
        assert_eq!(bid(&asked, 1, ours), Ok((0, Some(39))));
    }
}

#[test]
fn what_one_format_blocks_the_others_take() {
    let mut asked = second(1);
    asked.slots[0].formats =
        [Format::Banner { w: 300, h: 250 }, Format::Video { w: 640, h: 360, min_s: 0, max_s: 60 }]
            .into_iter()
            .collect();
    let blocks = |asked: &mut Auction<'_>, kind: FormatKind| {
        let attributes_blocked = [6, 16].into_iter().collect();
        asked.slots[0].asks = Default::default();
        asked.slots[0].asks.add(kind, Ask { attributes_blocked, ..Ask::default() });
    };
    let sixth = |it: &mut Definition| it.creatives[0].attributes = vec![6];
    blocks(&mut asked, FormatKind::Video);
    assert_eq!(bid(&asked, 1, sixth), Ok((0, None)));
    blocks(&mut asked, FormatKind::Banner);
    assert_eq!(bid(&asked, 1, sixth), Err(Reason::Blocked));
}

#[test]
fn content_in_another_taxonomy_is_not_what_is_looked_for_and_may_be_what_is_avoided() {
    let page = |codes: &[&'static str], cattax: u16| {
        let said = Taxonomy::of(cattax);
        let of = |code: &&'static str| Category { code, taxonomy: said.of_code(code) };
        let mut asked = second(1);
        asked.categories = codes.iter().map(of).collect();
        asked
    };
    let avoids = |it: &mut Definition| it.targeting.categories.exclude = vec!["IAB25".to_owned()];
    let avoids_new = |it: &mut Definition| {
        it.targeting.categories.exclude = vec!["52".to_owned()];
        it.targeting.categories.cattax = Some(6);
    };
    let seeks_new = |it: &mut Definition| {
        it.targeting.categories.include = vec!["52".to_owned()];
        it.targeting.categories.cattax = Some(6);
    };
    let won = Ok((0, None));
    let lost = Err(Reason::Category);
    for (codes, cattax, [avoid, avoid_new, seek_new]) in [
        (&["IAB1"][..], 1, [won, lost, lost]),
        (&["IAB25-2"], 1, [lost, lost, lost]),
        (&["53"], 6, [lost, won, lost]),
        (&["52"], 6, [lost, lost, won]),
        (&["52"], 7, [lost, lost, lost]),
        (&["52"], 500, [lost, lost, lost]),
        (&["IAB1", "53"], 6, [won, won, lost]),
        (&[], 1, [won, won, lost]),
    ] {
        let asked = page(codes, cattax);
        assert_eq!(bid(&asked, 1, avoids), avoid, "{codes:?} {cattax}");
        assert_eq!(bid(&asked, 1, avoids_new), avoid_new, "{codes:?} {cattax}");
        assert_eq!(bid(&asked, 1, seeks_new), seek_new, "{codes:?} {cattax}");
    }
}
