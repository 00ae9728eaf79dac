//! One decision in process: a request's picture in, winners out, over an index of a thousand campaigns.

use std::hint::black_box;
use std::time::Instant;

use kiki::clock;
use kiki::models::flow::auction::{Context, Scratch, decide};
use kiki::models::flow::frequency::Table;
use kiki::models::flow::frequency::key::Keyer;
use kiki::models::flow::openrtb::{Limits, Request};
use kiki::models::flow::privacy::{Permits, Terms};
use kiki::models::flow::targeting::{Ltv, LtvStatus, Person, Sight};

use crate::flow_world::{VENDOR, World, bodies};
use crate::money::{Currency, Micros};
use crate::report::{Bar, PAIRS, figure};

const CAMPAIGNS: usize = 1_000;
const REQUESTS: usize = 2_000;
const COMMAND: &str = "cargo bench --bench figures -- flow-rules";

pub fn run() {
    let now_us = clock::wall_us();
    let world = World::new(CAMPAIGNS, now_us);
    let (limits, terms) = (Limits::default(), Terms { vendor: Some(VENDOR), ..Terms::default() });
    let bodies = bodies(REQUESTS);
    let requests: Vec<Request<'_>> =
        bodies.iter().map(|body| Request::parse(body, &limits).expect("a request")).collect();
    // What may not be bid for is not decided.
    let auctions: Vec<_> = requests
        .iter()
        .filter_map(|it| it.auction(now_us, &Permits::of(&it.signals(), &terms)).ok())
        .collect();
    let table = Table::new(65_536);
    let keyer = Keyer::new(b"bench");
    let ltv = Ltv {
        personal: true,
        amount: Micros(180_000_000),
        currency: Currency::USD,
        status: LtvStatus::Success,
        model: "bench",
        engagement: Some(0.6),
    };
    let people: Vec<Person<'_>> = auctions
        .iter()
        .map(|auction| {
            let user = auction.user.filter(|_| auction.personal);
            let seen = user.map(|user| (&table, keyer.key(user.key)));
            let ltv = user.filter(|user| user.is_known()).map(|_| ltv);
            Person { ltv, cohort: None, granted: None, seen }
        })
        .collect();
    let mut scratch = Scratch::default();
    let (mut medians, mut tails, mut met, mut won) = (vec![], vec![], vec![], vec![]);
    // The first round warms up.
    for round in 0..=PAIRS {
        let (mut nanos, mut candidates, mut winners) = (Vec::new(), 0, 0);
        for (at, (auction, person)) in auctions.iter().zip(&people).enumerate() {
            let sight = Sight { rates: &world.rates, person: *person };
            let context = Context { sights: &sight, seed: at as u64 };
            let began = Instant::now();
            let snapshots = &world.snapshots[..];
            let decisions =
                decide(black_box(auction), &world.index, snapshots, &context, &mut scratch);
            nanos.push(began.elapsed().as_nanos() as f64);
            candidates += decisions.candidates();
            winners += usize::from(decisions.winners().next().is_some());
        }
        if round == 0 {
            continue;
        }
        nanos.sort_by(f64::total_cmp);
        medians.push(nanos[nanos.len() / 2] / 1e3);
        tails.push(nanos[nanos.len() * 99 / 100] / 1e3);
        met.push(f64::from(candidates) / auctions.len() as f64);
        won.push(100.0 * winners as f64 / auctions.len() as f64);
    }
    let told = |name: &str, values: &[f64], unit| figure(name, values, unit, Bar::Told, COMMAND);
    let text = "one auction decided in process, 1,000 campaigns, median";
    figure(text, &medians, " µs", Bar::AtMost(20.0), COMMAND);
    told("the same, p99", &tails, " µs");
    told("candidates that a request meets, of 1,000 campaigns", &met, "");
    told("requests that somebody bids on, where it is allowed", &won, " %");
}
