//! What auctions are decided with, in process: campaigns, what their bidders would publish, rates and
//! requests. Shared with `models/flow/tests/bid.rs`.

use std::sync::Arc;

use crate::bidding::auction::{Learned, Rates, Snapshot};
use crate::bidding::campaign::definition::Definition;
use crate::bidding::campaign::state::{Campaign, Command};
use crate::bidding::openrtb::sample::{Mix, Sampler};
use crate::bidding::pacing::Multipliers;
use crate::bidding::pricing::{Outcome, WinCurve, WinLearner};
use crate::bidding::targeting::Index;
use crate::campaigns::{Market, definition};
use crate::money::{Currency, Rate};

pub const SEED: u64 = 20_261_122;
/// What consent strings of made-up requests name us by.
pub const VENDOR: u16 = 755;
/// Of the seat of campaigns that name none, as `config/default.toml` has it.
pub const SEAT: &str = "kiki";
/// One euro in dollars.
pub const EURO: f64 = 1.085;

/// Bodies of bid requests, always the same.
pub fn bodies(count: usize) -> Vec<Vec<u8>> {
    let mut sampler = Sampler::new(SEED, Mix::default()).with_vendor(VENDOR);
    let mut body = Vec::new();
    let mut draw = || {
        sampler.draw(&mut body);
        body.clone()
    };
    (0..count).map(|_| draw()).collect()
}

/// An active campaign.
pub fn campaign(n: usize, market: Market, now_us: i64) -> Campaign {
    let definition = Definition::read(&definition(n, market)).expect("a definition");
    let (draft, _) = Campaign::create(definition, now_us).expect("a draft");
    let (active, _) = draft.apply(Command::Activate, None, now_us).expect("it starts");
    active.expect("it is there")
}

/// What there is to decide with.
pub struct World {
    pub index: Index,
    pub snapshots: Vec<Snapshot>,
    pub rates: Rates,
}

impl World {
    /// Of so many campaigns that are met.
    pub fn new(campaigns: usize, now_us: i64) -> World {
        let all = (0..campaigns).map(|n| Arc::new(campaign(n, Market::Hot, now_us)));
        let index = Index::new(all, SEAT);
        let curve = curve();
        let snapshots = (0..campaigns).map(|n| Snapshot {
            closed: None,
            multipliers: Multipliers { mu: 1.0 + (n % 100) as f64 / 100.0, ..Multipliers::VALUE },
            curve: curve.clone(),
            learned: Learned::default(),
            left: None,
        });
        let euro = "EUR".parse().expect("a code");
        let rates = Rates::new(20_261_122, Currency::USD, [(euro, Rate((EURO * 1e9) as i64))]);
        World { index, snapshots: snapshots.collect(), rates: rates.expect("rates") }
    }
}

/// Prices as a bidder has learned them from 2,000 outcomes.
fn curve() -> WinCurve {
    let mut learner = WinLearner::default();
    for n in 0..2_000_u32 {
        let (bid, price) = (f64::from(n * 37 % 4_000), f64::from(n * 91 % 4_000));
        let won = bid > price;
        learner.observe(&Outcome { bid, value: 1.5 * bid, won, price: won.then_some(price) });
    }
    learner.refresh();
    learner.curve().clone()
}
