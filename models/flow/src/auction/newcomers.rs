//! Who is new beside who has learned.

use super::bid::Bid;
use super::tests::{Run, plain, second};
use crate::opportunity::{Auction, PriceType};
use crate::pricing::{Outcome, WinLearner};
use crate::reason::Reason;
use crate::targeting::samples::Dice;

/// Learned from wins at prices that are uniform between.
fn learned(bid: f64, won: bool, prices: std::ops::Range<u64>, n: usize) -> WinLearner {
    let (mut learner, mut dice) = (WinLearner::default(), Dice::new(3));
    for _ in 0..n {
        let price = (prices.start + dice.raw() % (prices.end - prices.start)) as f64;
        learner.observe(&Outcome { bid, value: bid, won, price: won.then_some(price) });
    }
    learner.refresh();
    learner
}

#[test]
fn what_each_has_learned_of_prices_does_not_set_equals_apart() {
    let mut run = Run::of((0..3).map(|at| plain(at, 10, |_| ())).collect());
    let cheap = learned(10_000.0, true, 1_000..2_000, 2_000);
    let dear = learned(10_000.0, false, 0..1, 2_000);
    for (at, learner) in [(0, cheap), (1, dear)] {
        run.snapshots[at].curve = learner.curve().clone();
    }
    let first = Auction { price: PriceType::First, ..second(1) };
    for auction in [second(1), first] {
        run.snapshots[1].multipliers.mu = 1.0;
        let ranked: Vec<Bid> = run.decide(&auction).ranked(0).copied().collect();
        assert_eq!(ranked.len(), 3);
        assert!(ranked.iter().all(|bid| bid.score == ranked[0].score), "{ranked:?}");
        let surplus = |at: u32| ranked.iter().find(|bid| bid.at == at).map(|bid| bid.surplus);
        assert!(surplus(0) > surplus(1), "what they expect differs: {ranked:?}");
        // A little more, and it goes first.
        run.snapshots[1].multipliers.mu = 0.99;
        assert_eq!(run.decide(&auction).winner(0).map(|bid| bid.at), Some(1));
    }
}

#[test]
fn equals_share_what_there_is_however_late_one_of_them_comes() {
    let mut dice = Dice::new(7);
    let mut run = Run::of((0..4).map(|at| plain(at, 4, |_| ())).collect());
    let mut learners: Vec<WinLearner> = (0..4).map(|_| WinLearner::default()).collect();
    run.snapshots[3].closed = Some(Reason::NotActive);
    let mut bids = [0u32; 4];
    for n in 0..8_000 {
        if n == 4_000 {
            run.snapshots[3].closed = None;
            bids = [0; 4];
        }
        let decisions = run.decide_at(&second(1), n);
        let bid = decisions.winner(0).expect("somebody bids");
        let (at, bid) = (bid.at as usize, bid.cpm.0 as f64 / 1_000.0);
        bids[at] += 1;
        let price = (dice.raw() % 4_000) as f64;
        let won = bid > price;
        let told = won.then_some(price);
        learners[at].observe(&Outcome { bid, value: 4_000.0, won, price: told });
        run.snapshots[at].curve = learners[at].curve().clone();
    }
    assert!(bids.iter().all(|bids| (850..1_150).contains(bids)), "{bids:?}");
}
