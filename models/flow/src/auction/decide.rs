//! From a request to decisions.

use smallvec::SmallVec;

use kiki_models::shield::money::Currency;

use crate::frequency::key::mix;
use crate::opportunity::{Auction, Slot};
use crate::reason::Reason;
use crate::targeting;
use crate::targeting::bits;
use crate::targeting::check::{Asked, admitted};
use crate::targeting::compile::Entry;
use crate::targeting::{Index, Person};

use super::bid::{Bid, Candidate, Offer, Tender};
use super::decisions::Decisions;
use super::rates::Rates;
use super::snapshot::{Snapshot, Snapshots};

/// What an auction is decided with besides the campaigns.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub rates: &'a Rates,
    /// What was looked up of who sees it; what may not be used of it is not.
    pub person: Person<'a>,
    /// Decides throttling, ties and which of several creatives; of two equal requests with one seed both
    /// decisions are the same.
    pub seed: u64,
}

/// How each currency is bid in, once it was asked for.
type Tenders = SmallVec<[(Currency, Result<Tender, Reason>); 4]>;

/// Memory of decisions, one at a time.
#[derive(Debug, Default)]
pub struct Scratch {
    targeting: targeting::Scratch,
    tenders: Tenders,
    decisions: Decisions,
}

/// Decides a request.
pub fn decide<'s, S: Snapshots + ?Sized>(
    auction: &Auction<'_>,
    index: &Index,
    snapshots: &S,
    context: &Context<'_>,
    scratch: &'s mut Scratch,
) -> &'s mut Decisions {
    let Scratch { targeting, tenders, decisions } = scratch;
    let Context { rates, person, seed } = *context;
    let person = person.of(auction);
    tenders.clear();
    decisions.begin(auction.slots.len());
    index.request(auction, &person, targeting);
    *decisions.refused_mut() = targeting.refused;
    let asked = Asked { auction, person: &person, rates, seed };
    for (place, slot) in auction.slots.iter().enumerate() {
        index.slot(slot, targeting, decisions.refused_mut());
        let pair = |at, entry, place| Pair { at, entry, place, slot, index, asked };
        for word in 0..targeting.slot.len() {
            let candidates = targeting.slot.get(word).copied().unwrap_or(0);
            for bit in bits::each(&[candidates]) {
                let at = word as u32 * 64 + bit;
                let Some(entry) = index.entry(at) else { continue };
                decisions.candidates += 1;
                let outcome: Result<Bid, Reason> = match snapshots.get(at) {
                    Some(snapshot) => one(&pair(at, entry, place), &snapshot, tenders, targeting),
                    None => Err(Reason::NotActive),
                };
                match outcome {
                    Ok(bid) => {
                        decisions.refused_mut().add(Reason::Outbid, 1);
                        if let Some(ranking) = decisions.rankings.get_mut(place) {
                            ranking.put(bid, mix(seed ^ mix(entry.key) ^ place as u64));
                        }
                    }
                    Err(reason) => decisions.refused_mut().add(reason, 1),
                }
            }
        }
    }
    decisions.settle();
    decisions
}

/// A candidate and a slot.
struct Pair<'a, 'r> {
    at: u32,
    entry: &'a Entry,
    place: usize,
    slot: &'a Slot<'r>,
    index: &'a Index,
    asked: Asked<'a, 'r>,
}

/// What it bids, or the first reason why not.
fn one(
    pair: &Pair<'_, '_>,
    snapshot: &Snapshot,
    tenders: &mut Tenders,
    scratch: &mut targeting::Scratch,
) -> Result<Bid, Reason> {
    let Pair { at, entry, place, slot, index, ref asked } = *pair;
    let Asked { auction, person, rates, seed } = *asked;
    if let Some(reason) = snapshot.closed {
        return Err(reason);
    }
    let fitted = index.check(entry, asked, slot, place, scratch)?;
    if throttles(snapshot, entry, seed) {
        return Err(Reason::Throttled);
    }
    let tender = tender(tenders, entry.currency, auction, rates)?;
    let engagement = person.ltv.and_then(|ltv| ltv.engagement);
    let value = Candidate::value(entry, snapshot, fitted.ltv, engagement)?;
    let it = Candidate { at, entry, snapshot, fitted, tender, value };
    let open = !slot.private && !entry.deals_only;
    let open = open.then(|| Offer::open(auction, slot));
    let deals = admitted(index, entry, slot, scratch);
    let deals = deals.filter_map(|deal| Offer::deal(auction, slot, deal));
    it.best(open.into_iter().chain(deals), rates)
}

/// Whether a campaign leaves the request out, so that its budget lasts: the same for all of its slots.
pub(super) fn throttles(snapshot: &Snapshot, entry: &Entry, seed: u64) -> bool {
    // Uniform over 0..1 in 53 bits.
    let drawn = (mix(seed.wrapping_add(entry.key)) >> 11) as f64 / (1_u64 << 53) as f64;
    // What is no number lets nothing pass.
    snapshot.multipliers.pass.is_nan() || drawn >= snapshot.multipliers.pass
}

fn tender(
    tenders: &mut Tenders,
    own: Currency,
    auction: &Auction<'_>,
    rates: &Rates,
) -> Result<Tender, Reason> {
    if let Some((_, known)) = tenders.iter().find(|(currency, _)| *currency == own) {
        return *known;
    }
    let tender = Tender::of(own, auction, rates);
    if tenders.len() < tenders.inline_size() {
        tenders.push((own, tender));
    }
    tender
}
