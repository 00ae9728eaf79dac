//! What the rules of a bid allocate, from the bytes of a request to the bytes of its answer: printed, and
//! bounded. With `BENCH_ROWS` the figures are also rows of the README's table.
//!
//!     cargo test --release -p kiki-flow --test bid -- --nocapture

mod common;

#[path = "../../../benches/figures/flow_campaigns.rs"]
mod campaigns;
#[path = "../../../benches/figures/report.rs"]
#[allow(dead_code, reason = "shared with the benches, which use more of it")]
mod report;
#[path = "../../../benches/figures/flow_world.rs"]
mod world;

use std::borrow::Cow;

use common::{allocations, percentiles};
use kiki_flow as bidding;
use kiki_flow::auction::{Bid, Context, Scratch, decide};
use kiki_flow::campaign::creative::{Creative, FormatKind};
use kiki_flow::campaign::name::creative_told;
use kiki_flow::campaign::native;
use kiki_flow::decision::record::{LtvUsed, PriceUsed};
use kiki_flow::decision::{Decision, Digest, Kind};
use kiki_flow::frequency::Table;
use kiki_flow::frequency::key::Keyer;
use kiki_flow::notice::Kind as Notice;
use kiki_flow::notice::url::{Keys, Ticket};
use kiki_flow::openrtb::response::{self, Response, Seat};
use kiki_flow::openrtb::{Limits, Request};
use kiki_flow::opportunity::{Auction, PriceType};
use kiki_flow::pacing::Multipliers;
use kiki_flow::privacy::{Permits, Terms};
use kiki_flow::targeting::{LtvStatus, Person, Sight};
use kiki_models::shield::entry::Op;
use kiki_models::shield::money;
use report::{Bar, figure};
use world::{SEAT, VENDOR, World, bodies};

const CAMPAIGNS: usize = 1_000;
const REQUESTS: usize = 2_000;
/// 2026-11-22 12:00 UTC.
const NOON: i64 = 1_795_348_800_000_000;
const COMMAND: &str = "cargo test --release -p kiki-flow --test bid";

/// What is not to be exceeded by the median request, and by any.
struct Bound {
    median: u64,
    most: u64,
}

/// A text that is copied where it is longer than a list or a string can hold in place.
const READ: Bound = Bound { median: 12, most: 32 };
/// Its memory is used again.
const DECIDE: Bound = Bound { median: 0, most: 0 };
/// Of each bid: its id, three addresses and their digest, its lists.
const ANSWER: Bound = Bound { median: 26, most: 76 };
/// Of each bid: the texts of its record.
const RECORD: Bound = Bound { median: 9, most: 27 };
const WHOLE: Bound = Bound { median: 46, most: 128 };

/// What one request took.
#[derive(Default)]
struct Took {
    read: Vec<(u64, u64)>,
    decide: Vec<(u64, u64)>,
    answer: Vec<(u64, u64)>,
    record: Vec<(u64, u64)>,
    whole: Vec<(u64, u64)>,
}

/// As the service makes it.
fn digest<'w>(
    auction: &'w Auction<'_>,
    slot: usize,
    bid: &Bid,
    world: &'w World,
) -> Digest<&'w str> {
    let entry = world.index.entry(bid.at).expect("a campaign");
    let it = &entry.campaign.definition;
    Digest {
        account: &it.account,
        campaign: &it.id,
        creative: &creative(bid, world).id,
        impression: auction.slots[slot].id,
        model: "",
        auction: auction.id,
        deal: "",
        definition: entry.campaign.version,
        hold: Op::of(&[auction.id, auction.slots[slot].id]).0,
        at_us: auction.at_us,
        cpm: bid.cpm,
        own_currency: entry.currency,
        price: bid.price,
        currency: bid.currency,
        cross: bid.cross,
        first_price: bid.price_type == PriceType::First,
        value: bid.value,
        multipliers: Multipliers::VALUE,
        ltv: bid.ltv,
        ltv_status: LtvStatus::Unknown,
        floor: bid.floor,
    }
}

fn creative<'w>(bid: &Bid, world: &'w World) -> &'w Creative {
    let entry = world.index.entry(bid.at).expect("a campaign");
    &entry.campaign.definition.creatives[usize::from(bid.creative)]
}

/// The bytes of the answer.
fn answer(auction: &Auction<'_>, won: &[(usize, Bid)], world: &World, keys: &Keys) -> Vec<u8> {
    let made = won.iter().map(|(slot, bid)| {
        let digest = digest(auction, *slot, bid, world);
        let (hold, bytes) = (Op(digest.hold), digest.encode());
        let ticket = Ticket {
            kind: Notice::Win,
            hold,
            impression: Cow::Borrowed(auction.slots[*slot].id),
            expires_us: auction.at_us + 60_000_000,
            digest: Cow::Borrowed(&bytes),
        };
        let urls = keys.write_all("http://127.0.0.1:8082", &ticket).expect("they fit");
        let it = &world.index.entry(bid.at).expect("a campaign").campaign.definition;
        let of = creative(bid, world);
        let domains: Vec<&str> = it.domains(of).iter().map(String::as_str).collect();
        let sold = it.sold(of);
        let taxonomy = sold.told_in(auction.allowed.taxonomy);
        let categories = sold.each().filter(|(_, of)| Some(*of) == taxonomy);
        let categories: Vec<&str> = categories.map(|(code, _)| code).collect();
        let crid = creative_told(&it.account, &it.id, &of.id);
        let adm = match auction.slots[*slot].asks.of(FormatKind::Native) {
            Some(asks) if of.format.kind() == FormatKind::Native => {
                let entry = world.index.entry(bid.at).expect("a campaign");
                let needs = world.index.needs(entry, bid.creative).expect("needs");
                let answer = native::answer(&of.markup, needs.assets(), &asks.assets);
                Cow::Owned(answer.expect("it fits"))
            }
            _ => Cow::Borrowed(of.markup.as_str()),
        };
        (hold.to_string(), urls, (domains, categories), (crid, adm))
    });
    let made: Vec<_> = made.collect();
    let bids = won.iter().zip(&made).map(
        |((slot, bid), (id, urls, (domains, categories), (crid, adm)))| response::Bid {
            id,
            impression: auction.slots[*slot].id,
            cpm: bid.price,
            adm: Some(adm),
            nurl: Some(urls.get(Notice::Win)),
            burl: Some(urls.get(Notice::Billing)),
            lurl: Some(urls.get(Notice::Loss)),
            adomain: domains,
            cat: categories,
            crid: Some(crid),
            exp: Some(60),
            ..response::Bid::default()
        },
    );
    let bids: Vec<response::Bid<'_>> = bids.collect();
    let seats = [Seat { seat: Some(SEAT), bids: &bids }];
    let mut out = Vec::with_capacity(4_096);
    let response =
        Response { id: auction.id, bidid: None, currency: won[0].1.currency, seats: &seats };
    response.write(&mut out).expect("it is fit");
    out
}

/// What the journal is told of a bid.
fn record(auction: &Auction<'_>, slot: usize, bid: &Bid, world: &World) -> Decision {
    let entry = world.index.entry(bid.at).expect("a campaign");
    let it = &entry.campaign.definition;
    Decision {
        campaign: Some(it.id.clone()),
        version: Some(entry.campaign.version),
        auction: Some(auction.id.to_owned()),
        impression: Some(auction.slots[slot].id.to_owned()),
        creative: Some(creative(bid, world).id.clone()),
        ltv: Some(LtvUsed { amount: bid.ltv, status: LtvStatus::Unknown, model: String::new() }),
        multipliers: Some(Multipliers::VALUE.into()),
        price: Some(PriceUsed::of(bid, entry.currency)),
        hold: Some(Op::of(&[auction.id]).to_string()),
        ..Decision::new(Kind::Bid, &it.account, auction.at_us)
    }
}

/// All of a request but what is asked of budgets.
fn bid(
    body: &[u8],
    world: &World,
    ways: (&Keys, &Keyer, &Table),
    scratch: &mut Scratch,
    took: &mut Took,
) {
    let (keys, keyer, table) = ways;
    let (limits, terms) = (Limits::default(), Terms { vendor: Some(VENDOR), ..Terms::default() });
    let mut request = None;
    let parsed = allocations(|| request = Request::parse(body, &limits).ok());
    let request = request.expect("a request");
    let mut auction = None;
    let pictured = allocations(|| {
        let permits = Permits::of(&request.signals(), &terms);
        auction = request.auction(NOON, &permits).ok();
    });
    let read = (parsed.0 + pictured.0, parsed.1 + pictured.1);
    // What may not be bid for ends here.
    let Some(auction) = auction else { return };
    let user = auction.user.filter(|_| auction.personal);
    let seen = user.map(|user| (table, keyer.key(user.key)));
    let person = Person { seen, ..Person::default() };
    let sight = Sight { rates: &world.rates, person };
    let context = Context { sights: &sight, seed: 7 };
    let mut won = Vec::with_capacity(auction.slots.len());
    let decided = allocations(|| {
        let decisions = decide(&auction, &world.index, &world.snapshots[..], &context, scratch);
        won.extend(decisions.winners().map(|(slot, bid)| (slot, *bid)));
    });
    // An answer has one currency.
    let currency = won.first().map(|(_, bid)| bid.currency);
    won.retain(|(_, bid)| Some(bid.currency) == currency);
    if won.is_empty() {
        return;
    }
    let answered = allocations(|| drop(answer(&auction, &won, world, keys)));
    let recorded = allocations(|| {
        let records = won.iter().map(|(slot, bid)| record(&auction, *slot, bid, world));
        drop(records.collect::<Vec<_>>());
    });
    let parts = [read, decided, answered, recorded];
    let whole = parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    let lists =
        [&mut took.read, &mut took.decide, &mut took.answer, &mut took.record, &mut took.whole];
    for (list, part) in lists.into_iter().zip(parts.into_iter().chain([whole])) {
        list.push(part);
    }
}

// One test, so that nothing else allocates meanwhile.
#[test]
fn a_bid_allocates_what_is_stated_and_a_decision_nothing() {
    let world = World::new(CAMPAIGNS, NOON);
    let (keys, keyer, table) = (Keys::new(&[7; 32], None), Keyer::new(b"test"), Table::new(65_536));
    let bodies = bodies(REQUESTS);
    let mut scratch = Scratch::default();
    let mut took = Took::default();
    // The first round warms the memory up that is used again.
    for _ in 0..2 {
        took = Took::default();
        for body in &bodies {
            bid(body, &world, (&keys, &keyer, &table), &mut scratch, &mut took);
        }
    }
    println!("{} of {} requests are bid on", took.whole.len(), bodies.len());
    assert!(took.whole.len() > REQUESTS / 2, "most are bid on");
    for (what, list, bound) in [
        ("to read a request", &took.read, READ),
        ("to decide it", &took.decide, DECIDE),
        ("to answer it", &took.answer, ANSWER),
        ("to record it", &took.record, RECORD),
        ("of a bid's rules in all (without HTTP, hold and journal)", &took.whole, WHOLE),
    ] {
        let (calls, bytes): (Vec<u64>, Vec<u64>) = list.iter().copied().unzip();
        let (calls, bytes) = (percentiles(calls), percentiles(bytes));
        println!(
            "{what}: allocations p50 {} p99 {} max {}; bytes p50 {} p99 {} max {}",
            calls.0, calls.1, calls.2, bytes.0, bytes.1, bytes.2
        );
        if std::env::var_os("BENCH_ROWS").is_some() {
            let name = format!("allocations {what}, median of requests that are bid on");
            figure(&name, &[calls.0 as f64], "", Bar::AtMost(bound.median as f64), COMMAND);
        }
        assert!(calls.0 <= bound.median, "{what}: {} allocations, the median", calls.0);
        assert!(calls.2 <= bound.most, "{what}: {} allocations, the most", calls.2);
    }
}
