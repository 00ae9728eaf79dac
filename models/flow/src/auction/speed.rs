//! How long a decision takes. Prints; the bar is checked where the code was optimised.

use std::sync::Arc;
use std::time::Instant;

use super::decide::{Context, Scratch, decide};
use super::snapshot::Snapshot;
use super::tests::snapshot;
use crate::campaign::state::Campaign;
use crate::opportunity::Auction;
use crate::pricing::{Outcome, WinLearner};
use crate::targeting::Index;
use crate::targeting::samples::{Dice, auction, campaign};
use crate::targeting::tests::{person, rates, seen};

/// Prices as a bidder learns them.
fn snapshots(n: usize, dice: &mut Dice) -> Vec<Snapshot> {
    let mut learner = WinLearner::default();
    for _ in 0..2_000 {
        let (bid, price) = ((dice.raw() % 4_000) as f64, (dice.raw() % 4_000) as f64);
        let (won, value) = (bid > price, 1.5 * bid);
        learner.observe(&Outcome { bid, value, won, price: won.then_some(price) });
    }
    learner.refresh();
    let curve = learner.curve().clone();
    let mu = |dice: &mut Dice| 1.0 + (dice.raw() % 1_000) as f64 / 1e3;
    (0..n).map(|_| Snapshot { curve: curve.clone(), ..snapshot(mu(dice)) }).collect()
}

fn quantile(sorted: &[u64], q: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}

fn measure(
    name: &str,
    campaigns: &[Arc<Campaign>],
    requests: &[Auction<'_>],
    dice: &mut Dice,
) -> u64 {
    let index = Index::new(campaigns.iter().cloned(), "house");
    let snapshots = snapshots(campaigns.len(), dice);
    let rates = rates();
    let table = seen(campaigns, requests[0].at_us, dice);
    let people: Vec<_> = requests.iter().map(|_| person(&table, dice)).collect();
    let mut scratch = Scratch::default();
    let (mut nanos, mut candidates, mut winners, mut slots) = (Vec::new(), 0, 0, 0);
    for round in 0..4_u64 {
        for (i, (request, person)) in requests.iter().zip(&people).enumerate() {
            let context = Context { rates: &rates, person: *person, seed: i as u64 };
            let begun = Instant::now();
            let decisions = decide(request, &index, &snapshots[..], &context, &mut scratch);
            let took = begun.elapsed();
            // The first round warms up.
            if round > 0 {
                nanos.push(took.as_nanos() as u64);
                winners += decisions.winners().count();
                candidates += decisions.candidates();
                slots += request.slots.len();
            }
        }
    }
    nanos.sort_unstable();
    let each = nanos.len();
    println!(
        "{name}: {} campaigns, {} decisions: median {:.1} µs, p99 {:.1} µs; {:.1} slots, {:.1} candidates and {:.2} winners a request",
        campaigns.len(),
        each,
        quantile(&nanos, 0.5) as f64 / 1e3,
        quantile(&nanos, 0.99) as f64 / 1e3,
        slots as f64 / each as f64,
        candidates as f64 / each as f64,
        winners as f64 / each as f64,
    );
    quantile(&nanos, 0.5)
}

#[test]
fn a_decision_over_a_thousand_campaigns_takes_at_most_20_us() {
    let mut dice = Dice::new(11);
    let requests: Vec<Auction<'_>> = (0..1_000).map(|_| auction(10, &mut dice)).collect();
    let mut medians = Vec::new();
    for (name, often) in [("narrow", 40), ("some", 20), ("wide", 10)] {
        let campaigns: Vec<_> = (0..1_000).map(|i| campaign(i, often, &mut dice)).collect();
        medians.push(measure(name, &campaigns, &requests, &mut dice));
    }
    let campaigns: Vec<_> = (0..20_000).map(|i| campaign(i, 40, &mut dice)).collect();
    measure("many", &campaigns, &requests[..100], &mut dice);
    // Tens of candidates are what the bar is for; tests run without much optimisation and beside others.
    assert!(medians[0] < 200_000, "{medians:?}");
}
