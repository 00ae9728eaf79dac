//! Decisions: directed cases, and all of it against plain reckoning.

use std::sync::Arc;

use proptest::prelude::*;

use kiki_models::shield::money::{Currency, Micros, UNIT};

use super::bid::{Bid, reserve};
use super::decide::{Context, Scratch, decide};
use super::explain::{explain_one, sample};
use super::rank::FALLBACKS_MAX;
use super::rates::Round;
use super::snapshot::{Learned, Snapshot};
use crate::campaign::state::Campaign;
use crate::campaign::strategy::Strategy as Bidding;
use crate::decision::outcome::cost;
use crate::decision::record::PriceUsed;
use crate::frequency::key::mix;
use crate::opportunity::{Auction, Deal, Floor, Format, PriceType, Slot};
use crate::pacing::Multipliers;
use crate::pricing::WinCurve;
use crate::reason::Reason;
use crate::targeting::samples::{Dice, auction, campaign, seeds};
use crate::targeting::tests::{person, rates, seen};
use crate::targeting::{Index, Person, Sight};

pub(super) fn snapshot(mu: f64) -> Snapshot {
    Snapshot {
        closed: None,
        multipliers: Multipliers { mu, lambda: 0.0, pass: 1.0 },
        curve: WinCurve::default(),
        learned: Learned::default(),
        left: None,
    }
}

fn snapshots(n: usize, dice: &mut Dice) -> Vec<Snapshot> {
    let one = |dice: &mut Dice| {
        let mut it = snapshot(1.0 + (dice.raw() % 1_000_000) as f64 / 1e6);
        it.closed = dice.yes(5).then_some(Reason::Breaker);
        it.multipliers.pass = if dice.yes(20) { 0.5 } else { 1.0 };
        it.left = dice.yes(20).then_some(Micros(dice.raw() as i64 & 0xfff));
        it
    };
    (0..n).map(|_| one(dice)).collect()
}

fn context<'a>(sights: &'a Sight<'a>, seed: u64) -> Context<'a, Sight<'a>> {
    Context { sights, seed }
}

pub(super) fn code(text: &str) -> Currency {
    text.parse().expect("a code")
}

/// A banner campaign in USD that takes everything and bids `cpm` units.
pub(super) fn plain(
    id: usize,
    cpm: i64,
    change: impl FnOnce(&mut crate::campaign::definition::Definition),
) -> Arc<Campaign> {
    let base = campaign(id, 0, &mut Dice::new(id as u64));
    let mut it = crate::campaign::definition::Definition::read(crate::campaign::tests::SMALL)
        .expect("a definition");
    it.id = format!("camp_{id}");
    it.strategy = Bidding::MaxCpm { cpm: Micros(cpm * UNIT) };
    change(&mut it);
    Arc::new(Campaign { definition: Arc::new(it), ..(*base).clone() })
}

fn banner() -> Slot<'static> {
    Slot {
        id: "1",
        formats: [Format::Banner { w: 300, h: 250 }].into_iter().collect(),
        floor: None,
        deals: Default::default(),
        private: false,
        secure: false,
        asks: Default::default(),
        expires_s: None,
    }
}

pub(super) fn second(slots: usize) -> Auction<'static> {
    let mut it = auction(0, &mut Dice::new(1));
    it.price = PriceType::Second;
    it.currencies = [Currency::USD].into_iter().collect();
    it.coppa = false;
    it.seats.clear();
    it.seats_blocked.clear();
    it.blocked = Default::default();
    it.allowed = Default::default();
    it.slots = (0..slots).map(|_| banner()).collect();
    it
}

pub(super) struct Run {
    pub(super) index: Index,
    pub(super) snapshots: Vec<Snapshot>,
    scratch: Scratch,
}

impl Run {
    pub(super) fn of(campaigns: Vec<Arc<Campaign>>) -> Run {
        let snapshots = campaigns.iter().map(|_| snapshot(1.0)).collect();
        Run { index: Index::new(campaigns, "house"), snapshots, scratch: Scratch::default() }
    }

    pub(super) fn decide(&mut self, auction: &Auction<'_>) -> &mut super::Decisions {
        self.decide_at(auction, 1)
    }

    pub(super) fn decide_at(&mut self, auction: &Auction<'_>, seed: u64) -> &mut super::Decisions {
        let rates = rates();
        let sight = Sight { rates: &rates, person: Person::default() };
        let context = context(&sight, seed);
        decide(auction, &self.index, &self.snapshots[..], &context, &mut self.scratch)
    }
}

#[test]
fn who_values_it_most_wins_and_the_others_stand_behind_in_order() {
    let mut run = Run::of((0..6).map(|i| plain(i, 1 + i as i64, |_| ())).collect());
    let decisions = run.decide(&second(1));
    let ranked: Vec<u32> = decisions.ranked(0).map(|bid| bid.at).collect();
    assert_eq!(ranked, [5, 4, 3, 2]);
    let bid = *decisions.winner(0).expect("a winner");
    assert_eq!((bid.cpm, bid.reserve), (Micros(6 * UNIT), Micros(6_000)));
    assert_eq!(decisions.refused().get(Reason::Outbid), 5);
    assert_eq!(decisions.no_bid(), None);
}

#[test]
fn a_winner_that_its_budget_refuses_is_followed_by_the_next_at_most_three_times() {
    let mut run = Run::of((0..6).map(|i| plain(i, 1 + i as i64, |_| ())).collect());
    let decisions = run.decide(&second(1));
    for (at, outbid) in [(4, 4), (3, 3), (2, 2)] {
        assert_eq!(decisions.fall_back(0, Reason::Budget).map(|bid| bid.at), Some(at));
        assert_eq!(decisions.refused().get(Reason::Outbid), outbid);
    }
    assert_eq!(decisions.fall_back(0, Reason::Budget), None);
    assert_eq!(decisions.refused().get(Reason::Budget), 1 + FALLBACKS_MAX as u32);
    assert_eq!(decisions.refused().total(), 6);
    assert_eq!((decisions.winner(0), decisions.no_bid()), (None, Some(Reason::Budget)));
    assert_eq!(decisions.fall_back(0, Reason::Budget), None, "there is nobody to refuse");
    assert_eq!(decisions.refused().total(), 6);
}

#[test]
fn a_campaign_wins_as_many_slots_of_a_request_as_it_may_and_no_more() {
    let twice = plain(0, 9, |it| it.per_request = 2);
    let mut run = Run::of(vec![twice, plain(1, 5, |_| ()), plain(2, 4, |_| ())]);
    let decisions = run.decide(&second(3));
    let mut winners: Vec<u32> = decisions.winners().map(|(_, bid)| bid.at).collect();
    winners.sort_unstable();
    assert_eq!(winners, [0, 0, 1]);
    assert_eq!(decisions.refused().get(Reason::OnePerRequest), 1);
    assert_eq!(decisions.refused().total() + 3, 9);
}

#[test]
fn a_floor_is_a_floor_in_any_currency_and_without_a_rate_there_is_no_bid() {
    let mut run = Run::of(vec![plain(0, 2, |_| ())]);
    let mut with = |cpm: &str, currency: &str| {
        let mut asked = second(1);
        let floor = Floor { cpm: cpm.parse().expect("an amount"), currency: code(currency) };
        asked.slots[0].floor = Some(floor);
        let decisions = run.decide(&asked);
        (decisions.winner(0).map(|bid| bid.cpm), decisions.no_bid())
    };
    let won = (Some(Micros(2 * UNIT)), None);
    assert_eq!(with("2", "USD"), won, "at the floor");
    assert_eq!(with("2.000001", "USD"), (None, Some(Reason::BelowFloor)));
    // 1.843317 EUR are 1.99999… USD, 1.843318 EUR are 2.00000003.
    assert_eq!(with("1.843317", "EUR"), won);
    assert_eq!(with("1.843318", "EUR"), (None, Some(Reason::BelowFloor)));
    assert_eq!(with("0.01", "GBP"), (None, Some(Reason::NoRate)));
}

#[test]
fn a_bid_is_in_the_campaigns_currency_or_in_the_first_that_there_is_a_rate_for() {
    let mut run = Run::of(vec![plain(0, 2, |_| ())]);
    let mut with = |codes: &[&str]| {
        let mut asked = second(1);
        asked.currencies = codes.iter().map(|it| code(it)).collect();
        let decisions = run.decide(&asked);
        let bid = decisions.winner(0).map(|bid| (bid.currency, bid.price, bid.reserve));
        (bid, decisions.no_bid())
    };
    let reserve = Micros(2_000);
    let usd = (Some((Currency::USD, Micros(2_000_000), reserve)), None);
    assert_eq!(with(&["EUR", "USD"]), usd);
    // 2 / 1.085, rounded down
    let eur = (Some((code("EUR"), Micros(1_843_317), reserve)), None);
    assert_eq!(with(&["GBP", "EUR", "JPY"]), eur);
    assert_eq!(with(&["GBP"]), (None, Some(Reason::Currency)));
}

#[test]
fn a_deal_has_its_own_floor_price_type_seats_and_advertisers() {
    let ours = |only: bool| {
        plain(0, 4, |it| {
            it.targeting.deals.ids = vec!["deal-1".into()];
            it.targeting.deals.only = only;
        })
    };
    let deal = |id: &'static str| Deal {
        id,
        floor: Some(Floor { cpm: Micros(3 * UNIT), currency: Currency::USD }),
        price: Some(PriceType::First),
        fixed: false,
        seats: Default::default(),
        advertisers: Default::default(),
    };
    let mut asked = second(1);
    asked.slots[0].private = true;
    asked.slots[0].deals = [deal("other"), deal("deal-1")].into_iter().collect();
    let mut run = Run::of(vec![ours(true), plain(1, 9, |_| ())]);
    let decisions = run.decide(&asked);
    let bid = *decisions.winner(0).expect("a winner");
    assert_eq!(
        (bid.at, bid.deal, bid.price_type, bid.floor),
        (0, Some(1), PriceType::First, Micros(3 * UNIT))
    );
    assert_eq!(decisions.refused().get(Reason::Deal), 1);

    for strange in [true, false] {
        let mut closed = asked.clone();
        let deal = &mut closed.slots[0].deals[1];
        if strange {
            deal.seats = ["somebody"].into_iter().collect();
        } else {
            deal.advertisers = ["rival.example"].into_iter().collect();
        }
        assert_eq!(run.decide(&closed).no_bid(), Some(Reason::Deal));
    }
    let mut dear = asked.clone();
    dear.slots[0].deals[1].floor = Some(Floor { cpm: Micros(5 * UNIT), currency: Currency::USD });
    assert_eq!(run.decide(&dear).no_bid(), Some(Reason::BelowFloor));
    // With the market open it takes what brings more.
    let mut open = dear.clone();
    open.slots[0].private = false;
    let mut run = Run::of(vec![ours(false)]);
    assert_eq!(run.decide(&open).winner(0).map(|bid| bid.deal), Some(None));
}

#[test]
fn a_deal_with_a_price_is_bid_at_that_price_and_at_no_other() {
    let ours = plain(0, 4, |it| it.targeting.deals.ids = vec!["deal-1".into()]);
    let mut run = Run::of(vec![ours]);
    let mut with = |cpm: &str, currency: &str, taken: &str| {
        let mut asked = second(1);
        let floor = Floor { cpm: cpm.parse().expect("an amount"), currency: code(currency) };
        asked.slots[0].private = true;
        asked.currencies = [code(taken)].into_iter().collect();
        asked.slots[0].deals.push(Deal {
            id: "deal-1",
            floor: Some(floor),
            price: Some(PriceType::First),
            fixed: true,
            seats: Default::default(),
            advertisers: Default::default(),
        });
        let decisions = run.decide(&asked);
        (decisions.winner(0).map(|bid| (bid.price.0, bid.cpm.0)), decisions.no_bid())
    };
    // Shaded it would be 2 or about that.
    assert_eq!(with("3", "USD", "USD"), (Some((3_000_000, 3_000_000)), None));
    assert_eq!(with("0.5", "USD", "USD"), (Some((500_000, 500_000)), None));
    assert_eq!(with("4", "USD", "USD"), (Some((4_000_000, 4_000_000)), None), "all it is worth");
    assert_eq!(with("4.000001", "USD", "USD"), (None, Some(Reason::BelowFloor)));
    // 3 EUR are 3.255 USD; told in either currency it is the same price.
    assert_eq!(with("3", "EUR", "USD"), (Some((3_255_000, 3_255_000)), None));
    assert_eq!(with("3", "EUR", "EUR"), (Some((3_000_000, 3_255_000)), None));
    assert_eq!(with("3.7", "EUR", "EUR"), (None, Some(Reason::BelowFloor)));
    assert_eq!(with("3", "GBP", "USD"), (None, Some(Reason::NoRate)));
}

#[test]
fn no_bid_is_beyond_what_the_budget_has_left_for_one_impression() {
    let mut run = Run::of(vec![plain(0, 2, |_| ())]);
    run.snapshots[0].left = Some(Micros(1_500));
    let bid = *run.decide(&second(1)).winner(0).expect("a winner");
    assert_eq!((bid.cpm, bid.reserve), (Micros(1_500_000), Micros(1_500)));
    run.snapshots[0].left = Some(Micros(0));
    assert_eq!(run.decide(&second(1)).no_bid(), Some(Reason::PriceBounds));
    run.snapshots.clear();
    assert_eq!(run.decide(&second(1)).no_bid(), Some(Reason::NotActive));
    let mut nobody = Run::of(Vec::new());
    assert_eq!(nobody.decide(&second(2)).no_bid(), Some(Reason::NoCandidate));
}

#[test]
fn throttling_lets_the_asked_share_pass_and_never_half_a_request() {
    let mut run = Run::of(vec![plain(0, 2, |it| it.per_request = 2)]);
    run.snapshots[0].multipliers.pass = 0.3;
    let (rates, asked) = (rates(), second(2));
    let sight = Sight { rates: &rates, person: Person::default() };
    let mut passed = 0;
    for seed in 0..4_000 {
        let context = context(&sight, mix(seed));
        let n = decide(&asked, &run.index, &run.snapshots[..], &context, &mut run.scratch)
            .winners()
            .count();
        assert!(n == 0 || n == 2);
        passed += n / 2;
    }
    // 1,200 expected, with a standard deviation of 29
    assert!((1_085..1_315).contains(&passed), "{passed}");
}

/// What a campaign alone would bid on a slot alone.
fn alone(
    campaign: &Arc<Campaign>,
    snapshot: &Snapshot,
    auction: &Auction<'_>,
    place: usize,
    context: &Context<'_, Sight<'_>>,
) -> (Option<Bid>, Option<Reason>) {
    let mut one = auction.clone();
    let slot = one.slots.swap_remove(place);
    one.slots.clear();
    one.slots.push(slot);
    let index = Index::new([campaign.clone()], "house");
    let snapshots = [snapshot.clone()];
    let mut scratch = Scratch::default();
    let decisions = decide(&one, &index, &snapshots[..], context, &mut scratch);
    (decisions.winner(0).copied(), decisions.no_bid())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_is_what_plain_reckoning_gives(seed in seeds()) {
        let mut dice = Dice::new(seed);
        let often = dice.one(&[2, 8, 20]);
        let campaigns: Vec<_> = (0..30).map(|i| campaign(i, often, &mut dice)).collect();
        let snapshots = snapshots(campaigns.len(), &mut dice);
        let index = Index::new(campaigns.iter().cloned(), "house");
        let (rates, mut scratch) = (rates(), Scratch::default());
        for _ in 0..3 {
            let auction = auction(often, &mut dice);
            let table = seen(&campaigns, auction.at_us, &mut dice);
            let sight = Sight { rates: &rates, person: person(&table, &mut dice) };
            let context = context(&sight, dice.raw());
            let decisions = decide(&auction, &index, &snapshots[..], &context, &mut scratch);

            // Everybody is counted once.
            let won = decisions.winners().count() as u64;
            let pairs = (auction.slots.len() * campaigns.len()) as u64;
            prop_assert_eq!(decisions.refused().total() + won, pairs);

            // The winners are those of the best bids, dealt out one by one.
            let mut bids = Vec::new();
            for place in 0..auction.slots.len() {
                for (at, campaign) in campaigns.iter().enumerate() {
                    let (bid, reason) =
                        alone(campaign, &snapshots[at], &auction, place, &context);
                    bids.extend(bid.map(|bid| (place, at, bid)));
                    // In words it is the same.
                    let said = explain_one(
                        &auction, place, at as u32, &index, &snapshots[..], &context,
                    );
                    let said = said.expect("the pair is there");
                    prop_assert_eq!((said.place, said.at), (place, at as u32));
                    let findings = said.findings;
                    let first = findings.first().map(|it| it.reason);
                    prop_assert_eq!(first, reason, "{:?}", findings);
                    // And by the same figures.
                    if let Some(bid) = &bid {
                        let priced = PriceUsed::of(bid, index.entry(at as u32).expect("it").currency);
                        prop_assert_eq!(said.inputs.price, Some(priced));
                        prop_assert_eq!(said.inputs.ltv.and_then(|ltv| ltv.amount), bid.ltv);
                    }
                }
            }
            // Of equal bids, such as those of one campaign on two slots, the hash decides.
            let tie = |place: usize, at: usize| {
                let key = index.entry(at as u32).map_or(0, |entry| entry.key);
                mix(context.seed ^ mix(key) ^ place as u64)
            };
            bids.sort_by(|a, b| {
                let score = b.2.score.total_cmp(&a.2.score);
                score.then_with(|| tie(b.0, b.1).cmp(&tie(a.0, a.1)))
            });
            let mut slots = vec![None; auction.slots.len()];
            let mut taken = vec![0; campaigns.len()];
            for (place, at, bid) in &bids {
                if slots[*place].is_none() && taken[*at] < bid.room {
                    slots[*place] = Some(*bid);
                    taken[*at] += 1;
                }
            }
            for (place, expected) in slots.iter().enumerate() {
                let won = decisions.winner(place);
                prop_assert_eq!(won.map(|b| (b.score, b.cpm)), expected.map(|b| (b.score, b.cpm)));
            }

            // Of each bid it is known why it did not win, as it is counted.
            let counts = |decisions: &super::Decisions, reasons: &[Reason]| {
                let lost = bids.iter().map(|(place, at, _)| decisions.lost(*place, *at as u32));
                let lost: Vec<Option<Reason>> = lost.collect();
                let of = |reason| lost.iter().filter(|it| **it == reason).count() as u32;
                let won = decisions.winners().count() as u32 == of(None);
                won && reasons.iter().all(|it| of(Some(*it)) == decisions.refused().get(*it))
            };
            let lost = [Reason::Outbid, Reason::OnePerRequest, Reason::Budget];
            prop_assert!(counts(decisions, &lost));

            // No bid may cost more than what is authorised for it, or is below a floor.
            for (place, bid) in decisions.winners() {
                let slot = &auction.slots[place];
                prop_assert_eq!(bid.reserve, reserve(bid.cpm));
                prop_assert!(cost(bid.price, bid.cross) <= bid.reserve);
                prop_assert!(bid.price > Micros::ZERO);
                let entry = index.entry(bid.at).expect("an entry");
                let strategy = &entry.campaign.definition.strategy;
                prop_assert!(bid.cpm <= strategy.cpm_max());
                if let Some(left) = snapshots[bid.at as usize].left {
                    prop_assert!(bid.reserve <= left);
                }
                prop_assert!(auction.currencies.contains(&bid.currency));
                let floor = match bid.deal {
                    Some(deal) => slot.deals[usize::from(deal)].floor,
                    None => slot.floor,
                };
                if let Some(Floor { cpm, currency }) = floor {
                    let floor = rates.convert(cpm, currency, bid.currency, Round::Up);
                    prop_assert!(floor.is_some_and(|floor| floor <= bid.price));
                    if bid.deal.is_some_and(|deal| slot.deals[usize::from(deal)].fixed) {
                        prop_assert_eq!(floor, Some(bid.price));
                    }
                }
            }

            // Refusing winners never loses count, nor lets a campaign win more than it may.
            let first: Vec<Option<Bid>> =
                (0..auction.slots.len()).map(|place| decisions.winner(place).copied()).collect();
            for place in 0..auction.slots.len() {
                for _ in 0..dice.one(&[0, 1, 5]) {
                    decisions.fall_back(place, Reason::Budget);
                }
                let won = decisions.winners().count() as u64;
                prop_assert_eq!(decisions.refused().total() + won, pairs);
            }
            prop_assert!(counts(decisions, &lost));
            for (_, bid) in decisions.winners() {
                let n = decisions.winners().filter(|(_, other)| other.at == bid.at).count();
                prop_assert!(n <= usize::from(bid.room));
            }

            // The same request and seed: the same decision, on another scratch.
            let mut fresh = Scratch::default();
            let again = decide(&auction, &index, &snapshots[..], &context, &mut fresh);
            for (place, bid) in first.iter().enumerate() {
                prop_assert_eq!(again.winner(place), bid.as_ref());
            }
        }
    }

    #[test]
    fn samples_explain_pairs_of_the_request(seed in seeds()) {
        let mut dice = Dice::new(seed);
        let campaigns: Vec<_> = (0..20).map(|i| campaign(i, 20, &mut dice)).collect();
        let snapshots = snapshots(campaigns.len(), &mut dice);
        let index = Index::new(campaigns, "house");
        let (rates, auction) = (rates(), auction(20, &mut dice));
        let sight = Sight { rates: &rates, person: Person::default() };
        let context = context(&sight, seed);
        let drawn = sample(&auction, &index, &snapshots[..], &context, 8);
        prop_assert!((1..=8).contains(&drawn.len()));
        let again = sample(&auction, &index, &snapshots[..], &context, 8);
        prop_assert_eq!(drawn, again);
        prop_assert_eq!(sample(&auction, &Index::new([], ""), &snapshots[..], &context, 8).len(), 0);
    }
}
