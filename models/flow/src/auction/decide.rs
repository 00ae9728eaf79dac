//! From a request to decisions.

use smallvec::SmallVec;

use kiki_models::shield::money::Currency;

use crate::frequency::key::mix;
use crate::opportunity::{Auction, Slot};
use crate::reason::Reason;
use crate::targeting;
use crate::targeting::bits;
use crate::targeting::check::{Asked, deals_known};
use crate::targeting::compile::Entry;
use crate::targeting::{Index, Sight, Sights};

use super::bid::{Bid, Candidate, Offer, Tender};
use super::decisions::Decisions;
use super::rates::Rates;
use super::snapshot::{Snapshot, Snapshots};

/// What an auction is decided with besides the campaigns.
#[derive(Debug)]
pub struct Context<'a, V: ?Sized> {
    /// Who sees it and what money is worth, as each account knows it; what may not be used of the person is
    /// not.
    pub sights: &'a V,
    /// Decides throttling, ties and which of several creatives; of two equal requests with one seed both
    /// decisions are the same.
    pub seed: u64,
}

/// How each currency of an account is bid in, once it was asked for.
type Tenders = SmallVec<[((u32, Currency), Result<Tender, Reason>); 4]>;

/// Memory of decisions, one at a time.
#[derive(Debug, Default)]
pub struct Scratch {
    targeting: targeting::Scratch,
    tenders: Tenders,
    decisions: Decisions,
}

/// Decides a request.
pub fn decide<'s, S: Snapshots + ?Sized, V: Sights + ?Sized>(
    auction: &Auction<'_>,
    index: &Index,
    snapshots: &S,
    context: &Context<'_, V>,
    scratch: &'s mut Scratch,
) -> &'s mut Decisions {
    let Scratch { targeting, tenders, decisions } = scratch;
    let Context { sights, seed } = *context;
    tenders.clear();
    decisions.begin(auction.slots.len());
    let apart = auction.personal && auction.user.is_some() && sights.seen().is_some();
    index.request(auction, apart, targeting);
    *decisions.refused_mut() = targeting.refused;
    // Candidates of one account mostly stand beside each other.
    let mut last: Option<(u32, Sight<'_>)> = None;
    let mut common: Option<&Rates> = None;
    for (place, slot) in auction.slots.iter().enumerate() {
        index.slot(slot, targeting, decisions.refused_mut());
        for word in 0..targeting.words() {
            let Some((first, candidates)) = targeting.word(word) else { continue };
            for bit in bits::each(&[candidates]) {
                let at = first + bit;
                let Some(entry) = index.entry(at) else { continue };
                decisions.candidates += 1;
                let sight = match last {
                    Some((account, sight)) if account == entry.account => sight,
                    _ => {
                        let Sight { rates, person } = sights.of(entry.account);
                        Sight { rates, person: person.of(auction) }
                    }
                };
                last = Some((entry.account, sight));
                let common = *common.get_or_insert(sight.rates);
                let Sight { rates, ref person } = sight;
                let asked = Asked { auction, person, rates, seed };
                let outcome: Result<Bid, Reason> = match snapshots.get(at) {
                    Some(snapshot) => {
                        let pair = Pair { at, entry, place, slot, index, asked, common };
                        one(&pair, &snapshot, tenders, targeting)
                    }
                    None => Err(Reason::NotActive),
                };
                // A test teaches nobody anything, but it wakes.
                if !auction.test || matches!(outcome, Err(Reason::WarmingUp)) {
                    snapshots.met(at, &outcome);
                }
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
    decisions.common = common.map(Rates::base);
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
    /// Those of the request's first candidate: in their base all of its bids are compared.
    common: &'a Rates,
}

/// What it bids, or the first reason why not.
fn one(
    pair: &Pair<'_, '_>,
    snapshot: &Snapshot,
    tenders: &mut Tenders,
    scratch: &mut targeting::Scratch,
) -> Result<Bid, Reason> {
    let Pair { at, entry, place, slot, index, ref asked, common } = *pair;
    let Asked { auction, person, rates, seed } = *asked;
    // Also of one that does not bid: what its bidder is told of is traffic that it could have had.
    let fitted = index.check(entry, asked, slot, place, scratch)?;
    if let Some(reason) = snapshot.closed {
        return Err(reason);
    }
    if throttles(snapshot, entry, seed) {
        return Err(Reason::Throttled);
    }
    let tender = tender(tenders, entry, auction, (rates, common))?;
    let engagement = person.ltv.and_then(|ltv| ltv.engagement);
    let value = Candidate::value(entry, snapshot, fitted.ltv, engagement)?;
    let it = Candidate { at, entry, snapshot, fitted, tender, value };
    let open = !slot.private && !entry.deals_only;
    let open = open.then(|| Offer::open(auction, slot));
    let deals = (0..deals_known(entry, scratch)).filter_map(|nth| {
        let (deal, creative) = index.nth_deal(nth, entry, (slot, place, seed), scratch)?;
        Some(Offer { creative, ..Offer::deal(auction, slot, deal)? })
    });
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
    entry: &Entry,
    auction: &Auction<'_>,
    (rates, common): (&Rates, &Rates),
) -> Result<Tender, Reason> {
    let own = (entry.account, entry.currency);
    if let Some((_, known)) = tenders.iter().find(|(known, _)| *known == own) {
        return *known;
    }
    let tender = Tender::of(entry.currency, auction, rates, common);
    if tenders.len() < tenders.inline_size() {
        tenders.push((own, tender));
    }
    tender
}
